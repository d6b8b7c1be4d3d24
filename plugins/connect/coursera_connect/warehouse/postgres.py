# ruff: noqa: S608 - every name in a statement is quoted
"""PostgreSQL in place of the DuckDB file: PostgreSQL holds the tables and the ledger, and DuckDB executes the queries.

Before a statement is executed, the tables that it names are copied into a DuckDB file of this run. If a name is not
recognised, its table does not exist in that file, so the statement fails; it never reads an empty table. Statements
that change the ledger are executed in PostgreSQL.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
from typing_extensions import override

from coursera_connect.errors import DatabaseError
from coursera_connect.warehouse import duckdb_file, warehouse
from coursera_connect.warehouse.scratch_folder import scratch_folder
from coursera_connect.warehouse.warehouse import NULL, Warehouse
from oneroster_csv.sql import literal, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from coursera_connect.warehouse.warehouse import Server

_LOCK = 0x6C6564676572  # "ledger": whoever writes it holds this advisory lock of the database

_LOCK_ASIDE = 0x6173696465  # "aside": whoever builds aside
_ASIDE = "connect_aside_"
"""The beginning of the names of schemas that hold a trial build."""

_CONNECT_SECONDS = 10
_LONGEST_NAME = 63
_OTHER_NAMES = {"VARCHAR": "text", "DOUBLE": "double precision"}
"""The types of DuckDB that PostgreSQL has by another name."""
_UNREACHABLE = ("08", "28", "3D", "57")
"""Classes of SQLSTATE: connection failure, invalid authorisation, no such database, operator intervention."""
_TABLES = """
    select n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
    from pg_catalog.pg_attribute as a
    inner join pg_catalog.pg_class as c on c.oid = a.attrelid and c.relkind in ('r', 'v', 'm', 'p', 'f')
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where
        a.attnum > 0 and not a.attisdropped
        and n.nspname not in ('information_schema', 'pg_catalog', 'pg_toast') and n.nspname not like 'pg_temp%'
    order by n.nspname, c.relname, a.attnum
"""
_TABLES_OF_THE_MODELS = """
    select c.relname
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'connect'
    where c.relkind = 'r'
"""
_HOLDER = """
    select a.application_name
    from pg_catalog.pg_locks as l
    inner join pg_catalog.pg_stat_activity as a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted and l.classid = %s and l.objid = %s
