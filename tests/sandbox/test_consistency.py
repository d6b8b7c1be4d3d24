"""Reports and directory, from which a gradebook is made, agree with each other for any seed and day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from coursera_sandbox import directory, materials
from coursera_sandbox.campus import Campus, Query
from coursera_sandbox.moments import DAY, HOUR, START
from coursera_sandbox.reports import course_gradebooks, enrollment_reports

if TYPE_CHECKING:
    from coursera_sandbox.shapes import CourseGradebook, EnrollmentReport

ALL = Query(series=True, deleted=True, expired=True)
COURSES = Query(deleted=True)
several = settings(
    max_examples=8, deadline=None, derandomize=True, phases=[Phase.generate]
)  # A smaller college would not make a failure easier to understand.
some_campus = st.builds(
    lambda seed, day: Campus.open(seed, 120, START + day * DAY), st.integers(0, 10_000), st.integers(0, 150)
)


def reports(campus: Campus) -> list[EnrollmentReport]:
    return enrollment_reports(campus, campus.find(campus.report, ALL))


def gradebooks(campus: Campus) -> list[CourseGradebook]:
    return course_gradebooks(campus, campus.find(campus.gradebook, COURSES))


@several
@given(campus=some_campus)
def test_times_and_grades_of_an_enrollment_fit_each_other(campus: Campus) -> None:
    contents = {
        p.id: {c.content_id for c in p.content_ids} for p in directory.programs(campus, list(range(8)), contents=True)
    }
    for row in reports(campus):
        assert row.content_id in contents[row.program_id]
        assert row.enrolled_at <= (row.last_activity_at or row.updated_at) <= row.updated_at <= campus.now
        assert row.is_completed == (row.completed_at is not None) == (row.grade is not None)
        assert (row.membership_state == "DELETED_MEMBER") == (row.deleted_at is not None)
        assert row.deleted_at is None or max(row.enrolled_at, row.last_activity_at or 0) < row.deleted_at
        assert 0 <= row.overall_progress <= 100
        if row.grade is not None:
            assert 0 <= row.grade <= 1
            assert row.overall_progress >= 90
            assert row.enrolled_at <= (row.completed_at or 0) <= row.updated_at


@several
@given(campus=some_campus)
def test_a_course_grade_is_the_weighted_mean_of_its_items(campus: Campus) -> None:
    for row in gradebooks(campus):
        items = row.item_gradebooks
        assert sum(item.item_weight for item in items) == pytest.approx(100 if items else 0)
        assert all((item.item_grade is None) == (item.is_item_passed is None) for item in items)
        assert all(0 <= (item.item_grade or 0) <= 100 for item in items)
        if items:
            weighted = sum((item.item_grade or 0) * item.item_weight for item in items) / 100
            assert row.overall_course_grade == pytest.approx(weighted, abs=0.01)
            assert row.is_completed == all(item.is_item_passed for item in items)
        else:
            assert row.overall_course_grade == (100 if row.is_completed else None)
        assert (row.risk_flags == ["INACTIVE"]) == (row.last_activity_at is None)


@several
@given(campus=some_campus)
def test_items_of_the_gradebook_are_those_of_the_course_materials(campus: Campus) -> None:
    courses = {row.course_id: row.item_gradebooks for row in gradebooks(campus)}
    for number, course in enumerate(campus.catalogue.courses):
        places = {
            item["id"]: (module["id"], module["name"], lesson["id"], lesson["name"], item["weightPercentage"])
            for module in materials.course_materials(campus, 0, number).modules
            for lesson in module["lessons"]
            for item in lesson["items"]
            if "weightPercentage" in item
        }
        if course.id in courses:
            assert places == {
                item.item_id: (item.module_id, item.module_name, item.lesson_id, item.lesson_name, item.item_weight)
                for item in courses[course.id]
            }


@several
@given(campus=some_campus)
def test_both_reports_agree_once_the_delays_have_passed(campus: Campus) -> None:
    grades = {(row.external_id, row.program_id, row.course_id): row for row in gradebooks(campus)}
    later = {(row.external_id, row.program_id, row.content_id): row for row in reports(campus.at(campus.now + DAY))}
    for key, row in grades.items():
        if row.is_completed:
            assert later[key].is_completed
            assert later[key].grade == (row.overall_course_grade or 0) / 100
            assert later[key].completed_at == row.completed_at
    for report in enrollment_reports(campus, campus.find(campus.report, COURSES)):
        key = (report.external_id, report.program_id, report.content_id)
        if report.completed_at and report.completed_at < campus.now - 2 * HOUR:
            assert grades[key].is_completed


@several
@given(campus=some_campus)
def test_everybody_with_an_enrollment_is_or_was_a_member(campus: Campus) -> None:
    roster = {
        (row.external_id, row.program_id)
        for program in range(8)
        for row in directory.members(campus, directory.roster_rows(campus, program, pending=False), pending=False)
    }
    users = {user.external_id: user for user in directory.users(campus, campus.users)}
    for row in reports(campus.at(campus.now)):
        if row.deleted_at is None and row.membership_state == "MEMBER" and row.updated_at == campus.now:
            assert (row.external_id, row.program_id) in roster
    assert {key[0] for key in roster} == users.keys()
    assert all(user.membership_program_ids for user in users.values())
    assert len({user.id for user in users.values()}) == len({user.email for user in users.values()}) == len(users)


@several
@given(campus=some_campus)
def test_nothing_that_was_reported_is_taken_back(campus: Campus) -> None:
    before = {(row.id, row.program_id): row for row in gradebooks(campus)}
    after = {(row.id, row.program_id): row for row in gradebooks(campus.at(campus.now + 5 * DAY))}
    for key, old in before.items():
        new = after[key]
        assert new.enrolled_at == old.enrolled_at
        assert (new.last_activity_at or 0) >= (old.last_activity_at or 0)
        if old.is_completed:
            assert (new.completed_at, new.overall_course_grade) == (old.completed_at, old.overall_course_grade)
