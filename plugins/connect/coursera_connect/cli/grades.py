"""`connect grades`: how grades are synced, and what leaves when that changes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from coursera_connect import command_text
from coursera_connect.cli import options, terminal
from coursera_connect.setup import grade_changes, grade_sync
from coursera_connect.text import plural

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_connect.setup.grade_changes import GradeChange
    from coursera_connect.warehouse.warehouse import Location

_MODES = "\n".join(f"    {mode:<18} {what}" for mode, what in grade_sync.MODES.items())


@click.group(short_help="Show or change how grades are synced.")
def grades() -> None:
    """Show how grades are synced, and say what a change would take away.

    There is one mode for the whole organisation:

    \b
    MODES

    \b
    Example:
      connect grades show
      connect grades change granular_all          what would leave
      connect grades change granular_all --save   agree to it, and get the command that does it
      connect grades scale 1 --save               agree to scores from 0 to 1
    """  # noqa: D301 - the escape is what keeps the lines apart


grades.help = (grades.help or "").replace("MODES", _MODES.strip())


@grades.command(short_help="Show the mode, and line items and results per school.")
@options.together(options.database, options.wait, options.build_inputs, options.json_flag)
def show(database: Location, wait: float, mapping: Path | None, transform: Path | None, as_json: bool) -> None:
    """Show the mode, and what it makes: line items and results per school.

    \b
    Example:
      connect grades show

    \b
    Exit codes: 0 shown
                2 an option is wrong
                3 the warehouse is missing, in use, or its tables are not of one finished dbt:build
    """  # noqa: D301 - the escape is what keeps the lines apart
    found = grade_changes.present(database, wait, mapping, transform)
    mode = found.mode
    if as_json:
        schools = [asdict(school) for school in found.schools]
        click.echo(json.dumps({"grade_sync": mode, "schools": schools, "caution": found.caution}))
        return
    if found.caution:
        terminal.say(f"{found.caution}\n")
    terminal.say(f"{mode}: {grade_sync.MODES.get(mode, 'not a mode of this release')}." if mode else "Not known yet.")
    _table(found.schools)


@grades.command(short_help="Say what another mode would take away, and agree to it.")
@click.argument("mode")
@click.option("--save", is_flag=True, help="Agree that it leaves; without it, only show what would leave.")
@options.together(options.mapping, options.built_with, options.database, options.wait, options.json_flag)
def change(  # noqa: PLR0913, PLR0917 - one value per option
    mode: str, save: bool, mapping: Path, transform: Path | None, database: Location, wait: float, as_json: bool
) -> None:
    """Say which line items and results would leave if grades were synced by MODE.

    MODE is final, final_incremental, granular_selected or granular_all. With --save, the next publish may let them go,
    which its guards would stop otherwise; the command that sets the mode is printed.

    \b
    Example:
      connect grades change granular_all
      connect grades change granular_all --save

    \b
    Exit codes: 0 done, or shown what would leave
                2 there is no such mode, or chosen_items.csv is wrong
                3 the warehouse is in use or damaged
    """  # noqa: D301 - the escape is what keeps the lines apart
    change = grade_changes.to_mode(database, wait, mapping, transform, mode)
    agreed = save and change.agree()
    if as_json:
        more = {"schools": change.schools_facts(), "warnings": change.warnings, "command": change.command}
        click.echo(json.dumps({**change.facts(), "agreed": agreed, **more}))
        return
    terminal.say(f"Grade sync: {change.before or 'not known yet'} -> {mode} ({grade_sync.MODES[mode]}).")
    _show_leaving(change)
    for warning in change.warnings:
        terminal.say(command_text.carried(f"Warning: {warning}"))
    if change.before == mode:
        terminal.say("That is the mode already.")
    else:
        _show_agreement(change, save=save, agreed=agreed)


@grades.command(short_help="Say what another scale of the scores changes, and agree to it.")
@click.argument("scale")
@click.option("--save", is_flag=True, help="Agree to it; without it, only show what would change.")
@options.together(options.database, options.wait, options.json_flag)
def scale(scale: str, save: bool, database: Location, wait: float, as_json: bool) -> None:
    """Say what changes when 100 % is SCALE, 100 or 1: every score, and the maximum of every line item.

    With --save, the next publish may change them, which its guards would stop otherwise; the command that sets the
    scale is printed.

    \b
    Example:
      connect grades scale 1
      connect grades scale 1 --save

    \b
    Exit codes: 0 done, or shown what would change
                2 there is no such scale
                3 the warehouse is in use or damaged
    """  # noqa: D301 - the escape is what keeps the lines apart
    change = grade_changes.to_scale(database, wait, scale)
    agreed = save and change.agree()
    if as_json:
        click.echo(json.dumps({**change.facts(), "agreed": agreed}))
        return
    terminal.say(f"Score scale: {change.before or 'not known yet'} -> {scale} ({grade_sync.SCALES[scale]}).")
    if change.before == scale:
        terminal.say("That is the scale already.")
        return
    terminal.say(f"{plural(change.line_items, 'line item')} and {plural(change.results, 'result')} would change.")
    _show_agreement(change, save=save, agreed=agreed)


def _show_agreement(change: GradeChange, *, save: bool, agreed: bool) -> None:
    if save:
        terminal.say(f"{'Agreed. ' if agreed else ''}To set it: {change.command}")
    else:
        terminal.say("Nothing is agreed yet: run it again with --save.")


def _show_leaving(change: GradeChange) -> None:
    if change.schools is None:
        terminal.say("Not loaded yet, so nothing would leave.")
    elif change.schools:
        _table(change.schools)
        terminal.say(f"{plural(change.line_items, 'line item')} and {plural(change.results, 'result')} would leave.")
    else:
        terminal.say("No line item and no result would leave.")


def _table(schools: list[grade_sync.School]) -> None:
    rows = [(one.school_sourced_id, one.school_name, one.line_items, one.results) for one in schools]
    terminal.table(("school", "name", "line items", "results"), rows)
