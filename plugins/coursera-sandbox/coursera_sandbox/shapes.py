"""The elements of `businesses.v1`, as JSON shapes.

Names are the vendor's in snake_case and become camelCase on the wire. Members that are None are left out, as Naptime
does. Times are epoch milliseconds unless a docstring says otherwise.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class Shape(Struct, rename="camel", omit_defaults=True, gc=False):
    """A JSON object; nothing here is circular, so the garbage collector need not look."""


class Organization(Shape):
    """The organisation itself."""

    id: str
    name: str
    slug: str


class User(Shape):
    """A member of at least one program."""

    id: str
    email: str
    external_id: str
    full_name: str
    membership_program_ids: list[str]
    invitation_program_ids: list[str] | None = None


class ContentRef(Shape):
    """A content in a program."""

    content_id: str
    content_type: str


class Program(Shape):
    """A learning program."""

    id: str
    name: str
    url: str
    content_ids: list[ContentRef]
    tagline: str | None = None


class Member(Shape):
    """A membership (`joined_at`) or a pending invitation (`created_at`)."""

    id: str
    program_id: str
    external_id: str
    full_name: str
    email: str
    joined_at: int | None = None
    created_at: int | None = None


class Content(Shape):
    """A course, specialization or clip; `last_updated_at` is in epoch SECONDS."""

    id: str
    content_id: str
    content_type: str
    name: str
    description: str
    slug: str
    language_code: str
    subtitle_language_codes: list[str]
    instructors: list[dict[str, str]]
    partners: list[dict[str, str]]
    programs: list[dict[str, str]]
    extra_metadata: dict[str, Any]
    difficulty_level: str | None = None
    last_updated_at: int | None = None
    changes: list[dict[str, Any]] | None = None


class EnrollmentReport(Shape):
    """A learner's progress in one content of one program; `grade` is 0 to 1."""

    id: str
    external_id: str
    program_id: str
    content_id: str
    content_type: str
    content_name: str
    content_slug: str
    program_name: str
    program_slug: str
    full_name: str
    email: str
    partner_names: list[str]
    is_completed: bool
    enrolled_at: int
    membership_state: str
    updated_at: int
    overall_progress: int
    approx_total_course_hrs: float
    contract_id: str
    contract_name: str
    completed_at: int | None = None
    grade: float | None = None
    last_activity_at: int | None = None
    deleted_at: int | None = None
    collection_id: str | None = None
    collection_name: str | None = None
    content_certificate_url: str | None = None
    course_type: str | None = None
    num_courses_in_specialization: int | None = None
    learner_profile_standard_fields: dict[str, str] | None = None


class ItemGradebook(Shape):
    """A learner's grade in one item; weights and grades are 0 to 100."""

    item_id: str
    item_name: str
    item_type: str
    item_order: int
    item_weight: float
    module_id: str
    module_name: str
    lesson_id: str
    lesson_name: str
    item_risk_flags: list[str] = field(name="itemRiskFlags")
    item_grade: float | None = None
    is_item_passed: bool | None = None
    item_deadline: int | None = None


class CourseGradebook(Shape):
    """A learner's grades in one course of one program; `overall_course_grade` is 0 to 100."""

    id: str
    external_id: str
    full_name: str
    program_id: str
    course_id: str
    course_name: str
    enrolled_at: int
    is_completed: bool
    overall_progress: int
    approx_total_learning_hrs: float
    risk_flags: list[str]
    item_gradebooks: list[ItemGradebook]
    last_activity_at: int | None = None
    completed_at: int | None = None
    overall_course_grade: float | None = None


class CurriculumCollection(Shape):
    """A curated collection of courses in a program."""

    id: str
    program_id: str
    collection_id: str
    title: str
    description: str
    contents: list[dict[str, Any]]


class CourseMaterials(Shape):
    """Modules, lessons and items of a course, with links into one program."""

    id: str
    modules: list[dict[str, Any]]


class EnrollmentState(Shape):
    """The state of one learner in one content."""

    id: str
    external_id: str
    content_type: str
    content_id: str
    state: str
