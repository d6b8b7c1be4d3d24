"""Who is told of the end of a run, and how often: the webhook of each run once, people of what is new to them.

A failure that comes again every night with the same cause is told to people once, and once that it is over.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from coursera_connect.jobs import ending, health, journal
from coursera_connect.report import notices

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from coursera_connect.jobs.journal import Run


def announce(file: Path, entry: Run | None, report: Mapping[str, Any], webhook: str, people: str) -> list[str]:
    """Tell of the end of a run, unless that was done; return the sentences of warnings.

    Args:
        file: The journal.
        entry: The run in it; None where the run has no entry.
        report: What is told.
        webhook: The address that takes JSON, blank for none.
        people: The addresses of apprise, blank for none.
    """
    if not webhook and not people:
        return []
    try:
        if entry is not None and not journal.tell(file, entry.id):
            return []
        told = _news(file, entry, report)
    except (sqlite3.Error, OSError):
        told = dict(report)
    return notices.tell(told or report, webhook, people if told is not None else "")


def _news(file: Path, entry: Run | None, report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what people are told; None where they know it already, or need not know it."""
    good = report.get("outcome") in ending.GOOD
    earlier = [run for run in journal.read(file) if run.ended_at and (entry is None or run.id != entry.id)]
    if not good:
        before = next((run for run in earlier if entry is not None and run.job == entry.job), None)
        same = before is not None and before.outcome != journal.DONE and _cause(before) == _cause_now(entry, report)
        return None if same and before is not None and before.told_at else dict(report)
    failed = health.failure(earlier)
    if failed is None or entry is None:
        return None
    now = replace(ending.so_far(entry), outcome=journal.DONE, ended_at=journal.now())
    if health.failure([now, *earlier]) is not None:
        return None
    words = health.told(failed)
    return {**report, "recovered": f"{words['sentence']} {words['more']}".strip()}


def _cause(run: Run) -> tuple[str, str]:
    return run.step, run.sentence


def _cause_now(entry: Run | None, report: Mapping[str, Any]) -> tuple[str, str]:
    if entry is not None and entry.ended_at:
        return _cause(entry)
    return "connect:publish", str(report.get("why") or "")
