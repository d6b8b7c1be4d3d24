"""One college with every awkward case, built once with final grades and once with all items."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from oneroster_csv import binding
from tests.transform.college import completed, content, enrolled, item, member, offers, program, user

if TYPE_CHECKING:
    from tests.transform.warehouse import Row, Warehouse

FILES = ("orgs", "academicSessions", "courses", "classes", "users", "enrollments", "categories", "lineItems", "results")
FILES_1_2 = ("users", "roles", "categories", "lineItems", "results")
"""Files that OneRoster 1.2 has alone, or with other columns."""


def header(version: str, file: str) -> list[str]:
    return [column.name for column in binding.load(version).files[file]]


@pytest.fixture(scope="module")
def college(warehouse: Warehouse) -> Warehouse:
    late = {"membership_state": "DELETED_MEMBER", "deleted_at": "2025-12-01T00:00:00Z"}
    warehouse.load(
        "2026-02-02T06:00:00Z",
        organizations=[{"id": "Org_A", "name": "Example College", "slug": "example-college"}],
        programs=[program("ProgA", "Business"), program("ProgB", "Data"), program("ProgE", "Empty")],
        program_contents=[
            offers("ProgA", "Course1"),
            offers("ProgA", "Special1", "Specialization"),
            offers("ProgA", "Nameless"),
            offers("ProgB", "Course1"),
            offers("ProgB", "Course2"),
        ],
        contents=[
            content("Course1", "Writing"),
            content("Course2", "Graphs, Trees"),
            content("Special1", "S", "Specialization"),
        ],
        users=[
            user("Ana1", "sso1", "Ana  Maria\nde Souza", "Ana@Mail.Example"),
            user("Bo_2", "bo+news@mail.example", "Bo"),
            user("Cy-3", "sso3", "Zoe\u0308 O'Neil"),
            user("Away4", "sso4", "Gone Away", removed=True),
            user("Idle5", "sso5", None),
            user("Back6", "sso6", "Come Back"),
        ],
        program_memberships=[
            member("ProgA", "sso1"),
            member("ProgB", "sso1", joined_at="2025-08-31T08:00:00Z"),
            member("ProgA", "bo+news@mail.example"),
            member("ProgB", "sso3"),
            member("ProgA", "sso4", removed=True),
            member("ProgE", "sso5"),
            member("ProgA", "sso6"),
            member("ProgB", "new one", "Just Added"),
            member("Unlisted", "sso3"),
        ],
        program_invitations=[
            {
                "id": "ProgA~inv@x.example",
                "program_id": "ProgA",
                "external_id": "inv@x.example",
                "full_name": "In Vited",
            }
        ],
        enrollments=[
            completed("ProgA", "sso1", "Course1", 0.922300033569336, completed_at="2026-01-15T23:30:00Z"),
            enrolled("ProgB", "sso1", "Course1", enrolled_at="2024-03-01T08:00:00Z"),
            completed("ProgA", "bo+news@mail.example", "Course1", None),
            enrolled("ProgA", "bo+news@mail.example", "Retired9", enrolled_at="2011-05-01T08:00:00Z"),
            completed("ProgB", "sso3", "Course2", 1.0),
            completed("ProgA", "sso4", "Course1", 0.5),
            completed("ProgA", "sso6", "Course1", 0.75, **late),
            enrolled("ProgB", "sso6", "Course2"),
            enrolled("ProgB", "sso3", "Special1", content_type="Specialization"),
        ],
        item_grades=[
            item("ProgA", "sso1", "Course1", "q1", 80.0),
            item("ProgA", "sso1", "Course1", "q2", None),
            item("ProgA", "sso1", "Course1", "free", None, item_weight=0.0),
            item("ProgA", "sso6", "Course1", "extra", 66.666, item_weight=0.0, item_type="STAFF_GRADED_ASSIGNMENT"),
            item("ProgA", "sso4", "Course1", "q1", 10.0),
            item("ProgB", "sso3", "Course2", "long", 0.0, module_name="M" * 30, item_name="I" * 30),
            item("ProgB", "sso6", "Course2", "long", 90.0),
        ],
    )
    warehouse.run()
    return warehouse


@pytest.fixture(scope="module")
def every_item(college: Warehouse) -> Warehouse:
    """The same college once more, with every gradable item; only for tests at the end of this file."""
    college.run(grade_sync="granular_all")
    return college


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_the_columns_of_the_standard_in_its_order(college: Warehouse, name: str) -> None:
    found = list(college.read(f'oneroster."{name}"')[0])
    assert found == header("1.1", name)


@pytest.mark.parametrize("name", FILES_1_2)
def test_a_file_of_1_2_has_its_own_columns_and_the_rows_of_1_1(college: Warehouse, name: str) -> None:
    rows = college.read(f'oneroster_1_2."{name}"')
    assert list(rows[0]) == header("1.2", name)
    assert {type(cell) for row in rows for cell in row.values()} <= {str, type(None)}
    if name != "roles":
        before = {row["sourcedId"]: row for row in college.read(f'oneroster."{name}"')}
        for row in rows:
            assert (
                row.items() >= {key: cell for key, cell in before.pop(row["sourcedId"]).items() if key in row}.items()
            )
        assert before == {}


def test_in_1_2_a_user_has_one_primary_role_in_each_school_and_belongs_to_the_one_joined_first(
    college: Warehouse,
) -> None:
    roles = {row["sourcedId"]: row for row in college.read("oneroster_1_2.roles")}
    assert {(row["roleType"], row["role"]) for row in roles.values()} == {("primary", "student")}
    assert roles["role.Ana1.ProgB"]["userSourcedId"] == "user.Ana1"
    listed = {
        (row["sourcedId"], org) for row in college.read("oneroster.users") for org in row["orgSourcedIds"].split(",")
    }
    assert {(row["userSourcedId"], row["orgSourcedId"]) for row in roles.values()} == listed
    assert len(roles) == len(listed)
    primary = {row["sourcedId"]: row["primaryOrgSourcedId"] for row in college.read("oneroster_1_2.users")}
    assert primary["user.Ana1"] == "school.ProgB"
    assert primary["user.Idle5"] == "school.ProgE"


def test_in_1_2_the_session_is_a_grading_period_and_line_items_and_results_tell_school_and_class(
    college: Warehouse,
) -> None:
    final = {row["sourcedId"]: row for row in college.read('oneroster_1_2."lineItems"')}["lineItem.ProgB.Course2"]
    assert (final["academicSessionSourcedId"], final["schoolSourcedId"]) == ("gradingPeriod.2026", "school.ProgB")
    results = {row["sourcedId"]: row for row in college.read("oneroster_1_2.results")}
    assert results["result.ProgB.Course2.Cy-3"]["classSourcedId"] == "class.ProgB.Course2"
    assert {row["inProgress"] for row in results.values()} == {None}


@pytest.mark.parametrize("name", FILES)
def test_cells_are_text_and_the_columns_of_delta_files_are_blank(college: Warehouse, name: str) -> None:
    rows = college.read(f'oneroster."{name}"')
    assert {type(cell) for row in rows for cell in row.values()} <= {str, type(None)}
    assert {row["status"] or row["dateLastModified"] for row in rows} == {None}
    assert "" not in {cell for row in rows for cell in row.values()}


def test_every_program_is_a_school_below_the_organisation(college: Warehouse) -> None:
    orgs = college.file("orgs")
    assert orgs["district.Org_A"] == {
        "sourcedId": "district.Org_A",
        "name": "Example College",
        "type": "district",
        "identifier": "example-college",
    }
    assert {org["parentSourcedId"] for org in orgs.values() if org["type"] == "school"} == {"district.Org_A"}
    assert orgs["school.ProgE"]["name"] == "Empty"
    assert orgs["school.ProgA"]["identifier"] == "business-x"


def test_people_are_known_by_their_account_and_only_else_by_a_hash(college: Warehouse) -> None:
    users = college.file("users")
    assert {"user.Ana1", "user.Bo_2", "user.Cy-3", "user.Idle5", "user.Back6"} < set(users)
    (unknown,) = set(users) - {"user.Ana1", "user.Bo_2", "user.Cy-3", "user.Idle5", "user.Back6"}
    assert re.fullmatch(r"user\.h[0-9a-f]{40}", unknown)
    assert users[unknown]["givenName"] == "Just"


def test_names_are_one_line_in_nfc_and_never_blank(college: Warehouse) -> None:
    names = {key: (row["givenName"], row["familyName"]) for key, row in college.file("users").items()}
    assert names["user.Ana1"] == ("Ana Maria de", "Souza")
    assert names["user.Bo_2"] == ("Bo", "-")
    assert names["user.Cy-3"] == ("Zo\u00eb", "O'Neil")
    assert names["user.Idle5"] == ("-", "-")


def test_a_user_lists_all_schools_and_needs_no_enrollment(college: Warehouse) -> None:
    users = college.file("users")
    assert users["user.Ana1"]["orgSourcedIds"] == "school.ProgA,school.ProgB"
    assert users["user.Ana1"]["username"] == "ana@mail.example"
    assert users["user.Ana1"]["userIds"] == "{Coursera:sso1}"
    assert users["user.Cy-3"]["orgSourcedIds"] == "school.ProgB"  # A program that is not listed becomes no school.
    assert users["user.Idle5"]["orgSourcedIds"] == "school.ProgE"


def test_removed_and_invited_people_are_in_no_file(college: Warehouse) -> None:
    assert "user.Away4" not in college.file("users")
    assert not [row for row in college.file("users").values() if row["givenName"] == "In"]
    assert not [key for key in college.file("enrollments") if "Away4" in key]
    assert not [key for key in college.file("results") if "Away4" in key]


def test_the_member_list_outranks_the_state_in_a_late_report(college: Warehouse) -> None:
    enrollments = college.file("enrollments")
    assert "enrollment.ProgA.Course1.Back6" in enrollments
    assert "enrollment.ProgB.Course2.Back6" not in enrollments
    assert college.file("results")["result.ProgA.Course1.Back6"]["score"] == "75.00"


def test_one_course_through_two_programs_is_two_classes_and_two_enrollments(college: Warehouse) -> None:
    enrollments = college.file("enrollments")
    assert enrollments["enrollment.ProgA.Course1.Ana1"]["classSourcedId"] == "class.ProgA.Course1"
    assert enrollments["enrollment.ProgB.Course1.Ana1"]["classSourcedId"] == "class.ProgB.Course1"
    assert {row["title"] for key, row in college.file("classes").items() if key.endswith("Course1")} == {"Writing"}


def test_a_course_that_left_the_catalogue_keeps_its_class_and_takes_its_name_from_the_report(
    college: Warehouse,
) -> None:
    assert college.file("courses")["course.Retired9"]["title"] == "Report name of Retired9"
    assert college.file("classes")["class.ProgA.Retired9"]["classCode"] == "slug-of-Retired9"


def test_specializations_and_courses_without_any_name_make_no_class_and_are_counted(college: Warehouse) -> None:
    assert not [key for key in college.file("classes") if "Special1" in key or "Nameless" in key]
    skipped = {
        (row["rule"], row["program_id"], row["record_id"]): row["how_many"]
        for row in college.read("connect.quality")
        if row["severity"] == "skip"
    }
    assert skipped == {
        ("content-without-gradebook", "ProgB", "Specialization"): 1,
        ("content-without-class", "ProgA", "Specialization"): 1,
        ("not-a-member", "ProgA", None): 1,
        ("not-a-member", "ProgB", None): 1,
        ("course-without-name", "ProgA", None): 1,
    }


def test_a_class_has_every_term_somebody_was_active_in_and_the_current_one(college: Warehouse) -> None:
    classes = college.file("classes")
    assert classes["class.ProgB.Course1"]["termSourcedIds"] == "term.2024,term.2026"
    assert classes["class.ProgA.Course1"]["termSourcedIds"] == "term.2026"


def test_a_begin_date_outside_the_terms_of_the_class_is_blank(college: Warehouse) -> None:
    enrollments = college.file("enrollments")
    assert enrollments["enrollment.ProgB.Course1.Ana1"]["beginDate"] == "2024-03-01"
    assert "beginDate" not in enrollments["enrollment.ProgA.Retired9.Bo_2"]
    assert not [row for row in enrollments.values() if "endDate" in row]


def test_a_school_year_has_one_term_and_one_grading_period_of_the_same_dates(college: Warehouse) -> None:
    sessions = college.file("academicSessions")
    dates = {
        (row["startDate"], row["endDate"], row["schoolYear"]) for key, row in sessions.items() if key.endswith("2026")
    }
    assert dates == {("2025-08-01", "2026-08-01", "2026")}
    assert sessions["gradingPeriod.2026"]["parentSourcedId"] == "term.2026"
    assert sessions["term.2026"]["parentSourcedId"] == "schoolYear.2026"
    assert sessions["schoolYear.2026"]["title"] == "2025-26"


def test_the_final_grade_is_a_percentage_once_completed_and_graded(college: Warehouse) -> None:
    assert {key: (row["score"], row["scoreDate"]) for key, row in college.file("results").items()} == {
        "result.ProgA.Course1.Ana1": ("92.23", "2026-01-15"),
        "result.ProgA.Course1.Back6": ("75.00", "2026-01-15"),
        "result.ProgB.Course2.Cy-3": ("100.00", "2026-01-15"),
    }
    assert set(college.file("categories")) == {"category.final-grade"}
    final = college.file("lineItems")["lineItem.ProgA.Course1"]
    assert (final["assignDate"], final["dueDate"]) == ("2025-08-01", "2026-07-31")
    assert final["gradingPeriodSourcedId"] == "gradingPeriod.2026"


def test_building_again_gives_the_same_roster(college: Warehouse, request: pytest.FixtureRequest) -> None:
    roster = ["orgs", "academicSessions", "courses", "classes", "users", "enrollments"]
    before = {name: college.read(f'oneroster."{name}"') for name in roster}
    request.getfixturevalue("every_item")
    assert {name: college.read(f'oneroster."{name}"') for name in roster} == before


def test_with_all_items_each_one_with_a_weight_or_a_grade_is_a_line_item_and_there_is_no_final(
    every_item: Warehouse,
) -> None:
    line_items: dict[str, Row] = every_item.file("lineItems")
    assert set(line_items) == {
        "lineItem.ProgA.Course1.q1",
        "lineItem.ProgA.Course1.q2",
        "lineItem.ProgA.Course1.extra",
        "lineItem.ProgB.Course2.long",
    }
    assert line_items["lineItem.ProgA.Course1.q1"]["title"] == "Week 1: Quiz q1"
    assert line_items["lineItem.ProgA.Course1.q1"]["description"] == "Week 1 / Basics / Quiz q1"
    assert set(every_item.file("categories")) == {"category.quiz", "category.staff-graded-assignment"}


def test_with_all_items_only_graded_items_of_enrolled_members_have_a_result(every_item: Warehouse) -> None:
    assert {key: row["score"] for key, row in every_item.file("results").items()} == {
        "result.ProgA.Course1.Ana1.q1": "80.00",
        "result.ProgA.Course1.Back6.extra": "66.67",
        "result.ProgB.Course2.Cy-3.long": "0.00",
    }
    assert {row["scoreDate"] for row in every_item.file("results").values()} == {"2026-02-02"}


def test_a_line_item_title_has_at_most_fifty_characters(every_item: Warehouse) -> None:
    titles = {row["title"] for row in every_item.read('oneroster."lineItems"')}
    assert max(map(len, titles)) <= 50
