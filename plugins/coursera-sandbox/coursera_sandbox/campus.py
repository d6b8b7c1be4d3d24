"""The college at one time: the rows of each endpoint, in order, and their number.

An index holds a few bytes per enrollment or membership, enough to filter and count; what a page shows is computed
from the seed when the page is asked for. Moving the clock drops all of it.
"""

from __future__ import annotations

import operator
from collections import OrderedDict
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from coursera_sandbox.catalogue import Catalogue
from coursera_sandbox.moments import ABSENT, HOUR, moment
from coursera_sandbox.rows import SERIES, SLOTS, STATES, Enrollments, View
from coursera_sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from coursera_sandbox.chance import Bools, Ints

REFRESH = 4 * HOUR
"""The enrollment report is rebuilt so often, out of events that are up to REPORT_DELAY old."""
REPORT_DELAY = 20 * HOUR
GRADEBOOK_DELAY = 2 * HOUR
OLD_CONTRACT_UNTIL = moment("2025-01-01T00:00:00Z")
"""Enrollments from before belong to a contract that has expired."""

_BLOCK = 4_000
_REMEMBERED_QUERIES = 32
_COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
_DELETED = STATES.index("DELETED_MEMBER")


@dataclass(frozen=True)
class Bound:
    """A limit on a time, epoch ms; rows without that time are outside of any limit."""

    column: Literal["enrolled", "last", "completed"]
    compare: Literal["<=", ">=", "<", ">"]
    value: int


@dataclass(frozen=True)
class Query:
    """Which enrollments; None asks for all."""

    program: int | None = None
    learner: int | None = None
    course: int | None = None
    series: bool = False
    """Specializations, too."""
    deleted: bool = False
    """Learners who left, too."""
    expired: bool = False
    """Enrollments under an expired contract, too."""
    bounds: tuple[Bound, ...] = ()


@dataclass(frozen=True)
class Index:
    """One element per enrollment that a view shows."""

    learner: Ints
    slot: Ints
    pick: Ints
    program: Ints
    content: Ints
    state: Ints
    enrolled: Ints
    last: Ints
    completed: Ints

    def find(self, query: Query) -> Ints:
        """Return the positions of the rows that a query asks for."""
        low, high = 0, len(self.learner)
        if query.learner is not None:  # rows are in order of learner
            low, high = np.searchsorted(self.learner, [query.learner, query.learner + 1]).tolist()
        rows = Index(**{f.name: getattr(self, f.name)[low:high] for f in fields(Index)})
        return (np.flatnonzero(rows._matches(query)) + low).astype(np.int32)

    def _matches(self, query: Query) -> Bools:
        keep = np.ones(len(self.learner), dtype=np.bool_)
        if query.program is not None:
            keep &= self.program == query.program
        if query.course is not None:
            keep &= (self.content == query.course) & (self.pick < SERIES)
        if not query.series:
            keep &= self.pick < SERIES
        if not query.deleted:
            keep &= self.state != _DELETED
        if not query.expired:
            keep &= self.enrolled >= OLD_CONTRACT_UNTIL
        for bound in query.bounds:
            times: Ints = getattr(self, bound.column)
            keep &= _COMPARE[bound.compare](times, bound.value) & (times != ABSENT)
        return keep


@dataclass(frozen=True)
class Roster:
    """One element per member or invited learner and program, as of now: memberships are not delayed."""

    learner: Ints
    program: Ints
    joined: Ints
    invited: Ints
    member: Ints
    pending: Ints


_SMALL = {
    "learner": np.int32,
    "slot": np.int8,
    "pick": np.int8,
    "program": np.int8,
    "content": np.int16,
    "state": np.int8,
}


