"""A copy of the project for each module, with its own warehouse, state, sandbox and port; plugins' venvs are shared."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from coursera_connect.setup import environments
from scripts import launch
from tests.pipeline.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("meltano.yml", "plugins", "scripts", "tap-coursera", "transform")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def plugins() -> Path:
    """The plugins' environments as `make setup` installs them."""
    installed = ROOT / ".meltano"
    if not (installed / "utilities" / "dbt").exists():
        pytest.fail("The Meltano plugins are not installed; run `make setup` first (make test does).")
    return installed


def a_copy(root: Path, plugins: Path, port: int) -> Project:
    """Copy the project into a new folder; `port` is the port of its sandbox."""
    (root / ".meltano").mkdir(parents=True)
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("target", "logs", "__pycache__"))
        else:
            shutil.copy(ROOT / part, root / part)
    environments.add(root, "prod")
    commands = root / ".venv" / "bin"
    commands.mkdir(parents=True)
    for name in launch.COMMANDS:
        (commands / name).write_text(launch.LAUNCHER.format(python=sys.executable, command=name))
        (commands / name).chmod(0o755)
    for kind in ("extractors", "loaders", "utilities"):
        (root / ".meltano" / kind).symlink_to(plugins / kind)
    page = root / "meltano.yml"
    page.write_text(page.read_text().replace('COURSERA_SANDBOX_PORT: "8737"', f'COURSERA_SANDBOX_PORT: "{port}"'))
    return Project(root, port)


@pytest.fixture(scope="module")
def project(plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    copy = a_copy(tmp_path_factory.mktemp("project") / "copy", plugins, free_port())
    yield copy
    copy.stop()
