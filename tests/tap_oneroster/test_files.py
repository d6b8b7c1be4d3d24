"""Every row and every cell of a package arrives, with its type; and a package that was read before sends nothing."""

from __future__ import annotations

import os
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from oneroster_csv import binding
from target_duckdb.target import TargetDuckDB
from tests.oneroster_csv.packages import ORDER, Package
from tests.tap_oneroster.reading import CORE, core, read

if TYPE_CHECKING:
    from pathlib import Path


def text(value: Any) -> str:
    """Write a value as the cell that it came from."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(f"{{{one['name']}:{one['value']}}}" if isinstance(one, dict) else one for one in value)
    return str(value)


def delta(day: int, *, only: tuple[str, ...] = CORE, version: str = "1.1") -> Package:
    made = Package(version, "delta")
    made.absent(*(file for file in made.rows if file not in only))
    for rows in made.rows.values():
        for row in rows:
            row["dateLastModified"] = f"2026-02-0{day}T00:00:00.000Z"
    return made


def aged(path: Path, minutes: int) -> Path:
    os.utime(path, (1_700_000_000 + 60 * minutes,) * 2)
    return path


@pytest.mark.parametrize("mode", ["bulk", "delta"])
@pytest.mark.parametrize("version", binding.VERSIONS)
def test_every_cell_of_every_file_arrives(tmp_path: Path, version: str, mode: str) -> None:
    made = Package(version) if mode == "bulk" else delta(1, only=(*ORDER[version].split(),), version=version)
    made.headers["users"].append("metadata.house")
    made.put("users", "u1", **{"metadata.house": 'Gryff, "indor"'})
    sent = read(made.write(tmp_path / "p.zip"))
    for file in ORDER[version].split():
        arrived = [{name: text(value) for name, value in record.items()} for record in sent.records(file)]
        wanted = [{name: row.get(name, "") for name in made.headers[file]} for row in made.rows[file]]
        assert arrived == wanted, file
        last = ["ACTIVATE_VERSION"] if mode == "bulk" else []
        assert sent.kinds(file) == ["SCHEMA", "RECORD", *last], file


def test_values_have_the_types_of_the_standard(tmp_path: Path) -> None:
    made = core("1.2")
    made.put("results", "r1", score="92.500")
    sent = read(made.write(tmp_path / "p.zip"))
    user, session = sent.records("users")[0], sent.records("academicSessions")[0]
    assert (user["enabledUser"], user["userIds"]) == (True, [{"name": "Coursera", "value": "x"}])
    assert isinstance(session["schoolYear"], int)
    assert str(next(row for row in sent.records("results") if row["sourcedId"] == "r1")["score"]) == "92.500"
    assert isinstance(sent.records("classes")[0]["termSourcedIds"], list)


def test_a_package_that_was_read_sends_nothing_until_it_changes_or_is_asked_for(tmp_path: Path) -> None:
    made = core()
    path = made.write(tmp_path / "p.zip")
    first = read(path)
    again = read(path, first.state)
    assert (again.rows, {m["type"] for m in again.messages}) == (0, {"SCHEMA", "STATE"})
    assert again.state == first.state
    assert read(path, first.state, reread=True).rows == first.rows
    made.delete("results", "r2")
    made.write(path)
    changed = read(path, first.state)
    assert changed.rows == first.rows - 2  # the result, and its score
    assert changed.state["bookmarks"]["users"]["version"] > first.state["bookmarks"]["users"]["version"]


def test_a_folder_of_files_is_a_package(tmp_path: Path) -> None:
    path = core().write(tmp_path / "p.zip")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "folder")
    zipped, plain = read(path), read(tmp_path / "folder")
    assert [plain.records(file) for file in CORE] == [zipped.records(file) for file in CORE]
    assert read(tmp_path / "folder", plain.state).rows == 0
    (tmp_path / "folder/users.csv").write_bytes((tmp_path / "folder/users.csv").read_bytes().replace(b"Ada", b"Eva"))
    assert {row["givenName"] for row in read(tmp_path / "folder", plain.state).records("users")} >= {"Eva"}


def test_of_a_folder_of_packages_the_newest_complete_one_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = core(), core()
    new.put("users", "u1", givenName="Eva")
    aged(new.write(tmp_path / "a.zip"), 2)
    aged(old.write(tmp_path / "b.zip"), 1)
    aged(old.write(tmp_path / ".c.zip"), 3)
    assert read(tmp_path).records("users")[0]["givenName"] == "Eva"
    (tmp_path / "d.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:-500])
    aged(tmp_path / "d.zip", 4)
    assert read(tmp_path).records("users")[0]["givenName"] == "Eva"
    assert "d.zip is no complete zip yet" in caplog.text


def test_deltas_are_read_from_the_last_complete_package_on_and_later_only_the_new_ones(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    before = core()
    before.put("users", "u3", givenName="Old")
    aged(before.write(folder / "0.zip"), 0)
    aged(core().write(folder / "1.zip"), 1)

    def write(day: int, score: str) -> None:
        made = delta(day, only=("results",))
        made.delete("results", "r2")
        made.put("results", "r1", score=score)
        aged(made.write(folder / f"{day}.zip"), day)

    write(2, "10")
    first = read(folder)
    assert [str(row["score"]) for row in first.records("results") if row["sourcedId"] == "r1"] == ["92.50", "10"]
    assert [row["givenName"] for row in first.records("users")] == ["Ada", "Zoë", "Ada"]  # once, as of 1.zip
    write(3, "20")
    write(4, "30")
    second = read(folder, first.state)
    assert [str(row["score"]) for row in second.records("results")] == ["20", "30"]
    assert second.records("users") == []
    assert second.kinds("results") == ["SCHEMA", "RECORD"]
    held = {row["id"]: row for row in second.records("scores")}  # all of them, as they are now
    assert (str(held["r1"]["score"]), held["r1"]["email"], len(held)) == ("30", "u1@example.org", 2)
    assert held["r1"]["changed_at"] == "2026-02-04T00:00:00.000Z"
    versions = {m.get("version") for m in second.messages if m["type"] == "RECORD" and m["stream"] == "results"}
    assert versions == {first.state["bookmarks"]["results"]["version"]}  # or the next bulk file would find them gone


@pytest.mark.slow
def test_rows_that_left_a_bulk_file_are_marked_in_a_real_warehouse(tmp_path: Path) -> None:
    database = tmp_path / "w.duckdb"
    made, state = core(), None
    for _ in range(2):
        sent = read(made.write(tmp_path / "p.zip"), state)
        target = TargetDuckDB(config={"filepath": str(database), "add_record_metadata": True})
        (tmp_path / "messages").write_text(sent.text)
        with (tmp_path / "messages").open() as messages:
            target.listen(messages)
        state = sent.state
        made.delete("results", "r2")
    with duckdb.connect(str(database)) as connection:
        found = connection.execute('select "sourcedId", _sdc_deleted_at is null from results order by 1').fetchall()
        columns = connection.execute(
            "select data_type from duckdb_columns() where column_name = 'startDate'"
        ).fetchone()
    assert dict(found) == {row: row != "r2" for row in ("r1", "r2")}
    assert columns == ("DATE",)


def test_nothing_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    read(core().write(tmp_path / "p.zip"))
    assert list((tmp_path / "tmp").iterdir()) == []
    shutil.rmtree(tmp_path / "tmp")