class Campus:
    """The college at one moment of its clock."""

    def __init__(self, world: World, now: int) -> None:
        self.world = world
        self.now = now
        self.report_time = now // REFRESH * REFRESH
        self.report = View("report", self.report_time, REPORT_DELAY)
        self.gradebook = View("gradebook", now, GRADEBOOK_DELAY)
        self._found: OrderedDict[tuple[str, Query], Ints] = OrderedDict()

    @classmethod
    def open(cls, seed: int, learners: int, now: int, class_days: tuple[int, ...] = ()) -> Campus:
        """Return the college with this seed, so many learners and these class days, at this time."""
        return cls(World(seed, learners, Catalogue(seed), class_days), now)

    def at(self, now: int) -> Campus:
        """Return the same college at another time."""
        return Campus(self.world, now)

    @property
    def catalogue(self) -> Catalogue:
        """What is taught here."""
        return self.world.catalogue

    def find(self, view: View, query: Query) -> Ints:
        """Return positions in a view's index; they are cached, so that later pages cost no more than the first one."""
        index = self.report_index if view.kind == "report" else self.gradebook_index
        if query.learner is not None:
            return index.find(query)
        key = (view.kind, query)
        if key not in self._found:
            self._found[key] = index.find(query)
            if len(self._found) > _REMEMBERED_QUERIES:
                self._found.popitem(last=False)
        self._found.move_to_end(key)
        return self._found[key]

    def enrollments(self, view: View, positions: Ints) -> Enrollments:
        """Return the full rows at these positions, in ascending order of learner, slot and pick."""
        index = self.report_index if view.kind == "report" else self.gradebook_index
        learner, slot = index.learner[positions].astype(np.int64), index.slot[positions].astype(np.int64)
        pairs = np.unique(learner * SLOTS + slot)
        rows = self.world.enrollments(pairs // SLOTS, pairs % SLOTS, view)
        have = (rows.learner * SLOTS + rows.slot) * 16 + rows.pick
        want = (learner * SLOTS + slot) * 16 + index.pick[positions]
        chosen = np.searchsorted(have, want)
        return Enrollments(**{f.name: getattr(rows, f.name)[chosen] for f in fields(Enrollments)})

    @cached_property
    def report_index(self) -> Index:
        """Everything the enrollment report knows of."""
        return self._index(self.report)

    @cached_property
    def gradebook_index(self) -> Index:
        """Everything the gradebook knows of."""
        return self._index(self.gradebook)

    def _index(self, view: View) -> Index:
        def part(learner: Ints, slot: Ints) -> dict[str, Ints]:
            rows = self.world.enrollments(learner, slot, view)
            return {f.name: getattr(rows, f.name).astype(_SMALL.get(f.name, np.int64)) for f in fields(Index)}

        return Index(**self._in_blocks(part))

    @cached_property
    def roster(self) -> Roster:
        """Members and invitations of all programs."""

        def part(learner: Ints, slot: Ints) -> dict[str, Ints]:
            rows = self.world.memberships(learner, slot)
            member, pending = rows.current(self.now), rows.pending(self.now)
            invited = np.where(rows.joined <= self.now, rows.left + 24 * HOUR, rows.invited)
            columns = {
                "learner": rows.learner,
                "program": rows.program,
                "joined": rows.joined,
                "invited": invited,
                "member": member,
                "pending": pending,
            }
            return {name: column[member | pending] for name, column in columns.items()}

        return Roster(**self._in_blocks(part))

    @cached_property
    def users(self) -> Ints:
        """Learners who are a member of at least one program."""
        return np.unique(self.roster.learner[self.roster.member])

    def _in_blocks(self, part: Callable[[Ints, Ints], dict[str, Ints]]) -> dict[str, Ints]:
        """Return columns of the whole college, computed for a few thousand learners at a time to save memory."""
        parts = []
        for first in range(0, self.world.learners, _BLOCK):
            learners = np.arange(first, min(first + _BLOCK, self.world.learners))
            parts.append(part(np.repeat(learners, SLOTS), np.tile(np.arange(SLOTS), len(learners))))
        return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
