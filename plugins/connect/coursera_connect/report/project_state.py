"""What the page shows that is not in the warehouse: the environment, the runs of jobs, and the next start."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from coursera_connect import meltano, timestamps
from coursera_connect.errors import ConnectError
from coursera_connect.jobs import ending, health, journal
from coursera_connect.schedule import crontab, entries, meltano_schedules, systemd_timers
from coursera_connect.schedule.lms_sync import schedule_zone

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = {"cron": crontab, "systemd": systemd_timers}


@dataclass(frozen=True)
class Around:
    """The surroundings of a page: the journal, and the environment and project of Meltano, if there are any."""

    journal: Path | None = None
    environment: str = ""
    project: Path | None = None
    zones: tuple[str, str] = ("", "UTC")
    """The time zone of the schedules, and that of the LMS."""

    @property
    def is_sandbox(self) -> bool:
        """Whether the environment is the sandbox."""
        return self.environment == meltano.SANDBOX


def here(package: Path, schedule_time_zone: str, lms_time_zone: str) -> Around:
    """Return the surroundings of this process, after the entries of ended runs were closed."""
    file = journal.place(package)
    environment, project = meltano.environment_of_now() or "", meltano.project_of_now()
    ending.look(file, environment, project)
    return Around(file, environment, project, (schedule_time_zone, lms_time_zone))


def schedules(around: Around, now: datetime | None = None) -> dict[str, Any]:
    """Return when the next run starts, what starts it, and after how many hours a load counts as missed.

    `next_run` is None if no schedule has a time; `installed_with` is blank if neither cron nor systemd of this machine
    has the schedules.
    """
    found: dict[str, Any] = {"next_run": None, "installed_with": "", "missed_after": health.expected([])}
    if around.project is None or around.is_sandbox:
        return found
    now = now or datetime.now(timezone.utc)
    with suppress(ConnectError):
        starts = meltano_schedules.starts(around.project, schedule_zone(*around.zones), now)
        found["missed_after"] = health.expected(one.at for one in starts if one.loads)
        if starts:
            found["next_run"] = {"at": timestamps.written(starts[0].at), "name": starts[0].schedule}
        owner = entries.Owner(around.project, around.environment)
        found["installed_with"] = next((kind for kind, it in _KINDS.items() if it.found(owner)), "")
    return found
