"""Opens the warehouse and knows where its tables are. Only this module and `postgres` know the SQL of a database."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import duckdb

from coursera_connect.errors import DatabaseError
from coursera_connect.warehouse import duckdb_file
from coursera_connect.warehouse.scratch_folder import scratch_folder
from oneroster_csv.database import Database
from oneroster_csv.sql import literal, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

SMALL_BYTES = 16 << 20
"""A file with fewer bytes has few rows."""

NULL = "\\N"
"""How null is written in CSV between databases. The same characters as a text are quoted, as all texts are."""


@dataclass(frozen=True)
class Server:
    """The PostgreSQL database that libpq's own environment variables name: PGHOST, PGPORT, PGUSER, PGDATABASE.

    A schema whose name begins with `aside` stands for the one that is called as the rest of its name says.
    """

    aside: str = ""

    def __str__(self) -> str:
        database = os.environ.get("PGDATABASE") or os.environ.get("PGUSER") or "of PostgreSQL"
        return f"{database} at {os.environ.get('PGHOST') or 'this machine'}"


Location: TypeAlias = Path | Server
"""Where the tables are: in a DuckDB file, or in PostgreSQL."""


def exists(location: Location) -> bool:
    """Whether there is something to open; for a server this is known only when it is opened."""
    return isinstance(location, Server) or location.is_file()


class Warehouse(Database):
    """An open DuckDB file. Tables of a run are temporary; only the schema `ledger` is ever written."""

    def steady(self, *schemas: str) -> AbstractContextManager[None]:  # noqa: ARG002 - a file has one user at a time
        """Read these schemas as they are at one moment within the block, even while others replace their tables."""
        return nullcontext()

    def look_again(self, schema: str, table: str) -> None:
        """Read again what another process may have changed; nobody else can change a file that is open."""

    def store(
        self, statement: str, parameters: list[Any] | None = None, needs: Mapping[str, str] | None = None
    ) -> None:
        """Execute a statement that changes the ledger, in SQL that DuckDB and PostgreSQL share; `?` is a parameter.

        `needs` holds a query, with text columns only, for each relation that the statement names outside the ledger.
        """
        for name, query in (needs or {}).items():
            self.view(name, query)
        self._execute(statement, parameters)

    def insert(self, table: str, columns: dict[str, str], rows: list[dict[str, Any]]) -> None:
        """Insert a few rows into the ledger; `columns` has the type of each.

        All rows are one parameter, since DuckDB's client needs a third of a millisecond to convert each parameter.
        """
        if rows:
            cells = [{name: row[name] for name in columns} for row in rows]
            kinds = literal(json.dumps([columns]))
            self._connection.execute(
                f"insert into {table} ({', '.join(map(quoted, columns))}) "
                f"select unnest(from_json(?, {kinds}), recursive := true)",
                [json.dumps(cells)],
            )

    def export(self, query: str, path: Path) -> None:
        """Write the rows of a query into a file: CSV without header, texts quoted, and `NULL` for null."""
        self._execute(
            f"copy ({query}) to {literal(str(path))} (format csv, header false, force_quote *, nullstr {literal(NULL)})"
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all of the block's changes, or none of them."""
        self._connection.begin()
        try:
            yield
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.commit()


def opened(location: Location, wait: float = 5.0, *, write: bool = False) -> AbstractContextManager[Warehouse]:
    """Open a database, read-only by default, and wait at most `wait` seconds for the lock of another process."""
    if isinstance(location, Server):
        from coursera_connect.warehouse import postgres  # noqa: PLC0415 - who has a file does without the client

        return postgres.opened(location, wait, write=write)
    return _opened(location, wait, write=write)


@contextmanager
def _opened(path: Path, wait: float, *, write: bool) -> Iterator[Warehouse]:
    if not path.is_file():
        raise DatabaseError(f"There is no database at {path}: run a job first, or set CONNECT_DATABASE.")
    with scratch_folder() as spill:
        connection = duckdb_file.connect(path, spill, wait, write=write)
        with engine(connection, path):
            yield Warehouse(connection, small=path.stat().st_size < SMALL_BYTES)


@contextmanager
def empty() -> Iterator[Warehouse]:
    """Open a database that holds nothing, where the real one cannot be read."""
    connection = duckdb.connect(":memory:")
    with engine(connection, Path(":memory:")):
        yield Warehouse(connection)


@contextmanager
def engine(connection: duckdb.DuckDBPyConnection, location: Location) -> Iterator[None]:
    """Turn errors of DuckDB into a DatabaseError with a sentence, and close the connection with the block."""
    try:
        yield
    except duckdb.Error as error:
        reason = type(error).__name__
        raise DatabaseError(f"The database {location} could not be read ({reason}): run the job again.") from error
    finally:
        connection.interrupt()  # after Ctrl-C a query may still be at work, and closing would wait for its end
        connection.close()
