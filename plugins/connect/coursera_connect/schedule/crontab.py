"""Writes a marked block per environment of a project into the user's crontab; other lines are not changed.

A block sets no variables, since they would also apply to the lines after it. Debian's cron knows only the time zone of
the machine. If the schedules have another time zone, their entries check every hour whether the time has come.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from coursera_connect.errors import SchedulerError, UsageError
from coursera_connect.schedule import cron_times, time_zones
from coursera_connect.schedule.lms_times import CRON_ZONE

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from coursera_connect.schedule.entries import Owner, Plan, Timed

_HOUR = 60
_LONGEST = 990
"""The most characters of a command; Debian's cron accepts 999."""
_NONE_YET = re.compile(r"no crontab for|No such file")
_ZONE = re.compile(r"^[ \t]*CRON_TZ[ \t]*=[ \t]*[\"']?([^\"'\s]+)", re.MULTILINE)
_DAEMONS = {"cron", "crond"}


def text(plan: Plan) -> str:
    """Return the block that the crontab should contain."""
    here = _zones(_read(), plan.owner)
    guarded = not plan.agrees_with(here)
    lines = [
        f"# BEGIN {plan.owner}",
        f"# Written by `connect schedule install`; `connect schedule remove` takes it away. Times: {plan.zone.key}.",
    ]
    for schedule in plan.schedules:
        lines += [f"# {schedule.name}: {schedule.cron}", _entry(plan, schedule, here if guarded else [])]
    return "\n".join([*lines, f"# END {plan.owner}", ""])


def found(owner: Owner) -> str:
    """Return the block that the crontab contains; blank if there is none, or no cron."""
    return _parts(_read(), owner)[1] if shutil.which("crontab") else ""


def install(plan: Plan) -> None:
    """Replace the block in the crontab, or append it."""
    before, _, after = _parts(_read(), plan.owner)
    if before and not before.endswith("\n"):
        before += "\n"
    _write(before + text(plan) + after)


def remove(owner: Owner) -> None:
    """Remove the block, and the crontab itself if nothing else is in it."""
    before, _, after = _parts(_read(), owner)
    _write(before + after)


def warnings(plan: Plan) -> list[str]:
    """Return what an administrator should know about an installed block."""
    said = []
    here = _zones(_read(), plan.owner)
    if not plan.agrees_with(here):
        said.append(
            f"cron does not live in {plan.zone.key}: each entry looks every hour whether its time has come there."
        )
    if not _daemon():
        said.append("No cron seems to run on this machine: start it (`service cron start`), or nothing happens.")
    return said


def _entry(plan: Plan, schedule: Timed, here: list[ZoneInfo]) -> str:
    when, more = schedule.cron, []
    if here:
        minutes = cron_times.minutes(schedule.cron, plan.zone, here, plan.now)
        when = f"{'*' if len(minutes) == _HOUR else ','.join(map(str, minutes))} * * * *"
        more = ["--interval", schedule.cron, "--time-zone", plan.zone.key]
    command = shlex.join(plan.command(schedule.name, *more))
    if "\\" in command:
        raise UsageError("A folder has a backslash in its name, which crons read differently: use --with systemd.")
    command = command.replace("%", r"\%")  # cron's own sign for a new line
    if len(os.fsencode(command)) > _LONGEST:
        raise UsageError(f"The entry of {schedule.name} is too long for cron: use shorter folders, or --with systemd.")
    return f"{when} {command}"


def _zones(crontab: str, owner: Owner) -> list[ZoneInfo]:
    """Return the time zones in which cron may run the block: of the system, of TZ, and of another line (cronie)."""
    before, _, after = _parts(crontab, owner)
    named = [time_zones.zone(name, "CRON_TZ in your crontab") for name in _ZONE.findall(before + after)]
    return [time_zones.of_the_system(), time_zones.local(CRON_ZONE), *named]


def _parts(crontab: str, owner: Owner) -> tuple[str, str, str]:
    """Return the text before the block, the block, and the text after it."""
    lines = crontab.splitlines(keepends=True)
    marks = [(number, line.split()[1]) for number, line in enumerate(lines) if _mark(line, owner)]
    if not marks:
        return crontab, "", ""
    if [what for _, what in marks] != ["BEGIN", "END"]:
        raise SchedulerError(
            f"Your crontab has a mark `# BEGIN {owner}` or `# END {owner}` too much or too little: "
            "correct it with `crontab -e`."
        )
    (first, _), (last, _) = marks
    return "".join(lines[:first]), "".join(lines[first : last + 1]), "".join(lines[last + 1 :])


def _mark(line: str, owner: Owner) -> bool:
    return line.rstrip("\r\n") in {f"# BEGIN {owner}", f"# END {owner}"}


def _read() -> str:
    done = _crontab("-l")
    if done.returncode == 0:
        return os.fsdecode(done.stdout)
    why = os.fsdecode(done.stderr).strip()
    if _NONE_YET.search(why):
        return ""
    raise SchedulerError(f"Your crontab cannot be read ({why}): ask who administers this machine.")


def _write(crontab: str) -> None:
    done = _crontab("-", crontab) if crontab else _crontab("-r")
    if done.returncode:
        why = " ".join(os.fsdecode(done.stderr).split())
        raise SchedulerError(f"crontab did not take the entries, and all is as it was: {why}")


def _crontab(argument: str, given: str | None = None) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("crontab")
    if not program:
        raise SchedulerError(
            "There is no `crontab` command here: install cron (Debian: `apt-get install cron`), or use --with systemd."
        )
    return subprocess.run(  # noqa: S603 - the user's own
        [program, argument],
        input=None if given is None else os.fsencode(given),
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )


def _daemon() -> bool:
    """Return whether a cron daemon runs, as far as this user can see."""
    names = list(Path("/proc").glob("[0-9]*/comm"))
    for name in names:
        with suppress(OSError):  # it has just ended
            if name.read_text().strip() in _DAEMONS:
                return True
    return not names
