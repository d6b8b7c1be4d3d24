# ruff: noqa: S608 - every name in a statement is ours or quoted
"""Finds the line items and results that leave the package when the grade sync mode changes.

The rows of the last build show what would leave, whatever its mode was: line items of whole courses leave with the
granular modes; line items of course items leave with the other modes, or if `granular_selected` does not choose them;
and running grades of courses leave with `final`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coursera_connect.errors import DatabaseError
from coursera_connect.setup import items as gradebook
from coursera_connect.warehouse import ledger, warehouse
from oneroster_csv.sql import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from coursera_connect.setup.items import Choice, Item
    from coursera_connect.warehouse.warehouse import Location, Warehouse

FINAL, INCREMENTAL, SELECTED, ALL = "final", "final_incremental", "granular_selected", "granular_all"
MODES = {
    FINAL: "one grade per course, once it is completed",
    INCREMENTAL: "one grade per course, from the first progress on",
    SELECTED: "a grade for each chosen item (connect items), and none for the course",
    ALL: "a grade for each gradable item, and none for the course",
}
SCALES = {"100": "scores from 0 to 100, with two decimals", "1": "scores from 0 to 1, with four decimals"}
_NEEDED = {
    "line_items": {"program_id", "course_id", "item_id", "line_item_sourced_id"},
    "grades": {"line_item_sourced_id", "score_status"},
    "program_schools": {"program_id", "school_sourced_id", "school_name"},
}
_LINE_ITEMS = """
    select
        schools.school_sourced_id, schools.school_name,
        line_items.program_id, line_items.course_id, line_items.item_id,
        coalesce(scores.results, 0), coalesce(scores.running, 0)
    from connect.line_items as line_items
    inner join connect.program_schools as schools on line_items.program_id = schools.program_id
    left join (
        select
            grades.line_item_sourced_id,
            count(*) as results,
            count(case when grades.score_status = 'partially graded' then 1 end) as running
        from connect.grades as grades
        group by grades.line_item_sourced_id
    ) as scores on line_items.line_item_sourced_id = scores.line_item_sourced_id
"""
_LEFT = """
    select classes."schoolSourcedId", max(schools.name), count(distinct items."sourcedId"), count(results."sourcedId")
    from ledger."lineItems" as items
    inner join ledger.classes as classes on classes."sourcedId" = items."classSourcedId" and classes.until_run is null
    inner join ledger.orgs as schools
        on schools."sourcedId" = classes."schoolSourcedId" and schools.until_run is null
    left join ledger.results as results
        on results."lineItemSourcedId" = items."sourcedId" and results.until_run is null
    where items.until_run is null and items."sourcedId" not in (select "sourcedId" from oneroster."lineItems")
    group by classes."schoolSourcedId"
    order by 2, 1
"""


@dataclass
class School:
    """The number of line items and results of a school."""

    school_sourced_id: str
    school_name: str
    line_items: int = 0
    results: int = 0


@dataclass(frozen=True)
class _LineItem:
    school: str
    school_name: str
    program: str
    course: str
    item: str | None
    results: int
    running: int
    """The number of partially graded results, as those of courses are before there is a final grade."""


def in_use(database: Location, wait: float, setting: str = "grade_sync") -> str | None:
    """Return the mode (or `score_scale`) of the last build; None if there was none."""
    if not warehouse.exists(database):
        return None
    with warehouse.opened(database, wait) as opened:
        if setting not in opened.columns("connect").get("settings_used", ()):
            return None
        used = opened.rows(f"select {quoted(setting)} from connect.settings_used")
        return next((str(value) for (value,) in used if value is not None), None)


def published(database: Location, wait: float, setting: str = "grade_sync") -> str | None:
    """Return the mode (or `score_scale`) of the last publish, with which the next one is compared; None if none."""
    if not warehouse.exists(database):
        return None
    with warehouse.opened(database, wait) as opened:
        last = ledger.last_run(opened, ledger.PUBLISHED)
    return json.loads(last["settings"]).get(setting) if last else None


def is_there(database: Location, wait: float) -> bool:
    """Return whether there was a build."""
    if not warehouse.exists(database):
        return False
    with warehouse.opened(database, wait) as opened:
        return _made(opened)


def there(database: Location, wait: float) -> list[School]:
    """Return the line items and results of the last build per school, by name.

    Raises:
        DatabaseError: There was no build yet.
    """
    with warehouse.opened(database, wait) as opened:
        return _per_school((one, 1, one.results) for one in _line_items(opened))


def leaving(database: Location, wait: float, mode: str, choices: Sequence[Choice]) -> list[School]:
    """Return what would leave with another mode, per school that loses something, by name.

    Raises:
        DatabaseError: There was no build yet.
    """
    with warehouse.opened(database, wait) as opened:
        lines = _line_items(opened)
    names: dict[tuple[str, str, str], Item] = {}
    if mode == SELECTED and any(one.item is not None for one in lines):
        names = {(one.program_id, one.course_id, one.item_id): one for one in gradebook.gradable(database, wait)}

    def stays(one: _LineItem) -> bool:
        if one.item is None:
            return mode in {FINAL, INCREMENTAL}
        if mode != SELECTED:
            return mode == ALL
        unnamed = gradebook.Item(one.program, "", one.course, "", "", one.item, one.item, "", None, 0)
        item = names.get((one.program, one.course, one.item), unnamed)
        return gradebook.chosen_by(choices, item) is not None

    def lost(one: _LineItem) -> tuple[_LineItem, int, int]:
        if not stays(one):
            return one, 1, one.results
        return one, 0, one.running if mode == FINAL else 0

    return [school for school in _per_school(map(lost, lines)) if school.line_items or school.results]


def left(database: Location, wait: float) -> list[School]:
    """Return what was published and is no longer in the tables, per school: for a mode that was built already."""
    with warehouse.opened(database, wait) as opened:
        return [School(*row) for row in opened.rows(_LEFT)]


def _made(database: Warehouse) -> bool:
    tables = database.columns("connect")
    return all(needed <= set(tables.get(table, ())) for table, needed in _NEEDED.items())


def _line_items(database: Warehouse) -> list[_LineItem]:
    if not _made(database):
        raise DatabaseError("There are no line items yet, since the transforms have not run: run a job first.")
    return [_LineItem(*row) for row in database.rows(_LINE_ITEMS)]


def _per_school(lines: Iterable[tuple[_LineItem, int, int]]) -> list[School]:
    schools: dict[str, School] = {}
    for one, line_items, results in lines:
        school = schools.setdefault(one.school, School(one.school, one.school_name))
        school.line_items += line_items
        school.results += results
    return sorted(schools.values(), key=lambda school: (school.school_name.casefold(), school.school_sourced_id))
