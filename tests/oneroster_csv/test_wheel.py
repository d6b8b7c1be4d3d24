"""The wheel of the library, installed alone in an empty environment."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.oneroster_csv.packages import Package
from tests.package.commands import ROOT, UV, install, new_environment, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

PART = ROOT / "plugins/oneroster-csv"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    install(UV, "build", "--quiet", "--out-dir", folder, PART)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_whole_package_its_licence_and_its_readme(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    code = {
        str(path.relative_to(PART))
        for path in (PART / "oneroster_csv").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in held if ".dist-info/" not in name} == code
    (licence,) = (text for name, text in held.items() if name.endswith("/licenses/LICENSE"))
    assert licence == (ROOT / "LICENSE").read_bytes()
    (metadata,) = (text.decode() for name, text in held.items() if name.endswith("/METADATA"))
    assert metadata.endswith((PART / "README.md").read_text("utf-8"))


def test_the_command_works_where_nothing_else_is_installed(wheel: Path, tmp_path: Path) -> None:
    commands = new_environment(tmp_path / "venv", sys.executable, wheel)
    listed = json.loads(run(UV, "pip", "list", "--format=json", "--python", commands / "python"))
    assert {one["name"] for one in listed} == {"click", "duckdb", "oneroster-csv"}
    good = Package("1.2").write(tmp_path / "good.zip")
    assert (
        run(commands / "oneroster-csv", "check", good).splitlines()[-1].startswith(f"{good} is valid OneRoster 1.2: ")
    )
    assert "Check OneRoster CSV packages." in run(commands / "python", "-m", "oneroster_csv", "--help")
    package = Package("1.1")
    package.put("enrollments", "e1", userSourcedId="u9")
    bad = package.write(tmp_path / "bad.zip")
    done = subprocess.run([commands / "oneroster-csv", "check", bad], capture_output=True, text=True, check=False)
    assert (done.returncode, "userSourcedId: A reference points at nothing" in done.stdout) == (1, True)
