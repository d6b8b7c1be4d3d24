"""A row that is wrong for one night, and that no later night reads again, stays published until it was read again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.bad_data.college import ITEMS, College, ms
from tests.bad_data.nights import Site

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.bad_data.nights import Files, Nights
    from tests.bad_data.upstream import Alter

pytestmark = [pytest.mark.slow(minutes=5), pytest.mark.pipeline]

QUIET, COURSE = "U00x02", "C00"
KEY = f"{QUIET}~{COURSE}"
DIP = 3
"""The last night that reads somebody who was active on the first one: the night looks back 72 hours."""
SETTLED = 5
"""A night that neither reads that learner nor is the night after the dip."""
REPORTS = ("enrollments", "course_grades")


def on(night: int, moved: int = 0, *, course: bool = False) -> College:
    """Return the college on a night; one learner, or all of a course, were last active on the night `moved`."""
    college = College(2, 4, night)
    active = ms(college.now - timedelta(days=night - moved, hours=4))
    for name in REPORTS:
        college.rows[name] = [
            _quiet(row, active) if row.course == COURSE and (course or row.learner == QUIET) else row
            for row in college.rows[name]
        ]
    return college


def _quiet(row: Any, active: int) -> Any:
    """Return a report's row of somebody who was active once, and whose scores do not change."""
    value = json.loads(json.dumps(row.value)) | {"lastActivityAt": active}
    if "completedAt" in value:
        value["completedAt"] = active
    if "grade" in value:
        value["grade"] = 0.8
    if "itemGradebooks" in value:
        value["overallCourseGrade"] = 80.0
        for item in value["itemGradebooks"]:
            item["itemGrade"] = 80.0
    return replace(row, value=value, times=(active, row.times[1], active if row.times[2] else 0))


def changed(**more: Any) -> Alter:
    """Return what a row says in place of what it said."""
    return lambda value: [json.dumps(value | more)]


def ungraded(value: Any) -> list[str]:
    """Return a row of the gradebook without a grade."""
    items = [item | {"itemGrade": None} for item in value["itemGradebooks"]]
    return [json.dumps(value | {"overallCourseGrade": None, "itemGradebooks": items})]


def item_gone(value: Any) -> list[str]:
    """Return a row of the gradebook without one of its items."""
    items = [item for item in value["itemGradebooks"] if item["itemId"] != f"{COURSE}{ITEMS[0]}"]
    return [json.dumps(value | {"itemGradebooks": items})]


def absent(_value: Any) -> list[str]:
    """Return nothing, as if there were no such row."""
    return []


def of(files: Files) -> dict[str, Any]:
    """Return the rows about the quiet learner in the course."""
    return {
        name: [row for row in files.rows.get(name, ()) if QUIET in row[0] and COURSE in row[0]]
        for name in ("enrollments", "results")
    }


Dip = dict[tuple[str, str], "Alter"]
NO_GRADE: Dip = {("enrollments", KEY): changed(grade=None), ("course_grades", KEY): ungraded}
ZERO: Dip = {("enrollments", KEY): changed(grade=0)}
NOT_READ: Dip = dict.fromkeys(((name, KEY) for name in REPORTS), absent)


@pytest.fixture(scope="module")
def begun(nights: Nights, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], Site]:
    """Return a function that copies a college as it is before the night of the dip, published with a grade sync."""
    made: dict[str, Site] = {}

    def copied(mode: str, folder: Path) -> Site:
        if mode not in made:
            made[mode] = Site(nights.empty).copy(tmp_path_factory.mktemp(mode) / "site")
            for night in range(DIP):
                nights.live(made[mode], on(night), mode=mode)
        return made[mode].copy(folder / "site")

    return copied


