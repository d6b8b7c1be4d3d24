"""Installs and removes the schedules with cron or systemd, and compares the installed ones with the planned ones."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coursera_connect.errors import RefusedError, UsageError
from coursera_connect.schedule import crontab, entries, systemd_timers

if TYPE_CHECKING:
    from datetime import datetime

    from coursera_connect.schedule.entries import Owner, Plan, Settings

KINDS: dict[str, Any] = {"cron": crontab, "systemd": systemd_timers}
_UNMASKED = 0o777
_OTHERS = 0o007


@dataclass(frozen=True)
class State:
    """The installed schedules, their schedulers, and the lines that differ from the plan."""

    installed_with: list[str]
    differences: dict[str, list[str]]
    warnings: list[str]

    @property
    def current(self) -> bool:
        """Whether exactly one scheduler runs the schedules as planned."""
        return len(self.installed_with) == 1 and not any(self.differences.values())


def umask(text: str) -> int:
    """Return the umask of runs.

    Raises:
        UsageError: The text is not a umask.
    """
    try:
        found = int(text, 8)
    except ValueError:
        found = -1
    if not 0 <= found <= _UNMASKED:
        raise UsageError(f"CONNECT_SCHEDULE_UMASK: {text} is no umask: write three octal digits, as 077 or 027.")
    return found


def planned(owner: Owner, settings: Settings, now: datetime) -> Plan:
    """Return the plan of what would be installed.

    Raises:
        UsageError: Every user of the machine could read what the runs write, or a setting is wrong.
    """
    if umask(settings.umask) & _OTHERS != _OTHERS:
        raise UsageError(
            f"CONNECT_SCHEDULE_UMASK: {settings.umask} would let every user of the machine read what a run writes: "
            "027 lets those of a group."
        )
    return entries.plan(owner, settings, now)


def install(kind: str, plan: Plan) -> None:
    """Install the plan with a scheduler.

    Raises:
        RefusedError: The other scheduler runs the schedules already.
    """
    for other, scheduler in KINDS.items():
        if other != kind and scheduler.found(plan.owner):
            raise RefusedError(
                f"These schedules are installed with {other}, and would run twice: `connect schedule remove` first."
            )
    KINDS[kind].install(plan)


def installed_with(owner: Owner) -> list[str]:
    """Return the schedulers that run the schedules."""
    return [kind for kind, scheduler in KINDS.items() if scheduler.found(owner)]


def state(plan: Plan) -> State:
    """Compare the installed schedules with the plan."""
    there = {kind: found for kind, scheduler in KINDS.items() if (found := scheduler.found(plan.owner))}
    return State(
        list(there),
        {kind: _difference(found, KINDS[kind].text(plan)) for kind, found in there.items()},
        [sentence for kind in there for sentence in KINDS[kind].warnings(plan)],
    )


def _difference(found: str, wanted: str) -> list[str]:
    lines = difflib.unified_diff(found.splitlines(), wanted.splitlines(), "installed", "wanted", n=0, lineterm="")
    return list(lines)
