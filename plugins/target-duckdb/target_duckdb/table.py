"""One stream's table: created, grown, filled and cleaned of old versions, each in a transaction of its own."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import duckdb
from singer_sdk.helpers.capabilities import TargetLoadMethods

from target_duckdb.bookmarks import nothing_before
from target_duckdb.columns import BIGINT, TIMESTAMPTZ, VARCHAR, Column, converted, grows_into, holds, is_number
from target_duckdb.errors import LoadError
from target_duckdb.spool import VECTOR
from target_duckdb.sql import escape_glob, literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from target_duckdb.database import Database
    from target_duckdb.spool import Spool

DELETED_AT = "_sdc_deleted_at"
TABLE_VERSION = "_sdc_table_version"

VERSIONING = {DELETED_AT: Column(DELETED_AT, TIMESTAMPTZ), TABLE_VERSION: Column(TABLE_VERSION, BIGINT)}
_REMEMBERED_KEY = re.compile(r"key_properties: (\[.*\])", re.DOTALL)
_KEYS, _ARRIVING = quote("temp", "main", "keys"), quote("temp", "main", "arriving")
_MISFIT = "a value does not fit its column"
_OBJECT_BYTES = 2 << 20  # for the longest line; DuckDB's default of 16 MiB makes it take as much memory more than once


class _MisfitError(Exception):
    """A batch has a value that its column cannot hold; which one is yet to be found out."""


@contextmanager
def _noticed_misfits() -> Iterator[None]:
    try:
        yield
    except duckdb.InvalidInputException as error:
        if _MISFIT in str(error):
            raise _MisfitError from None
        raise


@dataclass
class Table:
    """The table that mirrors a stream.

    Raises:
        LoadError: The stream's schema cannot become a table, and why.
    """

    database: Database
    schema: str
    """Schema of the database, created when missing."""
    stream: str
    """Name of the stream, which is the table's name unchanged."""
    columns: dict[str, Column]
    """What the stream's schema asks for."""
    key: list[str]
    """Properties that identify a row; empty for a stream that is only appended to."""
    method: TargetLoadMethods
    """What a record does to the rows that are there."""

    def __post_init__(self) -> None:
        self.key = list(dict.fromkeys(self.key))
        self._check_names(self.key)
        self.key = [] if self.method is TargetLoadMethods.APPEND_ONLY else self.key
        self._table = quote(self.database.catalog, self.schema, self.stream)
        self.stored: dict[str, str] = {}
        """The types of the columns that the table has, by name."""
        self._heaviest = 0
        """Bytes of those long values of the table that DuckDB may have in hand at once."""

    def _check_names(self, key: list[str]) -> None:
        if not self.columns:
            raise LoadError(f"Stream {self.stream} has a schema without properties: there is nothing to load.")
        if "" in self.columns or not self.stream:
            raise LoadError(
                f"Stream {self.stream!r} has a property without a name, or no name itself: DuckDB has no empty names, "
                "so rename it or the property."
            )
        seen: dict[str, str] = {}
        for name in self.columns:
            if "\0" in name:
                raise LoadError(
                    f"Stream {self.stream} has the property {name!r}: DuckDB has no names with NUL, so rename "
                    "or remove it with stream_maps."
                )
            if (other := seen.setdefault(name.lower(), name)) != name:
                raise LoadError(
                    f"Stream {self.stream} has the properties {other} and {name}, which are the same column to DuckDB "
                    "since they differ only in case: rename or remove one with stream_maps."
                )
        if missing := [name for name in key if name not in self.columns]:
            raise LoadError(
                f"Stream {self.stream} names the key {', '.join(missing)}, which its schema does not have: "
                "correct the tap's key_properties."
            )

    def prepare(self, *, resumed: bool = False) -> bool:
        """Create the table, or bring the one that is there up to the stream's schema, and tell whether it is new.

        `resumed` says that the tap goes on from a bookmark, so that there has to be a table with what came before it.
        """
        with self.database.transaction(f"prepare the table of stream {self.stream}"):
            self.database.fetch(f"CREATE SCHEMA IF NOT EXISTS {quote(self.database.catalog, self.schema)}")
            exists = self._exists()
            if not exists:
                if resumed:
                    raise nothing_before(self.stream, self.database.path)
                self._create()
            elif not self._overwrites:
                self._check_key()
                self._grow()
                self._heaviest = self._weigh()
        return not exists

    def _weigh(self) -> int:
        """Find out how much the long values of one vector of the table are; blocks of their own hold them."""
        found = self.database.fetch(
            f"SELECT max(len(additional_block_ids) * least(count, {VECTOR}) / count) "  # noqa: S608 - quoted
            f"FROM pragma_storage_info({literal(self._table)}) WHERE count > 0"
        )
        return int((found[0][0] or 0) * self.database.block_bytes)

    @property
    def _overwrites(self) -> bool:
        """Whether this run has yet to replace the table."""
        method = self.method is TargetLoadMethods.OVERWRITE
        return method and (self.schema, self.stream) not in self.database.overwritten

    def _exists(self) -> bool:
        found = self.database.fetch(
            "SELECT table_name, table_type FROM information_schema.tables "
            "WHERE table_catalog = ? AND lower(table_schema) = lower(?) AND lower(table_name) = lower(?)",
            [self.database.catalog, self.schema, self.stream],
        )
        for name, kind in found:
            if kind != "BASE TABLE":
                raise LoadError(
                    f"Stream {self.stream}: {self.schema}.{name} is a view; drop it or change default_target_schema."
                )
            if name != self.stream:
                raise LoadError(
                    f"Stream {self.stream} and the table {name} in schema {self.schema} differ only in case, which "
                    "is the same to DuckDB: rename one, or load into another default_target_schema."
                )
        return bool(found)

    def _create(self) -> None:
        columns = ", ".join(f"{quote(column.name)} {column.type}" for column in self.columns.values())
        self.database.fetch(f"CREATE TABLE {self._table} ({columns})")
        self._remember_key()
        self.stored = {column.name: column.type for column in self.columns.values()}

    def _remember_key(self) -> None:
        comment = f"Singer stream {self.stream}; key_properties: {json.dumps(self.key)}"
        self.database.fetch(f"COMMENT ON TABLE {self._table} IS {literal(comment)}")

    def _check_key(self) -> None:
        """Compare with the key the rows were merged on, which the table's comment remembers."""
        if self.method is TargetLoadMethods.APPEND_ONLY:
            return
        comment = self.database.fetch(
            "SELECT comment FROM duckdb_tables() "
            "WHERE database_name = ? AND lower(schema_name) = lower(?) AND table_name = ?",
            [self.database.catalog, self.schema, self.stream],
        )[0][0]
        remembered = _REMEMBERED_KEY.search(comment or "")
        former = json.loads(remembered[1]) if remembered else self.key
        if set(former) == set(self.key):
            return
        if self.database.fetch(f"SELECT 1 FROM {self._table} LIMIT 1"):  # noqa: S608 - quoted
            raise LoadError(
                f"Stream {self.stream} changed its key from {_listed(former)} to {_listed(self.key)}, so rows that are "
                f"in {self.schema}.{self.stream} could not be matched: drop the table and load the stream in full, "
                "or load into another default_target_schema."
            )
        self._remember_key()

    def _grow(self) -> None:
        """Add the columns that are new and widen those that the schema widened."""
        self.stored = self._describe()
        by_lower_case = {name.lower(): name for name in self.stored}
        for column in self.columns.values():
            known_as = by_lower_case.get(column.name.lower())
            if known_as is None:
                self.database.fetch(f"ALTER TABLE {self._table} ADD COLUMN {quote(column.name)} {column.type}")
                self.stored[column.name] = column.type
            elif known_as != column.name:
                raise LoadError(
                    f"Stream {self.stream}: the property {column.name} and the column {known_as} differ only in case, "
                    "which is the same to DuckDB: rename the column or the property."
                )
            elif not holds(self.stored[column.name], column.type):
                self._widen(column)

    def _widen(self, column: Column) -> None:
        name, existing, wanted = column.name, self.stored[column.name], column.type
        value = converted(name, existing, wanted)
        lossless = grows_into(existing, wanted)
        if not lossless and is_number(existing) and is_number(wanted):
            there_and_back = f"TRY_CAST(TRY_CAST({quote(name)} AS {wanted}) AS {existing})"
            lossless = not self.database.fetch(
                f"SELECT 1 FROM {self._table} "  # noqa: S608 - quoted
                f"WHERE {there_and_back} IS DISTINCT FROM {quote(name)} LIMIT 1"
            )
        if not lossless:
            raise LoadError(
                f"Stream {self.stream}: the column {name} is {existing} and the stream now sends {wanted}, which "
                f"cannot be converted without loss: rename or drop the column in {self.schema}.{self.stream}, or load "
                "into another default_target_schema."
            )
        self.database.fetch(
            f"ALTER TABLE {self._table} ALTER COLUMN {quote(name)} SET DATA TYPE {wanted} USING {value}"
        )
        self.stored[name] = wanted

    def _describe(self) -> dict[str, str]:
        rows = self.database.fetch(
            "SELECT column_name, data_type FROM duckdb_columns() "
            "WHERE database_name = ? AND lower(schema_name) = lower(?) AND table_name = ? ORDER BY column_index",
            [self.database.catalog, self.schema, self.stream],
        )
        return dict(rows)

    def add_versioning(self) -> None:
        """Make sure the table can tell versions and deleted rows, also when record metadata is off."""
        self.database.take_turn()
        if missing := VERSIONING.keys() - self.columns.keys():
            self.columns |= {name: VERSIONING[name] for name in missing}
            self.prepare()

    def load(self, spool: Spool) -> None:
        """Merge a batch in one transaction; of records with the same key the last one counts.

        Args:
            spool: The batch as newline-delimited JSON.

        Raises:
            LoadError: A value does not fit its column; then nothing of the batch is in the table.
        """
        together = self._heaviest + spool.heaviest
        self._heaviest = max(self._heaviest, min(together, spool.heaviest * max(1, VECTOR // max(1, spool.rows))))
        self.database.make_room(spool.longest, len(self.columns), self._heaviest)
        try:
            with self.database.transaction(f"load stream {self.stream}"), _noticed_misfits():
                self._replace_if_asked()
                if self.key:
                    superseded = self._read_keys(spool)
                    self._merge(spool, last_only=superseded > 0)
                    self.database.fetch(f"DROP TABLE {_KEYS}")
                else:
                    self.database.fetch(f"INSERT INTO {self._table} BY NAME {self._rows(spool)}")
        except _MisfitError:
            self._refuse(spool)
        self._mark_replaced()

    def finish(self) -> None:
        """Replace the table of a stream that sent no record, when the method is overwrite."""
        if self._overwrites:
            with self.database.transaction(f"overwrite the table of stream {self.stream}"):
                self._replace_if_asked()
            self._mark_replaced()

    def _replace_if_asked(self) -> None:
        if self._overwrites:
            self.database.fetch(f"DROP TABLE {self._table}")
            self._create()

    def _mark_replaced(self) -> None:
        self.database.overwritten.add((self.schema, self.stream))

    def _read(self, spool: Spool, names: Iterable[str], *, numbered: bool = False) -> str:
        """SQL for these properties of a batch as they came, every value a text; `line` numbers the records."""
        columns = ", ".join(f"{literal(name)}: '{VARCHAR}'" for name in names)
        select = [f"{quote(name)} AS {self.columns[name].raw}" for name in names]
        select += ["row_number() OVER () AS line"] * numbered
        return (
            f"(SELECT {', '.join(select)} FROM read_json({literal(escape_glob(str(spool.path)))}, "  # noqa: S608 - quoted
            f"columns = {{{columns}}}, format = 'newline_delimited', records = 'true', auto_detect = false, "
            f"compression = 'uncompressed', maximum_object_size = {max(_OBJECT_BYTES, spool.longest + 1)}))"
        )

    def _rows(self, spool: Spool, *, last_only: bool = False) -> str:
        """SQL for the batch as it is stored, which fails with ``_MISFIT`` at a value its column cannot hold."""
        values = ", ".join(
            f"{column.cast(self.stored[name], attempt=True)} AS {quote(name)}" for name, column in self.columns.items()
        )
        conditions = []
        if misfits := self._misfits():
            conditions.append(f"CASE WHEN {' OR '.join(misfits.values())} THEN error({literal(_MISFIT)}) ELSE true END")
        if last_only:
            key = ", ".join(f"key{number}" for number in range(len(self.key)))
            conditions.append(f"line IN (SELECT max(line) FROM {_KEYS} GROUP BY {key})")  # noqa: S608 - quoted
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT {values} FROM {self._read(spool, self.columns, numbered=last_only)}{where}"  # noqa: S608 - quoted

    def _misfits(self) -> dict[str, str]:
        """SQL for each column that not every text fits, true where the text does not."""
        return {
            name: f"({column.raw} IS NOT NULL AND {misfit})"
            for name, column in self.columns.items()
            if (misfit := column.misfit(self.stored[name])) is not None
        }

    def _refuse(self, spool: Spool) -> NoReturn:
        """Say which column of a batch has values that it cannot hold, and how many."""
        misfits = self._misfits()
        counts = ", ".join(f"count(*) FILTER ({misfit})" for misfit in misfits.values())
        with self.database.transaction(f"load stream {self.stream}"):
            found = self.database.fetch(f"SELECT {counts} FROM {self._read(spool, misfits)}")[0]  # noqa: S608 - quoted
        name, count = next((name, count) for name, count in zip(misfits, found, strict=True) if count)
        raise LoadError(
            f"Stream {self.stream}: {count} value{'s' * (count > 1)} of {name} in this batch cannot be stored "
            f"exactly as {self.stored[name]}: correct the type in the tap's schema or catalog, "
            "or the value with stream_maps."
        ) from None

    def _read_keys(self, spool: Spool) -> int:
        """Note the batch's keys, and return how many of its records a later one of the same key supersedes."""
        values = [self.columns[name].cast(self.stored[name], attempt=True) for name in self.key]
        select = ", ".join(f"{value} AS key{number}" for number, value in enumerate(values))
        batch = self._read(spool, self.key, numbered=True)
        self.database.fetch(f"CREATE TEMP TABLE {_KEYS} AS SELECT {select}, line FROM {batch}")  # noqa: S608 - quoted
        key = ", ".join(f"key{number}" for number in range(len(self.key)))
        counted = self.database.fetch(
            f"SELECT coalesce(sum(same - 1), 0) FROM (SELECT count(*) AS same FROM {_KEYS} GROUP BY {key})"  # noqa: S608 - quoted
        )
        return int(counted[0][0])

    def _merge(self, spool: Spool, *, last_only: bool) -> None:
        """Put the batch in the place of the rows with its keys.

        Deleting and appending whole rows costs a fraction of an UPDATE of every column, but is not open to a table
        with columns that the schema no longer has, which keep their values, or with a unique index, which DuckDB
        checks against the deleted rows as well.
        """
        rows = self._rows(spool, last_only=last_only)
        if self.stored.keys() - self.columns.keys() - VERSIONING.keys() or self._has_index():
            self.database.fetch(f"CREATE TEMP TABLE {_ARRIVING} AS {rows}")
            self._update_rows()
            self.database.fetch(f"DROP TABLE {_ARRIVING}")
        else:
            same = " AND ".join(
                f"t.{quote(name)} IS NOT DISTINCT FROM k.key{number}" for number, name in enumerate(self.key)
            )
            self.database.fetch(
                f"DELETE FROM {self._table} t WHERE EXISTS (SELECT 1 FROM {_KEYS} k WHERE {same})"  # noqa: S608 - quoted
            )
            self.database.fetch(f"INSERT INTO {self._table} BY NAME {rows}")

    def _has_index(self) -> bool:
        found = self.database.fetch(
            "SELECT index_count > 0 OR has_primary_key FROM duckdb_tables() "
            "WHERE database_name = ? AND lower(schema_name) = lower(?) AND table_name = ?",
            [self.database.catalog, self.schema, self.stream],
        )
        return bool(found[0][0])

    def _update_rows(self) -> None:
        same = " AND ".join(f"t.{quote(name)} IS NOT DISTINCT FROM a.{quote(name)}" for name in self.key)
        returned = VERSIONING.keys() & self.stored.keys() - self.columns.keys()
        changes = [f"{quote(name)} = a.{quote(name)}" for name in self.columns if name not in self.key]
        changes += [f"{quote(name)} = NULL" for name in sorted(returned)]
        if changes:
            self.database.fetch(f"UPDATE {self._table} t SET {', '.join(changes)} FROM {_ARRIVING} a WHERE {same}")  # noqa: S608
        self.database.fetch(
            f"INSERT INTO {self._table} BY NAME SELECT * FROM {_ARRIVING} a "  # noqa: S608 - quoted
            f"WHERE NOT EXISTS (SELECT 1 FROM {self._table} t WHERE {same})"
        )

    def activate(self, version: int, *, hard: bool) -> int:
        """Let only rows of this version count.

        A version tells full reads apart and no more: those of a machine whose clock was ahead have a larger number.

        Args:
            version: The version the stream has just sent in full.
            hard: Delete the other rows instead of marking them with ``_sdc_deleted_at``.

        Returns:
            How many rows were marked or deleted.
        """
        self.add_versioning()
        others = f"{quote(TABLE_VERSION)} IS DISTINCT FROM ?"
        with self.database.transaction(f"activate a version of stream {self.stream}"):
            self._replace_if_asked()
            if hard:
                rows = self.database.fetch(f"DELETE FROM {self._table} WHERE {others}", [version])  # noqa: S608
            else:
                rows = self.database.fetch(
                    f"UPDATE {self._table} SET {quote(DELETED_AT)} = now() "  # noqa: S608 - quoted
                    f"WHERE {quote(DELETED_AT)} IS NULL AND {others}",
                    [version],
                )
        self._mark_replaced()
        return int(rows[0][0])


def _listed(key: list[str]) -> str:
    return ", ".join(key) or "none"
