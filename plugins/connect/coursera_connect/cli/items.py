"""`connect items`: which items become columns of the gradebook."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from coursera_connect.cli import options, screen, terminal
from coursera_connect.command_text import carried
from coursera_connect.errors import UsageError
from coursera_connect.setup import items as gradebook
from coursera_connect.setup import mapping as files
from coursera_connect.setup.grade_sync import SELECTED, in_use
from coursera_connect.text import found, plural
from coursera_connect.warehouse import trial_build

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from coursera_connect.setup.items import Choice, Item
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
    choices = gradebook.choices(files.sound(mapping, files.ITEMS))
    everything = gradebook.gradable(database, wait)
    scope = _scope(everything, program, course)
    shown = [
        (item, choice)
        for item in everything
        if gradebook.chooses(scope, item) and ((choice := gradebook.chosen_by(choices, item)) or not only_chosen)
    ]
    number = sum(choice is not None for _item, choice in shown)
    mode, caution = in_use(database, wait), trial_build.caution(database, wait, mapping, transform)
    if as_json:
        entries = [asdict(item) | {"chosen_by_line": choice and choice.line} for item, choice in shown]
        click.echo(json.dumps({"items": entries, "chosen": number, "grade_sync": mode, "caution": caution}))
        return
    if shown:
        terminal.table(
            ("program", "course", "module", "item", "name", "type", "weight", "graded", "chosen"),
            [(*_cells(item), f"line {choice.line}" if choice else "") for item, choice in shown],
        )
        terminal.say()
    terminal.say(f"{plural(len(shown), 'item')}, {number:,} chosen.")
    if caution:
        terminal.say(caution)
    else:
        _tell_mode(mode)


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
    content = files.sound(mapping, files.ITEMS)
    choices, everything = gradebook.choices(content), gradebook.gradable(database, wait)
    choice = _wanted(everything, pattern, program, course)
    after = choices if choice.key in {one.key for one in choices} else [*choices, choice]
    concerned = [item for item in everything if gradebook.chooses(choice, item)]
    warnings = []
    if not concerned:
        warnings.append(
            f"No item of the last load is {pattern}: connect items list shows what there is. The line counts as "
            "soon as there is one."
        )
    _finish(content, after if after != choices else None, concerned, warnings, (database, wait), save, as_json)


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
    content = files.sound(mapping, files.ITEMS)
    choices, everything = gradebook.choices(content), gradebook.gradable(database, wait)
    choice = _wanted(everything, pattern, program, course)
    after = [one for one in choices if one.key != choice.key]
    if after == choices:
        raise UsageError(_not_chosen(choice, choices, everything))
    concerned = [
        item for item in everything if gradebook.chooses(choice, item) and not gradebook.chosen_by(after, item)
    ]
    warnings = [] if after else ["Nothing is chosen any more: with granular_selected, no item would be synced."]
    _finish(content, after, concerned, warnings, (database, wait), save, as_json)


def _scope(everything: Sequence[Item], program: str, course: str) -> Choice:
    """All items of a program and a course."""
    programs = {item.program_id: item.program_name for item in everything}
    courses = {item.course_id: item.course_name for item in everything}
    return gradebook.Choice(
        found(program, programs, "program", "it has no gradable items") if program else "",
        found(course, courses, "course", "it has no gradable items") if course else "",
        "*",
    )


def _wanted(everything: Sequence[Item], pattern: str, program: str, course: str) -> Choice:
    if not pattern.strip():
        raise UsageError("The pattern is blank: give the id or name of an item, or * for all of them.")
    scope = _scope(everything, program, course)
    return gradebook.Choice(scope.program_id, scope.course_id, pattern.strip())


def _not_chosen(choice: Choice, choices: Sequence[Choice], everything: Sequence[Item]) -> str:
    lines = {
        by.line: by.item
        for item in everything
        if gradebook.chooses(choice, item) and (by := gradebook.chosen_by(choices, item))
    }
    if lines:
        named = ", ".join(f"{pattern} (line {line})" for line, pattern in sorted(lines.items()))
        return (
            f"No line of {files.ITEMS}.csv is {choice.item} there; what it means is chosen by {named}: name that one."
        )
    return f"No line of {files.ITEMS}.csv is {choice.item} there: connect items list --chosen shows what is chosen."


def _finish(  # noqa: PLR0913, PLR0917 - what the two verbs have in common
    content: files.Content,
    after: Sequence[Choice] | None,
    concerned: Sequence[Item],
    warnings: Sequence[str],
    where: tuple[Location, float],
    save: bool,
    as_json: bool,
) -> None:
    """Show which items a change is about, and write the file when it is to be saved; None is: it changes nothing."""
    mode = in_use(*where)
    saved = save and after is not None
    if not as_json:
        if concerned:
            headings = ("program", "course", "module", "item", "name", "type", "weight", "graded")
            terminal.table(headings, [_cells(item) for item in concerned])
            terminal.say()
        terminal.say(f"{plural(len(concerned), 'item')}.")
        for warning in warnings:
            terminal.say(f"Warning: {warning}")
    if saved and after is not None:
        files.save(content, [(one.program_id, one.course_id, one.item) for one in after], where[1])
    if as_json:
        facts = {"file": str(content.path), "saved": saved, "changed": after is not None, "grade_sync": mode}
        click.echo(json.dumps(facts | {"items": [asdict(item) for item in concerned], "warnings": list(warnings)}))
        return
    if saved:
        terminal.say(f"Saved {screen.near(content.path)}. The next run brings it into effect.")
    elif after is None:
        terminal.say("Chosen already: nothing to change.")
    else:
        terminal.say(f"Nothing is written yet: run it again with --save to write {screen.near(content.path)}.")
    _tell_mode(mode)


def _tell_mode(mode: str | None) -> None:
    if mode not in {None, SELECTED}:
        terminal.say(
            carried(f"The grade sync is {mode}, so the choice has no effect yet: connect grades change {SELECTED}")
        )


def _cells(item: Item) -> tuple[object, ...]:
    weight = "" if item.weight is None else f"{item.weight:g} %"
    return item.program_name, item.course_name, item.module, item.item_id, item.name, item.type, weight, item.graded
