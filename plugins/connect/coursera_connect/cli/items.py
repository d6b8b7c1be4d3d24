"""`connect items`: which items become columns of the gradebook."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from coursera_connect.cli import options, screen, terminal
from coursera_connect.command_text import carried
from coursera_connect.setup import item_changes
from coursera_connect.setup.grade_sync import SELECTED
from coursera_connect.setup.item_changes import Wanted
from coursera_connect.text import plural

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_connect.setup.item_changes import ItemChange
    from coursera_connect.setup.items import Item
    from coursera_connect.warehouse.warehouse import Location

_program = click.option("--program", default="", help="Id or name of a program; all when absent.")
_course = click.option("--course", default="", help="Id or name of a course; all when absent.")
_save = click.option("--save", is_flag=True, help="Write chosen_items.csv; without it, only show what would change.")
_shared = options.together(options.mapping, options.database, options.wait, options.json_flag)


@click.group(short_help="Choose the items of the grade sync granular_selected.")
def items() -> None:
    """Show the gradable items of the last load, and choose those that become columns of the gradebook.

    The choice is chosen_items.csv in the folder of mapping files, free to be edited by hand; it counts while the grade
    sync is granular_selected (connect grades). Nothing is written without --save.

    \b
    Example:
      connect items list --course "Machine Learning"
      connect items choose "Final exam*" --save
      connect items choose "Quiz 3" --program "Data Science" --course "Machine Learning" --save
      connect items list --chosen
    """  # noqa: D301 - the escape is what keeps the lines apart


@items.command("list", short_help="Show what can be chosen.")
@_program
@_course
@click.option("--chosen", "only_chosen", is_flag=True, help="Show only what is chosen.")
@options.built_with
@_shared
def list_(  # noqa: PLR0913 - one value per option
    *,
    program: str,
    course: str,
    only_chosen: bool,
    transform: Path | None,
    mapping: Path,
    database: Location,
    wait: float,
    as_json: bool,
) -> None:
    """Show every item with a weight or a grade, how many learners have a grade, and whether it is chosen.

    \b
    Example:
      connect items list --program "Data Science"

    \b
    Exit codes: 0 shown
                2 a name or chosen_items.csv is wrong
                3 the warehouse is missing, in use, or holds no gradebook yet
    """  # noqa: D301 - the escape is what keeps the lines apart
    within = Wanted("*", program, course)
    found = item_changes.listed(mapping, database, wait, transform, within, only_chosen=only_chosen)
    if as_json:
        click.echo(json.dumps(found.facts()))
        return
    if found.entries:
        terminal.table(
            ("program", "course", "module", "item", "name", "type", "weight", "graded", "chosen"),
            [(*_cells(item), f"line {choice.line}" if choice else "") for item, choice in found.entries],
        )
        terminal.say()
    terminal.say(f"{plural(len(found.entries), 'item')}, {found.chosen:,} chosen.")
    if found.caution:
        terminal.say(found.caution)
    else:
        _show_mode(found.grade_sync)


@items.command(short_help="Choose items.")
@click.argument("pattern")
@_program
@_course
@_save
@_shared
def choose(  # noqa: PLR0913, PLR0917 - one value per option
    pattern: str, program: str, course: str, save: bool, mapping: Path, database: Location, wait: float, as_json: bool
) -> None:
    """Choose the items whose id or name is PATTERN, in any letter case; `*` stands for anything.

    \b
    Example:
      connect items choose "Final exam*"                           see which items that are
      connect items choose "Final exam*" --save                    in every program and course
      connect items choose "*" --course "Machine Learning" --save  all of a course

    \b
    Exit codes: 0 done, or shown what would be done
                2 a name or chosen_items.csv is wrong
                3 the warehouse is missing, in use, or holds no gradebook yet
                4 chosen_items.csv cannot be written
                7 chosen_items.csv was changed by somebody else meanwhile
    """  # noqa: D301 - the escape is what keeps the lines apart
    change = item_changes.choose(mapping, database, wait, Wanted(pattern, program, course))
    _finish(change, wait, save, as_json)


@items.command(short_help="Take a choice back.")
@click.argument("pattern")
@_program
@_course
@_save
@_shared
def unchoose(  # noqa: PLR0913, PLR0917 - one value per option
    pattern: str, program: str, course: str, save: bool, mapping: Path, database: Location, wait: float, as_json: bool
) -> None:
    """Take the line of chosen_items.csv with this PATTERN out, and with it the items that no other line chooses.

    PATTERN, --program and --course are those of the line (connect items list --chosen tells its number).

    \b
    Example:
      connect items unchoose "Final exam*" --save

    \b
    Exit codes: as of connect items choose
    """  # noqa: D301 - the escape is what keeps the lines apart
    change = item_changes.unchoose(mapping, database, wait, Wanted(pattern, program, course))
    _finish(change, wait, save, as_json)


def _finish(change: ItemChange, wait: float, save: bool, as_json: bool) -> None:
    """Show which items a change is about, and write the file when it is to be saved."""
    if not as_json:
        if change.concerned:
            headings = ("program", "course", "module", "item", "name", "type", "weight", "graded")
            terminal.table(headings, [_cells(item) for item in change.concerned])
            terminal.say()
        terminal.say(f"{plural(len(change.concerned), 'item')}.")
        for warning in change.warnings:
            terminal.say(f"Warning: {warning}")
    saved = save and change.save(wait)
    file = change.content.path
    if as_json:
        click.echo(json.dumps({"file": str(file), "saved": saved, **change.facts()}))
        return
    if saved:
        terminal.say(f"Saved {screen.near(file)}. The next run brings it into effect.")
    elif change.after is None:
        terminal.say("Chosen already: nothing to change.")
    else:
        terminal.say(f"Nothing is written yet: run it again with --save to write {screen.near(file)}.")
    _show_mode(change.grade_sync)


def _show_mode(mode: str | None) -> None:
    if mode not in {None, SELECTED}:
        terminal.say(
            carried(f"The grade sync is {mode}, so the choice has no effect yet: connect grades change {SELECTED}")
        )


def _cells(item: Item) -> tuple[object, ...]:
    weight = "" if item.weight is None else f"{item.weight:g} %"
    return item.program_name, item.course_name, item.module, item.item_id, item.name, item.type, weight, item.graded
