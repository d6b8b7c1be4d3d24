"""What guards stop or let go, as rows of the report and in words, with the commands that let it go."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HEALED = "An earlier release believed impossible moments, and this run puts right what came of it:"
"""The begin of the warning that lists `healed`."""

_COMMAND = re.compile("`(connect [^`]+)`")
"""A command that a reason names."""

_PUBLISH = "connect publish"


@dataclass(frozen=True)
class Drop:
    """Rows of a file that a guard stops, and their school (its sourcedId; blank: the district's, or of the whole run).

    `removed` of `before` rows; `reason` is what is wrong, in words that name what lets it go, if it is not usual.
    """

    file: str
    school: str
    before: int
    removed: int
    reason: str
    sourced_ids: tuple[str, ...] = ()
    headline: str = ""
    """What is wrong with the run, in words that are the same for all drops of a kind."""

    def told(self, names: dict[str, str]) -> dict[str, Any]:
        """Return the drop as a row of the report and the ledger; `names` are those of the schools."""
        return {
            "file": self.file,
            "school": self.school,
            "school_name": names.get(self.school, ""),
            "before": self.before,
            "removed": self.removed,
            "reason": self.reason,
            "sourced_ids": list(self.sourced_ids),
        }


@dataclass
class Findings:
    """What the guards found: what blocks, what a step or option allowed (why), used agreements, warnings."""

    drops: list[Drop] = field(default_factory=list)
    allowed: list[Drop] = field(default_factory=list)
    used: set[tuple[str, str]] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    healed: list[str] = field(default_factory=list)

    def decide(self, drop: Drop, option: str, step: str = "") -> None:
        """Let a drop go by the option or step that allows it, if there is one."""
        why = f"{option} was given" if option else step
        if why:
            self.allowed.append(replace(drop, reason=f"{drop.reason}; {why}"))
        else:
            self.drops.append(drop)

    def of_the_run(self, reason: str, option: str) -> None:
        """Stop the run for a reason that is not one of rows, unless an option was given."""
        self.decide(Drop("", "", 0, 0, reason, (), reason), option)


def given(option: str, is_given: bool) -> str:
    """Return an option that was given, blank where it was not."""
    return option if is_given else ""


def sentence(row: Mapping[str, Any]) -> str:
    """Return a row of `blocked` or `allowed` in words."""
    if not row.get("file"):
        return str(row.get("reason"))
    return f"{row['file']} of {row.get('school_name') or row.get('school') or 'the district'}: {row.get('reason')}"


def commands(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the commands that let go what is blocked: those of the steps, and one publish with all its options."""
    named = [
        command
        for row in rows
        for command in _COMMAND.findall(str(row.get("reason"))) or [f"{_PUBLISH} --allow-removals"]
    ]
    options = dict.fromkeys(one.removeprefix(_PUBLISH) for one in named if one.startswith(_PUBLISH))
    steps = dict.fromkeys(one for one in named if not one.startswith(_PUBLISH))
    return [*steps, *([f"{_PUBLISH}{''.join(options)}"] if options else [])]


def headline(drops: Iterable[Drop]) -> str:
    """Return in words what blocks a run."""
    return "; ".join(dict.fromkeys(drop.headline for drop in drops))
