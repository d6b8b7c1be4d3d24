"""`connect schedule install`, `remove`, `status` and `run`: the schedules on this machine."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from coursera_connect.cli import options, terminal
from coursera_connect.command_text import carried
from coursera_connect.jobs import health
from coursera_connect.meltano.project_files import PROJECT
from coursera_connect.schedule import entries, installation, lms_times, scheduled_run

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_connect.schedule.entries import Owner, Plan

project = options.setting(
    "--project",
    env=PROJECT,
    type=options.PATH,
    default=".",
    help="Folder of the Meltano project, which has the schedules.",
)
zone = options.together(
    options.lms_time_zone,
    options.setting(
        "--time-zone",
        env=lms_times.CRON_ZONE,
        default="",
        help="IANA time zone of the schedules.  [default: that of the LMS]",
    ),
)
whose = options.together(
    project,
    options.setting(
        "--environment", env=entries.ENVIRONMENT, default="", help="Meltano environment, as `meltano` is told it."
    ),
)
_how = options.together(
    click.option(
        "--meltano",
        type=options.PATH,
        help="Meltano's executable.  [default: the one that the project was last used with]",
    ),
    options.logs,
    options.setting(
        "--umask",
        env="CONNECT_SCHEDULE_UMASK",
        default="077",
        help="umask of the runs: 077 keeps what they write to its owner, 027 to a group.",
    ),
)


def owner_of(chosen: dict[str, Any]) -> Owner:
    """Take the values of `whose` out of a command's parameters."""
    return entries.Owner(chosen.pop("project").absolute(), chosen.pop("environment"))


def _plan(chosen: dict[str, Any]) -> Plan:
    owner = owner_of(chosen)
    chosen["logs"] = chosen["logs"].absolute()
    return installation.planned(owner, entries.Settings(**chosen), datetime.now(timezone.utc))


@click.command(short_help="Have cron or systemd run the schedules.")
@options.together(
    whose,
    click.option(
        "--with",
        "kind",
        type=click.Choice(list(installation.KINDS)),
        default="cron",
        show_default=True,
        help="What is to run them.",
    ),
    zone,
    _how,
    click.option("--dry-run", is_flag=True, help="Print what would be written, and write nothing."),
)
def install(*, kind: str, dry_run: bool, **chosen: Any) -> None:
    """Have this machine run each schedule of meltano.yml that has a time, as the user who calls this.

    A setting per schedule changes its time, CONNECT_SCHEDULE_GRADE_SYNC for grade-sync and so on: a cron expression, or
    @manual for by hand.

    Entries go into the user's crontab, or unit files into ~/.config/systemd/user; what others have there stays as it
    is. Calling it again brings them up to date. A run writes into a log of its own (5 MB at most) and says nothing
    unless it fails: then cron mails it.

    \b
    Examples:
      connect --environment=prod schedule install --dry-run
      connect --environment=prod schedule install --with systemd

    \b
    Exit codes: 0 installed
                2 an option, a setting or meltano.yml is wrong
                7 not in the sandbox, and not with both cron and systemd
                8 this machine's cron or systemd cannot be used; the sentence says what to do
    """  # noqa: D301 - the escape is what keeps the lines apart
    plan = _plan(chosen)
    if dry_run:
        click.echo(installation.KINDS[kind].text(plan), nl=False)
        return
    installation.install(kind, plan)
    terminal.say(f"Installed with {kind} for {plan.owner.environment}, in {plan.zone.key}:")
    for one in plan.schedules:
        terminal.say(f"  {one.name}  {one.cron}")
    for name in plan.left_out:
        terminal.say(f"  {name}  by hand only")
    terminal.say(carried(f"Logs: {plan.settings.logs}. Next: connect schedule check"))
    for sentence in installation.KINDS[kind].warnings(plan):
        terminal.say(carried(f"Warning: {sentence}"), err=True)


@click.command(short_help="Take away what `install` wrote.")
@whose
def remove(**chosen: Any) -> None:
    """Take away the entries of this project and environment, and nothing else. Logs stay.

    \b
    Example:
      connect --environment=prod schedule remove

    \b
    Exit codes: 0 removed, or there were none
                2 an option is wrong
                8 this machine's cron or systemd cannot be used; the sentence says what to do
    """  # noqa: D301 - the escape is what keeps the lines apart
    owner = owner_of(chosen)
    kinds = installation.installed_with(owner)
    for kind in kinds:
        installation.KINDS[kind].remove(owner)
        terminal.say(f"Removed what {kind} had for {owner.environment}.")
    if not kinds:
        terminal.say(f"Nothing is installed for {owner.environment} of {owner.project}.")


@click.command(short_help="Is it installed, and as meltano.yml has it now?")
@options.together(whose, zone, _how, options.json_flag)
def status(*, as_json: bool, **chosen: Any) -> None:
    """Compare what is installed with what `install` would write today.

    \b
    Example:
      connect --environment=prod schedule status

    \b
    Exit codes: 0 installed, and up to date
                1 not installed, or something else than meltano.yml and the settings say now
                2 an option, a setting or meltano.yml is wrong
                8 this machine's cron cannot be used
    """  # noqa: D301 - the escape is what keeps the lines apart
    plan = _plan(chosen)
    found = installation.state(plan)
    if as_json:
        facts = {"installed_with": found.installed_with, "current": found.current}
        click.echo(json.dumps({**facts, "differences": found.differences, "warnings": found.warnings}))
    else:
        if not found.installed_with:
            terminal.say(carried(f"Not installed for {plan.owner.environment}: `connect schedule install` does it."))
        for kind, lines in found.differences.items():
            state = "but not as meltano.yml and the settings are now:" if lines else "and up to date."
            terminal.say(f"Installed with {kind} for {plan.owner.environment}, {state}")
            click.echo("".join(f"{line}\n" for line in lines), nl=False)
        for sentence in found.warnings:
            terminal.say(carried(f"Warning: {sentence}"), err=True)
    if not found.current:
        sys.exit(1)


@click.command(short_help="Run a schedule now, as cron and systemd do.")
@click.argument("name")
@options.together(
    whose,
    _how,
    click.option("--interval", help="Run only if a time of this cron expression has come since the last call."),
    click.option("--time-zone", default="UTC", help="IANA time zone of --interval."),
)
def run(*, name: str, interval: str | None, time_zone: str, umask: str, **chosen: Any) -> None:
    """Run a schedule of meltano.yml into its log; this is what the installed entries call.

    If it fails, the cause and the last lines of the log are repeated, and whoever is to be told is.

    \b
    Example:
      connect --environment=prod schedule run grade-sync

    \b
    Exit codes: 0 done, or its time has not come
                2 an option is wrong
                4 the log cannot be written
                others: those of the job
    """  # noqa: D301 - the escape is what keeps the lines apart
    owner = owner_of(chosen)
    logs: Path = chosen["logs"].absolute()
    meltano = entries.meltano(owner, chosen["meltano"])
    one = scheduled_run.Scheduled(name, owner.project, owner.environment, meltano, logs, installation.umask(umask))
    watched = scheduled_run.execute_if_due(one, interval, time_zone)
    if watched and (code := watched.run.exit_code):
        words = health.described(watched.run)
        terminal.say(f"Error: {name} of {owner.environment} failed (exit code {code}).", err=True)
        terminal.say(f"{words['sentence']} {words['more']}".strip(), err=True)
        terminal.say(f"{one.log} ends:", err=True)
        terminal.say("\n".join(watched.last), err=True)
        sys.exit(code)


COMMANDS = (install, remove, status, run)
