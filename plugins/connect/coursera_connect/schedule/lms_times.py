"""When and in which time zone the LMS syncs, and the time zone of the schedules, from settings."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cronsim import CronSimError

from coursera_connect.errors import UsageError
from coursera_connect.meltano import meltano_schedules
from coursera_connect.schedule import time_zones
from coursera_connect.schedule.cron_times import parsed

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

SYNC_TIME = "CONNECT_LMS_SYNC_TIME"

LMS_ZONE = "CONNECT_LMS_TIME_ZONE"

CRON_ZONE = "CONNECT_SCHEDULE_TIME_ZONE"

_TIMES = re.compile(r"\s*([01]?\d|2[0-3]):([0-5]\d)\s*", re.ASCII)


def schedule_zone(chosen: str, lms: str) -> ZoneInfo:
    """Return the time zone of the schedules: the chosen one, else that of the LMS."""
    return time_zones.zone(chosen, CRON_ZONE) if chosen else time_zones.zone(lms, LMS_ZONE)


def sync_crons(text: str) -> list[str]:
    """Return cron expressions for times of the day separated by commas, or the cron expression that was given."""
    times = [_TIMES.fullmatch(part) for part in text.split(",")]
    crons = [f"{int(found[2])} {int(found[1])} * * *" for found in times if found]
    if len(crons) == len(times):
        return crons
    cron = meltano_schedules.cron(text.strip()) or ""
    try:
        parsed(cron, datetime.now(timezone.utc))
    except CronSimError as error:
        raise UsageError(
            f'{SYNC_TIME}: "{text}" is no time (05:00), no times (05:00, 13:30) and no cron expression.'
        ) from error
    return [cron]
