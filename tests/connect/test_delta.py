"""Delta files: a reader that imports each of them holds the rows of a bulk file, whatever happened in between."""

from __future__ import annotations

import shutil
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from coursera_connect.errors import DeliveryError, OutputError
from coursera_connect.publish.publish import preview
from coursera_connect.warehouse import warehouse
from coursera_connect.warehouse.history import runs
from oneroster_csv.replay import Replay
from tests.connect.college import College, published

if TYPE_CHECKING:
    from collections.abc import Iterator


def never(_what: str, _rows: int) -> None:
    """Do nothing, in place of the progress of a publish."""


@contextmanager
def in_the_way(file: Path) -> Iterator[None]:
    """Let deliveries fail within the block: a folder takes the name of the delivered file, restored afterwards."""
    aside = shutil.move(file, file.with_suffix(".aside"))
    file.mkdir()
    yield
    file.rmdir()
    shutil.move(aside, file)


class Received(College):
    """A college that publishes deltas, and the reader at the other end."""

    def __init__(self, folder: Path, *, build: bool = True) -> None:
        super().__init__(folder, build=build)
        self.reader = Replay()
        if self.package.exists():
            self.reader.apply(self.package)

    def night(self, **settings: Any) -> dict[str, Any]:
        """Publish a delta and import it."""
        report = self.publish(**{"mode": "delta", **settings})
        self.reader.apply(self.package)
        return report

    def truth(self) -> dict[str, Any]:
        """Return the rows that a new reader has after a bulk file of this moment."""
        preview(self.settings, never)
        fresh = Replay()
        fresh.apply(self.package.parent / "preview" / self.package.name)
        return fresh.tables


@pytest.fixture
def college(tmp_path: Path) -> Received:
    return Received(tmp_path)


@pytest.fixture
def after_a_night(tmp_path: Path) -> Received:
    """Return a college of which the reader has imported one package."""
    published(tmp_path, mode="delta")
    return Received(tmp_path, build=False)


def modes(report: dict[str, Any]) -> dict[str, tuple[str, int]]:
    return {file: (part["mode"], part["rows"]) for file, part in report["files"].items() if part["mode"] != "absent"}


def test_the_first_file_is_bulk_and_then_only_what_changed_travels(college: Received) -> None:
    first = college.night()
    assert (first["mode"], college.reader.tables) == ("bulk", college.truth())
    college.sql(
        "update users set \"familyName\" = 'New' where \"sourcedId\" = 'a7'",
        "delete from results where \"studentSourcedId\" = 'b3'",
        "delete from enrollments where \"userSourcedId\" = 'b3'",
        "delete from users where \"sourcedId\" = 'b3'",
        "insert into users select 'b99', * exclude (\"sourcedId\") replace ('b99' as username, 'x@y.example' as email) "
        "from users where \"sourcedId\" = 'b4'",
    )
    report = college.night()
    assert modes(report) == {"users": ("delta", 3), "enrollments": ("delta", 1), "results": ("delta", 1)}
    rows = {row[0]: row for row in college.csv("users")[1:]}
    assert {key: row[1] for key, row in rows.items()} == {"a7": "active", "b99": "active", "b3": "tobedeleted"}
    assert {row[2] for row in rows.values()} == {report["started_at"].replace("Z", ".000Z")}
    assert rows["b3"][6] == "b3"  # The user name is filled, because a row that is to be deleted is a whole row.
    assert college.reader.tables == college.truth()


def test_a_large_warehouse_is_published_as_a_small_one_is(
    college: Received, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "large").mkdir()
    large = Received(tmp_path / "large")
    told = []
    for kind, small_bytes in ((college, warehouse.SMALL_BYTES), (large, 0)):
        monkeypatch.setattr(warehouse, "SMALL_BYTES", small_bytes)
        kind.night()
        kind.sql("update users set \"familyName\" = 'New' where \"sourcedId\" = 'a7'")
        kind.lose("results", "\"sourcedId\" = 'r.kb1.3'")  # which is held
        report = kind.night()
        told.append([modes(report), report["held"][0]["sourced_id"], kind.reader.tables])
    assert told[0] == told[1]
    assert told[0][:2] == [{"users": ("delta", 1)}, "r.kb1.3"]


