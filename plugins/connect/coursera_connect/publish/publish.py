"""Publishes in steps, and records each publish in the ledger.

    prepare     read the tables, compare them with the last publish, hold rows, and apply guards and checks
    write       write the package, and record its rows in the ledger in the same transaction
    deliver     bring the package to its receiver, while others can use the warehouse
    end         write the report into the ledger and files, and send notices

If the process dies before the commit, nothing has changed. If it dies after the commit, the run is in the ledger, but
nobody knows whether its package reached the reader. The next delta then begins at the last run whose package is known
to have arrived, and has tombstones also for rows that only the doubtful packages had. `placed` in the report beside the
package names the newest run that the reader may have seen (see predecessor.py).
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from coursera_connect import replacing as package
from coursera_connect.deliver import delivery
from coursera_connect.errors import ConnectError, DeliveryError, UsageError
from coursera_connect.jobs import ending
from coursera_connect.notices import announcements
from coursera_connect.publish import predecessor, record
from coursera_connect.publish.prepare import WRONG_COLUMNS, Result, prepare
from coursera_connect.publish.run import Run
from coursera_connect.publish.settings import PREVIEW, REPORT
from coursera_connect.publish.write import changes, write
from coursera_connect.schedule import allowed_days
from coursera_connect.setup import mapping, trial_build
from coursera_connect.warehouse import ledger, warehouse

if TYPE_CHECKING:
    from collections.abc import Callable

    from coursera_connect.publish.prepare import Candidate
    from coursera_connect.publish.settings import Settings
    from coursera_connect.publish.write import Written
    from coursera_connect.warehouse.warehouse import Warehouse


def publish(settings: Settings, step: Callable[[str, int], None]) -> dict[str, Any]:
    """Publish the package and return the report, whose `outcome` tells what happened.

    `published` or `unchanged` (same bytes as before), `refused` by the checks, `blocked` by a guard, or `skipped` in a
    black-out. `step` is called with a sentence and a number of rows while the publish runs.
    """
    run = Run.begin(settings, step)
    run.note(ending.BEGAN)
    with package.locked(settings.package, settings.wait):
        beside = _look_back(run)
        try:
            _refuse_unusable(settings)
            reason = allowed_days.black_out(settings.blackout, settings.lms_time_zone)
            if reason:
                return end(run, Result("skipped", reason))
            with warehouse.opened(settings.database, settings.wait, write=True) as database:
                candidate = prepare(database, run, beside)
                if candidate is None:
                    return end(run, WRONG_COLUMNS, database)
                if candidate.stopped:
                    return end(run, candidate.stopped, database)
                _write(database, run, candidate, beside)
            if settings.delivery:
                _deliver(run)
        except ConnectError as error:
            _fail(run, error)
            error.report = run.report.facts()
            raise
        return end(run, Result("unchanged" if run.report.unchanged else "published", ""))


def preview(settings: Settings, step: Callable[[str, int], None]) -> dict[str, Any]:
    """Do everything but the delivery: write the package into the folder `preview`, and record nothing in the ledger.

    The report has the keys of :func:`publish`, and in `changes` the ids of the rows added, changed and removed.
    """
    _refuse_unusable(settings)
    run = Run.begin(settings, step)
    beside = _look_back(run)
    report = run.report
    scratch = settings.package.parent / PREVIEW / settings.package.name
    tables = trial_build.up_to_date(settings.database, settings.wait, settings.mapping, settings.transform)
    with (
        package.locked(scratch, settings.wait),
        tables as (place, caution),
        warehouse.opened(place, settings.wait) as database,
    ):
        candidate = prepare(database, run, beside, is_shown=bool(caution))
        report.warnings += [caution] if caution else []
        stop = candidate.stopped if candidate else WRONG_COLUMNS
        report.outcome, report.why = stop or Result("published", "")
        if candidate is not None:
            report.changes = changes(database, candidate)
            if report.outcome != "refused":
                write(database, run, candidate, scratch)
        report.published, report.package = report.outcome == "published", str(scratch)
        report.finished_at = ledger.now()
        values = report.facts()
        with package.replacing(scratch.with_name(REPORT), scratch) as handle:
            handle.write((json.dumps(values, indent=2) + "\n").encode())
    return values


def _refuse_unusable(settings: Settings) -> None:
    """Raise an error if nothing may be published: the consent to share has ended, or a mapping file is wrong."""
    allowed_days.within_consent(settings.consent_until, settings.lms_time_zone)
    if settings.mapping is not None:
        problems = mapping.problems(settings.mapping)
        if problems:
            first = problems[0]
            raise UsageError(f"{first} ({len(problems)} found; `connect mapping check` lists all)")


def _look_back(run: Run) -> dict[str, Any]:
    """Return the report of the last run from beside the package; the caller holds the package's lock."""
    beside = predecessor.report_beside(run.settings.package.with_name(REPORT))
    run.report.placed = beside.get("placed")
    return beside


def _write(database: Warehouse, run: Run, candidate: Candidate, beside: dict[str, Any]) -> None:
    """Write the package, and record its rows in the ledger, so that both or neither remain."""

    def commit(written: Written) -> None:
        run.report.outcome = "unchanged" if written.unchanged else "published"
        record.commit(database, run, candidate)
        if candidate.past.is_ours:
            # Else the reader may have seen what this ledger does not know, until this run is placed.
            run.report.placed = run.placed(ledger.identity(database))
            run.write_beside(json.dumps({**beside, "placed": run.report.placed}, indent=2), REPORT)

    write(database, run, candidate, run.settings.package, commit)
    run.report.published = True
    if not run.settings.delivery:
        record.settle(database, run, "")


def _deliver(run: Run) -> None:
    """Bring the package to its receiver; others can use the warehouse meanwhile."""
    settings = run.settings
    run.write_report()  # what is in place here is known, should the delivery not end
    with run.timed("deliver"):
        done = delivery.deliver(settings.package, settings.delivery, settings.delivery_options, step=run.step)
    run.report.delivery = asdict(done)
    try:
        with warehouse.opened(settings.database, settings.wait, write=True) as database:
            record.settle(database, run, done.target_shown)
    except ConnectError as error:
        run.report.warnings.append(f"Delivered, but the ledger could not note it ({error})")


def _fail(run: Run, error: ConnectError) -> None:
    """End a run by an error, as far as that is possible."""
    record.fail(run, str(error))
    with suppress(ConnectError):
        end(run, Result("undelivered" if isinstance(error, DeliveryError) else "failed", str(error)))


def end(run: Run, stop: Result, database: Warehouse | None = None) -> dict[str, Any]:
    """Complete the report in the ledger and in files, send notices, and return the report."""
    settings, report = run.settings, run.report
    report.outcome, report.why = stop
    report.finished_at = ledger.now()
    report.seconds = run.seconds()
    record.end(run, database)
    run.note(*stop)
    report.warnings += announcements.announce(
        run.journal_file, run.entry, report.facts(), settings.webhook, settings.notify
    )
    run.write_report()
    return report.facts()
