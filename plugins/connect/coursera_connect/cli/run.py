"""`connect run`, and the notices of a run that has ended."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing, suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from coursera_connect import command_text
from coursera_connect.cli import options, screen, terminal
from coursera_connect.cli import report as pages
from coursera_connect.errors import ConnectError, RefusedError, UsageError
from coursera_connect.jobs import ending, health, journal, progress, watch
from coursera_connect.jobs.journal import Run
from coursera_connect.meltano import meltano_schedules, processes, project_files
from coursera_connect.notices import announcements
from coursera_connect.report import render as report_pages
from coursera_connect.report.summary import summary as run_summary

if TYPE_CHECKING:
    from pathlib import Path

DEMO = "demo"
"""The job that is about a made-up college."""

_SANDBOX_STOP = "coursera-sandbox:stop"


def refuse_demo(job: str, environment: str) -> None:
    """Refuse the job of the made-up college where a real one is.

    Raises:
        RefusedError: The job is `demo`, and the environment is not the sandbox.
    """
    if job.split()[:1] == [DEMO] and environment not in {"", project_files.SANDBOX}:
        raise RefusedError(
            f"The job demo loads a made-up college, and {environment} is a real one: "
            f"use `{command_text.printed('connect run demo', project_files.SANDBOX)}`."
        )


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
    environment, project = command_text.environment_of_now(), project_files.project_of_now()
    if environment is None or project is None:
        raise UsageError("There is no Meltano project here: call `connect run grade-sync` in the project's folder.")
    refuse_demo(job, environment)
    words = meltano_schedules.steps(project, job)
    if not words:
        raise UsageError(f"meltano.yml has no job {job}: use one of {', '.join(meltano_schedules.jobs(project))}.")
    more = ["--full-refresh"] if full_refresh else []
    log = (logs / f"{job}.log").absolute()
    ended_run, shown = followed(
        project, environment, [*more, job], words=words, package=chosen["package"], log=log, quiet=as_json
    )
    if ended_run.outcome != journal.DONE and _SANDBOX_STOP in words:
        _stop_sandbox(project, environment)
    _show(ended_run, shown, log, chosen, as_json=as_json)
    sys.exit(ended_run.exit_code)


def _stop_sandbox(project: Path, environment: str) -> None:
    """Stop the server that the job would have stopped at its end."""
    subprocess.run(  # noqa: S603 - the project's own
        processes.arguments(project, environment, "--log-level=disabled", "invoke", _SANDBOX_STOP),
        cwd=project,
        env=processes.variables(project, environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


def followed(  # noqa: PLR0913 - what is run, and where it is noted
    project: Path, environment: str, told: list[str], *, words: list[str], package: Path, log: Path, quiet: bool
) -> tuple[Run, list[progress.Step]]:
    """Do `meltano run TOLD`, whose steps are `words`: shown while it runs, written into `log`, noted in the journal."""
    file, job = journal.place(package), " ".join(word for word in told if word[:1] != "-")
    entry = _begin(file, environment, job)
    usual = next((one.steps for one in journal.read(file, "job = ? and outcome = 'done'", [job]) if one.steps), "{}")
    shown = progress.steps(words, json.loads(usual))
    command = processes.arguments(project, environment, "run", *told)
    with closing(watch.Log(log)) as lines, progress.screen([] if quiet else shown, terminal.console()) as show:
        watched = watch.watch(command, project, processes.variables(project, environment), entry, (lines, show))
    ended_run = replace(watched.run, steps=json.dumps(watched.seconds))
    _end(file, ended_run)
    _tell(ended_run)
    known = journal.read(file, "id = ?", [entry.id])
    return known[0] if known else ended_run, shown


def _begin(file: Path, environment: str, job: str) -> Run:
    pid, born = journal.process(os.getpid())
    run = Run(
        str(uuid.uuid4()),
        environment=environment,
        job=job,
        extractor=ending.extractor(project_files.project_of_now(), job),
        pid=pid,
        born=born,
        watcher=pid,
        watcher_born=born,
    )
    with suppress(sqlite3.Error, OSError):  # who cannot be noted can be run
        return journal.begin(file, run)
    return replace(run, started_at=journal.now())


def _end(file: Path, run: Run) -> None:
    told = {name: value for name, value in asdict(run).items() if name in _ENDS}
    with suppress(sqlite3.Error, OSError):
        known = journal.read(file, "id = ?", [run.id])
        if known and known[0].published and known[0].sentence and run.step == ending.PUBLISH:
            told["sentence"] = known[0].sentence
        journal.end(file, run.id, **told)


_ENDS = ("ended_at", "outcome", "step", "sentence", "exit_code", "extractor", "loaded", "steps")


def _tell(run: Run) -> None:
    """Report a failure by `connect ended`, whose options come from the environment."""
    if run.outcome != journal.DONE:
        with suppress(ConnectError):
            ended.main([run.id], standalone_mode=False)


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
        screen.failed(health.told(run))
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
    options.shape,
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
    with suppress(sqlite3.Error, OSError):
        if told is not None:
            known = Run(**json.loads(told))
            journal.begin(file, Run(known.id, known.environment, known.job, known.started_by, known.started_at))
            _end(file, known)
        found = journal.read(file, "id = ?", [run])
        if not found:
            return
        entry = found[0] if found[0].ended_at else ending.settle(file, found[0], project_files.project_of_now())
        if entry.outcome == journal.DONE:
            return
        page, zone = chosen.pop("page"), chosen.pop("schedule_time_zone")
        pages.after_run(chosen, page, zone, names=names, wait=chosen["wait"])
        for warning in announcements.announce(file, entry, health.report(entry), webhook, notify):
            terminal.say(f"Warning: {warning}", err=True)


COMMANDS = (run, ended)
