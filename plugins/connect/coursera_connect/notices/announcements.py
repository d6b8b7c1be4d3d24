"""Sends notices of the end of a run: to the webhook once per run, and to people only what is new to them.

If a run fails every night for the same reason, people get one notice of the failure and one when it is over.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from coursera_connect.jobs import ending, health, journal
from coursera_connect.notices import sending

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from coursera_connect.jobs.journal import Run


def announce(file: Path, entry: Run | None, report: Mapping[str, Any], webhook: str, people: str) -> list[str]:
    """Send notices of the end of a run, unless they were sent; return warnings as sentences.

    Args:
        file: The journal.
        entry: The run in the journal; None if the run has no entry.
        report: The report of the run.
        webhook: The address that accepts JSON; blank for none.
        people: The addresses for apprise; blank for none.
    """
    if not webhook and not people:
        return []
    try:
        if entry is not None and not journal.tell(file, entry.id):
            return []
        news = _news(file, entry, report)
    except (sqlite3.Error, OSError):
        news = dict(report)
    return sending.send(news or report, webhook, people if news is not None else "")


def _news(file: Path, entry: Run | None, report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the report that people get; None if they know it already or need not know it."""
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
    words = health.described(failed)
    return {**report, "recovered": f"{words['sentence']} {words['more']}".strip()}


def _cause(run: Run) -> tuple[str, str]:
    return run.step, run.sentence


def _cause_now(entry: Run | None, report: Mapping[str, Any]) -> tuple[str, str]:
    if entry is not None and entry.ended_at:
        return _cause(entry)
    return "connect:publish", str(report.get("why") or "")
