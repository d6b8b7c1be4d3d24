"""The programs of the last load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coursera_connect.errors import DatabaseError
from coursera_connect.warehouse import warehouse

if TYPE_CHECKING:
    from coursera_connect.warehouse.warehouse import Location, Warehouse

_SCHEMA, _VIEW, _COLUMNS = "staging", "stg_coursera__programs", ("program_id", "program_name")
"""The staging view of dbt, in which a program has one row: the newest of the raw table, unless it was removed."""


def loaded(database: Location, wait: float) -> dict[str, str]:
    """Return the names of the programs of the last load by id.

    Raises:
        DatabaseError: No programs were loaded and built yet.
    """
    with warehouse.opened(database, wait) as opened:
        if not _is_made(opened):
            raise DatabaseError(f"No programs have been loaded into {database} yet: run a job, or leave --loaded out.")
        return newest(opened)


def newest(database: Warehouse) -> dict[str, str]:
    """Return the names of the programs in an open warehouse by id; none before the first build."""
    if not _is_made(database):
        return {}
    query = f"select {', '.join(_COLUMNS)} from {_SCHEMA}.{_VIEW} order by program_id"  # noqa: S608 - names of ours
    return {str(program): str(name or "") for program, name in database.rows(query)}


def _is_made(database: Warehouse) -> bool:
    return set(_COLUMNS) <= set(database.columns(_SCHEMA).get(_VIEW, ()))
