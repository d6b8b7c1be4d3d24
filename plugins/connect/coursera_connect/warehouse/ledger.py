# ruff: noqa: S608 - every name in a statement is ours or quoted
"""The ledger records what every publish did, in the schema `ledger` of the warehouse.

    runs         one row per publish: outcome, times, what was written how, the data's age, whether it reached its place
    counts       per run, file and school: total, added, changed, removed, held, errors
    totals       per run and file: the same, a row of several schools counted once
    job_runs     every run of a job that has ended, as the journal beside the package tells it (see jobs/journal.py)
    problems     per run, rule, file and field: how many
    odd_rows     per run, rule of `connect.quality` and kind of record: how many were flagged, repaired or left out
    held         rows kept although they had gone, or a score although it had fallen to nothing, until read again
    blocked      per run, file and school: what would have left, fallen or changed
    allowed      the same, of what a step or an option let go
    agreements   what an administrator agreed to: a school that leaves, another grade sync or score scale
    sizes        per run and file: how many rows the file's table has, and how many of them are of now
    <file>       every row ever published, with the run that brought it and the run that ended it (see stages.py)

Times are UTC, RFC 3339 with seconds and `Z`, as text. `stamp` of a run is the time that its rows bear: its own, or that
of the run before where the clock went back. A school is the sourcedId of an org; blank means the district.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from coursera_connect import timestamps
from coursera_connect.jobs import journal
from coursera_connect.jobs.journal import Run
from coursera_connect.redaction import redacted
from coursera_connect.warehouse import warehouse
from oneroster_csv.sql import literal, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from coursera_connect.warehouse.warehouse import Location, Warehouse

SCHEMA = "ledger"

PUBLISHED = "outcome in ('published', 'unchanged')"
"""The SQL condition for runs whose rows the ledger holds; the package of such a run may not be delivered yet."""

AGREED_FOR_DAYS = 7
"""How many days an agreement is valid, counted both by its date and by the days on which something was published.

An agreement that was not needed must not let a bad day through months later, even if the clock was wrong that day.
"""

_DROPS = (
    "run integer, file varchar, school varchar, school_name varchar, before bigint, removed bigint, "
    "reason varchar, sourced_ids varchar"
)
_TABLES = {
    "identity": "ledger_id varchar",
    "runs": (
        "run integer, outcome varchar, why varchar, started_at varchar, finished_at varchar, mode varchar, "
        "version varchar, profile varchar, shape varchar, settings varchar, data_as_of varchar, package varchar, "
        "bytes bigint, sha256 varchar, delivered_to varchar, placed boolean, seconds varchar, versions varchar, "
        "seal varchar, read_at varchar, stamp varchar"
    ),
    "counts": (
        "run integer, file varchar, school varchar, school_name varchar, total bigint, added bigint, changed bigint, "
        "removed bigint, held bigint, errors bigint"
    ),
    "totals": ("run integer, file varchar, total bigint, added bigint, changed bigint, removed bigint, held bigint"),
    "job_runs": (
        "id varchar, environment varchar, job varchar, started_by varchar, started_at varchar, ended_at varchar, "
        "outcome varchar, step varchar, sentence varchar, exit_code integer, extractor varchar, loaded varchar, "
        "published varchar, run integer"
    ),
    "problems": "run integer, rule varchar, severity varchar, file varchar, field varchar, how_many bigint",
    "odd_rows": "run integer, rule varchar, severity varchar, entity varchar, how_many bigint",
    "held": "run integer, file varchar, sourced_id varchar, reason varchar, since varchar, last_read varchar",
    "blocked": _DROPS,
    "allowed": _DROPS,
    "agreements": (
        "agreed_at varchar, kind varchar, subject varchar, detail varchar, used_by_run integer, after_run integer"
    ),
    "sizes": "run integer, file varchar, versions bigint, present bigint",
}


def now(later: timedelta = timedelta()) -> str:
    """Return the present time, or one that much later, as the ledger writes it."""
    return timestamps.written(datetime.now(timezone.utc) + later)


def table(name: str) -> str:
    """Return the full name of a table of the ledger."""
    return f"{SCHEMA}.{quoted(name)}"


def exists(database: Warehouse) -> bool:
    """Whether a publish has ever been recorded in this warehouse."""
    return "runs" in database.columns(SCHEMA)


def prepare(database: Warehouse, ledger_id: str = "") -> None:
    """Create missing tables within a transaction; `ledger_id` is the id by which this ledger was known before."""
    database.store(f"create schema if not exists {SCHEMA}")
    for name, columns in _TABLES.items():
        database.store(f"create table if not exists {table(name)} ({columns})")
    known = database.columns(SCHEMA)
    for name in _TABLES:
        for column, kind in _columns(name).items():
            if column not in known[name]:  # an earlier release did not have it yet
                database.store(f"alter table {table(name)} add column {column} {kind}")
    if not database.row(f"select count(*) from {table('identity')}")[0]:
        record(database, "identity", [{"ledger_id": ledger_id or str(uuid.uuid4())}])
    _clean(database)


_SAID = ("delivered_to", "why", "package")


def _clean(database: Warehouse) -> None:
    """Remove passwords from rows of earlier releases, which took a wrong address for the name of a folder."""
    for name in _SAID:
        for (text,) in list(database.rows(f"select distinct {name} from {table('runs')} where {name} <> ''")):
            if redacted(text) != text:
                database.store(f"update {table('runs')} set {name} = ? where {name} = ?", [redacted(text), text])


def identity(database: Warehouse) -> str:
    """Return the id of this ledger, which differs from that of every other warehouse; blank if there is no ledger."""
    return next((str(row["ledger_id"]) for row in read(database, "identity")), "")


def last_run(database: Warehouse, where: str = "true") -> dict[str, Any] | None:
    """Return the newest run that meets a condition."""
    found = read(database, "runs", where, order="run desc", limit=1)
    return found[0] if found else None


def read(  # noqa: PLR0913 - one word per clause
    database: Warehouse, name: str, where: str = "true", values: Iterable[Any] = (), *, order: str = "1", limit: int = 0
) -> list[dict[str, Any]]:
    """Return rows of a table of the ledger by column name; none if nothing was ever recorded.

    A column that an earlier release did not have is null.
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
    """Return the columns and types that this release gives a table; none for a table of published rows."""
    return dict(column.split() for column in _TABLES[name].split(", ")) if name in _TABLES else {}


