"""What the page shows that is not in the warehouse: the environment, the runs of jobs, and the next start."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from coursera_connect import command_text, timestamps
from coursera_connect.errors import ConnectError
from coursera_connect.jobs import ending, health, journal
from coursera_connect.meltano import project_files
from coursera_connect.schedule import crontab, entries, starts, systemd_timers
from coursera_connect.schedule.lms_times import schedule_zone

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = {"cron": crontab, "systemd": systemd_timers}


@dataclass(frozen=True)
class ProjectState:
    """The surroundings of a page: the journal, and the environment and project of Meltano, if there are any."""

    journal: Path | None = None
    environment: str = ""
    project: Path | None = None
    zones: tuple[str, str] = ("", "UTC")
    """The time zone of the schedules, and that of the LMS."""

    @property
    def is_sandbox(self) -> bool:
        """Whether the environment is the sandbox."""
        return self.environment == project_files.SANDBOX


def here(package: Path, schedule_time_zone: str, lms_time_zone: str) -> ProjectState:
    """Return the surroundings of this process, after the entries of ended runs were closed."""
    file = journal.place(package)
    environment, project = command_text.environment_of_now() or "", project_files.project_of_now()
    ending.look(file, environment, project)
    return ProjectState(file, environment, project, (schedule_time_zone, lms_time_zone))


def schedules(state: ProjectState, now: datetime | None = None) -> dict[str, Any]:
    """Return when the next run starts, what starts it, and after how many hours a load counts as missed.

    `next_run` is None if no schedule has a time; `installed_with` is blank if neither cron nor systemd of this machine
    has the schedules.
    """
    found: dict[str, Any] = {"next_run": None, "installed_with": "", "missed_after": health.expected([])}
    if state.project is None or state.is_sandbox:
        return found
    now = now or datetime.now(timezone.utc)
    with suppress(ConnectError):
        coming = starts.upcoming(state.project, schedule_zone(*state.zones), now)
        found["missed_after"] = health.expected(one.at for one in coming if one.loads)
        if coming:
            found["next_run"] = {"at": timestamps.written(coming[0].at), "name": coming[0].schedule}
        owner = entries.Owner(state.project, state.environment)
        found["installed_with"] = next((kind for kind, it in _KINDS.items() if it.found(owner)), "")
    return found
