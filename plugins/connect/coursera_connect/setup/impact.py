# ruff: noqa: S608 - every name in a statement is ours, every value a parameter
"""Counts the rows of programs that are about to leave a school or the sync.

The counts are from the schema `connect` of the warehouse. Before the first build nothing can leave.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coursera_connect.warehouse import warehouse

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from coursera_connect.warehouse.warehouse import Location, Warehouse

_NEEDED = {
    "program_schools": {"program_id", "school_sourced_id"},
    "classes": {"program_id"},
    "memberships": {"program_id", "person_key"},
    "grades": {"program_id"},
}


@dataclass(frozen=True)
class Counts:
    """The rows of some programs; `learners` counts people who belong to no other program."""

    classes: int
    learners: int
    results: int


@dataclass(frozen=True)
class Leaving:
    """The rows that a change of the mapping removes."""

    out: Counts
    """The rows of programs that leave the sync."""
    moving: Counts
    """The rows of programs that move to another school."""
    schools: Mapping[str, dict[str, Any]]
    """For each school that loses rows, by its sourcedId: `{"programs": [...], "classes", "learners", "results"}`."""


def leaving(database: Location, wait: float, lost: Mapping[str, str]) -> Leaving | None:
    """Count the rows of programs that leave their school (`Plan.lost`); None if nothing is loaded yet."""
    if not warehouse.exists(database):
        return None
    with warehouse.opened(database, wait) as opened:
        tables = opened.columns("connect")
        if any(not needed <= set(tables.get(table, ())) for table, needed in _NEEDED.items()):
            return None
        out = {program for program, school in lost.items() if not school}
        schools: dict[str, list[str]] = {}
        for program, school in opened.rows("select program_id, school_sourced_id from connect.program_schools"):
            if program in lost:
                schools.setdefault(school, []).append(program)
        return Leaving(
            _counts(opened, out),
            _counts(opened, lost.keys() - out),
            {
                school: {"programs": sorted(programs), **vars(_counts(opened, programs))}
                for school, programs in sorted(schools.items())
            },
        )


def _counts(database: Warehouse, programs: Collection[str]) -> Counts:
    if not programs:
        return Counts(0, 0, 0)
    chosen = sorted(programs)
    among = f"program_id in ({', '.join('?' * len(chosen))})"
    asked = (
        f"select count(*) from connect.classes where {among}",
        (
            f"select count(distinct person_key) from connect.memberships where {among} and person_key not in "
            f"(select person_key from connect.memberships where not ({among}))"
        ),
        f"select count(*) from connect.grades where {among}",
    )
    return Counts(*(next(database.rows(query, chosen * (query.count(among))))[0] for query in asked))
