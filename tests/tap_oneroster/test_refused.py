"""What is wrong with a package is one sentence, and then nothing is sent."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from oneroster_csv import validate
from oneroster_csv.errors import PackageError
from tests.tap_oneroster.reading import core, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.oneroster_csv.packages import Package


def _nul(package: Package) -> None:
    package.patch("users", "Ada", "A\0a")


def _latin(package: Package) -> None:
    package.patches["users"] = lambda data: data.replace("Zoë".encode(), "Zoë".encode("latin-1"))


def _quote(package: Package) -> None:
    package.patch("users", "Ada", 'A"a')


def _huge(package: Package) -> None:
    package.patch("users", "Ada", "A" * 200_000)


def _folder(package: Package) -> None:
    package.left_out.add("users")
    package.after.append(lambda archive: archive.writestr("inner/users.csv", package.bytes_of("users")))


def _score(package: Package) -> None:
    package.put("results", "r1", score="101")


BROKEN: dict[str, tuple[Callable[[Package], None], str]] = {
    "a control character": (_nul, "control character"),
    "another encoding": (_latin, "A row is not UTF-8"),
    "a quote": (_quote, "A quote is not closed"),
    "a huge field": (_huge, "longer than 131,072 characters"),
    "a folder in the zip": (_folder, "lies in a folder of the zip"),
    "a score out of range": (_score, "A score lies outside"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_package_is_one_sentence(tmp_path: Path, what: str) -> None:
    breaks, reason = BROKEN[what]
    made = core()
    breaks(made)
    path = made.write(tmp_path / "p.zip")
    with pytest.raises(PackageError) as raised:
        read(path)
    told = str(raised.value)
    assert told.startswith(f"{path} is not valid OneRoster 1.1 (")
    assert reason in told
    assert told.endswith(f"`oneroster-csv check {path}` lists the rows.")
    assert "Ada" not in told
    assert "Zo" not in told


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_byte_order_mark_either_line_end_and_an_empty_file_do_no_harm(tmp_path: Path, ending: str) -> None:
    made = core()
    made.patches["users"] = lambda data: b"\xef\xbb\xbf" + data.replace(b"\r\n", ending.encode())
    made.left_out.discard("demographics")
    made.declare("demographics", "bulk")
    made.rows["demographics"] = []
    sent = read(made.write(tmp_path / "p.zip"))
    assert [row["sourcedId"] for row in sent.records("users")] == ["u1", "u2", "u3"]
    assert sent.records("demographics") == []
    assert sent.kinds("demographics") == ["SCHEMA", "ACTIVATE_VERSION"]


def test_a_zip_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "MOST_BYTES", 1000)
    path = core().write(tmp_path / "p.zip")
    with pytest.raises(PackageError, match=r"p[.]zip unpacks to more than"):
        read(path)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "folder")
    with pytest.raises(PackageError, match=r"folder is larger than"):
        read(tmp_path / "folder")


@pytest.mark.parametrize("kind", ["nothing", "empty folder", "no zip", "half a zip"])
def test_where_there_is_no_package_it_says_so(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "p.zip"
    if kind == "empty folder":
        path.mkdir()
    elif kind == "no zip":
        path.write_text("hello")
    elif kind == "half a zip":
        whole = core().write(tmp_path / "whole").read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PackageError, match=r"^(There is no package|.*is no zip file, or a damaged one)"):
        read(path)


def test_the_command_ends_with_1_and_one_line(tmp_path: Path) -> None:
    made = core()
    made.put("results", "r1", score="101")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"path": str(made.write(tmp_path / "p.zip"))}))
    command = [sys.executable, "-m", "tap_oneroster", f"--config={config}", "--discover"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    errors = [line for line in done.stderr.splitlines() if "ERROR" in line or "Traceback" in line]
    assert (done.returncode, done.stdout, len(errors)) == (1, "", 1), done.stderr
