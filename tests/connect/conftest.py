from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.connect.openssh import small_disk as small_disk  # noqa: PLC0414 - a fixture for all
from tests.connect.warehouse import Place

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish without the report page, except in tests that read the page."""
    monkeypatch.setenv("CONNECT_REPORT", "off")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.build()
    return place
