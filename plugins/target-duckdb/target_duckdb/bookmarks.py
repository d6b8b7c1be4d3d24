"""How far the rows in the file go, by the tap's own bookmarks.

A tap that goes on from a bookmark sends only what came after it. Its state lives elsewhere than the file: in Meltano's
database, in a bucket, with another machine. Where the two part, since the file was lost, restored from a backup or left
behind on another machine, rows would be missing that no later run brings. So the file remembers how far each state went
that it let pass, and a load that goes on from a later one is refused.

What counts is every value of the state below the name of a stream, whatever it is called: of moments and numbers the
latest, of other texts (cursors, tokens) all that were there. A value that never was passed on is ahead of it, too.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from target_duckdb.errors import LoadError
from target_duckdb.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    Bookmark = dict[str, Any]
    """Where a value is in the state, as JSON, without the stream's name; and the value."""

SCHEMA = "target_duckdb"
"""Schema of the loader's own table, which is named `states`."""

_KEY_VALUE = "replication_key_value"
# What the SDK notes of a run that is still going on, or what is no position in the stream.
_NOT_COMPARED = frozenset(
    {"progress_markers", "starting_replication_value", "replication_key_signpost", "replication_key", "context"}
)
_WATCHED = ""
"""Stands in the table for a stream all of whose bookmarks went through this loader, since there was the table."""


def bookmark_of(state: Any, stream: str) -> Bookmark:
    """What a state holds of a stream; it may name the stream anywhere, as `bookmarks` of the SDK do or not."""
    found = {}
    for path, value in _leaves(state, ()):
        if stream in path:
            at = path.index(stream)
            found[json.dumps([*path[:at], *path[at + 1 :]])] = value
    return found


def nothing_before(stream: str, path: Path | str) -> LoadError:
    """Say that a tap goes on from a bookmark of a stream that has no table."""
    return LoadError(
        f"The tap goes on from a bookmark of stream {stream}, but {path} has no table with what came before it, so "
        "most rows would be missing: restore it, or read everything again without the saved state (Meltano: run "
        "--full-refresh)."
    )


def goes_on(bookmark: Bookmark) -> bool:
    """Whether a tap that is given this bookmark sends only a part of the stream."""
    return any(_is_position(path, value) for path, value in bookmark.items())


def _is_position(path: str, value: Any) -> bool:
    return _order(value) is not None or _name(path) == _KEY_VALUE


