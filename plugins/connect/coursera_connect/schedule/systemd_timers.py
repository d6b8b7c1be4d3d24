"""Installs systemd user timers: a service and a timer per schedule, in the time zone of the schedules.

The first line of each file names its owner; files of other owners are not touched.
"""

from __future__ import annotations

import getpass
import glob
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from coursera_connect.errors import SchedulerError, UsageError
from coursera_connect.schedule import cron_times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from coursera_connect.schedule.entries import Owner, Plan, Timed

_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_PLAIN = re.compile(r"[^A-Za-z0-9_.-]")
_SERVICE = """\
# {owner}
# Written by `connect schedule install`; `connect schedule remove` takes it away.
[Unit]
Description=Coursera Connect: {name} of {environment}

[Service]
Type=oneshot
ExecStart=:{command}
"""
_TIMER = """\
# {owner}
# Written by `connect schedule install`; `connect schedule remove` takes it away.
[Unit]
Description=Coursera Connect: {name} of {environment} at {cron}

[Timer]
{calendars}
AccuracySec=1s
Persistent=true

[Install]
WantedBy=timers.target
"""


def text(plan: Plan) -> str:
    """Return the unit files that should exist, by path."""
    return _joined(_wanted(plan))


def found(owner: Owner) -> str:
    """Return the text of the existing unit files; blank if there are none."""
    return _joined(_present(owner))


def install(plan: Plan) -> None:
    """Write the unit files that differ, remove those of former schedules, and start the timers."""
    _session()
    wanted, present = _wanted(plan), _present(plan.owner)
    changed = {path: content for path, content in wanted.items() if present.get(path) != content}
    _stop([path for path in present if path not in wanted or path in changed])
    for path in present.keys() - wanted.keys():
        path.unlink()
    try:
        _folder().mkdir(parents=True, exist_ok=True)
        for path, content in changed.items():
            path.write_text(content, "utf-8")
    except OSError as error:
        raise SchedulerError(f"{_folder()} cannot be written ({error.strerror}): make it yours.") from error
    _systemctl("daemon-reload")
    _systemctl("enable", "--now", *_timers(wanted))


def remove(owner: Owner) -> None:
    """Stop the timers and remove their files; a run that has begun is not stopped."""
    _session()
    present = _present(owner)
    _stop(list(present))
    for path in present:
        path.unlink()
    _systemctl("daemon-reload")


def warnings(plan: Plan) -> list[str]:
    """Return what an administrator should know about installed timers."""
    said = []
    for schedule in plan.schedules:
        skipped = cron_times.skipped(schedule.cron, plan.zone, plan.now)
        days = [f"{moment.astimezone(plan.zone):%Y-%m-%d}" for moment in skipped]
        if days:
            said.append(
                f"{schedule.name} does not run on {', '.join(days)}: the clocks of {plan.zone.key} skip its time, and "
                "systemd leaves it out (cron runs it right after). Choose another time, if that matters."
            )
    asleep = [name for name in _timers(_wanted(plan)) if _call("is-active", "--quiet", name).returncode]
    if asleep:
        said.append(f"Not active: {', '.join(asleep)}. Call `connect schedule install --with systemd` again.")
    user = getpass.getuser()
    if _lingers(user) is False:
        said.append(f"Timers stop when {user} logs out: `loginctl enable-linger {user}` lets them run at all times.")
    return said


def _wanted(plan: Plan) -> dict[Path, str]:
    files = {}
    for schedule in plan.schedules:
        stem = _folder() / f"{_prefix(plan.owner)}{_plain(schedule.name)}"
        words = {
            "owner": plan.owner,
            "name": schedule.name.replace("%", "%%"),
            "environment": plan.owner.environment.replace("%", "%%"),
            "cron": schedule.cron,
            "command": _command(plan, schedule),
            "calendars": "\n".join(f"OnCalendar={one}" for one in calendars(plan, schedule)),
        }
        files[stem.with_name(f"{stem.name}.service")] = _SERVICE.format(**words)
        files[stem.with_name(f"{stem.name}.timer")] = _TIMER.format(**words)
    return files


