# ruff: noqa: S608 - every name in a statement is quoted
"""The DuckDB connection of the checks and the writer of packages; its memory does not grow with the rows."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb

from oneroster_csv.errors import PackageError
from oneroster_csv.sql import literal, matches, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS_AT_ONCE = 10_000
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Database:
    """An open DuckDB connection. Its relations are temporary; no table of the database is written.

    A `small` database uses one thread: with few rows, starting more threads costs more than they save.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, small: bool = False) -> None:
        self._connection = connection
        self._small = small
        if small:
            connection.execute("set threads = 1")

    def _execute(self, statement: str, parameters: list[Any] | None = None) -> duckdb.DuckDBPyConnection:
        return self._connection.execute(statement, parameters or [])

    def columns(self, schema: str) -> dict[str, list[str]]:
        """Return the tables and views of a schema with their columns in order.

        DuckDB answers this in a third of the time that its view information_schema.columns needs.
        """
        tables: dict[str, list[str]] = {}
        query = (
            "select table_name, column_name from duckdb_columns() "
            "where schema_name = ? and database_name = current_database() order by table_name, column_index"
        )
        for table, column in self.rows(query, [schema]):
            tables.setdefault(table, []).append(column)
        return tables

    def view(self, name: str, query: str) -> None:
        """Define a view for this connection."""
        self._execute(f"create or replace temporary view {quoted(name)} as {query}")

    def remember(self, name: str, value: bytes) -> None:
        """Store a value for `keyed_digest` in the connection, so that it occurs in no statement and in no error."""
        self._connection.execute(f"set variable {name} = ?", [value])

    def table(self, name: str, query: str) -> None:
        """Store the rows of a query for this connection."""
        self._execute(f"create or replace temporary table {quoted(name)} as {query}")

    def define(self, name: str, query: str) -> None:
        """Define a relation that many queries read: a table in a small database, else a view, which needs no space.

        With few rows, planning a query on a view takes several times as long as on a table.
        """
        (self.table if self._small else self.view)(name, query)

    def do(self, statement: str, parameters: list[Any] | None = None) -> None:
        """Execute a statement that changes tables of this connection."""
        self._execute(statement, parameters)

    def rows(self, query: str, parameters: list[Any] | None = None) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query without holding them all."""
        for rows in self.blocks(query, parameters):
            yield from rows

    def blocks(self, query: str, parameters: list[Any] | None = None) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of a query in lists of at most `ROWS_AT_ONCE`; one query at a time."""
        cursor = self._execute(query, parameters)
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            yield rows

    def row(self, query: str) -> tuple[Any, ...]:
        """Return the only row of a query."""
        return next(self.rows(query))


class Scratch(Database):
    """A database in memory that spills to disk, and is removed when it is closed."""

    def load(self, name: str, columns: list[str], path: Path, counter: str) -> None:
        """Define the view `name` on a CSV file of Python's csv module, without header and with all cells quoted.

        All columns are text, in the order of the file; the column `counter` counts the rows from 1.
        """
        types = ", ".join(f"{literal(column)}: 'varchar'" for column in columns)
        self._connection.execute(
            f"create or replace temporary table {quoted(f'rows of {name}')} as select * from read_csv("
            f"{literal(str(path))}, columns = {{{types}}}, header = false, auto_detect = false, "
            "delim = ',', quote = '\"', escape = '\"', new_line = '\\n')"
        )
        cells = ", ".join(f"coalesce({quoted(column)}, '') as {quoted(column)}" for column in columns)
        self.view(name, f"select {cells}, rowid + 1 as {quoted(counter)} from {quoted(f'rows of {name}')}")


def pattern_error(connection: duckdb.DuckDBPyConnection, pattern: str) -> str:
    """Return why DuckDB cannot use a regular expression (in the syntax of RE2); blank if it can."""
    try:
        connection.execute("select " + matches("''", pattern))
    except duckdb.Error as error:
        return str(error).splitlines()[0].removeprefix("Invalid Input Error: ")
    return ""


@contextmanager
def scratch(spill: Path, *, small: bool) -> Iterator[Scratch]:
    """Open an empty database with bounded memory, which spills into a folder."""
    connection = duckdb.connect(":memory:", config={"temp_directory": str(spill), "memory_limit": "256MB"})
    try:
        yield Scratch(connection, small=small)
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        reason = type(error).__name__
        raise PackageError(f"The rows could not be checked ({reason}): make room in {spill.parent}.") from error
    except duckdb.Error as error:
        # The error itself may quote a cell.
        reason = type(error).__name__
        raise PackageError(
            f"The rows could not be checked ({reason}): report this as a mistake of oneroster-csv."
        ) from None
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise PackageError(
            f"The rows could not be unpacked ({error.strerror}): make room in {spill.parent}."
        ) from error
    finally:
        connection.close()
