"""The memory of the target: what the gradebooks are to hold, and what was sent to them. One SQLite file.

Every change is a transaction that is on the disk before the next step, so that a run that is killed anywhere can be
repeated: an intent is stored before a score is sent, and its answer afterwards. All rows bear the platform, so that
several configurations may share a file.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from target_lti_ags.errors import PushError, SettingError

if TYPE_CHECKING:
    from pathlib import Path

    from target_lti_ags.courses import Course

_MOST_DIGITS = 30
_TABLES = """
create table if not exists line_items (
    platform text not null,
    line_item_id text not null,
    class_id text,
    label text,
    score_maximum text,
    is_total integer,
    version integer,
    left integer not null default 0,
    primary key (platform, line_item_id)
);
create table if not exists scores (
    platform text not null,
    line_item_id text not null,
    person_id text not null,
    score_id text not null,
    section text,
    email text,
    username text,
    identifiers text,
    score text,
    score_maximum text,
    comment text,
    is_final integer not null,
    changed_ms integer not null,
    version integer,
    left integer not null default 0,
    primary key (platform, line_item_id, person_id)
);
create table if not exists columns (
    platform text not null,
    lineitems_url text not null,
    line_item_id text not null,
    line_item_url text not null,
    label text not null,
    score_maximum text not null,
    primary key (platform, lineitems_url, line_item_id)
);
create table if not exists pushes (
    push integer primary key,
    platform text not null,
    lineitems_url text not null,
    line_item_id text not null,
    line_item_url text not null,
    person_id text not null,
    user_id text not null,
    score text not null,
    score_maximum text not null,
    comment text,
    is_final integer not null,
    timestamp_ms integer not null,
    state text not null check (state in ('sending', 'delivered', 'refused')),
    answer integer,
    attempts integer not null default 1,
    first_attempt_ms integer not null,
    last_attempt_ms integer not null
);
create index if not exists pushes_of_a_score on pushes (platform, lineitems_url, line_item_id, person_id, push);
"""


@dataclass(frozen=True)
class LineItem:
    """A line item as it is to be; `score_maximum` is a decimal as text, null where it was never told."""

    id: str
    class_id: str | None
    label: str | None
    score_maximum: str | None
    is_total: bool
    has_left: bool


@dataclass(frozen=True)
class Person:
    """A person by what members are matched by."""

    id: str
    email: str | None
    username: str | None
    identifiers: tuple[str, ...]


@dataclass(frozen=True)
class Push:
    """A score that was sent, or is being sent, to a line item at an address."""

    push: int
    line_item_url: str
    user_id: str
    score: str
    score_maximum: str
    comment: str | None
    is_final: bool
    timestamp_ms: int
    """The time that the score bears, in milliseconds since 1970."""
    state: str
    attempts: int
    first_attempt_ms: int
    answer: int | None


@dataclass(frozen=True)
class Score:
    """A score as it is to be, and the last push of it to one course; decimals are texts."""

    line_item_id: str
    person: Person
    section: str | None
    score: str | None
    score_maximum: str | None
    comment: str | None
    is_final: bool
    changed_ms: int
    last: Push | None

    def is_delivered(self, maximum: str, line_item_url: str | None) -> bool:
        """Return whether the gradebook has the score as it is to be."""
        last = self.last
        return (
            last is not None
            and last.state == "delivered"
            and last.line_item_url == line_item_url
            and self.is_same(last, maximum)
        )

    def is_same(self, push: Push, maximum: str) -> bool:
        """Return whether a push had the same content."""
        return (push.score, push.score_maximum, push.comment, push.is_final) == (
            self.score,
            maximum,
            self.comment,
            self.is_final,
        )


class Ledger:
    """An open ledger of one platform. All methods may be called from several threads."""

    def __init__(self, path: Path, platform: str, *, rehearsal: bool = False) -> None:
        self._path, self._platform = path, platform
        self._lock = threading.RLock()
        self._connection = self._opened(rehearsal=rehearsal)

    def _opened(self, *, rehearsal: bool) -> sqlite3.Connection:
        """Open the file for this process alone; a rehearsal works on a copy in memory."""
        try:
            if rehearsal:
                connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
                if self._path.exists():
                    source = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=2)
                    source.backup(connection)
                    source.close()
            else:
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
                connection = sqlite3.connect(self._path, timeout=2, isolation_level=None, check_same_thread=False)
                connection.execute("pragma locking_mode = exclusive")
                connection.execute("pragma synchronous = full")
                connection.execute("begin exclusive")
                connection.execute("commit")
            connection.executescript(_TABLES)
        except OSError as error:
            raise SettingError(f"The ledger {self._path} cannot be used ({error.strerror}): see ledger.") from None
        except sqlite3.OperationalError as error:
            raise PushError(
                f"The ledger {self._path} cannot be used ({error}): if another run has it open, wait for its end."
            ) from None
        except sqlite3.DatabaseError as error:
            raise SettingError(f"The ledger {self._path} cannot be used ({error}): see ledger.") from None
        return connection

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    # What is to be

    def begin(self) -> None:
        """Begin a transaction, unless there is one, in which records are stored until `commit`."""
        with self._lock:
            if not self._connection.in_transaction:
                self._connection.execute("begin immediate")

    def commit(self) -> None:
        """Store all records that were put since `begin`."""
        with self._lock:
            if self._connection.in_transaction:
                self._connection.execute("commit")

    def put_line_item(self, record: dict[str, Any], version: int | None) -> None:
        """Store a line item; a property that the record does not have keeps its value."""
        given = {
            "class_id": record.get("class_id"),
            "label": record.get("label"),
            "score_maximum": decimal_text(record.get("score_maximum")),
            "is_total": record.get("is_total"),
        }
        changes = {name: value for name, value in given.items() if name in record}
        self._put(
            "line_items",
            {"line_item_id": str(record["id"])},
            changes | {"version": version, "left": int(bool(record.get("deleted")))},
        )

    def put_score(self, record: dict[str, Any], version: int | None, changed_ms: int | None, now_ms: int) -> None:
        """Store a score; a property that the record does not have keeps its value.

        `changed_ms` is when the row changed, None where the tap does not know: then it is now, if the content differs.
        """
        key = {"line_item_id": str(record["line_item_id"]), "person_id": str(record["person_id"])}
        content = {
            "score": decimal_text(record.get("score")),
            "comment": record.get("comment") or None,
            "is_final": int(record.get("is_final") is not False),
        }
        given = {
            "section": record.get("section"),
            "email": record.get("email"),
            "username": record.get("username"),
            "identifiers": json.dumps(record.get("identifiers") or []),
            "score_maximum": decimal_text(record.get("score_maximum")),
        }
        changes = content | {name: value for name, value in given.items() if name in record}
        with self._lock:
            before = self._row("scores", key)
        if before is None or any(before[name] != value for name, value in content.items()):
            changes["changed_ms"] = min(changed_ms if changed_ms is not None else now_ms, now_ms)
        else:
            changes["changed_ms"] = before["changed_ms"]
        changes |= {"score_id": str(record["id"]), "version": version, "left": int(bool(record.get("deleted")))}
        self._put("scores", key, changes)

    def leave(self, table: str, version: int) -> None:
        """Mark all line items or scores as left that are not of a version."""
        with self._lock:
            self._connection.execute(
                f"update {table} set left = 1 where platform = ? and version is not ?",  # noqa: S608 - two names
                (self._platform, version),
            )

    def line_items(self) -> list[LineItem]:
        """Return all line items."""
        query = (
            "select line_item_id, class_id, label, score_maximum, is_total, left from line_items where platform = ? "
            "order by line_item_id"
        )
        return [
            LineItem(key, of, label, most, bool(total), bool(left))
            for key, of, label, most, total, left in self._rows(query, (self._platform,))
        ]

    def line_items_without_record(self) -> list[tuple[str, int]]:
        """Return ids of line items that scores name and no record told, each with the number of its scores."""
        query = (
            "select s.line_item_id, count(*) from scores as s left join line_items as i using (platform, line_item_id) "
            "where s.platform = ? and not s.left and i.line_item_id is null group by 1 order by 1"
        )
        return self._rows(query, (self._platform,))

    def scores(self, course: Course) -> list[Score]:
        """Return the scores of the class of a course in the order of their changes, with the last push to the course.

        Scores that have left are not among them.
        """
        query = """
            select
                s.line_item_id, s.person_id, s.email, s.username, s.identifiers, s.section, s.score, s.score_maximum,
                s.comment, s.is_final, s.changed_ms,
                p.push, p.line_item_url, p.user_id, p.score, p.score_maximum, p.comment, p.is_final, p.timestamp_ms,
                p.state, p.attempts, p.first_attempt_ms, p.answer
            from scores as s
            inner join line_items as i using (platform, line_item_id)
            left join pushes as p on p.push = (
                select max(push) from pushes as q
                where q.platform = s.platform and q.lineitems_url = ?
                    and q.line_item_id = s.line_item_id and q.person_id = s.person_id
            )
            where s.platform = ? and i.class_id = ? and not s.left and not i.left
            order by s.changed_ms, s.line_item_id, s.person_id
        """
        found = []
        for row in self._rows(query, (course.lineitems_url, self._platform, course.class_id)):
            item, person, email, username, identifiers, section, score, most, comment, final, changed, *push = row
            who = Person(person, email, username, tuple(json.loads(identifiers or "[]")))
            last = _push(*push) if push[0] is not None else None
            found.append(Score(item, who, section, score, most, comment, bool(final), changed, last))
        return found

    def classes(self) -> list[tuple[str, int]]:
        """Return the classes that have scores, each with the number of its scores."""
        query = (
            "select i.class_id, count(*) from scores as s inner join line_items as i using (platform, line_item_id) "
            "where s.platform = ? and not s.left and not i.left and i.class_id is not null group by 1 order by 1"
        )
        return self._rows(query, (self._platform,))

    # What the gradebooks have

    def columns(self, lineitems_url: str) -> dict[str, tuple[str, str, str]]:
        """Return the address, label and maximum of the columns that a course has, by line item."""
        query = (
            "select line_item_id, line_item_url, label, score_maximum from columns "
            "where platform = ? and lineitems_url = ?"
        )
        return {key: (url, label, most) for key, url, label, most in self._rows(query, (self._platform, lineitems_url))}

    def put_column(self, lineitems_url: str, line_item_id: str, url: str, label: str, maximum: str) -> None:
        """Store a column that a course has."""
        key = {"lineitems_url": lineitems_url, "line_item_id": line_item_id}
        self._put("columns", key, {"line_item_url": url, "label": label, "score_maximum": maximum})

    def drop_column(self, lineitems_url: str, line_item_id: str) -> None:
        """Forget a column that was removed."""
        with self._lock:
            self._connection.execute(
                "delete from columns where platform = ? and lineitems_url = ? and line_item_id = ?",
                (self._platform, lineitems_url, line_item_id),
            )

    def intend(self, lineitems_url: str, score: Score, push: Push) -> int:
        """Store that a score is about to be sent, and return the number of the push.

        `push.push` is the number of the push that is repeated, 0 for a new one.
        """
        if push.push:
            with self._lock:
                self._connection.execute(
                    "update pushes set state = 'sending', user_id = ?, timestamp_ms = ?, attempts = ?, "
                    "last_attempt_ms = ? where push = ?",
                    (push.user_id, push.timestamp_ms, push.attempts, now_ms(), push.push),
                )
            return push.push
        row = {
            "platform": self._platform,
            "lineitems_url": lineitems_url,
            "line_item_id": score.line_item_id,
            "line_item_url": push.line_item_url,
            "person_id": score.person.id,
            "user_id": push.user_id,
            "score": push.score,
            "score_maximum": push.score_maximum,
            "comment": push.comment,
            "is_final": int(push.is_final),
            "timestamp_ms": push.timestamp_ms,
            "state": "sending",
            "first_attempt_ms": push.first_attempt_ms,
            "last_attempt_ms": push.first_attempt_ms,
        }
        with self._lock:
            cursor = self._connection.execute(
                f"insert into pushes ({', '.join(row)}) values ({', '.join('?' * len(row))})",  # noqa: S608 - names
                tuple(row.values()),
            )
        return int(cursor.lastrowid or 0)

    def answer(self, push: int, state: str, status: int) -> None:
        """Store how the platform answered: `delivered` or `refused`, and the HTTP status."""
        with self._lock:
            self._connection.execute("update pushes set state = ?, answer = ? where push = ?", (state, status, push))

    # SQLite

    def _rows(self, query: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(query, parameters).fetchall()

    def _row(self, table: str, key: dict[str, Any]) -> dict[str, Any] | None:
        where = " and ".join(f"{name} = ?" for name in key)
        cursor = self._connection.execute(
            f"select * from {table} where platform = ? and {where}",  # noqa: S608 - names of this module
            (self._platform, *key.values()),
        )
        row = cursor.fetchone()
        return None if row is None else dict(zip((column[0] for column in cursor.description), row, strict=True))

    def _put(self, table: str, key: dict[str, Any], changes: dict[str, Any]) -> None:
        """Insert a row, or change the given columns of the row with its key."""
        row = {"platform": self._platform, **key, **changes}
        sets = ", ".join(f"{name} = excluded.{name}" for name in changes)
        with self._lock:
            self._connection.execute(
                f"insert into {table} ({', '.join(row)}) values ({', '.join('?' * len(row))}) "  # noqa: S608 - names
                f"on conflict (platform, {', '.join(key)}) do update set {sets}",
                tuple(row.values()),
            )


def _push(*row: Any) -> Push:
    push, url, user, score, most, comment, final, timestamp, state, attempts, first, answer = row
    return Push(push, url, user, score, most, comment, bool(final), timestamp, state, attempts, first, answer)


def decimal_text(value: Any) -> str | None:
    """Return a number as one text however it was written: 92.50 and 92.5 are the same; None for no number."""
    if value is None or isinstance(value, bool):
        return None
    number = _decimal(value)
    if number is None:
        return None
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"", "-0"} else text


def _decimal(value: Any) -> Decimal | None:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < _MOST_DIGITS else None


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000
