"""What guards block or allow, and as rows of the report; `notices.blocked_rows` has the words for these."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

HEALED = "An earlier release believed impossible moments, and this run puts right what came of it:"
"""The beginning of the warning that lists `healed`."""


@dataclass(frozen=True)
class Drop:
    """The rows of a file and school that a guard blocks; `school` is a sourcedId, or blank for the district or the run.

    `removed` out of `before` rows are affected; `reason` says what is wrong, and names the command that allows it.
    """

    file: str
    school: str
    before: int
    removed: int
    reason: str
    sourced_ids: tuple[str, ...] = ()
    headline: str = ""
    """What is wrong with the run, in the same words for all drops of a kind."""

    def row(self, names: dict[str, str]) -> dict[str, Any]:
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
    """The findings of the guards: what blocks, what is allowed and why, used agreements, and warnings."""

    drops: list[Drop] = field(default_factory=list)
    allowed: list[Drop] = field(default_factory=list)
    used: set[tuple[str, str]] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    healed: list[str] = field(default_factory=list)

    def decide(self, drop: Drop, option: str, step: str = "") -> None:
        """Allow a drop if an option or a confirmation allows it; otherwise block it."""
        why = f"{option} was given" if option else step
        if why:
            self.allowed.append(replace(drop, reason=f"{drop.reason}; {why}"))
        else:
            self.drops.append(drop)

    def of_the_run(self, reason: str, option: str) -> None:
        """Block the run for a reason that is not about rows, unless an option was given."""
        self.decide(Drop("", "", 0, 0, reason, (), reason), option)


def given(option: str, is_given: bool) -> str:
    """Return an option if it was given; blank otherwise."""
    return option if is_given else ""


def headline(drops: Iterable[Drop]) -> str:
    """Return what blocks a run, in words."""
    return "; ".join(dict.fromkeys(drop.headline for drop in drops))
