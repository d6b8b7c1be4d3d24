"""`connect quality`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from coursera_connect.cli import options, terminal
from coursera_connect.publish import quality as qualities

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_connect.warehouse.warehouse import Location

_SHOWN = 20


@click.command(short_help="What is wrong with the data, and with whose.")
@options.together(
    options.database,
    options.package,
    options.wait,
    options.build_inputs,
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
    facts = qualities.inspect(database, package, wait, mapping=mapping, transform=transform, rule=rule, lms=lms)
    if facts["caution"] and not as_json:
        terminal.say(f"{facts['caution']}\n")
    if as_json:
        click.echo(json.dumps(facts))
    elif rule is not None:
        _show_records(facts, rule)
    else:
        _show(facts)
    if strict and facts["counts"][qualities.STOP]:
        sys.exit(1)


def _show(facts: dict[str, Any]) -> None:
    if facts["published"] is None:
        terminal.say("There is no report of a publish yet: the rules of OneRoster are not among these.")
    counts = ", ".join(f"{count:,} {severity}" for severity, count in facts["counts"].items())
    if facts["rules"]:
        terminal.table(
            ("severity", "rule", "of", "count", "what"),
            [
                (found["severity"], found["rule"], found["entity"], found["count"], found["sentence"])
                for found in facts["rules"]
            ],
            second=4,
        )
    terminal.say(f"\nFindings: {counts}\n")
    _show_mapping(facts)
    _show_duplicates(facts)
    if facts["match"]:
        terminal.say()
        _show_matches(facts["match"])
    if facts["content_types"]:
        terminal.say()
        terminal.table(
            ("content type left out", "contents", "enrollments"),
            [(found["content_type"], found["contents"], found["enrollments"]) for found in facts["content_types"]],
        )
    if "lms" in facts:
        _show_lms(facts["lms"])


def _show_mapping(facts: dict[str, Any]) -> None:
    for found in facts["mapping"]:
        terminal.say(f"{found['file']}, line {found['line']}: {found['sentence']}")
    if facts["mapping"]:
        terminal.say()


def _show_duplicates(facts: dict[str, Any]) -> None:
    for attribute, groups in facts["duplicates"].items():
        people = f"{len(groups):,} of them shared by several people" if groups else "none shared"
        terminal.say(f"{attribute}: {people}")
        for group in groups[:_SHOWN]:
            terminal.say(f"  {' '.join(group)}")
        _more(len(groups))
    replaced = facts["usernames_replaced"]
    if replaced:
        terminal.say("their sourcedId instead of a username that several people would have:")
        terminal.say(f"  {' '.join(replaced[:_SHOWN])}")
        _more(len(replaced))


def _show_matches(match: dict[str, Any]) -> None:
    ways = list(dict.fromkeys(way for program in match["programs"] for way in program["by"]))
    total = {way: sum(program["by"].get(way, 0) for program in match["programs"]) for way in ways}
    rows = []
    for found in [*match["programs"], {"program_id": "in total", **match["total"], "by": total}]:
        by = (found["by"].get(way, 0) for way in ways)
        named = (found["program_id"], found.get("program_name"))
        rows.append((*named, found["members"], found["matched"], *by, found["unmatched"], _percent(found)))
    numbers = ("members", "matched", *(way.replace("_", " ") for way in ways), "unmatched", "match")
    terminal.table(("program", "program name", *numbers), rows, second=2)


def _show_lms(lms: dict[str, Any]) -> None:
    terminal.say(f"\n{lms['file']}: {lms['accounts']:,} accounts, by {', '.join(lms['columns'])}")
    terminal.table(
        ("school", "name", "learners", "matched", "ambiguous", "match"),
        [
            (found["school"], found["name"], found["people"], found["matched"], found["ambiguous"], _percent(found))
            for found in [*lms["schools"], {"school": "in total", "name": "", **lms["total"]}]
        ],
        second=2,
    )
    found_by = ", ".join(f"{count:,} by {name}" for name, count in lms["by"].items())
    terminal.say(f"matched: {found_by}")
    terminal.say(f"only here: {lms['only_here']:,}, only there: {lms['only_there']:,}")
    for sourced_id in lms["only_here_ids"][:_SHOWN]:
        terminal.say(f"  only here: {sourced_id}")
    _more(lms["only_here"])
    for sourced_id in lms["ambiguous_ids"][:_SHOWN]:
        terminal.say(f"  several accounts there: {sourced_id}")
    _more(lms["total"]["ambiguous"])


def _show_records(facts: dict[str, Any], rule: str) -> None:
    records = facts["records"]
    if not records:
        terminal.say(f"Nothing breaks the rule {rule}.")
        return
    for sentence in dict.fromkeys(found["sentence"] for found in facts["rules"] if found["rule"] == rule):
        terminal.say(sentence)
    names = ("entity", "program_id", "program_name", "record_id", "field", "reported", "row", "how_many")
    terminal.table(
        ("of", "program", "program name", "record", "field", "reported", "row", "count"),
        [[found.get(name) for name in names] for found in records],
        second=3,
    )


def _more(count: int) -> None:
    if count > _SHOWN:
        terminal.say(f"  and {count - _SHOWN:,} more, all with --json")


def _percent(found: dict[str, Any]) -> str:
    return "" if found["percent"] is None else f"{found['percent']:.1f} %"
