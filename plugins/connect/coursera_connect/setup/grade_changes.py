"""Plans a change of grade sync or score scale, with what leaves or changes, and records the agreement."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from coursera_connect import command_text
from coursera_connect.errors import UsageError
from coursera_connect.setup import grade_sync, items, mapping, trial_build
from coursera_connect.text import suggestion
from coursera_connect.warehouse import ledger

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_connect.setup.grade_sync import School
    from coursera_connect.warehouse.warehouse import Location


@dataclass(frozen=True)
class GradeChange:
    """A planned change of the setting `kind`.

    `before` is None if nothing was loaded yet. `schools` are those whose line items or results leave or change; None if
    nothing is loaded yet. `is_open` is whether the next publish needs an agreement.
    """

    database: Location
    wait: float
    kind: str
    before: str | None
    after: str
    schools: list[School] | None
    is_open: bool
    warnings: list[str] = field(default_factory=list)

    @property
    def line_items(self) -> int:
        """How many line items leave or change."""
        return sum(one.line_items for one in self.schools or [])

    @property
    def results(self) -> int:
        """How many results leave or change."""
        return sum(one.results for one in self.schools or [])

    @property
    def command(self) -> str:
        """The command that changes the setting."""
        return command_text.printed(f"connect settings set {self.kind} {self.after}")

    def agree(self) -> bool:
        """Record the agreement for the next publish, and return whether one was needed."""
        if not self.is_open:
            return False
        detail = {"from": self.before, "line_items": self.line_items, "results": self.results}
        ledger.agree(self.database, self.wait, self.kind, self.after, detail)
        return True

    def facts(self) -> dict[str, Any]:
        """Return the change for `--json`."""
        return {"from": self.before, "to": self.after, "line_items": self.line_items, "results": self.results}

    def schools_facts(self) -> list[dict[str, Any]] | None:
        """Return the schools for `--json`."""
        return None if self.schools is None else [asdict(one) for one in self.schools]


@dataclass(frozen=True)
class GradeSync:
    """The present grade sync mode (None: nothing was built yet), and line items and results per school."""

    mode: str | None
    schools: list[School]
    caution: str
    """What has changed since the last build; blank if nothing has."""


def present(database: Location, wait: float, folder: Path | None, transform: Path | None) -> GradeSync:
    """Return the grade sync of the tables that a build would make now.

    Raises:
        DatabaseError: There was no finished build yet, or one of now would fail.
    """
    with trial_build.up_to_date(database, wait, folder, transform) as (place, caution):
        return GradeSync(grade_sync.in_use(place, wait), grade_sync.there(place, wait), caution)


def to_mode(database: Location, wait: float, folder: Path, transform: Path | None, mode: str) -> GradeChange:
    """Return the change to another grade sync mode.

    Raises:
        UsageError: There is no such mode, or chosen_items.csv is wrong.
    """
    if mode not in grade_sync.MODES:
        near = suggestion(mode, grade_sync.MODES)
        raise UsageError(
            f"There is no grade sync {mode}; the modes are {', '.join(grade_sync.MODES)}{near and ':'}{near}"
        )
    choices = items.choices(mapping.sound(folder, mapping.ITEMS)) if mode == grade_sync.SELECTED else []
    before = grade_sync.published(database, wait) or grade_sync.in_use(database, wait)
    leaving = _leaving(database, wait, before, mode, choices)
    warnings = [caution] if (caution := trial_build.caution(database, wait, folder, transform)) else []
    if mode == grade_sync.SELECTED and not choices:
        warnings.append("no item is chosen yet, so nothing would be synced: see connect items list.")
    return GradeChange(
        database, wait, "grade_sync", before, mode, leaving, leaving is not None and before != mode, warnings
    )


def to_scale(database: Location, wait: float, scale: str) -> GradeChange:
    """Return the change to another score scale.

    Raises:
        UsageError: There is no such scale.
    """
    if scale not in grade_sync.SCALES:
        raise UsageError(f"There is no score scale {scale}; the scales are {' and '.join(grade_sync.SCALES)}.")
    before = grade_sync.published(database, wait, "score_scale") or grade_sync.in_use(database, wait, "score_scale")
    schools = grade_sync.there(database, wait) if grade_sync.is_there(database, wait) else []
    return GradeChange(database, wait, "score_scale", before, scale, schools, before not in {None, scale})


def _leaving(
    database: Location, wait: float, before: str | None, mode: str, choices: list[items.Choice]
) -> list[School] | None:
    """Return what would leave; None if nothing is loaded yet."""
    if not grade_sync.is_there(database, wait):
        return None
    if grade_sync.in_use(database, wait) == mode != before:
        return grade_sync.left(database, wait)  # the mode is set already, and the publish waits for the agreement
    return grade_sync.leaving(database, wait, mode, choices)
