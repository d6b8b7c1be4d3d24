# ruff: noqa: E501 - statements as one would type them
"""Impossible values: times, grade scales and clocks that contradict an earlier run or the transforms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from coursera_connect import timestamps
from coursera_connect.warehouse import history, ledger
from tests.connect.college import SETTINGS, College, published

if TYPE_CHECKING:
    from pathlib import Path

IMPOSSIBLE, ABOVE = "impossible completion", "above maximum"
HEALED = "An earlier release believed impossible moments, and this run puts right what came of it:"


@pytest.fixture
def college(tmp_path: Path) -> College:
    return published(
        tmp_path,
        "create table connect.doubtful_results (result_sourced_id text, class_sourced_id text, school_sourced_id text, reason text, original_percent double)",
        "create table connect.freshness (report_refreshed_at timestamptz, read_at timestamptz)",
        "insert into connect.freshness values (null, '2026-02-02 06:00:00+00')",
    )


def doubt(college: College, reason: str, where: str) -> None:
    college.sql(
        f'insert into connect.doubtful_results select r."sourcedId", l."classSourcedId", left(right(l."classSourcedId", 2), 1), \'{reason}\', 250 '
        f'from results as r inner join "lineItems" as l on l."sourcedId" = r."lineItemSourcedId" where {where}'
    )


def believe(college: College, day: int) -> None:
    college.newer(day)
    college.sql(f"update connect.freshness set read_at = '2026-02-{day:02} 06:00:00+00'")


@pytest.mark.parametrize(
    ("text", "run", "possible"),
    [
        ("2012-01-01T00:00:00Z", "2026-02-02T04:00:00Z", True),
        ("2011-12-31T23:59:59Z", "2026-02-02T04:00:00Z", False),
        ("2026-02-03T04:00:00Z", "2026-02-02T04:00:00Z", True),
        ("2026-02-03T04:00:01Z", "2026-02-02T04:00:00Z", False),
        ("2026-02-03T05:00:00+02:00", "2026-02-02T04:00:00Z", True),
        ("9999-12-31T23:59:59-12:00", "2026-02-02T04:00:00Z", False),
        ("soon", "2026-02-02T04:00:00Z", False),
    ],
)
def test_what_was_done_lies_between_the_founding_and_a_day_after_the_run(text: str, run: str, possible: bool) -> None:
    assert timestamps.is_possible(text, run) is possible


@pytest.mark.parametrize("since", ["2035-01-01T00:00:00Z", "1970-01-21T10:00:00Z"])
def test_what_was_held_since_a_moment_that_cannot_be_goes_with_the_next_run_said_once(
    college: College, since: str
) -> None:
    college.lose("results", "\"studentSourcedId\" = 'a7'")
    assert len(college.publish()["held"]) == 2
    college.sql(
        f"update ledger.held set since = '{since}'", f"update ledger.runs set data_as_of = '{since}' where run = 2"
    )
    believe(college, 3)
    report = college.publish()
    assert (report["outcome"], report["held"]) == ("published", [])
    assert report["warnings"] == [f"{HEALED} the data of run 2 was dated {since}; 2 rows held since then can go again."]
    assert "r.ka1.7" not in college.ids("results")
    assert college.publish()["warnings"] == []


def test_an_age_of_the_data_that_cannot_be_is_not_believed_and_holds_nobody_for_years(college: College) -> None:
    college.lose("results", "\"studentSourcedId\" = 'a7'")
    college.say(**SETTINGS | {"data_as_of": "2035-01-01T00:00:00Z"})
    report = college.publish()
    assert (report["data_as_of"], [row["since"] for row in report["held"]]) == ("", ["", ""])
    assert report["warnings"] == [
        "The tables say that the data is of 2035-01-01T00:00:00Z, which is impossible: its age counts as unknown."
    ]
    believe(college, 3)
    assert (college.publish()["held"], history.runs(college.database, 5, 1)[0]["data_as_of"]) == (
        [],
        "2026-02-03T04:00:00Z",
    )


def test_sessions_and_dates_that_an_earlier_release_made_of_a_wrong_stamp_leave_with_the_next_run(
    college: College,
) -> None:
    years = [*range(2013, 2026), *range(2027, 2085)]
    healthy = college.package.read_bytes()
    college.sql(
        'create table healthy as select * from "academicSessions"',
        'create table "healthy classes" as select * from classes',
        *(
            f"insert into \"academicSessions\" select left(\"sourcedId\", 1) || '{year}', null, null, '{year - 1}', type, '{year - 1}-08-01', '{year}-08-01', "
            f"nullif(left(coalesce(\"parentSourcedId\", ''), 1) || '{year}', '{year}'), '{year}' from healthy"
            for year in years
        ),
        'update classes set "termSourcedIds" = "termSourcedIds" || \',t2084\'',
        'update "lineItems" set "gradingPeriodSourcedId" = \'g2084\', "dueDate" = \'2084-07-31\'',
    )
    assert college.publish()["outcome"] == "published"  # The earlier release left it so.
    college.sql(
        'drop table "academicSessions"', 'alter table healthy rename to "academicSessions"', "drop table classes", 'alter table "healthy classes" rename to classes',
        "update ledger.results set \"scoreDate\" = '1970-01-21'", 'update "lineItems" set "gradingPeriodSourcedId" = \'g1\', "dueDate" = \'2026-07-31\'',
    )  # fmt: skip
    report = college.publish()
    assert (report["outcome"], report["blocked"]) == ("published", [])
    assert report["warnings"] == [f"{HEALED} 171 academic sessions beyond the next school year leave, not counted."]
    assert college.package.read_bytes() == healthy  # the dates, too


def test_a_result_whose_completion_cannot_be_keeps_score_and_date_as_long_as_that_lasts_and_a_new_one_waits(
    college: College,
) -> None:
    before = college.package.read_bytes()
    whose = "\"studentSourcedId\" in ('a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7')"
    doubt(college, IMPOSSIBLE, whose)
    college.sql("insert into connect.doubtful_results values ('r.new', 'ka1', 'a', 'impossible completion', 80)")
    college.lose("results", whose)
    for day, settings in ((3, {}), (4, {}), (5, {"allow_removals": True}), (6, {})):
        believe(college, day)
        report = college.publish(**settings)
        assert (report["outcome"], len(report["held"]), report["blocked"]) == ("unchanged", 14, [])
        assert {row["reason"] for row in report["held"]} == {"the completion has an impossible moment"}
    assert college.package.read_bytes() == before
    college.sql(
        "delete from connect.doubtful_results"
    )  # Now the rows have really gone, and are held like any row that vanishes.
    assert {row["reason"] for row in college.publish()["held"]} == {"vanished while the learner is still a member"}
    believe(college, 7)
    assert college.publish()["outcome"] == "blocked"
    college.find("results")
    college.sql("update results set score = '99.00', \"scoreDate\" = '2026-02-07' where \"sourcedId\" = 'r.ka1.1'")
    assert (college.publish()["held"], {row[0]: row[6:8] for row in college.csv("results")}["r.ka1.1"]) == (
        [],
        ["99.00", "2026-02-07"],
    )


def test_a_learner_who_leaves_takes_a_doubtful_result_along(college: College) -> None:
    doubt(college, IMPOSSIBLE, "\"studentSourcedId\" = 'b3'")
    for file, column in (("results", "studentSourcedId"), ("enrollments", "userSourcedId"), ("users", "sourcedId")):
        college.sql(f'delete from "{file}" where "{column}" = \'b3\'')
    report = college.publish()
    assert (report["outcome"], report["held"]) == ("published", [])


@pytest.mark.parametrize("left_out", [False, True])
def test_where_many_scores_are_above_the_maximum_the_scale_is_wrong(college: College, left_out: bool) -> None:
    before = college.package.read_bytes()
    new = "insert into results select 'new' || \"sourcedId\", * exclude (\"sourcedId\") from results where \"sourcedId\" in ('r.ka1.0', 'r.ka1.1', 'r.kb1.0')"
    college.sql("update results set score = '100.00', \"scoreDate\" = '2026-02-03'", new)
    doubt(college, ABOVE, "l.\"classSourcedId\" = 'ka1' and \"studentSourcedId\" <= 'a17'")  # 9 of 40 and 1 of the new
    if left_out:
        college.lose("results", '"sourcedId" in (select result_sourced_id from connect.doubtful_results)')
    believe(college, 3)
    report = college.publish()
    said = [line for line in report["warnings"] if "scale" in line]
    assert said[0].startswith(
        "results of the school a: 12 of 42 scores are above the maximum, so the scale of the grades must be wrong."
    )
    assert "`connect publish --allow-above-maximum`" in said[0]
    rows = {row[0]: row[6] for row in college.csv("results")}
    assert (rows["r.ka1.3"], rows["r.ka2.3"], rows["r.kb1.3"], "newr.kb1.0" in rows, "newr.ka1.0" in rows) == (
        "53.00",
        "53.00",
        "100.00",
        True,
        False,
    )
    assert len(report["held"]) == 40
    assert {row["reason"] for row in report["held"]} == {"too many scores of its school are above the maximum"}
    believe(college, 4)
    assert len(college.publish()["held"]) == 40
    report = college.publish(allow_above_maximum=True, allow_removals=left_out)
    rows = {row[0]: row[6] for row in college.csv("results")}
    assert (report["outcome"], report["held"], rows["r.ka2.3"], rows.get("newr.ka1.0")) == (
        "published",
        [],
        "100.00",
        None if left_out else "100.00",
    )
    assert college.package.read_bytes() != before


def test_few_scores_above_the_maximum_are_no_doubt_about_the_scale(college: College) -> None:
    doubt(college, ABOVE, "\"studentSourcedId\" < 'b17' and l.\"classSourcedId\" = 'kb1'")  # 9 of 20
    college.sql(
        "update results set score = '100.00' where \"sourcedId\" in (select result_sourced_id from connect.doubtful_results)"
    )
    report = college.publish()
    assert (report["outcome"], report["held"], report["warnings"]) == ("published", [], [])


def test_on_a_first_publish_a_wrong_scale_waits_too(tmp_path: Path) -> None:
    college = College(tmp_path)
    college.sql(
        "create table connect.doubtful_results (result_sourced_id text, class_sourced_id text, school_sourced_id text, reason text, original_percent double)"
    )
    doubt(college, ABOVE, "l.\"classSourcedId\" = 'kb1'")
    assert college.publish()["outcome"] == "published"
    assert {row.split(".")[1] for row in college.ids("results")} == {"ka1", "ka2"}
    assert college.publish(allow_above_maximum=True)["outcome"] == "published"
    assert len(college.ids("results")) == 60


def clock(monkeypatch: pytest.MonkeyPatch, day: str) -> None:
    monkeypatch.setattr(ledger, "now", lambda later=None: _later(f"{day}T04:30:00Z", later))


def _later(text: str, later: Any) -> str:
    moment = timestamps.parsed(text)
    assert moment
    return timestamps.written(moment + later if later else moment)


def test_a_clock_that_leapt_and_went_back_moves_no_change_into_the_past(
    college: College, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamps = []
    for run, day in enumerate(("2027-03-01", "2027-04-01", "2027-03-02", "2027-03-03", "2027-04-02"), 2):
        clock(monkeypatch, day)
        college.sql(f"update users set \"familyName\" = 'N{run}' where \"sourcedId\" = 'a7'")
        report = college.publish(mode="delta")
        assert (report["mode"], report["run"]) == ("delta", run)
        stamps.append(college.csv("users")[1][2])
        went_back = "2027-03-02" <= day <= "2027-03-03"
        assert [line.partition(":")[0] for line in report["warnings"]] == [
            "This machine's clock says 2027-03-0" + day[-1] + "T04"
        ] * went_back
    assert stamps == ["2027-03-01T04:30:00.000Z", *["2027-04-01T04:30:00.000Z"] * 3, "2027-04-02T04:30:00.000Z"]


def test_an_agreement_ends_after_seven_days_of_publishing_whatever_its_date(
    college: College, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(monkeypatch, "2027-04-30")  # The clock is two months ahead when the administrator agrees.
    ledger.agree(college.database, 5, "school", "b", {})
    for day in range(1, 9):
        clock(monkeypatch, f"2027-03-0{day}")
        college.publish()
    college.sql(
        "delete from results where \"studentSourcedId\" like 'b%'",
        "delete from enrollments where \"userSourcedId\" like 'b%'",
        "delete from users where \"sourcedId\" like 'b%'",
    )
    assert college.publish()["outcome"] == "blocked"
    clock(monkeypatch, "2027-03-09")
    ledger.agree(college.database, 5, "school", "b", {})
    clock(monkeypatch, "2027-02-01")  # The clock is a month behind when the agreement is needed.
    assert college.publish()["outcome"] == "published"
