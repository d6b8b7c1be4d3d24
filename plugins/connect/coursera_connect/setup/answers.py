"""The answers of an administrator in the set-up of an environment, and how they are saved."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from coursera_connect.setup import connection, mapping, school_changes, schools, settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from coursera_connect.setup.mapping import Content
    from coursera_connect.setup.school_changes import Place
    from coursera_connect.setup.schools import Listed, Plan


@dataclass(frozen=True)
class ProgramChoice:
    """The programs of Coursera with their schools, and a plan that an administrator's choice changes."""

    content: Content
    plan: Plan
    listed: list[Listed]

    @classmethod
    def read(cls, folder: Path, credentials: Mapping[str, str]) -> ProgramChoice:
        """Ask Coursera for the programs, and read their schools from the mapping file of a folder."""
        content = mapping.sound(folder, mapping.SCHOOLS)
        mapped, source = schools.from_file(content), connection.programs(credentials)
        listed = [entry for entry in schools.listed(source, mapped) if entry.program_id in source]
        return cls(content, schools.Plan(source, mapped), listed)

    @property
    def rows(self) -> list[tuple[int, str, str, str, str]]:
        """Number, program, name, school and state of each program."""
        chooses = schools.chooses(self.plan.before)
        states = schools.STATES if chooses else {**schools.STATES, schools.MISSING: ""}
        return [
            (number, entry.program_id, entry.program_name, entry.school_name, states[entry.state])
            for number, entry in enumerate(self.listed, 1)
        ]

    @property
    def present(self) -> str:
        """The numbers of the programs that are synced now, such as `1,3`, or `all`."""
        synced = [
            str(number)
            for number, entry in enumerate(self.listed, 1)
            if schools.school_of(entry.program_id, self.plan.before)
        ]
        return "all" if len(synced) in {0, len(self.listed)} else ",".join(synced)


@dataclass
class Answers:
    """Answers that are not saved yet.

    `values` are settings by environment variable, `credentials` those of the tap that have passed the connection test,
    by their names in the tap. `programs` is the number of programs that the test found (None: it has not passed), and
    `plan` is the mapping of schools that replaces `content` (None: not asked).
    """

    values: dict[str, str] = field(default_factory=dict)
    credentials: dict[str, str] = field(default_factory=dict)
    programs: int | None = None
    plan: Plan | None = None
    content: Content | None = None

    def take(self, **values: str) -> None:
        """Take values of settings, which apply to this process at once; a blank value restores the default."""
        for name, value in values.items():
            if value != os.environ.get(name, ""):
                self.values[name] = value
            os.environ[name] = value

    def take_credentials(self, found: dict[str, str], now: Mapping[str, str]) -> None:
        """Take credentials that have passed the connection test; only those that differ from `now` will be saved."""
        self.credentials = found
        self.values |= {f"TAP_COURSERA_{name.upper()}": value for name, value in found.items() if value != now[name]}

    @property
    def mapped(self) -> int:
        """The number of programs that get another school."""
        return sum(1 for one in self.plan.changes if one.after and one.after.school_id) if self.plan else 0

    @property
    def left_out(self) -> int:
        """The number of programs that are no longer synced."""
        return len(self.plan.changes) - self.mapped if self.plan else 0

    def save(self, project: Path, environment: str, place: Place) -> Iterator[Path]:
        """Save all answers; yield each file when it is written."""
        yield from sorted({settings.set_(environment, name, value, project) for name, value in self.values.items()})
        if self.programs is not None:
            connection.remember(place.package, self.programs, self.credentials)
        if self.plan is not None and self.content is not None and self.plan.changes:
            school_changes.of_plan(place, self.content, self.plan).save()
            yield self.content.path
