"""Small raw rows of a made-up college; the columns that a test does not set have ordinary values."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
REFRESHED = "2026-02-02T04:00:00Z"


def program(program_id: str, name: str) -> Row:
    return {
        "id": program_id,
        "name": name,
        "url": f"https://www.coursera.org/programs/{name.lower()}-x?attemptSSOLogin=true",
    }


def offers(program_id: str, content_id: str, content_type: str = "Course") -> Row:
    return {"program_id": program_id, "content_type": content_type, "content_id": content_id}


def content(content_id: str, name: str, content_type: str = "Course") -> Row:
    return {
        "id": f"{content_type}~{content_id}",
        "content_id": content_id,
        "content_type": content_type,
        "name": name,
        "slug": name.lower().replace(" ", "-"),
    }


def user(user_id: str, external_id: str | None, full_name: str | None, email: str | None = None, **more: Any) -> Row:
    return {"id": user_id, "external_id": external_id, "full_name": full_name, "email": email or external_id} | more


def member(program_id: str, external_id: str, full_name: str = "Some Body", **more: Any) -> Row:
    return {
        "id": f"{program_id}~{external_id}",
        "program_id": program_id,
        "external_id": external_id,
        "full_name": full_name,
        "email": f"{external_id}@mail.example",
        "joined_at": "2025-09-01T08:00:00Z",
    } | more


def enrolled(program_id: str, external_id: str, course_id: str, **more: Any) -> Row:
    kind = more.get("content_type", "Course")
    return {
        "id": f"{external_id}~{kind}~{course_id}",
        "program_id": program_id,
        "external_id": external_id,
        "content_id": course_id,
        "content_type": kind,
        "content_name": f"Report name of {course_id}",
        "content_slug": f"slug-of-{course_id}",
        "is_completed": False,
        "membership_state": "MEMBER",
        "enrolled_at": "2025-10-01T08:00:00Z",
        "updated_at": REFRESHED,
        "changed_at": "2025-10-01T08:00:00Z",
    } | more


def completed(program_id: str, external_id: str, course_id: str, grade: float | None, **more: Any) -> Row:
    done = {"is_completed": True, "completed_at": "2026-01-15T12:00:00Z", "grade": grade}
    return enrolled(program_id, external_id, course_id, **(done | more))


def item(program_id: str, external_id: str, course_id: str, item_id: str, grade: float | None, **more: Any) -> Row:
    return {
        "program_id": program_id,
        "external_id": external_id,
        "course_id": course_id,
        "item_id": item_id,
        "item_name": f"Quiz {item_id}",
        "item_type": "QUIZ",
        "item_weight": 50.0,
        "item_grade": grade,
        "module_name": "Week 1",
        "lesson_name": "Basics",
        "changed_at": "2026-01-10T08:00:00Z",
    } | more


def running(program_id: str, external_id: str, course_id: str, grade: float | None, **more: Any) -> Row:
    return {
        "id": f"{external_id}~{course_id}",
        "program_id": program_id,
        "external_id": external_id,
        "course_id": course_id,
        "is_completed": False,
        "overall_course_grade": grade,
        "last_activity_at": "2026-01-10T08:00:00Z",
        "changed_at": "2026-01-10T08:00:00Z",
    } | more
