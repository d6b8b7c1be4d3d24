"""Lists the gradable items of the last load, and which of them `chosen_items.csv` chooses for granular_selected.

dbt makes the choice; `chooses` applies the same rule to show the result: program and course are equal or blank, and the
item's id or name equals the given text in any letter case, where `*` stands for any characters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from coursera_connect.errors import DatabaseError
from coursera_connect.text import lower, one_line
from coursera_connect.warehouse import warehouse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from coursera_connect.setup.mapping import Content
    from coursera_connect.warehouse.warehouse import Location

_NAMED = {"programs": ("staging", "stg_coursera__programs"), "courses": ("connect", "courses")}
_ITEMS = """
    select
        program_id,
        course_id,
        item_id,
        max(case when newest = 1 then item_name end),
        max(case when newest = 1 then item_type end),
        max(case when newest = 1 then module_name end),
        max(item_weight_percent),
        count(item_grade_percent)
    from (
        select
            *,
            row_number() over (
                partition by program_id, course_id, item_id
                order by extracted_at desc nulls last, changed_at desc nulls last, external_id nulls last
            ) as newest
        from staging.stg_coursera__item_grades
    ) as ranked
    group by program_id, course_id, item_id
    having max(item_weight_percent) > 0 or count(item_grade_percent) > 0
    order by program_id, course_id, min(item_order) nulls last, item_id
"""


@dataclass(frozen=True)
class Item:
    """A graded item of a course in a program."""

    program_id: str
    program_name: str
    course_id: str
    course_name: str
    module: str
    item_id: str
    name: str
    type: str
    weight: float | None
    """The share of the course grade, in percent."""
    graded: int
    """How many learners have a grade for the item."""


@dataclass(frozen=True)
class Choice:
    """A line of chosen_items.csv; a blank program or course means any."""

    program_id: str
    course_id: str
    item: str
    line: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        """The values by which two lines are the same choice."""
        return self.program_id, self.course_id, self.item.casefold()


def choices(content: Content) -> list[Choice]:
    """Return the choices in a file."""
    return [
        Choice(line.cells["program_id"], line.cells["course_id"], line.cells["item"], line.number)
        for line in content.lines
    ]


def chooses(choice: Choice, item: Item) -> bool:
    """Return whether a choice applies to an item."""
    if choice.program_id not in {"", item.program_id} or choice.course_id not in {"", item.course_id}:
        return False
    pattern = lower(choice.item)
    return matches(pattern, lower(item.item_id)) or matches(pattern, lower(item.name))


def matches(pattern: str, text: str) -> bool:
    """Return whether a text matches a pattern with `*` for any characters, in time linear in the text.

    Each part between two `*` is matched at its first possible place, which leaves most room for the following parts, so
    no place is tried twice.
    """
    first, *others = pattern.split("*")
    if not others:
        return text == pattern
    *between, last = others
    at, end = len(first), len(text) - len(last)
    if at > end or not text.startswith(first) or not text.endswith(last):
        return False
    for part in between:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def chosen_by(wanted: Iterable[Choice], item: Item) -> Choice | None:
    """Return the first choice that applies to an item."""
    return next((choice for choice in wanted if chooses(choice, item)), None)


def gradable(database: Location, wait: float) -> list[Item]:
    """Return the items with a weight or a grade, in the order of program, course and place in the course.

    Raises:
        DatabaseError: No grades have been loaded and built yet.
    """
    with warehouse.opened(database, wait) as opened:
        if "stg_coursera__item_grades" not in opened.columns("staging"):
            raise DatabaseError(f"{database} holds no gradebook yet: run grade-sync first, which reads it.")
        names: dict[str, Mapping[str, str]] = {}
        for what, (schema, table) in _NAMED.items():
            one = what.removesuffix("s")
            there = table in opened.columns(schema)
            query = f"select {one}_id, {one}_name from {schema}.{table}"  # noqa: S608 - names of ours
            names[what] = dict(opened.rows(query)) if there else {}
        return [
            Item(
                program,
                names["programs"].get(program) or program,
                course,
                names["courses"].get(course) or course,
                module or "",
                item,
                one_line(name or "") or item,
                kind or "",
                weight,
                graded,
            )
            for program, course, item, name, kind, module, weight, graded in opened.rows(_ITEMS)
        ]
