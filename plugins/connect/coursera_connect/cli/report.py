"""`connect report`, and the page that every publish writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from coursera_connect.cli import options, screen, terminal
from coursera_connect.report import output_paths, project_state
from coursera_connect.report import render as pages
from coursera_connect.report.page_quality import PrivacyOptions

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_connect.warehouse.warehouse import Location

page = options.outward(
    "--page",
    env="CONNECT_REPORT",
    type=options.PATH,
    default=None,
    help="The HTML file; without it, report.html beside the package. A publish takes `off`, too.",
)
names = options.setting(
    "--names",
    env="CONNECT_REPORT_NAMES",
    is_flag=True,
    help="Show people's names in the rows of data quality, as the Privacy Shield lets them through.",
)


@click.command(short_help="Write the page to look at: one HTML file.")
@options.together(
    options.database,
    options.package,
    page,
    names,
    options.schedule_time_zone,
    options.lms_time_zone,
    options.wait,
    options.output,
    options.json_flag,
)
def report(*, as_json: bool, database: Location, package: Path, wait: float, **chosen: Any) -> None:
    """Write one HTML file that shows how the sync is: it opens from disk, needs no network, and prints.

    Is it healthy, when was the last load and the last delivery, when is the next run, how old is the data, what changed
    since yesterday, which schools are mapped or missing, what was held or blocked and what to type, grades and
    completions, runs, data quality with its rows. People are shown by ids alone, unless --names is given. Every publish
    writes the page, too, and so does each run of a job that fails.

    \b
    Examples:
      connect report
      connect report --page status.html
      connect report --names --privacy-level 1

    \b
    Exit codes: 0 written
                2 an option is wrong
                3 the database is missing or in use
                4 the page cannot be written, or a publish is running
    """  # noqa: D301 - the escape is what keeps the lines apart
    place = pages.place(package, chosen.pop("page"))
    output_paths.check(database, package, place, writes_package=False)
    zones = chosen.pop("schedule_time_zone"), chosen.pop("lms_time_zone")
    state = project_state.here(package, *zones)
    written = pages.write(database, place, package, _privacy_options(chosen), state, wait)
    if as_json:
        click.echo(json.dumps(written))
    else:
        terminal.say(f"{screen.near(written['page'])}: {written['sentence']}")


def page_of_publish(package: Path, page: Path | None) -> Path | None:
    """Return where a publish writes the page; None where it writes none."""
    return None if str(page) == pages.OFF else pages.place(package, page)


def after_run(
    chosen: dict[str, Any], page: Path | None, schedule_time_zone: str, *, names: bool, wait: float = 0
) -> Path | None:
    """Write the page after a publish or a job has ended, and return where it is, None where there is none.

    Whatever goes wrong here is one line and changes nothing.
    """
    written = page_of_publish(chosen["package"], page)
    if written is None:
        return None
    privacy = _privacy_options({name: chosen[name] for name in _PRIVACY} | {"names": names})
    zones = schedule_time_zone, chosen["lms_time_zone"]
    if why := pages.write_anyway(chosen["database"], written, chosen["package"], privacy, zones, wait):
        terminal.say(f"The page was not written: {why}", err=True)
        return None
    return written


_PRIVACY = ("schema", "oneroster_version", "profile", "privacy_level", "privacy_key", "exclude")


def _privacy_options(chosen: dict[str, Any]) -> PrivacyOptions:
    exclude = chosen["exclude"]
    return PrivacyOptions(
        names=chosen["names"],
        schema=chosen["schema"],
        version=chosen["oneroster_version"],
        profile=chosen["profile"],
        level=chosen["privacy_level"],
        key=chosen["privacy_key"],
        exclude=options.listed(exclude) if isinstance(exclude, str) else exclude,
    )
