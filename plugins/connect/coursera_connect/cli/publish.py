"""`connect publish` and `connect preview`."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from coursera_connect.cli import options, screen, terminal
from coursera_connect.cli import report as pages
from coursera_connect.cli.deliver import receiver_of, receiver_options
from coursera_connect.errors import BlockedError, ConnectError, DeliveryError, UsageError
from coursera_connect.publish import publish as publishing
from coursera_connect.publish.settings import REPORT, Settings
from coursera_connect.report import output_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_EXIT_CODES = {"published": 0, "unchanged": 0, "skipped": 0, "refused": 1, "blocked": BlockedError.exit_code}

_how = options.together(
    options.database,
    options.package,
    options.wait,
    options.output,
    options.setting(
        "--mode",
        env="CONNECT_MODE",
        type=click.Choice(["bulk", "delta"]),
        default="bulk",
        help="Everything each time, or what changed since the last package that reached the reader.",
    ),
    options.setting(
        "--removal-threshold",
        env="CONNECT_REMOVAL_THRESHOLD",
        type=options.Number(0, 100),
        default=15.0,
        help="Percent of the rows of a file and school that may leave at once.",
    ),
    options.setting(
        "--removal-rows",
        env="CONNECT_REMOVAL_ROWS",
        type=click.IntRange(min=1),
        default=5,
        help="Fewer rows than these may always leave, unless none would be left.",
    ),
    options.setting(
        "--score-threshold",
        env="CONNECT_SCORE_THRESHOLD",
        type=options.Number(0, 100),
        default=10.0,
        help="Percent of the final scores of a school that may fall by 5 points or more at once.",
    ),
    options.setting(
        "--score-rows",
        env="CONNECT_SCORE_ROWS",
        type=click.IntRange(min=1),
        default=10,
        help="Fewer scores than these may always fall.",
    ),
    options.setting(
        "--change-threshold",
        env="CONNECT_CHANGE_THRESHOLD",
        type=options.Number(0, 100),
        default=50.0,
        help="Percent of the rows of a file and school that may get another name, title or reference at once.",
    ),
    options.setting(
        "--change-rows",
        env="CONNECT_CHANGE_ROWS",
        type=click.IntRange(min=1),
        default=50,
        help="Fewer rows than these may always get another name, title or reference.",
    ),
    click.option("--allow-removals", is_flag=True, help="For this one run: let everything leave, and hold nothing."),
    click.option("--allow-lower-scores", is_flag=True, help="For this one run: let all scores fall."),
    click.option(
        "--allow-changes", is_flag=True, help="For this one run: let all names, titles and references change."
    ),
    click.option(
        "--allow-above-maximum",
        is_flag=True,
        help="For this one run: publish schools of which many scores are above the maximum.",
    ),
    click.option(
        "--allow-older-data",
        is_flag=True,
        help="For this one run: replace the package also where it was made from newer data than the warehouse has.",
    ),
    options.setting("--system-name", env="CONNECT_SYSTEM_NAME", default="", help="source.systemName of the manifest."),
    options.setting("--system-code", env="CONNECT_SYSTEM_CODE", default="", help="source.systemCode of the manifest."),
    options.lms_time_zone,
    options.consent_until,
    options.build_inputs,
    options.json_flag,
)


def _run(
    work: Callable[[Settings, Callable[[str, int], None]], dict[str, Any]], as_json: bool, chosen: dict[str, Any]
) -> dict[str, Any]:
    """Publish or preview, and return the report; with --json print exactly one object in any case."""
    chosen["exclude"] = options.listed(chosen["exclude"])
    with _failure_as_json(as_json):
        if "target" in chosen:
            chosen["delivery"], chosen["delivery_options"] = _receiver(chosen)
        with screen.progress() as step:
            report = work(Settings(**chosen), step)
    if as_json:
        click.echo(json.dumps(report))
    return report


@contextmanager
def _failure_as_json(as_json: bool) -> Iterator[None]:
    """Print the JSON object of a run that ends with an error."""
    try:
        yield
    except ConnectError as error:
        if as_json:
            click.echo(json.dumps(error.report or {"outcome": "failed", "why": str(error), "published": False}))
        raise


def _receiver(chosen: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    try:
        return receiver_of(chosen)
    except DeliveryError as error:  # of which publish says that the package is published here
        raise UsageError(str(error)) from error


@click.command(short_help="Check, guard and write the package, and deliver it.")
@_how
@options.together(
    options.blackout,
    receiver_options,
    options.notified,
    pages.page,
    pages.names,
    options.schedule_time_zone,
)
def publish(as_json: bool, page: Path | None, names: bool, schedule_time_zone: str, **chosen: Any) -> None:
    """Check the OneRoster tables, guard what would leave, publish one zip, all or nothing, and deliver it.

    \b
    What a bad day upstream cannot do:
      A package that breaks a rule is refused.
      A file that would lose more than --removal-threshold percent of a school's rows
        (and at least --removal-rows), or all of them, blocks the publish. So do final
        scores that fall and names, titles and references that change beyond their
        thresholds, and another grade sync or score scale that nobody agreed to.
      A row that vanishes while its learner is still a member, or a score that falls to
        nothing, is held as it was until newer reports were read and say so again.
      A warehouse that was put back from a copy replaces no package of newer data.
    The last good package stays in all these cases.

    publish-report.json and publish-report.md beside the package tell what happened (ids, no names or e-mails), the page
    report.html shows it (connect report), and the ledger keeps it: `connect history`. The same tables give the same
    bytes, so an unchanged night leaves the package untouched.

    \b
    Examples:
      connect publish
      connect publish --allow-removals                the term has ended, let the classes go
      connect publish --oneroster-version 1.2 --mode delta
      connect publish --profile moodle --privacy-level 2

    \b
    Exit codes: 0 published, unchanged, or skipped in a black-out
                1 refused by the checks
                2 an option, setting or mapping file is wrong
                3 the database is missing, in use, has no OneRoster models, or its tables are not of one
                  finished dbt:build with the mapping files and settings of now
                4 the package cannot be written, or another publish is running
                5 published here, but not delivered
                6 blocked by a guard
                7 not allowed: the consent has ended
                130 stopped with Ctrl-C
    """  # noqa: D301 - the escape is what keeps the lines apart
    with _failure_as_json(as_json):
        output_paths.check(chosen["database"], chosen["package"], pages.page_of_publish(chosen["package"], page))
    try:
        report = _run(publishing.publish, as_json, chosen)
    except ConnectError:
        pages.after_run(chosen, page, schedule_time_zone, names=names)
        raise
    place = chosen["package"].with_name(REPORT)
    if not as_json:
        good = report["outcome"] in {"published", "unchanged", "skipped"}
        terminal.say(screen.published(report) if good else screen.refused(report, place), err=not good)
    written = pages.after_run(chosen, page, schedule_time_zone, names=names)
    if written and not as_json:
        terminal.say(f"Page: {screen.near(written)}")
    sys.exit(_EXIT_CODES[report["outcome"]])


@click.command(short_help="Do everything but the delivery, and show what would change.")
@_how
def preview(as_json: bool, **chosen: Any) -> None:
    """Do everything but the delivery: what would be added, changed and removed since the last publish.

    The package is written into the folder `preview` beside the real one, which stays as it is, and nothing is
    remembered. Per file and school you see how many rows there would be and what would happen to them; --json has the
    ids, too.

    \b
    Examples:
      connect preview
      connect preview --mode delta --json

    \b
    Exit codes: as of publish; 1 and 6 say that a publish would be refused or blocked
    """  # noqa: D301 - the escape is what keeps the lines apart
    with _failure_as_json(as_json):
        output_paths.check(chosen["database"], chosen["package"], None)
    report = _run(publishing.preview, as_json, chosen)
    if not as_json:
        screen.preview(report)
    sys.exit(_EXIT_CODES[report["outcome"]])
