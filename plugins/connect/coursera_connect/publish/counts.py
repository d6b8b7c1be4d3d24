# ruff: noqa: S608 - every name in a statement is quoted
"""Counts the rows of each file, and how many are added, changed, removed and held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coursera_connect.publish.stages import at
from oneroster_csv.sql import literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from coursera_connect.warehouse.warehouse import Warehouse


def per_file(database: Warehouse, files: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the total, added, changed, removed and held rows per file; a row of several schools counts once."""
    names = ("total", "added", "changed", "removed", "held")
    for file in files:
        moved = ", ".join(
            f"(select count(*) from {at('changes', file)} where what = {literal(what)})" for what in names[1:4]
        )
        held = f"(select count(distinct sourced_id) from held where file = {literal(file)})"
        row = database.row(f"select (select count(*) from {at('now', file)}), {moved}, {held}")
        yield {"file": file, **dict(zip(names, map(int, row), strict=True))}


def per_school(database: Warehouse, files: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the total, added, changed, removed and held rows per file and school."""
    for file in files:
        before, after = at("schools of memory", file), at("schools of now", file)
        held = f"(select distinct sourced_id from held where file = {literal(file)})"
        moved = f'(select "sourcedId" from {at("changes", file)} union select sourced_id from {held} as h)'
        # Which schools the few that moved are in, or were; of all others only how many there are.
        whose = " union ".join(f'select * from {one} where "sourcedId" in {moved}' for one in (after, before))
        query = (
            f"select school, sum(total), sum(added), sum(changed), sum(removed), sum(held) from ("
            f"select school, count(*) as total, 0 as added, 0 as changed, 0 as removed, 0 as held "
            f"from {after} group by school "
            f"union all select school, 0, 0, 0, 0, 0 from {before} group by school "
            # An id that the source has twice counts as often as it changed; once it was counted above.
            f'union all select s.school, count(a."sourcedId") - count(distinct a."sourcedId"), '
            f"count(case when c.what = 'added' then 1 end), "
            f"count(case when c.what = 'changed' then 1 end), count(case when c.what = 'removed' then 1 end), "
            f"count(h.sourced_id) from ({whose}) as s "
            f'left join {after} as a on a."sourcedId" = s."sourcedId" and a.school = s.school '
            f'left join {at("changes", file)} as c on c."sourcedId" = s."sourcedId" '
            f'left join {held} as h on h.sourced_id = s."sourcedId" group by s.school'
            f") as counted group by school order by school"
        )
        for row in list(database.rows(query)):
            names = ("school", "total", "added", "changed", "removed", "held")
            yield {"file": file, **dict(zip(names, (row[0], *map(int, row[1:])), strict=True))}
