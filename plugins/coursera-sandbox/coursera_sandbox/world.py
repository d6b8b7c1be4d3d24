"""The college as a pure function of seed and time: memberships, enrollments and progress.

Nothing is stored. Arrays of learner numbers go in, arrays with one element per membership or enrollment come out, and
any subset of the learners gives the same lives as all of them together. A :class:`View` says at which time the college
is seen, and how late events become visible. The numbers are in :mod:`coursera_sandbox.habits`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from coursera_sandbox import habits
from coursera_sandbox.chance import hashes, label, unit
from coursera_sandbox.moments import ABSENT, DAY, HOUR, MINUTE, NEVER, START
from coursera_sandbox.rows import (
    ALLOW_LISTED,
    GONE,
    INVITED_AGAIN,
    SERIES,
    SLOTS,
    ClassDay,
    Enrollments,
    Memberships,
    Plan,
    Progress,
    View,
)
from coursera_sandbox.tables import Tables

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from coursera_sandbox.catalogue import Catalogue
    from coursera_sandbox.chance import Bools, Floats, Hashes, Ints

    Columns = dict[str, NDArray[Any]]
    Picks = tuple[Ints, Ints, Ints, Ints]


class World:
    """The college with this seed, so many learners, and days (their midnights) on which a class hands in together."""

    def __init__(self, seed: int, learners: int, catalogue: Catalogue, class_days: tuple[int, ...] = ()) -> None:
        self.seed = seed
        self.learners = learners
        self.catalogue = catalogue
        self.class_days = class_days
        self.tables = Tables.of(catalogue)

    def _bits(self, purpose: str, *keys: Ints | Hashes | int) -> Hashes:
        return hashes(label(self.seed, purpose), *keys)

    def _chance(self, purpose: str, *keys: Ints | Hashes | int) -> Floats:
        return unit(self._bits(purpose, *keys))

    def _seen(self, view: View, purpose: str, at: Ints, *keys: Ints | Hashes | int) -> Bools:
        """Return which of these events are visible."""
        seen: Bools = at + _span(view.delay, self._chance(f"{view.kind} {purpose}", *keys)) <= view.now
        return seen

    def programs_of(self, learner: Ints, slot: Ints) -> Ints:
        """Return the program in a learner's slot, or -1. Never the same program twice."""
        active = self.tables.active
        first = np.searchsorted(self.tables.shares, self._chance("first program", learner), side="right")
        second = (self._bits("second program", learner) % np.uint64(active - 1)).astype(np.int64)
        third = (self._bits("third program", learner) % np.uint64(active - 2)).astype(np.int64)
        third += third >= second
        step = np.where(slot == 1, second + 1, np.where(slot > 1, third + 1, 0))
        many = self._chance("programs", learner)
        has = (
            (slot == 0) | ((slot == 1) & (many < habits.SECOND_PROGRAM)) | ((slot > 1) & (many < habits.THIRD_PROGRAM))
        )
        return np.where(has, (first + step) % active, -1)

    def memberships(self, learner: Ints, slot: Ints) -> Memberships:
        """Return memberships for pairs of learner and slot; pairs without one are left out."""
        program = self.programs_of(learner, slot)
        learner, slot, program = learner[program >= 0], slot[program >= 0], program[program >= 0]
        when = self._chance("joined", learner, slot)
        kind = self._chance("joined kind", learner, slot)
        role = np.where(slot == 0, learner % habits.CAST, -1)
        keen = _keen(learner, slot)
        scripted = np.isin(role, habits.SCRIPTED) | keen
        at_start = habits.SCHOOL_YEAR + when * habits.RUSH
        earlier = habits.EARLIER_YEAR + when * habits.EARLIER_SPAN
        later = habits.SCHOOL_YEAR + habits.RUSH + when * habits.TRICKLE
        joined = np.where(
            kind < habits.JOINED_EARLIER, earlier, np.where(kind < habits.JOINED_AT_START, at_start, later)
        )
        joined = _seconds(np.where(scripted, at_start, joined))
        invited = joined - _span(habits.INVITED_BEFORE, self._chance("invited", learner, slot))
        refuses = (kind >= habits.ACCEPTS) & ~scripted | (role == habits.NEVER_ACCEPTS)
        joined = np.where(refuses, NEVER, joined)

        leaves = (self._chance("leaves", learner, slot) < habits.LEAVES) & ~scripted & ~refuses
        after, again = self._chance("left", learner, slot), self._chance("back", learner, slot)
        left = np.where(leaves, joined + 20 * DAY + _span(240 * DAY, after), NEVER)
        left = np.where(scripted & ~keen & ~refuses, START - 40 * DAY + _span(30 * DAY, after), left)
        left = np.where(role == habits.LEAVES_SOON, habits.CURTAIN + _span(60 * HOUR, after), left)
        back = np.where(leaves & (again < habits.RETURNS), left + 5 * DAY + _span(90 * DAY, again), NEVER)
        back = np.where(role == habits.RETURNS_SOON, habits.CURTAIN + _span(60 * HOUR, again), back)
        ends = {habits.IS_ALLOW_LISTED: ALLOW_LISTED, habits.IS_INVITED_AGAIN: INVITED_AGAIN}
        standing = np.select([role == part for part in ends], list(ends.values()), GONE)
        return Memberships(learner, slot, program, invited, joined, left, back, standing)

    def enrollments(self, learner: Ints, slot: Ints, view: View) -> Enrollments:
        """Return the visible enrollments of these pairs of learner and slot, which are in ascending order."""
        members = self.memberships(learner, slot)
        picked = self._picks(members, view)
        pair, pick, course, enrolled = picked
        key = self._bits("enrollment", members.learner[pair], members.slot[pair], pick)
        progress = self._progress(members, picked, key, view)
        columns: Columns = {
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
            key=self._bits("enrollment", members.learner[pair], members.slot[pair], pick),
        )

    def _picks(self, members: Memberships, view: View) -> Picks:
        """Return the chosen courses that are visible, as (index into members, pick, course, time of enrollment)."""
        tables = self.tables
        pick = np.arange(SERIES)
        base = tables.base_count[members.program]
        count = np.minimum(
            (self._chance("courses", members.learner, members.slot) * habits.WISHES).astype(np.int64), base
        )
        turn = self._bits("turn", members.learner, members.slot)
        steps = tables.steps[
            members.program, ((turn >> np.uint64(32)) % np.uint64(tables.steps.shape[1])).astype(np.int64)
        ]
        start = (turn % np.maximum(base, 1).astype(np.uint64)).astype(np.int64)
        place = (start[:, None] + pick * steps[:, None]) % np.maximum(base, 1)[:, None]
        extra = np.clip(pick - habits.BASE_PICKS, 0, 1)
        program = members.program[:, None]
        is_base = pick < habits.BASE_PICKS
        course = np.where(is_base, tables.base[program, place], tables.added[program, extra])
        chance = self._chance("enroll", members.learner[:, None], members.slot[:, None], pick)
        joined = members.joined[:, None]
        keen = _keen(members.learner, members.slot)
        count = np.where(keen, base, count)
        early = joined + _span(habits.ENROLL_SPAN, chance**2) + 2 * MINUTE
        early = np.where(
            keen[:, None], habits.KEEN_FROM + ((pick + chance) * habits.KEEN_EVERY).astype(np.int64), early
        )
        late = np.maximum(joined, tables.added_at[program, extra]) + _span(habits.NEW_COURSE_SPAN, chance) + 2 * MINUTE
        enrolled = _seconds(np.where(is_base, early, late))
        wanted = np.where(is_base, pick < count[:, None], chance < habits.TRIES_NEW_COURSE)
        away = (enrolled >= members.left[:, None]) & (enrolled < members.back[:, None])
        seen = self._seen(view, "enrolled", enrolled, members.learner[:, None], members.slot[:, None], pick)
        rows, columns = np.nonzero(wanted & ~away & seen & (course >= 0))
        return rows, columns, course[rows, columns], enrolled[rows, columns]

    def _progress(self, members: Memberships, picked: Picks, key: Hashes, view: View) -> Progress:
        """Return the work on items of a course: up to four sessions, two attempts, late grades by peers."""
        pair, _, course, enrolled = picked
        tables = self.tables
        item = np.arange(tables.weight.shape[1])
        keys = key[:, None]
        plan = self._plan(members, picked, key)
        opened = plan.sessions[:, 0] - 5 * MINUTE
        for class_day in self.classes:
            self._call(members, picked, key, plan, class_day)
        sessions, depth = plan.sessions, plan.depth
        session, gradable = tables.session[course], tables.gradable[course]
        takes = (tables.nth[course] * habits.ITEM_TAKES) + _span(
            habits.ITEM_SPREAD, self._chance("minutes", keys, item)
        )
        handed_in = np.take_along_axis(sessions, session, axis=1) + 15 * MINUTE + takes
        wait = np.where(tables.peer[course], _span(habits.PEERS_TAKE, self._chance("peers", keys, item)), 0)
        graded = handed_in + wait
        exists = item < tables.item_count[course][:, None]
        done = exists & (session < depth[:, None]) & members.present(handed_in, pair)
        one, two, better = self._marks(keys, item, gradable)
        fails = one < habits.PASS_MARK
        handed_in_again = graded + habits.TRIES_AGAIN_LEAST + _span(habits.TRIES_AGAIN_SPREAD, better)
        called_on = np.take_along_axis(plan.called, session + 1, axis=1) + 15 * MINUTE + takes
        handed_in_again = np.maximum(handed_in_again, called_on)  # who goes on with his class had not tried before
        graded_again = handed_in_again + wait // 2
        persists = self._chance("gives up", key)[:, None] >= habits.GIVES_UP
        goes_on = (session < depth[:, None] - 1) | (depth[:, None] == habits.ALL_SESSIONS)
        again = done & fails & persists & goes_on & members.present(handed_in_again, pair)

        seen_one = done & self._seen(view, "item", handed_in, keys, item)
        graded_one = seen_one & self._seen(view, "item", graded, keys, item)
        seen_two = again & self._seen(view, "item again", handed_in_again, keys, item)
        graded_two = seen_two & self._seen(view, "item again", graded_again, keys, item)
        grade = np.where(graded_two, two, np.where(graded_one, one, np.nan))
        opens = (depth >= 0) & self._seen(view, "opened", opened, key) & members.present(opened[:, None], pair)[:, 0]
        returned = members.back[pair] + 20 * MINUTE
        greets = (enrolled < members.left[pair]) & (returned < NEVER) & self._seen(view, "returned", returned, key)
        last = np.maximum(
            np.where(seen_one, handed_in, ABSENT).max(axis=1), np.where(seen_two, handed_in_again, ABSENT).max(axis=1)
        )
        last = np.maximum(last, np.maximum(np.where(opens, opened, ABSENT), np.where(greets, returned, ABSENT)))

        passed = grade >= habits.PASS_MARK
        complete = (passed | ~exists).all(axis=1)
        passed_at = np.where(graded_two, graded_again, graded)
        completed = np.where(complete, np.where(exists, passed_at, ABSENT).max(axis=1), ABSENT)
        overall = np.round((np.nan_to_num(grade) * tables.weight[course]).sum(axis=1) / 100, 2)
        overall = np.where(gradable | complete, overall, np.nan)
        seen_count = seen_one.sum(axis=1)
        percent = seen_count * 100 // tables.item_count[course]
        skips = self._chance("videos", key) < habits.SKIPS_VIDEOS
        unwatched = np.where(skips, 1 + _span(8, self._chance("unwatched", key)), 0)
        percent = np.where(complete, 100 - unwatched, np.minimum(percent, 97))
        pace = 0.3 + self._chance("pace", key) * 2
        hours = np.round((seen_count + 0.5 * seen_two.sum(axis=1)) * pace + np.where(opens, 0.1, 0.0), 2)
        return Progress(grade, completed, last, overall, percent, hours)

    def _plan(self, members: Memberships, picked: Picks, key: Hashes) -> Plan:
        """Return when and how often learners work without a class day."""
        pair, _, _, enrolled = picked
        keen = _keen(members.learner, members.slot)[pair]
        depth = np.searchsorted(habits.LADDER, self._chance("depth", key), side="right") - 1
        within = np.where(keen, habits.KEEN_STARTS_WITHIN, habits.FIRST_SESSION_WITHIN)
        least = np.where(keen, habits.KEEN_GAP_LEAST, habits.GAP_LEAST)[:, None]
        spread = np.where(keen, habits.KEEN_GAP_SPREAD, habits.GAP_SPREAD)[:, None]
        first = enrolled + 10 * MINUTE + _span(within, self._chance("first session", key) ** 2)
        gaps = least + _span(spread, self._chance("gap", key[:, None], np.arange(habits.ALL_SESSIONS - 1)))
        later = first[:, None] + np.cumsum(gaps, axis=1)
        return Plan(
            sessions=np.concatenate([first[:, None], later], axis=1),
            depth=np.where(keen, habits.ALL_SESSIONS, depth),
            called=np.full((len(key), habits.ALL_SESSIONS + 1), ABSENT),
        )

    @cached_property
    def classes(self) -> tuple[ClassDay, ...]:
        """Which class hands in on each of the class days."""
        if not self.class_days:
            return ()
        pairs = np.arange(habits.CLASS_AMONG * SLOTS)
        members = self.memberships(pairs // SLOTS, pairs % SLOTS)
        picked = self._picks(members, View("class day", self.class_days[-1]))
        pair, pick, course, _ = picked
        key = self._bits("enrollment", members.learner[pair], members.slot[pair], pick)
        plan = self._plan(members, picked, key)
        courses = len(self.catalogue.courses)
        group = members.program[pair] * courses + course
        has_items = self.tables.gradable & (self.tables.item_count >= habits.ALL_SESSIONS)  # in each session
        one_of_many = self.tables.base_count[members.program[pair]] > 1
        found = []
        for day in self.class_days:
            sizes = np.bincount(group[has_items[course] & one_of_many & self._stopped(members, picked, plan, day)])
            nearest = int(np.argmin(np.abs(sizes - habits.CLASS_SHARE * habits.CLASS_AMONG))) if len(sizes) else 0
            found.append(ClassDay(day, *divmod(nearest, courses)))
            self._call(members, picked, key, plan, found[-1])
        return tuple(found)

    def _stopped(self, members: Memberships, picked: Picks, plan: Plan, day: int) -> Bools:
        """Return the members who began this school year before a day and have not done all sessions."""
        pair, _, _, enrolled = picked
        last = np.take_along_axis(plan.sessions, np.maximum(plan.depth - 1, 0)[:, None], axis=1)[:, 0]
        hours = np.array([[day + habits.CLASS_FROM, day + habits.CLASS_UNTIL]])
        began = (enrolled >= habits.SCHOOL_YEAR) & (plan.depth >= 0) & (last < day)
        stopped: Bools = began & (plan.depth < habits.ALL_SESSIONS) & members.present(hours, pair).all(axis=1)
        return stopped

    def _call(self, members: Memberships, picked: Picks, key: Hashes, plan: Plan, class_day: ClassDay) -> None:
        """Let those of a class who stopped do their next session on its day."""
        pair, _, course, _ = picked
        group = (members.program[pair] == class_day.program) & (course == class_day.course)
        row = np.flatnonzero(group & self._stopped(members, picked, plan, class_day.day))
        within = _span(habits.CLASS_SITS_DOWN_WITHIN, self._chance("class day", key[row], class_day.day))
        column = plan.depth[row]
        plan.sessions[row, column] = plan.called[row, column] = class_day.day + habits.CLASS_FROM + within
        plan.depth[row] += 1

    def _marks(self, keys: Hashes, item: Ints, gradable: Bools) -> tuple[Floats, Floats, Floats]:
        """Return the marks of first and second attempts, and how soon (0 to 1) the second attempt comes."""
        fails = self._chance("fails", keys, item) < habits.FAILS_FIRST
        mark, better = self._chance("mark", keys, item), self._chance("better mark", keys, item)
        room = 100 - habits.PASS_MARK
        one = np.where(fails, 45 + mark * 30, habits.PASS_MARK + np.sqrt(mark) * room).round(1)
        one[~gradable] = 100.0
        two = (habits.PASS_MARK + better * room).round(1)
        return one, two, better

    def _series(self, members: Memberships, courses: Columns) -> Columns:
        """Return enrollments in specializations, which follow from those in their courses."""
        tables = self.tables
        row_of = np.full((len(members.learner), len(self.catalogue.courses)), -1)
        row_of[courses["pair"].astype(np.int64), courses["content"].astype(np.int64)] = np.arange(len(courses["pair"]))
        found: list[Columns] = []
        for place in range(tables.series.shape[1]):
            number = tables.series[members.program, place]
            wants = (number >= 0) & (self._chance("series", members.learner, members.slot, place) < habits.TAKES_SERIES)
            parts = np.where(wants[:, None], np.take_along_axis(row_of, tables.parts[number], axis=1), -1)
            pair = np.flatnonzero((parts >= 0).any(axis=1))
            parts = parts[pair]
            has = parts >= 0

            def of(name: str, parts: Ints = parts) -> NDArray[Any]:
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
        """Return (index into STATES, time of deletion) of each membership, as far as visible."""
        gone = self._seen(view, "left", members.left, members.learner, members.slot)
        here = ~gone | self._seen(view, "back", members.back, members.learner, members.slot)
        state = np.where(here, 0, np.array([1, 2, 3])[members.standing])
        return state, np.where(state == 1, members.left, ABSENT)


def _keen(learner: Ints, slot: Ints) -> Bools:
    """Return the learners who work all the time in their first program."""
    keen: Bools = (slot == 0) & (learner < habits.KEEN_AMONG) & np.isin(learner % habits.CAST, habits.KEEN)
    return keen


def _span(length: int | Ints, share: Floats) -> Ints:
    """Return a part of a span of time, in whole milliseconds."""
    part: Ints = (share * length).astype(np.int64)
    return part


def _seconds(at: Floats | Ints) -> Ints:
    """Return whole seconds, for times that people cause by a click; NEVER and later become NEVER."""
    whole = at.astype(np.int64)
    cut: Ints = np.where(whole < NEVER // 2, whole - whole % 1000, NEVER)
    return cut
