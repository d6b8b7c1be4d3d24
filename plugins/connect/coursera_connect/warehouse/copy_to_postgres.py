# ruff: noqa: S608 - every name in a statement is quoted
"""Copies from a DuckDB file into PostgreSQL what no later run can make again: the ledger, and what dbt remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coursera_connect.errors import DatabaseError, UsageError
from coursera_connect.warehouse import ledger, warehouse

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_connect.warehouse.warehouse import Location

REMEMBERED = {"connect": ("course_reads", "item_scores", "person_aliases", "person_keys")}
"""The incremental models, whose rows of earlier runs cannot be made again: since when a score has been what it is, who
once had which id, by which key people are published, and when a course was last read for everybody."""


def move(file: Path, database: Location, wait: float) -> dict[str, int]:
    """Copy the ledger and the incremental models into a PostgreSQL database that has none; return the rows per table.

    Either all of them are there afterwards, or none. The file is not changed.
    """
    if not isinstance(database, warehouse.Server):
        raise UsageError("History moves into PostgreSQL only: set CONNECT_WAREHOUSE to postgres.")
    from coursera_connect.warehouse import postgres  # noqa: PLC0415 - who has a file does without the client

    with warehouse.opened(file, wait) as source, postgres.opened(database, wait, write=True) as target:
        tables = {ledger.SCHEMA: tuple(source.columns(ledger.SCHEMA)), **REMEMBERED}
        there = [(schema, name) for schema, names in tables.items() for name in names if name in source.columns(schema)]
        if not there:
            raise DatabaseError(f"{file} has no history: nothing was published from it yet.")
        for schema, name in there:
            if name in target.columns(schema) and target.row(f'select count(*) from {schema}."{name}"')[0]:
                raise UsageError(
                    f"{database} has a history of its own in {schema}.{name}: move one into a new database, before the "
                    "first run."
                )
        with target.transaction():
            return {f"{schema}.{name}": target.take(source, schema, name) for schema, name in there}