"""
_NAMED = re.compile(r'(?:"([^"]+)"|\b([a-z_]\w*))\.(?:"([^"]+)"|([A-Za-z_]\w*))')
_SAME = re.compile(r"boolean|smallint|integer|bigint|real|double precision|date|numeric\([1-3]?[0-9],[0-9]+\)")
_TEXT = re.compile(r"text|uuid|name|character.*")


class Copied(Warehouse):
    """A PostgreSQL database; DuckDB holds copies of the tables that statements have named."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, server: psycopg.Connection, folder: Path, aside: str = ""
    ) -> None:
        super().__init__(connection)
        self._server = server
        self._aside = aside
        self._rows = folder / "rows.csv"
        self._known: dict[str, dict[str, dict[str, str]]] = {}
        self._here: set[tuple[str, str]] = set()

    @property
    def _tables(self) -> dict[str, dict[str, dict[str, str]]]:
        """Return the column types of all tables: schema → table → column → type."""
        if not self._known:
            for schema, table, column, kind in self._server.execute(_TABLES):
                self._known.setdefault(schema, {}).setdefault(table, {})[column] = kind
            if self._aside:
                self._known |= {
                    schema.removeprefix(self._aside): tables
                    for schema, tables in self._known.items()
                    if schema.startswith(self._aside)
                }
        return self._known

    def _there(self, schema: str, table: str) -> str:
        """Return the full name of a table on the server."""
        aside = f"{self._aside}{schema}"
        return f"{quoted(aside if self._aside and aside in self._tables else schema)}.{quoted(table)}"

    @override
    def look_again(self, schema: str, table: str) -> None:
        self._here.discard((schema, table))
        self._known = {}

    @override
    def columns(self, schema: str) -> dict[str, list[str]]:
        return {table: list(columns) for table, columns in self._tables.get(schema, {}).items()}

    @override
    def _execute(self, statement: str, parameters: list[Any] | None = None) -> duckdb.DuckDBPyConnection:
        for schema, table in _named(statement):
            if (schema, table) not in self._here and table in self._tables.get(schema, {}):
                self._copy(schema, table)
                self._here.add((schema, table))
        return super()._execute(statement, parameters)

    def _copy(self, schema: str, table: str) -> None:
        columns = self._tables[schema][table]
        here, cells = f"{quoted(schema)}.{quoted(table)}", ", ".join(_sent(name, columns[name]) for name in columns)
        with (
            self._server.cursor() as cursor,
            cursor.copy(
                f"copy (select {cells} from {self._there(schema, table)}) to stdout "
                f"(format csv, null {literal(NULL)}, force_quote *)"
            ) as sent,
            self._rows.open("wb") as received,
        ):
            for block in sent:
                received.write(block)
        typed = ", ".join(f"cast({quoted(name)} as {_here(kind)}) as {quoted(name)}" for name, kind in columns.items())
        names = ", ".join(f"{literal(name)}: 'varchar'" for name in columns)
        self._connection.execute(f"create schema if not exists {quoted(schema)}")
        self._connection.execute(
            f"create or replace table {here} as select {typed} from read_csv({literal(str(self._rows))}, "
            f"columns = {{{names}}}, header = false, auto_detect = false, delim = ',', quote = '\"', escape = '\"', "
            f"new_line = '\\n', nullstr = {literal(NULL)}, allow_quoted_nulls = false)"
        )
        self._rows.unlink()

    @contextmanager
    @override
    def steady(self, *schemas: str) -> Iterator[None]:
        # dbt puts a new table in the place of the old one: a snapshot from before would find the new one empty.
        names = [self._there(schema, table) for schema in schemas for table in self.columns(schema)]
        with self._server.transaction():
            self._server.execute("set transaction isolation level repeatable read")
            if names:
                self._server.execute(f"lock table {', '.join(names)} in access share mode")
            yield

    @override
    def store(
        self, statement: str, parameters: list[Any] | None = None, needs: Mapping[str, str] | None = None
    ) -> None:
        for name, query in (needs or {}).items():
            self._send(name, query)
        self._server.execute(statement.replace("?", "%s") if parameters else statement, parameters or None)
        for name in needs or {}:
            self._server.execute(f"drop table {quoted(name)}")
        self._changed(statement)

    def _send(self, name: str, query: str) -> None:
        columns = [column[0] for column in self._execute(f"select * from ({query}) limit 0").description or []]
        self._server.execute(
            f"create temporary table {quoted(name)} ({', '.join(f'{quoted(c)} text' for c in columns)})"
        )
        self.export(query, self._rows)
        self._fill(quoted(name))

    def _fill(self, table: str) -> int:
        into = f"copy {table} from stdin (format csv, null {literal(NULL)})"
        with self._server.cursor() as cursor:
            with cursor.copy(into) as sent, self._rows.open("rb") as rows:
                while block := rows.read(1 << 20):
                    sent.write(block)
            self._rows.unlink()
            return cursor.rowcount

    def take(self, source: Warehouse, schema: str, table: str) -> int:
        """Add all rows of a table of another database, create the table if it is missing, and return how many rows."""
        there = f"{quoted(schema)}.{quoted(table)}"
        types = {column: _OTHER_NAMES.get(kind, kind) for column, kind, *_ in source.rows(f"describe {there}")}
        declared = ", ".join(f"{quoted(name)} {kind}" for name, kind in types.items())
        self._server.execute(f"create schema if not exists {quoted(schema)}")
        self._server.execute(f"create table if not exists {there} ({declared})")
        source.export(f"select * from {there}", self._rows)
        rows = self._fill(f"{there} ({', '.join(map(quoted, types))})")
        self._changed(there)
        return rows

    @override
    def insert(self, table: str, columns: dict[str, str], rows: list[dict[str, Any]]) -> None:
        names, marks = ", ".join(map(quoted, columns)), ", ".join(f"%({name})s" for name in columns)
        with self._server.cursor() as cursor:
            cursor.executemany(
                f"insert into {table} ({names}) values ({marks})",
                [{name: row[name] for name in columns} for row in rows],
            )
        self._changed(table)

    def _changed(self, statement: str) -> None:
        self._here -= set(_named(statement))
        self._known = {}

    @contextmanager
    @override
    def transaction(self) -> Iterator[None]:
        with self._server.transaction():
            yield


def _named(statement: str) -> list[tuple[str, str]]:
    return [(one[1] or one[2], one[3] or one[4]) for one in _NAMED.finditer(statement)]