@pytest.mark.parametrize(
    ("mode", "dip"),
    [("final_incremental", NO_GRADE), ("final_incremental", ZERO), ("granular_all", NO_GRADE)],
    ids=["final grade", "zero", "items"],
)
def test_a_score_that_is_wrong_for_one_night_stays_until_its_row_is_read_again(
    begun: Callable[[str, Path], Site], nights: Nights, tmp_path: Path, mode: str, dip: Dip
) -> None:
    place = begun(mode, tmp_path)
    before = of(nights.live(place, on(DIP - 1), mode=mode))
    assert before["results"]
    for night, altered in ((DIP, dip), (DIP + 1, {}), (SETTLED, {})):
        assert of(nights.live(place, on(night), altered, mode=mode)) == before, night
    assert held(place)
    # The learner is active again, and the report says what it said before.
    healed = of(nights.live(place, on(SETTLED + 1, SETTLED + 1), mode=mode))
    assert [row[:7] for row in healed["results"]] == [row[:7] for row in before["results"]]
    assert not held(place)


def test_a_score_that_is_gone_leaves_once_its_row_was_read_again(
    begun: Callable[[str, Path], Site], nights: Nights, tmp_path: Path
) -> None:
    place = begun("final_incremental", tmp_path)
    for night, moved in ((DIP, 0), (SETTLED, 0)):
        assert of(nights.live(place, on(night, moved), NO_GRADE))["results"], night
    assert not of(nights.live(place, on(SETTLED + 1, SETTLED + 1), NO_GRADE))["results"]


def test_rows_that_a_complete_reading_lacks_stay_until_the_next_complete_reading(
    begun: Callable[[str, Path], Site], nights: Nights, tmp_path: Path
) -> None:
    place = begun("final_incremental", tmp_path)
    before = of(nights.live(place, on(DIP - 1)))
    assert of(nights.live(place, on(SETTLED), NOT_READ, full=True)) == before
    for night in (SETTLED + 1, SETTLED + 2):
        assert of(nights.live(place, on(night), NOT_READ)) == before, night
    there = place.copy(tmp_path / "there")
    assert of(nights.live(there, on(SETTLED + 7), full=True)) == before
    assert not held(there)
    gone = of(nights.live(place, on(SETTLED + 7), NOT_READ, full=True))
    assert not gone["enrollments"]
    assert not gone["results"]


def test_rows_that_a_usual_night_does_not_show_change_nothing(
    begun: Callable[[str, Path], Site], nights: Nights, tmp_path: Path
) -> None:
    place = begun("final_incremental", tmp_path)
    before = of(nights.live(place, on(DIP - 1)))
    assert of(nights.live(place, on(DIP), NOT_READ)) == before
    assert not held(place)


def test_an_item_that_is_missing_in_a_reading_of_its_course_stays_until_the_next_one(
    nights: Nights, tmp_path: Path
) -> None:
    place, mode = Site(nights.empty).copy(tmp_path / "site"), "granular_all"
    first = items(nights.live(place, on(0, course=True), mode=mode))
    assert items(nights.live(place, on(SETTLED - 1, course=True), mode=mode)) == first
    lacking: Dip = {(row.list, row.key): item_gone for row in on(0).rows["course_grades"] if row.course == COURSE}
    assert items(nights.live(place, on(SETTLED, course=True), lacking, mode=mode, full=True)) == first
    there = place.copy(tmp_path / "there")
    assert items(nights.live(there, on(SETTLED + 1, course=True), mode=mode)) == first
    gone = items(nights.live(place, on(SETTLED + 1, course=True), lacking, mode=mode))  # reads the small program whole
    assert len(first["lineItems"]) - len(gone["lineItems"]) == 1
    assert len(first["results"]) - len(gone["results"]) == len(on(0).learners_of("P00"))


def items(files: Files) -> dict[str, set[str]]:
    """Return the sourcedIds of the line items and results of the course."""
    return {name: {row[0] for row in files.rows[name] if COURSE in row[0]} for name in ("lineItems", "results")}


def held(place: Site) -> list[Any]:
    """Return the rows that the last publish held."""
    return place.query("select file, sourced_id from ledger.held where run = (select max(run) from ledger.runs)")
