"""The command `oneroster-csv`: the one place of the library that prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from oneroster_csv import profile as profiles
from oneroster_csv import report, validate
from oneroster_csv.errors import OneRosterError, PackageError

_INVALID, _WRONG_OPTION, _UNREADABLE = 1, 2, 4


class _Commands(click.Group):
    """Turns expected failures into one sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OneRosterError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(_UNREADABLE if isinstance(error, PackageError) else _WRONG_OPTION)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="oneroster-csv")
def main() -> None:
    """Check OneRoster CSV packages."""


@main.command()
@click.argument("package", type=click.Path(path_type=Path))
@click.option(
    "--profile",
    default=profiles.GENERIC,
    show_default=True,
    metavar="NAME|FILE",
    help="The reader it is for: a profile that comes along, or a JSON file.",
)
@click.option(
    "--empty",
    type=click.Choice(["absent", "header"]),
    help="What a file without rows may be: absent, or also a header alone.  [default: as the profile says]",
)
@click.option("--json", "as_json", is_flag=True, help="Print all that was found as JSON.")
def check(package: Path, profile: str, empty: str | None, as_json: bool) -> None:
    """Check a OneRoster CSV package (a zip), version 1.1 or 1.2, bulk or delta, against the standard.

    Every broken rule is named with file, field, reason and rows (ids, no names or e-mails). A warning is shown and
    leaves the package valid. Files without changes may be absent; a zip with a manifest alone says: nothing changed.

    \b
    Example:
      oneroster-csv check oneroster.zip
      oneroster-csv check oneroster.zip --profile moodle
      oneroster-csv check received.zip --json | jq '.problems[] | {file, field, rule, count}'

    \b
    Exit codes: 0 valid (there may be warnings)
                1 a rule is broken
                2 an option or argument is wrong
                4 the package is missing, no zip, damaged, or unpacks to too much
    """  # noqa: D301 - the escape is what keeps the lines apart
    reader = profiles.load(profile)
    found = report.facts(package, validate.package(package, profile=reader, empty=empty or ""))
    text = json.dumps(found) if as_json else "\n".join(report.lines(found))
    click.echo(text.encode("utf-8", "backslashreplace"))  # The name of a file may have bytes that are not UTF-8.
    if not found["valid"]:
        sys.exit(_INVALID)
