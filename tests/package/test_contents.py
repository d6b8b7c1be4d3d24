"""The wheel and the sdist contain everything that the tap needs, and nothing else."""

from __future__ import annotations

import tarfile
import zipfile
from email.parser import Parser
from typing import TYPE_CHECKING

import pytest

from tests.package.commands import README, ROOT, TAP

if TYPE_CHECKING:
    from email.message import Message

    from tests.package.conftest import Built

CODE = {
    str(file.relative_to(TAP))
    for file in (TAP / "tap_coursera").rglob("*")
    if file.is_file() and "__pycache__" not in file.parts
}
BESIDE = {"LICENSE", "PKG-INFO", "README.md", "meltano-hub.yml", "pyproject.toml"}


@pytest.fixture(scope="module")
def wheel(built: Built) -> dict[str, bytes]:
    """The files of the wheel."""
    with zipfile.ZipFile(built.wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def metadata(wheel: dict[str, bytes]) -> Message:
    """The metadata that a package index shows."""
    return Parser().parsestr(next(text for name, text in wheel.items() if name.endswith("/METADATA")).decode())


def test_the_wheel_holds_the_whole_package_and_nothing_but_it(wheel: dict[str, bytes]) -> None:
    assert {name for name in wheel if ".dist-info/" not in name} == CODE
    assert {"tap_coursera/py.typed", "tap_coursera/schemas/enrollments.json"} <= CODE


def test_the_sdist_holds_what_the_wheel_is_built_from_and_no_file_that_lies_about(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names - {".gitignore"} == CODE | BESIDE  # The builder adds the file of the repository.


def test_the_licence_is_the_projects_and_goes_along(wheel: dict[str, bytes], metadata: Message) -> None:
    licence = next(text for name, text in wheel.items() if name.endswith(".dist-info/licenses/LICENSE"))
    assert licence == (TAP / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (metadata["License-Expression"], metadata["License-File"]) == ("Apache-2.0", "LICENSE")


def test_the_readme_is_the_long_description(metadata: Message) -> None:
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload() == README
    assert "](." not in README, "a link to another file leads nowhere on a package index"


def test_the_command_and_the_versions_of_python_are_declared(wheel: dict[str, bytes], metadata: Message) -> None:
    commands = next(text for name, text in wheel.items() if name.endswith("/entry_points.txt")).decode()
    assert "tap-coursera = tap_coursera.__main__:main" in commands
    assert metadata["Requires-Python"] == ">=3.10"
