"""`connect quality`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from coursera_connect import tables
from coursera_connect.commands import options
from coursera_connect.database import aside
from coursera_connect.deciding import mapping_match
from coursera_connect.publishing import quality as qualities

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from coursera_connect.database.warehouse import Location

_SHOWN = 20


@click.command(short_help="What is wrong with the data, and with whose.")
@options.together(
    options.database,
    options.package,
    options.wait,
    options.decided,
    click.option("--rule", help="List the records of one rule, by their ids."),
    click.option(
        "--lms",
        type=options.PATH,
        help="Compare with an export of the LMS's people (CSV with a column username, email or identifier).",
    ),
    click.option("--strict", is_flag=True, help="Exit with 1 when a finding stops the package."),
    options.json_flag,
)
def quality(  # noqa: PLR0913 - options are parameters
    *,
    as_json: bool,
    strict: bool,
    database: Location,
    package: Path,
    wait: float,
    mapping: Path | None,
    transform: Path | None,
    rule: str | None,
    lms: Path | None,
) -> None:
    """Show what is wrong with the data: what the transforms found, and what the last publish found.

    stop: the package is refused. skip: the record is left out. repair: it is published with another value, or without
    one. flag: it is published, and deserves a look. People who share an e-mail, an externalId or a username, learners
    who match no account of Coursera, the types of content that are left out, and the lines of the mapping files that
    match nobody and nothing follow. Records are shown by their ids, never by a name or an e-mail.

    It works before the first publish, and after a dbt:build that failed: it says so, and shows what is known.

    \b
    Examples:
      connect quality
      connect quality --rule not-enrolled
      connect quality --lms people-of-the-lms.csv

    \b
    Exit codes: 0 shown, whatever was found
                1 with --strict: a finding stops the package
                2 an option is wrong, or the file of --lms cannot be used
                3 the database is missing, in use or empty
    """  # noqa: D301 - the escape is what keeps the lines apart
    with aside.known(database, wait, mapping, transform) as (place, caution):
        facts = qualities.quality(place, package, wait, rule, lms)
        unmatched = mapping_match.of(place, wait, mapping) if mapping else []
    facts |= {
        "database": str(database),
        "caution": " ".join(filter(None, [caution, facts["caution"]])),
        "mapping": [asdict(one) for one in unmatched],
    }
    if facts["caution"] and not as_json:
        click.echo(f"{facts['caution']}\n")
    if as_json:
        click.echo(json.dumps(facts))
    elif rule is not None:
        _show_records(facts, rule)
    else:
        _show(facts)
    if strict and facts["counts"][qualities.STOP]:
        sys.exit(1)


def _show(facts: dict[str, Any]) -> None:
    console = tables.console()
    if facts["published"] is None:
        console.print(
            "There is no report of a publish yet: the rules of OneRoster are not among these.", soft_wrap=True
        )
    counts = ", ".join(f"{count:,} {severity}" for severity, count in facts["counts"].items())
    table = Table("severity", box=None)
    table.add_column("rule", no_wrap=True)  # it is what --rule takes
    table.add_column("of")
    table.add_column("count", justify="right")
    table.add_column("what")
    for found in facts["rules"]:
        table.add_row(found["severity"], found["rule"], found["entity"], f"{found['count']:,}", found["sentence"])
    if facts["rules"]:
        console.print(table)
    console.print(f"\nFindings: {counts}\n", soft_wrap=True)
    _show_mapping(console, facts)
    _show_duplicates(console, facts)
    if facts["match"]:
        console.print()
        console.print(_matches(facts["match"]))
    if facts["content_types"]:
        console.print()
        left_out = Table("content type left out", box=None)
        for heading in ("contents", "enrollments"):
            left_out.add_column(heading, justify="right")
        for found in facts["content_types"]:
            left_out.add_row(found["content_type"], f"{found['contents']:,}", f"{found['enrollments']:,}")
        console.print(left_out)
    if "lms" in facts:
        _show_lms(console, facts["lms"])


def _show_mapping(console: Console, facts: dict[str, Any]) -> None:
    for found in facts["mapping"]:
        console.print(f"{found['file']}, line {found['line']}: {found['sentence']}", soft_wrap=True)
    if facts["mapping"]:
        console.print()


def _show_duplicates(console: Console, facts: dict[str, Any]) -> None:
    for attribute, groups in facts["duplicates"].items():
        people = f"{len(groups):,} of them shared by several people" if groups else "none shared"
        console.print(f"{attribute}: {people}", soft_wrap=True)
        for group in groups[:_SHOWN]:
            console.print(f"  {' '.join(group)}", soft_wrap=True)
        _more(console, len(groups))
    replaced = facts["usernames_replaced"]
    if replaced:
        console.print("their sourcedId instead of a username that several people would have:", soft_wrap=True)
        console.print(f"  {' '.join(replaced[:_SHOWN])}", soft_wrap=True)
        _more(console, len(replaced))


def _matches(match: dict[str, Any]) -> Table:
    ways = list(dict.fromkeys(way for program in match["programs"] for way in program["by"]))
    table = Table(box=None)
    table.add_column("program", no_wrap=True)  # half an id is none
    for heading in ("members", "matched", *ways, "unmatched", "match"):
        table.add_column(heading.replace("_", " "), justify="right")
    total = {way: sum(program["by"].get(way, 0) for program in match["programs"]) for way in ways}
    for found in [*match["programs"], {"program_id": "in total", **match["total"], "by": total}]:
        by = [f"{found['by'].get(way, 0):,}" for way in ways]
        numbers = [f"{found['members']:,}", f"{found['matched']:,}", *by, f"{found['unmatched']:,}"]
        table.add_row(found["program_id"], *numbers, _percent(found))
    return table


def _show_lms(console: Console, lms: dict[str, Any]) -> None:
    console.print(f"\n{lms['file']}: {lms['accounts']:,} accounts, by {', '.join(lms['columns'])}", soft_wrap=True)
    table = Table("school", "name", box=None)
    for heading in ("learners", "matched", "ambiguous", "match"):
        table.add_column(heading, justify="right")
    for found in [*lms["schools"], {"school": "in total", "name": "", **lms["total"]}]:
        numbers = [f"{found[name]:,}" for name in ("people", "matched", "ambiguous")]
        table.add_row(found["school"], found["name"], *numbers, _percent(found))
    console.print(table)
    found_by = ", ".join(f"{count:,} by {name}" for name, count in lms["by"].items())
    console.print(f"matched: {found_by}", soft_wrap=True)
    console.print(f"only here: {lms['only_here']:,}, only there: {lms['only_there']:,}", soft_wrap=True)
    for sourced_id in lms["only_here_ids"][:_SHOWN]:
        console.print(f"  only here: {sourced_id}", soft_wrap=True)
    _more(console, lms["only_here"])
    for sourced_id in lms["ambiguous_ids"][:_SHOWN]:
        console.print(f"  several accounts there: {sourced_id}", soft_wrap=True)
    _more(console, lms["total"]["ambiguous"])


def _show_records(facts: dict[str, Any], rule: str) -> None:
    console = tables.console()
    records = facts["records"]
    if not records:
        console.print(f"Nothing breaks the rule {rule}.")
        return
    for sentence in dict.fromkeys(found["sentence"] for found in facts["rules"] if found["rule"] == rule):
        console.print(sentence, soft_wrap=True)
    table = Table("of", "program", "record", "field", "reported", box=None)
    table.add_column("row", justify="right")
    table.add_column("count", justify="right")
    for found in records:
        row = "" if found.get("row") is None else f"{found['row']:,}"
        count = f"{found['how_many']:,}"
        named = (found.get(name) or "" for name in ("program_id", "record_id", "field", "reported"))
        table.add_row(found["entity"], *named, row, count)
    console.print(table)


def _more(console: Console, count: int) -> None:
    if count > _SHOWN:
        console.print(f"  and {count - _SHOWN:,} more, all with --json", soft_wrap=True)


def _percent(found: dict[str, Any]) -> str:
    return "" if found["percent"] is None else f"{found['percent']:.1f} %"
