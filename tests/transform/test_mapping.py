"""Decisions of an operator over three days: schools, teachers, sections, and test users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.transform.college import completed, content, enrolled, member, offers, program, user

if TYPE_CHECKING:
    from tests.transform.warehouse import Row, Warehouse

FIRST, SECOND = "2026-02-02T06:00:00Z", "2026-02-03T06:00:00Z"
ROSTER = ("orgs", "courses", "classes", "users", "enrollments")
COLLEGE = {
    "organizations": [{"id": "Org_A", "name": "Example College", "slug": "example-college"}],
    "contents": [content("Course1", "Writing"), content("Course2", "Reading")],
    "users": [
        user("Ana1", "sso1", "Ana Lima", "Ana@Mail.Example"),
        user("Bo2", "sso2", "Bo Berg", "bo@mail.example"),
        user("Cy3", "sso3", "Cy Conti", "cy@mail.example"),
        user("Test4", "sso4", "Test One", "qa@mail.example"),
        user("Test5", "sso5", "Test Two", "QA.Two@mail.example"),
        user("Test6", "sso6", "Test Three", "six@mail.example"),
    ],
}
Days = list[dict[str, dict[str, "Row"]]]


def studies(program_id: str, *learners: str) -> dict[str, list[Row]]:
    """A program in which each learner has completed Course1."""
    return {
        "program_contents": [offers(program_id, "Course1")],
        "program_memberships": [member(program_id, key, email=None) for key in learners],
        "enrollments": [completed(program_id, key, "Course1", 0.9) for key in learners],
    }


def together(*parts: dict[str, list[Row]]) -> dict[str, list[Row]]:
    return {stream: [row for part in parts for row in part[stream]] for stream in parts[0]}


def maps(program_id: str, school_id: str, school_name: str) -> Row:
    return {"program_id": program_id, "program_name": program_id, "school_id": school_id, "school_name": school_name}


@pytest.fixture(scope="module")
def days(warehouse: Warehouse) -> Days:
    """The roster of three days.

    Nothing is mapped on the first. On the second Plain is renamed by Coursera, Dead is gone, New has come for Old, and
    all but Late and Out are mapped. On the third Late is mapped as well, and nothing was loaded.
    """
    taught = together(
        studies("Plain", "sso1", "sso2", "sso3", "sso4", "sso5", "sso6"),
        studies("Twin", "sso1"),
        studies("Dead", "sso2"),
        studies("Old", "sso3"),
        studies("Out", "sso1", "onlyout"),
    )
    programs = [program(key, key) for key in ("Plain", "Twin", "Dead", "Old", "Out")]
    warehouse.load(FIRST, programs=programs, **COLLEGE, **taught)
    warehouse.run()
    first = {name: warehouse.file(name) for name in ROSTER}

    programs[0] = program("Plain", "Renamed")
    programs[2] = program("Dead", "Dead") | {"removed": True}
    programs[3] = program("Old", "Old") | {"removed": True}
    programs += [program("New", "New"), program("Late", "Late"), program("Other", "Other"), program("Left", "Left")]
    taught = together(
        taught, studies("New", "sso3"), studies("Late", "sso2", "onlylate"), studies("Other", "sso1", "sso2", "sso3")
    )
    taught["program_contents"] += [offers("Other", "Course2")]
    taught["enrollments"] += [enrolled("Other", "sso1", "Course2")]
    warehouse.load(SECOND, programs=programs, **taught)
    mapping: dict[str, Any] = {
        "school_mapping": [
            maps("Plain", "Plain", "North Campus"),
            maps("Twin", "Plain", "North Campus"),
            maps("Dead", "Dead", "Dead"),
            maps("New", "Old", "Old"),
            maps("Other", "sis-7", "School of the SIS"),
            {"program_id": "Left", "program_name": "Left"},
            {"program_id": "Left and gone"},
        ],
        "excluded_people": [{"learner": "SSO4"}, {"learner": "qa.two@mail.example"}, {"learner": "test6"}],
        "facilitators": [
            {"program_id": "Other", "facilitator_id": "f2", "given_name": "Fay", "username": "fay"},
            {"program_id": "Other", "course_id": "Course1", "facilitator_id": "f1", "email": "ANA@mail.example"},
            {"course_id": "Course1", "facilitator_id": "f1", "email": "ANA@mail.example"},
            {"program_id": "Out", "facilitator_id": "f3", "given_name": "No", "family_name": "Body"},
        ],
        "sections": [
            {
                "program_id": "Other",
                "course_id": "Course1",
                "section_id": "s1",
                "section_name": "Monday",
                "learner": "sso1",
            },
            {"program_id": "Other", "course_id": "Course1", "section_id": "s 2", "learner": "BO@mail.example"},
            {"program_id": "Other", "course_id": "Course2", "section_id": "s1", "learner": "Ana1"},
        ],
    }
    warehouse.mapping(**mapping)
    warehouse.run()
    second = {name: warehouse.file(name) for name in ROSTER}

    mapping["school_mapping"].append(maps("Late", "Late", "Late"))
    warehouse.mapping(**mapping)
    warehouse.build()  # All data tests run.
    return [first, second, {name: warehouse.file(name) for name in ROSTER}]


def of(day: dict[str, dict[str, Row]], program_id: str) -> set[str]:
    """The ids of the classes and enrollments of a program."""
    return {key for name in ("classes", "enrollments") for key in day[name] if f".{program_id}." in key}


def schools(day: dict[str, dict[str, Row]]) -> dict[str, str]:
    return {key: row["name"] for key, row in day["orgs"].items() if row["type"] == "school"}


def found(warehouse: Warehouse, rule: str) -> list[str]:
    """The record ids of a rule's findings, as of the third day."""
    return [row["record_id"] for row in warehouse.read("connect.quality") if row["rule"] == rule]


