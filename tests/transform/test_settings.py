"""Settings that change what the files say, empty accounts, and settings that cannot be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.transform.college import completed, content, member, offers, program, user

if TYPE_CHECKING:
    from tests.transform.warehouse import Warehouse

FILES = ["orgs", "academicSessions", "courses", "classes", "users", "enrollments", "categories", "lineItems", "results"]


def test_an_account_without_a_single_row_gives_empty_files(warehouse: Warehouse) -> None:
    warehouse.build()
    assert {name: warehouse.read(f'oneroster."{name}"') for name in FILES} == {name: [] for name in FILES}


def test_every_setting_is_followed(warehouse: Warehouse) -> None:
    warehouse.load(
        "2026-02-02T06:00:00Z",
        organizations=[{"id": "Org_A", "name": "Example College", "slug": "example-college"}],
        programs=[program("ProgA", "Business")],
        program_contents=[offers("ProgA", "Course1"), offers("ProgA", "Course2")],
        contents=[content("Course1", "Writing"), content("Course2", "Reading")],
        users=[user("Ana1", "sso1", "Ana", "Ana@Mail.Example")],
        program_memberships=[member("ProgA", "sso1")],
        program_invitations=[
            {
                "id": "ProgA~inv@x.example",
                "program_id": "ProgA",
                "external_id": "inv@x.example",
                "full_name": "In Vited",
            }
        ],
        enrollments=[
            completed(
                "ProgA",
                "sso1",
                "Course1",
                0.5,
                enrolled_at="2025-03-31T22:30:00Z",
                completed_at="2025-12-31T23:30:00Z",
            )
        ],
    )
    warehouse.build(
        time_zone="Europe/Amsterdam",
        school_year_start="01-01",
        first_school_year=2026,
        identity="external_id",
        username="external_id",
        name_placeholder="n/a",
        class_title="course_and_program",
        empty_classes=False,
        include_invited=True,
    )
    users = warehouse.file("users")
    assert users["user.sso1"]["username"] == "sso1"
    assert users["user.sso1"]["familyName"] == "n/a"
    assert sorted(row["enabledUser"] for row in users.values()) == ["false", "true"]
    assert [row["title"] for row in warehouse.file("classes").values()] == ["Writing (Business)"]
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

    warehouse.build(id_style="hash", identity="email")
    ids = [key for name in FILES if name != "categories" for key in warehouse.file(name)]
    assert ids
    assert not [key for key in ids if not re.fullmatch(r"[a-zA-Z]+\.h[0-9a-f]{40}", key)]


@pytest.mark.parametrize(
    ("variables", "grade_sync", "sentence"),
    [
        ("{}", "granular", "grade_sync is 'granular'; allowed are: final, granular_all."),
        ("{school_year_start: 02-30}", "", "school_year_start is '02-30'; it must be a month and a day of every year"),
        ("{empty_classes: maybe}", "", "empty_classes is 'maybe'; allowed are: true, false."),
    ],
)
def test_a_setting_that_is_not_allowed_stops_the_run_and_says_what_is(
    warehouse: Warehouse, variables: str, grade_sync: str, sentence: str
) -> None:
    done = warehouse.dbt("parse", "--vars", variables, grade_sync=grade_sync)
    assert done.returncode != 0
    assert sentence in done.stdout