def _sent(column: str, kind: str) -> str:
    """Return a column as an expression that DuckDB can read; target-postgres stores times in UTC without a zone."""
    if kind.startswith("timestamp") and kind.endswith("without time zone"):
        return f"{quoted(column)} at time zone 'UTC'"
    return quoted(column) if _here(kind) != "json" else f"to_jsonb({quoted(column)})"


def _here(kind: str) -> str:
    """Return the DuckDB type for a PostgreSQL type."""
    if _SAME.fullmatch(kind):
        return kind
    if kind == "numeric":
        return "double"
    if kind.startswith("timestamp"):
        return "timestamptz"
    return "varchar" if _TEXT.fullmatch(kind) else "json"


@contextmanager
def opened(location: Server, wait: float, *, write: bool) -> Iterator[Copied]:
    """Open the database. A writer of the ledger waits at most `wait` seconds for another writer."""
    with scratch_folder() as folder, _connected(location, wait, write=write) as server:
        connection = duckdb.connect(str(folder / "copy.duckdb"), config=duckdb_file.limits(folder))
        with warehouse.engine(connection, location):
            yield Copied(connection, server, folder, location.aside)


@contextmanager
def room_aside(location: Server, wait: float) -> Iterator[Server]:
    """Create schemas for a trial build, with the rows that incremental models need, and drop them afterwards.

    One trial build runs at a time. The next one drops what a killed one left behind.
    """
    try:
        with _connection(wait) as server:
            _alone(server, location, time.monotonic() + wait, _LOCK_ASIDE)
            _clear_aside(server)
            try:
                server.execute(f"create schema {_ASIDE}connect")
                remembered = server.execute(_TABLES_OF_THE_MODELS).fetchall()
                for (table,) in remembered:
                    server.execute(f"create table {_ASIDE}connect.{quoted(table)} as table connect.{quoted(table)}")
                yield warehouse.Server(_ASIDE)
            finally:
                _clear_aside(server)
    except psycopg.Error as error:
        raise DatabaseError(_sentence(error, location, write=True)) from error


def _clear_aside(server: psycopg.Connection) -> None:
    for (schema,) in server.execute(
        "select nspname from pg_catalog.pg_namespace where starts_with(nspname, %s)", [_ASIDE]
    ):
        server.execute(f"drop schema {quoted(schema)} cascade")


@contextmanager
def _connected(location: Server, wait: float, *, write: bool) -> Iterator[psycopg.Connection]:
    try:
        with _connection(wait) as server:
            if write:
                _alone(server, location, time.monotonic() + wait, _LOCK)
            else:
                server.read_only = True
            yield server
    except psycopg.Error as error:
        raise DatabaseError(_sentence(error, location, write=write)) from error


def _sentence(error: psycopg.Error, location: Server, *, write: bool) -> str:
    """Return what is wrong and what to do. Only messages about connecting are quoted: others may hold a row."""
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return f"The tables of {location} are being changed by another process: wait until it ends and run again."
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        todo = "written" if write else "read"
        return f"The database {location} may not be {todo} by this role: grant it what docs/postgresql.md says."
    if error.sqlstate is None or error.sqlstate[:2] in _UNREACHABLE:
        reason = _first_line(error) if error.sqlstate is None else type(error).__name__
        return (
            f"The database {location} does not answer ({reason}): check PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE."
        )
    return f"The database {location} could not do what was asked ({type(error).__name__}): run the job again."


def _connection(wait: float) -> psycopg.Connection:
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns of what is an error of ours anyway
    client = f"connect (PID {os.getpid()}) on {socket.gethostname()}"[:_LONGEST_NAME]
    seconds = int(os.environ.get("PGCONNECT_TIMEOUT", _CONNECT_SECONDS))
    server = psycopg.connect(application_name=client, client_encoding="utf8", autocommit=True, connect_timeout=seconds)
    server.execute(
        "select set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false), "
        "set_config('lock_timeout', %s, false)",
        [f"{max(1, round(wait * 1000))}ms"],
    )
    return server


def _alone(server: psycopg.Connection, location: Server, deadline: float, lock: int) -> None:
    while server.execute("select pg_try_advisory_lock(%s)", [lock]).fetchone() != (True,):
        if time.monotonic() >= deadline:
            holder = server.execute(_HOLDER, [lock >> 32, lock & 0xFFFFFFFF]).fetchone()
            who = holder[0] if holder and holder[0] else "another process"
            raise DatabaseError(f"The database {location} is in use by {who}: wait until it ends and run again.")
        time.sleep(0.2)


def _first_line(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0].strip()
