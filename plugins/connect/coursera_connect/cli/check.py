"""`connect check`: whether a package is valid."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from coursera_connect import oneroster
from coursera_connect.cli import options, screen, terminal
from oneroster_csv import report, validate


@click.command(short_help="Check a OneRoster package, ours or anybody's.")
@click.argument("package", type=click.Path(path_type=Path))
@options.together(
    options.setting(
        "--profile",
        env="CONNECT_PROFILE",
        default="generic",
        help="The reader it is for: what it takes, and its own rules.",
    ),
    click.option(
        "--empty",
        type=click.Choice(["absent", "header"]),
        help="What a file without rows may be: absent, or also a header alone.  [default: as the profile says]",
    ),
    options.json_flag,
)
def check(package: Path, profile: str, empty: str | None, as_json: bool) -> None:
    """Check a OneRoster CSV package (a zip), version 1.1 or 1.2, bulk or delta, against the standard.

    Every broken rule is named with file, field, reason and rows (ids, no names or e-mails). A warning is shown and
    leaves the package valid. Files without changes may be absent; a zip with a manifest alone says: nothing changed.

    \b
    Example:
      connect check output/oneroster.zip
      connect check output/oneroster.zip --profile moodle
      connect check received.zip --json | jq '.problems[] | {file, field, rule, count}'

    \b
    Exit codes: 0 valid (there may be warnings)
                1 a rule is broken
                2 an option or argument is wrong
                4 the package is missing, no zip, damaged, or unpacks to too much
    """  # noqa: D301 - the escape is what keeps the lines apart
    reader = oneroster.load(profile)
    with screen.progress() as step, oneroster.as_ours():
        outcome = validate.package(package, lambda file: step(f"Checking {file}", 0), profile=reader, empty=empty or "")
    found = report.facts(package, outcome)
    if as_json:
        click.echo(json.dumps(found))
    else:
        terminal.say("\n".join(report.lines(found)))
    if not found["valid"]:
        sys.exit(1)