def _command(plan: Plan, schedule: Timed) -> str:
    program, *words = plan.command(schedule.name)
    if set("\"'\\") & set(program):
        raise UsageError(
            f"systemd starts no program with a quote or a backslash in its path ({program}): use --with cron."
        )
    return " ".join(_quoted(word) for word in (program, *words))


def calendars(plan: Plan, schedule: Timed) -> list[str]:
    """Return the calendar events of a schedule; two if cron takes either the day of the month or that of the week."""
    times = schedule.times
    months = _listed(times.months, range(1, 13))
    days = _listed(times.days, range(1, 32))
    named = {int(day) % 7 for day in times.weekdays if isinstance(day, int)}
    week = "" if len(named) == len(_DAYS) else ",".join(_DAYS[day] for day in sorted(named)) + " "
    clock = f"{_listed(times.hours, range(24))}:{_listed(times.minutes, range(60))}:00"
    zone = f" {plan.zone.key}"
    if times.day_and or not week or days == "*":
        dates = [f"{week}*-{months}-{days}"]
    else:
        dates = [f"*-{months}-{days}", f"{week}*-{months}-*"]
    return [f"{one} {clock}{zone}" for one in dates]


def _listed(chosen: set[int], everything: range) -> str:
    return "*" if chosen >= set(everything) else ",".join(f"{one:02}" for one in sorted(chosen))


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _plain(name: str) -> str:
    return _PLAIN.sub(lambda sign: "".join(f"\\x{byte:02x}" for byte in sign[0].encode()), name)


def _prefix(owner: Owner) -> str:
    return f"coursera-connect-{_plain(owner.environment)}-{hashlib.sha256(str(owner).encode()).hexdigest()[:8]}-"


def _folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "systemd" / "user"


def _present(owner: Owner) -> dict[Path, str]:
    files = sorted(_folder().glob(f"{glob.escape(_prefix(owner))}*"))
    contents = {path: path.read_text("utf-8", "replace") for path in files if path.suffix in {".service", ".timer"}}
    return {path: content for path, content in contents.items() if content.startswith(f"# {owner}\n")}


def _joined(files: dict[Path, str]) -> str:
    return "\n".join(f"# {path}\n{content}" for path, content in sorted(files.items()))


def _timers(paths: Sequence[Path] | dict[Path, str]) -> list[str]:
    return sorted(path.name for path in paths if path.suffix == ".timer")


def _stop(paths: Sequence[Path]) -> None:
    """Stop timers and delete when they last ran, so that a new time does not look like a missed one."""
    if timers := _timers(paths):
        _systemctl("disable", "--now", *timers)
        _call("clean", "--what=state", *timers)
        _call("reset-failed", *(name.replace(".timer", ".service") for name in timers))


def _session() -> None:
    if not shutil.which("systemctl"):
        raise SchedulerError("There is no systemd here (no `systemctl`): use --with cron.")
    done = _call("show-environment")
    if done.returncode:
        raise SchedulerError(
            f"systemd has no session of yours ({_why(done)}): log in as this user, not through su or sudo, "
            f"after `loginctl enable-linger {getpass.getuser()}`; or use --with cron."
        )


def _lingers(user: str) -> bool | None:
    """Return whether a user's timers run while the user is not logged in; None if that is not known."""
    if not (program := shutil.which("loginctl")):
        return None
    command = [program, "show-user", user, "--property=Linger", "--value"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a question
    return {"yes": True, "no": False}.get(done.stdout.strip()) if done.returncode == 0 else None


def _systemctl(*words: str) -> None:
    done = _call(*words)
    if done.returncode:
        raise SchedulerError(
            f"`systemctl --user {words[0]}` failed ({_why(done)}): `connect schedule status` compares."
        )


def _call(*words: str) -> subprocess.CompletedProcess[str]:
    command = [shutil.which("systemctl") or "systemctl", "--user", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the user's own


def _why(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join(done.stderr.split()) or f"exit code {done.returncode}"
