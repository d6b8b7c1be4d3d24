"""Pages of the two reports: enrollments and gradebooks, from the arrays of the world to the shapes on the wire."""

from __future__ import annotations

from functools import cache
from math import isnan
from typing import TYPE_CHECKING

from coursera_sandbox.campus import OLD_CONTRACT_UNTIL
from coursera_sandbox.catalogue import Course
from coursera_sandbox.chance import opaque
from coursera_sandbox.habits import PASS_MARK
from coursera_sandbox.moments import ABSENT, DAY
from coursera_sandbox.people import person
from coursera_sandbox.rows import SERIES, STATES
from coursera_sandbox.shapes import CourseGradebook, EnrollmentReport, ItemGradebook

if TYPE_CHECKING:
    from coursera_sandbox.campus import Campus
    from coursera_sandbox.catalogue import Specialization
    from coursera_sandbox.chance import Ints

_CITIES = (("Northfield", "NF", "Freedonia"), ("Eastmere", "EM", "Freedonia"), ("São Tiro", "ST", "Sylvania"))
_PROFILED = 8
"""One of so many learners has a profile."""
_JOBS = ("Nurse assistant", "Bookkeeper", "Apprentice", "Student")


def enrollment_reports(campus: Campus, positions: Ints) -> list[EnrollmentReport]:
    """Return the rows of `/enrollmentReports` at these positions."""
    rows = campus.enrollments(campus.report, positions)
    seed, catalogue = campus.world.seed, campus.catalogue
    names = [program.name(campus.report_time) for program in catalogue.programs]
    contracts = [(opaque(seed, f"contract {year}"), f"Campus {year}") for year in ("2023-24", "2024-26")]
    certificate = "https://www.coursera.org/account/accomplishments/certificate/"
    page = []
    columns = (
        rows.learner,
        rows.pick,
        rows.program,
        rows.content,
        rows.enrolled,
        rows.last,
        rows.completed,
        rows.grade,
        rows.percent,
        rows.hours,
        rows.state,
        rows.deleted,
        rows.key,
    )
    for learner, pick, p, c, enrolled, last, completed, grade, percent, hours, state, deleted, key in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        who = person(seed, learner)
        program = catalogue.programs[p]
        content: Course | Specialization = catalogue.specializations[c] if pick >= SERIES else catalogue.courses[c]
        kind = "Specialization" if pick >= SERIES else "Course"
        done = completed != ABSENT
        contract = contracts[enrolled >= OLD_CONTRACT_UNTIL]
        collection = _collection(campus, p, c) if pick < SERIES and key % 3 == 0 else None
        row = EnrollmentReport(
            f"{who.external_id}~{kind}~{content.id}",
            who.external_id,
            program.id,
            content.id,
            kind,
            content.name,
            content.slug,
            names[p],
            program.slug,
            who.full_name,
            who.email,
            [content.partner],
            done,
            enrolled,
            STATES[state],
            campus.report_time,
            percent,
            hours,
            contract[0],
            contract[1],
        )
        if done:
            row.completed_at = completed
            row.grade = grade / 100
            if key % 16:
                row.content_certificate_url = f"{certificate}{key % 36**8:012X}"
        if last != ABSENT:
            row.last_activity_at = last
        if deleted != ABSENT:
            row.deleted_at = deleted
        if collection:
            row.collection_id, row.collection_name = collection
        if isinstance(content, Course):
            row.course_type = content.kind
        else:
            row.num_courses_in_specialization = len(content.courses)
        if learner % _PROFILED == 1:
            city, region, country = _CITIES[learner % len(_CITIES)]
            row.learner_profile_standard_fields = {
                "jobTitle": _JOBS[learner % len(_JOBS)],
                "locationCity": city,
                "locationRegion": region,
                "locationCountry": country,
            }
        page.append(row)
    return page


def _collection(campus: Campus, program: int, course: int) -> tuple[str, str] | None:
    for identifier, title, courses in campus.catalogue.programs[program].collections:
        if course in courses:
            return identifier, title
    return None


@cache
def _item_frames(course: Course) -> tuple[tuple[str, str, str, int, float, str, str, str, str], ...]:
    """Return the parts of a course's items that are the same for all learners."""
    return tuple(
        (
            item.id,
            item.name,
            item.type,
            order,
            item.weight,
            *course.module(order - 1),
            *course.lesson(order - 1),
        )
        for order, item in enumerate(course.items, 1)
    )


def course_gradebooks(campus: Campus, positions: Ints) -> list[CourseGradebook]:
    """Return the rows of `/courseGradebookReports` at these positions, each with the items of its course."""
    rows = campus.enrollments(campus.gradebook, positions)
    seed, catalogue = campus.world.seed, campus.catalogue
    page = []
    columns = (
        rows.learner,
        rows.program,
        rows.content,
        rows.enrolled,
        rows.last,
        rows.completed,
        rows.grade,
        rows.percent,
        rows.hours,
        rows.key,
        rows.items,
    )
    for learner, p, c, enrolled, last, completed, grade, percent, hours, key, grades in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        who = person(seed, learner)
        course = catalogue.courses[c]
        row = CourseGradebook(
            f"{who.external_id}~{course.id}",
            who.external_id,
            who.full_name,
            catalogue.programs[p].id,
            course.id,
            course.name,
            enrolled,
            completed != ABSENT,
            percent,
            hours,
            [] if last != ABSENT else ["INACTIVE"],
            _items(course, grades, enrolled, key),
        )
        if last != ABSENT:
            row.last_activity_at = last
        if completed != ABSENT:
            row.completed_at = completed
        if not isnan(grade):
            row.overall_course_grade = grade
        page.append(row)
    return page


def _items(course: Course, grades: list[float], enrolled: int, key: int) -> list[ItemGradebook]:
    items = []
    due = enrolled - enrolled % DAY + DAY - 1000
    for place, frame in enumerate(_item_frames(course)):
        item = ItemGradebook(*frame, [])
        grade = grades[place]
        if grade == grade:  # noqa: PLR0124 - the quick way to say "not NaN"
            item.item_grade = grade
            item.is_item_passed = grade >= PASS_MARK
            if grade < PASS_MARK:
                item.item_risk_flags = ["FAILED_ASSIGNMENT"]
            elif (key >> place) % 256 == 0:
                item.item_risk_flags = ["SUSPECTED_PLAGIARISM"]
        if course.bits >> place & 3:
            item.item_deadline = due + (place // 3 + 1) * 14 * DAY
        items.append(item)
    return items
