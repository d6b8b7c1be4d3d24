"""Timestamps as texts, such as 2026-02-02T04:00:00Z, and which of them are possible for something that was done."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

EARLIEST = "2012-01-01"
"""The earliest possible time: Coursera was founded in that year."""


def parsed(text: Any) -> datetime | None:
    """Return a timestamp in UTC, which is also assumed without a zone; None if the text is not a timestamp."""
    try:
        found = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
        return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def written(moment: datetime) -> str:
    """Return a time as the ledger writes it: UTC, RFC 3339 with seconds and `Z`."""
    return moment.astimezone(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def of_epoch(seconds: float) -> str:
    """Return the time so many seconds after 1970, as the ledger writes it."""
    return written(datetime.fromtimestamp(int(seconds), timezone.utc))


def latest(run: str) -> str:
    """Return the latest possible time of something that was done before a run: a day after that run."""
    found = parsed(run)
    ends = datetime(9999, 12, 30, tzinfo=timezone.utc)
    return written(min(found or ends, ends) + timedelta(days=1))


def is_possible(text: str, run: str) -> bool:
    """Return whether something can have been done at a time, as seen by a run at the time `run`."""
    found = parsed(text)
    return found is not None and EARLIEST <= written(found) <= latest(run)
