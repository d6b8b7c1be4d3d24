"""`connect summary` and `connect history`: what the last runs did."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from coursera_connect.cli import options, screen, terminal
from coursera_connect.errors import DatabaseError
from coursera_connect.jobs import health, journal
from coursera_connect.report.summary import summary as run_summary
from coursera_connect.warehouse import copy_to_postgres
from coursera_connect.warehouse import history as past

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_connect.warehouse.warehouse import Location


@click.command(short_help="Show what the last run left.")
@options.together(
    options.database,
    options.package,
    options.wait,
    options.raw_schema,
    options.json_flag,
)
def summary(as_json: bool, database: Location, package: Path, raw_schema: str, wait: float) -> None:
    """Show whether the last load and publish went well, and what they left: rows per stream, and the package.

    \b
    Exit codes: 0 nothing has failed since it last went well
                1 a load or a publish failed, and none has succeeded since; the first line says which, and why
                2 an option is wrong
                3 the database is in use or cannot be read
    """  # noqa: D301 - the escape is what keeps the lines apart
    try:
        facts = run_summary(database, package, raw_schema, wait)
    except DatabaseError:
        failed = health.failure(journal.read(journal.place(package)))
        if failed is not None and not as_json:  # the cause comes before what cannot be shown
            screen.failed(health.described(failed))
        raise
    if as_json:
        click.echo(json.dumps(facts))
    else:
        screen.summary(facts)
    if facts["failed"]:
        sys.exit(1)


@click.group(invoke_without_command=True, short_help="Show the runs, one of them, or a row over time.")
@options.together(options.database, options.package, options.wait, options.json_flag)
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many runs to show.")
@click.pass_context
def history(  # noqa: PLR0913, PLR0917 - a parameter per option
    context: click.Context, as_json: bool, database: Location, package: Path, wait: float, last: int
) -> None:
    """Show the runs, newest first: who started which job, how it ended and why, and what its publish moved.

    A run that came to no publish has no number: it failed before, or was killed.

    \b
    Examples:
      connect history
      connect history show 12
      connect history record user.AbC123               a learner: own row, classes and grades over time
      connect history record class.Prog1.Course1
      connect history record ana@college.example       also by e-mail, user name or identifier
    """  # noqa: D301 - the escape is what keeps the lines apart
    context.obj = {"where": {"database": database, "wait": wait}, "json": as_json}
    if context.invoked_subcommand is None:
        found = past.overview(database, package, wait, last)
        if found.caution:
            terminal.say(found.caution, err=True)
        _show({"runs": found.runs, "jobs": found.jobs}, as_json, screen.runs)


@history.command(short_help="One run per file and school.")
@click.argument("run", type=int)
@options.json_flag
@click.pass_obj
def show(above: dict[str, Any], run: int, as_json: bool) -> None:
    """Show a run: what happened per file and school, what was held, what was blocked and why, what was wrong."""
    _show(past.show(run=run, **above["where"]), as_json or above["json"], screen.run)


@history.command(short_help="From a DuckDB file into PostgreSQL.")
@click.argument("file", type=options.PATH)
@options.json_flag
@click.pass_obj
def move(above: dict[str, Any], file: Path, as_json: bool) -> None:
    """Copy the ledger, and what the transforms remember, from a DuckDB file into a new PostgreSQL database.

    Before the first run there: its first publish is then compared with the last one from the file. The file stays.
    """
    moved = {"moved": copy_to_postgres.move(file, **above["where"])}
    _show(moved, as_json or above["json"], screen.moved)


@history.command(short_help="A learner, class or any other row over time.")
@click.argument("id")
@options.json_flag
@click.pass_obj
def record(above: dict[str, Any], id: str, as_json: bool) -> None:  # noqa: A002 - the argument's name in the help
    """Show what became of a row and of all that belongs to it. This shows names and grades as they were published."""
    found = {"events": past.record(sourced_id=id, **above["where"])}
    _show(found, as_json or above["json"], screen.record)


def _show(found: Any, as_json: bool, show_it: Any) -> None:
    if as_json:
        click.echo(json.dumps(found))
    else:
        show_it(found)
