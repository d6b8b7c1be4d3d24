"""Suggests times for jobs if those of meltano.yml do not suit the LMS's sync.

The order stays: full-reconcile on Saturday, roster-sync, grade-sync, and a last publish. Each run ends before the next
sync of the LMS and before the next of these runs begins.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from coursera_connect.meltano.meltano_schedules import setting
from coursera_connect.schedule.cron_times import fires
from coursera_connect.schedule.lms_times import sync_crons

if TYPE_CHECKING:
    from collections.abc import Sequence

_DAY = 24 * 60
_ANY_ZONE = ZoneInfo("UTC")
_STEP = 5
_ROOM = 45
"""Minutes from the start of a run to the LMS's sync or to the next run: 30 for the run, and 15 to spare."""
_BEFORE = {"publish": 60, "grade-sync": 150, "roster-sync": 240, "full-reconcile": 480}
"""Minutes before the sync at which each schedule starts, if no other sync is in the way."""
_DAYS = {"full-reconcile": "6"}


def times(lms_sync_time: str, earlier: int = 0) -> dict[str, str]:
    """Return cron expressions by their setting, `earlier` minutes before the usual ones.

    The result is None if the LMS syncs so often that no time is suitable.

    Raises:
        UsageError: The time of the LMS's sync is not a time.
    """
    syncs = _minutes(lms_sync_time)
    # What comes after the longest gap has the most room before it.
    base = max(syncs, key=lambda one: min((one - other) % _DAY or _DAY for other in syncs))
    found: dict[str, str] = {}
    nearest = 0
    for name, wanted in _BEFORE.items():
        before = max(wanted + earlier, nearest)
        while before < _DAY and not _fits((base - before) % _DAY, syncs):
            before += _STEP
        if before >= _DAY:
            return {}
        nearest = before + _ROOM
        hour, minute = divmod((base - before) % _DAY, 60)
        found[setting(name)] = f"{minute} {hour} * * {_DAYS.get(name, '*')}"
    return found


def _fits(start: int, syncs: Sequence[int]) -> bool:
    return all((sync - start) % _DAY >= _ROOM for sync in syncs)


def _minutes(lms_sync_time: str) -> list[int]:
    """Return the minutes of the day at which the LMS syncs; for a cron expression, those of all its days."""
    since = datetime(2026, 1, 1, tzinfo=timezone.utc)
    until = since + timedelta(days=31)
    moments = [moment for cron in sync_crons(lms_sync_time) for moment in fires(cron, _ANY_ZONE, since, until)]
    return sorted({moment.hour * 60 + moment.minute for moment in moments})
