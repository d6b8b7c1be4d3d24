"""`connect schedule check`; the other commands of `connect schedule` are in `schedule_install`."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from coursera_connect import command_text
from coursera_connect.cli import options, schedule_install, terminal
from coursera_connect.jobs import ending, journal
from coursera_connect.meltano import project_files
from coursera_connect.schedule import lms_sync as schedules
from coursera_connect.schedule import lms_times

if TYPE_CHECKING:
    from pathlib import Path


@click.group(short_help="Run the schedules on time, and before the LMS syncs.")
def schedule() -> None:
    """Have this machine run the Meltano schedules, and compare them with the time at which the LMS syncs."""


for _command in schedule_install.COMMANDS:
    schedule.add_command(_command)


@schedule.command(short_help="Does every run end before the LMS syncs?")
@options.together(
    schedule_install.project,
    options.setting(
        "--lms-sync-time",
        env=lms_times.SYNC_TIME,
        default="05:00",
        help="When the LMS syncs: a time, several separated by commas, or a cron expression.",
    ),
    schedule_install.zone,
    options.setting(
        "--minutes",
        env="CONNECT_SCHEDULE_MINUTES",
        type=options.Number(min=0),
        default=15.0,
        help="Minutes needed between the end of the usual run and the LMS sync.",
    ),
    options.setting(
        "--usual-minutes",
        env="CONNECT_SCHEDULE_USUAL_MINUTES",
        type=options.Number(min=0),
        default=30.0,
        help="Minutes a run is supposed to take until three are known.",
    ),
    options.blackout,
    options.database,
    options.package,
    options.wait,
    options.json_flag,
)
def check(as_json: bool, package: Path, **chosen: Any) -> None:
    """Check that every run ends at least 15 minutes before the LMS syncs.

    Each schedule of meltano.yml whose job publishes is compared with the LMS's sync over the next 400 days, so that
    every change to and from daylight saving time is met, in both time zones. A run takes as long as 9 of 10 past ones
    took that the schedule has started; runs by hand count for nothing. The gap is measured from that end to the first
    sync after the start of the run.

    \b
    Example, for an LMS in New York and a server that lives in UTC:
      connect schedule check --lms-sync-time 05:00 --lms-time-zone America/New_York --time-zone UTC

    \b
    Verdicts: OK
              warning       overlaps with another run, or the last run really ended too late
              error         the usual run ends too close to the LMS sync, or the schedule cannot run
              not relevant  it does not publish, or runs by hand only

    \b
    Exit codes: 0 no error
                1 an error
                2 an option, a setting or meltano.yml is wrong
                3 the database is in use or cannot be read
    """  # noqa: D301 - the escape is what keeps the lines apart
    file = journal.place(package)
    ending.look(file, command_text.environment_of_now() or "", project_files.project_of_now())
    report = schedules.check(schedules.Settings(**chosen, journal=file), datetime.now(timezone.utc))
    if as_json:
        click.echo(json.dumps(report))
    else:
        _show(report)
    if report["verdict"] == schedules.ERROR:
        sys.exit(1)


def _show(report: dict[str, Any]) -> None:
    here, lms = report["schedule_time_zone"], report["lms_time_zone"]
    origin = ", the zone of the LMS" if here["from"] == "LMS" else ""
    lines = [
        f"Schedules run in {here['name']}{origin}{_changes(here)}",
        f"The LMS syncs at {report['lms']['sync']} in {lms['name']}{_changes(lms)}",
        "",
    ]
    terminal.say("\n".join(lines))
    if not report["schedules"]:
        terminal.say("meltano.yml has no schedules.")
        return
    terminal.table(
        ("schedule", "interval", "verdict", "usual run", "worst gap", "on", "too close"),
        [
            (found["name"], found["interval"], _verdict(found["verdict"]), *_numbers(found))
            for found in report["schedules"]
        ],
        second=3,
    )
    for found in report["schedules"]:
        if found["sentences"]:
            said = "\n".join(f"  {sentence}" for sentence in found["sentences"])
            terminal.say(f"\n{found['name']}: {_verdict(found['verdict'])}\n{said}")
    terminal.say()
    rows = [("LMS sync", moment) for moment in report["lms"]["next"]]
    rows += [(found["name"], moment) for found in report["schedules"] for moment in found["next"]]
    terminal.table(
        ("next times", here["name"], lms["name"]),
        [
            (name, moment["here"], moment["lms"] + (" (black-out)" if moment.get("blackout") else ""))
            for name, moment in sorted(rows, key=lambda row: row[1]["utc"])
        ],
    )


def _verdict(verdict: str) -> str:
    return "OK" if verdict == schedules.OK else verdict


def _changes(zone: dict[str, Any]) -> str:
    days = zone["clock_changes"]
    return f" (clocks change {', '.join(days)})" if days else " (clocks do not change)"


def _numbers(found: dict[str, Any]) -> list[str]:
    usual, worst = found.get("usual"), found.get("worst")
    return [
        f"{usual['minutes']:g} min{'' if usual['source'] == 'history' else ' (?)'}" if usual else "",
        f"{worst['gap_minutes']:g} min" if worst else "",
        worst["starts"]["here"].split()[1] if worst else "",
        f"{found['too_close']:,} of {found['runs']:,}" if worst else "",
    ]
