"""A class day: one class of a quiet college hands in together, and nothing changes for other learners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from msgspec import Struct

from coursera_sandbox import daemon
from coursera_sandbox.campus import Campus
from coursera_sandbox.moments import DAY, HOUR, START, moment
from coursera_sandbox.rows import SERIES, SLOTS, View

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_sandbox.rows import Enrollments
    from coursera_sandbox.testing import RunningSandbox

QUIET = "2028-10-12"
"""A Thursday; in a college with seed 7 and without a class day nothing happens in the weeks around it."""
BUSY = "2026-03-12"
LEARNERS = 20_000
Key = tuple[str, str, str]


class Item(Struct, rename="camel", gc=False):
    item_grade: float | None = None
    is_item_passed: bool | None = None


class Row(Struct, rename="camel", gc=False):
    """The values that can change in a row of either report; reading the others of so many rows would take too long."""

    external_id: str
    program_id: str
    is_completed: bool
    overall_progress: int
    course_id: str = ""
    content_id: str = ""
    last_activity_at: int = -1
    completed_at: int = -1
    grade: float = -1
    overall_course_grade: float = -1
    item_gradebooks: list[Item] = []

    @property
    def graded(self) -> int:
        return sum(item.item_grade is not None for item in self.item_gradebooks)


class Page(Struct):
    elements: list[Row]
    paging: dict[str, Any]


def pages(sandbox: RunningSandbox, path: str, **params: Any) -> dict[Key, Row]:
    """Return all rows by program, course and learner."""
    found: list[Row] = []
    start = "0"
    while start:
        answer = sandbox.ask(path, limit=1000, start=start, **params).raise_for_status()
        page = msgspec.json.decode(answer.content, type=Page)
        found += page.elements
        start = page.paging.get("next", "")
    return {(row.program_id, row.course_id or row.content_id, row.external_id): row for row in found}


def gradebook(sandbox: RunningSandbox) -> dict[Key, Row]:
    return pages(sandbox, "/courseGradebookReports", q="search", includeDeletedMembers=True)


def reports(sandbox: RunningSandbox, **more: Any) -> dict[Key, Row]:
    everything = {"includeS12n": True, "includeDeletedMembers": True, "includeExpiredContracts": True}
    return pages(sandbox, "/enrollmentReports", **everything, **more)


def changed(before: dict[Key, Row], after: dict[Key, Row]) -> set[Key]:
    assert before.keys() == after.keys()
    return {key for key, row in after.items() if row != before[key]}


def test_two_percent_of_a_quiet_college_hand_in_together_and_nobody_else_moves(start_sandbox: Any) -> None:
    day = moment(QUIET)
    sandbox = start_sandbox(learners=LEARNERS, now="2028-10-11T20:00:00Z", class_day=QUIET)
    before = gradebook(sandbox)
    assert max(row.last_activity_at for row in before.values()) < day - 100 * DAY

    sandbox.advance(hours=44)  # Go to 16:00 of the next day, when the last report of the day has come.
    movers = reports(sandbox, lastActivityAfter=day - 100 * DAY)
    assert len({(program, course) for program, course, _ in movers}) == 1
    assert 0.015 * LEARNERS < len(movers) == len({learner for _, _, learner in movers}) < 0.025 * LEARNERS
    times = [row.last_activity_at for row in movers.values()]
    assert min(times) > day + 8 * HOUR
    # A learner who failed can try again after a day.
    assert sum(at > day + 18 * HOUR for at in times) < 0.02 * len(times)

    sandbox.advance(hours=14)  # Go to the next morning, when peers have graded, too.
    after = gradebook(sandbox)
    assert changed(before, after) == movers.keys()
    done = 0
    for key in movers:
        old, new = before[key], after[key]
        assert new.graded > old.graded
        assert new.overall_course_grade > old.overall_course_grade
        assert new.overall_progress > old.overall_progress
        assert not old.is_completed
        done += new.is_completed
    assert 0 < done < len(movers)


def test_a_class_day_in_the_school_year_leaves_the_days_before_and_all_others_as_they_were(start_sandbox: Any) -> None:
    with_class, without = (start_sandbox(now=f"{BUSY}T07:00:00Z", learners=600, class_day=day) for day in (BUSY, ""))
    for read in (reports, gradebook):
        assert read(with_class) == read(without)
    for sandbox in (with_class, without):
        sandbox.advance(days=2)
    for read in (reports, gradebook):
        different = changed(read(without), read(with_class))
        assert len({(program, course) for program, course, _ in different}) == 1
        assert 0.01 * 600 < len(different) < 0.03 * 600


def test_the_variable_does_the_same_as_the_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSERA_SANDBOX_CLASS_DAY", f"{QUIET}, {BUSY}")
    server, _ = daemon.start(daemon.Options(tmp_path, port=0))
    try:
        assert server.class_day == f"{QUIET}, {BUSY}"
    finally:
        daemon.stop(tmp_path)


def truth(campus: Campus, now: int, learners: Any) -> Enrollments:
    pairs = (np.asarray(learners)[:, None] * SLOTS + np.arange(SLOTS)).ravel()
    return campus.world.enrollments(pairs // SLOTS, pairs % SLOTS, View("truth", now))


def table(rows: Enrollments) -> dict[tuple[int, int, int], tuple[Any, ...]]:
    """Return the values of each enrollment; a missing grade is -1."""
    keys = zip(rows.learner.tolist(), rows.slot.tolist(), rows.pick.tolist(), strict=True)
    columns = (rows.last, rows.completed, np.nan_to_num(rows.grade, nan=-1), rows.hours)
    items = map(tuple, np.nan_to_num(rows.items, nan=-1).tolist())
    return dict(zip(keys, zip(*(column.tolist() for column in columns), items, strict=True), strict=True))


DAYS = tuple(moment(day) for day in (BUSY, "2026-03-13", "2026-03-19", "2026-04-23"))


@pytest.mark.parametrize("seed", range(3))
def test_any_learner_hands_in_the_same_alone_and_in_a_college_of_any_size(seed: int) -> None:
    small, large = (Campus.open(seed, learners, START, DAYS) for learners in (1, 4000))
    assert small.world.classes == large.world.classes
    some = np.flatnonzero(np.arange(4000) % 7 == seed)
    for now in (DAYS[0] + DAY, DAYS[-1] + DAY):
        everybody = table(truth(large, now, np.arange(4000)))
        alone = table(truth(small, now, some))
        assert alone == {key: row for key, row in everybody.items() if key[0] in set(some.tolist())}


@pytest.mark.parametrize("seed", range(3))
def test_class_days_take_nothing_back_and_change_no_day_before_them(seed: int) -> None:
    with_class, without = (Campus.open(seed, 1000, START, days) for days in (DAYS, ()))
    learners = np.arange(1000)
    before = truth(with_class, DAYS[0] + 8 * HOUR, learners)
    assert table(before) == table(truth(without, DAYS[0] + 8 * HOUR, learners))
    moved = 0
    for hour in range(12, 60 * 24, 31):
        now = truth(with_class, DAYS[0] + hour * HOUR, learners)
        old, new = table(before), table(now)
        assert old.keys() <= new.keys()
        for key, (last, completed, grade, hours, items) in old.items():
            assert new[key][0] >= last
            assert completed in {-1, new[key][1]}
            if key[2] < SERIES:
                assert new[key][2] >= grade
                assert all(later >= earlier for later, earlier in zip(new[key][4], items, strict=True))
            assert new[key][3] >= hours
        before, moved = now, moved + (old != new)
    assert moved > 20


def test_each_class_day_moves_a_class_between_eight_and_six() -> None:
    with_class, without = (Campus.open(7, 4000, START, days) for days in (DAYS, ()))
    learners = np.arange(4000)
    for class_day in with_class.world.classes:
        evening = [truth(campus, class_day.day + 18 * HOUR, learners) for campus in (with_class, without)]
        theirs, plain = evening
        mine = (theirs.program == class_day.program) & (theirs.content == class_day.course) & (theirs.pick < SERIES)
        moved = mine & (theirs.percent > plain.percent)
        today = moved & (theirs.last > class_day.day)
        assert 0.015 < today.sum() / 4000 < 0.025
        assert theirs.last[today].min() > class_day.day + 8 * HOUR
