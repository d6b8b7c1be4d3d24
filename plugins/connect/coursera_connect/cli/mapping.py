"""`connect mapping`: checks of the mapping files."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from coursera_connect.cli import options, terminal
from coursera_connect.setup import mapping_check
from coursera_connect.text import plural

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_connect.setup.mapping import Problem
    from coursera_connect.warehouse.warehouse import Location


@click.group("mapping", short_help="Check the mapping files.")
def mapping_files() -> None:
    """Check the mapping files, which are CSV and may be edited by hand."""


@mapping_files.command("check", short_help="Check all mapping files.")
@options.together(options.mapping, options.built_with, options.database, options.wait, options.json_flag)
def check_all(mapping: Path, transform: Path | None, database: Location, wait: float, as_json: bool) -> None:
    """Check all mapping files: every mistake with its file and line. A publish is refused while there is one.

    The files are school_mapping, chosen_items, facilitators, sections, excluded_people and terms (.csv). A line about a
    program that is not mapped, and one that matches nobody and nothing in the data, is in order and has no effect; it
    is shown as a warning, with what is nearest. If a file has changed since the last build, that takes a trial build.

    \b
    Example:
      connect mapping check
      terms.csv, line 3: ends_before is not after starts_on: it is the first day that is no longer in the term.

    \b
    Exit codes: 0 in order
                1 something is wrong
                2 there is no such folder, or a file cannot be read
    """  # noqa: D301 - the escape is what keeps the lines apart
    found = mapping_check.check(mapping, database, wait, transform)
    report_problems(found.problems, found.warnings, "The mapping files", as_json)


def report_problems(problems: list[Problem], doubts: list[Problem], what: str, as_json: bool) -> None:
    """Print what a check found, and end with exit code 1 when something is wrong."""
    if as_json:
        click.echo(
            json.dumps({"problems": [asdict(one) for one in problems], "warnings": [asdict(one) for one in doubts]})
        )
    else:
        for one in problems:
            terminal.say(str(one))
        for one in doubts:
            terminal.say(f"Warning: {one}")
        verb = "is" if what.endswith(".csv") else "are"
        terminal.say(plural(len(problems), "problem") + "." if problems else f"{what} {verb} in order.")
    if problems:
        click.get_current_context().exit(1)
