# ruff: noqa: S608 - every name in a statement is quoted
"""The database: the one place that knows which SQL is DuckDB's own, and where the tables are."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import duckdb

from coursera_connect.database import duckdb_file
from coursera_connect.database.scratch_folder import scratch_folder
from coursera_connect.errors import DatabaseError, PackageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

ROWS_AT_ONCE = 10_000

SMALL_BYTES = 16 << 20
"""A file below this size is one of few rows."""

NULL = "\\N"
"""What null is in rows on their way between databases; a text of these characters is quoted, as every text is."""


@dataclass(frozen=True)
class Server:
    """The PostgreSQL database that libpq's own environment variables name: PGHOST, PGPORT, PGUSER, PGDATABASE."""

    def __str__(self) -> str:
        database = os.environ.get("PGDATABASE") or os.environ.get("PGUSER") or "of PostgreSQL"
        return f"{database} at {os.environ.get('PGHOST') or 'this machine'}"


Location: TypeAlias = Path | Server
"""Where the tables are: in a DuckDB file, or in PostgreSQL."""


def exists(location: Location) -> bool:
    """Whether there is anything to open; of a server, that shows when it is opened."""
    return isinstance(location, Server) or location.is_file()


def quoted(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def matches(expression: str, pattern: str) -> str:
    """Return the condition that a whole text matches a regular expression."""
    return f"regexp_full_match({expression}, {literal(pattern)})"


def contains(expression: str, pattern: str) -> str:
    """Return the condition that a regular expression is found in a text."""
    return f"regexp_matches({expression}, {literal(pattern)})"


def items(expression: str) -> str:
    """Return the set-returning expression that gives one row per item of a comma-separated list."""
    return f"unnest(string_split({expression}, ','))"


def how_many(expression: str) -> str:
    """Return the number of items of a comma-separated list; the empty text has none."""
    return f"case when {expression} = '' then 0 else len(string_split({expression}, ',')) end"


def is_date(expression: str) -> str:
    """Return the condition that a text of the form YYYY-MM-DD is a day of the calendar."""
    return f"try_cast({expression} as date) is not null"


def is_time(expression: str) -> str:
    """Return the condition that a text of the form YYYY-MM-DDThh:mm:ss.mmmZ is a moment of the calendar."""
    return f"try_cast({expression} as timestamp) is not null"


def number(expression: str) -> str:
    """Return a text as a number, null where it is none."""
    return f"try_cast({expression} as double)"


def replaced(expression: str, pattern: str, by: str) -> str:
    """Return a text with every match of a regular expression replaced; `by` is taken as it is, without groups."""
    return f"regexp_replace({expression}, {literal(pattern)}, {literal(by)}, 'g')"


def extracted(expression: str, pattern: str) -> str:
    """Return what the group of a regular expression matches in a text, blank where it does not."""
    return f"regexp_extract({expression}, {literal(pattern)}, 1)"


def folded(expression: str) -> str:
    """Return a text in lower case and without accents, for comparing."""
    return f"lower(strip_accents({expression}))"


def mentions(expression: str, words: str) -> str:
    """Return the condition that a text has one of the words (of two characters and more) of another text in it."""
    parted = f"regexp_split_to_array({folded(words)}, '[^\\p{{L}}\\p{{N}}]+')"
    return f"len(list_filter({parted}, lambda w: length(w) > 1 and contains({folded(expression)}, w))) > 0"


def csv_row(cells: list[str], *, quote_all: bool) -> str:
    """Return the cells as a row of CSV, as Python's csv module writes it, without the line end.

    Two cells or more, none of them null. The module itself needs each cell as an object, which takes longer than
    everything else that is done to a row.
    """
    within_quotes = [f"""'"' || replace({cell}, '"', '""') || '"'""" for cell in cells]
    if quote_all:
        return " || ',' || ".join(within_quotes)

    def special(text: str) -> str:
        return " or ".join(f"contains({text}, {one})" for one in ("','", "'\"'", "chr(10)", "chr(13)"))

    as_needed = [
        f"case when {special(cell)} then {within} else {cell} end"
        for cell, within in zip(cells, within_quotes, strict=True)
    ]
    plain, careful = (" || ',' || ".join(each) for each in (cells, as_needed))
    return f"case when {special(' || '.join(cells))} then {careful} else {plain} end"


def each_item(expression: str, change: Callable[[str], str]) -> str:
    """Return a comma-separated list with every item changed; `change` gets an item's name in SQL."""
    return f"array_to_string(list_transform(string_split({expression}, ','), lambda item: {change('item')}), ',')"


def once(expression: str, use: Callable[[str], str]) -> str:
    """Return what `use` makes of an expression that is worked out only once; it gets a name for the value."""
    return f"list_transform([{expression}], lambda it: {use('it')})[1]"


def digest(expression: str) -> str:
    """Return the SHA-256 of a text as 64 hex digits."""
    return f"sha256({expression})"


def keyed_digest(expression: str, inner: str, outer: str) -> str:
    """Return the HMAC-SHA-256 of a text as 64 hex digits; `inner` and `outer` name the padded keys of `remember`."""
    return f"sha256({_remembered(outer)} || unhex(sha256({_remembered(inner)} || encode({expression}))))"


def _remembered(name: str) -> str:
    # Without the cast, a variable that is not set makes the whole expression null before anything is evaluated.
    return f"cast(coalesce(getvariable({literal(name)}), error('{name} is not set')) as blob)"


def letters(hex_digits: str, count: int) -> str:
    """Return 1 to 16 letters made of 30 hex digits, the first of a text.

    60 bits make eight letters; 2**60 is so much more than 26**8 that no text is likelier by more than 2 in 10 million.
    """
    text = " || ".join(
        f"to_base({_sixty_bits(hex_digits, 1 + 15 * part)} % {26**size}, 26, {size})"
        for part, size in enumerate((min(count, 8), count - 8))
        if size > 0
    )
    return f"translate({text}, '0123456789ABCDEFGHIJKLMNOP', 'abcdefghijklmnopqrstuvwxyz')"


def digits(hex_digits: str, count: int) -> str:
    """Return up to 16 decimal digits made of the first 15 hex digits of a text."""
    return f"lpad(cast({_sixty_bits(hex_digits, 1)} % {10**count} as varchar), {count}, '0')"


def _sixty_bits(hex_digits: str, start: int) -> str:
    return f"cast('0x' || substr({hex_digits}, {start}, 15) as bigint)"


class Warehouse:
    """An open DuckDB file. What is defined for a run is temporary; only the schema of the ledger is ever written.

    A `small` one gets one thread: for a few rows, to start more costs more than they save.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, small: bool = False) -> None:
        self._connection = connection
        self._small = small
        if small:
            connection.execute("set threads = 1")

    def _execute(self, statement: str, parameters: list[Any] | None = None) -> duckdb.DuckDBPyConnection:
        return self._connection.execute(statement, parameters or [])

    def steady(self, *schemas: str) -> AbstractContextManager[None]:  # noqa: ARG002 - a file has one user at a time
        """Let what is read of these schemas within the block be of one moment, whoever makes their tables anew."""
        return nullcontext()

    def look_again(self, schema: str, table: str) -> None:
        """See what another process may have made of a table; of a file that is open, nobody else can."""

    def columns(self, schema: str) -> dict[str, list[str]]:
        """Return the tables and views of a schema with their columns in order."""
        tables: dict[str, list[str]] = {}
        query = (
            "select table_name, column_name from information_schema.columns "
            "where table_schema = ? and table_catalog = current_database() order by table_name, ordinal_position"
        )
        for table, column in self.rows(query, [schema]):
            tables.setdefault(table, []).append(column)
        return tables

    def view(self, name: str, query: str) -> None:
        """Define a view for the time of this connection."""
        self._execute(f"create or replace temporary view {quoted(name)} as {query}")

    def remember(self, name: str, value: bytes) -> None:
        """Keep a value for `keyed_digest` as long as the connection: it stands in no statement, so in no error."""
        self._connection.execute(f"set variable {name} = ?", [value])

    def table(self, name: str, query: str) -> None:
        """Keep the rows of a query for the time of this connection."""
        self._execute(f"create or replace temporary table {quoted(name)} as {query}")

    def define(self, name: str, query: str) -> None:
        """Define a relation that many queries read: a table in a small database, else a view, which takes no room.

        For a few rows, a query that has to be planned with all of a view's own query takes several times as long.
        """
        (self.table if self._small else self.view)(name, query)

    def do(self, statement: str, parameters: list[Any] | None = None) -> None:
        """Execute a statement that changes tables of this connection."""
        self._execute(statement, parameters)

    def store(
        self, statement: str, parameters: list[Any] | None = None, needs: Mapping[str, str] | None = None
    ) -> None:
        """Execute a statement that changes the ledger, in words that DuckDB and PostgreSQL share; `?` is a parameter.

        `needs` has the queries, all columns text, of the relations that it names besides the ledger's own.
        """
        for name, query in (needs or {}).items():
            self.view(name, query)
        self._execute(statement, parameters)

    def insert(self, table: str, columns: dict[str, str], rows: list[dict[str, Any]]) -> None:
        """Insert a few rows into the ledger; `columns` has the type of each.

        All rows are one parameter: DuckDB's client takes a third of a millisecond for each it converts.
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

    def types(self, schema: str, table: str) -> dict[str, str]:
        """Return the columns of a table in order with their types, in words that DuckDB and PostgreSQL share."""
        described = self.rows(f"describe {quoted(schema)}.{quoted(table)}")
        return {
            column: {"VARCHAR": "text", "DOUBLE": "double precision"}.get(kind, kind) for column, kind, *_ in described
        }

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
        """Return the only row of a query, such as one of counts."""
        return next(self.rows(query))


class Scratch(Warehouse):
    """A database in memory that spills to disk, gone when it is closed."""

    def load(self, name: str, columns: list[str], path: Path, counter: str) -> None:
        """Define the view `name` with the rows of a file that the csv module wrote: no header, every cell quoted.

        All is text, in the order of the file; the column `counter` counts the rows from 1.
        """
        types = ", ".join(f"{literal(column)}: 'varchar'" for column in columns)
        self._connection.execute(
            f"create or replace temporary table {quoted(f'rows of {name}')} as select * from read_csv("
            f"{literal(str(path))}, columns = {{{types}}}, header = false, auto_detect = false, "
            "delim = ',', quote = '\"', escape = '\"', new_line = '\\n')"
        )
        cells = ", ".join(f"coalesce({quoted(column)}, '') as {quoted(column)}" for column in columns)
        self.view(name, f"select {cells}, rowid + 1 as {quoted(counter)} from {quoted(f'rows of {name}')}")


@contextmanager
def scratch(spill: Path, *, small: bool) -> Iterator[Scratch]:
    """Open an empty database whose memory is bounded; what does not fit spills into a folder."""
    connection = duckdb.connect(":memory:", config={"temp_directory": str(spill), "memory_limit": "256MB"})
    try:
        yield Scratch(connection, small=small)
    except duckdb.Error as error:
        reason = type(error).__name__
        raise PackageError(f"The rows could not be checked ({reason}): make room in {spill.parent}.") from error
    finally:
        connection.close()


def opened(location: Location, wait: float = 5.0, *, write: bool = False) -> AbstractContextManager[Warehouse]:
    """Open a database, read-only unless told; a lock of another process is waited for, `wait` seconds at most."""
    if isinstance(location, Server):
        from coursera_connect.database import postgres  # noqa: PLC0415 - who has a file does without the client

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
    """Turn what DuckDB cannot do into a sentence, and close it with the block."""
    try:
        yield
    except duckdb.Error as error:
        reason = type(error).__name__
        raise DatabaseError(f"The database {location} could not be read ({reason}): run the job again.") from error
    finally:
        connection.interrupt()  # after Ctrl-C a query may still be at work, and closing would wait for its end
        connection.close()
