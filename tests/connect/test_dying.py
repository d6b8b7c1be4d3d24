"""A publish that is killed, or that finds files missing or restored, never writes a wrong delta."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from coursera_connect.errors import DeliveryError
from coursera_connect.publish import publish, record
from tests.connect.college import published
from tests.connect.test_delta import Received, in_the_way, modes

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def college(tmp_path: Path) -> Received:
    published(tmp_path, mode="delta")
    return Received(tmp_path, build=False)


def rename(college: Received, name: str) -> None:
    college.sql(f"update users set \"familyName\" = '{name}' where \"sourcedId\" = 'a7'")


def killed(college: Received, at: Callable[[Callable[[], None]], None], **settings: Any) -> None:
    """Publish a delta in a child process, which kills itself by SIGKILL at the place that `at` patches."""
    child = os.fork()
    if not child:
        try:
            at(lambda: os.kill(os.getpid(), signal.SIGKILL))
            college.publish(mode="delta", **settings)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it was to die"


def before_the_commit(die: Callable[[], None]) -> None:
    record.record = lambda *_: die()


def before_the_rename(die: Callable[[], None]) -> None:
    replace = Path.replace
    Path.replace = lambda self, to: die() if Path(to).suffix == ".zip" else replace(self, to)  # type: ignore[method-assign,assignment,return-value]


def before_it_is_noted(die: Callable[[], None]) -> None:
    record.settle = lambda *_: die()


def before_the_report(die: Callable[[], None]) -> None:
    publish.end = lambda *_: die()  # type: ignore[assignment]


@pytest.mark.parametrize("point", [before_the_commit, before_the_rename, before_it_is_noted, before_the_report])
def test_wherever_a_publish_is_killed_the_next_package_makes_the_reader_right(
    college: Received, point: Callable[[Callable[[], None]], None]
) -> None:
    college.sql("insert into categories values ('brief', null, null, 'Brief')")
    rename(college, "New")
    killed(college, point)
    college.reader.apply(college.package)  # The package is the old one or the new one.
    college.sql("delete from categories where \"sourcedId\" = 'brief'")
    college.night(allow_removals=True)
    assert college.reader.tables == college.truth()
    rename(college, "Newer")
    assert college.night()["mode"] == "delta"
    assert college.reader.tables == college.truth()


def test_a_restored_warehouse_is_found_out_although_its_run_numbers_have_caught_up(
    college: Received, tmp_path: Path
) -> None:
    saved = shutil.copy(college.database, tmp_path / "saved.duckdb")
    rename(college, "New")
    assert college.night()["run"] == 2
    shutil.copy(saved, college.database)
    assert college.publish(mode="delta", blackout="2000-01-01..2100-01-01")["run"] == 2
    again = college.night()
    assert (again["run"], again["mode"]) == (3, "bulk")
    assert college.reader.tables == college.truth()


def test_a_restored_warehouse_stays_so_until_a_bulk_file_has_reached_the_reader(
    college: Received, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    college.publish(delivery=f"{there}/")
    saved = shutil.copy(college.database, tmp_path / "saved.duckdb")
    rename(college, "New")
    assert college.publish(mode="delta", delivery=f"{there}/")["mode"] == "delta"
    shutil.copy(saved, college.database)
    with in_the_way(there / "oneroster.zip"), pytest.raises(DeliveryError):
        college.publish(mode="delta", delivery=f"{there}/")
    assert college.publish(mode="delta", delivery=f"{there}/")["mode"] == "bulk"
    assert college.publish(mode="delta", delivery=f"{there}/")["mode"] == "delta"


def test_a_publish_killed_before_its_report_and_then_a_restored_warehouse_are_a_bulk_file(
    college: Received, tmp_path: Path
) -> None:
    saved = shutil.copy(college.database, tmp_path / "saved.duckdb")
    rename(college, "New")
    killed(college, before_the_report)
    college.reader.apply(college.package)
    shutil.copy(saved, college.database)
    rename(college, "Zed")
    assert college.night()["mode"] == "bulk"
    assert college.reader.tables == college.truth()


def test_a_receiver_who_has_seen_nothing_gets_a_bulk_file_first(college: Received, tmp_path: Path) -> None:
    first, second = (f"{tmp_path / name}/" for name in ("first", "second"))
    for there in (first, second):
        Path(there).mkdir()
    for there, mode in ((first, "bulk"), (first, "delta"), (second, "bulk"), (first, "bulk"), ("", "bulk")):
        assert (college.publish(mode="delta", delivery=there)["mode"], there) == (mode, there)


def test_a_delivery_that_nobody_noted_leaves_no_orphan_at_the_reader(college: Received, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    college.publish(delivery=f"{there}/")
    college.sql("insert into categories values ('brief', null, null, 'Brief')")
    with in_the_way(there / "oneroster.zip"), pytest.raises(DeliveryError):
        college.publish(mode="delta", delivery=f"{there}/")
    college.reader.apply(college.package)  # The package was brought by hand or with `connect deliver`.
    college.sql("delete from categories where \"sourcedId\" = 'brief'")
    college.publish(mode="delta", delivery=f"{there}/", allow_removals=True)
    college.reader.apply(there / "oneroster.zip")
    assert college.reader.tables == college.truth()


def test_a_doubtful_package_of_another_shape_is_followed_by_a_bulk_file(college: Received) -> None:
    killed(college, before_it_is_noted, exclude=("users.email",))
    college.reader.apply(college.package)
    assert college.night()["mode"] == "bulk"
    assert college.reader.tables == college.truth()


def test_a_deleted_report_and_a_second_warehouse_are_a_bulk_file_and_a_deleted_package_is_not(
    college: Received, tmp_path: Path
) -> None:
    college.package.unlink()  # Some readers remove the package after importing it.
    rename(college, "New")
    assert college.night()["mode"] == "delta"
    college.package.with_name("publish-report.json").unlink()
    assert college.night()["mode"] == "bulk"
    (tmp_path / "other").mkdir()
    other = Received(tmp_path / "other")
    assert other.publish(mode="delta", package=college.package)["mode"] == "bulk"
    assert college.night()["mode"] == "bulk"
    assert college.reader.tables == college.truth()


def test_a_restored_warehouse_replaces_no_package_of_newer_data_unless_that_is_wanted(
    college: Received, tmp_path: Path
) -> None:
    saved = shutil.copy(college.database, tmp_path / "saved.duckdb")
    for day in (3, 4):  # two nights
        college.newer(day)
        rename(college, f"Night{day}")
        college.publish(mode="bulk")
    newest = college.package.read_bytes()
    shutil.copy(saved, college.database)
    for _ in range(2):
        done = college.call("publish")
        assert (done.returncode, college.package.read_bytes()) == (6, newest)
        why = (
            "the package here (run 3) was made from Coursera's reports of 2026-02-04T04:00:00Z, and the warehouse has "
            "those of 2026-02-02T04:00:00Z"
        )
        assert why in done.stderr
        assert "If that is right, once: connect publish --allow-older-data" in done.stderr
        assert (college.report()["outcome"], college.report()["why"][: len(why)]) == ("blocked", why)
    shutil.copy(college.database, tmp_path / "again.duckdb")
    done = college.call("publish", "--allow-older-data")
    assert (done.returncode, "was restored from an older copy: its last publish is run 1" in done.stdout) == (0, True)
    assert (college.report()["run"], college.package.read_bytes() == newest) == (6, False)
    assert college.report()["allowed"][0]["reason"].endswith("; --allow-older-data was given")
    shutil.copy(tmp_path / "again.duckdb", college.database)
    college.newer(5)  # The reports were loaded again into the restored file.
    rename(college, "Night5")
    assert college.publish()["outcome"] == "published"


def test_a_roster_that_was_read_earlier_is_older_too(college: Received, tmp_path: Path) -> None:
    college.sql("create table connect.freshness as select timestamptz '2026-02-02 06:00:00+00' as read_at")
    college.publish()
    saved = shutil.copy(college.database, tmp_path / "saved.duckdb")
    college.sql("update connect.freshness set read_at = '2026-02-03 06:00:00+00'")
    rename(college, "New")
    assert college.publish()["outcome"] == "published"
    # The time in the ledger may become older.
    college.sql("update connect.freshness set read_at = '2026-02-02 09:00:00+00'")
    rename(college, "Newer")
    assert college.publish()["outcome"] == "published"
    shutil.copy(saved, college.database)
    report = college.publish()
    assert report["outcome"] == "blocked"
    assert "was read at 2026-02-02T09:00:00Z, and the warehouse has those of 2026-02-02T06:00:00Z" in report["why"]


@pytest.mark.parametrize(
    ("table", "lost"),
    [
        ("users", "drop table ledger.users"),
        ("enrollments", "delete from ledger.enrollments"),
        ("users", "delete from ledger.users where \"sourcedId\" like '%7'"),
    ],
)
def test_a_ledger_that_is_not_whole_means_a_bulk_file_said_and_no_lost_tombstone(
    college: Received, table: str, lost: str
) -> None:
    college.sql(lost)
    for file, column in (("results", "studentSourcedId"), ("enrollments", "userSourcedId"), ("users", "sourcedId")):
        college.sql(f"delete from \"{file}\" where \"{column}\" in ('a7', 'b7')")
    report = college.night(allow_removals=True)
    assert report["mode"] == "bulk"
    assert report["warnings"][0].startswith(f"A bulk file instead of a delta: the ledger is not whole, ledger.{table} ")
    assert college.reader.tables == college.truth()
    rename(college, "New")
    assert (college.night()["mode"], college.reader.tables == college.truth()) == ("delta", True)


def test_a_ledger_without_its_runs_goes_on_with_higher_numbers_and_one_without_its_name_gets_it_back(
    college: Received,
) -> None:
    (name,) = college.ask("select ledger_id from ledger.identity")
    for lost in ("drop table ledger.identity", "delete from ledger.identity"):
        college.sql(lost)
        rename(college, lost)
        report = college.night()
        assert (report["mode"], report["warnings"], college.ask("select ledger_id from ledger.identity")) == (
            "delta",
            [],
            [name],
        )
    college.sql("drop table ledger.runs")
    report = college.night()
    assert (report["run"], report["mode"]) == (4, "bulk")
    assert report["warnings"][0] == "A bulk file instead of a delta: the ledger has lost its runs."
    assert college.night()["mode"] == "delta"
    assert college.reader.tables == college.truth()
    for table in ("held", "sizes", "counts", "problems", "blocked", "allowed", "agreements"):
        college.sql(f"drop table ledger.{table}")
    report = college.night()
    assert (report["mode"], "ledger.sizes has lost what it said of run 5" in report["warnings"][0]) == ("bulk", True)
    assert college.night()["mode"] == "delta"


def test_a_deleted_report_is_not_called_a_lost_warehouse(college: Received) -> None:
    college.package.with_name("publish-report.json").unlink()
    (warning,) = college.night()["warnings"]
    assert warning == (
        "A bulk file instead of a delta: publish-report.json beside the package is gone, which tells what the reader "
        "has seen."
    )


def test_a_table_or_a_column_that_is_no_longer_there_leaves_the_reader_too(college: Received) -> None:
    college.sql("drop table results")
    report = college.night(allow_removals=True)
    assert modes(report) == {"results": ("delta", 60)}
    assert not college.reader.tables["results"]
    college.sql("alter table users add column \"metadata.shelf\" text default 'x'")
    assert college.night()["mode"] == "bulk"
    college.sql('alter table users drop column "metadata.shelf"')
    assert college.night()["mode"] == "bulk"
    assert college.reader.tables == {**college.truth(), "results": {}}


def test_a_ledger_of_an_earlier_release_gets_the_columns_it_lacks(college: Received) -> None:
    college.sql("alter table ledger.runs drop column seal")
    assert college.night()["mode"] == "bulk"
    assert college.night()["mode"] == "delta"
