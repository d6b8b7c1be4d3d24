"""A change of the school mapping: what it does, what leaves with it, and saving it."""

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
    """Where the mapping and what it is about are; `loaded` takes the programs from the last load, not from Coursera."""

    database: Location
    package: Path
    mapping: Path
    wait: float
    loaded: bool = False

    def content(self) -> Content:
        """Return the mapping file, which has to be in order."""
        return mapping.sound(self.mapping, mapping.SCHOOLS)

    def programs(self) -> dict[str, str]:
        """Return the programs by id, with their names."""
        return programs.loaded(self.database, self.wait) if self.loaded else connection.programs()


@dataclass(frozen=True)
class ProgramList:
    """All programs with their schools; `everything` says that no program is mapped, so that all are synced."""

    entries: list[Listed]
    everything: bool

    @property
    def counts(self) -> dict[str, int]:
        """How many programs are in each state."""
        return {state: sum(entry.state == state for entry in self.entries) for state in schools.STATES}


@dataclass(frozen=True)
class Loss:
    """Programs that lose their school, and what the last run made of them (None: not loaded yet, or no program)."""

    programs: list[str]
    counts: Counts | None


@dataclass(frozen=True)
class SchoolChange:
    """A change of the mapping that is planned: what it does, and what it takes away."""

    place: Place
    content: Content
    plan: Plan
    impact: Leaving | None
    """None where no program leaves its school, or nothing is loaded yet."""

    @property
    def leaving(self) -> Loss:
        """What leaves the sync."""
        return self._loss(left_out=True)

    @property
    def moving(self) -> Loss:
        """What comes to another school."""
        return self._loss(left_out=False)

    def _loss(self, *, left_out: bool) -> Loss:
        lost = [one for one, school in self.plan.lost.items() if bool(school) != left_out]
        counts = (self.impact.out if left_out else self.impact.moving) if self.impact else None
        return Loss(lost, counts if lost else None)

    @property
    def warnings(self) -> list[str]:
        """What is worth knowing before the change is saved."""
        return [*schools.warnings(self.plan), *self._unknown()]

    def _unknown(self) -> list[str]:
        """Name programs that vanished from Coursera before they were unmapped: the last run has not their school."""
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
        """Write the mapping file, and agree that the schools leave; return whether there was anything to write."""
        if not self.plan.changes:
            return False
        mapping.save(self.content, schools.rows(self.plan.after), self.place.wait, self._agree)
        return True

    def _agree(self) -> None:
        for school, detail in (self.impact.schools if self.impact else {}).items():
            ledger.agree(self.place.database, self.place.wait, "school", school, detail)

    def facts(self) -> dict[str, Any]:
        """Return the change as `--json` has it."""
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
    """Return what a verb does to the mapping; `ask` for the programs of today where the verb needs them."""
    connection.require(place.package)
    content = place.content()
    return of_plan(place, content, schools.Plan(place.programs() if ask else {}, schools.from_file(content)), verb)


def of_plan(
    place: Place, content: Content, plan: Plan, verb: Callable[[Plan], None] = lambda _plan: None
) -> SchoolChange:
    """Return the change that a plan is, after a verb."""
    verb(plan)
    impact = leaving(place.database, place.wait, plan.lost) if plan.lost else None
    return SchoolChange(place, content, plan, impact)
