"""How far the rows in the file go, by the tap's own bookmarks.

A tap that goes on from a bookmark sends only what came after it. Its state lives elsewhere than the file: in Meltano's
database, in a bucket, with another machine. Where the two part, since the file was lost, restored from a backup or left
behind on another machine, rows would be missing that no later run brings. So the file remembers the bookmarks of the
states that it let pass, and a load that goes on from a later one is refused.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from target_duckdb.errors import LoadError
from target_duckdb.sql import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_duckdb.database import Database

SCHEMA = "target_duckdb"
"""Schema of the loader's own table, which is named `bookmarks`."""


def bookmarks_of(state: Any) -> dict[str, dict[str, Any]]:
    """What an SDK tap's state holds of replication keys: stream → partition → value.

    A partition is its context as JSON with sorted keys, the empty text for a stream without partitions.
    """
    streams = state.get("bookmarks") if isinstance(state, dict) else None
    found: dict[str, dict[str, Any]] = {}
    for stream, bookmark in streams.items() if isinstance(streams, dict) else ():
        if not isinstance(bookmark, dict):
            continue
        for part in (bookmark, *(bookmark.get("partitions") or [])):
            if isinstance(part, dict) and (value := part.get("replication_key_value")) is not None:
                context = part.get("context")
                partition = json.dumps(context, sort_keys=True, default=str) if context else ""
                found.setdefault(stream, {})[partition] = float(value) if isinstance(value, Decimal) else value
    return found


class Bookmarks:
    """The bookmarks that the file knows of the streams in one schema."""

    def __init__(self, database: Database, schema: str) -> None:
        self._database = database
        self._schema = schema
        self._table = quote(database.catalog, SCHEMA, "bookmarks")
        self._known: dict[str, dict[str, Any]] = {}
        """Those of the streams that this run loads."""

    def begin(self, stream: str, given: Mapping[str, Any], *, new: bool) -> None:
        """Load a stream from now on; to be called before any of its rows.

        Args:
            stream: Name of the stream and of its table.
            given: Bookmarks that the tap goes on from, by partition.
            new: The table was made just now, so whatever was known is not in it.

        Raises:
            LoadError: The file was loaded only up to an earlier bookmark. A file that knows none of the stream, as one
                of an earlier release, is taken as it is.
        """
        known = {} if new else self._read(stream)
        if new:
            self._forget(stream)
        if known and any(_is_later(value, known.get(partition)) for partition, value in given.items()):
            raise LoadError(
                f"The tap goes on from a later bookmark of stream {stream} than {self._database.path} was loaded up "
                "to, so the rows in between would be missing: load into the file that has them, or read everything "
                "again without the saved state (Meltano: run --full-refresh)."
            )
        self._known[stream] = known

    def remember(self, state: Any) -> None:
        """Note the bookmarks of a state, as far as they are of streams that this run loads.

        To be called once all rows before it are committed, and before anybody else gets to know it.
        """
        news = [
            (stream, partition, value)
            for stream, parts in bookmarks_of(state).items()
            if (known := self._known.get(stream)) is not None
            for partition, value in parts.items()
            if value != known.get(partition) and not _is_later(known.get(partition), value)
        ]
        if not news:
            return
        with self._database.transaction("remember how far its rows go"):
            self._make_table()
            for stream, partition, value in news:
                row = [self._schema, stream, partition]
                self._database.fetch(
                    f"DELETE FROM {self._table} WHERE target_schema = ? AND stream = ? AND partition = ?",  # noqa: S608
                    row,
                )
                self._database.fetch(
                    f"INSERT INTO {self._table} VALUES (?, ?, ?, ?)",  # noqa: S608 - quoted
                    [*row, json.dumps(value)],
                )
        for stream, partition, value in news:
            self._known[stream][partition] = value

    def _make_table(self) -> None:
        self._database.fetch(f"CREATE SCHEMA IF NOT EXISTS {quote(self._database.catalog, SCHEMA)}")
        self._database.fetch(
            f"CREATE TABLE IF NOT EXISTS {self._table} "
            "(target_schema VARCHAR, stream VARCHAR, partition VARCHAR, replication_key_value JSON)"
        )

    def _exists(self) -> bool:
        return bool(
            self._database.fetch(
                "SELECT 1 FROM duckdb_tables() "
                "WHERE database_name = ? AND schema_name = ? AND table_name = 'bookmarks'",
                [self._database.catalog, SCHEMA],
            )
        )

    def _read(self, stream: str) -> dict[str, Any]:
        if not self._exists():
            return {}
        rows = self._database.fetch(
            f"SELECT partition, replication_key_value FROM {self._table} WHERE target_schema = ? AND stream = ?",  # noqa: S608
            [self._schema, stream],
        )
        return {partition: json.loads(value) for partition, value in rows}

    def _forget(self, stream: str) -> None:
        if self._exists():
            with self._database.transaction(f"forget the former bookmarks of stream {stream}"):
                self._database.fetch(
                    f"DELETE FROM {self._table} WHERE target_schema = ? AND stream = ?",  # noqa: S608 - quoted
                    [self._schema, stream],
                )


def _is_later(value: Any, known: Any) -> bool:
    """Whether a bookmark lies beyond another one; nothing is before everything, and what cannot be compared is not."""
    if value is None or known is None:
        return value is not None
    moments = [_moment(one) for one in (value, known)]
    if None not in moments:
        value, known = moments
    try:
        return bool(value > known)
    except TypeError:
        return False


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
