# ruff: noqa: S608 - every name in a statement is ours or quoted
"""The ledger: what every publish did, in the schema `ledger` of the warehouse.

    runs         one row per publish: outcome, times, what was written how, the data's age, whether it reached its place
    counts       per run, file and school: total, added, changed, removed, held, errors
    problems     per run, rule, file and field: how many
    held         rows kept for one more run although they had gone, or a score although it had fallen to nothing
    blocked      per run, file and school: what would have left
    agreements   what an administrator agreed may leave: a school, or the line items of another grade sync
    <file>       every row ever published, with the run that brought it and the run that ended it (see stages.py)

Times are UTC, RFC 3339 with seconds and `Z`, as text. A school is the sourcedId of an org; blank means the district.
"""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from coursera_connect.database import warehouse
from coursera_connect.database.warehouse import quoted
from coursera_connect.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from coursera_connect.database.warehouse import Location, Warehouse

SCHEMA = "ledger"

PUBLISHED = "outcome in ('published', 'unchanged')"
"""The condition on a run that its rows are the ones remembered; it may not have reached its receiver yet."""

AGREED_FOR_DAYS = 7
"""How long an agreement waits for its publish. One that was not needed must not let a bad day through months later."""

_TABLES = {
    "identity": "ledger_id varchar",
    "runs": (
        "run integer, outcome varchar, why varchar, started_at varchar, finished_at varchar, mode varchar, "
        "version varchar, profile varchar, shape varchar, settings varchar, data_as_of varchar, package varchar, "
        "bytes bigint, sha256 varchar, delivered_to varchar, placed boolean, seconds varchar, versions varchar, "
        "seal varchar"
    ),
    "counts": (
        "run integer, file varchar, school varchar, school_name varchar, total bigint, added bigint, changed bigint, "
        "removed bigint, held bigint, errors bigint"
    ),
    "problems": "run integer, rule varchar, severity varchar, file varchar, field varchar, how_many bigint",
    "held": "run integer, file varchar, sourced_id varchar, reason varchar, since varchar",
    "blocked": (
        "run integer, file varchar, school varchar, school_name varchar, before bigint, removed bigint, "
        "reason varchar, sourced_ids varchar"
    ),
    "agreements": "agreed_at varchar, kind varchar, subject varchar, detail varchar, used_by_run integer",
}


def now(later: timedelta = timedelta()) -> str:
    """Return this moment, or one so much later, as the ledger writes it."""
    return (datetime.now(timezone.utc) + later).isoformat(timespec="seconds").replace("+00:00", "Z")


def table(name: str) -> str:
    """Return the full name of a table of the ledger."""
    return f"{SCHEMA}.{quoted(name)}"


def exists(database: Warehouse) -> bool:
    """Whether a publish has ever been recorded in this warehouse."""
    return "runs" in database.columns(SCHEMA)


def prepare(database: Warehouse) -> None:
    """Make the tables that are not there yet. Called within a transaction."""
    database.store(f"create schema if not exists {SCHEMA}")
    for name, columns in _TABLES.items():
        database.store(f"create table if not exists {table(name)} ({columns})")
    known = database.columns(SCHEMA)
    for name in _TABLES:
        for column, kind in _columns(name).items():
            if column not in known[name]:  # an earlier release did not have it yet
                database.store(f"alter table {table(name)} add column {column} {kind}")
    if not database.row(f"select count(*) from {table('identity')}")[0]:
        record(database, "identity", [{"ledger_id": str(uuid.uuid4())}])
    _clean(database)


_SAID = ("delivered_to", "why", "package")


def _clean(database: Warehouse) -> None:
    """Take passwords out of the rows of earlier releases, which took a wrong address for the name of a folder."""
    for name in _SAID:
        for (text,) in list(database.rows(f"select distinct {name} from {table('runs')} where {name} <> ''")):
            if redacted(text) != text:
                database.store(f"update {table('runs')} set {name} = ? where {name} = ?", [redacted(text), text])


def identity(database: Warehouse) -> str:
    """Return the id that tells this ledger from that of another warehouse, lost or new; blank where there is none."""
    return str(database.row(f"select ledger_id from {table('identity')}")[0]) if exists(database) else ""


def last_run(database: Warehouse, where: str = "true") -> dict[str, Any] | None:
    """Return the newest run that meets a condition."""
    found = read(database, "runs", where, order="run desc", limit=1)
    return found[0] if found else None


def read(  # noqa: PLR0913 - one word per clause
    database: Warehouse, name: str, where: str = "true", values: Iterable[Any] = (), *, order: str = "1", limit: int = 0
) -> list[dict[str, Any]]:
    """Return rows of a table of the ledger by column name, none where nothing was ever recorded.

    A column that an earlier release did not have yet is null.
    """
    names = database.columns(SCHEMA).get(name)
    if not names:
        return []
    later = {column: kind for column, kind in _columns(name).items() if column not in names}
    shown = [*map(quoted, names), *(f"cast(null as {kind}) as {quoted(column)}" for column, kind in later.items())]
    names = [*names, *later]
    query = f"select * from (select {', '.join(shown)} from {table(name)}) as known where {where} order by {order}"
    found = database.rows(query + (f" limit {limit}" if limit else ""), list(values))
    return [
        {column: redacted(cell) if column in _SAID and cell else cell for column, cell in zip(names, row, strict=True)}
        for row in found
    ]


def record(database: Warehouse, name: str, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows; every column of the table has to be in each of them."""
    database.insert(table(name), _columns(name), list(rows))


def _columns(name: str) -> dict[str, str]:
    """Columns and types of a table as this release has it; none of a table of published rows."""
    return dict(column.split() for column in _TABLES[name].split(", ")) if name in _TABLES else {}


def agree(database: Location, wait: float, kind: str, subject: str, detail: dict[str, Any]) -> None:
    """Record that rows may leave: kind `school` with its sourcedId, or `grade_sync` with the new mode."""
    with warehouse.opened(database, wait, write=True) as opened, opened.transaction():
        prepare(opened)
        row = {
            "agreed_at": now(),
            "kind": kind,
            "subject": subject,
            "detail": json.dumps(detail, sort_keys=True),
            "used_by_run": None,
        }
        record(opened, "agreements", [row])


def agreed(database: Warehouse, kind: str) -> set[str]:
    """Return the subjects that were agreed to, not too long ago, and that no publish has used yet."""
    since = now(timedelta(days=-AGREED_FOR_DAYS))
    where = "kind = ? and used_by_run is null and agreed_at >= ?"
    return {row["subject"] for row in read(database, "agreements", where, [kind, since])}
