"""`connect schools`: programs as schools."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from coursera_connect.cli import mapping as mapping_files
from coursera_connect.cli import options, screen, terminal
from coursera_connect.cli.ids import WithIds
from coursera_connect.command_text import carried
from coursera_connect.errors import UsageError
from coursera_connect.setup import mapping as files
from coursera_connect.setup import school_changes
from coursera_connect.setup import schools as mapped_schools
from coursera_connect.setup.school_changes import Place
from coursera_connect.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from coursera_connect.setup.impact import Counts
    from coursera_connect.setup.school_changes import SchoolChange
    from coursera_connect.setup.schools import Plan, School
    from coursera_connect.warehouse.warehouse import Location

EXIT_CODES = """
    \b
    Exit codes: 0 done, or shown what would be done
                1 Coursera cannot be asked
                2 an option, a name or the mapping file is wrong
                3 the warehouse is in use or damaged
                4 the mapping file cannot be written
                7 refused: run connect test first, or the sentence says what else
"""


def _shared(command: Callable[..., None]) -> Callable[..., None]:
    @wraps(command)
    def called(*, database: Location, package: Path, mapping: Path, wait: float, loaded: bool, **more: Any) -> None:
        command(Place(database, package, mapping, wait, loaded), **more)

    called.__doc__ = (command.__doc__ or "") + EXIT_CODES
    return options.together(
        options.mapping,
        options.database,
        options.package,
        options.wait,
        click.option("--loaded", is_flag=True, help="Take the programs from the last load instead of asking Coursera."),
        options.json_flag,
    )(called)


_save = click.option("--save", is_flag=True, help="Write the mapping file; without it, only show what would change.")


@click.group(short_help="Map programs to schools.")
def schools() -> None:
    """Map Coursera programs to schools: all, some, renamed, or several programs as one school.

    The mapping is school_mapping.csv in the folder of mapping files: versioned, and free to be edited by hand. While no
    program is mapped in it, every program is synced as a school of its own; with the first one, those that are not in
    it are not synced. A program that is left out on purpose is in it without a school. Nothing is written without
    --save.

    \b
    Example:
      connect schools list                               what there is
      connect schools auto --save                        every program as a school of its own
      connect schools rename "Data Science" "School of Data" --save
      connect schools merge "Data Science" Statistics --as "School of Data" --save
      connect schools leave-out "Staff training" --save  not this one, on purpose
    """  # noqa: D301 - the escape is what keeps the lines apart


@schools.command("list", short_help="Show programs and the schools they are mapped to.")
@click.option("--filter", "only", type=click.Choice(list(mapped_schools.STATES)), help="Show only these.")
@_shared
def list_(place: Place, only: str | None, as_json: bool) -> None:
    """Show every program with its school and one of four states.

    \b
    Existing           mapped
    Missing            in Coursera, and nothing is decided about it
    With missing data  mapped earlier, and gone from Coursera
    Left out           not synced, on purpose: connect schools leave-out

    A program whose name in Coursera is another than when it was mapped is marked; the name of its school stays as it
    is. `connect schools map PROGRAM --save` takes note of the new name.

    \b
    Example:
      connect schools list --filter missing
    """  # noqa: D301 - the escape is what keeps the lines apart
    found = school_changes.listed(place)
    counts, everything = found.counts, found.everything
    shown = [entry for entry in found.entries if only in {None, entry.state}]
    if as_json:
        click.echo(
            json.dumps({"programs": [asdict(entry) for entry in shown], "counts": counts, "all_programs": everything})
        )
        return
    if shown:
        headings = ("program", "program name", "school", "school name", "state")
        terminal.table(
            headings,
            [
                (
                    entry.program_id,
                    entry.program_name,
                    entry.school_id,
                    entry.school_name,
                    mapped_schools.STATES[entry.state] + (", renamed in Coursera" if entry.renamed else ""),
                )
                for entry in shown
            ],
        )
        terminal.say()
    terminal.say(", ".join(f"{word} {counts[state]:,}" for state, word in mapped_schools.STATES.items()))
    if everything:
        but = " that are not left out" if counts[mapped_schools.LEFT_OUT] else ""
        terminal.say(f"No program is mapped: all programs{but} are synced, each as a school of its own.")
    elif counts[mapped_schools.MISSING]:
        terminal.say(carried("What is missing is not synced. To add all of it: connect schools auto --save"))


@schools.command(short_help="Map every missing program as a school of its own.")
@_save
@_shared
def auto(place: Place, save: bool, as_json: bool) -> None:
    """Map every program that is Missing as a school of its own, called like the program.

    What is mapped, or left out on purpose, stays as it is.

    \b
    Example:
      connect schools auto          see what would be mapped
      connect schools auto --save   map it
    """  # noqa: D301 - the escape is what keeps the lines apart
    _change(place, save, as_json, lambda plan: plan.auto())


@schools.command("map", cls=WithIds, short_help="Map one program to a school.")
@click.argument("program")
@click.option("--as", "name", metavar="NAME", help="Name of the school; without it, that of the program.")
@click.option("--to", metavar="SCHOOL", help="Id or name of a school that is in the mapping already.")
@_save
@_shared
def map_(  # noqa: PLR0913, PLR0917 - one value per option
    place: Place, program: str, name: str | None, to: str | None, save: bool, as_json: bool
) -> None:
    """Map one program, as a school of its own or to a school that exists. PROGRAM is its id or its name.

    A program that is mapped already and gets neither --as nor --to keeps its school.

    \b
    Example:
      connect schools map "Data Science"
      connect schools map "Data Science" --as "School of Data" --save
      connect schools map Statistics --to "School of Data" --save
    """  # noqa: D301 - the escape is what keeps the lines apart
    called = _one_of(name, to)
    _change(place, save, as_json, lambda plan: plan.map(program, called, to or ""))


@schools.command(cls=WithIds, short_help="Make several programs one school.")
@click.argument("programs", metavar="PROGRAM...", nargs=-1, required=True)
@click.option("--as", "name", metavar="NAME", help="Name of the school, which is that of the first program.")
@click.option("--to", metavar="SCHOOL", help="Id or name of a school that is in the mapping already.")
@_save
@_shared
def merge(  # noqa: PLR0913, PLR0917 - one value per option
    place: Place, programs: tuple[str, ...], name: str | None, to: str | None, save: bool, as_json: bool
) -> None:
    """Make several programs one school. Each PROGRAM is an id or a name.

    With --as, the school of the first program takes in the others and gets the name; with --to, an existing school
    takes in all of them.

    \b
    Example:
      connect schools merge "Data Science" Statistics --as "School of Data" --save
      connect schools merge Algebra Geometry --to "School of Data" --save
    """  # noqa: D301 - the escape is what keeps the lines apart
    called = _one_of(name, to)
    if not called and not to:
        raise UsageError("The school has no name yet: say with --as how to call it, or with --to which one it is.")
    _change(place, save, as_json, lambda plan: plan.merge(programs, called, to or ""))


@schools.command(cls=WithIds, short_help="Give a school another name.")
@click.argument("school")
@click.argument("name")
@_save
@_shared
def rename(place: Place, school: str, name: str, save: bool, as_json: bool) -> None:
    """Call a school otherwise. SCHOOL is its id or its name now; its id stays, so nothing of it leaves.

    \b
    Example:
      connect schools rename "Data Science" "School of Data" --save
    """  # noqa: D301 - the escape is what keeps the lines apart
    called = mapped_schools.typed_name(name)
    _change(place, save, as_json, lambda plan: plan.rename(school, called), ask=False)


@schools.command("leave-out", cls=WithIds, short_help="Leave programs out of the sync, on purpose.")
@click.argument("programs", metavar="PROGRAM...", nargs=-1, required=True)
@_save
@_shared
def leave_out(place: Place, programs: tuple[str, ...], save: bool, as_json: bool) -> None:
    """Leave programs out of the sync on purpose. Each PROGRAM is an id or a name.

    They are no longer Missing, no list asks about them, and `connect schools auto` does not map them; `connect schools
    map` takes one in again. First it says how many classes, learners and results would leave. With --save, the next
    publish lets exactly those schools go, which its guards would stop otherwise.

    \b
    Example:
      connect schools leave-out "Staff training"          how much would leave
      connect schools leave-out "Staff training" --save   leave it out
    """  # noqa: D301 - the escape is what keeps the lines apart
    _change(place, save, as_json, lambda plan: plan.leave_out(programs))


@schools.command(cls=WithIds, short_help="Take programs out of the mapping.")
@click.argument("programs", metavar="PROGRAM...", nargs=-1, required=True)
@_save
@_shared
def unmap(place: Place, programs: tuple[str, ...], save: bool, as_json: bool) -> None:
    """Take programs out of the mapping, and so out of the sync, until something is decided about them.

    Each PROGRAM is an id or a name. One that stays out for good is better left out: `connect schools leave-out`.
    First it says how many classes, learners and results would leave. With --save, the next publish lets exactly those
    schools go, which its guards would stop otherwise.

    \b
    Example:
      connect schools unmap "Staff training"          how much would leave
      connect schools unmap "Staff training" --save   let it go
    """  # noqa: D301 - the escape is what keeps the lines apart
    _change(place, save, as_json, lambda plan: plan.unmap(programs))


@schools.command(short_help="Check school_mapping.csv.")
@options.together(options.mapping, options.json_flag)
def check(mapping: Path, as_json: bool) -> None:
    """Check school_mapping.csv: every mistake with its line. `connect mapping check` checks all mapping files.

    \b
    Example:
      connect schools check
      school_mapping.csv, line 4: the same program_id P1 is already on line 2: keep one of them.

    \b
    Exit codes: 0 in order
                1 something is wrong
                2 there is no such folder, or the file cannot be read
    """  # noqa: D301 - the escape is what keeps the lines apart
    file = f"{files.SCHOOLS}.csv"
    mapping_files.report_problems(
        [problem for problem in files.problems(mapping) if problem.file == file], [], file, as_json
    )


def _one_of(name: str | None, to: str | None) -> str:
    if name is not None and to is not None:
        raise UsageError("--as and --to exclude each other: a school that exists has its name already.")
    return "" if name is None else mapped_schools.typed_name(name)


def _change(place: Place, save: bool, as_json: bool, verb: Callable[[Plan], None], *, ask: bool = True) -> None:
    """Show the change by a verb, and save it with --save; for `ask` see `planned`."""
    change = school_changes.planned(place, verb, ask=ask)
    if not as_json:
        _show(change)
    saved = save and change.save()
    file = change.content.path
    if as_json:
        click.echo(json.dumps({"file": str(file), "saved": saved, **change.facts()}))
    elif saved:
        terminal.say(f"Saved {screen.near(file)}. The next run brings it into effect.")
    elif change.plan.changes:
        terminal.say(f"Nothing is written yet: run it again with --save to write {screen.near(file)}.")
    else:
        terminal.say("Nothing to change.")


def _show(change: SchoolChange) -> None:
    plan = change.plan
    if plan.changes:
        terminal.table(
            ("program", "program name", "before", "after"),
            [(one.program_id, plan.name(one.program_id), *_sides(plan, one.before, one.after)) for one in plan.changes],
        )
        terminal.say()
    for loss, verb in ((change.leaving, "would leave the sync"), (change.moving, "would come to another school")):
        if loss.programs:
            terminal.say(f"{plural(len(loss.programs), 'program')} {verb}: {_counted(loss.counts)}.")
    for warning in change.warnings:
        terminal.say(f"Warning: {warning}")


def _sides(plan: Plan, before: School | None, after: School | None) -> tuple[str, str]:
    unmapped = "not mapped" if mapped_schools.chooses(plan.before) else "a school of its own (none is mapped)"
    left, right = (
        nothing if school is None else f"{school.school_name} ({school.school_id})" if school.school_id else "left out"
        for school, nothing in ((before, unmapped), (after, "not mapped"))
    )
    if before and after and left == right:
        return f"{left}, program called {before.program_name}", f"{right}, program called {after.program_name}"
    return left, right


def _counted(counts: Counts | None) -> str:
    if counts is None:
        return "not loaded yet, so nothing was published of it"
    parts = (
        plural(counts.classes, "class", "classes"),
        plural(counts.learners, "learner") + " who are in no other program",
        plural(counts.results, "result"),
    )
    return f"{parts[0]}, {parts[1]}, {parts[2]} as of the last run"
