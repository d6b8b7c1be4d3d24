"""Tables on standard output: folded to fit on a terminal, one line per row everywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from coursera_connect.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ENDLESS = 10_000
_WIDE = 160


def console(width: int = _WIDE, *, stderr: bool = False) -> Console:
    """Return a console that takes names as they are; `width` is for what is no terminal, where rich supposes 80."""
    found = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if found.is_terminal:
        return found
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)


def show(headings: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print a table; numbers are to the right, and nothing in a name is taken for markup or codes of a terminal."""
    cells = [list(row) for row in rows]
    table = Table(box=None, pad_edge=False, title=Text(title, style="bold") if title else None, title_justify="left")
    for index, heading in enumerate(headings):
        numbers = bool(cells) and all(isinstance(row[index], int) for row in cells)
        table.add_column(heading, justify="right" if numbers else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(f"{cell:,}" if isinstance(cell, int) else one_line(str(cell))) for cell in row))
    console(_ENDLESS).print(table)
