"""Arrays with one element per membership or enrollment, by which `world` describes the college."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from coursera_sandbox.moments import DAY

if TYPE_CHECKING:
    from coursera_sandbox.chance import Bools, Floats, Hashes, Ints

SLOTS = 3
"""A learner is in at most so many programs."""
SERIES = 10
"""Picks of an enrollment from here on are specializations; those below are courses."""

STATES = ("MEMBER", "DELETED_MEMBER", "WHITELISTED", "INVITED")
"""`membershipState` in the enrollment report."""

# What became of a membership that ended.
GONE, ALLOW_LISTED, INVITED_AGAIN = 0, 1, 2


@dataclass(frozen=True)
class View:
    """The college as seen at `now`, where each event becomes visible after a delay of at most `delay`."""

    kind: str
    now: int
    delay: int = 0


@dataclass(frozen=True)
class Memberships:
    """One element per learner and program he ever had to do with; times are epoch ms or NEVER."""

    learner: Ints
    slot: Ints
    program: Ints
    invited: Ints
    joined: Ints
    left: Ints
    back: Ints
    standing: Ints

    def current(self, now: int) -> Bools:
        """Return which are members at a time."""
        here: Bools = (self.joined <= now) & ((self.left > now) | (self.back <= now))
        return here

    def pending(self, now: int) -> Bools:
        """Return which invitations wait for an answer."""
        again: Bools = (self.standing == INVITED_AGAIN) & (self.left + DAY <= now) & (self.back > now)
        first: Bools = (self.invited <= now) & (self.joined > now)
        return first | again

    def present(self, at: Ints, rows: Ints) -> Bools:
        """Return, for rows that point into this table, whether the learner was a member at that time."""
        here: Bools = (at < self.left[rows][:, None]) | (at >= self.back[rows][:, None])
        return here


@dataclass
class Plan:
    """When learners sit down to a course, one row per enrollment."""

    sessions: Ints
    """A column per session."""
    depth: Ints
    """How many of these he does; 0 for a look only, -1 for nothing at all."""
    called: Ints
    """When his class sat down to a session together, ABSENT for all others; one column more than there are sessions."""


@dataclass(frozen=True)
class ClassDay:
    """One class, a course in a program, hands in together on a day (its midnight)."""

    day: int
    program: int
    course: int


@dataclass(frozen=True)
class Progress:
    """Work on courses, one row per enrollment; grades have a column per item, and are NaN where there is none yet."""

    grade: Floats
    completed: Ints
    last: Ints
    overall: Floats
    percent: Ints
    hours: Floats


@dataclass(frozen=True)
class Enrollments:
    """One element per visible enrollment, ordered by learner, slot and pick; times are epoch ms or ABSENT."""

    learner: Ints
    slot: Ints
    pick: Ints
    program: Ints
    content: Ints
    """Number of the course, or of the specialization when `pick >= SERIES`."""
    enrolled: Ints
    last: Ints
    completed: Ints
    grade: Floats
    """0 to 100; NaN when there is none."""
    percent: Ints
    hours: Floats
    state: Ints
    """Index into STATES."""
    deleted: Ints
    items: Floats
    key: Hashes
    """Bits that belong to this enrollment alone, for choices made where it is shown."""
