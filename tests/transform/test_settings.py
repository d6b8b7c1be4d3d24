"""Settings that change the files, empty accounts, and impossible settings."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.transform.college import completed, content, enrolled, member, offers, program, user
from tests.transform.warehouse import PROJECT, RAW_COLUMNS

if TYPE_CHECKING:
    from tests.transform.warehouse import Warehouse

FILES = ["orgs", "academicSessions", "courses", "classes", "users", "enrollments", "categories", "lineItems", "results"]

PLACEHOLDER = "O'x \\ \"'; drop schema connect cascade; --"


def test_an_account_without_a_row_gives_empty_files(warehouse: Warehouse) -> None:
    warehouse.build(grade_sync="granular_all")
    assert {name: warehouse.read(f'oneroster."{name}"') for name in FILES} == {name: [] for name in FILES}
    assert warehouse.read("connect.quality") == []


def test_no_stream_has_to_be_loaded_and_the_quality_names_what_a_file_lacks_without_it(warehouse: Warehouse) -> None:
    warehouse.load("2026-02-02T06:00:00Z", **dict.fromkeys(RAW_COLUMNS))
    warehouse.build(grade_sync="granular_all")
    assert {name: warehouse.read(f'oneroster."{name}"') for name in FILES} == {name: [] for name in FILES}
    found = {row["record_id"]: (row["rule"], row["severity"]) for row in warehouse.read("connect.quality")}
    stop, flag = ("stream-not-loaded", "stop"), ("stream-not-loaded", "flag")
    assert found == {
        **dict.fromkeys(("organizations", "programs", "users", "program_memberships"), stop),
        **dict.fromkeys(("program_contents", "enrollments", "item_grades"), flag),
    }
    warehouse.load("2026-02-02T06:00:00Z", **{stream: [] for stream in RAW_COLUMNS})


def test_a_list_of_organisations_that_never_had_one_is_named(warehouse: Warehouse) -> None:
    warehouse.load("2026-02-02T06:00:00Z", programs=[program("ProgA", "Arts")])
    warehouse.run("--select", "+quality")
    told = {(row["rule"], row["severity"]) for row in warehouse.read("connect.quality")}
    assert ("no-organization", "stop") in told
    warehouse.load("2026-02-02T06:00:00Z", programs=[])


def test_a_setting_that_is_not_allowed_stops_the_run_and_says_what_is(warehouse: Warehouse) -> None:
    done = warehouse.dbt("parse", grade_sync="granular")
    assert done.returncode != 0
    assert (
        "grade_sync is 'granular'; allowed are: final, final_incremental, granular_selected, granular_all."
        in done.output
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "time_zone",
            "Europe/Amsterdm'; drop schema connect cascade; --",
            "connect cascade; --'; it must be the name of an IANA time zone, such as Europe/Amsterdam.",
        ),
        ("name_placeholder", "x\ny", "name_placeholder is 'x y'; it must be a text of 1 to 100 letters on one line"),
        (
            "first_school_year",
            "2012) or (select 1",
            "first_school_year is '2012) or (select 1'; it must be the year in which a school year ends",
        ),
        ("attributes", ["users.sms"], "attributes is '['users.sms']'; it must be a mapping of targets to sources"),
        ("line_item_title_length", "50\n", "line_item_title_length is '50'; it must be a whole number from 10 to 255"),
        ("calendar", "x" * 10_000, f"calendar is '{'x' * 60}...'; allowed are: school_year, evergreen, terms."),
        ("name_placeholder", "{{ 1 }}", "name_placeholder is '{{ 1 }}'; it must be plain, without Jinja."),
    ],
)
def test_a_value_that_could_break_out_of_its_quotes_stops_the_run_before_anything_is_made(
    warehouse: Warehouse, name: str, value: object, said: str
) -> None:
    done = warehouse.dbt("parse", "--vars", json.dumps({name: value}))
    assert done.returncode != 0
    assert said in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("target", "source", "said"),
    [
        ("users.nickname", "learner.email", "there is no attribute users.nickname: those of users are "),
        ("users.sms", "learner.mail", "there is no source learner.mail for users.sms: see the sources in "),
        (
            "users.sms",
            "class.code",
            "users.sms cannot be filled from class.code, since users do not know a class; they",
        ),
        ("users.sms", ["learner.email"], "users.sms has to be one source, such as "),
        ("users.givenName", "", "users.givenName is required by OneRoster, so it cannot be unmapped: "),
        ("users.givenName", None, "users.givenName is required by OneRoster, so it cannot be unmapped: "),
        ("users.role", "learner.email", "users.role cannot be mapped, since it follows a rule: "),
    ],
)
def test_an_attribute_that_cannot_be_mapped_so_stops_the_run_and_the_message_says_why(
    warehouse: Warehouse, target: str, source: object, said: str
) -> None:
    arguments = json.dumps({"chosen": {target: source}})
    done = warehouse.dbt("run-operation", "attribute_mapping", "--args", arguments)
    assert done.returncode != 0
    assert f"attributes: {said}" in " ".join(done.output.split())


OTHERS = {
    "grade_sync": "granular_selected",
    "score_scale": "1",
    "above_maximum": "leave_out",
    "line_item_title_length": "20",
    "category_title_length": "10",
    "calendar": "evergreen",
    "time_zone": "Asia/Tokyo",
    "school_year_start": "01-01",
    "first_school_year": "2026",
    "identity": "email",
    "id_style": "hash",
    "name_placeholder": "?",
    "empty_classes": "false",
    "include_invited": "true",
    "attributes": '{"users.sms": "learner.email"}',
}
"""A value other than the default for each setting."""


def test_the_rules_hold_for_their_own_examples_whatever_the_organisation_has_chosen(warehouse: Warehouse) -> None:
    known = yaml.safe_load((PROJECT / "dbt_project.yml").read_text("utf-8"))["vars"]
    assert {name for name, value in OTHERS.items() if str(known[name]) != value} == set(known)
    chosen = {f"CONNECT_{name.upper()}": value for name, value in OTHERS.items()}
    done = warehouse.runner.run(("test", "--select", "test_type:unit"), warehouse.path, {}, chosen)
    assert done.returncode == 0, done.output[-6000:]
    assert re.search(r"PASS=[1-9]", done.output)


def test_every_setting_is_followed(warehouse: Warehouse) -> None:
    warehouse.load(
        "2026-04-02T06:00:00Z",
        organizations=[{"id": "Org_A", "name": "Example College", "slug": "example-college"}],
        programs=[program("ProgA", "Business")],
        program_contents=[offers("ProgA", "Course1"), offers("ProgA", "Course2")],
        contents=[content("Course1", "Writing"), content("Course2", "Reading")],
        users=[user("Ana1", "sso1", "Ana", "Ana@Mail.Example")],
        program_memberships=[
            member("ProgA", "sso1"),
            member("ProgA", "at 2026-03-28T22:59:59Z"),
            member("ProgA", "at 2026-03-28T23:00:00Z"),
            member("ProgA", "at 2026-03-29T22:00:00Z"),
        ],
        program_invitations=[
            {
                "id": "ProgA~inv@x.example",
                "program_id": "ProgA",
                "external_id": "inv@x.example",
                "full_name": "In Vited",
            }
        ],
        course_grades=[],
        item_grades=[],
        enrollments=[
            completed(
                "ProgA",
                "sso1",
                "Course1",
                0.5,
                enrolled_at="2025-03-31T22:30:00Z",
                completed_at="2025-12-31T23:30:00Z",
            ),
            # The day in which Amsterdam's clocks go forward begins at 23:00 UTC and ends at 22:00.
            *(
                enrolled("ProgA", f"at {time}", "Course1", enrolled_at=time)
                for time in ("2026-03-28T22:59:59Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")
            ),
        ],
    )
    warehouse.run(
        time_zone="Europe/Amsterdam",
        school_year_start="01-01",
        first_school_year=2026,
        identity="external_id",
        name_placeholder=PLACEHOLDER,
        attributes={
            "users.username": "learner.external_id",
            "users.sms": "learner.external_id",
            "users.middleName": "learner.coursera_user_id",
            "users.familyName": "learner.coursera_user_id",
            "users.identifier": "",
            "users.userIds": None,
            "classes.title": "class.course_and_program_name",
            "classes.location": "program.slug",
            "classes.periods": "school.name",
            "courses.subjects": "course.id",
            "orgs.identifier": "school.name",
        },
        empty_classes=False,
        include_invited=True,
    )
    users = warehouse.file("users")
    assert [users["user.sso1"][name] for name in ("username", "sms", "middleName")] == ["sso1", "sso1", "Ana1"]
    assert "identifier" not in users["user.sso1"]
    assert "userIds" not in users["user.sso1"]
    assert [row["familyName"] for row in users.values()].count(PLACEHOLDER) == 4  # No other learner has an account.
    (course,) = warehouse.file("courses").values()
    assert (course["title"], course["subjects"]) == ("Writing", "Course1")
    assert warehouse.file("orgs")["school.ProgA"]["identifier"] == "Business"
    assert sorted(row["enabledUser"] for row in users.values()) == ["false", "true", "true", "true", "true"]
    (section,) = warehouse.file("classes").values()
    assert [section[name] for name in ("title", "location", "periods", "classCode")] == [
        "Writing (Business)", "business-x", "Business", "writing"
    ]  # fmt: skip
    assert warehouse.file("academicSessions")["schoolYear.2026"] == {
        "sourcedId": "schoolYear.2026",
        "title": "2026",
        "type": "schoolYear",
        "startDate": "2026-01-01",
        "endDate": "2027-01-01",
        "schoolYear": "2026",
    }
    assert warehouse.file("results")["result.ProgA.Course1.sso1"]["scoreDate"] == "2026-01-01"
    assert "beginDate" not in warehouse.file("enrollments")["enrollment.ProgA.Course1.sso1"]
    begun = sorted(row["beginDate"] for row in warehouse.file("enrollments").values() if "beginDate" in row)
    assert begun == ["2026-03-28", "2026-03-29", "2026-03-30"]
