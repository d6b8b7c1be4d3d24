"""`connect lock`: the first step of every job."""

from __future__ import annotations

import os
import sqlite3
import uuid
from typing import TYPE_CHECKING

import click

from coursera_connect import command_text
from coursera_connect.cli import options, terminal
from coursera_connect.cli.run import ended, refuse_demo
from coursera_connect.errors import ConnectError
from coursera_connect.jobs import ending, job_lock, journal, watch
from coursera_connect.jobs.journal import Run
from coursera_connect.meltano import meltano_runs, project_files
from coursera_connect.setup import old_locations

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@click.command(short_help="Let the job that begins with it run alone.")
@options.together(
    options.package,
    options.setting(
        "--lock-wait",
        env="CONNECT_LOCK_WAIT",
        type=options.Number(min=0),
        default=3600.0,
        help="Seconds to wait for another job.",
    ),
)
def lock(package: Path, lock_wait: float) -> None:
    """Wait until no other job is at work, and keep others waiting until the job that called this is gone.

    The first step of each job of meltano.yml. The lock is a file beside the package, so one for each environment. Who
    dies loses it, and steps that outlive their job keep it till they end. Runs that Meltano still takes for running
    although they were killed are noted as failed, so that it does not refuse the next. The run has an entry in the
    journal beside the package from now on, which ends with it, however that happens.

    \b
    Example, a job of your own in meltano.yml:
      tasks: ["connect:lock tap-coursera target-warehouse dbt:build connect:publish"]

    \b
    Exit codes: 0 the job has the lock
                2 an option is wrong
                3 another job had it all the time; who, stands in the message
                4 the file beside the package cannot be written
                7 choices of this environment are still where an earlier release kept them
    """  # noqa: D301 - the escape is what keeps the lines apart

    def say(sentence: str) -> None:
        terminal.say(sentence, err=True)

    me = job_lock.Holder.caller()
    refuse_demo(me.job, command_text.environment_of_now() or "")
    run = _begin(journal.place(package), me, say)
    try:
        entry = (str(journal.place(package)), run) if run else ()
        old_locations.refuse_now()
        job_lock.take(package.with_name(job_lock.LOCK), me, lock_wait, say, entry)
    except ConnectError as error:
        if run and not watch.watcher()[0]:
            told = {"outcome": journal.FAILED, "step": "connect:lock", "sentence": str(error), "exit_code": 1}
            journal.end(journal.place(package), run, **told)
            ended.main([run], standalone_mode=False)
        raise
    if environment := command_text.environment_of_now():
        meltano_runs.end_dead(environment, say)
        meltano_runs.remove_settings()
        ending.look(journal.place(package), environment, project_files.project_of_now())


def _begin(file: Path, me: job_lock.Holder, say: Callable[[str], None]) -> str:
    """Begin the entry of the run, and return its id; blank if the journal cannot be written, which stops no job."""
    trigger = os.environ.get(watch.TRIGGER, "")
    watcher, watcher_born = watch.watcher()
    run = Run(
        os.environ.get(watch.RUN_ID) or me.run or uuid.uuid4().hex,
        environment=command_text.environment_of_now() or "",
        job=me.job,
        started_by=trigger if trigger.startswith(journal.SCHEDULE) else journal.HAND,
        meltano_run=me.run,
        extractor=ending.extractor(project_files.project_of_now(), me.job),
        pid=me.pid,
        born=me.born,
        watcher=watcher,
        watcher_born=watcher_born,
    )
    try:
        return journal.begin(file, run).id
    except (sqlite3.Error, OSError) as error:
        say(f"The journal {file} cannot be written ({type(error).__name__}), so no page will tell how this run ends.")
        return ""
