"""The command `connect`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coursera_connect import screen
from coursera_connect.errors import ConnectError
from coursera_connect.publish import REPORT, Settings
from coursera_connect.publish import publish as run_publish
from coursera_connect.summary import summary as run_summary

if TYPE_CHECKING:
    from collections.abc import Callable

_PATH = click.Path(path_type=Path)


def _shared(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output."),
        click.option(
            "--wait",
            type=click.FloatRange(min=0),
            default=5.0,
            envvar="CONNECT_WAIT",
            show_default=True,
            show_envvar=True,
            help="Seconds to wait for a database or package another process holds.",
        ),
        click.option(
            "--package",
            type=_PATH,
            default="output/oneroster.zip",
            envvar="CONNECT_PACKAGE",
            show_default=True,
            show_envvar=True,
            help="The package.",
        ),
        click.option(
            "--database",
            type=_PATH,
            default="output/warehouse.duckdb",
            envvar="CONNECT_DATABASE",
            show_default=True,
            show_envvar=True,
            help="The DuckDB file; it is only read.",
        ),
    ):
        command = option(command)
    return command


class _Commands(click.Group):
    """Turns expected failures into one sentence and their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConnectError as error:
            if ctx.params["debug"]:
                raise
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="coursera-connect")
@click.option(
    "--debug", is_flag=True, envvar="CONNECT_DEBUG", show_envvar=True, help="Show the traceback of a failure."
)
def main(debug: bool) -> None:
    """Publish OneRoster packages from the tables the transforms made.

    In the Meltano project, which sets the paths, the commands are `meltano invoke connect:publish` and `meltano invoke
    connect:summary`.
    """
    del debug  # read from the context, where a failure is caught


@main.command(short_help="Check the OneRoster tables, write the zip.")
@_shared
@click.option(
    "--schema",
    default="oneroster",
    envvar="CONNECT_ONEROSTER_SCHEMA",
    show_default=True,
    show_envvar=True,
    help="Schema of the OneRoster models, one table per file.",
)
@click.option(
    "--system-name",
    default="",
    envvar="CONNECT_SYSTEM_NAME",
    show_envvar=True,
    help="source.systemName of the manifest.",
)
@click.option(
    "--system-code",
    default="",
    envvar="CONNECT_SYSTEM_CODE",
    show_envvar=True,
    help="source.systemCode of the manifest.",
)
def publish(as_json: bool, **options: Any) -> None:
    """Check the OneRoster 1.1 tables and publish them as one zip, all or nothing.

    A package that breaks a rule is not published: the previous one stays as it is. Every broken rule is in
    publish-report.json beside the package, with file, row, field and reason (ids, no names or e-mails); a warning is
    shown and reported, and does not stop the package. The same tables give the same bytes, so an unchanged night
    leaves the package untouched.

    \b
    Exit codes: 0 published (or unchanged)
                1 refused by the checks
                2 an option or setting is wrong
                3 the database is missing, in use or has no OneRoster models
                4 the package cannot be written, or another publish is running
    """  # noqa: D301 - the escape is what keeps the lines apart
    settings = Settings(**options)
    with screen.progress() as step:
        report = run_publish(settings, step)
    if as_json:
        click.echo(json.dumps(report))
    elif report["published"]:
        click.echo(screen.published(report))
    else:
        click.echo(screen.refused(report, settings.package.with_name(REPORT)), err=True)
    if not report["published"]:
        sys.exit(1)


@main.command(short_help="Show what the last run left.")
@_shared
@click.option(
    "--raw-schema",
    default="coursera",
    envvar="CONNECT_RAW_SCHEMA",
    show_default=True,
    show_envvar=True,
    help="Schema of the streams.",
)
def summary(as_json: bool, database: Path, package: Path, raw_schema: str, wait: float) -> None:
    """Show what the last run left: rows per stream, and the package, or why the last publish was refused."""
    facts = run_summary(database, package, raw_schema, wait)
    if as_json:
        click.echo(json.dumps(facts))
    else:
        screen.summary(facts)