def _name(path: str) -> str:
    places: list[str] = json.loads(path)
    return places[-1] if places else ""


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for name, part in value.items():
            # A version tells full reads apart, and is no position in the stream.
            if name not in _NOT_COMPARED and "version" not in name.lower():
                yield from _partitions(part, path) if name == "partitions" else _leaves(part, (*path, name))
    elif isinstance(value, Decimal):
        yield path, float(value)
    elif isinstance(value, list | str):
        yield path, value if _moment(value) else _digest(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value


def _partitions(parts: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for part in parts if isinstance(parts, list) else ():
        context = part.get("context") if isinstance(part, dict) else None
        yield from _leaves(part, (*path, json.dumps(context, sort_keys=True, default=str)) if context else path)


def _digest(value: Any) -> str:
    """Stand for a text whose meaning only the tap knows."""
    text = json.dumps(value, sort_keys=True, default=str)
    return "#" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Database(Protocol):
    """What keeps the bookmarks beside the rows: the DuckDB file, or the database of another loader."""

    @property
    def path(self) -> Path | str:
        """What messages call it."""

    @property
    def catalog(self) -> str:
        """Its name in SQL."""

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement, in the SQL of both DuckDB and PostgreSQL, and return its rows."""

    def transaction(self, doing: str) -> AbstractContextManager[None]:
        """Commit what happens inside as a whole, or nothing of it."""


class Bookmarks:
    """The bookmarks that the file knows of the streams in one schema."""

    def __init__(self, database: Database, schema: str, given: Any) -> None:
        self._database = database
        self._schema = schema
        self._given = given
        """The state that the tap goes on from, if it told that."""
        self._looked_around = False
        self._table = quote(database.catalog, SCHEMA, "states")
        self._former = quote(database.catalog, SCHEMA, "bookmarks")
        self._known: dict[str, dict[str, list[Any]]] = {}
        """Those of the streams that this run may move: by stream and place in the state."""

    def begin(self, stream: str, *, new: bool) -> None:
        """Load a stream from now on; to be called before any of its rows.

        Args:
            stream: Name of the stream and of its table.
            new: The table was made just now, so whatever was known is not in it.

        Raises:
            LoadError: The file was loaded only up to an earlier bookmark. A file that knows none of the stream, as one
                of an earlier release, is taken as it is.
        """
        with self._database.transaction(f"look up the bookmarks of stream {stream}"):
            self._make_table()
            if new:
                self._database.fetch(
                    f"DELETE FROM {self._table} WHERE target_schema = ? AND stream = ?",  # noqa: S608 - quoted
                    [self._schema, stream],
                )
                self._write(stream, {_WATCHED: None})
            known = self._read(stream)
        if (ahead := self._ahead(stream, known)) is not None:
            which = f" ({_name(ahead)})" if _name(ahead).isidentifier() else ""
            raise LoadError(
                f"The tap goes on from a later bookmark of stream {stream} than {self._database.path} was loaded "
                f"up to{which}, so the rows in between would be missing: load into the one that has them, or read "
                "everything again without the saved state (Meltano: run --full-refresh)."
            )
        self._known[stream] = known

    def _ahead(self, stream: str, known: Mapping[str, list[Any]]) -> str | None:
        """Where the tap goes on from something that lies beyond what is known, if anywhere."""
        given = bookmark_of(self._given, stream).items()
        return next((path for path, value in given if _is_ahead(path, value, known)), None)

    def _look_around(self) -> None:
        """Follow the other streams that the file knows, too: a tap may move one of them and announce it to no one.

        Not where the tap goes on from what the file does not have: the rows up to there are still missing.
        """
        self._looked_around = True
        for (stream,) in self._database.fetch(
            f"SELECT DISTINCT stream FROM {self._table} WHERE target_schema = ?",  # noqa: S608 - quoted
            [self._schema],
        ):
            if stream not in self._known and self._ahead(stream, known := self._read(stream)) is None:
                self._known[stream] = known

    def remember(self, state: Any) -> None:
        """Note the bookmarks of a state, as far as they are of streams that the file has.

        To be called once all rows before it are committed, and before anybody else gets to know it.
        """
        if self._known and not self._looked_around:
            self._look_around()
        news: dict[str, Bookmark] = {}
        for stream, known in self._known.items():
            found = {
                path: value
                for path, value in bookmark_of(state, stream).items()
                if value not in known.get(path, ()) and not _is_behind(value, known.get(path, ()))
            }
            if found and _WATCHED not in known:
                found[_WATCHED] = None
            if found:
                news[stream] = found
        if not news:
            return
        with self._database.transaction("remember how far its rows go"):
            for stream, found in news.items():
                self._write(stream, found)
        for stream, found in news.items():
            for path, value in found.items():
                kept = self._known[stream].get(path, []) if _is_opaque(value) else []
                self._known[stream][path] = [*kept, value]

    def _write(self, stream: str, found: Bookmark) -> None:
        replaced = [path for path, value in found.items() if not _is_opaque(value)]
        self._database.fetch(
            f"DELETE FROM {self._table} WHERE target_schema = ? AND stream = ? "  # noqa: S608 - quoted
            "AND bookmark IN (SELECT unnest(?::VARCHAR[]))",
            [self._schema, stream, replaced],
        )
        self._database.fetch(
            f"INSERT INTO {self._table} SELECT ?, ?, unnest(?::VARCHAR[]), unnest(?::JSON[])",
            [self._schema, stream, list(found), [json.dumps(value) for value in found.values()]],
        )

    def _make_table(self) -> None:
        self._database.fetch(f"CREATE SCHEMA IF NOT EXISTS {quote(SCHEMA)}")
        self._database.fetch(
            f"CREATE TABLE IF NOT EXISTS {self._table} "
            "(target_schema VARCHAR, stream VARCHAR, bookmark VARCHAR, value JSON)"
        )
        if self._has_former():
            self._take_over()

    def _has_former(self) -> bool:
        return bool(
            self._database.fetch(
                "SELECT 1 FROM information_schema.tables "
                "WHERE table_catalog = ? AND table_schema = ? AND table_name = 'bookmarks'",
                [self._database.catalog, SCHEMA],
            )
        )

    def _take_over(self) -> None:
        """Go on with what an earlier release remembered, which was replication keys alone."""
        rows = self._database.fetch(
            f"SELECT target_schema, stream, partition, replication_key_value FROM {self._former}"  # noqa: S608 - quoted
        )
        for schema, stream, partition, value in rows:
            path = ["bookmarks", partition, _KEY_VALUE] if partition else ["bookmarks", _KEY_VALUE]
            ((_, known),) = _leaves(json.loads(value), ())
            self._database.fetch(
                f"INSERT INTO {self._table} VALUES (?, ?, ?, ?)",  # noqa: S608 - quoted
                [schema, stream, json.dumps(path), json.dumps(known)],
            )
        self._database.fetch(f"DROP TABLE {self._former}")

    def _read(self, stream: str) -> dict[str, list[Any]]:
        known: dict[str, list[Any]] = {}
        for path, value in self._database.fetch(
            f"SELECT bookmark, CAST(value AS VARCHAR) FROM {self._table} "  # noqa: S608 - quoted
            "WHERE target_schema = ? AND stream = ?",
            [self._schema, stream],
        ):
            known.setdefault(path, []).append(json.loads(value))
        return known


def _is_ahead(path: str, value: Any, known: Mapping[str, list[Any]]) -> bool:
    """Whether a bookmark that a tap goes on from lies beyond what is known of its stream."""
    if path not in known:
        if _WATCHED in known:
            return _is_position(path, value)
        return _name(path) in {_name(other) for other in known}
    if _is_opaque(value):
        opaque = [one for one in known[path] if _is_opaque(one)]
        return bool(opaque) and value not in opaque
    return any(_is_later(value, one) for one in known[path])


def _is_behind(value: Any, known: Iterable[Any]) -> bool:
    return any(_is_later(one, value) for one in known)


def _is_opaque(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("#")


def _is_later(value: Any, other: Any) -> bool:
    """Whether one lies beyond the other; a number and a moment cannot be compared, so neither does."""
    one, two = _order(value), _order(other)
    return one is not None and two is not None and type(one) is type(two) and bool(one > two)  # type: ignore[operator]


def _order(value: Any) -> Decimal | datetime | None:
    """What tells which of two values is later: of a number, itself; of a text, its moment."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Decimal(str(value))
    return _moment(value)


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
