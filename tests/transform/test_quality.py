"""One college with one case for each rule of connect.quality, which finds its own case and no other."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tests.transform.college import completed, content, enrolled, item, member, offers, program, running, user
from tests.transform.warehouse import PROJECT

if TYPE_CHECKING:
    from tests.transform.warehouse import Warehouse

BEFORE, READ = "2026-01-31T06:00:00Z", "2026-02-05T06:00:00Z"
FOUND = {
    ("grade-above-maximum", "repair", "ProgA", "result.ProgA.Course1.Ana1.q1"),
    ("two-organizations", "stop", None, "Org_A"),
    ("two-organizations", "stop", None, "Org_B"),
    ("no-term", "stop", None, None),
    ("completed-without-grade", "flag", "ProgA", "enrollment.ProgA.Course1.Bo_2"),
    ("final-and-gradebook-disagree", "flag", "ProgA", "enrollment.ProgA.Course1.Cy-3"),
    ("gradebook-never-above-one", "flag", "ProgW", "ProgW"),
    ("enrolled-after-completed", "flag", "ProgA", "enrollment.ProgA.Course1.Eve5"),
    ("learner-without-account", "flag", "ProgA", "stranger"),
    ("learner-without-account", "flag", "ProgA", None),
    ("shared-email", "flag", None, "Twin"),
    ("shared-email", "flag", None, "Other"),
    ("shared-external-id", "flag", None, "One"),
    ("shared-external-id", "flag", None, "Two"),
    ("shared-username", "flag", None, "user.Twin"),
    ("shared-username", "flag", None, "user.Other"),
    ("several-external-ids", "flag", "ProgA", "Moved"),
    ("remembered-account", "flag", "ProgA", "Gone"),
    ("ambiguous-external-id", "skip", None, "DOUBLE"),
    ("external-id-passed-on", "flag", None, "sso4"),
    ("external-id-passed-on", "skip", "ProgA", "sso4~Course~Course9"),
    ("report-row-twice", "skip", "ProgA", "sso1~Course~Course1"),
    ("excluded-person-unknown", "flag", None, "line 3"),
    ("mapping-line-unknown", "flag", "ProgA", "line 2"),
    ("mapping-line-unknown", "flag", None, "line 2"),
    ("mapping-line-unknown", "flag", "ProgA", "line 3"),
    ("mapping-line-unknown", "flag", "ProgX", "line 4"),
    ("stale-report", "flag", None, None),
    ("content-without-gradebook", "skip", "ProgA", "Specialization"),
    ("content-without-gradebook", "skip", "ProgA", "Video"),
    ("content-without-class", "skip", "ProgA", "Video"),
    ("no-id", "skip", "ProgA", None),
    ("not-a-member", "skip", "ProgA", None),
    ("excluded-person", "skip", None, "Tester"),
    ("grade-not-shown-yet", "skip", "ProgA", None),
    ("course-without-name", "skip", "ProgA", None),
    ("program-not-mapped", "skip", "ProgN", "ProgN"),
    ("impossible-moment", "flag", "ProgA", "Ana1~Course~Course2"),
    ("unusable-score", "skip", "ProgA", "Cy-3~Course1~q1"),
    ("unusable-value", "repair", "ProgA", "Cy-3~Course1~q1"),
    ("repaired-text", "repair", None, "Ana1"),
    ("row-without-key", "skip", None, None),
    ("rows-left-out", "skip", "ProgA", None),
    ("stream-not-read", "flag", None, "program_contents"),
    ("term-far-ahead", "skip", None, "line 2"),
}
# In test_bad_rows.py, test_settings.py and tests/bad_data.
ELSEWHERE = {"impossible-completion", "stream-not-loaded", "no-organization", "organization-not-listed"}


@pytest.fixture(scope="module")
def college(warehouse: Warehouse) -> Warehouse:
    accounts = {"Ana1": "sso1", "Bo_2": "sso2", "Cy-3": "sso3", "Di_4": "sso4", "Eve5": "sso5", "Tester": "test"}
    listed = [
        *(
            user(key, name, key, f"{name}@mail.example", row_problems="email:text" if key == "Ana1" else None)
            for key, name in accounts.items()
        ),
        user("Twin", "twin", "A Twin", "same@mail.example"),
        user("Other", "other", "Other Twin", "Same@Mail.Example"),
        user("One", "double", "One", "one@mail.example"),
        user("Two", "Double", "Two", "two@mail.example"),
        user("Moved", "moved", "Moved", "moved@mail.example"),
        user("Gone", "gone", "Gone", "gone@mail.example", removed=True),
        user("Before", "sso4", "Be Fore", "before@mail.example", removed=True),
    ]
    warehouse.load(BEFORE, users=[user("Moved", "moved before", "Moved", "moved@mail.example")])
    warehouse.run("--select", "+person_aliases")
    warehouse.load(
        READ,
        organizations=[{"id": "Org_A", "name": "One"}, {"id": "Org_B", "name": "Two"}],
        programs=[
            program("ProgA", "Business"),
            program("ProgW", "Wrong"),
            program("ProgN", "Not mapped"),
            {"name": "No id"},
        ],
        stream_reads=[
            {"stream": "users", "program_id": "", "read_at": READ, "rows_left_out": 0},
            {"stream": "program_contents", "program_id": "ProgA", "read_at": "2026-01-20T06:00:00Z"},
            {"stream": "enrollments", "program_id": "ProgA", "read_at": READ, "rows_left_out": 3, "left_out_for": "id"},
        ],
        program_contents=[offers("ProgA", "Course1"), offers("ProgA", "Nameless"), offers("ProgA", "Movie", "Video")],
        contents=[content("Course1", "Writing"), content("Movie", "M", "Video")],
        users=listed,
        program_memberships=[
            *(member("ProgA", external_id) for external_id in accounts.values()),
            *(member("ProgA", external_id) for external_id in ("twin", "other", "moved", "gone", "stranger")),
            member("ProgA", "stranger@mail.example"),
            member("ProgA", "") | {"email": None},
        ],
        enrollments=[
            enrolled("ProgA", "sso1", "Course1"),
            completed("ProgA", "sso2", "Course1", None),
            completed("ProgA", "sso3", "Course1", 0.9),
            completed("ProgA", "sso4", "Course1", 1.5),
            completed("ProgA", "sso5", "Course1", 0.5, enrolled_at="2026-01-16T08:00:00Z"),
            completed("ProgA", "twin", "Course1", None, completed_at="2026-01-31T04:00:00Z"),
            completed("ProgA", "sso1", "Course2", 0.5, completed_at="1970-01-21T00:00:00Z"),
            enrolled("ProgA", "moved", "Course1"),
            enrolled("ProgA", "moved before", "Course1"),
            enrolled("ProgA", "elsewhere", "Course1"),
            enrolled("ProgA", "DOUBLE", "Course1"),
            enrolled("ProgA", "sso4", "Course9", enrolled_at="2025-05-01T00:00:00Z"),
            enrolled("ProgA", "sso1", "Course1", membership_state="DELETED_MEMBER"),
            enrolled("ProgA", "test", "Course1"),
            enrolled("ProgN", "sso1", "Course1"),
            *(
                enrolled("ProgA", external_id, "Path", content_type="Specialization")
                for external_id in ("sso1", "sso2")
            ),
            enrolled("ProgA", "sso1", "Movie", content_type="Video"),
        ],
        course_grades=[
            running("ProgA", "sso3", "Course1", 90.6),
            running("ProgA", "sso5", "Course1", 50.5),
            running("ProgW", "sso1", "Course1", 0.87),
            running("ProgW", "sso2", "Course1", 1.0),
        ],
        item_grades=[
            item("ProgA", "sso1", "Course1", "q1", 150.0),
            item("ProgA", "sso3", "Course1", "q1", -1.0, row_problems="is_item_passed:type"),
        ],
    )
    warehouse.mapping(
        school_mapping=[
            {"program_id": key, "school_id": key, "school_name": key} for key in ("ProgA", "ProgW", "ProgX")
        ],
        excluded_people=[{"learner": "test"}, {"learner": "tset"}],
        sections=[{"program_id": "ProgA", "course_id": "Course8", "section_id": "s", "learner": "sso1"}],
        facilitators=[{"course_id": "Course8", "facilitator_id": "f"}],
        terms=[
            {
                "term_id": "far",
                "title": "Far",
                "school_year": "2029",
                "starts_on": "2028-09-01",
                "ends_before": "2029-01-01",
            }
        ],
        chosen_items=[{"item": "Q*"}, {"program_id": "ProgA", "course_id": "Course1", "item": "typo"}],
    )
    warehouse.run("--select", "+quality", "+match", grade_sync="granular_selected", calendar="terms")
    return warehouse


def test_each_rule_finds_its_own_case(college: Warehouse) -> None:
    rows = college.read("connect.quality")
    assert {(row["rule"], row["severity"], row["program_id"], row["record_id"]) for row in rows} == FOUND
    assert len(rows) == len(FOUND)


def test_there_is_a_case_here_for_every_rule() -> None:
    model = (PROJECT / "models" / "connect" / "quality" / "quality.sql").read_text("utf-8")
    assert set(re.findall(r"select\s+'([a-z-]+)'(?:,| as rule)", model)) == ELSEWHERE | {rule for rule, *_ in FOUND}


def test_records_that_are_only_counted_are_counted(college: Warehouse) -> None:
    counts = {
        row["record_id"]: row["how_many"]
        for row in college.read("connect.quality")
        if row["rule"].endswith("gradebook")
    }
    assert counts == {"Specialization": 2, "Video": 1}


def test_no_finding_tells_a_name_or_an_address(college: Warehouse) -> None:
    cells = {str(cell) for row in college.read("connect.quality") for cell in row.values()}
    assert not [cell for cell in cells if "@" in cell or "Some Body" in cell]


def test_match_tells_how_many_members_have_an_account(college: Warehouse) -> None:
    assert college.read("connect.match") == [
        {
            "program_id": "ProgA",
            "members": 11,
            "matched": 9,
            "by_users_list": 8,
            "by_remembered": 1,
            "by_external_id": 2,
            "matched_percent": Decimal("81.82"),
        }
    ]
