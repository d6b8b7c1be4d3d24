"""Lines of the mapping files that match nobody and nothing in the data of the last build, each with what is nearest.

A build notes the same lines in `connect.lines_without_effect`. The files of now are compared here, which may be others
than those of the last build, and the nearest match is told; `test_mapping_files.py` tries both on the same lines.
Nothing of a line about a person is repeated, and an e-mail address is never named: what is near may be an id.
"""

from __future__ import annotations

import difflib
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from coursera_connect.errors import ConnectError
from coursera_connect.setup import items as gradebook
from coursera_connect.setup import mapping
from coursera_connect.setup.mapping import Problem
from coursera_connect.text import lower, one_line, plural
from coursera_connect.warehouse import warehouse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from coursera_connect.setup.mapping_rules import Line
    from coursera_connect.warehouse.warehouse import Location, Warehouse

NOT_EXCLUDED = f"{mapping.EXCLUDED}.csv"
"""The file whose unmatched lines mean that somebody is in the package who should not be."""

_NEAR = 0.6
_HINTS = 20
"""Lines for which the nearest match is looked for, since that takes a second for each among 100,000 learners."""
_REWRITTEN = re.compile(r"(\d+)(?:[.,](\d+))?[eE]\+?(\d+)")
"""A number as a spreadsheet writes it that took an id for one."""
_WITHOUT_ACCOUNT = re.compile("^external[0-9]*~")
"""What the key of a person without an account begins with, before the external id."""

_EXACT = {
    "connect": {
        "person_names": {"name", "person_key"},
        "classes": {"program_id", "course_id"},
        "settings_used": {"calendar"},
        "freshness": {"sessions_begin_before"},
    },
    "staging": {
        "stg_coursera__programs": {"program_id", "program_name"},
        "stg_coursera__item_grades": {"program_id", "course_id", "item_id", "item_name"},
    },
}


def of(database: Location, wait: float, folder: Path) -> list[Problem]:
    """Return the lines that match nothing; none where there is no build yet to compare them with, or no folder."""
    if not folder.is_dir() or not warehouse.exists(database):
        return []
    with suppress(ConnectError), warehouse.opened(database, wait) as opened:
        return within(opened, folder)
    return []


def within(database: Warehouse, folder: Path) -> list[Problem]:
    """The same, with a warehouse that is open."""
    data = _Data(database)
    found: list[Problem] = []
    for name, wrong in (
        (mapping.EXCLUDED, data.learners),
        (mapping.SCHOOLS, data.programs),
        (mapping.FACILITATORS, data.classes),
        (mapping.SECTIONS, data.seats),
        (mapping.ITEMS, data.items),
        (mapping.TERMS, data.terms),
    ):
        lines = mapping.read(folder, name).lines
        if lines:
            found += [Problem(f"{name}.csv", line.number, sentence) for line, sentence in wrong(lines)]
    return found


def told(problems: list[Problem], most: int = 20) -> dict[str, list[str]]:
    """Return what a publish says: loudly that people may be in the package who were to be left out, and warnings."""
    people = [one for one in problems if one.file == NOT_EXCLUDED]
    others = [one for one in problems if one.file != NOT_EXCLUDED]
    loud, lines = [], [f"Warning: {one}" for one in others[:most]]
    if people:
        several = plural(len(people), "line")
        loud.append(
            f"NOT EXCLUDED: {several} of {NOT_EXCLUDED} matched nobody, so whoever was meant may be in the package. "
            "Correct the file and publish again."
        )
        loud += [f"NOT EXCLUDED: {one}" for one in people[:most]]
    more = max(0, len(people) - most) + max(0, len(others) - most)
    if more:
        lines.append(f"Warning: {plural(more, 'more line')} of the mapping files: connect mapping check")
    return {"not_excluded": loud, "warnings": lines}


