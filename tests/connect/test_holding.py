# ruff: noqa: E501 - statements as one would type them
"""Holds and guards never make a package invalid, never last for ever, and never take another version for a loss."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from coursera_connect.cli.main import main
from coursera_connect.warehouse import ledger
from oneroster_csv import binding as bindings
from tests.connect.college import SETTINGS, published

if TYPE_CHECKING:
    from pathlib import Path

    from tests.connect.college import College


@pytest.fixture
def college(tmp_path: Path) -> College:
    return published(tmp_path)


def counted(report: dict[str, Any], file: str) -> dict[str, int]:
    return {row["school"]: row["total"] for row in report["counts"] if row["file"] == file}


def test_a_class_whose_course_cannot_come_back_is_not_held(college: College) -> None:
    college.sql(
        "update academicSessions set \"sourcedId\" = 'y2' where \"sourcedId\" = 'y1'",
        "update academicSessions set \"parentSourcedId\" = 'y2' where \"parentSourcedId\" = 'y1'",
        *(f'delete from "{file}"' for file in ("results", "lineItems", "enrollments", "classes", "courses")),
    )
    report = college.publish()
    assert (report["outcome"], report["held"]) == ("blocked", [])


def test_rows_of_a_school_that_was_agreed_to_leave_are_not_held_until_the_agreement_is_used_up(
    college: College,
) -> None:
    ledger.agree(college.database, 5, "school", "a", {})
    for file, where in (("results", "\"sourcedId\" like 'r.ka2%'"), ("enrollments", "\"classSourcedId\" = 'ka2'"),
                        ("lineItems", "\"classSourcedId\" = 'ka2'"), ("classes", "\"sourcedId\" = 'ka2'")):  # fmt: skip
        college.lose(file, where)
    report = college.publish()
    assert (report["outcome"], report["held"]) == ("published", [])
    assert not [row for row in college.ids("results") if row.startswith("r.ka2")]


def test_an_agreement_nobody_needed_lets_no_bad_day_through_later(college: College) -> None:
    ledger.agree(college.database, 5, "school", "b", {})
    college.sql("update ledger.agreements set agreed_at = '2026-01-01T00:00:00Z'")
    college.sql("delete from enrollments where \"schoolSourcedId\" = 'b'", "delete from results where \"studentSourcedId\" like 'b%'",
                "delete from users where \"orgSourcedIds\" = 'b'")  # fmt: skip
    assert college.publish()["outcome"] == "blocked"


@pytest.mark.parametrize("leaving", [15, 16])
def test_the_threshold_is_what_may_leave_and_one_more_may_not(college: College, leaving: int) -> None:
    college.sql(
        "insert into users select 'n' || \"sourcedId\" || i, * exclude (\"sourcedId\", i) replace ('n' || username || i as username) "
        "from users, range(4) as t(i) where \"orgSourcedIds\" = 'a'"
    )
    assert counted(college.publish(), "users") == {"a": 100, "b": 20}
    college.sql(
        f'delete from users where "sourcedId" in (select "sourcedId" from users where "sourcedId" like \'na%\' limit {leaving})'
    )
    assert college.publish()["outcome"] == ("published" if leaving == 15 else "blocked")


def test_people_who_move_to_another_school_leave_theirs_and_whoever_is_in_two_counts_in_both(college: College) -> None:
    college.sql("update users set \"orgSourcedIds\" = 'a,b' where \"sourcedId\" like 'b%'")
    assert counted(college.publish(), "users") == {"a": 40, "b": 20}
    college.sql("update users set \"orgSourcedIds\" = 'a' where \"sourcedId\" like 'b%'")
    report = college.publish()
    assert [(drop["file"], drop["school"], drop["removed"]) for drop in report["blocked"]] == [("users", "b", 20)]


def test_every_row_is_counted_also_where_no_school_claims_it(college: College) -> None:
    college.sql(
        "insert into courses select 'lonely', * exclude (\"sourcedId\") from courses",
        "insert into categories values ('lonely', null, null, 'Lonely')",
    )
    report = college.publish()
    assert counted(report, "courses") == {"": 1, "a": 1, "b": 1}
    assert counted(report, "categories") == {"": 1, "a": 1, "b": 1}
    assert counted(report, "results") == {"a": 40, "b": 20}
    college.sql(
        "delete from courses where \"sourcedId\" = 'lonely'", "delete from categories where \"sourcedId\" = 'lonely'"
    )
    assert {(drop["file"], drop["school"]) for drop in college.publish()["blocked"]} == {
        ("courses", ""),
        ("categories", ""),
    }


def test_another_version_is_no_loss_and_there_a_learner_who_vanishes_is_held_too(college: College) -> None:
    college.sql(
        "create schema oneroster_1_2",
        'create table oneroster_1_2.users as select "sourcedId", status, "dateLastModified", "enabledUser", username, "userIds", '
        '"givenName", "familyName", "middleName", identifier, email, sms, phone, "agentSourcedIds", grades, password, '
        'null as "userMasterIdentifier", null as "resourceSourcedIds", null as "preferredGivenName", '
        'null as "preferredMiddleName", null as "preferredFamilyName", '
        '"orgSourcedIds" as "primaryOrgSourcedId", null as pronouns from users',
        'create table oneroster_1_2.roles as select \'role.\' || "sourcedId" as "sourcedId", null as status, '
        '"sourcedId" as "userSourcedId", null as "dateLastModified", \'primary\' as "roleType", \'student\' as role, '
        'null as "beginDate", null as "endDate", "orgSourcedIds" as "orgSourcedId", null as "userProfileSourcedId" from users',
        'create table oneroster_1_2."lineItems" as select "sourcedId", status, "dateLastModified", title, description, '
        '"assignDate", "dueDate", "classSourcedId", "categorySourcedId", "gradingPeriodSourcedId", "resultValueMin", '
        '"resultValueMax", c."schoolSourcedId" from "lineItems" as l inner join (select "sourcedId" as k, "schoolSourcedId" '
        'from classes) as c on c.k = l."classSourcedId"',
    )
    for file in ("users", "roles", "lineItems", "results", "categories"):
        names = [column.name for column in bindings.load("1.2").files[file]]
        source = f'oneroster_1_2."{file}"' if file in {"users", "roles", "lineItems"} else f'oneroster."{file}"'
        have = {row[0] for row in college.ask(f"select column_name from (describe {source})")}
        cells = ", ".join(f'"{name}"' if name in have else f"'t1' as \"{name}\"" if "SessionSourcedId" in name
                          else f'null as "{name}"' for name in names)  # fmt: skip
        college.sql(f'create table oneroster_1_2."new" as select {cells} from {source}',
                    f'drop table if exists oneroster_1_2."{file}"', f'alter table oneroster_1_2."new" rename to "{file}"')  # fmt: skip
    report = college.publish(oneroster_version="1.2")
    assert (report["outcome"], report["blocked"], report["held"]) == ("published", [], []), report["problems"]
    assert counted(report, "users") == {"a": 20, "b": 20}
    college.lose("enrollments", "\"userSourcedId\" = 'a7'")
    college.sql("delete from oneroster_1_2.results where \"studentSourcedId\" = 'a7'")
    held = college.publish(oneroster_version="1.2")["held"]
    assert {row["sourced_id"] for row in held} == {"e.ka1.7", "e.ka2.7", "r.ka1.7", "r.ka2.7"}
    college.find("enrollments")
    back = college.publish()
    assert (back["outcome"], back["blocked"]) == ("published", [])
    assert college.publish()["outcome"] == "unchanged"


def test_a_held_row_of_unknown_age_is_let_go_with_the_next_run(college: College) -> None:
    college.say(**{**SETTINGS, "data_as_of": ""})
    college.lose("enrollments", "\"userSourcedId\" = 'a7'")
    college.lose("results", "\"studentSourcedId\" = 'a7'")
    assert len(college.publish()["held"]) == 4
    assert college.publish()["held"] == []


def test_a_table_without_one_of_its_columns_is_refused_by_name(college: College, capsys: Any) -> None:
    college.sql('alter table classes drop column "schoolSourcedId"')
    assert college.publish()["problems"][0]["rule"] == "header-missing"
    with pytest.raises(SystemExit) as done:
        main([*college.command("preview", "--json")[3:]])
    assert (done.value.code, json.loads(capsys.readouterr().out)["outcome"]) == (1, "refused")


def test_the_rules_of_the_reader_refuse_too(college: College) -> None:
    college.sql(
        "insert into users select 'x/y', * exclude (\"sourcedId\") replace ('x' as username) from users where username = 'a7'"
    )
    assert college.publish()["outcome"] == "published"
    college.sql("update users set \"familyName\" = 'New' where username = 'x'")
    report = college.publish(profile="great-minds")
    assert (report["outcome"], {row["rule"] for row in report["problems"]}) == (
        "refused",
        {"reader-id", "email-shared"},
    )


def read(college: College, at: str) -> None:
    """Set when Coursera's rows about the learner a7 were last read."""
    college.sql(
        "create or replace table connect.last_reads as select 'ka1' as class_sourced_id, 'a7' as user_sourced_id, "
        f"kind, '{at}' as last_read from (values ('enrollment'), ('fully graded')) as k(kind)"
    )


