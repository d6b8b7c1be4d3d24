"""`connect attributes`: what each OneRoster attribute is filled from."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

import click

from coursera_connect.cli import options, terminal
from coursera_connect.cli.mapping import report_problems
from coursera_connect.command_text import carried
from coursera_connect.setup import attributes as mapped
from coursera_connect.text import plural

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_connect.setup.attributes import Target


@click.group(short_help="Show and check the attribute mapping.")
def attributes() -> None:
    """Show and check what each OneRoster attribute is filled from.

    The default mapping fits most organisations. Overrides are the setting `attributes` of dbt, in settings.yml of the
    environment's folder; a source may fill many attributes, an attribute is filled once, and "" leaves it empty:

    \b
      - name: dbt
        config:
          attributes:
            users.sms: learner.external_id
            users.middleName: ""

    \b
    Example:
      connect attributes list --entity users
      connect attributes list --unmapped
      connect attributes check
    """  # noqa: D301 - the escape is what keeps the lines apart


@attributes.command("list", short_help="Show the mapping as a table per entity.")
@click.option("--entity", help="Only this OneRoster file, such as users.")
@click.option("--unmapped", is_flag=True, help="Only attributes that nothing fills.")
@options.together(options.transform, options.json_flag)
def list_(entity: str | None, unmapped: bool, transform: Path, as_json: bool) -> None:
    """Show every attribute: whether it is required, its source, and whether that is the default or an override.

    \b
    Example:
      connect attributes list --entity users

    \b
    Exit codes: 0 shown
                2 there is no such entity, or the default mapping cannot be used
    """  # noqa: D301 - the escape is what keeps the lines apart
    found = mapped.read(transform)
    shown = found.of(entity, unmapped=unmapped)
    if as_json:
        click.echo(json.dumps({"targets": [asdict(one) for one in shown], "problems": len(found.problems)}))
        return
    for name, targets in groupby(shown, lambda target: target.entity):
        rows = [(one.name, "yes" if one.required and not one.fixed else "", *_source(one)) for one in targets]
        terminal.table(("attribute", "required", "source", "from"), rows, title=name)
        terminal.say()
    terminal.say(f"{plural(len(shown), 'attribute')}.")
    if found.problems:
        terminal.say(carried(f"{plural(len(found.problems), 'problem')} in the mapping: connect attributes check"))


@attributes.command(short_help="Check the overrides.")
@options.together(options.transform, options.json_flag)
def check(transform: Path, as_json: bool) -> None:
    """Check the overrides: unknown names, an attribute used twice, a required one unmapped, a source out of reach.

    \b
    Example:
      connect attributes check
      settings.yml, line 52: there is no attribute users.smss: did you mean users.sms?

    \b
    Exit codes: 0 in order
                1 something is wrong
                2 the default mapping cannot be used
    """  # noqa: D301 - the escape is what keeps the lines apart
    found = mapped.read(transform)
    report_problems(found.problems, [], "The attributes", as_json)


def _source(target: Target) -> tuple[str, str]:
    if target.fixed:
        return target.fixed, "rule"
    where = "default" if target.line is None else f"line {target.line}"
    return target.source or "(nothing)", where
