"""What the page tells beside the warehouse: the environment, the runs of jobs, and when the next one starts."""

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
    """Where a page is made: the journal, and the environment and project of Meltano, where there are any."""

    journal: Path | None = None
    environment: str = ""
    project: Path | None = None
    zones: tuple[str, str] = ("", "UTC")
    """The time zone that was chosen for the schedules, and that of the LMS."""

    @property
    def is_sandbox(self) -> bool:
        """Whether it is about the made-up college."""
        return self.environment == meltano.SANDBOX


def here(package: Path, schedule_time_zone: str, lms_time_zone: str) -> Around:
    """Return where this process is, after runs that are over were noted as that."""
    file = journal.place(package)
    environment, project = meltano.environment_of_now() or "", meltano.project_of_now()
    ending.look(file, environment, project)
    return Around(file, environment, project, (schedule_time_zone, lms_time_zone))


def schedules(around: Around, now: datetime | None = None) -> dict[str, Any]:
    """Return when the next run starts, who starts it, and after how many hours a load is missed.

    `next_run` is None where no schedule has a time; `installed_with` is blank where neither cron nor systemd of this
    machine has the schedules.
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
