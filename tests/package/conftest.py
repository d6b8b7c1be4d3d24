"""The built tap, installed as its README says."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from coursera_sandbox.testing import RunningSandbox
from tests.package import postgres
from tests.package.commands import ROOT, TAP, UV, blocks, environment, install

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.package.postgres import Postgres


@pytest.fixture(scope="session")
def standing_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """A college of 30 learners in which time stands still."""
    running = RunningSandbox(tmp_path_factory.mktemp("sandbox"), learners=30)
    yield running
    running.stop()


@dataclass(frozen=True)
class Built:
    """The sdist and the wheel."""

    wheel: Path
    sdist: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    install(UV, "build", "--quiet", "--out-dir", folder, TAP)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Built(wheel, sdist)


@dataclass(frozen=True)
class Installed:
    """Tap and loaders, each in an environment of its own, on one path; `folder` is a copy of the tap's."""

    folder: Path
    commands: Path

    def environment(self, **more: str) -> dict[str, str]:
        plain = environment(**more)
        return {**plain, "PATH": f"{self.commands}:{plain['PATH']}"}


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The tap and the loaders as the commands under "Install" in the tap's README install and pin them."""
    root = tmp_path_factory.mktemp("installed")
    for part in ("tap-coursera", "plugins/target-duckdb"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", "dist"))
    found = Installed(root / "tap-coursera", root / "bin")
    found.commands.mkdir()
    (found.commands / "uv").symlink_to(UV)
    folders = {"UV_TOOL_DIR": str(root / "tools"), "UV_TOOL_BIN_DIR": str(found.commands)}
    install("bash", "-euc", blocks("Install"), cwd=found.folder, env=found.environment(**folders))
    return found


@pytest.fixture(scope="session")
def database() -> Iterator[Postgres]:
    """An empty PostgreSQL."""
    with postgres.running() as server:
        yield server
