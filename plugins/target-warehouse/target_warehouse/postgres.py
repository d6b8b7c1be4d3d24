"""Extends target-postgres by the rules of target-duckdb for bookmarks and versions.

A load that continues from a later bookmark than the rows in the database is refused (`target_duckdb.bookmarks`), and
rows of every other version than the activated one are removed, also those of a larger one.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import sqlalchemy
from target_postgres.sinks import PostgresSink
from target_postgres.target import TargetPostgres
from typing_extensions import override

from target_duckdb.bookmarks import Bookmarks, bookmark_of, goes_on, nothing_before
from target_duckdb.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_postgres.connector import PostgresConnector


class _Database:
    """The database for `Bookmarks`, with the connection that writes the rows."""

    def __init__(self, connector: PostgresConnector) -> None:
        self._connector = connector
        self._open: sqlalchemy.Connection | None = None
        self.catalog: str = self.fetch("SELECT current_database()")[0][0]
        self.path = f"the PostgreSQL database {self.catalog}"

    @contextmanager
    def transaction(self, doing: str) -> Iterator[None]:
        try:
            with self._connector._connect() as connection, connection.begin():  # noqa: SLF001 - as its own sinks do
                self._open = connection
                yield
        except sqlalchemy.exc.DBAPIError as error:
            raise LoadError(f"PostgreSQL could not {doing} ({type(error.orig).__name__}).") from error
        finally:
            self._open = None

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        if self._open is None:
            with self.transaction("answer"):
                return self.fetch(sql, parameters)
        done = self._open.exec_driver_sql(sql.replace("?", "%s"), tuple(parameters) or None)
        return [tuple(row) for row in done.fetchall()] if done.returns_rows else []


class _Sink(PostgresSink):
    """A sink that compares bookmarks before it writes rows, and removes rows of other versions."""

    def __init__(self, target: TargetWarehouse, *args: Any, **options: Any) -> None:
        super().__init__(target, *args, **options)
        self._target = target

    @override
    def setup(self) -> None:
        new = not self.connector.table_exists(self.full_table_name)
        bookmarks = self._target.bookmarks_by(self.connector)
        if new and goes_on(bookmark_of(self._target.resumed, self.stream_name)):
            raise nothing_before(self.stream_name, self._target.place)
        super().setup()
        bookmarks.begin(self.stream_name, new=new)

    @override
    def activate_version(self, new_version: int) -> None:
        super().activate_version(new_version)
        if not self.config["activate_version"]:
            return
        with self.connector._connect() as connection, connection.begin():  # noqa: SLF001 - as its own sinks do
            table = sqlalchemy.Table(
                self.table_name, sqlalchemy.MetaData(), autoload_with=connection, schema=self.schema_name
            )
            larger = table.c[self.version_column_name] > new_version
            if self.config["hard_delete"]:
                connection.execute(sqlalchemy.delete(table).where(larger))
                return
            removed = table.c[self.soft_delete_column_name]
            gone = sqlalchemy.update(table).where(larger, removed.is_(None))
            connection.execute(gone.values({removed: datetime.now(tz=timezone.utc)}))


class TargetWarehouse(TargetPostgres):
    """Loads into PostgreSQL with the rules of target-duckdb."""

    default_sink_class = _Sink
    resumed: Any = None
    """The state from which the tap continues, if the tap sends it first."""
    _bookmarks: Bookmarks | None = None
    place = ""
    """The name of the database in messages."""

    def bookmarks_by(self, connector: PostgresConnector) -> Bookmarks:
        """The bookmarks of the rows in the database."""
        if self._bookmarks is None:
            database = _Database(connector)
            self.place = database.path
            self._bookmarks = Bookmarks(database, self.config.get("default_target_schema") or "", self.resumed)
        return self._bookmarks

    @override
    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        if not self._sinks_active:
            self.resumed = message_dict.get("value")
        super()._process_state_message(message_dict)

    @override
    def _write_state_message(self, state: dict[str, Any]) -> None:
        if self._bookmarks is not None:
            self._bookmarks.remember(state)  # the rows before it are committed
        super()._write_state_message(state)

    @classmethod
    @override
    def invoke(cls, **options: Any) -> None:
        try:
            super().invoke(**options)
        except LoadError as error:
            cls.logger.error("%s", error)  # noqa: TRY400 - one sentence
            sys.exit(1)
