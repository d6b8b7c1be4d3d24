# ruff: noqa: S608 - every name in a statement is a constant
"""Queries the enrollments, completions and final grades that the report page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coursera_connect.report.tables import Tables

CLASSES = 1000
"""How many classes are listed: those with the most learners."""

FEWEST = 5
"""The fewest learners whose grades are summarised: the median of one learner is that learner's grade."""

CONNECTED = {
    "enrollments": ("program_id", "class_sourced_id", "user_sourced_id", "is_completed", "grade_0_to_1", "enrolled_on"),
    "classes": ("program_id", "class_sourced_id", "class_title", "school_sourced_id"),
}

_GRADE = "case when e.is_completed then cast(e.grade_0_to_1 as double precision) * 100 end"

_SUMS = f"""
    count(e.user_sourced_id), count(distinct e.user_sourced_id),
    sum(case when e.is_completed then 1 else 0 end), count({_GRADE}),
    percentile_cont(0.25) within group (order by {_GRADE}),
    percentile_cont(0.5) within group (order by {_GRADE}),
    percentile_cont(0.75) within group (order by {_GRADE})
"""

_SUM_NAMES = ("enrollments", "learners", "completed", "graded", "lower", "median", "upper")


def learning(tables: Tables) -> dict[str, Any]:
    """Return enrollments, completions and final grades per program, class and month, and by tens of percent."""
    if not all(tables.has("connect", name, columns) for name, columns in CONNECTED.items()):
        return {"programs": [], "classes": [], "months": [], "bins": []}
    of_programs = tables.dicts(
        f"select e.program_id, {_SUMS} from connect.enrollments as e group by e.program_id order by e.program_id",
        ("program_id", *_SUM_NAMES),
    )
    classes = tables.dicts(
        "select c.program_id, c.class_sourced_id, c.class_title, c.school_sourced_id, "
        f"{_SUMS} from connect.classes as c "
        "left join connect.enrollments as e on c.class_sourced_id = e.class_sourced_id "
        "group by c.program_id, c.class_sourced_id, c.class_title, c.school_sourced_id "
        f"order by count(e.user_sourced_id) desc, c.class_sourced_id limit {CLASSES}",
        ("program_id", "class", "title", "school", *_SUM_NAMES),
    )
    classes.sort(key=lambda row: ((row["title"] or "").casefold(), row["class"]))
    for row in (*of_programs, *classes):
        _sum_up(row)
    many = {row["program_id"] for row in of_programs if row["median"] is not None}
    bins = tables.dicts(
        f"select program_id, least(floor(grade / 10), 9) * 10, count(*) "
        f"from (select e.program_id, {_GRADE} as grade from connect.enrollments as e) as g "
        "where grade between 0 and 100 group by 1, 2 order by 1, 2",
        ("program_id", "from", "count"),
    )
    return {
        "programs": of_programs,
        "classes": classes,
        "months": _months(tables),
        "bins": [{**row, "from": int(row["from"])} for row in bins if row["program_id"] in many],
    }


def _sum_up(row: dict[str, Any]) -> None:
    row["completed"] = int(row["completed"] or 0)
    enough = row["graded"] >= FEWEST
    for name in ("lower", "median", "upper"):
        row[name] = round(float(row[name]), 1) if enough and row[name] is not None else None


def _months(tables: Tables) -> list[dict[str, Any]]:
    """Return per program and month, such as 2026-02, how many enrollments began and how many were completed."""
    completed = "completed_on" if tables.has("connect", "enrollments", ("completed_on",)) else "null"
    month = "substr(cast({} as varchar), 1, 7)"
    return tables.dicts(
        "select program_id, month, sum(enrolled), sum(completed) from ("
        f"select program_id, {month.format('enrolled_on')} as month, 1 as enrolled, 0 as completed "
        "from connect.enrollments where enrolled_on is not null union all "
        f"select program_id, {month.format(completed)}, 0, 1 "
        f"from connect.enrollments where is_completed and {completed} is not null"
        ") as moves group by program_id, month order by month, program_id",
        ("program_id", "month", "enrolled", "completed"),
    )


# What is wrong
