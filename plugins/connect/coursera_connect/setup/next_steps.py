"""The steps that remain after a set-up, and times of jobs that suit the LMS."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from coursera_connect.errors import ConnectError, RefusedError
from coursera_connect.meltano import meltano_schedules
from coursera_connect.schedule import crontab, lms_sync, lms_times, suggested_times, systemd_timers
from coursera_connect.schedule.entries import Owner
from coursera_connect.setup import connection, schools
from coursera_connect.setup import mapping as files

if TYPE_CHECKING:
    from collections.abc import Mapping

_EARLIER = range(0, 181, 15)  # where clocks change, a time of the night can come an hour late
_NO_HISTORY = Path(os.devnull) / "none"


def times(project: Path, lms_sync_time: str, lms_time_zone: str) -> dict[str, str]:
    """Return settings with times of jobs that suit the LMS; a setting is blank if the time in meltano.yml suits.

    The result is None if the LMS syncs so often that no time is suitable.
    """
    for earlier in _EARLIER:
        wanted = suggested_times.times(lms_sync_time, earlier)
        if wanted and not _late(project, lms_sync_time, lms_time_zone, wanted):
            return {
                one.setting: "" if one.shipped == wanted[one.setting] else wanted[one.setting]
                for one in meltano_schedules.read(project)
                if one.setting in wanted
            }
    return {}


def missing(
    project: Path, environment: str, package: Path, mapping: Path, answers: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Return the remaining steps, each as a sentence and its command.

    `answers` are settings of the tap that are not stored yet.
    """
    found: list[tuple[str, str]] = []
    try:
        connection.require(package, answers)
    except RefusedError:
        found.append(("The connection test has not passed.", "connect test"))
    else:
        if number := _undecided(mapping, answers):
            are = "programs are" if number > 1 else "program is"
            found.append((f"{number} {are} neither mapped nor left out.", "connect schools list --filter missing"))
    sync, zone = os.environ.get(lms_times.SYNC_TIME, ""), os.environ.get(lms_times.LMS_ZONE, "")
    if not sync or not zone:
        found.append(("It is not known when the LMS syncs.", "connect setup --step lms"))
    if _late(project, sync or "05:00", zone or "UTC"):
        found.append(("A job ends too late for the LMS.", "connect schedule check"))
    if not os.environ.get("CONNECT_DELIVERY"):
        found.append(("Packages are delivered nowhere.", "connect setup --step delivery"))
    if not package.is_file():
        found.append(("Nothing has been published yet.", "connect run grade-sync"))
    owner = Owner(project, environment)
    if not any(_installed(kind, owner) for kind in (crontab, systemd_timers)):
        found.append(("This machine does not run the schedules.", "connect schedule install"))
    return found


def _undecided(mapping: Path, answers: Mapping[str, str]) -> int:
    mapped = schools.from_file(files.sound(mapping, files.SCHOOLS))
    if not schools.chooses(mapped):
        return 0
    return sum(entry.state == schools.MISSING for entry in schools.listed(connection.programs(answers), mapped))


def _late(project: Path, lms_sync_time: str, lms_time_zone: str, times: Mapping[str, str] | None = None) -> bool:
    zone = os.environ.get(lms_times.CRON_ZONE, "")
    settings = lms_sync.Settings(project, _NO_HISTORY, lms_sync_time, lms_time_zone, zone, times=times)
    return bool(lms_sync.check(settings, datetime.now(timezone.utc))["verdict"] == lms_sync.ERROR)


def _installed(kind: object, owner: Owner) -> bool:
    try:
        return bool(kind.found(owner))  # type: ignore[attr-defined]
    except ConnectError:
        return False  # this machine has no cron, or no systemd
