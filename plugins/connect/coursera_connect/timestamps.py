"""Moments as texts, such as 2026-02-02T04:00:00Z, and which of them something that was done can have."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

EARLIEST = "2012-01-01"
"""Nothing happened at Coursera before the year of its founding."""


def parsed(text: Any) -> datetime | None:
    """Return a moment in UTC (also where it names no zone), None for what is no moment."""
    try:
        found = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
        return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def written(moment: datetime) -> str:
    """Return a moment as the ledger writes it: UTC, RFC 3339 with seconds and `Z`."""
    return moment.astimezone(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def of_epoch(seconds: float) -> str:
    """Return the moment so many seconds after 1970, as the ledger writes it."""
    return written(datetime.fromtimestamp(int(seconds), timezone.utc))


def latest(run: str) -> str:
    """Return the latest moment at which something can have been done before a run at the moment `run`: a day later."""
    found = parsed(run)
    ends = datetime(9999, 12, 30, tzinfo=timezone.utc)
    return written(min(found or ends, ends) + timedelta(days=1))


def is_possible(text: str, run: str) -> bool:
    """Whether something can have been done at a moment, as a run at the moment `run` knows."""
    found = parsed(text)
    return found is not None and EARLIEST <= written(found) <= latest(run)
