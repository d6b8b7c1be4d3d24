# ruff: noqa: E501 - statements as one would type them
"""What a publish reports: one JSON object whatever happened, the summary of each outcome, and the history of rows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from coursera_connect.cli.main import main
from coursera_connect.warehouse import warehouse
from tests.connect.college import published

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from tests.connect.college import College


@pytest.fixture
def college(tmp_path: Path) -> College:
    return published(tmp_path)


def call(college: College, *arguments: str) -> Result:
    """Run a command in this process, as from a pipe."""
    if arguments[0] == "history":
        return CliRunner().invoke(main, ["history", "--database", str(college.database), *arguments[1:]])
    return CliRunner().invoke(main, college.command(*arguments)[3:])


def block(college: College) -> None:
    college.sql("delete from results where \"studentSourcedId\" like 'b%'", "delete from enrollments where \"userSourcedId\" like 'b%'",
                "delete from users where \"sourcedId\" like 'b%'")  # fmt: skip


def test_however_a_publish_ends_there_is_one_json_object_a_report_a_page_and_a_true_summary(
    college: College, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "there" / college.package.name
    in_the_way.mkdir(parents=True)
    days = "2000-01-01..2100-01-01"
    for outcome, code, said, arguments in (
        ("unchanged", 0, "unchanged since", ()),
        ("skipped", 0, "was skipped; the last good package stays", ("--blackout", days)),
        ("undelivered", 5, "not its receiver", ("--to", f"{in_the_way.parent}/")),
        ("failed", 2, "failed; the last good", ("--profile", "nobody")),
        ("failed", 7, "The consent to share", ("--consent-until", "2020-01-01")),
        ("failed", 3, "failed; the last good", ("--schema", "nowhere")),
        ("blocked", 6, "was blocked by a guard; the last good", ()),
    ):
        if outcome == "blocked":
            block(college)
        done = call(college, "publish", "--json", *arguments)
        told = json.loads(done.stdout)
        assert (done.exit_code, told["outcome"], arguments) == (code, outcome, arguments)
        assert college.report()["outcome"] == outcome
        assert (
            f": {outcome}\n" in college.package.with_name("publish-report.md").read_text().splitlines(keepends=True)[0]
        )
        assert said in call(college, "summary").stdout
        assert "Traceback" not in done.stderr
    assert "of School B: 20 of 20 rows would leave" in call(college, "summary").stdout
    listed = [(run["outcome"], run["blocked"]) for run in json.loads(call(college, "history", "--json").stdout)["runs"]]
    assert listed[0] == ("blocked", 60)
    assert [outcome for outcome, _ in listed[-4:]] == ["undelivered", "skipped", "unchanged", "published"]


def test_a_preview_and_an_option_that_cannot_be_used_are_told_in_json_too(college: College) -> None:
    done = call(college, "preview", "--json", "--schema", "nowhere")
    assert (done.exit_code, json.loads(done.stdout)["outcome"]) == (3, "failed")
    done = call(college, "publish", "--json", "--driver-options", "[")
    assert (done.exit_code, json.loads(done.stdout)["published"]) == (2, False)


def test_history_takes_ids_as_they_are_written_and_shows_names_that_look_like_markup(college: College) -> None:
    college.sql(
        "update orgs set name = 'School [/b] [B' where \"sourcedId\" = 'b'",
        "insert into categories values ('Ab', null, null, 'One'), ('aC', null, null, 'Two'), ('ac', null, null, 'Three')",
        "delete from categories where \"sourcedId\" = 'ac'",
        'update enrollments set "classSourcedId" = \'ka1\', "sourcedId" = "sourcedId" where "sourcedId" = \'e.kb1.3\'',
        "update enrollments set \"schoolSourcedId\" = 'a' where \"sourcedId\" = 'e.kb1.3'",
        "delete from results where \"sourcedId\" = 'r.kb1.3'",
    )
    assert college.publish()["outcome"] == "published"
    shown = call(college, "history", "--json", "show", "2")
    assert json.loads(shown.stdout)["run"] == 2
    assert "School [/b] [B" in call(college, "history", "show", "2").stdout
    assert len(call(college, "history").stdout.splitlines()) == 3  # a heading and two runs, none folded
    events = json.loads(call(college, "history", "record", "b3", "--json").stdout)["events"]
    moved = next(event for event in events if event["run"] == 2 and event["file"] == "enrollments")
    assert (moved["what"], moved["fields"]["classSourcedId"]) == ("changed", ["kb1", "ka1"])
    assert "kb1 → ka1" in call(college, "history", "record", "B3@MAIL.example").stdout
    assert {
        event["sourced_id"] for event in json.loads(call(college, "history", "record", "aC", "--json").stdout)["events"]
    } == {"aC"}
    for arguments in (("show", "99"), ("record", "nobody"), ("show", "x")):
        done = call(college, "history", *arguments)
        assert (done.exit_code, done.stdout) == (2, "")


def test_the_ledger_counts_the_odd_rows_that_the_transforms_found(college: College) -> None:
    college.sql(
        "create table connect.quality (rule text, severity text, sentence text, entity text, program_id text, "
        "record_id text, how_many bigint)",
        "insert into connect.quality values ('rows-left-out', 'skip', '', 'item_grades', 'pa', null, 3), "
        "('rows-left-out', 'skip', '', 'item_grades', 'pb', null, 2), "
        "('unusable-value', 'repair', '', 'users', null, 'u1', 1)",
    )
    run = college.publish()["run"]
    odd = json.loads(call(college, "history", "--json", "show", str(run)).stdout)["odd_rows"]
    assert [(row["rule"], row["severity"], row["entity"], row["how_many"]) for row in odd] == [
        ("rows-left-out", "skip", "item_grades", 5),
        ("unusable-value", "repair", "users", 1),
    ]
    assert "skip: item_grades: rows-left-out (5)" in call(college, "history", "show", str(run)).stdout


def test_ids_that_are_addresses_stand_in_no_report(college: College) -> None:
    college.sql(
        'update users set "sourcedId" = "sourcedId" || \'@mail.example\'',
        'update enrollments set "userSourcedId" = "userSourcedId" || \'@mail.example\'',
        'update results set "studentSourcedId" = "studentSourcedId" || \'@mail.example\'',
    )
    college.publish(allow_removals=True)
    block(college)
    assert college.publish()["outcome"] == "blocked"
    written = [path.read_text() for path in college.package.parent.glob("publish-report.*")]
    written += [call(college, "publish", "--json").stdout, call(college, "preview", "--json").stdout]
    assert not [text for text in written if "mail.example" in text]


def test_ctrl_c_ends_with_130_and_without_a_traceback(college: College, monkeypatch: pytest.MonkeyPatch) -> None:
    before = college.package.read_bytes()
    stages = warehouse.Warehouse.transaction

    def interrupted(self: warehouse.Warehouse) -> Any:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        self.do("select count(*) from range(100000000000) where range % 7 = 3")
        return stages(self)

    college.sql("update users set \"familyName\" = 'New'")
    monkeypatch.setattr(warehouse.Warehouse, "transaction", interrupted)
    before_this = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # A loader of another test may have set its own handler.
    try:
        done = call(college, "publish")
    finally:
        signal.signal(signal.SIGINT, before_this)
    assert (done.exit_code, done.stderr) == (130, "Stopped.\n")
    assert college.package.read_bytes() == before
    assert not list(college.package.parent.glob("*partial*"))


def test_a_reader_of_the_database_stops_no_preview_and_is_waited_for_by_a_publish(college: College) -> None:
    code = f"import duckdb; c = duckdb.connect({str(college.database)!r}, read_only=True); print('open', flush=True); input()"
    reading = subprocess.Popen([college.command("x")[0], "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert reading.stdout is not None
    reading.stdout.readline()
    try:
        assert call(college, "preview").exit_code == 0
        done = call(college, "publish", "--wait", "0", "--json")
        assert (done.exit_code, json.loads(done.stdout)["outcome"]) == (3, "failed")
    finally:
        reading.communicate(b"\n")
    assert call(college, "publish").exit_code == 0
