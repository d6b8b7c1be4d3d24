"""No output takes the place of what is not its own, and nothing but a package is delivered."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from coursera_connect.cli.main import main
from coursera_connect.report import output_paths
from oneroster_csv.package import is_written_here

if TYPE_CHECKING:
    from pathlib import Path

    from tests.connect.warehouse import Place

SOMEBODY_ELSES = "of somebody else"


def foreign_zip(path: Path) -> None:
    """A package of another program: the same files, as other programs write them."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.csv", "propertyName,value\r\nmanifest.version,1.0\r\noneroster.version,1.1\r\n")
        archive.writestr("orgs.csv", "sourcedId\r\n")


def made(place: Place, name: str) -> Path:
    """A file that is there before a publish, or the name of one that a publish makes."""
    path = {"warehouse": place.database, "package": place.package}.get(name, place.folder / name)
    if name == "zip.zip":
        foreign_zip(path)
    elif name == "hard link":
        os.link(place.database, path)
    elif name == "symbolic link":
        path.symlink_to(place.database)
    elif name == "pipe":
        os.mkfifo(path)
    elif name == "page.html":
        path.write_text("<!doctype html>\n<title>Our school</title>")
    elif name == "pupils.csv":
        path.write_text(SOMEBODY_ELSES)
    elif name.startswith("out/"):
        path = place.package.parent / name.removeprefix("out/")
    return path


@pytest.mark.parametrize(
    ("setting", "name", "said"),
    [
        ("CONNECT_REPORT", "warehouse", "is not a page of connect"),
        ("CONNECT_REPORT", "package", "is not a page of connect"),
        ("CONNECT_REPORT", "hard link", "is not a page of connect"),
        ("CONNECT_REPORT", "symbolic link", "is not a page of connect"),
        ("CONNECT_REPORT", "pipe", "is not a page of connect"),
        ("CONNECT_REPORT", "page.html", "is not a page of connect"),
        ("CONNECT_REPORT", "pupils.csv", "is not a page of connect"),
        ("CONNECT_REPORT", "out/publish-report.md", "is not a page of connect"),
        ("CONNECT_REPORT", "out/.job.lock", "which is a lock"),
        ("CONNECT_REPORT", "out/Connection.JSON", "which is the record of the connection test"),
        ("CONNECT_REPORT", "out/preview/oneroster.zip", "which is the package of a preview"),
        ("CONNECT_REPORT", "warehouse.duckdb.wal", "which is the log of the warehouse"),
        ("CONNECT_PACKAGE", "warehouse", "is not a package of connect"),
        ("CONNECT_PACKAGE", "hard link", "is not a package of connect"),
        ("CONNECT_PACKAGE", "symbolic link", "is not a package of connect"),
        ("CONNECT_PACKAGE", "zip.zip", "is not a package of connect"),
        ("CONNECT_PACKAGE", "pupils.csv", "is not a package of connect"),
        ("CONNECT_PACKAGE", "out/report.html", "is not a package of connect"),
        ("CONNECT_PACKAGE", "publish-report.json", "which is a report"),
    ],
)
def test_a_path_that_names_another_file_is_refused_before_the_run(
    place: Place, monkeypatch: pytest.MonkeyPatch, setting: str, name: str, said: str
) -> None:
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda _snippet: "")
    monkeypatch.delenv("CONNECT_REPORT")
    assert place.call("publish").returncode == 0
    path = made(place, name)
    before = {file: file.read_bytes() for file in place.folder.rglob("*") if file.is_file()}
    option = {"CONNECT_REPORT": "--page", "CONNECT_PACKAGE": "--package"}[setting]
    verbs = [["publish", "--allow-removals"], ["preview" if setting == "CONNECT_PACKAGE" else "report"]]
    for verb in verbs:
        done = place.call(*verb, option, str(path))
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert said in done.stderr
        assert setting in done.stderr
        assert done.stderr.count("\n") == 1
    told = place.call("publish", option, str(path), "--json")
    assert (told.returncode, json.loads(told.stdout)["outcome"]) == (2, "failed")
    assert {file: file.read_bytes() for file in place.folder.rglob("*") if file.is_file()} == before


def test_what_is_its_own_is_replaced_under_any_name_and_every_release_knows_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda _snippet: "")
    elsewhere, page = place.folder / "r" / "Roster", place.folder / "r" / "Roster page"
    for arguments in ((), ("--oneroster-version", "1.1", "--profile", "hmh"), ("--mode", "delta")):
        for _ in range(2):
            done = place.call("publish", "--package", str(elsewhere), "--page", str(page), *arguments)
            assert done.returncode == 0, done.stderr
        assert is_written_here(elsewhere)
        assert output_paths.is_page(page)
    shutil.copy(elsewhere, place.folder / "moved.zip")
    assert place.call("publish", "--package", str(place.folder / "moved.zip")).returncode == 0


def test_a_preview_leaves_another_programs_file_in_its_folder_alone(place: Place) -> None:
    folder = place.package.parent / "preview"
    folder.mkdir(parents=True)
    foreign_zip(folder / place.package.name)
    before = (folder / place.package.name).read_bytes()
    assert place.call("preview").returncode == 2
    assert (folder / place.package.name).read_bytes() == before


def test_only_a_package_is_delivered(place: Place) -> None:
    place.package.parent.mkdir()
    (place.folder / "lms").mkdir()
    for content in (b"<!doctype html>", place.database.read_bytes()):
        place.package.write_bytes(content)
        done = CliRunner().invoke(main, ["deliver", "--package", str(place.package), "--to", str(place.folder / "lms")])
        assert (done.exit_code, "is no package of connect" in done.stderr) == (5, True)
    assert not list((place.folder / "lms").iterdir())
