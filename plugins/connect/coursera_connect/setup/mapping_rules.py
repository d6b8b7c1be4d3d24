"""The rules of the mapping files, which are data: mapping.yml of the dbt project, of which this folder has a link.

dbt runs the tests in that file when it builds. `connect` applies the same tests to a file that was not built yet, and
says in which line what is wrong: the `description` of a test is its sentence. No sentence about a file repeats what the
file says about a person.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import yaml

from coursera_connect.text import lower

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_FOLDED = re.compile(r"lower\((\w+)\)")
"""A column in whose values letter case does not count, as the tests write it."""
_PERSONAL = frozenset({"learner", "facilitator_id"})
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Line:
    """A row by column, and the line of the file at which it begins."""

    number: int
    cells: Mapping[str, str]


@dataclass
class Rules:
    """The rules of one mapping file; a column in a tuple may be `lower(column)`."""

    columns: tuple[str, ...]
    key: tuple[str, ...]
    """The columns that together say what a row is about."""
    is_unique: bool = False
    """Whether a key may occur only once; in other files a repeated row is harmless."""
    required: list[str] = field(default_factory=list)
    longest: dict[str, int] = field(default_factory=dict)
    """The most characters of a cell by column."""
    together: list[tuple[list[str], str]] = field(default_factory=list)
    """Columns of which all are blank or none, and the sentence for others."""
    patterns: list[tuple[str, re.Pattern[str], str]] = field(default_factory=list)
    """A column, the pattern of its values, and the sentence for others."""
    orders: list[tuple[str, str, str]] = field(default_factory=list)
    """Two columns of which the first has to be less, and the sentence for others."""
    agreements: list[tuple[list[str], list[str]]] = field(default_factory=list)
    """Rows that are equal in the first columns have to be equal in the second ones."""

    def add(self, kind: str, arguments: Mapping[str, Any], sentence: str) -> None:
        """Take a test of mapping.yml; one of a kind that is not known here is an error, so that no rule is dbt's alone.

        Raises:
            ValueError: The kind is not known.
        """
        match kind:
            case "unique_together":
                self.is_unique = True
                self.required += arguments["columns"]
            case "filled":
                self.required += arguments["columns"]
            case "not_too_long":
                self.longest = arguments["longest"]
            case "together":
                self.together.append((arguments["columns"], sentence))
            case "matches":
                self.patterns.append((arguments["column_name"], re.compile(arguments["pattern"]), sentence))
            case "before" if not arguments["may_be_equal"]:
                self.orders.append((arguments["column_name"], arguments["later"], sentence))
            case "one_value":
                self.agreements.append((arguments["within"], arguments["of"]))
            case _:
                raise ValueError(kind)

    def wrong_header(self, row: Sequence[str]) -> str:
        """Return what is wrong with the first row of a file; blank if nothing is."""
        if sorted(row) == sorted(self.columns):
            return ""
        wanted = f"the first line has to be {','.join(self.columns)}"
        if len(row) == 1 and (";" in row[0] or "\t" in row[0]):
            return f"the cells are not parted by commas: save the file as `CSV UTF-8` with commas; {wanted}"
        if not set(row) & set(self.columns):
            return f"the header is missing: {wanted}"  # what is there instead may be about people
        unknown = [name for name in row if name not in self.columns]
        missing = [name for name in self.columns if name not in row]
        why = []
        if unknown:
            why.append(f"no column is called {', '.join(name or '(blank)' for name in unknown)}")
        if missing:
            why.append(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
        return f"{'; '.join(why) or 'a column is repeated'}: {wanted}"

    def wrong_cells(self, row: Sequence[str], header: Sequence[str]) -> Iterator[str]:
        """Yield what is wrong with a row by itself."""
        if len(row) != len(header):
            cells = f"{len(row)} cell{'' if len(row) == 1 else 's'}"
            yield f"{cells} instead of {len(header)} ({','.join(header)}): put a text with a comma in quotes."
            return
        cells_by_name = dict(zip(header, row, strict=True))
        blank = [name for name in self.required if not cells_by_name[name]]
        yield from (f"{name} is blank: fill it in, or remove the line." for name in blank)
        for name, cell in cells_by_name.items():
            longest = self.longest.get(name, len(cell))
            if len(cell) > longest:
                yield f"{name} has {len(cell):,} letters: {longest:,} at most can be used, so shorten it."
            if _CONTROL.search(cell):
                yield f"{name} has a character in it that is no text: type it anew."
        if not blank:
            yield from list(self._wrong_values(cells_by_name))[:1]

    def _wrong_values(self, cells: Mapping[str, str]) -> Iterator[str]:
        for names, sentence in self.together:
            blank = [name for name in names if not cells[name]]
            if 0 < len(blank) < len(names):
                yield f"{', '.join(blank)} is blank: {sentence}"
        yield from (why for name, pattern, why in self.patterns if cells[name] and not pattern.fullmatch(cells[name]))
        yield from (why for name, later, why in self.orders if cells[name] >= cells[later])

    def repeated(self, lines: Sequence[Line]) -> Iterator[tuple[int, str]]:
        """Yield the line and a sentence for each row whose key an earlier row has."""
        seen: dict[tuple[str, ...], int] = {}
        for line in lines:
            first = seen.setdefault(_values(line, self.key), line.number)
            if first != line.number:
                same = _described(line, self.key)
                yield line.number, f"the same {same} is already on line {first}: keep one of them."

    def contradictions(self, lines: Sequence[Line]) -> Iterator[tuple[int, str]]:
        """Yield the line and a sentence for each value in which a row contradicts an earlier one."""
        for names, others in self.agreements:
            known: dict[tuple[str, ...], Line] = {}
            for line in lines:
                earlier = known.setdefault(_values(line, names), line)
                for other in others:
                    if line.cells[other] != earlier.cells[other]:
                        what = f"{_described(line, names)} has another {other} here than on line {earlier.number}"
                        yield line.number, f"{what}: write the same on both."


@cache
def of(name: str) -> Rules:
    """Return the rules of a mapping file, by its name without `.csv`."""
    return _all()[name]


@cache
def _all() -> dict[str, Rules]:
    text = (resources.files("coursera_connect") / "setup" / "mapping.yml").read_text("utf-8")
    found = {}
    for seed in yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))["seeds"]:  # noqa: S506 - safe
        rules = Rules(tuple(seed["config"]["column_types"]), tuple(seed["config"]["meta"]["key"]))
        for test in seed["data_tests"]:
            for kind, said in test.items():
                rules.add(kind, said["arguments"], said.get("description", ""))
        found[seed["name"]] = rules
    return found


def _values(line: Line, names: Sequence[str]) -> tuple[str, ...]:
    """Return the values by which two rows are about the same."""
    return tuple(
        lower(line.cells[folded[1]]) if (folded := _FOLDED.fullmatch(name)) else line.cells[name] for name in names
    )


def _described(line: Line, names: Sequence[str]) -> str:
    """Return what a row is about; for a person only the name of the column."""
    columns = [_FOLDED.sub(r"\1", name) for name in names]
    return ", ".join(name if name in _PERSONAL else f"{name} {line.cells[name] or '(any)'}" for name in columns)
