"""Fixtures of all tests: a sandbox, and one process of dbt."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from coursera_sandbox.testing import RunningSandbox
from tests.transform.warehouse import Dbt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    class StartSandbox(Protocol):
        """Starts one more sandbox; options as of RunningSandbox."""

        def __call__(self, **options: Any) -> RunningSandbox: ...


def pytest_configure() -> None:
    # A shell starts what it runs in the background with this signal ignored, and so would everything that tests start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The longest files first, so that both workers end together; the tests of a file stay together.
    ranks: dict[Path, tuple[int, bool, bool]] = {}
    for item in items:
        ranks[item.path] = min(_rank(item), ranks.get(item.path, _rank(item)))
    items.sort(key=lambda item: ranks[item.path])
    for item in items:
        if item.get_closest_marker("slow"):  # A busy machine may take longer.
            item.add_marker(pytest.mark.timeout(3600))


def _rank(item: pytest.Item) -> tuple[int, bool, bool]:
    """Return a key that sorts what takes long to the front: the minutes of `slow`, then Meltano, then dbt."""
    slow = item.get_closest_marker("slow")
    return (
        -slow.kwargs.get("minutes", 0) if slow else 0,
        item.get_closest_marker("pipeline") is None,
        "dbt" not in getattr(item, "fixturenames", ()),
    )


@pytest.fixture
def start_sandbox(tmp_path: Path) -> Iterator[StartSandbox]:
    """Start sandboxes, each with its own home and port, which end with the test."""
    running: list[RunningSandbox] = []

    def start(**options: Any) -> RunningSandbox:
        home = options.pop("home", tmp_path / f"sandbox-{len(running)}")
        running.append(RunningSandbox(home, **options))
        return running[-1]

    yield start
    for sandbox in running:
        sandbox.stop()


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dbt]:
    """dbt, which imports itself and parses the project once for all tests of a process."""
    made = Dbt(tmp_path_factory.mktemp("dbt"))
    yield made
    made.close()


@pytest.fixture
def sandbox(start_sandbox: StartSandbox) -> RunningSandbox:
    """A college of 120 learners."""
    return start_sandbox()
