"""Time zones by IANA name, the time zone of this machine, and comparisons of zones."""

from __future__ import annotations

import difflib
import warnings
import zoneinfo
from datetime import datetime, time, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import tzlocal

from coursera_connect.errors import UsageError

if TYPE_CHECKING:
    from datetime import date

LOCALTIME = Path("/etc/localtime")
_HOUR = timedelta(hours=1)


def zone(name: str, setting: str) -> zoneinfo.ZoneInfo:
    """Return the zone of an IANA name; `setting` is the environment variable that an error names."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(f"{name} is no time zone{_suggestion(name)}: set {setting} to an IANA name.") from error


def local(setting: str) -> zoneinfo.ZoneInfo:
    """Return the zone of this machine, which its cron uses; its key is "local" if it has no name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a machine that is set to no zone lives in UTC, and so does its cron
            found = tzlocal.get_localzone()
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(f"The time zone of this machine (TZ) is unknown: set {setting} to an IANA name.") from error
    return found if isinstance(found, zoneinfo.ZoneInfo) else zoneinfo.ZoneInfo("UTC")


def of_the_system() -> zoneinfo.ZoneInfo:
    """Return the zone of /etc/localtime, regardless of TZ."""
    try:
        with LOCALTIME.open("rb") as file:
            return zoneinfo.ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return zoneinfo.ZoneInfo("UTC")


def clock_changes(zone: zoneinfo.ZoneInfo, since: datetime, until: datetime) -> list[date]:
    """Return the days on which a zone changes its clocks."""
    days = []
    hour = since.replace(minute=0, second=0)
    offset = hour.astimezone(zone).utcoffset()
    while hour < until:
        hour += _HOUR
        local = hour.astimezone(zone)
        if local.utcoffset() != offset:
            offset = local.utcoffset()
            days.append(local.date())
    return days


def same_clock(one: zoneinfo.ZoneInfo, other: zoneinfo.ZoneInfo, since: datetime, until: datetime) -> bool:
    """Return whether two zones always have the same local time."""
    if one.key and one.key == other.key:
        return True
    hours = range((until - since) // _HOUR + 1)
    moments = (since + number * _HOUR for number in hours)
    return all(m.astimezone(one).utcoffset() == m.astimezone(other).utcoffset() for m in moments)


def midnight(day: date, zone: zoneinfo.ZoneInfo) -> datetime:
    """Return the time (UTC) at which a day begins in a zone."""
    return datetime.combine(day, time(), zone).astimezone(timezone.utc)


def _suggestion(name: str) -> str:
    known = {known.casefold(): known for known in zoneinfo.available_timezones()}
    near = difflib.get_close_matches(name.strip().replace(" ", "_").casefold(), known, n=1)
    return f" (perhaps {known[near[0]]}?)" if near else " (such as Europe/Berlin or America/New_York)"
