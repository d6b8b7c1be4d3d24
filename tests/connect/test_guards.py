"""A bad day upstream: which rows are held, what blocks a publish, and what ends both."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import duckdb
import pytest
from click.testing import CliRunner

from coursera_connect.cli.main import main
from coursera_connect.publish.publish import preview
from coursera_connect.warehouse import ledger
from tests.connect.college import published

if TYPE_CHECKING:
    from pathlib import Path

    from tests.connect.college import College


@pytest.fixture
def college(tmp_path: Path) -> College:
    return published(tmp_path)


def drops(report: dict) -> set[tuple[str, str, int]]:  # type: ignore[type-arg]
    return {(drop["file"], drop["school"], drop["removed"]) for drop in report["blocked"]}


def test_more_than_the_threshold_blocks_keeps_the_file_names_the_rows_and_can_be_allowed_once(college: College) -> None:
    before = sha256(college.package.read_bytes()).hexdigest()
    gone = "\"userSourcedId\" in ('a0', 'a1', 'a2', 'a3')"
    college.lose("results", "\"studentSourcedId\" in ('a0', 'a1', 'a2', 'a3')")
    college.lose("enrollments", gone)
    college.lose("users", "\"sourcedId\" in ('a0', 'a1', 'a2', 'a3')")
    done = college.call("publish")
    assert done.returncode == 6
    assert "results of School: 8 of 40 rows would leave (20%)." in done.stderr
    assert sha256(college.package.read_bytes()).hexdigest() == before
    report = college.report()
    # Four users of twenty are 20 %, but fewer than five rows.
    assert drops(report) == {("enrollments", "a", 8), ("results", "a", 8)}
    assert report["blocked"][0]["sourced_ids"][0] == "e.ka1.0"
    assert college.publish()["outcome"] == "blocked"
    assert college.publish(allow_removals=True)["outcome"] == "published"
    assert college.ids("users") == {f"a{i}" for i in range(4, 20)} | {f"b{i}" for i in range(20)}
    assert college.publish()["outcome"] == "unchanged"


def test_nothing_left_of_a_file_in_a_school_always_blocks_however_few_there_were(college: College) -> None:
    college.sql(
        "delete from results where \"lineItemSourcedId\" = 'l.kb1'",
        'delete from "lineItems" where "sourcedId" = \'l.kb1\'',
    )
    report = college.publish(removal_threshold=100, allow_removals=False)
    held = {(row["file"], row["sourced_id"]) for row in report["held"]}
    assert ("lineItems", "l.kb1") in held  # The held results refer to this line item.
    college.newer(3)
    left = {("results", "b", 20), ("lineItems", "b", 1), ("categories", "b", 1)}
    assert drops(college.publish(removal_threshold=100)) == left


def test_fewer_rows_leave_without_a_word(college: College) -> None:
    for file, column in (("results", "studentSourcedId"), ("enrollments", "userSourcedId"), ("users", "sourcedId")):
        college.sql(f'delete from "{file}" where "{column}" = \'b3\'')
    report = college.publish()
    assert (report["outcome"], report["held"]) == ("published", [])
    assert "b3" not in college.ids("users")


def test_what_vanishes_while_its_learner_is_a_member_is_held_until_newer_data_says_so_again(college: College) -> None:
    college.lose("results", "\"studentSourcedId\" = 'a7'")
    college.lose("enrollments", "\"userSourcedId\" = 'a7'")
    for _ in range(2):  # the same night, a second time
        report = college.publish()
        assert {row["sourced_id"] for row in report["held"]} == {"e.ka1.7", "e.ka2.7", "r.ka1.7", "r.ka2.7"}
        assert report["outcome"] == "unchanged"
    college.newer(3)
    assert (college.publish()["held"], "e.ka1.7" in college.ids("enrollments")) == ([], False)
    college.find("results")
    college.find("enrollments")
    assert "e.ka1.7" in (college.publish(), college.ids("enrollments"))[1]
    college.lose("enrollments", "\"userSourcedId\" = 'a7'")
    college.lose("results", "\"studentSourcedId\" = 'a7'")
    assert len(college.publish()["held"]) == 4  # A second dip is held like the first one.


def test_a_class_that_vanishes_with_its_learners_enrolled_is_held_with_all_it_needs(college: College) -> None:
    before = college.package.read_bytes()
    for file in ("results", "lineItems", "enrollments", "classes", "courses", "categories"):
        college.lose(file, "true")
    report = college.publish()
    assert report["outcome"] == "unchanged"
    assert {row["file"] for row in report["held"]} == {
        *("results", "lineItems", "enrollments"),
        *("classes", "courses", "categories"),
    }
    assert college.package.read_bytes() == before
    college.newer(3)
    assert college.publish()["outcome"] == "blocked"


@pytest.mark.parametrize("score", ["0.00", ""])
def test_a_score_that_falls_to_nothing_is_held_for_one_run(college: College, score: str) -> None:
    college.sql(f"update results set score = '{score}', \"scoreDate\" = '2026-02-02' where \"sourcedId\" = 'r.ka1.7'")
    report = college.publish()
    assert [(row["sourced_id"], row["reason"]) for row in report["held"]] == [("r.ka1.7", "the score fell to nothing")]
    assert report["outcome"] == "unchanged"
    college.newer(3)
    report = college.publish()
    assert report["held"] == []
    assert report["outcome"] == ("published" if score else "refused")  # 1.1 knows no result without a score


def test_somebody_who_left_the_school_is_not_held_back(college: College) -> None:
    college.sql(
        "delete from results where \"studentSourcedId\" = 'a7'",
        "delete from enrollments where \"userSourcedId\" = 'a7'",
        "update users set \"orgSourcedIds\" = 'b' where \"sourcedId\" = 'a7'",
    )
    assert college.publish()["held"] == []


def test_other_settings_hold_nothing_since_ids_may_change_on_purpose(college: College) -> None:
    college.lose("results", "\"studentSourcedId\" = 'a7'")
    college.sql("alter table connect.settings_used add column id_style text")
    college.say(id_style="hash", grade_sync="final", data_as_of="2026-02-02T04:00:00Z")
    assert (college.publish()["held"], "r.ka1.7" in college.ids("results")) == ([], False)


def test_an_agreed_school_may_leave_and_no_other(college: College) -> None:
    for file, column in (
        ("results", "studentSourcedId"),
        ("enrollments", "schoolSourcedId"),
        ("lineItems", "classSourcedId"),
        ("classes", "schoolSourcedId"),
        ("users", "orgSourcedIds"),
        ("orgs", "sourcedId"),
    ):
        college.sql(f'delete from "{file}" where "{column}" ~ \'k?b.*\'')
    assert {school for _, school, _ in drops(college.publish())} == {"b"}
    ledger.agree(college.database, 5, "school", "a", {})
    assert college.publish()["outcome"] == "blocked"
    ledger.agree(college.database, 5, "school", "b", {"classes": 1})
    assert college.publish()["outcome"] == "published"
    with duckdb.connect(str(college.database)) as database:
        used = database.execute("select subject, used_by_run is not null from ledger.agreements order by 1").fetchall()
    assert used == [("a", False), ("b", True)]


def test_another_grade_sync_needs_its_named_step(college: College) -> None:
    college.say(grade_sync="granular_all", data_as_of="2026-02-02T04:00:00Z")
    college.sql('update "lineItems" set "sourcedId" = \'item.\' || "sourcedId"', "delete from results")
    report = college.publish()
    assert report["outcome"] == "blocked"
    assert "connect grades change granular_all --save" in report["blocked"][0]["reason"]
    ledger.agree(college.database, 5, "grade_sync", "granular_all", {})
    assert college.publish()["outcome"] == "published"
    assert college.ids("results") == set()


def test_a_preview_shows_what_would_change_and_changes_nothing(college: College) -> None:
    college.sql(
        "update users set \"familyName\" = 'New' where \"sourcedId\" = 'a7'",
        "delete from users where \"orgSourcedIds\" = 'b'",
    )
    before = sha256(college.package.read_bytes() + college.database.read_bytes()).hexdigest()
    report = preview(college.settings, lambda _what, _rows: None)
    assert (report["outcome"], report["changes"]["users"]["changed"]) == ("refused", ["a7"])
    assert len(report["changes"]["users"]["removed"]) == 20
    counted = {(row["school"], row["changed"], row["removed"]) for row in report["counts"] if row["file"] == "users"}
    assert counted == {("a", 1, 0), ("b", 0, 20)}
    shown = college.call("preview")
    assert (shown.returncode, "reference" in shown.stdout or "points at nothing" in shown.stdout) == (1, True)
    assert sha256(college.package.read_bytes() + college.database.read_bytes()).hexdigest() == before


def test_on_a_black_out_day_and_after_the_consent_nothing_is_published(college: College) -> None:
    college.sql("update users set \"familyName\" = 'New' where \"sourcedId\" = 'a7'")
    before = college.package.read_bytes()
    skipped = college.call("publish", "--blackout", "2000-01-01..2100-01-01")
    assert (skipped.returncode, "black-out" in skipped.stdout) == (0, True)
    ended = college.call("publish", "--consent-until", "2020-01-01")
    assert (ended.returncode, "consent" in ended.stderr) == (7, True)
    there = college.folder / "there"
    there.mkdir()
    words = ["deliver", "--package", str(college.package), "--to", str(there), "--consent-until", "2020-01-01"]
    assert (CliRunner().invoke(main, words).exit_code, list(there.iterdir())) == (7, [])
    assert college.package.read_bytes() == before
    with duckdb.connect(str(college.database)) as database:
        assert database.execute("select outcome from ledger.runs order by run").fetchall()[1] == ("skipped",)


def test_a_score_that_comes_back_keeps_its_date_and_another_score_does_not(college: College) -> None:
    ids = "\"sourcedId\" in ('r.ka1.7', 'r.ka1.8')"
    college.sql(f"update results set score = '0.00', \"scoreDate\" = '2026-02-02' where {ids}")
    before = college.package.read_bytes()
    assert college.publish()["outcome"] == "unchanged"
    college.newer(3)  # To the transforms these are new scores, dated on the day on which they came back.
    college.sql(
        "update results set score = '57.00', \"scoreDate\" = '2026-02-03' where \"sourcedId\" = 'r.ka1.7'",
        "update results set score = '58.00', \"scoreDate\" = '2026-02-03' where \"sourcedId\" = 'r.ka1.8'",
    )
    assert college.publish(allow_removals=True)["outcome"] == "unchanged"
    assert college.package.read_bytes() == before
    college.sql("update results set score = '59.00', \"scoreDate\" = '2026-02-04' where \"sourcedId\" = 'r.ka1.8'")
    assert college.publish()["outcome"] == "published"
    dates = {row[0]: row[7] for row in college.csv("results")[1:]}
    assert (dates["r.ka1.7"], dates["r.ka1.8"]) == ("2025-10-01", "2026-02-04")


def test_an_enrollment_of_last_year_is_held_with_the_terms_of_its_class(college: College) -> None:
    # With its last learner of a term a class loses the term, and with the first learner of all the term itself goes.
    college.sql(
        "insert into \"academicSessions\" select '0' || \"sourcedId\", null, null, '2024', type, '2024-08-01', "
        "'2025-08-01', '0' || nullif(\"parentSourcedId\", ''), '2025' from \"academicSessions\"",
        "update classes set \"termSourcedIds\" = '0t1' where \"sourcedId\" = 'ka1'",
        'update enrollments set "beginDate" = null where "classSourcedId" = \'ka1\'',
        "update enrollments set \"beginDate\" = '2024-09-01' where \"sourcedId\" = 'e.ka1.7'",
    )
    assert college.publish()["outcome"] == "published"
    for file, where in (("enrollments", "e.ka1.7"), ("results", "r.ka1.7")):
        college.lose(file, f"\"sourcedId\" = '{where}'")
    college.lose("academicSessions", "\"sourcedId\" like '0%'")
    college.sql(  # Another learner begins in the new term of the same class.
        "update classes set \"termSourcedIds\" = 't1', title = 'New title' where \"sourcedId\" = 'ka1'",
        "update enrollments set \"beginDate\" = '2025-09-01' where \"sourcedId\" = 'e.ka1.8'",
    )
    report = college.publish()
    assert (report["outcome"], report["problems"]) == ("published", [])
    held = {"e.ka1.7", "r.ka1.7", "0t1", "0y1"}
    assert {row["sourced_id"] for row in report["held"]} == held
    row = next(row for row in college.csv("classes") if row[0] == "ka1")
    assert {"New title", "0t1,t1"} <= set(row)
    college.newer(3)
    assert college.publish()["held"] == []
    assert not held & (college.ids("enrollments") | college.ids("results") | college.ids("academicSessions"))
    assert "t1" in next(row for row in college.csv("classes") if row[0] == "ka1")
