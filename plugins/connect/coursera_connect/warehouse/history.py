"""Reads the ledger: the runs, one run in detail, and what happened to a row, a learner or a class over time."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from coursera_connect.command_text import environment_of_now
from coursera_connect.errors import DatabaseError, UsageError
from coursera_connect.jobs import ending, journal
from coursera_connect.meltano import project_files
from coursera_connect.warehouse import ledger, warehouse
from oneroster_csv import binding as bindings
from oneroster_csv.sql import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from coursera_connect.warehouse.warehouse import Location, Warehouse

_REFERRING = {
    "users": [("enrollments", "userSourcedId"), ("results", "studentSourcedId"), ("roles", "userSourcedId")],
    "classes": [("enrollments", "classSourcedId"), ("lineItems", "classSourcedId")],
    "lineItems": [("results", "lineItemSourcedId")],
    "orgs": [("classes", "schoolSourcedId")],
}
"""The files whose rows refer to a row of a file, and the column by which they do, by file."""


@dataclass(frozen=True)
class Overview:
    """The newest publishes and runs of jobs; `caution` says why the publishes are missing, and is blank otherwise."""

    runs: list[dict[str, Any]]
    jobs: list[dict[str, Any]]
    caution: str = ""


def overview(database: Location, package: Path, wait: float, limit: int) -> Overview:
    """Return the newest publishes and runs of jobs, after the entries of ended runs were closed in the journal.

    Raises:
        DatabaseError: The warehouse cannot be read, and the journal has no run either.
    """
    file = journal.place(package)
    ending.look(file, environment_of_now() or "", project_files.project_of_now())
    found = jobs(database, file, wait, limit)
    try:
        return Overview(runs(database, wait, limit), found)
    except DatabaseError as error:
        if not found:
            raise
        return Overview([], found, f"Without what was published: {error}")


def runs(database: Location, wait: float, limit: int) -> list[dict[str, Any]]:
    """Return the newest publishes first, each with the sums of what it added, changed, removed and held."""
    with warehouse.opened(database, wait) as opened:
        found = ledger.read(opened, "runs", order="run desc", limit=limit)
        sums = ledger.sums(opened, found[-1]["run"]) if found else {}
        for run in found:
            files = sums.get(run["run"], {}).values()
            run |= {name: sum(row[name] for row in files) for name in ("total", "added", "changed", "removed", "held")}
            for name, table, column in (("errors", "counts", "errors"), ("blocked", "blocked", "removed")):
                run[name] = sum(row[column] or 0 for row in ledger.read(opened, table, "run = ?", [run["run"]]))
            _parse(run)
        return found


def jobs(database: Location, file: Path, wait: float, limit: int) -> list[dict[str, Any]]:
    """Return the runs of jobs, newest first, from the journal and from the ledger, unless the warehouse is locked."""
    try:
        with warehouse.opened(database, wait) as opened:
            found = ledger.job_runs(opened, file)
    except DatabaseError:
        found = ledger.job_runs(None, file)
    return [{**asdict(run), "seconds": run.seconds} for run in found[:limit]]


def show(database: Location, wait: float, run: int) -> dict[str, Any]:
    """Return all that is known of a run: its entry, and its counts, problems, odd, held, blocked and allowed rows."""
    with warehouse.opened(database, wait) as opened:
        found = ledger.read(opened, "runs", "run = ?", [run])
        if not found:
            newest = ledger.last_run(opened)
            known = f"the newest is {newest['run']}" if newest else "nothing was published yet"
            raise UsageError(f"There is no run {run}: {known}.")
        parts = {
            name: ledger.read(opened, name, "run = ?", [run], order="all")
            for name in ("counts", "problems", "odd_rows", "held", "blocked", "allowed")
        }
        return {**_parse(found[0]), **parts}


def _parse(run: dict[str, Any]) -> dict[str, Any]:
    if run["outcome"] in {"published", "unchanged"} and not run["placed"]:
        run["outcome"] = "undelivered"  # by an error, or by the end of the process
    for name in ("seconds", "settings", "versions"):
        run[name] = json.loads(run[name] or "{}")
    return run


def record(database: Location, wait: float, sourced_id: str) -> list[dict[str, Any]]:
    """Return what happened to a row and to all rows that refer to it, oldest first.

    `sourced_id` is that of any row; a user is also found by e-mail, username or identifier. Each
    event has run, at, file, sourced_id, what (added, changed, removed) and fields: column → [before, after].
    """
    with warehouse.opened(database, wait) as opened:
        if not ledger.exists(opened):
            raise DatabaseError(f"Nothing was published from {database} yet, so there is no history.")
        files = [file for file in bindings.load("1.2").files if file in opened.columns(ledger.SCHEMA)]
        wanted = [(file, key) for file in files for key in _ids(opened, file, sourced_id)]
        if not wanted:
            raise UsageError(f"No row with the id {sourced_id!r} was ever published.")
        at = {row["run"]: row["started_at"] for row in ledger.read(opened, "runs")}
        events: list[dict[str, Any]] = []
        for file, key in dict.fromkeys(wanted):
            events += _events(opened, file, "sourcedId", key, at)
            for other, column in _REFERRING.get(file, []):
                if other in files:
                    events += _events(opened, other, column, key, at)
        return sorted(events, key=lambda event: (event["run"], files.index(event["file"]), event["sourced_id"]))


def _ids(database: Warehouse, file: str, text: str) -> list[str]:
    columns = ["sourcedId"]
    if file == "users":
        columns += ["email", "username", "identifier"]
    where = " or ".join(f"lower({quoted(column)}) = lower(?)" for column in columns)
    query = f'select distinct "sourcedId" from {ledger.table(file)} where {where} order by 1'  # noqa: S608 - ours
    ids = [row[0] for row in database.rows(query, [text] * len(columns))]
    return [text] if text in ids else ids  # Coursera has ids that differ by case alone


def _events(database: Warehouse, file: str, column: str, key: str, at: dict[int, str]) -> Iterator[dict[str, Any]]:
    versions = ledger.read(database, file, f"{quoted(column)} = ?", [key], order='"sourcedId", from_run')
    before: dict[str, Any] = {}
    for position, row in enumerate(versions):
        sourced_id, began, ended = row["sourcedId"], row.pop("from_run"), row.pop("until_run")
        same = before if before.get("sourcedId") == sourced_id and before["ended"] == began else {}
        fields = {
            name: [same.get(name) or "", row[name] or ""] for name in row if (same.get(name) or "") != (row[name] or "")
        }
        what = "changed" if same else "added"
        yield {
            "run": began,
            "at": at.get(began, ""),
            "file": file,
            "sourced_id": sourced_id,
            "what": what,
            "fields": fields,
        }
        following = versions[position + 1] if position + 1 < len(versions) else {}
        if ended is not None and not (following.get("sourcedId") == sourced_id and following.get("from_run") == ended):
            gone = {"file": file, "sourced_id": sourced_id, "what": "removed", "fields": {}}
            yield {"run": ended, "at": at.get(ended, ""), **gone}
        before = {**row, "ended": ended}