class _Data:
    """What the lines are compared with. A table that is not there, or is empty, says nothing about a line."""

    def __init__(self, database: Warehouse) -> None:
        self._database = database
        self._columns = {schema: database.columns(schema) for schema in _EXACT}
        self._hints = _HINTS

    def _rows(self, schema: str, table: str) -> Iterator[tuple[str, ...]]:
        names = sorted(_EXACT[schema][table])
        if set(names) <= set(self._columns[schema].get(table, ())):
            query = f"select distinct {', '.join(names)} from {schema}.{table}"  # noqa: S608 - names of ours
            yield from self._database.rows(query)

    def _learners(self) -> dict[str, str]:
        return {row[0]: row[1] for row in self._rows("connect", "person_names")}

    def learners(self, lines: Iterable[Line]) -> Iterator[tuple[Line, str]]:
        """Lines of excluded_people.csv."""
        names = self._learners()
        for line in lines if names else ():
            if lower(line.cells["learner"]) not in names:
                near = self._near_learner(line.cells["learner"], names)
                yield line, f"learner matches nobody in the data, so nobody is left out by this line{near}."

    def programs(self, lines: Iterable[Line]) -> Iterator[tuple[Line, str]]:
        """Lines of school_mapping.csv."""
        names = {program: name or "" for program, name in self._rows("staging", "stg_coursera__programs")}
        for line in lines if names else ():
            if line.cells["school_id"] and (program := line.cells["program_id"]) not in names:
                near = self._near(program, names)
                yield line, f"Coursera has no program {program}, so this line has no effect{near}."

    def classes(self, lines: Iterable[Line]) -> Iterator[tuple[Line, str]]:
        """Lines of facilitators.csv."""
        # In the order of their names: course_id, program_id
        there = {(program, course) for course, program in self._rows("connect", "classes")}
        for line in lines if there else ():
            if sentence := self._no_class(line, there):
                yield line, sentence

    def seats(self, lines: Iterable[Line]) -> Iterator[tuple[Line, str]]:
        """Lines of sections.csv."""
        yield from self.classes(lines)
        names = self._learners()
        for line in lines if names else ():
            if lower(line.cells["learner"]) not in names:
                near = self._near_learner(line.cells["learner"], names)
                yield line, f"learner matches nobody in the data, so this line has no effect{near}."

    def items(self, lines: Iterable[Line]) -> Iterator[tuple[Line, str]]:
        """Lines of chosen_items.csv."""
        there = [
            gradebook.Item(program, "", course, "", "", item, one_line(name or "") or item, "", None, 0)
            for course, item, name, program in self._rows("staging", "stg_coursera__item_grades")
        ]
        for line in lines if there else ():
            choice = gradebook.Choice(line.cells["program_id"], line.cells["course_id"], line.cells["item"])
            if any(gradebook.chooses(choice, item) for item in there):
                continue
            there_as_well = {(item.program_id, item.course_id) for item in there}
            sentence = self._no_class(line, there_as_well)
            if not sentence:
                names = {
                    name: ""
                    for item in there
                    if gradebook.chooses(gradebook.Choice(choice.program_id, choice.course_id, "*"), item)
                    for name in (item.item_id, item.name)
                }
                sentence = (
                    f"no item is called {choice.item}, so this line has no effect{self._near(choice.item, names)}."
                )
            yield line, sentence

    def terms(self, lines: Iterable[Line]) -> Iterator[tuple[Line, str]]:
        """Lines of terms.csv."""
        days = [str(row[0]) for row in self._rows("connect", "freshness") if row[0]]
        if days and ("terms",) in self._rows("connect", "settings_used"):
            for line in lines:
                if line.cells["starts_on"] >= days[0]:
                    yield line, f"there is no session of this term yet: it has to begin before {days[0]}."

    def _no_class(self, line: Line, there: set[tuple[str, str]]) -> str:
        """Say that a line's program and course are no class of those that are there; nothing where they are one."""
        program, course = line.cells["program_id"], line.cells["course_id"]
        if any(program in {"", one} and course in {"", other} for one, other in there):
            return ""
        programs, courses = ({pair[at]: "" for pair in there} for at in (0, 1))
        if program and program not in programs:
            return (
                f"there is no class in a program {program}, so this line has no effect{self._near(program, programs)}."
            )
        if course and course not in courses:
            return f"there is no class of a course {course}, so this line has no effect{self._near(course, courses)}."
        return f"program {program} has no course {course}, so this line has no effect."

    def _near_learner(self, text: str, names: dict[str, str]) -> str:
        near = self._nearest(lower(text), names)
        if not near:
            return _hint(text, "")
        if "@" not in near:
            return _hint(text, near)
        key = _WITHOUT_ACCOUNT.sub("", names[near])
        return _hint(text, f"an e-mail address, that of {key}" if "@" not in key else "the e-mail address of a learner")

    def _near(self, text: str, names: dict[str, str]) -> str:
        near = self._nearest(text, names)
        name = one_line(names.get(near, ""))
        return _hint(text, f"{near} ({name})" if name else near)

    def _nearest(self, text: str, names: Iterable[str]) -> str:
        if self._hints <= 0:
            return ""
        self._hints -= 1
        numbers = [name for name in names if _same_number(text, name)]
        if len(numbers) == 1:
            return numbers[0]
        near = difflib.get_close_matches(text[:200], names, 1, _NEAR)
        return near[0] if near else ""


def _same_number(text: str, name: str) -> bool:
    """Whether an id is what a spreadsheet may have made the text of: it drops zeros and rounds."""
    if not name.isdecimal():
        return False
    if text.isdecimal():
        return text.lstrip("0") == name.lstrip("0")
    rewritten = _REWRITTEN.fullmatch(text)
    if not rewritten:
        return False
    whole, fraction, exponent = rewritten.group(1), rewritten.group(2) or "", int(rewritten.group(3))
    digits = name.lstrip("0")
    kept = len(whole + fraction)
    if len(digits) != exponent + len(whole) or kept > len(digits):
        return False
    return abs(int(whole + fraction) - int(digits[:kept])) <= 1


def _hint(text: str, near: str) -> str:
    told = f"; the nearest is {near}" if near else ""
    if _REWRITTEN.fullmatch(text):
        told += "; it looks like an id that a spreadsheet took for a number, so format the column as text"
    return told
