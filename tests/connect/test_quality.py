from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from click.testing import CliRunner

from coursera_connect.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from tests.connect.warehouse import Place

TABLES = """
create schema if not exists connect;
create table connect.quality (
    rule text, severity text, sentence text, entity text, program_id text, record_id text, how_many bigint
);
insert into connect.quality values
    ('email-shared', 'flag', 'Several people have it.', 'people', null, 'u3', 1),
    ('email-shared', 'flag', 'Several people have it.', 'people', null, 'u4', 1),
    ('content-without-class', 'skip', 'Only a course makes a class.', 'class', 'p1', 'Specialization', 2),
    ('content-without-class', 'skip', 'Only a course makes a class.', 'class', 'p2', 'Specialization', 1),
    ('content-without-gradebook', 'skip', 'It has no gradebook.', 'enrollment', 'p1', 'Project', 67),
    ('mapping-broken', 'stop', 'The mapping names a school twice.', 'schools', 'p2', null, 1),
    ('never-met', 'stop', 'Nothing of it.', 'schools', null, null, 0);
create table connect.match (
    program_id text, members bigint, matched hugeint, by_users_list hugeint, by_remembered hugeint,
    by_external_id hugeint, matched_percent decimal(5, 2)
);
insert into connect.match values
    ('p1', 10, 7, 5, 2, 3, 70.00), ('p2', 2, 2, 2, 0, 0, 100.00), ('p3', 0, 0, 0, 0, 0, null);
create table connect.people (
    user_sourced_id text, external_id text, email text, username text, is_username_shared boolean
);
insert into connect.people values
    ('u1', 'A1', 'ada@example.org', 'ada', false),
    ('u2', 'a1 ', 'grace@example.org', 'grace', false),
    ('u3', 'B', 'Mary@Example.org', 'u3', true),
    ('u4', 'C', 'mary@example.org', 'u4', true),
    ('u5', null, ' ', '', false),
    ('u6', null, null, null, false);
"""
EVERYBODY = ("ada", "grace", "mary", "Mary", "@example")


@pytest.fixture
def college(place: Place) -> Place:
    with duckdb.connect(str(place.database)) as connection:
        connection.execute(TABLES)
    return place


def quality(college: Place, *arguments: str, columns: str = "200") -> Result:
    command = ["quality", "--database", str(college.database), "--package", str(college.package), *arguments]
    return CliRunner().invoke(main, command, env={"COLUMNS": columns}, catch_exceptions=False)


def facts(college: Place, *arguments: str) -> dict[str, Any]:
    done = quality(college, *arguments, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.output)
    return found


def test_findings_of_the_transforms_and_of_the_publish_are_one_list_from_stop_to_flag(college: Place) -> None:
    college.sql("delete from results", "delete from enrollments", "update users set \"enabledUser\" = 'True'")
    assert college.call("publish").returncode == 1
    found = facts(college)
    assert [(rule["severity"], rule["source"], rule["rule"], rule["count"]) for rule in found["rules"]] == [
        ("stop", "publish", "boolean", 2),
        ("stop", "transforms", "mapping-broken", 1),
        ("skip", "transforms", "content-without-gradebook", 67),
        ("skip", "transforms", "content-without-class", 3),
        ("flag", "transforms", "email-shared", 2),
        ("flag", "publish", "together", 1),
    ]
    assert found["counts"] == {"stop": 3, "skip": 70, "repair": 0, "flag": 3}
    shown = quality(college).output
    assert "Findings: 3 stop, 70 skip, 0 repair, 3 flag" in shown
    assert "There is no report" not in shown
    assert "content-without-gradebook" in quality(college, columns="80").output


def test_before_the_first_publish_the_findings_of_the_transforms_are_there(college: Place) -> None:
    done = quality(college)
    assert done.exit_code == 0
    assert "There is no report of a publish yet" in done.output
    assert "Only a course makes a class." in done.output
    college.package.parent.mkdir()
    college.package.with_name("publish-report.json").write_text('{"problems": 1}')
    assert facts(college)["published"] is None


def test_after_a_build_that_failed_what_is_known_is_shown_and_said_to_be_older(college: Place) -> None:
    college.sql("update connect.build set is_complete = false")
    done = quality(college)
    assert done.exit_code == 0
    assert "is still at work, failed, or made a part of the tables only: run" in done.output
    assert "Only a course makes a class." in done.output


