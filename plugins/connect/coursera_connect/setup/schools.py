"""Maps programs to schools: the list of programs, changes of the mapping, and what would leave with a change.

A mapping is a dict of `School` by program id. While no program is mapped to a school, every program is synced, each as
a school of its own; as soon as one is mapped, those that are not listed are not synced. A program whose school is blank
is left out on purpose, in either case. The sourcedId of a school is made of its id, so a program that becomes a school
of its own keeps the id that it had without a mapping.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from coursera_connect.errors import RefusedError, UsageError
from coursera_connect.text import found, one_line, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from coursera_connect.setup.mapping import Content

EXISTING, MISSING, GONE, LEFT_OUT = "existing", "missing", "missing-data", "left-out"
STATES = {EXISTING: "Existing", MISSING: "Missing", GONE: "With missing data", LEFT_OUT: "Left out"}
"""The states of a program in the list, by the value of its filter."""


@dataclass(frozen=True)
class School:
    """The school of a program; a blank id and name leave the program out.

    `program_name` is the name of the program when it was mapped.
    """

    program_name: str
    school_id: str
    school_name: str


Mapped = dict[str, School]


@dataclass(frozen=True)
class Listed:
    """A program in the list of schools."""

    program_id: str
    program_name: str
    school_id: str
    school_name: str
    state: str
    renamed: bool
    """Whether the program has another name now than when it was mapped."""


@dataclass(frozen=True)
class Change:
    """The change of one program; None means that it is not in the mapping."""

    program_id: str
    before: School | None
    after: School | None


@dataclass
class Plan:
    """A new mapping that would replace the present one."""

    source: Mapping[str, str]
    """The names of Coursera's programs by id."""
    before: Mapped
    after: Mapped = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.after = dict(self.before)

    @property
    def changes(self) -> list[Change]:
        """The programs whose line changes, in the order of their names."""
        programs = sorted({*self.before, *self.after}, key=lambda one: (self.name(one).casefold(), one))
        changes = [Change(one, self.before.get(one), self.after.get(one)) for one in programs]
        return [change for change in changes if change.before != change.after]

    @property
    def lost(self) -> dict[str, str]:
        """The programs that leave a school, with the id of their new school; blank for programs that are left out."""
        lost = {}
        for program in sorted({*self.source, *self.before}):
            then, now = school_of(program, self.before), school_of(program, self.after)
            if then and then != now:
                lost[program] = now
        return lost

    def name(self, program: str) -> str:
        """Return the present name of a program, else that of when it was mapped."""
        return called(program, self.source, self.before)

    # The verbs

    def auto(self) -> None:
        """Map every program that is neither mapped nor left out as a school of its own."""
        for program in self.source:
            if program not in self.after:
                self._own(program, "")

    def map(self, program: str, name: str, to: str) -> None:
        """Map a program as a school of its own, called `name` or else like the program, or to an existing school."""
        one = self.program(program)
        if to:
            school = find_school(to, self.after)
            self._put(one, school, school_name(school, self.after))
        elif self._mapped(one) and not name:
            # Mapped already: what somebody called the school stays, only the program's own name is brought up to date.
            self.after[one] = replace(self.after[one], program_name=self.name(one))
        else:
            self._own(one, name)

    def merge(self, programs: Sequence[str], name: str, to: str) -> None:
        """Map several programs to one school: an existing one, or that of the first program, which is called `name`."""
        chosen = list(dict.fromkeys(self.program(program) for program in programs))
        if to:
            school = find_school(to, self.after)
            for one in chosen:
                self._put(one, school, school_name(school, self.after))
            return
        if len(chosen) == 1:
            raise UsageError(
                "Only one program was named: name two or more to merge, or say with --to into which school."
            )
        first = chosen[0]
        if not self._mapped(first):
            self._own(first, name)
        school = self.after[first].school_id
        for one in chosen:
            self._put(one, school, name)
        self.rename(school, name)

    def rename(self, school: str, name: str) -> None:
        """Rename a school; its id does not change, so it is the same school for every reader."""
        one = find_school(school, self.after)
        for program, mapped in self.after.items():
            if mapped.school_id == one:
                self.after[program] = replace(mapped, school_name=name)

    def unmap(self, programs: Iterable[str]) -> None:
        """Remove programs from the mapping, and thereby from the sync.

        Raises:
            RefusedError: No program would be left, and an empty mapping means all programs.
        """
        if not chooses(self.before):
            raise RefusedError(
                "No program is mapped, so all programs are synced. To leave single ones out: "
                f"connect schools leave-out {' '.join(map(shlex.quote, programs))} --save"
            )
        for program in programs:
            one = self.program(program)
            if one not in self.before:
                raise UsageError(f"{self.name(one)} ({one}) is not mapped, so there is nothing to take out.")
            if not self.before[one].school_id:
                raise UsageError(
                    f"{self.name(one)} ({one}) is left out already. To take it in again: "
                    f"connect schools map {one} --save"
                )
            self.after.pop(one, None)
        self._refuse_all()

    def leave_out(self, programs: Iterable[str]) -> None:
        """Leave programs out on purpose, mapped or not.

        Raises:
            RefusedError: All other programs would be synced then, or none.
        """
        for program in programs:
            one = self.program(program)
            self.after[one] = School(self.name(one), "", "")
        self._refuse_all()
        if not any(school_of(one, self.after) for one in {*self.source, *self.after}):
            raise RefusedError("That would leave no program to be synced: leave one of them in.")

    def choose(self, programs: Iterable[str]) -> None:
        """Sync these programs and leave the others out; if these are all programs, future ones are synced, too."""
        chosen = set(programs)
        if chosen >= set(self.source) and not self.before:
            return
        for one in self.source:
            if one in chosen and not self._mapped(one):
                self._own(one, "")
        self.leave_out(one for one in self.source if one not in chosen)

    def _refuse_all(self) -> None:
        if chooses(self.before) and not chooses(self.after):
            raise RefusedError(
                "That would leave no program mapped, and then ALL programs that are not left out are synced, each as a "
                "school of its own: map what is to stay first, or empty the file by hand if all is what you want."
            )

    def _mapped(self, program: str) -> bool:
        return program in self.after and bool(self.after[program].school_id)

    def program(self, text: str) -> str:
        """Return the id of a program, by its id or name."""
        names = {one: self.name(one) for one in (*self.source, *self.before)}
        return found(text, names, "program", "see connect schools list")

    def _own(self, program: str, name: str) -> None:
        """Map a program to a school of its own."""
        mapped = self.after.get(program)
        others = {school.school_id for one, school in self.after.items() if one != program}
        if mapped and mapped.school_id and mapped.school_id not in others:
            school = mapped.school_id
        else:
            school, number = program, 2
            while school in others or (school != program and school in self.source):
                school, number = f"{program}-{number}", number + 1
        self._put(program, school, name or self.name(program))

    def _put(self, program: str, school: str, name: str) -> None:
        self.after[program] = School(self.name(program), school, name)


