"""`connect schools`: programs as schools."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from functools import wraps
from operator import length_hint
from typing import TYPE_CHECKING, Any

import click

from coursera_connect.cli import options, screen, terminal
from coursera_connect.command_text import carried
from coursera_connect.errors import UsageError
from coursera_connect.setup import connection, lines_without_effect
from coursera_connect.setup import mapping as files
from coursera_connect.setup import programs as loaded_programs
from coursera_connect.setup import schools as mapped_schools
from coursera_connect.setup.impact import leaving
from coursera_connect.text import plural
from coursera_connect.warehouse import ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from coursera_connect.setup.impact import Counts, Leaving
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


_DASHED_ID = re.compile(r"-[A-Za-z0-9_-]{21}")


class WithIds(click.Command):
    """A command whose arguments may be ids of Coursera, of which one in 64 begins with a dash as options do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put all arguments behind a `--`, in their order, so that none is taken for options."""
        valued = {name for one in self.params if isinstance(one, click.Option) and not one.is_flag for name in one.opts}
        options: list[str] = []
        words: list[str] = []
        rest = iter(args)
        for word in rest:
            if word == "--":
                words += rest
            elif not word.startswith("-") or _DASHED_ID.fullmatch(word):
                words.append(word)
            else:
                options += [word, *([next(rest)] if word in valued and length_hint(rest) else [])]
        return super().parse_args(ctx, [*options, "--", *words])


@dataclass(frozen=True)
class Where:
    """The options that all these commands share."""

    database: Location
    package: Path
    mapping: Path
    wait: float
    loaded: bool
    as_json: bool

    def source(self) -> dict[str, str]:
        """Programs by id, with their names, from Coursera or from the last load."""
        return loaded_programs.loaded(self.database, self.wait) if self.loaded else connection.programs()

    def content(self) -> files.Content:
        """The mapping file, which has to be in order."""
        return files.sound(self.mapping, files.SCHOOLS)


def _shared(command: Callable[..., None]) -> Callable[..., None]:
    @wraps(command)
    def called(  # noqa: PLR0913 - one value per option
        *, database: Location, package: Path, mapping: Path, wait: float, loaded: bool, as_json: bool, **more: Any
    ) -> None:
        command(Where(database, package, mapping, wait, loaded, as_json), **more)

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
def list_(where: Where, only: str | None) -> None:
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
    connection.require(where.package)
    mapped = mapped_schools.from_file(where.content())
    source = where.source()
    entries = mapped_schools.listed(source, mapped)
    everything = not mapped_schools.chooses(mapped)
    counts = {state: sum(entry.state == state for entry in entries) for state in mapped_schools.STATES}
    shown = [entry for entry in entries if only in {None, entry.state}]
    if where.as_json:
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
def auto(where: Where, save: bool) -> None:
    """Map every program that is Missing as a school of its own, called like the program.

    What is mapped, or left out on purpose, stays as it is.

    \b
    Example:
      connect schools auto          see what would be mapped
      connect schools auto --save   map it
    """  # noqa: D301 - the escape is what keeps the lines apart
    _change(where, save, lambda plan: plan.auto())


@schools.command("map", cls=WithIds, short_help="Map one program to a school.")
@click.argument("program")
@click.option("--as", "name", metavar="NAME", help="Name of the school; without it, that of the program.")
@click.option("--to", metavar="SCHOOL", help="Id or name of a school that is in the mapping already.")
@_save
@_shared
def map_(where: Where, program: str, name: str | None, to: str | None, save: bool) -> None:
    """Map one program, as a school of its own or to a school that exists. PROGRAM is its id or its name.

    A program that is mapped already and gets neither --as nor --to keeps its school.

    \b
    Example:
      connect schools map "Data Science"
      connect schools map "Data Science" --as "School of Data" --save
      connect schools map Statistics --to "School of Data" --save
    """  # noqa: D301 - the escape is what keeps the lines apart
    called = _one_of(name, to)
    _change(where, save, lambda plan: plan.map(program, called, to or ""))


@schools.command(cls=WithIds, short_help="Make several programs one school.")
@click.argument("programs", metavar="PROGRAM...", nargs=-1, required=True)
@click.option("--as", "name", metavar="NAME", help="Name of the school, which is that of the first program.")
@click.option("--to", metavar="SCHOOL", help="Id or name of a school that is in the mapping already.")
@_save
@_shared
def merge(where: Where, programs: tuple[str, ...], name: str | None, to: str | None, save: bool) -> None:
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
    _change(where, save, lambda plan: plan.merge(programs, called, to or ""))


@schools.command(cls=WithIds, short_help="Give a school another name.")
@click.argument("school")
@click.argument("name")
@_save
@_shared
def rename(where: Where, school: str, name: str, save: bool) -> None:
    """Call a school otherwise. SCHOOL is its id or its name now; its id stays, so nothing of it leaves.

    \b
    Example:
      connect schools rename "Data Science" "School of Data" --save
    """  # noqa: D301 - the escape is what keeps the lines apart
    called = mapped_schools.typed_name(name)
    _change(where, save, lambda plan: plan.rename(school, called), ask=False)


@schools.command("leave-out", cls=WithIds, short_help="Leave programs out of the sync, on purpose.")
@click.argument("programs", metavar="PROGRAM...", nargs=-1, required=True)
@_save
@_shared
def leave_out(where: Where, programs: tuple[str, ...], save: bool) -> None:
    """Leave programs out of the sync on purpose. Each PROGRAM is an id or a name.

    They are no longer Missing, no list asks about them, and `connect schools auto` does not map them; `connect schools
    map` takes one in again. First it says how many classes, learners and results would leave. With --save, the next
    publish lets exactly those schools go, which its guards would stop otherwise.

    \b
    Example:
      connect schools leave-out "Staff training"          how much would leave
      connect schools leave-out "Staff training" --save   leave it out
    """  # noqa: D301 - the escape is what keeps the lines apart
    _change(where, save, lambda plan: plan.leave_out(programs))


@schools.command(cls=WithIds, short_help="Take programs out of the mapping.")
@click.argument("programs", metavar="PROGRAM...", nargs=-1, required=True)
@_save
@_shared
def unmap(where: Where, programs: tuple[str, ...], save: bool) -> None:
    """Take programs out of the mapping, and so out of the sync, until something is decided about them.

    Each PROGRAM is an id or a name. One that stays out for good is better left out: `connect schools leave-out`.
    First it says how many classes, learners and results would leave. With --save, the next publish lets exactly those
    schools go, which its guards would stop otherwise.

    \b
    Example:
      connect schools unmap "Staff training"          how much would leave
      connect schools unmap "Staff training" --save   let it go
    """  # noqa: D301 - the escape is what keeps the lines apart
    _change(where, save, lambda plan: plan.unmap(programs))


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
    report_problems([problem for problem in files.problems(mapping) if problem.file == file], [], file, as_json)


@click.group("mapping", short_help="Check the mapping files.")
def mapping_files() -> None:
    """Check the mapping files, which are CSV and may be edited by hand."""


@mapping_files.command("check", short_help="Check all mapping files.")
@options.together(options.mapping, options.database, options.wait, options.json_flag)
def check_all(mapping: Path, database: Location, wait: float, as_json: bool) -> None:
    """Check all mapping files: every mistake with its file and line. A publish is refused while there is one.

    The files are school_mapping, chosen_items, facilitators, sections, excluded_people and terms (.csv). A line about a
    program that is not mapped, and one that matches nobody and nothing in the data of the last build, is in order and
    has no effect; it is shown as a warning, with what is nearest.

    \b
    Example:
      connect mapping check
      terms.csv, line 3: ends_before is not after starts_on: it is the first day that is no longer in the term.

    \b
    Exit codes: 0 in order
                1 something is wrong
                2 there is no such folder, or a file cannot be read
    """  # noqa: D301 - the escape is what keeps the lines apart
    doubts = files.doubts(mapping) + lines_without_effect.of(database, wait, mapping)
    report_problems(
        files.problems(mapping),
        sorted(doubts, key=lambda one: (one.file, one.line)),
        "The mapping files",
        as_json,
    )


def report_problems(problems: list[files.Problem], doubts: list[files.Problem], what: str, as_json: bool) -> None:
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


def _one_of(name: str | None, to: str | None) -> str:
    if name is not None and to is not None:
        raise UsageError("--as and --to exclude each other: a school that exists has its name already.")
    return "" if name is None else mapped_schools.typed_name(name)


def _change(where: Where, save: bool, verb: Callable[[Plan], None], *, ask: bool = True) -> None:
    """Say what a verb does to the mapping, and do it when it is to be saved; `ask` for what Coursera has today."""
    connection.require(where.package)
    content = where.content()
    source = where.source() if ask else {}
    plan = mapped_schools.Plan(source, mapped_schools.from_file(content))
    verb(plan)
    gone = leaving(where.database, where.wait, plan.lost) if plan.lost else None
    saved = save and bool(plan.changes)
    facts = {
        "file": str(content.path),
        "saved": saved,
        "changes": [
            {
                "program_id": change.program_id,
                "program_name": plan.name(change.program_id),
                "before": asdict(change.before) if change.before else None,
                "after": asdict(change.after) if change.after else None,
            }
            for change in plan.changes
        ],
        "leaving": _loss(plan, gone, left_out=True),
        "moving": _loss(plan, gone, left_out=False),
        "warnings": [*mapped_schools.warnings(plan), *_unknown(plan, gone)],
    }
    if not where.as_json:
        _show(plan, facts)
    if saved:
        files.save(content, mapped_schools.rows(plan.after), where.wait, lambda: _agree(where, gone))
    if where.as_json:
        click.echo(json.dumps(facts))
    elif saved:
        terminal.say(f"Saved {screen.near(content.path)}. The next run brings it into effect.")
    elif plan.changes:
        terminal.say(f"Nothing is written yet: run it again with --save to write {screen.near(content.path)}.")
    else:
        terminal.say("Nothing to change.")


def _unknown(plan: Plan, gone: Leaving | None) -> list[str]:
    """Programs that vanished from Coursera before they were unmapped: the last run no longer tells their school."""
    known = {program for detail in gone.schools.values() for program in detail["programs"]} if gone else set()
    return [
        f"{plan.name(one)} ({one}) was not in the last run any more, so there is no agreement for its school: if the "
        "next publish is blocked because that school has gone, let it go with --allow-removals."
        for one, school in plan.lost.items()
        if gone and not school and one not in plan.source and one not in known
    ]


def _agree(where: Where, gone: Leaving | None) -> None:
    for school, detail in (gone.schools if gone else {}).items():
        ledger.agree(where.database, where.wait, "school", school, detail)


def _loss(plan: Plan, gone: Leaving | None, *, left_out: bool) -> dict[str, Any]:
    """Programs that are left out, or move, and what the last run made of them (None: not loaded yet)."""
    programs = [one for one, school in plan.lost.items() if bool(school) != left_out]
    counts = (gone.out if left_out else gone.moving) if gone else None
    return {"programs": programs, "counts": asdict(counts) if counts and programs else None}


def _show(plan: Plan, facts: dict[str, Any]) -> None:
    if plan.changes:
        terminal.table(
            ("program", "program name", "before", "after"),
            [
                (change.program_id, plan.name(change.program_id), *_sides(plan, change.before, change.after))
                for change in plan.changes
            ],
        )
        terminal.say()
    for key, verb in (("leaving", "would leave the sync"), ("moving", "would come to another school")):
        if facts[key]["programs"]:
            terminal.say(f"{plural(len(facts[key]['programs']), 'program')} {verb}: {_counted(facts[key]['counts'])}.")
    for warning in facts["warnings"]:
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


def _counted(counts: dict[str, int] | Counts | None) -> str:
    if not isinstance(counts, dict):
        return "not loaded yet, so nothing was published of it"
    parts = (
        plural(counts["classes"], "class", "classes"),
        plural(counts["learners"], "learner") + " who are in no other program",
        plural(counts["results"], "result"),
    )
    return f"{parts[0]}, {parts[1]}, {parts[2]} as of the last run"
