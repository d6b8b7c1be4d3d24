# ruff: noqa: S608 - every name in a statement is ours
"""Records a publish in the ledger, whether it published, was stopped, or failed."""

from __future__ import annotations

import json
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from coursera_connect.errors import ConnectError
from coursera_connect.publish import stages
from coursera_connect.warehouse import ledger, warehouse

if TYPE_CHECKING:
    from collections.abc import Collection

    from coursera_connect.publish.prepare import Candidate
    from coursera_connect.publish.run import Run
    from coursera_connect.warehouse.warehouse import Warehouse

_FROM_REPORT = (
    *("run", "outcome", "why", "started_at", "mode", "version", "profile"),
    *("data_as_of", "read_at", "stamp", "package", "bytes", "sha256"),
)


def commit(database: Warehouse, run: Run, candidate: Candidate) -> None:
    """Record a run together with the rows that it publishes, in one transaction."""
    number = candidate.past.number
    with database.transaction():
        ledger.prepare(database, candidate.past.known_as)
        stages.remember(database, candidate.tables.columns, number)
        ledger.note_sizes(database, number)
        record(database, run)
        _use_agreements(database, number, candidate.comparison.found.used)


def settle(database: Warehouse, run: Run, delivered_to: str) -> None:
    """Record that the reader can find the package, so that the next delta begins at this run."""
    with database.transaction():
        database.store(
            f"update {ledger.table('runs')} set placed = true, delivered_to = ?, finished_at = ?, seconds = ? "
            "where run = ?",
            [delivered_to, ledger.now(), json.dumps(run.seconds()), run.report.run],
        )
    run.report.placed = run.placed(ledger.identity(database))


def end(run: Run, database: Warehouse | None) -> None:
    """Record a run that published nothing, unless it is recorded; `database` is None if the warehouse is not open."""
    if run.recorded:
        return
    if database is not None:
        _record_alone(database, run)
        return
    # A black-out or a failure is worth a line in the ledger, and not worth a second failure.
    with suppress(ConnectError), warehouse.opened(run.settings.database, 0, write=True) as opened:
        newest = ledger.last_run(opened)
        run.report.run = newest["run"] + 1 if newest else 1
        _record_alone(opened, run)


def fail(run: Run, why: str) -> None:
    """Record why a run failed whose entry is in the ledger already."""
    if run.recorded:
        with suppress(ConnectError), warehouse.opened(run.settings.database, 0, write=True) as database:
            database.store(f"update {ledger.table('runs')} set why = ? where run = ?", [why, run.report.run])


def _record_alone(database: Warehouse, run: Run) -> None:
    with database.transaction():
        ledger.prepare(database)
        record(database, run)


def record(database: Warehouse, run: Run) -> None:
    """Write the ledger's rows about a run, within a transaction."""
    report = run.report
    row = {
        **{name: getattr(report, name) for name in _FROM_REPORT},
        "finished_at": ledger.now(),
        "shape": run.fingerprint,
        "settings": json.dumps(report.settings, sort_keys=True),
        "delivered_to": "",
        "placed": False,
        "seconds": json.dumps(run.seconds()),
        "versions": json.dumps({name: version(name) for name in ("coursera-connect", "duckdb")}),
        "seal": run.seal,
    }
    ledger.record(database, "runs", [row])
    ledger.take_over(database, run.journal_file)
    tables: dict[str, list[dict[str, Any]]] = {
        "counts": report.counts,
        "totals": report.totals,
        "problems": [{**problem, "how_many": problem["count"]} for problem in report.problems],
        "odd_rows": report.odd_rows,
        "held": report.held,
        "blocked": [{**drop, "sourced_ids": " ".join(drop["sourced_ids"])} for drop in report.blocked],
        "allowed": [{**drop, "sourced_ids": " ".join(drop["sourced_ids"])} for drop in report.allowed],
    }
    for name, rows in tables.items():
        ledger.record(database, name, [{**one, "run": report.run} for one in rows])
    run.recorded = True


def _use_agreements(database: Warehouse, number: int, used: Collection[tuple[str, str]]) -> None:
    """Record which agreements a publish has used; each is valid for one publish."""
    for kind, subject in used:
        database.store(
            f"update {ledger.table('agreements')} set used_by_run = ? "
            "where kind = ? and subject = ? and used_by_run is null",
            [number, kind, subject],
        )
