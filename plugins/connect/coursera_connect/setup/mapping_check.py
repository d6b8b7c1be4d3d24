"""Checks the mapping files: what is wrong with them, and which lines have no effect."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coursera_connect.errors import DatabaseError
from coursera_connect.setup import lines_without_effect, mapping, trial_build
from coursera_connect.warehouse import warehouse

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_connect.setup.mapping import Problem
    from coursera_connect.warehouse.warehouse import Location


@dataclass(frozen=True)
class Checked:
    """What a check found, by file and line."""

    problems: list[Problem]
    warnings: list[Problem]


def check(folder: Path, database: Location, wait: float, transform: Path | None) -> Checked:
    """Check all mapping files; lines that match nothing are found only after a first build.

    If a file has changed since the last build, a trial build finds these lines, unless a file is wrong.

    Raises:
        UsageError: There is no such folder, or a file cannot be read.
    """
    problems, warnings = mapping.problems(folder), mapping.doubts(folder)
    if not problems and warehouse.exists(database):
        with suppress(DatabaseError), trial_build.known(database, wait, folder, transform) as (place, _caution):
            warnings += lines_without_effect.of(place, wait, folder)
    return Checked(problems, sorted(warnings, key=lambda one: (one.file, one.line)))