def chooses(mapped: Mapped) -> bool:
    """Return whether a mapping names the programs to sync; if not, all that are not left out are synced."""
    return any(school.school_id for school in mapped.values())


def from_file(content: Content) -> Mapped:
    """Return the mapping in a file."""
    return {
        line.cells["program_id"]: School(line.cells["program_name"], line.cells["school_id"], line.cells["school_name"])
        for line in content.lines
    }


def rows(mapped: Mapped) -> list[tuple[str, str, str, str]]:
    """Return a mapping as rows of the file."""
    return [(one, school.program_name, school.school_id, school.school_name) for one, school in mapped.items()]


def listed(source: Mapping[str, str], mapped: Mapped) -> list[Listed]:
    """Return every program that Coursera has or that is mapped, by name."""
    entries = []
    for one in {*source, *mapped}:
        school = mapped.get(one)
        state = MISSING if school is None else LEFT_OUT if not school.school_id else EXISTING if one in source else GONE
        now = called(one, source, mapped)
        renamed = bool(
            school and school.school_id and one in source and school.program_name and school.program_name != now
        )
        ids = (school.school_id, school.school_name) if school else ("", "")
        entries.append(Listed(one, now, *ids, state, renamed))
    return sorted(entries, key=lambda entry: (entry.program_name.casefold(), entry.program_id))


def called(program: str, source: Mapping[str, str], mapped: Mapped) -> str:
    """Return the present name of a program, else its name when it was mapped, else its id, on one line."""
    earlier = mapped[program].program_name if program in mapped else ""
    return one_line(source.get(program) or "") or earlier or program


def find_school(text: str, mapped: Mapped) -> str:
    """Return the id of a school of the mapping, by its id or name."""
    names = {school.school_id: school.school_name for school in mapped.values() if school.school_id}
    remedy = "see connect schools list" if names else "no program is mapped yet, see connect schools map --help"
    return found(text, names, "school", remedy)


def school_name(school: str, mapped: Mapped) -> str:
    """Return the name of a school of the mapping."""
    return next(one.school_name for one in mapped.values() if one.school_id == school)


def typed_name(text: str) -> str:
    """Return a typed name as it is stored.

    Raises:
        UsageError: Nothing is left of the name.
    """
    name = one_line(text)
    if not name:
        raise UsageError("The name of the school is blank: give it a name that people know it by.")
    return name


def warnings(plan: Plan) -> list[str]:
    """Return warnings about a mapping before it is saved."""
    found_now = []
    if chooses(plan.after) and not chooses(plan.before):
        left = [one for one, school in plan.lost.items() if not school and one not in plan.after]
        if left:
            names = ", ".join(f"{plan.name(one)} ({one})" for one in left)
            found_now.append(
                f"Until now all programs are synced, since none is mapped. With this mapping, "
                f"{plural(len(left), 'other program stops', 'other programs stop')} being synced: {names}."
            )
    called_so: dict[str, set[str]] = {}
    for school in filter(lambda one: one.school_id, plan.after.values()):
        called_so.setdefault(school.school_name, set()).add(school.school_id)
    changed = {change.after.school_name for change in plan.changes if change.after}
    found_now += [
        f"{len(ids)} schools are called {name} ({', '.join(sorted(ids))}): readers will see two of them; "
        "to make them one, see connect schools merge --help"
        for name, ids in sorted(called_so.items())
        if len(ids) > 1 and name in changed
    ]
    return found_now


def school_of(program: str, mapped: Mapped) -> str:
    """Return the id of the school of a program; blank if the program is not synced."""
    if program in mapped:
        return mapped[program].school_id
    return "" if chooses(mapped) else program