def test_at_first_every_program_is_a_school_and_a_saved_mapping_changes_no_id(days: Days) -> None:
    first, second, _ = days
    assert schools(first) == {f"school.{key}": key for key in ("Plain", "Twin", "Dead", "Old", "Out")}
    assert "school.Plain" in second["orgs"]
    teachers = {key for key in of(second, "Plain") if "facilitator" in key}
    left = {f"enrollment.Plain.Course1.Test{number}" for number in (4, 5, 6)}
    assert of(second, "Plain") - teachers == of(first, "Plain") - left


def test_a_program_that_is_new_in_the_source_stays_out_until_it_is_mapped(days: Days) -> None:
    _, second, third = days
    assert (of(second, "Late"), "school.Late" in second["orgs"]) == (set(), False)
    assert "school.Late" in third["orgs"]


def test_a_newly_mapped_school_arrives_complete_though_its_data_was_loaded_before(
    days: Days, warehouse: Warehouse
) -> None:
    _, second, third = days
    (newcomer,) = set(third["users"]) - set(second["users"])
    assert third["users"][newcomer]["orgSourcedIds"] == "school.Late"
    assert third["users"]["user.Bo2"]["orgSourcedIds"] == "school.Late,school.Plain,school.sis-7"
    students = [row for row in third["enrollments"].values() if row["classSourcedId"] == "class.Late.Course1"]
    assert sorted(row["role"] for row in students) == ["student", "student", "teacher"]
    assert "result.Late.Course1.Bo2" in warehouse.file("results")


def test_mapping_one_school_leaves_every_other_row_as_it_was(days: Days) -> None:
    _, second, third = days
    for name in ("orgs", "courses", "classes", "enrollments"):
        assert {key: third[name].get(key) for key in second[name]} == second[name]


def test_a_school_keeps_its_edited_name_when_coursera_renames_the_program(days: Days) -> None:
    assert [schools(day)["school.Plain"] for day in days] == ["Plain", "North Campus", "North Campus"]


def test_a_mapped_program_that_is_gone_from_coursera_leaves_the_files_and_is_told(
    days: Days, warehouse: Warehouse
) -> None:
    assert of(days[0], "Dead")
    assert (of(days[1], "Dead"), "school.Dead" in days[1]["orgs"]) == (set(), False)
    gone = [row for row in warehouse.read("connect.quality") if row["entity"] == "school_mapping.csv"]
    assert [(row["rule"], row["program_id"]) for row in gone] == [("mapping-line-unknown", "Dead")]


def test_a_program_left_out_is_in_no_file_and_counted(days: Days, warehouse: Warehouse) -> None:
    first, _, third = days
    assert of(first, "Out")
    assert (of(third, "Out"), "school.Out" in third["orgs"]) == (set(), False)
    assert len(first["users"]) == 7
    assert {"school.Out"} & {
        school for row in third["users"].values() for school in row["orgSourcedIds"].split(",")
    } == set()
    assert found(warehouse, "program-not-mapped") == ["Out"]
    assert found(warehouse, "not-a-member") == []


def test_the_programs_of_a_new_source_system_keep_the_old_school(days: Days) -> None:
    _, second, _ = days
    assert schools(second)["school.Old"] == "Old"
    assert second["classes"]["class.New.Course1"]["schoolSourcedId"] == "school.Old"


def test_a_program_beside_another_source_is_the_school_that_source_knows(days: Days) -> None:
    assert schools(days[1])["school.sis-7"] == "School of the SIS"