def test_an_unchanged_night_is_a_manifest_and_the_next_one_the_same_bytes(after_a_night: Received) -> None:
    college = after_a_night
    college.night()
    with zipfile.ZipFile(college.package) as archive:
        assert archive.namelist() == ["manifest.csv"]
    before = college.package.read_bytes()
    assert college.night()["outcome"] == "unchanged"
    assert college.package.read_bytes() == before


def test_a_row_that_returns_revives_under_its_id(after_a_night: Received) -> None:
    college = after_a_night
    college.lose("results", "\"sourcedId\" = 'r.kb1.3'")
    college.night(allow_removals=True)
    assert "r.kb1.3" not in college.reader.tables["results"]
    college.find("results")
    college.night()
    assert college.csv("results")[1][:2] == ["r.kb1.3", "active"]
    assert college.reader.tables == college.truth()


def test_what_was_not_delivered_is_in_the_next_delta_and_what_came_and_went_is_deleted_in_case_it_was_seen(
    college: Received, tmp_path: Path
) -> None:
    place = tmp_path / "there"
    place.mkdir()
    college.night(delivery=f"{place}/")
    college.sql(
        "update users set \"familyName\" = 'New' where \"sourcedId\" = 'a7'",
        "insert into categories values ('brief', null, null, 'Brief')",
    )
    with in_the_way(place / "oneroster.zip"), pytest.raises(DeliveryError):
        college.publish(mode="delta", delivery=f"{place}/")
    assert college.report()["outcome"] == "undelivered"
    college.sql(
        "delete from categories where \"sourcedId\" = 'brief'",
        "update users set \"familyName\" = 'Newer' where \"sourcedId\" = 'a8'",
    )
    report = college.publish(mode="delta", delivery=f"{place}/", allow_removals=True)
    assert modes(report) == {"users": ("delta", 2), "categories": ("delta", 1)}
    college.reader.apply(place / "oneroster.zip")
    assert college.reader.tables == college.truth()
    assert {row[2] for row in college.csv("users")[1:]} == {
        run.replace("Z", ".000Z") for run in (report["started_at"], _second_run(college))
    }


def _second_run(college: Received) -> str:
    return str(next(run["started_at"] for run in runs(college.database, 5, 9) if run["run"] == 2))


def test_a_publish_that_dies_between_ledger_and_file_leaves_its_changes_to_the_next(
    after_a_night: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    college = after_a_night
    college.sql("update users set \"familyName\" = 'New' where \"sourcedId\" = 'a7'")
    replace = Path.replace

    def dies(self: Path, target: Path) -> Path:
        if target == college.package:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", dies)
        with pytest.raises(OutputError):
            college.publish(mode="delta")
    assert modes(college.night()) == {"users": ("delta", 1)}
    assert college.reader.tables == college.truth()


def test_a_warehouse_that_was_lost_or_restored_gives_a_bulk_file(after_a_night: Received, tmp_path: Path) -> None:
    college = after_a_night
    saved = shutil.copy(college.database, tmp_path / "saved.duckdb")
    college.sql("update users set \"familyName\" = 'New' where \"sourcedId\" = 'a7'")
    assert college.night()["mode"] == "delta"
    shutil.copy(saved, college.database)  # The ledger is restored: the reader has seen more than the ledger remembers.
    restored = college.night()
    assert (restored["mode"], "restored" in restored["warnings"][0]) == ("bulk", True)
    assert "rows are missing that no usual run brings" in restored["warnings"][1]
    assert college.reader.tables == college.truth()
    after = college.night()
    assert (after["mode"], after["warnings"]) == ("delta", [])
    college.sql("delete from results where \"sourcedId\" = 'r.kb1.3'", "drop schema ledger cascade")  # lost
    lost = college.night()
    assert (lost["mode"], "rows are missing" in lost["warnings"][1]) == ("bulk", True)
    assert college.reader.tables == college.truth()


def test_other_excluded_attributes_are_a_bulk_file(after_a_night: Received) -> None:
    college = after_a_night
    assert college.night(exclude=("users.email",))["mode"] == "bulk"
    assert college.night(exclude=("users.email",))["mode"] == "delta"
