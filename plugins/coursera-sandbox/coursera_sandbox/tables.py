"""The catalogue as numpy tables, one row per program or course, for looking things up for many enrollments at once."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING

import numpy as np

from coursera_sandbox.catalogue import MOST_ITEMS
from coursera_sandbox.moments import NEVER

if TYPE_CHECKING:
    from coursera_sandbox.catalogue import Catalogue
    from coursera_sandbox.chance import Bools, Floats, Ints

SESSIONS = 4
"""The work on a course is spread over so many sessions."""
_UNGRADED_STEPS = 4
"""A course without gradable items is worked through in steps, too; their "grade" is full and never shown as an item."""


@dataclass(frozen=True)
class Tables:
    """Rows are programs (those with learners first) or courses; -1 fills what is not there."""

    active: int
    shares: Floats
    base: Ints
    base_count: Ints
    steps: Ints
    """Numbers without a common divisor with the program's number of courses: their steps visit every course once."""
    added: Ints
    added_at: Ints
    series: Ints
    parts: Ints
    """Courses of each specialization."""
    item_count: Ints
    weight: Floats
    peer: Bools
    gradable: Bools
    session: Ints
    nth: Ints
    """How many items of the same session come before this one."""

    @classmethod
    def of(cls, catalogue: Catalogue) -> Tables:
        """Build the tables; cheap."""
        programs, courses = catalogue.programs, catalogue.courses
        shares = np.array([program.share for program in programs if program.share])
        base = np.full((len(programs), max(len(p.base) for p in programs)), -1)
        steps = np.ones((len(programs), 8), dtype=np.int64)
        added = np.full((len(programs), 2), -1)
        added_at = np.full((len(programs), 2), NEVER)
        series = np.full((len(programs), 2), -1)
        for row, program in enumerate(programs):
            size = len(program.base)
            base[row, :size] = program.base
            coprime = [step for step in range(1, size) if gcd(step, size) == 1] or [1]
            steps[row] = [coprime[k % len(coprime)] for k in range(steps.shape[1])]
            for column, (course, since) in enumerate(program.added):
                added[row, column], added_at[row, column] = course, since
            series[row, : len(program.specializations)] = program.specializations
        count = np.array([len(course.items) or _UNGRADED_STEPS for course in courses])
        item = np.arange(MOST_ITEMS)
        session = np.minimum(item * SESSIONS // count[:, None], SESSIONS - 1)
        first = np.array([[row.tolist().index(value) for value in row] for row in session])
        weight = np.zeros((len(courses), MOST_ITEMS))
        peer = np.zeros((len(courses), MOST_ITEMS), dtype=np.bool_)
        for row, plan in enumerate(courses):
            weight[row, : count[row]] = [i.weight for i in plan.items] or [100 / _UNGRADED_STEPS] * _UNGRADED_STEPS
            peer[row, : len(plan.items)] = [i.type == "PEER_REVIEW" for i in plan.items]
        return cls(
            active=len(shares),
            shares=np.cumsum(shares / shares.sum())[:-1],
            base=base,
            base_count=np.array([len(program.base) for program in programs]),
            steps=steps,
            added=added,
            added_at=added_at,
            series=series,
            parts=np.array([s.courses for s in catalogue.specializations]),
            item_count=count,
            weight=weight,
            peer=peer,
            gradable=np.array([bool(course.items) for course in courses]),
            session=session,
            nth=item - first,
        )