def test_before_the_first_build_the_tap_says_what_it_left_out(college: Place) -> None:
    college.sql("drop table connect.quality")
    assert "this is only what the tap says of its rows" in quality(college).output
    college.sql("drop schema connect cascade", "create schema coursera")
    assert "holds no data yet" in quality(college).output
    college.sql(
        "create table coursera.stream_reads as select * from (values "
        "('users', '', 2, 0), ('enrollments', 'p1', 0, 3), ('enrollments', 'p2', 1, 4)) "
        "as reads (stream, program_id, rows_left_out, rows_repaired)"
    )
    found = facts(college)["rules"]
    assert [(rule["severity"], rule["rule"], rule["entity"], rule["count"]) for rule in found] == [
        ("skip", "rows-left-out", "users", 2),
        ("skip", "rows-left-out", "enrollments", 1),
        ("repair", "rows-repaired", "enrollments", 7),
    ]


def test_what_makes_all_files_wrong_refuses_the_package_and_is_told_once(college: Place) -> None:
    done = college.call("publish")
    assert done.returncode == 1
    assert college.report()["why"] == "The mapping names a school twice"
    (problem,) = (one for one in college.report()["problems"] if one["severity"] == "error")
    assert (problem["rule"], problem["reason"]) == ("mapping-broken", "The mapping names a school twice.")
    assert [rule["rule"] for rule in facts(college)["rules"] if rule["severity"] == "stop"] == ["mapping-broken"]


def test_only_with_strict_a_finding_that_stops_is_told_by_the_exit_code(college: Place) -> None:
    assert quality(college).exit_code == 0
    assert quality(college, "--strict").exit_code == 1
    college.sql("delete from connect.quality where rule = 'mapping-broken'")
    assert quality(college, "--strict").exit_code == 0


def test_the_records_of_a_rule_are_told_by_their_ids(college: Place) -> None:
    college.sql("update users set \"enabledUser\" = 'True'")
    college.call("publish")
    records = facts(college, "--rule", "email-shared")["records"]
    assert [record["record_id"] for record in records] == ["u3", "u4"]
    records = facts(college, "--rule", "boolean")["records"]
    assert [(record["entity"], record["row"], record["record_id"]) for record in records] == [
        ("users.csv enabledUser", 1, "u1"),
        ("users.csv enabledUser", 2, "u2"),
    ]
    assert "u3" in quality(college, "--rule", "email-shared").output
    assert "Nothing breaks the rule guid." in quality(college, "--rule", "guid").output
    done = quality(college, "--rule", "email-shard")
    assert (done.exit_code, "perhaps email-shared?" in done.output) == (2, True)


def test_people_who_share_a_value_are_grouped_upper_and_lower_case_aside(college: Place) -> None:
    found = facts(college)
    assert found["duplicates"] == {"email": [["u3", "u4"]], "external_id": [["u1", "u2"]], "username": []}
    assert found["usernames_replaced"] == ["u3", "u4"]
    college.sql("update connect.people set username = 'ADA' where user_sourced_id = 'u2'")
    assert facts(college)["duplicates"]["username"] == [["u1", "u2"]]


def test_matched_and_unmatched_learners_are_counted_per_program_and_in_total(college: Place) -> None:
    match = facts(college)["match"]
    assert match["programs"][0] == {
        "program_id": "p1",
        "program_name": "",
        "members": 10,
        "matched": 7,
        "unmatched": 3,
        "percent": 70.0,
        "by": {"by_users_list": 5, "by_remembered": 2},
    }
    assert match["programs"][2]["percent"] is None
    assert match["total"] == {"members": 12, "matched": 9, "unmatched": 3, "percent": 75.0}
    assert "75.0 %" in quality(college).output


def test_types_of_content_that_make_no_class_are_counted(college: Place) -> None:
    assert facts(college)["content_types"] == [
        {"content_type": "Project", "contents": 0, "enrollments": 67},
        {"content_type": "Specialization", "contents": 3, "enrollments": 0},
    ]


