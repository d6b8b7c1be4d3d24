"""When the schedules of a project start their jobs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from cronsim import CronSimError

from coursera_connect.meltano import meltano_schedules
from coursera_connect.schedule.cron_times import fires

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path
    from zoneinfo import ZoneInfo

DAYS_AHEAD = 15


@dataclass(frozen=True)
class Start:
    """A time at which a schedule starts its job; `loads` is whether that job reads from Coursera."""

    at: datetime
    schedule: str
    loads: bool


def upcoming(project: Path, zone: ZoneInfo, now: datetime) -> list[Start]:
    """Return when the schedules of the project folder start within the next DAYS_AHEAD days, the next one first."""
    found = []
    for one in meltano_schedules.read(project):
        loads = any(word.startswith("tap-") for word in meltano_schedules.steps(project, one.job))
        with suppress(CronSimError):
            times = fires(one.cron, zone, now, now + timedelta(days=DAYS_AHEAD)) if one.cron else ()
            found += [Start(moment, one.name, loads) for moment in times]
    return sorted(found, key=lambda start: start.at)
