"""Runs a schedule for cron or systemd: writes a log of its own, and prints nothing unless the run fails.

Jobs do not overlap, since each begins with `connect lock`.
"""

from __future__ import annotations

import json
import os
import uuid
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from urllib.parse import quote

from coursera_connect.errors import OutputError
from coursera_connect.jobs import ending, journal, watch
from coursera_connect.meltano import meltano_schedules, processes
from coursera_connect.schedule import time_zones
from coursera_connect.schedule.cron_times import fires

if TYPE_CHECKING:
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from coursera_connect.jobs.watch import Watched

_LOOK = timedelta(hours=1)


@dataclass(frozen=True)
class Scheduled:
    """The schedule to run and how; `umask` applies to the files that the run writes."""

    name: str
    project: Path
    environment: str
    meltano: Path
    logs: Path
    umask: int = 0o077

    @property
    def log(self) -> Path:
        """Return the path of its log."""
        return self.logs / f"{quote(self.name, safe=' ')}.log"

    @property
    def looked(self) -> Path:
        """Return the file whose age is that of the last check of another time zone."""
        name = quote(f"{self.environment}.{self.name}.looked", safe=" ")
        return self.project / ".meltano" / "run" / "connect" / name

    @property
    def job(self) -> str:
        """Return the job of the schedule."""
        found = (one for one in meltano_schedules.read(self.project) if one.name == self.name)
        return next((one.job for one in found), "") or self.name


def due(run: Scheduled, cron: str, zone: ZoneInfo, now: datetime) -> bool:
    """Return whether a time of an expression has come since the last check, which was at most an hour ago."""
    try:
        last = datetime.fromtimestamp(run.looked.stat().st_mtime, timezone.utc)
    except FileNotFoundError:
        last = now.replace(second=0, microsecond=0) - timedelta(seconds=1)
    try:
        run.looked.parent.mkdir(parents=True, exist_ok=True)
        run.looked.touch()
        os.utime(run.looked, (now.timestamp(), now.timestamp()))
    except OSError as error:
        raise OutputError(
            f"{run.looked} cannot be written ({error.strerror}): make the folder .meltano of the project yours."
        ) from error
    return any(fires(cron, zone, max(last, now - _LOOK), now))


def execute_if_due(run: Scheduled, cron: str | None, time_zone: str) -> Watched | None:
    """Run the schedule, and return how it ended; None if no time of the cron expression has come since the last check.

    Without a cron expression the schedule is run in any case.
    """
    if cron and not due(run, cron, time_zones.zone(time_zone, "--time-zone"), datetime.now(timezone.utc)):
        return None
    return execute(run)


def execute(run: Scheduled) -> Watched:
    """Run the schedule and watch it; then `connect ended` records its end and sends notices of a failure.

    `connect ended` is started through Meltano, which passes the settings of the journal and of the notices.
    """
    os.umask(run.umask)
    environment = processes.variables(run.project, run.environment)
    entry = journal.Run(
        str(uuid.uuid4()),
        environment=run.environment,
        job=run.job,
        started_by=f"{journal.SCHEDULE}{run.name}",
        started_at=journal.now(),
        extractor=ending.extractor(run.project, run.job),
    )
    log = watch.Log(run.log)
    with closing(log):
        called = processes.arguments(run.project, run.environment, "schedule", "run", run.name, meltano=run.meltano)
        watched = watch.watch(called, run.project, environment, entry, (log, lambda _: None))
        watched = replace(watched, run=replace(watched.run, steps=json.dumps(watched.seconds)))
        values = json.dumps({name: value for name, value in asdict(watched.run).items() if value not in ("", None)})
        words = ("invoke", "connect", "ended", entry.id, "--told", values)
        called = processes.arguments(run.project, run.environment, *words, meltano=run.meltano)
        watch.passed_on(called, run.project, environment, log)
    return watched
