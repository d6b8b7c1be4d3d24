"""`connect run`, and the notices of a run that has ended."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from coursera_connect.cli import options, progress, screen, terminal
from coursera_connect.cli import report as pages
from coursera_connect.errors import ConnectError
from coursera_connect.jobs import health, journal, running
from coursera_connect.jobs.journal import Run
from coursera_connect.notices import announcements
from coursera_connect.report import render as report_pages
from coursera_connect.report.summary import summary as run_summary

if TYPE_CHECKING:
    from pathlib import Path


@click.command(short_help="Run a job, and show how far it is and how it ended.")
@click.argument("job")
@options.together(
    options.database,
    options.package,
    options.wait,
    options.raw_schema,
    options.logs,
    click.option("--full-refresh", is_flag=True, help="Load everything anew, as `meltano run --full-refresh` does."),
    options.json_flag,
)
def run(*, job: str, full_refresh: bool, as_json: bool, logs: Path, **chosen: Any) -> None:
    """Run a job of meltano.yml: on a terminal with its steps, bars, rows and the time left, elsewhere quietly.

    What Meltano and the steps print goes into a log; at the end one screen says what the run left, or why it failed and
    what to do. The run stands in the journal, as each run does that begins with `connect:lock`.

    \b
    Examples:
      connect run grade-sync
      connect run roster-sync --full-refresh

    \b
    Exit codes: those of `meltano run`: 0 done, 1 a step failed; the screen says which
                2 an option is wrong, or there is no such job
                7 the job demo outside of the sandbox
                130 stopped with Ctrl-C
    """  # noqa: D301 - the escape is what keeps the lines apart
    job_to_run = running.job(job)
    log = (logs / f"{job}.log").absolute()
    steps = progress.steps(job_to_run.steps, running.usual_seconds(chosen["package"], job))
    with progress.screen([] if as_json else steps, terminal.console()) as show:
        ended_run = running.run(job_to_run, chosen["package"], log, show, full_refresh=full_refresh)
    _show(ended_run, steps, log, chosen, as_json=as_json)
    sys.exit(ended_run.exit_code)


def _show(run: Run, found: list[progress.Step], log: Path, chosen: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**asdict(run), "seconds": run.seconds, "log": str(log)}))
        return
    if run.outcome == journal.DONE:
        seconds = {} if terminal.console().is_terminal else json.loads(run.steps or "{}")  # there they stand above
        took = ", ".join(
            f"{step.short} {progress.span(seconds[str(number)])}"
            for number, step in enumerate(found)
            if seconds.get(str(number), 0) >= 1
        )
        what = f"{run.job} of {run.environment}"
        terminal.say(f"{what} ended well after {progress.span(run.seconds or 0)}{took and f' ({took})'}.\n")
        with suppress(ConnectError):
            screen.ran(_summary(chosen))
    else:
        screen.failed(health.described(run))
    page = chosen["package"].with_name(report_pages.NAME)
    if page.is_file():
        terminal.say(f"Page: {screen.near(page)}")
    terminal.say(f"Log: {screen.near(log)}")


def _summary(chosen: dict[str, Any]) -> dict[str, Any]:
    return run_summary(chosen["database"], chosen["package"], chosen["raw_schema"], chosen["wait"])


@click.command(hidden=True)
@click.argument("run")
@options.together(
    options.database,
    options.package,
    options.wait,
    options.output,
    pages.page,
    pages.names,
    options.schedule_time_zone,
    options.lms_time_zone,
    options.notified,
)
@click.option("--told", help="What is known of the run, as JSON; who watched it says so.")
def ended(run: str, told: str | None, webhook: str, notify: str, names: bool, **chosen: Any) -> None:
    """Note how a run ended, and tell of a failure: the page anew, and one notice."""
    file = journal.place(chosen["package"])
    failed = running.record_end(file, run, Run(**json.loads(told)) if told is not None else None)
    if failed is None:
        return
    page, zone = chosen.pop("page"), chosen.pop("schedule_time_zone")
    pages.after_run(chosen, page, zone, names=names, wait=chosen["wait"])
    for warning in announcements.announce(file, failed, health.report(failed), webhook, notify):
        terminal.say(f"Warning: {warning}", err=True)


COMMANDS = (run, ended)
