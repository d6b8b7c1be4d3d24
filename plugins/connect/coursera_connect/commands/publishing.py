"""`connect publish`."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from coursera_connect import screen
from coursera_connect.commands import options
from coursera_connect.publish import REPORT, Settings
from coursera_connect.publish import publish as run_publish


@click.command(short_help="Check the OneRoster tables, write the zip.")
@options.together(
    options.database,
    options.package,
    options.wait,
    options.setting(
        "--schema",
        env="CONNECT_ONEROSTER_SCHEMA",
        default="oneroster",
        help="Schema of the OneRoster models, one table per file.",
    ),
    options.setting("--system-name", env="CONNECT_SYSTEM_NAME", default="", help="source.systemName of the manifest."),
    options.setting("--system-code", env="CONNECT_SYSTEM_CODE", default="", help="source.systemCode of the manifest."),
    options.json_flag,
)
def publish(as_json: bool, **chosen: Any) -> None:
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
    settings = Settings(**chosen)
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
