"""The inside of a course, and a learner's state in one content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from coursera_sandbox.campus import Query
from coursera_sandbox.moments import ABSENT
from coursera_sandbox.people import find
from coursera_sandbox.rows import SERIES
from coursera_sandbox.shapes import CourseMaterials, EnrollmentState

if TYPE_CHECKING:
    from coursera_sandbox.campus import Campus
    from coursera_sandbox.catalogue import Course, Program

_TYPES = {
    "QUIZ": "QUIZ",
    "PEER_REVIEW": "PEER_REVIEW",
    "PROGRAMMING_ASSIGNMENT": "PROGRAMMING_ASSIGNMENT",
    "STAFF_GRADED_ASSIGNMENT": "ASSIGNMENT",
    "DISCUSSION_PROMPT": "DISCUSSION",
    "LTI": "EXTERNAL_TOOL",
}
"""Item types of the gradebook in the words of the course materials."""


def course_materials(campus: Campus, program: int, course: int) -> CourseMaterials:
    """Return modules, lessons and items; each graded item comes after a video and a reading of its own."""
    plan, place = campus.catalogue.courses[course], campus.catalogue.programs[program]
    modules: dict[str, dict[str, Any]] = {}
    for order in range(max(len(plan.items), 3)):
        items = [
            _item(plan, place, f"v{order:02d}{plan.id[:2]}", f"Video {order + 1}", "VIDEO"),
            _item(plan, place, f"r{order:02d}{plan.id[:2]}", f"Reading {order + 1}", "READING"),
        ]
        if plan.items:
            graded = plan.items[order]
            entry = _item(plan, place, graded.id, graded.name, _TYPES[graded.type])
            entry["weightPercentage"] = graded.weight
            if order:
                entry["prerequisiteItemId"] = plan.items[order - 1].id
            items.append(entry)
        lesson, lesson_name = plan.lesson(order)
        module, module_name = plan.module(order)
        modules.setdefault(module, {"id": module, "name": module_name, "lessons": []})
        modules[module]["lessons"].append({"id": lesson, "name": lesson_name, "items": items})
    return CourseMaterials(plan.id, list(modules.values()))


def _item(course: Course, program: Program, identifier: str, name: str, kind: str) -> dict[str, Any]:
    target = f"productType=course&productId={course.id}&itemId={identifier}"
    link = f"{program.url}?showMiniModal=true&attemptSSOLogin=true&{target}"
    return {"id": identifier, "name": name, "itemType": kind, "deeplinkUrl": link}


def enrollment_state(campus: Campus, program: int, key: tuple[str, str, str]) -> EnrollmentState:
    """Return ENROLLED or COMPLETED if the present report says so, else AVAILABLE."""
    external_id, kind, content_id = key
    learner = find(campus.world.seed, campus.world.learners, external_id)
    positions = campus.find(campus.gradebook, Query(program=program, learner=learner, series=True, expired=True))
    rows = campus.enrollments(campus.gradebook, positions)
    names = campus.catalogue.courses if kind == "Course" else campus.catalogue.specializations
    state = "AVAILABLE"
    for content, pick, completed in zip(
        rows.content.tolist(), rows.pick.tolist(), np.asarray(rows.completed).tolist(), strict=True
    ):
        if (pick >= SERIES) == (kind == "Specialization") and names[content].id == content_id:
            state = "ENROLLED" if completed == ABSENT else "COMPLETED"
    return EnrollmentState(f"{external_id}~{kind}~{content_id}", external_id, kind, content_id, state)
