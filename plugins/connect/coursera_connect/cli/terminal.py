"""Prints texts and tables so that they fit the width of a terminal; without a terminal a line stays one line.

On a terminal a text is folded between its words. A row of a table that is too wide gets a second, indented line. No id
is broken, so that it can be copied. A command is broken only if it is longer than a line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
from rich.cells import cell_len, set_cell_size
from rich.console import Console

from coursera_connect.command_text import PRINTED
from coursera_connect.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_ENDLESS = 10_000
_LEAST = 40
"""The least width in columns that is used, even if a terminal reports fewer."""
_BROAD = 24
"""The width up to which a column of a table is not folded."""
_GAP = "  "
_WORDS = re.compile(rf"{PRINTED}|\S+")
_COLUMNS = re.compile(r"( *)(\S.*?) {2,}(\S.*)")


def console(*, stderr: bool = False) -> Console:
    """Return a console without markup, for moving output on a terminal."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def width(*, stderr: bool = False) -> int:
    """Return the columns of the terminal; infinite without one."""
    found = console(stderr=stderr)
    return max(_LEAST, found.width) if found.is_terminal else _ENDLESS


def say(text: str = "", *, err: bool = False) -> None:
    """Print lines, folded to fit on a terminal."""
    click.echo(folded(text, width(stderr=err)), err=err)


def folded(text: str, columns: int) -> str:
    """Return lines of at most so many columns: what follows of a longer one is indented below it."""
    return "\n".join(part for line in text.split("\n") for part in _folded(line, columns))


def _folded(line: str, columns: int) -> list[str]:
    if cell_len(line) <= columns:
        return [line]
    if (found := _COLUMNS.fullmatch(line)) and found[1]:  # a command, and what it is for
        indent = found[1]
        return [*_folded(indent + found[2], columns), *_folded(f"{indent}    {found[3]}", columns)]
    words = line.split()
    indent = line[: len(line) - len(line.lstrip())]
    typed = re.match(PRINTED, line.lstrip())
    if typed and typed.end() == len(line.strip()):  # the shell goes on behind a backslash
        return list(_filled(words, columns - len(" \\"), indent, " \\"))
    room = columns - len(indent)
    small = [word for one in _WORDS.findall(line) for word in ([one] if cell_len(one) <= room else one.split())]
    return list(_filled(small, columns, indent))


def _filled(words: Iterable[str], columns: int, indent: str, end: str = "") -> Iterator[str]:
    line = indent
    for word in words:
        if line.strip() and cell_len(line) + 1 + cell_len(word) > columns:
            yield line + end
            line = f"{indent}  "
        line += f" {word}" if line.strip() else word
    yield line


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", second: int = 0) -> None:
    """Print a table: numbers are to the right, and nothing in a name is taken for codes of a terminal.

    Args:
        headings: Of the columns.
        rows: A cell for each heading; None is blank.
        title: A line above.
        second: The column with which a row's second line begins, where all of them do not fit on one; 0 for where the
            first is full.
    """
    found = [list(row) for row in rows]
    cells = [["" if cell is None else _shown(cell) for cell in row] for row in found]
    right = {at for at in range(len(headings)) if any(isinstance(row[at], int) for row in found)}
    natural = [max(map(cell_len, column)) for column in zip(headings, *cells, strict=True)]
    lines, widths = _laid_out(natural, [_longest(cells, at) for at in range(len(headings))], width(), second)
    if title:
        say(title)
    for row in [list(headings), *cells]:
        for number, columns in enumerate(lines):
            if number and not any(row[at] for at in columns):
                continue
            parts = [_fitted(row[at], widths[at]) for at in columns]
            for deep in range(max(map(len, parts))):
                line = _GAP.join(
                    _padded(part[deep] if deep < len(part) else "", widths[at], at in right)
                    for at, part in zip(columns, parts, strict=True)
                )
                click.echo(f"{'    ' if number else ''}{line}".rstrip())


def _shown(cell: object) -> str:
    return f"{cell:,}" if isinstance(cell, int) else one_line(str(cell))


def _longest(cells: list[list[str]], at: int) -> int:
    """Return the length of the longest word of a column."""
    return max((cell_len(word) for row in cells for word in row[at].split()), default=0)


def _laid_out(
    natural: list[int], longest: list[int], columns: int, second: int
) -> tuple[list[list[int]], dict[int, int]]:
    """Return which columns are on which line of a row, and how wide each is."""
    if sum(natural) + len(_GAP) * (len(natural) - 1) <= columns:
        return [list(range(len(natural)))], dict(enumerate(natural))
    least = [min(wide, max(_BROAD, word)) for wide, word in zip(natural, longest, strict=True)]
    lines: list[list[int]] = []
    for at in range(len(natural)):
        full = bool(lines) and sum(least[one] + len(_GAP) for one in (*lines[-1], at)) > columns - 2
        if not lines or full or at == second > 0:
            lines.append([])
        lines[-1].append(at)
    widths: dict[int, int] = {}
    for number, line in enumerate(lines):
        room = columns - (4 if number else 0) - sum(least[at] + len(_GAP) for at in line) + len(_GAP)
        for at in line:
            more = max(0, min(natural[at] - least[at], room))
            widths[at] = min(least[at] + more, columns - 4)
            room -= more
    return lines, widths


def _fitted(cell: str, columns: int) -> list[str]:
    """Return a cell in lines; a word that is wider than its column is broken."""
    if cell_len(cell) <= columns:
        return [cell]
    found: list[str] = []
    for line in _filled(cell.split(), columns, ""):
        rest = line.strip()
        while cell_len(rest) > columns:
            cut = set_cell_size(rest, columns).rstrip() or rest[:1]
            found.append(cut)
            rest = rest[len(cut) :].lstrip()
        found.append(rest)
    return found


def _padded(cell: str, columns: int, right: bool) -> str:
    blank = " " * (columns - cell_len(cell))
    return blank + cell if right else cell + blank
