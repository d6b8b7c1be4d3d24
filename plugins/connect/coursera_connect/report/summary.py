# ruff: noqa: S608 - every name in a statement is quoted
"""Summarises the last run: rows per stream, and the package."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from coursera_connect import command_text
from coursera_connect.errors import DatabaseError
from coursera_connect.jobs import ending, health, journal
from coursera_connect.meltano import project_files
from coursera_connect.publish.settings import REPORT
from coursera_connect.warehouse import build as builds
from coursera_connect.warehouse import ledger, warehouse
from oneroster_csv.sql import quoted
from tap_coursera import schemas

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_connect.warehouse.warehouse import Location

STREAMS = tuple(
    sorted(file.name.removesuffix(".json") for file in files(schemas).iterdir() if file.name.endswith(".json"))
)
"""The streams of the tap, each with its table."""


def summary(database: Location, package: Path, raw_schema: str, wait: float) -> dict[str, Any]:
    """Return rows per stream (None: not loaded yet) and the last publish, after the entries of ended runs were closed.

    `failed` says what failed and has not been made up for, None if nothing did; `last_load` is when the last successful
    load ended, blank if none is known. `unfinished` says why the tables are not of one finished build, blank if they
    are. The package's `bytes` are 0 if there is none; its `published` is None without a report, and false if refused.
    """
    streams: dict[str, Any] = dict.fromkeys(STREAMS)
    unfinished = ""
    ending.look(journal.place(package), command_text.environment_of_now() or "", project_files.project_of_now())
    jobs = journal.read(journal.place(package))
    try:
        with warehouse.opened(database, wait) as open_database:
            _count(open_database, raw_schema, streams)
            unfinished = builds.unfinished(open_database, database)
            jobs = ledger.job_runs(open_database, journal.place(package))
    except DatabaseError:
        if warehouse.exists(database):
            raise
    failed, loaded = health.failure(jobs), health.last_load(jobs)
    return {
        "environment": command_text.environment_of_now() or "",
        "database": str(database),
        "failed": health.described(failed) if failed else None,
        "last_load": loaded.ended_at if loaded else "",
        "streams": streams,
        "unfinished": unfinished,
        "package": _package(package),
    }


def _count(database: warehouse.Warehouse, schema: str, streams: dict[str, Any]) -> None:
    tables = database.columns(schema)
    needed = {"_sdc_sync_started_at", "_sdc_deleted_at"}
    loaded = [name for name in STREAMS if needed <= set(tables.get(name, ()))]
    if not loaded:
        return
    started = " union all ".join(
        f'select max("_sdc_sync_started_at") as started from {quoted(schema)}.{quoted(name)}' for name in loaded
    )
    for name in loaded:
        rows, received, removed = database.row(
            'select count(*) - count("_sdc_deleted_at"), '
            f'count(case when "_sdc_sync_started_at" = (select max(started) from ({started}) as s) then 1 end), '
            f'count("_sdc_deleted_at") from {quoted(schema)}.{quoted(name)}'
        )
        streams[name] = {"rows": rows, "received": received, "removed": removed}


def _package(package: Path) -> dict[str, Any]:
    report_path = package.with_name(REPORT)
    facts: dict[str, Any] = {
        "path": str(package),
        "bytes": package.stat().st_size if package.is_file() else 0,
        "report": str(report_path),
        "published": None,
    }
    wanted = ("published", "first", "unchanged", "finished_at", "files", "problems", "findings")
    since = ("outcome", "why", "blocked", "not_excluded")  # reports of earlier releases do not have these
    try:
        report = json.loads(report_path.read_text("utf-8"))
        return facts | {name: report[name] for name in wanted} | {name: report.get(name) for name in since}
    except (OSError, ValueError, TypeError, KeyError):
        return facts
