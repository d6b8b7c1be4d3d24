"""Runs a job of meltano.yml, and keeps the entry of the run in the journal."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from coursera_connect.command_text import environment_of_now, printed
from coursera_connect.errors import RefusedError, UsageError
from coursera_connect.jobs import ending, journal, watch
from coursera_connect.jobs.journal import Run
from coursera_connect.meltano import meltano_schedules, processes, project_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from coursera_connect.jobs.watch import Event

DEMO = "demo"
"""The job that is about a made-up college."""
_SANDBOX_STOP = "coursera-sandbox:stop"
_END = ("ended_at", "outcome", "step", "sentence", "exit_code", "extractor", "loaded", "steps")
"""The columns of the journal that describe the end of a run."""


@dataclass(frozen=True)
class Job:
    """A job of a project in an environment; `name` may also be the steps themselves, separated by spaces."""

    project: Path
    environment: str
    name: str
    steps: list[str]


def job(name: str) -> Job:
    """Return a job of the present project and environment.

    Raises:
        UsageError: There is no project, or it has no such job.
        RefusedError: The job is `demo`, and the environment is not the sandbox.
    """
    environment, project = environment_of_now(), project_files.project_of_now()
    if environment is None or project is None:
        raise UsageError("There is no Meltano project here: call `connect run grade-sync` in the project's folder.")
    refuse_demo(name, environment)
    steps = meltano_schedules.steps(project, name)
    if not steps:
        raise UsageError(f"meltano.yml has no job {name}: use one of {', '.join(meltano_schedules.jobs(project))}.")
    return Job(project, environment, name, steps)


def refuse_demo(name: str, environment: str) -> None:
    """Refuse the job of the made-up college in the environment of a real one.

    Raises:
        RefusedError: The job is `demo`, and the environment is not the sandbox.
    """
    if name.split()[:1] == [DEMO] and environment not in {"", project_files.SANDBOX}:
        raise RefusedError(
            f"The job demo loads a made-up college, and {environment} is a real one: "
            f"use `{printed('connect run demo', project_files.SANDBOX)}`."
        )


def usual_seconds(package: Path, name: str) -> Mapping[str, float]:
    """Return how many seconds each step of a job took in its last good run, by the number of the step."""
    runs = journal.read(journal.place(package), "job = ? and outcome = 'done'", [name])
    usual: dict[str, float] = json.loads(next((one.steps for one in runs if one.steps), "{}"))
    return usual


def run(job: Job, package: Path, log: Path, show: Callable[[Event], None], *, full_refresh: bool = False) -> Run:
    """Run a job to its end, and return its entry in the journal; a failure is announced.

    `log` is the file for what Meltano and the steps print, and `show` is called with each line of that.
    """
    file = journal.place(package)
    entry = _begin(file, job)
    words = [*(["--full-refresh"] if full_refresh else []), *job.name.split()]
    command = processes.arguments(job.project, job.environment, "run", *words)
    with closing(watch.Log(log)) as lines:
        variables = processes.variables(job.project, job.environment)
        watched = watch.watch(command, job.project, variables, entry, (lines, show))
    ended = replace(watched.run, steps=json.dumps(watched.seconds))
    end(file, ended)
    if ended.outcome != journal.DONE:
        announce_failure(ended.id)
        if _SANDBOX_STOP in job.steps:
            _stop_sandbox(job)
    known = journal.read(file, "id = ?", [entry.id])
    return known[0] if known else ended


def end(file: Path, run: Run) -> None:
    """Record the end of a run in the journal; if that cannot be written, do nothing."""
    values = {name: value for name, value in asdict(run).items() if name in _END}
    with suppress(sqlite3.Error, OSError):
        known = journal.read(file, "id = ?", [run.id])
        if known and known[0].published and known[0].sentence and run.step == ending.PUBLISH:
            values["sentence"] = known[0].sentence
        journal.end(file, run.id, **values)


def record_end(file: Path, run: str, watched: Run | None) -> Run | None:
    """Record how a run ended, and return the run if it failed; None otherwise, and if the journal cannot be written.

    `watched` is the run as the process knows it that has watched the run; None if there was no such process.
    """
    with suppress(sqlite3.Error, OSError):
        if watched is not None:
            begun = Run(watched.id, watched.environment, watched.job, watched.started_by, watched.started_at)
            journal.begin(file, begun)
            end(file, watched)
        found = journal.read(file, "id = ?", [run])
        if found:
            entry = found[0] if found[0].ended_at else ending.settle(file, found[0], project_files.project_of_now())
            return entry if entry.outcome != journal.DONE else None
    return None


def announce_failure(run: str) -> None:
    """Write the page and send notices of a failed run, by `connect ended`, whose options are environment variables."""
    subprocess.run([sys.executable, "-m", "coursera_connect", "ended", run], check=False)  # noqa: S603 - our own


def _begin(file: Path, job: Job) -> Run:
    pid, born = journal.process(os.getpid())
    run = Run(
        str(uuid.uuid4()),
        environment=job.environment,
        job=job.name,
        extractor=ending.extractor(project_files.project_of_now(), job.name),
        pid=pid,
        born=born,
        watcher=pid,
        watcher_born=born,
    )
    with suppress(sqlite3.Error, OSError):  # a run without an entry is still a run
        return journal.begin(file, run)
    return replace(run, started_at=journal.now())


def _stop_sandbox(job: Job) -> None:
    """Stop the server that the job would have stopped at its end."""
    subprocess.run(  # noqa: S603 - the project's own
        processes.arguments(job.project, job.environment, "--log-level=disabled", "invoke", _SANDBOX_STOP),
        cwd=job.project,
        env=processes.variables(job.project, job.environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
