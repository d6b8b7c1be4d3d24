"""Which requests bring the grades of the learners who moved: the fewest, by a cost model that is all in this module.

The gradebook has no filter by time, but it can be asked for a program, for one course of it, or for one learner in it.
A request brings one page. So the grades of a program's moved pairs of learner and course cost

    whole program     as many pages as it has rows
    some courses      as many pages as each has rows
    some learners     one page each: nobody is in more courses of a program than a page holds

and courses and learners can be mixed: each moved pair has to be covered by its course or by its learner. The cheapest
mixture is a minimum vertex cover of the graph between learners and courses, in which a course weighs its pages and a
learner one. By König's theorem it weighs as much as the largest assignment of learners to courses in which a course
takes no more learners than it has pages, and can be read off that assignment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Pair = tuple[str, str]
"""Learner (external id) and course (id)."""

LEARNER_PAGES = 1


@dataclass(frozen=True)
class Size:
    """How many rows the gradebook of a program has, as far as it is known."""

    program: int
    courses: Mapping[str, int] = field(default_factory=dict)
    """Only those with more than a page; others are taken to fit into one."""


@dataclass(frozen=True)
class Plan:
    """What to ask for; `program` stands for all of it and makes the others empty."""

    program: bool = False
    courses: frozenset[str] = frozenset()
    learners: frozenset[str] = frozenset()

    def covers(self, pair: Pair) -> bool:
        """Whether a moved pair is among what is asked for."""
        return self.program or pair[0] in self.learners or pair[1] in self.courses


def pages(rows: int, page_size: int) -> int:
    """Requests that a list of so many rows costs; an empty one costs one, too."""
    return max(1, -(-rows // page_size))


def cost(plan: Plan, size: Size, page_size: int) -> int:
    """Requests that a plan costs."""
    if plan.program:
        return pages(size.program, page_size)
    courses = sum(pages(size.courses.get(course, 1), page_size) for course in plan.courses)
    return courses + LEARNER_PAGES * len(plan.learners)


def plan(moved: Collection[Pair], size: Size, page_size: int) -> Plan:
    """The plan with the fewest requests that covers all moved pairs; the whole program when nothing is cheaper.

    At the same price the program is read rather than parts, since that also shows grades that changed without any
    activity; and learners rather than their course.
    """
    whole = pages(size.program, page_size)
    courses_of: dict[str, list[str]] = {}
    for learner, course in sorted(moved):
        courses_of.setdefault(learner, []).append(course)
    room = {course: pages(size.courses.get(course, 1), page_size) for _, course in moved}
    assignment = _Assignment(courses_of, room)
    for learner in courses_of:
        assignment.add(learner)
        if assignment.size >= whole:
            return Plan(program=True)
    return assignment.cover()


class _Assignment:
    """Learners assigned to one of their courses each, as many as possible, at most `room` to a course."""

    def __init__(self, courses_of: Mapping[str, list[str]], room: Mapping[str, int]) -> None:
        self._courses_of = courses_of
        self._room = room
        self._taken: dict[str, set[str]] = {course: set() for course in room}
        self._full: set[str] = set()
        """Courses from which no chain of changes leads to a free place, now or later; they are in the cover."""
        self.size = 0

    def add(self, learner: str) -> None:
        """Give a learner a place, if need be by giving others another one."""
        found, came_from = self._search(learner)
        if found is None:
            # No later change of places can free one of these: the search would have found the way to it.
            self._full |= came_from.keys()
            return
        self.size += 1
        course = found
        while True:
            mover = came_from[course]
            before = next((one for one in self._courses_of[mover] if mover in self._taken[one]), None)
            self._taken[course].add(mover)
            if before is None:
                return
            self._taken[before].remove(mover)
            course = before

    def _search(self, learner: str) -> tuple[str | None, dict[str, str]]:
        """A course with a free place that changes of places lead to, and for each course met who would come to it."""
        came_from: dict[str, str] = {}
        asking = [learner]
        for one in asking:
            for course in self._courses_of[one]:
                if course in came_from or course in self._full:
                    continue
                came_from[course] = one
                if len(self._taken[course]) < self._room[course]:
                    return course, came_from
                asking.extend(self._taken[course])
        return None, came_from

    def cover(self) -> Plan:
        """The courses that are full for good, and the learners who have any other course."""
        courses = frozenset(self._full)
        learners = frozenset(
            learner for learner, courses_of in self._courses_of.items() if not courses.issuperset(courses_of)
        )
        return Plan(courses=courses, learners=learners)
