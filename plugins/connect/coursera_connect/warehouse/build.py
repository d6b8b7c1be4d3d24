"""Reads from `connect.build` whether one run of dbt has made all tables, and which settings that run followed.

dbt writes the row (transform/macros/mark_build.sql). Without this row nobody knows whether the tables belong together.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coursera_connect import command_text
from coursera_connect.errors import DatabaseError

if TYPE_CHECKING:
    from coursera_connect.warehouse.warehouse import Warehouse

SCHEMA, _TABLE = "connect", "build"
_COLUMNS = ("build_id", "is_complete", "meltano_run", "settings")


@dataclass(frozen=True)
class Build:
    """A run of dbt that has made all tables.

    Attributes:
        build_id: The id of the build; each run of dbt has another.
        meltano_run: The id of the run of Meltano that dbt was a step of; blank if dbt was run alone.
        settings: The vars of the dbt project that the build followed, by name.
    """

    build_id: str
    meltano_run: str
    settings: dict[str, Any]


def finished(database: Warehouse, location: object) -> Build:
    """Return the build that all tables are of.

    Raises:
        DatabaseError: There is none: dbt never ran, is at work, ended early, or made a part of the tables only.
    """
    remedy = f"run {command_text.printed('meltano run dbt:build')}"
    columns = database.columns(SCHEMA).get(_TABLE, [])
    if not set(_COLUMNS) <= set(columns):
        raise DatabaseError(f"{location} does not say that its tables are all of one finished dbt:build: {remedy}")
    row = next(database.rows(f"select {', '.join(_COLUMNS)} from {SCHEMA}.{_TABLE}"), None)  # noqa: S608 - ours
    if row is None or not row[1]:
        raise DatabaseError(
            f"The last dbt:build in {location} is still at work, failed, or made a part of the tables only: {remedy}"
        )
    return Build(row[0], row[2], json.loads(row[3]))


def unfinished(database: Warehouse, location: object) -> str:
    """Return why the tables are not of one finished build; blank if they are, or if there are no tables yet."""
    try:
        finished(database, location)
    except DatabaseError as error:
        return str(error) if database.columns(SCHEMA) else ""
    return ""


def same(database: Warehouse, location: object, build: Build) -> None:
    """Raise DatabaseError where another run of dbt has begun since the build was read."""
    database.look_again(SCHEMA, _TABLE)
    if finished(database, location) != build:
        raise DatabaseError(f"Another dbt:build made the tables of {location} anew in the meantime: publish again.")
