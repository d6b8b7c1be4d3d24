"""A publish that is killed, or whose surroundings are not what they were: never a wrong delta, whatever was lost."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from coursera_connect.errors import DeliveryError
from coursera_connect.publishing import publish
from tests.connect.test_delta import Received, modes

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def college(tmp_path: Path) -> Received:
    made = Received(tmp_path)
    assert made.night()["mode"] == "bulk"
    return made


def rename(college: Received, name: str) -> None:
    college.sql(f"update users set \"familyName\" = '{name}' where \"sourcedId\" = 'a7'")


def killed(college: Received, at: Callable[[Callable[[], None]], None], **settings: Any) -> None:
    """Publish a delta in a child process that dies by SIGKILL, where `at` plants its end."""
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
    publish._Run._record = lambda *_: die()  # type: ignore[method-assign]


def before_the_rename(die: Callable[[], None]) -> None:
    replace = Path.replace
    Path.replace = lambda self, to: die() if Path(to).suffix == ".zip" else replace(self, to)  # type: ignore[method-assign,assignment,return-value]


def before_it_is_noted(die: Callable[[], None]) -> None:
    publish._Run._settle = lambda *_: die()  # type: ignore[method-assign]


def before_the_report(die: Callable[[], None]) -> None:
    publish._Run.end = lambda *_: die()  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize("point", [before_the_commit, before_the_rename, before_it_is_noted, before_the_report])
def test_wherever_a_publish_is_killed_the_next_package_makes_the_reader_right(
    college: Received, point: Callable[[Callable[[], None]], None]
) -> None:
    college.sql("insert into categories values ('brief', null, null, 'Brief')")
    rename(college, "New")
    killed(college, point)
    college.reader.import_package(college.package)  # the old one again, or the new one
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
    college.publish(delivery=f"{there}/")
    saved = shutil.copy(college.database, tmp_path / "saved.duckdb")
    rename(college, "New")
    assert college.publish(mode="delta", delivery=f"{there}/")["mode"] == "delta"
    shutil.copy(saved, college.database)
    shutil.move(there, tmp_path / "aside")
    there.write_text("in the way")
    with pytest.raises(DeliveryError):
        college.publish(mode="delta", delivery=f"{there}/")
    there.unlink()
    shutil.move(tmp_path / "aside", there)
    assert college.publish(mode="delta", delivery=f"{there}/")["mode"] == "bulk"
    assert college.publish(mode="delta", delivery=f"{there}/")["mode"] == "delta"


def test_a_publish_killed_before_its_report_and_then_a_restored_warehouse_are_a_bulk_file(
    college: Received, tmp_path: Path
) -> None:
    saved = shutil.copy(college.database, tmp_path / "saved.duckdb")
    rename(college, "New")
    killed(college, before_the_report)
    college.reader.import_package(college.package)
    shutil.copy(saved, college.database)
    rename(college, "Zed")
    assert college.night()["mode"] == "bulk"
    assert college.reader.tables == college.truth()


def test_a_receiver_who_has_seen_nothing_gets_a_bulk_file_first(college: Received, tmp_path: Path) -> None:
    first, second = (f"{tmp_path / name}/" for name in ("first", "second"))
    for there, mode in ((first, "bulk"), (first, "delta"), (second, "bulk"), (first, "bulk"), ("", "bulk")):
        assert (college.publish(mode="delta", delivery=there)["mode"], there) == (mode, there)


def test_a_delivery_that_nobody_noted_leaves_no_orphan_at_the_reader(college: Received, tmp_path: Path) -> None:
    there = tmp_path / "there"
    college.publish(delivery=f"{there}/")
    college.sql("insert into categories values ('brief', null, null, 'Brief')")
    shutil.move(there, tmp_path / "aside")
    there.write_text("in the way")
    with pytest.raises(DeliveryError):
        college.publish(mode="delta", delivery=f"{there}/")
    college.reader.import_package(college.package)  # brought by hand, or with `connect deliver`
    there.unlink()
    college.sql("delete from categories where \"sourcedId\" = 'brief'")
    college.publish(mode="delta", delivery=f"{there}/", allow_removals=True)
    college.reader.import_package(there / "oneroster.zip")
    assert college.reader.tables == college.truth()


def test_a_doubtful_package_of_another_shape_is_followed_by_a_bulk_file(college: Received) -> None:
    killed(college, before_it_is_noted, exclude=("users.email",))
    college.reader.import_package(college.package)
    assert college.night()["mode"] == "bulk"
    assert college.reader.tables == college.truth()


def test_a_deleted_report_and_a_second_warehouse_are_a_bulk_file_and_a_deleted_package_is_not(
    college: Received, tmp_path: Path
) -> None:
    college.package.unlink()  # as readers do that take it away
    rename(college, "New")
    assert college.night()["mode"] == "delta"
    college.package.with_name("publish-report.json").unlink()
    assert college.night()["mode"] == "bulk"
    (tmp_path / "other").mkdir()
    other = Received(tmp_path / "other")
    assert other.publish(mode="delta", package=college.package)["mode"] == "bulk"
    assert college.night()["mode"] == "bulk"
    assert college.reader.tables == college.truth()


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
