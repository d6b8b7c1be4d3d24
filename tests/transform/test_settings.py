"""Settings that change what the files say, empty accounts, and settings that cannot be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.transform.college import completed, content, enrolled, member, offers, program, user

if TYPE_CHECKING:
    from tests.transform.warehouse import Warehouse

FILES = ["orgs", "academicSessions", "courses", "classes", "users", "enrollments", "categories", "lineItems", "results"]


OFTEN_UNSELECTED = (
    "enrollments course_grades item_grades course_materials curriculum_collections skillsets skillset_progress"
)


def test_an_account_without_a_row_gives_empty_files_even_if_only_the_roster_was_ever_loaded(
    warehouse: Warehouse,
) -> None:
    warehouse.load("2026-02-02T06:00:00Z", **dict.fromkeys(OFTEN_UNSELECTED.split()))
    warehouse.build(grade_sync="granular_all")
    assert {name: warehouse.read(f'oneroster."{name}"') for name in FILES} == {name: [] for name in FILES}


def test_a_setting_that_is_not_allowed_stops_the_run_and_says_what_is(warehouse: Warehouse) -> None:
    done = warehouse.dbt("parse", grade_sync="granular")
    assert done.returncode != 0
    assert (
        "grade_sync is 'granular'; allowed are: final, final_incremental, granular_selected, granular_all."
        in done.output
    )


def test_the_rules_hold_for_their_own_examples(warehouse: Warehouse) -> None:
    done = warehouse.dbt("test", "--select", "test_type:unit")
    assert done.returncode == 0, done.output[-6000:]
    assert re.search(r"PASS=[1-9]", done.output)


def test_every_setting_is_followed(warehouse: Warehouse) -> None:
    warehouse.load(
        "2026-02-02T06:00:00Z",
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
        name_placeholder="n/a",
        attributes={"users.username": "learner.external_id", "classes.title": "class.course_and_program_name"},
        empty_classes=False,
        include_invited=True,
    )
    users = warehouse.file("users")
    assert users["user.sso1"]["username"] == "sso1"
    assert users["user.sso1"]["familyName"] == "n/a"
    assert sorted(row["enabledUser"] for row in users.values()) == ["false", "true", "true", "true", "true"]
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
    begun = sorted(row["beginDate"] for row in warehouse.file("enrollments").values() if "beginDate" in row)
    assert begun == ["2026-03-28", "2026-03-29", "2026-03-30"]
