"""Computes when a cron expression fires in a time zone, with the rules of Debian's cron for changes of the clock.

A time in a skipped hour fires right after that hour, and a time in a repeated hour fires once. An expression with a
star for the hour or the minute follows the hours that really pass.
"""

from __future__ import annotations

import re
from datetime import timedelta, timezone
from typing import TYPE_CHECKING

from cronsim import CronSim, CronSimError

from coursera_connect.schedule import time_zones

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from zoneinfo import ZoneInfo

_DAY_MINUTES = 24 * 60
_ONCE_A_DAY = re.compile(r"(\d+)\s+(\d+)\s+(\S+\s+\S+\s+\S+)", re.ASCII)
_EVERY_DAY = ["*"] * 3
NEW_TIME = "MINUTE HOUR * * *"
"""The placeholder for a cron expression that the administrator chooses."""
DAYS = 400
"""How many days ahead are computed: more than a year, so that every change of the clock is included."""
_FIELDS = 5


def parsed(cron: str, start: datetime) -> CronSim:
    """Return the local times of an expression from `start` on, in the zone of `start`.

    Raises:
        CronSimError: The expression is wrong.
    """
    if len(cron.split()) != _FIELDS:
        raise CronSimError(f"It takes {_FIELDS} fields")
    return CronSim(cron, start)


def fires(cron: str, zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the times (UTC) of a cron expression in a zone, after `since` and up to `until`."""
    for local in parsed(cron, since.astimezone(zone)):
        moment = local.astimezone(timezone.utc)
        if moment > until:
            return
        if moment > since:  # cronsim forgets which of the two repeated hours it starts in
            yield moment


def skipped(cron: str, zone: ZoneInfo, now: datetime) -> list[datetime]:
    """Return the coming times (UTC) that replace a time which the clocks skip."""
    times = parsed(cron, now.astimezone(zone))
    found = []
    for day in time_zones.clock_changes(zone, now, now + timedelta(days=DAYS)):
        since = time_zones.midnight(day, zone) - timedelta(hours=2)  # some zones skip midnight
        for moment in fires(cron, zone, since, since + timedelta(days=1)):
            local = moment.astimezone(zone)
            if local.minute not in times.minutes or local.hour not in times.hours:
                found.append(moment)
    return found


def minutes(cron: str, zone: ZoneInfo, others: Iterable[ZoneInfo], now: datetime) -> list[int]:
    """Return the minutes of the hour at which an expression of one zone can fire, in the time of the other zones."""
    daily = " ".join([*cron.split()[:2], "*", "*", "*"])
    until = now + timedelta(days=DAYS)
    others = list(others)
    days = {now.astimezone(zone).date()}
    for one in (zone, *others):
        days.update(time_zones.clock_changes(one, now, until))
    found: set[int] = set()
    for day in days:
        since = time_zones.midnight(day - timedelta(days=1), zone)
        for moment in fires(daily, zone, since, since + timedelta(days=3)):
            found.update(moment.astimezone(other).minute for other in others)
    return sorted(found)


def earlier_cron(cron: str, minutes: int) -> str:
    """Return a cron expression for so many minutes earlier, if a simple one exists."""
    found = _ONCE_A_DAY.fullmatch(cron)
    total = int(found[2]) * 60 + int(found[1]) - minutes if found else 0
    if not found or (total < 0 and found[3].split() != _EVERY_DAY):
        return NEW_TIME
    hour, minute = divmod(total // 5 * 5 % _DAY_MINUTES, 60)
    return f"{minute} {hour} {found[3]}"
