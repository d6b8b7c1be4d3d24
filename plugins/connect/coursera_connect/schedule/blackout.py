"""Black-outs are days on which nothing is published, for example while the school moves to its next year.

    2026-08-01..2026-08-20, 2026-12-24

Both ends belong to a range. A day lasts from midnight to midnight in the school's time zone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from coursera_connect.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from zoneinfo import ZoneInfo

SETTING = "CONNECT_BLACKOUT"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, order=True)
class Range:
    """A range of days, both ends included."""

    first: date
    last: date

    def __str__(self) -> str:
        """Return the range as it is written in the setting."""
        return f"{self.first}" if self.first == self.last else f"{self.first}..{self.last}"


def parse(text: str) -> list[Range]:
    """Return the ranges of a setting in the order of their days; a blank setting has none."""
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    return sorted(_range(part) for part in parts)


def active(ranges: Iterable[Range], day: date) -> Range | None:
    """Return the range that holds a day, or None; of several ranges, the one that ends last."""
    return max((r for r in ranges if r.first <= day <= r.last), key=lambda r: r.last, default=None)


def local_day(moment: datetime, zone: ZoneInfo) -> date:
    """Return the local day of a time (with its zone) in a time zone."""
    return moment.astimezone(zone).date()


def _range(part: str) -> Range:
    first, dots, last = (piece.strip() for piece in part.partition(".."))
    found = Range(_day(first, part), _day(last if dots else first, part))
    if found.last < found.first:
        raise UsageError(f'{SETTING}: "{part}" ends before it starts.')
    return found


def _day(text: str, part: str) -> date:
    where = f'"{part}"' if part else "a part between two commas"
    if not _DAY.fullmatch(text):
        raise UsageError(f"{SETTING}: {where} is no day (2026-12-24) and no range of days (2026-08-01..2026-08-20).")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{SETTING}: {where} names a day that no calendar has.") from error
