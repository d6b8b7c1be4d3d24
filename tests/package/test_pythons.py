"""The built tap in an empty environment of each Python that it names: the same settings, streams and rows as here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.package.commands import README, UV, environment, new_environment, run
from tests.package.singer import read_tap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from coursera_sandbox.testing import RunningSandbox
    from tests.package.conftest import Built
    from tests.package.singer import Json

pytestmark = pytest.mark.slow

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
NAMED = re.findall(
    r"^Classifier: .* :: Python :: (3\.\d+)$", str(metadata.metadata("tap-coursera")), flags=re.MULTILINE
)
STREAMS = ("programs", "users", "enrollments", "course_grades", "item_grades")
CHECKOUT = (sys.executable, "-m", "tap_coursera")


def is_python(command: str, version: str) -> bool:
    """Return whether a command runs Python; a version manager's stand-in may only say that none is active."""
    says = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([command, "-Ic", says], capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def interpreter(version: str) -> str | None:
    """A Python of this version: this one, one on the path, one of pyenv's, one of uv's."""
    if version == HERE:
        return sys.executable
    on_path = [str(Path(folder) / f"python{version}") for folder in os.get_exec_path()]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    of_pyenv = [str(folder / "bin/python") for folder in sorted(pyenv.glob(f"{version}.*"), reverse=True)]
    of_uv = subprocess.run(
        [UV, "python", "find", version], capture_output=True, text=True, check=False, env=environment()
    ).stdout.split()
    return next((command for command in [*on_path, *of_pyenv, *of_uv] if is_python(command, version)), None)


def everything(tap: Sequence[str | Path], folder: Path, sandbox: RunningSandbox) -> Json:
    """Return what a tap prints with `--about`, and the rows that it reads."""
    output = read_tap(folder, *tap, config=sandbox.tap_config, streams=STREAMS)
    return {
        "version": run(*tap, "--version"),
        "about": run(*tap, "--about", "--format=json"),
        "schemas": output.schemas,
        "keys": output.keys,
        "rows": {stream: sorted(rows, key=repr) for stream, rows in output.records.items()},
    }


@pytest.fixture(scope="module")
def here(standing_sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Json:
    """The same for the working tree, with the interpreter that runs the tests."""
    return everything(CHECKOUT, tmp_path_factory.mktemp("here") / "run", standing_sandbox)


def test_the_tap_names_the_versions_that_its_readme_names() -> None:
    assert NAMED == ["3.10", "3.11", "3.12", "3.13"]
    assert f"Python {NAMED[0]} to {NAMED[-1]}" in README


@pytest.mark.parametrize("version", sorted({*NAMED, HERE}))
def test_the_wheel_works_in_an_empty_environment(
    version: str, built: Built, here: Json, standing_sandbox: RunningSandbox, tmp_path: Path
) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    tap = [new_environment(tmp_path / "venv", python, built.wheel) / "tap-coursera"]
    found = everything(tap, tmp_path / "run", standing_sandbox)
    assert set(found["rows"]) == set(STREAMS)
    assert all(found["rows"].values())
    assert found == here


def test_the_sdist_installs_as_well(built: Built, tmp_path: Path) -> None:
    tap = new_environment(tmp_path / "venv", sys.executable, built.sdist) / "tap-coursera"
    assert run(tap, "--discover") == run(*CHECKOUT, "--discover")
