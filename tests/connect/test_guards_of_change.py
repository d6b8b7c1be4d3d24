# ruff: noqa: E501 - statements as one would type them
"""Many changes at once: falling scores, names, references, a mode or scale changed without its step, new rules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from coursera_connect.cli.main import main
from coursera_connect.warehouse import ledger
from tests.connect.college import SETTINGS, published

if TYPE_CHECKING:
    from pathlib import Path

    from tests.connect.college import College

HUNDRED = (
    "insert into users select 'n' || \"sourcedId\" || i, * exclude (\"sourcedId\", i) replace ('n' || username || i as username) "
    "from users, range(4) as t(i) where \"orgSourcedIds\" = 'a'"
)
"""School a gets 80 learners more, so that it has 100."""


@pytest.fixture
def college(tmp_path: Path) -> College:
    return published(tmp_path)


def of(report: dict[str, Any], what: str = "blocked") -> set[tuple[str, str, int]]:
    return {(row["file"], row["school"], row["removed"]) for row in report[what]}


def test_scores_that_are_halved_overnight_are_blocked_by_name_and_can_be_allowed_once(college: College) -> None:
    before = college.package.read_bytes()
    college.sql("update results set score = cast(score as double) / 2")
    done = college.call("publish")
    assert done.returncode == 6
    assert "results of School B: 20 of 20 final scores would fall by 5 points or more (100%)" in done.stderr
    assert "If that is right, once: connect publish --allow-lower-scores" in done.stderr
    assert college.package.read_bytes() == before
    report = college.report()
    assert (report["why"], of(report)) == (
        "more scores would fall than the threshold allows",
        {("results", "a", 40), ("results", "b", 20)},
    )
    assert report["blocked"][1]["sourced_ids"][0] == "r.kb1.0"
    assert college.publish(allow_removals=True, allow_changes=True)["outcome"] == "blocked"
    assert of(college.publish(allow_lower_scores=True), "allowed") == {("results", "a", 40), ("results", "b", 20)}
    assert college.ask("select run, school, removed from ledger.allowed order by school") == [
        (4, "a", 40),
        (4, "b", 20),
    ]
    college.sql("update results set score = cast(score as double) / 2 where \"sourcedId\" <> 'r.ka1.1'")
    assert college.publish()["outcome"] == "blocked"  # The permission was for one run.


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ("score = cast(score as double) - 5 where \"lineItemSourcedId\" = 'l.kb1' and \"studentSourcedId\" < 'b17'", "published"),  # nine
        ("score = cast(score as double) - 5 where \"lineItemSourcedId\" = 'l.kb1' and \"studentSourcedId\" < 'b18'", "blocked"),  # ten
        ("score = cast(score as double) - 4.99", "published"),
        ("score = cast(score as double) + 5", "published"),
        ("score = '10', \"scoreStatus\" = 'partially graded' where \"lineItemSourcedId\" = 'l.ka2'", "blocked"),  # a final score became a running one
    ],
)  # fmt: skip
def test_what_counts_as_a_fall(college: College, change: str, outcome: str) -> None:
    college.sql(f"update results set {change}")
    assert college.publish()["outcome"] == outcome


def test_running_grades_fall_as_they_like_and_a_tenth_of_the_final_ones_may(college: College) -> None:
    college.sql(
        "update results set \"scoreStatus\" = 'partially graded' where \"lineItemSourcedId\" = 'l.ka1'",
        'insert into results select \'x\' || i || "sourcedId", * exclude ("sourcedId", i) from results, range(5) as t(i) where "lineItemSourcedId" = \'l.kb1\'',
    )
    assert college.publish()["outcome"] == "published"
    college.sql(
        "update results set score = '1' where \"lineItemSourcedId\" = 'l.ka1'",  # 20 running ones
        "update results set score = '1' where \"sourcedId\" like 'x0r.kb1.1_'",  # 10 of 120
    )
    assert college.publish()["outcome"] == "published"
    college.sql("update results set score = '1' where \"sourcedId\" in ('x1r.kb1.1', 'x1r.kb1.2', 'x1r.kb1.3')")
    assert college.publish(score_threshold=2, score_rows=3)["outcome"] == "blocked"


def test_another_scale_needs_its_step_and_is_no_fall_of_all_scores(college: College) -> None:
    college.sql("alter table connect.settings_used add column score_scale text")
    college.say(**SETTINGS, score_scale="100")
    assert college.publish()["outcome"] == "unchanged"
    college.say(**SETTINGS, score_scale="1")
    college.sql(
        "update results set score = printf('%.4f', cast(score as double) / 100)",
        'update "lineItems" set "resultValueMax" = \'1\'',
    )
    report = college.publish(allow_removals=True, allow_changes=True, allow_lower_scores=True)
    assert of(report) == {("lineItems", "a", 2), ("lineItems", "b", 1), ("results", "a", 40), ("results", "b", 20)}
    assert report["why"] == "the score scale was changed from 100 to 1 without `connect grades scale 1 --save`"
    assert "connect grades scale 1 --save" in college.call("publish").stderr
    words = ["grades", "scale", "1", "--database", str(college.database)]
    assert CliRunner().invoke(main, [*words[:2], "2", *words[3:]]).exit_code == 2
    assert "Nothing is agreed yet" in CliRunner().invoke(main, words).stdout
    agreed = json.loads(CliRunner().invoke(main, [*words, "--save", "--json"]).stdout)
    assert (agreed["from"], agreed["to"], agreed["agreed"]) == ("100", "1", True)
    report = college.publish()
    assert (report["outcome"], report["blocked"]) == ("published", [])
    college.sql("update results set score = printf('%.4f', cast(score as double) / 2)")
    assert of(college.publish()) == {("results", "a", 40), ("results", "b", 20)}  # 25 points of a hundred


def test_a_mode_that_only_adds_or_moves_nothing_yet_needs_its_step_too(college: College) -> None:
    college.say(**SETTINGS | {"grade_sync": "final_incremental"})
    why = "the grade sync was changed from final to final_incremental without `connect grades change final_incremental --save`"
    report = college.publish(allow_removals=True, allow_changes=True, allow_lower_scores=True)
    assert (report["outcome"], report["why"], report["blocked"][0]["file"]) == ("blocked", why, "")
    college.sql(
        "delete from results where \"sourcedId\" = 'r.kb1.0'",
        "insert into results select 'new', * exclude (\"sourcedId\") from results where \"sourcedId\" = 'r.kb1.1'",
    )
    assert of(college.publish(allow_removals=True)) == {("results", "b", 2)}
    ledger.agree(college.database, 5, "grade_sync", "granular_all", {})
    assert college.publish()["outcome"] == "blocked"
    ledger.agree(college.database, 5, "grade_sync", "final_incremental", {})
    assert college.publish()["outcome"] == "published"
    assert college.ask("select subject, used_by_run from ledger.agreements order by 1") == [
        ("final_incremental", 5),
        ("granular_all", None),
    ]


def test_names_and_references_that_change_beyond_the_threshold_are_blocked_and_dates_are_not(college: College) -> None:
    college.sql(HUNDRED)
    assert college.publish()["outcome"] == "published"
    college.sql(
        'update users set "familyName" = \'X\' where "sourcedId" in (select "sourcedId" from users where "orgSourcedIds" = \'a\' limit 50)'
    )
    assert college.publish()["outcome"] == "published"
    college.sql(  # 51 of a hundred, and all 40 enrollments of a school: fewer than 50
        'update users set "givenName" = \'Y\' where "sourcedId" in (select "sourcedId" from users where "orgSourcedIds" = \'a\' limit 51)',
        'update enrollments set "userSourcedId" = \'na0\' || right("userSourcedId", 1) where "classSourcedId" like \'ka%\' and false',
    )
    report = college.publish()
    assert (of(report), report["why"]) == (
        {("users", "a", 51)},
        "more names, titles or references would change than the threshold allows",
    )
    assert "`connect publish --allow-changes`" in report["blocked"][0]["reason"]
    assert college.publish(allow_removals=True, allow_lower_scores=True)["outcome"] == "blocked"
    assert college.publish(allow_changes=True)["outcome"] == "published"
    college.sql(
        "update results set \"scoreDate\" = '2025-11-01'",
        "update enrollments set \"beginDate\" = '2025-09-02'",
        'update "lineItems" set "dueDate" = \'2026-08-01\'',
        "update users set email = 'x' || email",
    )
    assert college.publish(change_rows=1, change_threshold=1)["outcome"] == "published"
    college.sql(
        'update enrollments set "userSourcedId" = \'a\' || (19 - cast(substr("userSourcedId", 2) as integer)) where "classSourcedId" = \'ka1\''
    )
    assert of(college.publish(change_rows=20, change_threshold=49)) == {("enrollments", "a", 20)}


def test_what_the_attribute_mapping_changes_is_meant_and_nothing_else(college: College) -> None:
    college.sql("alter table connect.settings_used add column attributes text", HUNDRED)
    college.say(**SETTINGS, attributes="{}")
    assert college.publish()["outcome"] == "published"
    college.say(**SETTINGS, attributes='{"users.givenName": "learner.full_name"}')
    college.sql("update users set \"givenName\" = 'Ada Zed'")
    assert college.publish()["outcome"] == "published"
    college.say(**SETTINGS, attributes="{}")
    college.sql("update users set \"givenName\" = 'Ada', \"familyName\" = 'Somebody'")
    assert of(college.publish()) == {("users", "a", 100)}


def test_other_ids_for_few_people_leave_by_an_option_alone_and_the_setting_is_named(college: College) -> None:
    college.sql(
        "alter table connect.settings_used add column identity text",
        "delete from users where \"sourcedId\" > 'b2'",
        "delete from results",
        "delete from enrollments",
    )
    college.say(**SETTINGS, identity="coursera_id")
    assert college.publish(allow_removals=True)["outcome"] == "published"
    college.say(**SETTINGS, identity="external_id")
    college.sql('update users set "sourcedId" = \'x\' || "sourcedId" where "sourcedId" = \'b0\'')
    report = college.publish()
    (row,) = report["blocked"]
    assert row["reason"].endswith("identity was changed from coursera_id to external_id")
    assert (
        report["why"] == "identity was changed from coursera_id to external_id"
    )  # The sentence names the real cause and no threshold.
    assert college.publish(allow_removals=True)["outcome"] == "published"


def test_far_more_rows_than_there_were_are_pointed_out(college: College) -> None:
    more = "insert into users select 'm' || i, * exclude (\"sourcedId\", i) replace ('m' || i as username) from users, range({}, {}) as t(i) where \"sourcedId\" = 'b0'"
    college.sql(more.format(0, 60))
    assert college.publish()["warnings"] == []
    college.sql(more.format(60, 301))
    report = college.publish()
    assert (report["outcome"], report["warnings"]) == (
        "published",
        ["users of the school b: 241 rows are new, where there were 80. Is that right?"],
    )


def test_what_the_rules_of_a_new_release_change_goes_once_and_is_listed(college: College) -> None:
    college.sql(
        HUNDRED,
        "update results set \"scoreStatus\" = 'partially graded', score = '0.00' where \"lineItemSourcedId\" = 'l.ka1'",
        "update users set \"givenName\" = 'John', \"familyName\" = 'Smith,' where \"orgSourcedIds\" = 'a'",
    )
    assert college.publish(allow_lower_scores=True, allow_changes=True, allow_removals=True)["outcome"] == "published"
    college.sql("alter table connect.settings_used add column rules text")
    college.say(**SETTINGS, rules="2")
    college.sql(
        "delete from results where \"lineItemSourcedId\" = 'l.ka1'",
        "update users set \"givenName\" = 'Smith', \"familyName\" = 'John' where \"orgSourcedIds\" = 'a'",
    )
    college.lose("results", "\"sourcedId\" = 'r.kb1.3'")  # One more vanishes on the same night.
    report = college.publish()
    assert (report["outcome"], of(report, "allowed")) == ("published", {("results", "", 20), ("users", "", 100)})
    assert [row["sourced_id"] for row in report["held"]] == ["r.kb1.3"]
    assert (
        "results: 20 rows would leave: this release makes no running grade before an item is graded."
        in report["warnings"][0]
    )
    assert "20 rows" in str(college.ask("select reason from ledger.allowed where file = 'results' and school = ''"))
    college.sql("update users set \"givenName\" = 'John', \"familyName\" = 'Smith' where \"orgSourcedIds\" = 'a'")
    assert of(college.publish()) == {("users", "a", 100)}
