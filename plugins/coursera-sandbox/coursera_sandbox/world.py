"""The college as a pure function of seed and time: who is in which program, who enrolled in what, and how far everybody came.

Nothing is stored. Arrays of learner numbers go in, arrays with one element per membership or enrollment come out, and any subset of the
learners gives the same lives as all of them together. A :class:`View` says at which moment somebody looks, and how late news
reach him.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from coursera_sandbox.chance import hashes, label, unit
from coursera_sandbox.moments import ABSENT, DAY, HOUR, MINUTE, NEVER, START, moment
from coursera_sandbox.tables import Tables

if TYPE_CHECKING:
    from coursera_sandbox.catalogue import Catalogue
    from coursera_sandbox.chance import Bools, Floats, Hashes, Ints

SLOTS = 3
"""A learner is in at most so many programs."""
SERIES = 10
"""Picks of an enrollment from here on are specializations; those below are courses."""
PASS_MARK = 80.0

# What became of a membership that ended.
GONE, ALLOW_LISTED, INVITED_AGAIN = 0, 1, 2

_SCHOOL_YEAR = moment("2025-08-20T00:00:00Z")
_EARLIER_YEAR = moment("2024-09-02T00:00:00Z")


@dataclass(frozen=True)
class View:
    """A look at the world at `now` in which each event is seen only once its own delay, at most `delay`, has passed."""

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
        """Those who are members at a moment."""
        return (self.joined <= now) & ((self.left > now) | (self.back <= now))

    def pending(self, now: int) -> Bools:
        """Those whose invitation waits for an answer."""
        again = (self.standing == INVITED_AGAIN) & (self.left + DAY <= now) & (self.back > now)
        return ((self.invited <= now) & (self.joined > now)) | again

    def present(self, at: Ints, rows: Ints) -> Bools:
        """For rows that point into this table: was he a member at that time?"""
        away = (at >= self.left[rows][:, None]) & (at < self.back[rows][:, None])
        return ~away


@dataclass(frozen=True)
class Progress:
    """Grades of the gradable items, one row per course enrollment and one column per item; NaN where there is no grade yet."""

    grade: Floats
    submitted: Bools
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
    submitted: Bools
    key: Hashes
    """Bits that belong to this enrollment alone, for choices made where it is shown."""


STATES = ("MEMBER", "DELETED_MEMBER", "WHITELISTED", "INVITED")


class World:
    """The college with this seed and so many learners."""

    def __init__(self, seed: int, learners: int, catalogue: Catalogue) -> None:
        self.seed = seed
        self.learners = learners
        self.catalogue = catalogue
        self.tables = Tables.of(catalogue)

    def _bits(self, purpose: str, *keys: Ints | Hashes | int) -> Hashes:
        return hashes(label(self.seed, purpose), *keys)

    def _chance(self, purpose: str, *keys: Ints | Hashes | int) -> Floats:
        return unit(self._bits(purpose, *keys))

    def _seen(self, view: View, purpose: str, at: Ints, *keys: Ints | Hashes | int) -> Bools:
        """Which of these events have reached the viewer?"""
        if not view.delay:
            return at <= view.now
        return at + (self._chance(f"{view.kind} {purpose}", *keys) * view.delay).astype(np.int64) <= view.now

    def programs_of(self, learner: Ints, slot: Ints) -> Ints:
        """The program in a learner's slot, or -1. Never the same program twice."""
        active = self.tables.active
        first = np.searchsorted(self.tables.shares, self._chance("first program", learner), side="right")
        second = (self._bits("second program", learner) % np.uint64(active - 1)).astype(np.int64)
        third = (self._bits("third program", learner) % np.uint64(active - 2)).astype(np.int64)
        third += third >= second
        step = np.where(slot == 1, second + 1, np.where(slot == 2, third + 1, 0))  # noqa: PLR2004
        many = self._chance("programs", learner)
        has = (slot == 0) | ((slot == 1) & (many < 0.16)) | ((slot == 2) & (many < 0.04))  # noqa: PLR2004
        return np.where(has, (first + step) % active, -1)

    def memberships(self, learner: Ints, slot: Ints) -> Memberships:
        """Memberships for pairs of learner and slot; pairs without one are left out."""
        program = self.programs_of(learner, slot)
        learner, slot, program = learner[program >= 0], slot[program >= 0], program[program >= 0]
        when = self._chance("joined", learner, slot)
        kind = self._chance("joined kind", learner, slot)
        # Part of what makes a college of fifty complete: the same numbers always lead the same odd life.
        role = np.where(slot == 0, learner % 50, -1)
        scripted = np.isin(role, (17, 21, 33, 41, 45, 47))
        joined = np.where(
            (kind < 0.08) & ~scripted,  # noqa: PLR2004
            _EARLIER_YEAR + when * 270 * DAY,
            np.where((kind < 0.8) | scripted, _SCHOOL_YEAR + when * 46 * DAY, _SCHOOL_YEAR + (46 + when * 260) * DAY),  # noqa: PLR2004
        ).astype(np.int64)
        joined -= joined % 1000
        invited = joined - (self._chance("invited", learner, slot) * 12 * DAY).astype(np.int64)
        joined = np.where((kind > 0.975) & ~scripted | (role == 17), NEVER, joined)  # noqa: PLR2004
        leaves = (self._chance("leaves", learner, slot) < 0.04) & ~scripted  # noqa: PLR2004
        after = self._chance("left", learner, slot)
        left = np.where(leaves, joined + 20 * DAY + (after * 240 * DAY).astype(np.int64), NEVER)
        left = np.where(np.isin(role, (33, 41, 45, 47)), START - 40 * DAY + (after * 30 * DAY).astype(np.int64), left)
        left = np.where(role == 21, START + 6 * HOUR + (after * 60 * HOUR).astype(np.int64), left)  # noqa: PLR2004
        again = self._chance("back", learner, slot)
        returns = leaves & (again < 0.33)  # noqa: PLR2004
        back = np.where(returns, left + 5 * DAY + (again * 90 * DAY).astype(np.int64), NEVER)
        back = np.where(role == 33, START + 6 * HOUR + (again * 60 * HOUR).astype(np.int64), back)  # noqa: PLR2004
        left = np.where(joined == NEVER, NEVER, left)
        standing = np.where(role == 45, ALLOW_LISTED, np.where(role == 47, INVITED_AGAIN, GONE))  # noqa: PLR2004
        return Memberships(learner, slot, program, invited, joined, left, back, standing)

    def enrollments(self, learner: Ints, slot: Ints, view: View) -> Enrollments:
        """What the viewer sees of the enrollments of these pairs of learner and slot, which must be in ascending order."""
        members = self.memberships(learner, slot)
        pair, pick, course, enrolled = self._picks(members, view)
        key = self._bits("enrollment", members.learner[pair], members.slot[pair], pick)
        progress = self._progress(members, pair, course, enrolled, key, view)
        columns = {
            "pair": pair,
            "pick": pick,
            "content": course,
            "enrolled": enrolled,
            "last": progress.last,
            "completed": progress.completed,
            "grade": progress.overall,
            "percent": progress.percent,
            "hours": progress.hours,
            "row": np.arange(len(pair)),
        }
        series = self._series(members, columns)
        columns = {name: np.concatenate([column, series[name]]) for name, column in columns.items()}
        order = np.argsort(columns["pair"] * 16 + columns["pick"], kind="stable")
        columns = {name: column[order] for name, column in columns.items()}
        pair, pick = columns["pair"], columns["pick"]
        state, deleted = self._states(members, view)
        return Enrollments(
            learner=members.learner[pair],
            slot=members.slot[pair],
            pick=pick,
            program=members.program[pair],
            content=columns["content"],
            enrolled=columns["enrolled"],
            last=columns["last"],
            completed=columns["completed"],
            grade=columns["grade"],
            percent=columns["percent"],
            hours=columns["hours"],
            state=state[pair],
            deleted=deleted[pair],
            items=progress.grade[columns["row"]],
            submitted=progress.submitted[columns["row"]],
            key=self._bits("enrollment", members.learner[pair], members.slot[pair], pick),
        )

    def _picks(self, members: Memberships, view: View) -> tuple[Ints, Ints, Ints, Ints]:
        """Which courses: (index into members, pick, course, time of enrollment), as far as the viewer sees them."""
        tables = self.tables
        pick = np.arange(SERIES)
        base = tables.base_count[members.program]
        count = np.minimum((self._chance("courses", members.learner, members.slot) * 12).astype(np.int64), base)
        turn = self._bits("turn", members.learner, members.slot)
        steps = tables.steps[
            members.program, ((turn >> np.uint64(32)) % np.uint64(tables.steps.shape[1])).astype(np.int64)
        ]
        start = (turn % np.maximum(base, 1).astype(np.uint64)).astype(np.int64)
        place = (start[:, None] + pick * steps[:, None]) % np.maximum(base, 1)[:, None]
        extra = np.clip(pick - 8, 0, 1)
        program = members.program[:, None]
        is_base = pick < 8  # noqa: PLR2004
        course = np.where(is_base, tables.base[program, place], tables.added[program, extra])
        chance = self._chance("enroll", members.learner[:, None], members.slot[:, None], pick)
        joined = members.joined[:, None]
        early = joined + (chance**2 * 200 * DAY).astype(np.int64) + 2 * MINUTE
        late = np.maximum(joined, tables.added_at[program, extra]) + (chance * 30 * DAY).astype(np.int64) + 2 * MINUTE
        enrolled = np.where(is_base, early, late)
        enrolled = np.where(enrolled < NEVER // 2, enrolled - enrolled % 1000, NEVER)
        wanted = np.where(is_base, pick < count[:, None], chance < 0.35)  # noqa: PLR2004
        away = (enrolled >= members.left[:, None]) & (enrolled < members.back[:, None])
        seen = self._seen(view, "enrolled", enrolled, members.learner[:, None], members.slot[:, None], pick)
        rows, columns = np.nonzero(wanted & ~away & seen & (course >= 0))
        return rows, columns, course[rows, columns], enrolled[rows, columns]

    def _progress(
        self, members: Memberships, pair: Ints, course: Ints, enrolled: Ints, key: Hashes, view: View
    ) -> Progress:
        """Work on the items of a course: up to four sessions, first attempts, second attempts, grades that peers give later."""
        tables = self.tables
        item = np.arange(tables.weight.shape[1])
        keys = key[:, None]
        depth = (
            np.searchsorted([0.20, 0.28, 0.40, 0.51, 0.60], self._chance("depth", key), side="right") - 1
        )  # -1: never opened it
        first = enrolled + 10 * MINUTE + (self._chance("first session", key) ** 2 * 12 * DAY).astype(np.int64)
        gaps = DAY + (self._chance("gap", keys, np.arange(3)) * 20 * DAY).astype(np.int64)
        sessions = np.concatenate([first[:, None], first[:, None] + np.cumsum(gaps, axis=1)], axis=1)
        session = tables.session[course]
        jitter = (self._chance("minutes", keys, item) * 20 * MINUTE).astype(np.int64)
        handed_in = (
            np.take_along_axis(sessions, session, axis=1) + tables.nth[course] * 45 * MINUTE + 15 * MINUTE + jitter
        )
        peer = tables.peer[course]
        wait = np.where(peer, (self._chance("peers", keys, item) * 36 * HOUR).astype(np.int64), 0)
        graded = handed_in + wait
        exists = item < tables.item_count[course][:, None]
        done = exists & (session < depth[:, None]) & members.present(handed_in, pair)
        fails = tables.gradable[course][:, None] & (self._chance("fails", keys, item) < 0.12)  # noqa: PLR2004
        mark = self._chance("mark", keys, item)
        better = self._chance("better mark", keys, item)
        one = np.where(
            tables.gradable[course][:, None],
            np.round(np.where(fails, 45 + mark * 30, PASS_MARK + np.sqrt(mark) * 20), 1),
            100.0,
        )
        two = np.round(PASS_MARK + better * 20, 1)
        persists = self._chance("gives up", key)[:, None] > 0.06  # noqa: PLR2004
        handed_in_again = graded + DAY + (better * 4 * DAY).astype(np.int64)
        graded_again = handed_in_again + wait // 2
        goes_on = (session < depth[:, None] - 1) | (depth[:, None] == 4)  # noqa: PLR2004
        again = done & fails & persists & goes_on & members.present(handed_in_again, pair)

        seen_one = done & self._seen(view, "item", handed_in, keys, item)
        graded_one = seen_one & self._seen(view, "item", graded, keys, item)
        seen_two = again & self._seen(view, "item again", handed_in_again, keys, item)
        graded_two = seen_two & self._seen(view, "item again", graded_again, keys, item)
        grade = np.where(graded_two, two, np.where(graded_one, one, np.nan))
        opened = first - 5 * MINUTE
        opens = (depth >= 0) & self._seen(view, "opened", opened, key) & members.present(opened[:, None], pair)[:, 0]
        returned = members.back[pair] + 20 * MINUTE
        greets = (enrolled < members.left[pair]) & (returned < NEVER) & self._seen(view, "returned", returned, key)
        last = np.maximum(
            np.where(seen_one, handed_in, ABSENT).max(axis=1), np.where(seen_two, handed_in_again, ABSENT).max(axis=1)
        )
        last = np.maximum(last, np.maximum(np.where(opens, opened, ABSENT), np.where(greets, returned, ABSENT)))

        passed = grade >= PASS_MARK
        complete = (passed | ~exists).all(axis=1)
        passed_at = np.where(graded_two, graded_again, graded)
        completed = np.where(complete, np.where(exists, passed_at, ABSENT).max(axis=1), ABSENT)
        overall = np.round((np.nan_to_num(grade) * tables.weight[course]).sum(axis=1) / 100, 2)
        overall = np.where(tables.gradable[course] | complete, overall, np.nan)
        seen_count = seen_one.sum(axis=1)
        percent = seen_count * 100 // tables.item_count[course]
        unwatched = np.where(
            self._chance("videos", key) < 0.12, 1 + (self._chance("unwatched", key) * 8).astype(np.int64), 0
        )  # noqa: PLR2004
        percent = np.where(complete, 100 - unwatched, np.minimum(percent, 97))
        pace = 0.3 + self._chance("pace", key) * 2
        hours = np.round((seen_count + 0.5 * seen_two.sum(axis=1)) * pace + np.where(opens, 0.1, 0.0), 2)
        return Progress(grade, seen_one, completed, last, overall, percent, hours)

    def _series(self, members: Memberships, courses: dict[str, Ints | Floats]) -> dict[str, Ints | Floats]:
        """Enrollments in specializations, which follow from those in their courses."""
        tables = self.tables
        row_of = np.full((len(members.learner), len(self.catalogue.courses)), -1)
        row_of[courses["pair"].astype(np.int64), courses["content"].astype(np.int64)] = np.arange(len(courses["pair"]))
        found: list[dict[str, Ints | Floats]] = []
        for place in range(tables.series.shape[1]):
            number = tables.series[members.program, place]
            wants = (number >= 0) & (self._chance("series", members.learner, members.slot, place) < 0.35)  # noqa: PLR2004
            parts = np.where(wants[:, None], np.take_along_axis(row_of, tables.parts[number], axis=1), -1)
            pair = np.flatnonzero((parts >= 0).any(axis=1))
            parts = parts[pair]
            has = parts >= 0

            def of(name: str, parts: Ints = parts) -> Ints | Floats:
                column = courses[name]
                return column[parts] if len(column) else np.zeros(parts.shape, column.dtype)

            complete = (has & (of("completed") >= 0)).all(axis=1)
            found.append(
                {
                    "pair": pair,
                    "pick": np.full(len(pair), SERIES + place),
                    "content": number[pair],
                    "enrolled": np.where(has, of("enrolled"), NEVER).min(axis=1),
                    "last": np.where(has, of("last"), ABSENT).max(axis=1),
                    "completed": np.where(complete, of("completed").max(axis=1), ABSENT),
                    "grade": np.where(complete, np.round(of("grade").mean(axis=1), 2), np.nan),
                    "percent": np.where(has, of("percent"), 0).sum(axis=1) // parts.shape[1],
                    "hours": np.round(np.where(has, of("hours"), 0.0).sum(axis=1), 2),
                    "row": np.where(has, parts, 0).max(axis=1),
                }
            )
        return {name: np.concatenate([part[name] for part in found]) for name in courses}

    def _states(self, members: Memberships, view: View) -> tuple[Ints, Ints]:
        """(index into STATES, time of deletion) of each membership, as the viewer sees it."""
        gone = self._seen(view, "left", members.left, members.learner, members.slot)
        here = ~gone | self._seen(view, "back", members.back, members.learner, members.slot)
        state = np.where(here, 0, np.array([1, 2, 3])[members.standing])
        return state, np.where(state == 1, members.left, ABSENT)