def take_over(database: Warehouse, file: Path) -> None:
    """Record the runs that have ended since the last publish, from the journal; within a transaction."""
    known = {row["id"] for row in read(database, "job_runs")}
    ended = [run for run in journal.read(file, "coalesce(ended_at, '') <> ''") if run.id not in known]
    names = _columns("job_runs")
    rows = [
        {**{name: value for name, value in asdict(run).items() if name in names}, "run": run.ledger_run}
        for run in ended
    ]
    record(database, "job_runs", reversed(rows))


def job_runs(database: Warehouse | None, file: Path | None) -> list[Run]:
    """Return the runs of jobs, newest first: those of the journal, and those that only the ledger still has."""
    found = journal.read(file) if file is not None else []
    known = {run.id for run in found}
    for row in read(database, "job_runs") if database is not None else []:
        if row["id"] not in known:
            facts = {name: value for name, value in row.items() if name != "run" and value is not None}
            found.append(Run(**facts, ledger_run=row["run"]))
    return sorted(found, key=lambda run: run.started_at, reverse=True)


def sums(database: Warehouse, oldest: int) -> dict[int, dict[str, dict[str, int]]]:
    """Return total, added, changed, removed and held per file and run, from the run `oldest` on; each row counts once.

    For runs of an earlier release only counts per school exist, in which a row of several schools counts for each.
    """
    names = ("total", "added", "changed", "removed", "held")
    found: dict[int, dict[str, dict[str, int]]] = {}
    for source in ("counts", "totals"):
        if source not in database.columns(SCHEMA):
            continue
        of_source: dict[int, dict[str, dict[str, int]]] = {}
        columns = ", ".join(f"sum({name})" for name in names)
        query = f"select run, file, {columns} from {table(source)} where run >= ? group by run, file"
        for run, file, *values in database.rows(query, [oldest]):
            of_source.setdefault(run, {})[file] = dict(zip(names, (int(value or 0) for value in values), strict=True))
        found |= of_source
    return found


