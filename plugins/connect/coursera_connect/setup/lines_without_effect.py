"""Lines of the mapping files that match nobody and nothing in the data, each with what is nearest.

A build finds these lines (`connect.lines_without_effect`), and this module says in words what is wrong with each. A
file that has changed since the build is left out. Nothing of a line about a person is repeated, and an e-mail address
is never named: what is near may be an id.
"""

from __future__ import annotations

import difflib
import re
from contextlib import suppress
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from coursera_connect.errors import ConnectError
from coursera_connect.setup import mapping, outdated, programs
from coursera_connect.setup.mapping import Problem
from coursera_connect.text import lower, one_line, plural
from coursera_connect.warehouse import warehouse

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from coursera_connect.setup.mapping_rules import Line
    from coursera_connect.warehouse.warehouse import Location, Warehouse

NOT_EXCLUDED = f"{mapping.EXCLUDED}.csv"
"""The file whose unmatched lines mean that somebody is in the package who should not be."""

_FOUND = ("file", "line_number", "unmatched")
_NEAR = 0.6
_HINTS = 20
"""How many lines get a nearest match, since each takes a second among 100,000 learners."""
_REWRITTEN = re.compile(r"(\d+)(?:[.,](\d+))?[eE]\+?(\d+)")
"""A number as a spreadsheet writes it that took an id for one."""


def of(database: Location, wait: float, folder: Path) -> list[Problem]:
    """Return the lines that match nothing; none if there is no build, or no folder."""
    if not folder.is_dir() or not warehouse.exists(database):
        return []
    with suppress(ConnectError), warehouse.opened(database, wait) as opened:
        return within(opened, folder)
    return []


def within(database: Warehouse, folder: Path) -> list[Problem]:
    """Return the lines that match nothing, as `of` does, from an open warehouse."""
    if not set(_FOUND) <= set(database.columns("connect").get("lines_without_effect", ())):
        return []
    query = f"select {', '.join(_FOUND)} from connect.lines_without_effect order by file, line_number"  # noqa: S608 - ours
    names = _Names(database)
    found: list[Problem] = []
    for file, rows in groupby(list(database.rows(query)), itemgetter(0)):
        content = mapping.read(folder, file.removesuffix(".csv"))
        if not outdated.is_changed(database, content):
            lines = {line.number: line for line in content.lines}
            found += [
                Problem(file, number, names.sentence(file, lines[number], unmatched))
                for _, number, unmatched in rows
                if number in lines
            ]
    return found


def messages(problems: list[Problem], most: int = 20) -> dict[str, list[str]]:
    """Return the messages of a publish: `not_excluded` (people who may be in the package by mistake), and `warnings`.

    At most `most` lines of each kind are listed.
    """
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


class _Names:
    """The names in the data, among which the nearest one to a mistyped one is looked for."""

    def __init__(self, database: Warehouse) -> None:
        self._database = database
        self._hints = _HINTS

    def _rows(self, table: str, *columns: str) -> list[tuple[str, ...]]:
        return list(self._database.rows(f"select distinct {', '.join(columns)} from {table}"))  # noqa: S608 - names of ours

    @cached_property
    def _learners(self) -> dict[str, str]:
        return {row[0]: row[1] for row in self._rows("connect.person_names", "name", "person_id")}

    @cached_property
    def _programs(self) -> dict[str, str]:
        return programs.newest(self._database)

    @cached_property
    def _classes(self) -> set[tuple[str, ...]]:
        return set(self._rows("connect.classes", "program_id", "course_id"))

    @cached_property
    def _items(self) -> list[tuple[str, ...]]:
        return self._rows("staging.stg_coursera__item_grades", "program_id", "course_id", "item_id", "item_name")

    def sentence(self, file: str, line: Line, unmatched: str) -> str:
        """Return what is wrong with a line that matches nothing of a kind: learner, program, class, item or session."""
        cells = line.cells
        if unmatched == "learner":
            what = "nobody is left out by this line" if file == NOT_EXCLUDED else "this line has no effect"
            return f"learner matches nobody in the data, so {what}{self._near_learner(cells['learner'])}."
        if unmatched == "program":
            program = cells["program_id"]
            return (
                f"Coursera has no program {program}, so this line has no effect{self._near(program, self._programs)}."
            )
        if unmatched == "class":
            return self._no_class(line, self._classes) or "there is no such class, so this line has no effect."
        if unmatched == "item":
            return self._no_class(line, {row[:2] for row in self._items}) or self._no_item(line)
        return "there is no session of this term yet, since it begins too late for one."

    def _no_item(self, line: Line) -> str:
        item = line.cells["item"]
        names = {
            text: ""
            for program, course, key, name in self._items
            if line.cells["program_id"] in {"", program} and line.cells["course_id"] in {"", course}
            for text in (key, one_line(name or "") or key)
        }
        return f"no item is called {item}, so this line has no effect{self._near(item, names)}."

    def _no_class(self, line: Line, there: set[tuple[str, ...]]) -> str:
        """Return why the program and course of a line are none of these pairs; blank if they are one."""
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

    def _near_learner(self, text: str) -> str:
        near = self._nearest(lower(text), self._learners)
        if not near:
            return _hint(text, "")
        if "@" not in near:
            return _hint(text, near)
        person = self._learners[near]
        is_named = "@" not in person
        return _hint(text, f"an e-mail address, that of {person}" if is_named else "the e-mail address of a learner")

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
    """Return whether an id is what a spreadsheet may have made the text of: it drops zeros and rounds."""
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
    hint = f"; the nearest is {near}" if near else ""
    if _REWRITTEN.fullmatch(text):
        hint += "; it looks like an id that a spreadsheet took for a number, so format the column as text"
    return hint