def test_a_held_row_waits_until_it_was_read_again_in_newer_data(college: College) -> None:
    read(college, "2026-02-02T06:00:00Z")
    for file, where in (("results", "\"sourcedId\" = 'r.ka1.7'"), ("enrollments", "\"sourcedId\" = 'e.ka1.7'")):
        college.lose(file, where)
    held = {"r.ka1.7", "e.ka1.7"}
    for day, at in ((2, "2026-02-02T06:00:00Z"), (2, "2026-02-02T09:00:00Z"), (3, "2026-02-02T09:00:00Z")):
        college.newer(day)
        read(college, at)  # the second time from the same report, and then not at all
        assert {row["sourced_id"] for row in college.publish()["held"]} == held, (day, at)
    read(college, "2026-02-03T06:00:00Z")
    assert college.publish()["held"] == []
    assert not held & (college.ids("results") | college.ids("enrollments"))


def test_a_score_of_a_held_enrollment_waits_for_the_enrollment(college: College) -> None:
    read(college, "2026-02-02T06:00:00Z")
    college.lose("results", "\"sourcedId\" = 'r.ka1.7'")
    college.lose("enrollments", "\"sourcedId\" = 'e.ka1.7'")
    assert len(college.publish()["held"]) == 2
    college.newer(3)
    college.sql("update connect.last_reads set last_read = '2026-02-03T06:00:00Z' where kind = 'fully graded'")
    assert len(college.publish()["held"]) == 2


def test_rows_that_nobody_reads_for_days_are_named_with_what_ends_their_hold(college: College) -> None:
    read(college, "2026-02-02T06:00:00Z")
    college.lose("results", "\"sourcedId\" = 'r.ka1.7'")
    for day in (2, 10):
        college.newer(day)
        assert college.publish()["warnings"] == []
    college.newer(11)
    report = college.publish()
    (warning,) = report["warnings"]
    assert warning.startswith("1 row has been held for more than 8 days, because no run has read Coursera's data")
    assert "The job full-reconcile reads everything" in warning
    assert "`connect publish --allow-removals`" in warning
    assert len(report["held"]) == 1
    assert college.publish(allow_removals=True)["held"] == []


def test_a_ledger_of_an_earlier_release_holds_as_that_release_did(college: College) -> None:
    read(college, "2026-02-02T06:00:00Z")
    college.lose("results", "\"sourcedId\" = 'r.ka1.7'")
    assert len(college.publish()["held"]) == 1
    college.sql("alter table ledger.held drop column last_read")
    college.newer(3)
    assert college.publish()["held"] == []
