"""A college for all tests that only read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from coursera_sandbox.testing import RunningSandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def college(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """A sandbox that no test changes."""
    running = RunningSandbox(tmp_path_factory.mktemp("college"))
    yield running
    running.stop()