def test_nobody_is_named(college: Place, tmp_path: Path) -> None:
    file = tmp_path / "lms.csv"
    file.write_text("Name,Email\nMary,mary@example.org\nAda,ada@example.org\n")
    for arguments in ([], ["--json"], ["--rule", "email-shared"], ["--lms", str(file)], ["--lms", str(file), "--json"]):
        output = quality(college, *arguments).output
        assert not [name for name in EVERYBODY if name in output.replace("database", "")], arguments


PEOPLE = """
delete from users;
insert into users ("sourcedId", "orgSourcedIds", role, username, email, identifier) values
    ('u1', 's1', 'student', 'one', 'one@example.org', 'ID1'),
    ('u2', 's1,s2', 'student', 'two', 'two@example.org', 'ID2'),
    ('u3', 's2', 'student', 'three', null, null),
    ('u4', 's2', 'student', 'four', 'shared@example.org', 'ID4'),
    ('u5', 's1', 'student', 'five', 'five@example.org', 'ID5'),
    ('t1', 's1', 'teacher', 'teacher', null, null);
insert into orgs ("sourcedId", name, type) values ('s2', 'Second', 'school')
"""
EXPORT = [
    ["SIS ID", "Login_ID", "E-Mail", "Full name"],
    ["id1", "other", "other@example.org", "x; y"],
    ["", "x", "TWO@example.org", ""],
    ["", "Three", "", ""],
    ["", "a", "shared@example.org", ""],
    ["", "b", "shared@example.org", ""],
    ["ID9", "nobody", "nobody@example.org", ""],
]


@pytest.mark.parametrize(
    ("delimiter", "encoding"), [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-16"), ("|", "cp1252")]
)
def test_our_people_are_compared_with_an_export_of_the_lms(
    college: Place, tmp_path: Path, delimiter: str, encoding: str
) -> None:
    college.sql(*PEOPLE.split(";"))
    file = tmp_path / "lms.csv"
    lines = [delimiter.join(f'"{cell}"' for cell in row) for row in EXPORT]
    file.write_bytes(("\r\n".join(lines) + "\r\n").replace('"x; y"', '"Zoë; y"').encode(encoding))
    found = facts(college, "--lms", str(file))["lms"]
    assert found["accounts"] == 6
    assert found["columns"] == ["email", "identifier", "username"]
    assert found["total"] == {"people": 5, "matched": 3, "ambiguous": 1, "percent": 60.0}
    assert found["schools"] == [
        {"school": "s1", "name": "School", "people": 3, "matched": 2, "ambiguous": 0, "percent": 66.7},
        {"school": "s2", "name": "Second", "people": 3, "matched": 2, "ambiguous": 1, "percent": 66.7},
    ]
    assert found["by"] == {"identifier": 1, "email": 1, "username": 1}
    assert (found["only_here"], found["only_here_ids"], found["ambiguous_ids"]) == (1, ["u5"], ["u4"])
    assert found["only_there"] == 1
    shown = quality(college, "--lms", str(file)).output
    assert "only here: 1, only there: 1" in shown
    assert "several accounts there: u4" in shown


def test_a_file_without_such_columns_is_refused_without_repeating_its_first_line(
    college: Place, tmp_path: Path
) -> None:
    file = tmp_path / "lms.csv"
    for content in ("Mary,mary@example.org\n", "", "\n\n"):
        file.write_text(content)
        done = quality(college, "--lms", str(file))
        assert (done.exit_code, done.output.count("\n")) == (2, 1)
        assert "has no column called username, email or identifier" in done.output
        assert "Mary" not in done.output
    assert quality(college, "--lms", str(tmp_path / "none.csv")).exit_code == 2
    assert quality(college, "--lms", str(tmp_path)).exit_code == 2


def test_what_the_transforms_have_not_made_yet_is_one_sentence_or_is_left_out(college: Place, tmp_path: Path) -> None:
    college.sql("drop table connect.match", "drop table connect.people")
    found = facts(college)
    assert (found["match"], found["duplicates"]) == (None, {})
    assert quality(college).exit_code == 0
    file = tmp_path / "lms.csv"
    file.write_text("email\n")
    college.sql("drop table users")
    done = quality(college, "--lms", str(file))
    assert (done.exit_code, done.output.count("\n")) == (3, 1)
    assert "holds no oneroster.users: run the transforms (dbt:build) first." in done.output
    college.database.unlink()
    assert quality(college).exit_code == 3