def next_run(database: Warehouse, beside: int = 0) -> int:
    """Return a number above those of all runs in the ledger, and above `beside`, the number of the package's run."""
    numbers = [
        f"select max({column}) as run from {table(name)}"
        for name, columns in database.columns(SCHEMA).items()
        for column in columns
        if column in {"from_run", "until_run"} or (name, column) == ("runs", "run")
    ]
    found = f"select max(run) from ({' union all '.join(numbers)}) as r"
    return max(beside, database.row(found)[0] or 0 if numbers else 0) + 1


def stamps(database: Warehouse) -> str:
    """Return the query for the `dateLastModified` that the rows of each run have, as (run, stamp)."""
    stamp = "coalesce(stamp, started_at)" if "stamp" in database.columns(SCHEMA)["runs"] else "started_at"
    return f"select run, {stamp} as stamp from {table('runs')}"


def latest_stamp(database: Warehouse) -> str:
    """Return the latest `dateLastModified` that a publish gave its rows."""
    published = f"select run from {table('runs')} where {PUBLISHED}"
    return str(database.row(f"select max(stamp) from ({stamps(database)}) as s where run in ({published})")[0] or "")


def note_sizes(database: Warehouse, run: int) -> None:
    """Record how many rows the tables of the files have. Called within the transaction that changes them."""
    for name, columns in database.columns(SCHEMA).items():
        if "until_run" in columns:
            database.store(
                f"insert into {table('sizes')} (run, file, versions, present) select {run}, {literal(name)}, "
                f"count(*), count(*) - count(until_run) from {table(name)}"
            )


def missing(database: Warehouse, last: dict[str, Any] | None) -> list[str]:
    """Return in words what the ledger has lost since the publish `last`; nothing if it is complete."""
    tables = database.columns(SCHEMA)
    files = {name for name, columns in tables.items() if "until_run" in columns}
    if last is None:
        return [f"{SCHEMA}.runs has lost its runs"] if files else []
    noted = {row["file"]: row for row in read(database, "sizes", "run = ?", [last["run"]])}
    if last["stamp"] is None:  # of a release that did not note the sizes: only a lost table shows
        had = {row["file"] for row in read(database, "counts", "run = ? and total > 0", [last["run"]])}
        return [f"{SCHEMA}.{name} is gone" for name in sorted(had - files)]
    if not noted:
        return [f"{SCHEMA}.sizes has lost what it said of run {last['run']}"]
    sizes = " union all ".join(
        f"select {literal(name)}, count(*), count(*) - count(until_run) from {table(name)}"
        for name in sorted(files & noted.keys())
    )
    there = {name: (versions, present) for name, versions, present in database.rows(sizes)} if sizes else {}
    return [
        f"{SCHEMA}.{name} has {there[name][0]:,} rows where run {last['run']} left {row['versions']:,}"
        if name in there
        else f"{SCHEMA}.{name} is gone"
        for name, row in sorted(noted.items())
        if there.get(name) != (row["versions"], row["present"])
    ]


def agree(database: Location, wait: float, kind: str, subject: str, detail: dict[str, Any]) -> None:
    """Record an agreement: kind `school` with its sourcedId, `grade_sync` or `score_scale` with the new value."""
    with warehouse.opened(database, wait, write=True) as opened, opened.transaction():
        newest = last_run(opened)
        prepare(opened)
        row = {
            "agreed_at": now(),
            "kind": kind,
            "subject": subject,
            "detail": json.dumps(detail, sort_keys=True),
            "used_by_run": None,
            "after_run": newest["run"] if newest else 0,
        }
        record(opened, "agreements", [row])


def agreed(database: Warehouse, kind: str) -> set[str]:
    """Return the subjects of agreements that are still valid and that no publish has used yet."""
    since = now(timedelta(days=-AGREED_FOR_DAYS))
    where = "kind = ? and used_by_run is null and agreed_at >= ?"
    found = read(database, "agreements", where, [kind, since])
    published = read(database, "runs", PUBLISHED) if found else []

    def days(row: dict[str, Any]) -> int:
        """Return on how many days something was published after the agreement."""
        return len({run["started_at"][:10] for run in published if run["run"] > (row["after_run"] or 0)})

    return {row["subject"] for row in found if row["after_run"] is None or days(row) <= AGREED_FOR_DAYS}
