"""What happened: `connect summary`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from coursera_connect import screen
from coursera_connect.commands import options
from coursera_connect.summary import summary as run_summary

if TYPE_CHECKING:
    from pathlib import Path


@click.command(short_help="Show what the last run left.")
@options.together(
    options.database,
    options.package,
    options.wait,
    options.setting("--raw-schema", env="CONNECT_RAW_SCHEMA", default="coursera", help="Schema of the streams."),
    options.json_flag,
)
def summary(as_json: bool, database: Path, package: Path, raw_schema: str, wait: float) -> None:
    """Show what the last run left: rows per stream, and the package, or why the last publish was refused."""
    facts = run_summary(database, package, raw_schema, wait)
    if as_json:
        click.echo(json.dumps(facts))
    else:
        screen.summary(facts)
