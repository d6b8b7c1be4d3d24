"""Time zones by their IANA name, and the one this machine lives in."""

from __future__ import annotations

import difflib
import warnings
import zoneinfo

import tzlocal

from coursera_connect.errors import UsageError


def zone(name: str, setting: str) -> zoneinfo.ZoneInfo:
    """Return the zone of an IANA name; `setting` is the environment variable to blame for a name nobody knows."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(f"{name} is no time zone{_suggestion(name)}: set {setting} to an IANA name.") from error


def local(setting: str) -> zoneinfo.ZoneInfo:
    """Return the zone of this machine, in which its cron runs; its key is "local" where that has no name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a machine that is set to no zone lives in UTC, and so does its cron
            found = tzlocal.get_localzone()
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(f"The time zone of this machine (TZ) is unknown: set {setting} to an IANA name.") from error
    return found if isinstance(found, zoneinfo.ZoneInfo) else zoneinfo.ZoneInfo("UTC")


def _suggestion(name: str) -> str:
    known = {known.casefold(): known for known in zoneinfo.available_timezones()}
    near = difflib.get_close_matches(name.strip().replace(" ", "_").casefold(), known, n=1)
    return f" (perhaps {known[near[0]]}?)" if near else " (such as Europe/Berlin or America/New_York)"
