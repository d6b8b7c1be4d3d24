"""Plans what cron or systemd should run for an environment of a project: one command per Meltano schedule.

`crontab` and `systemd_timers` install the plan; the command is `connect schedule run`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cronsim import CronSimError

from coursera_connect.errors import RefusedError, SchedulerError, UsageError
from coursera_connect.meltano import meltano_schedules
from coursera_connect.meltano.processes import executable
from coursera_connect.schedule import time_zones
from coursera_connect.schedule.cron_times import DAYS, parsed
from coursera_connect.schedule.lms_times import schedule_zone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from cronsim import CronSim

    from coursera_connect.meltano.meltano_schedules import Schedule

ENVIRONMENT = "MELTANO_ENVIRONMENT"
_SANDBOX = "sandbox"
_CONNECT = "connect"


@dataclass(frozen=True)
class Owner:
    """The environment of a project that owns entries of a scheduler."""

    project: Path
    environment: str

    def __post_init__(self) -> None:
        """Raise UsageError without a project or an environment."""
        if not self.environment:
            raise UsageError(
                f"No Meltano environment is named: use `connect --environment=prod`, or set {ENVIRONMENT}."
            )

    def __str__(self) -> str:
        """Return the mark of this owner's entries."""
        return f"coursera-connect {self.environment} {self.project}"


@dataclass(frozen=True)
class Timed:
    """A schedule that a scheduler can start: `cron` is its expression, and `times` are its parsed fields."""

    name: str
    cron: str
    times: CronSim


@dataclass(frozen=True)
class Settings:
    """How runs are started; `umask` is octal. A blank `time_zone` means that of the LMS."""

    logs: Path
    meltano: Path | None = None
    umask: str = "077"
    time_zone: str = ""
    lms_time_zone: str = "UTC"

    @property
    def zone(self) -> ZoneInfo:
        """Return the time zone of the schedules."""
        return schedule_zone(self.time_zone, self.lms_time_zone)


@dataclass(frozen=True)
class Plan:
    """The schedules to install for an owner; those in `left_out` are run by hand."""

    owner: Owner
    settings: Settings
    meltano: Path
    zone: ZoneInfo
    now: datetime
    schedules: list[Timed] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def command(self, name: str, *more: str) -> list[str]:
        """Return the command that runs a schedule, without characters that a crontab or unit file cannot hold."""
        words = [
            *(str(Path(sys.executable).with_name(_CONNECT)), "schedule", "run", name),
            *("--project", str(self.owner.project), "--environment", self.owner.environment),
            *("--meltano", str(self.meltano), "--logs", str(self.settings.logs)),
            *("--umask", self.settings.umask),
            *more,
        ]
        for word in words:
            if not word.isprintable():
                raise UsageError(f"{word!r} has a character that cannot be printed, which no crontab takes: rename it.")
        return words

    def agrees_with(self, others: Sequence[ZoneInfo]) -> bool:
        """Return whether other zones always have the same local time as the plan."""
        until = self.now + timedelta(days=DAYS)
        return all(time_zones.same_clock(self.zone, other, self.now, until) for other in others)


def plan(owner: Owner, settings: Settings, now: datetime) -> Plan:
    """Read the schedules of meltano.yml, and raise UsageError for one that a scheduler cannot run."""
    known = meltano_schedules.environments(owner.project)
    if owner.environment == _SANDBOX:
        raise RefusedError(
            "The environment sandbox is a made-up college, which nobody needs every night: "
            "use `connect --environment=prod`, or another environment of yours."
        )
    if owner.environment not in known:
        raise UsageError(f"meltano.yml has no environment {owner.environment}: name one of {', '.join(known)}.")
    found = meltano_schedules.read(owner.project)
    zone = settings.zone
    schedules = [_timed(one, one.cron, now.astimezone(zone)) for one in found if one.cron is not None]
    for one in found:
        if one.publishes is None:
            raise UsageError(f"The job {one.job} of the schedule {one.name} is not defined in meltano.yml: correct it.")
    if not schedules:
        raise UsageError("No schedule of meltano.yml has a time, so there is nothing to install.")
    left_out = [one.name for one in found if one.cron is None]
    return Plan(owner, settings, meltano(owner, settings.meltano), zone, now, schedules, left_out)


def _timed(one: Schedule, cron: str, start: datetime) -> Timed:
    what = f'The interval "{cron}" of {one.name}'
    try:
        times = parsed(cron, start)
    except CronSimError as error:
        raise UsageError(f"{what} is none that cron understands: {error}. Correct {one.setting}.") from error
    if min(times.days) < 0 or not all(isinstance(day, int) for day in times.weekdays):
        raise UsageError(f"{what} has an L or a #, which cron does not know: correct {one.setting}.")
    return Timed(one.name, " ".join(cron.split()), times)


def meltano(owner: Owner, chosen: Path | None) -> Path:
    """Return the path of Meltano: the given one, else that of the project."""
    found = chosen or executable(owner.project)
    if found is None or not os.access(found, os.X_OK) or found.is_dir():
        raise SchedulerError(
            "Meltano's executable is not found: run `make setup`, or name it with --meltano."
            if found is None
            else f"{found} cannot be executed: name Meltano's executable with --meltano."
        )
    return found.absolute()