def test_merged_programs_are_one_school_with_the_classes_of_both(days: Days) -> None:
    _, second, _ = days
    merged = {key for key, row in second["classes"].items() if row["schoolSourcedId"] == "school.Plain"}
    assert merged == {"class.Plain.Course1", "class.Twin.Course1"}
    assert second["users"]["user.Ana1"]["orgSourcedIds"] == "school.Plain,school.sis-7"
    assert second["orgs"]["school.Plain"]["identifier"] == "renamed-x"


def test_excluded_people_are_in_no_file_and_counted(days: Days, warehouse: Warehouse) -> None:
    first, second, _ = days
    tests = {f"user.Test{number}" for number in (4, 5, 6)}
    assert tests <= set(first["users"])
    assert not tests & (set(second["users"]) | {row["userSourcedId"] for row in second["enrollments"].values()})
    assert not tests & {row["studentSourcedId"] for row in warehouse.file("results").values()}
    assert sorted(found(warehouse, "excluded-person")) == ["Test4", "Test5", "Test6"]


def test_a_facilitator_is_a_teacher_of_the_schools_of_the_programs_and_no_learner_loses_a_name(days: Days) -> None:
    _, second, _ = days
    users = {key: row for key, row in second["users"].items() if row["role"] == "teacher"}
    assert set(users) == {"user.facilitator.f1", "user.facilitator.f2"}
    first, other = users["user.facilitator.f1"], users["user.facilitator.f2"]
    assert (first["orgSourcedIds"], first["givenName"], first["familyName"]) == (
        "school.Old,school.Plain,school.sis-7", "-", "-"
    )  # fmt: skip
    assert (other["orgSourcedIds"], other["username"], other["identifier"]) == ("school.sis-7", "fay", "f2")
    assert (first["username"], second["users"]["user.Ana1"]["username"]) == ("user.facilitator.f1", "ana@mail.example")
    assert "userIds" not in first


def test_a_class_has_one_primary_teacher_and_a_section_has_the_teachers_of_its_class(days: Days) -> None:
    taught = {
        (row["classSourcedId"], row["userSourcedId"]): row["primary"]
        for row in days[1]["enrollments"].values()
        if row["role"] == "teacher" and row["schoolSourcedId"] == "school.sis-7"
    }
    assert taught.pop(("class.Other.Course2.s1", "user.facilitator.f2")) == "true"
    assert len(taught) == 6
    assert {key[1] for key, primary in taught.items() if primary == "true"} == {"user.facilitator.f1"}
    assert list(taught.values()).count("true") == 3


def test_a_class_with_sections_is_split_and_nobodys_enrollment_id_changes(days: Days) -> None:
    _, second, _ = days
    titles = {key: row["title"] for key, row in second["classes"].items() if row["schoolSourcedId"] == "school.sis-7"}
    (odd,) = {key for key in titles if key.startswith("class.h")}  # An id may not have a blank.
    assert titles == {
        "class.Other.Course1": "Writing",
        "class.Other.Course1.s1": "Writing - Monday",
        odd: "Writing - s 2",
        "class.Other.Course2.s1": "Reading - s1",
    }
    in_class = {key: row["classSourcedId"] for key, row in second["enrollments"].items() if row["role"] == "student"}
    assert [in_class[f"enrollment.Other.Course1.{key}"] for key in ("Ana1", "Bo2", "Cy3")] == [
        "class.Other.Course1.s1", odd, "class.Other.Course1"
    ]  # fmt: skip
    assert in_class["enrollment.Other.Course2.Ana1"] == "class.Other.Course2.s1"


def test_grades_follow_the_learner_into_the_section_and_keep_their_ids(days: Days, warehouse: Warehouse) -> None:
    classes = {key: row["classSourcedId"] for key, row in warehouse.file("lineItems").items()}
    graded = {key: classes[row["lineItemSourcedId"]] for key, row in warehouse.file("results").items()}
    enrollments = {key: row["classSourcedId"] for key, row in days[2]["enrollments"].items()}
    for learner in ("Ana1", "Bo2", "Cy3"):
        assert graded[f"result.Other.Course1.{learner}"] == enrollments[f"enrollment.Other.Course1.{learner}"]
    assert len({graded[f"result.Other.Course1.{learner}"] for learner in ("Ana1", "Bo2", "Cy3")}) == 3


def test_in_1_2_a_teacher_has_a_role_in_every_school(days: Days, warehouse: Warehouse) -> None:
    roles = warehouse.read("oneroster_1_2.roles")
    teaching = {row["orgSourcedId"] for row in roles if row["userSourcedId"] == "user.facilitator.f1"}
    assert teaching == set(days[2]["users"]["user.facilitator.f1"]["orgSourcedIds"].split(","))
    assert {row["role"] for row in roles} == {"student", "teacher"}
