"""Plans and saves a change of chosen_items.csv."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from coursera_connect.errors import UsageError
from coursera_connect.setup import items, mapping, trial_build
from coursera_connect.setup.grade_sync import in_use
from coursera_connect.text import found

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from coursera_connect.setup.items import Choice, Item
    from coursera_connect.setup.mapping import Content
    from coursera_connect.warehouse.warehouse import Location


@dataclass(frozen=True)
class Wanted:
    """Items as an operator names them: a pattern for id or name, and a program and a course (blank: any)."""

    pattern: str
    program: str
    course: str


@dataclass(frozen=True)
class ItemChange:
    """A planned change of the choice; `after` is None if the file does not change."""

    content: Content
    after: Sequence[Choice] | None
    concerned: Sequence[Item]
    warnings: Sequence[str]
    grade_sync: str | None

    def save(self, wait: float) -> bool:
        """Write the file, and return whether anything changed."""
        if self.after is None:
            return False
        mapping.save(self.content, [(one.program_id, one.course_id, one.item) for one in self.after], wait)
        return True

    def facts(self) -> dict[str, Any]:
        """Return the change for `--json`."""
        return {
            "changed": self.after is not None,
            "grade_sync": self.grade_sync,
            "items": [asdict(item) for item in self.concerned],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class ItemList:
    """Items with the line of the file that chooses each (None: no line), and the present grade sync."""

    entries: Sequence[tuple[Item, Choice | None]]
    grade_sync: str | None
    caution: str
    """What has changed since the last build; blank if nothing has."""

    @property
    def chosen(self) -> int:
        """The number of chosen items."""
        return sum(choice is not None for _item, choice in self.entries)

    def facts(self) -> dict[str, Any]:
        """Return the list for `--json`."""
        entries = [asdict(item) | {"chosen_by_line": choice and choice.line} for item, choice in self.entries]
        return {"items": entries, "chosen": self.chosen, "grade_sync": self.grade_sync, "caution": self.caution}


def listed(  # noqa: PLR0913 - where to look, and for what
    folder: Path, database: Location, wait: float, transform: Path | None, within: Wanted, *, only_chosen: bool
) -> ItemList:
    """Return the items of the program and course of `within`, or only those of them that are chosen."""
    choices = items.choices(mapping.sound(folder, mapping.ITEMS))
    everything = items.gradable(database, wait)
    wanted = scope(everything, within.program, within.course)
    entries = [(item, items.chosen_by(choices, item)) for item in everything if items.chooses(wanted, item)]
    return ItemList(
        [(item, choice) for item, choice in entries if choice or not only_chosen],
        in_use(database, wait),
        trial_build.caution(database, wait, folder, transform),
    )


def choose(folder: Path, database: Location, wait: float, wanted: Wanted) -> ItemChange:
    """Return the change that chooses items."""
    content = mapping.sound(folder, mapping.ITEMS)
    choices, everything = items.choices(content), items.gradable(database, wait)
    choice = _choice(everything, wanted)
    is_new = choice.key not in {one.key for one in choices}
    concerned = [item for item in everything if items.chooses(choice, item)]
    warnings = []
    if not concerned:
        warnings.append(
            f"No item of the last load is {wanted.pattern}: connect items list shows what there is. The line counts as "
            "soon as there is one."
        )
    return ItemChange(content, [*choices, choice] if is_new else None, concerned, warnings, in_use(database, wait))


def unchoose(folder: Path, database: Location, wait: float, wanted: Wanted) -> ItemChange:
    """Return the change that removes a choice.

    Raises:
        UsageError: No line of the file is this choice.
    """
    content = mapping.sound(folder, mapping.ITEMS)
    choices, everything = items.choices(content), items.gradable(database, wait)
    choice = _choice(everything, wanted)
    after = [one for one in choices if one.key != choice.key]
    if after == choices:
        raise UsageError(_not_chosen(choice, choices, everything))
    concerned = [item for item in everything if items.chooses(choice, item) and not items.chosen_by(after, item)]
    warnings = [] if after else ["Nothing is chosen any more: with granular_selected, no item would be synced."]
    return ItemChange(content, after, concerned, warnings, in_use(database, wait))


def scope(everything: Sequence[Item], program: str, course: str) -> Choice:
    """Return the choice of all items of a program and a course, each named by its id or name, blank for any."""
    programs = {item.program_id: item.program_name for item in everything}
    courses = {item.course_id: item.course_name for item in everything}
    return items.Choice(
        found(program, programs, "program", "it has no gradable items") if program else "",
        found(course, courses, "course", "it has no gradable items") if course else "",
        "*",
    )


def _choice(everything: Sequence[Item], wanted: Wanted) -> Choice:
    pattern = wanted.pattern.strip()
    if not pattern:
        raise UsageError("The pattern is blank: give the id or name of an item, or * for all of them.")
    of = scope(everything, wanted.program, wanted.course)
    return items.Choice(of.program_id, of.course_id, pattern)


def _not_chosen(choice: Choice, choices: Sequence[Choice], everything: Sequence[Item]) -> str:
    lines = {
        by.line: by.item
        for item in everything
        if items.chooses(choice, item) and (by := items.chosen_by(choices, item))
    }
    if lines:
        named = ", ".join(f"{pattern} (line {line})" for line, pattern in sorted(lines.items()))
        return (
            f"No line of {mapping.ITEMS}.csv is {choice.item} there; what it means is chosen by {named}: name that one."
        )
    return f"No line of {mapping.ITEMS}.csv is {choice.item} there: connect items list --chosen shows what is chosen."
