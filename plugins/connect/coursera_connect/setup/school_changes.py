"""Plans and saves a change of the school mapping, with what would leave."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from coursera_connect.setup import connection, mapping, programs, schools
from coursera_connect.setup.impact import leaving
from coursera_connect.warehouse import ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from coursera_connect.setup.impact import Counts, Leaving
    from coursera_connect.setup.mapping import Content
    from coursera_connect.setup.schools import Listed, Plan
    from coursera_connect.warehouse.warehouse import Location


@dataclass(frozen=True)
class Place:
    """The paths of the mapping and the warehouse; with `loaded` programs are from the last load, not from Coursera."""

    database: Location
    package: Path
    mapping: Path
    wait: float
    loaded: bool = False

    def content(self) -> Content:
        """Return the content of the mapping file, which must be valid."""
        return mapping.sound(self.mapping, mapping.SCHOOLS)

    def programs(self) -> dict[str, str]:
        """Return the programs by id, with their names."""
        return programs.loaded(self.database, self.wait) if self.loaded else connection.programs()


@dataclass(frozen=True)
class ProgramList:
    """All programs with their schools; `everything` is whether no program is mapped, so that all are synced."""

    entries: list[Listed]
    everything: bool

    @property
    def counts(self) -> dict[str, int]:
        """The number of programs in each state."""
        return {state: sum(entry.state == state for entry in self.entries) for state in schools.STATES}


@dataclass(frozen=True)
class Loss:
    """The programs that lose their school, and their rows in the last build (None: nothing loaded, or no program)."""

    programs: list[str]
    counts: Counts | None


@dataclass(frozen=True)
class SchoolChange:
    """A planned change of the mapping, and what it removes."""

    place: Place
    content: Content
    plan: Plan
    impact: Leaving | None
    """The rows that leave; None if no program leaves its school, or nothing is loaded yet."""

    @property
    def leaving(self) -> Loss:
        """The programs that leave the sync."""
        return self._loss(left_out=True)

    @property
    def moving(self) -> Loss:
        """The programs that move to another school."""
        return self._loss(left_out=False)

    def _loss(self, *, left_out: bool) -> Loss:
        lost = [one for one, school in self.plan.lost.items() if bool(school) != left_out]
        counts = (self.impact.out if left_out else self.impact.moving) if self.impact else None
        return Loss(lost, counts if lost else None)

    @property
    def warnings(self) -> list[str]:
        """Warnings about the change."""
        return [*schools.warnings(self.plan), *self._unknown()]

    def _unknown(self) -> list[str]:
        """Return programs that left Coursera before they were unmapped; the last build lacks their school."""
        if not self.impact:
            return []
        known = {program for detail in self.impact.schools.values() for program in detail["programs"]}
        return [
            f"{self.plan.name(one)} ({one}) was not in the last run any more, so there is no agreement for its school: "
            "if the next publish is blocked because that school has gone, let it go with --allow-removals."
            for one, school in self.plan.lost.items()
            if not school and one not in self.plan.source and one not in known
        ]

    def save(self) -> bool:
        """Write the mapping file, record the agreement that the schools leave, and return whether anything changed."""
        if not self.plan.changes:
            return False
        mapping.save(self.content, schools.rows(self.plan.after), self.place.wait, self._agree)
        return True

    def _agree(self) -> None:
        for school, detail in (self.impact.schools if self.impact else {}).items():
            ledger.agree(self.place.database, self.place.wait, "school", school, detail)

    def facts(self) -> dict[str, Any]:
        """Return the change for `--json`."""
        return {
            "changes": [
                {
                    "program_id": change.program_id,
                    "program_name": self.plan.name(change.program_id),
                    "before": asdict(change.before) if change.before else None,
                    "after": asdict(change.after) if change.after else None,
                }
                for change in self.plan.changes
            ],
            "leaving": asdict(self.leaving),
            "moving": asdict(self.moving),
            "warnings": self.warnings,
        }


def listed(place: Place) -> ProgramList:
    """Return every program with its school."""
    connection.require(place.package)
    mapped = schools.from_file(place.content())
    return ProgramList(schools.listed(place.programs(), mapped), not schools.chooses(mapped))


def planned(place: Place, verb: Callable[[Plan], None], *, ask: bool = True) -> SchoolChange:
    """Return the change by a verb; `ask` is whether the verb needs the present programs of Coursera."""
    connection.require(place.package)
    content = place.content()
    return of_plan(place, content, schools.Plan(place.programs() if ask else {}, schools.from_file(content)), verb)


def of_plan(
    place: Place, content: Content, plan: Plan, verb: Callable[[Plan], None] = lambda _plan: None
) -> SchoolChange:
    """Return the change for a plan."""
    verb(plan)
    impact = leaving(place.database, place.wait, plan.lost) if plan.lost else None
    return SchoolChange(place, content, plan, impact)
