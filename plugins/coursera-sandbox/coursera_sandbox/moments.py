"""Moments of the simulated world, in epoch milliseconds UTC as in most of the vendor's fields."""

from __future__ import annotations

from datetime import date, datetime, timezone
from email.utils import formatdate

HOUR = 3_600_000
MINUTE = 60_000
DAY = 24 * HOUR

NEVER = 1 << 61
"""Later than everything, and far enough from the edge of int64 to be added to."""
ABSENT = -1
"""Stands for a time that a row does not have."""


def moment(text: str) -> int:
    """Return the epoch milliseconds of an ISO 8601 text, in UTC without an offset; else raise ValueError."""
    parsed = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=timezone.utc)
    return round(parsed.timestamp() * 1000)


def days(text: str) -> tuple[int, ...]:
    """Return the midnights, in order, of ISO 8601 dates separated by commas. Raises ValueError on anything else."""
    dates = {date.fromisoformat(part.strip()) for part in text.split(",") if part.strip()}
    return tuple(moment(one.isoformat()) for one in sorted(dates))


def iso(at: int) -> str:
    """Return a time as `2026-02-02T06:00:00Z`, with milliseconds only if there are any."""
    whole = datetime.fromtimestamp(at // 1000, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{at % 1000:03d}Z" if at % 1000 else f"{whole}Z"


def http_date(at: int) -> str:
    """Return a time as `Mon, 02 Feb 2026 06:00:00 GMT`."""
    return formatdate(at // 1000, usegmt=True)


START = moment("2026-02-02T06:00:00Z")
"""Where the simulated clock stands at first: a Monday morning in the school year 2025-26."""
