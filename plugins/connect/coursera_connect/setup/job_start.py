"""The first step of every job: the job gets an entry in the journal, and runs alone."""

from __future__ import annotations

import os
import sqlite3
import uuid
from typing import TYPE_CHECKING

from coursera_connect.command_text import environment_of_now
from coursera_connect.errors import ConnectError
from coursera_connect.jobs import ending, job_lock, journal, running, watch
from coursera_connect.jobs.journal import Run
from coursera_connect.meltano import meltano_runs, project_files
from coursera_connect.setup import old_locations

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def start(package: Path, wait: float, say: Callable[[str], None]) -> None:
    """Wait at most `wait` seconds until no other job is running, and keep others waiting until the caller has ended.

    `say` is called with a sentence about what is waited for, and about what is put right.

    Raises:
        RefusedError: The job is that of the sandbox, or choices are still where an earlier release had them.
        DatabaseError: Another job was running all the time.
        OutputError: The file of the lock cannot be written.
    """
    me = job_lock.Holder.caller()
    running.refuse_demo(me.job, environment_of_now() or "")
    file = journal.place(package)
    run = _begin(file, me, say)
    try:
        old_locations.refuse_now()
        job_lock.take(package.with_name(job_lock.LOCK), me, wait, say, (str(file), run) if run else ())
    except ConnectError as error:
        if run and not watch.watcher()[0]:
            journal.end(file, run, outcome=journal.FAILED, step="connect:lock", sentence=str(error), exit_code=1)
            running.announce_failure(run)
        raise
    if environment := environment_of_now():
        meltano_runs.end_dead(environment, say)
        meltano_runs.remove_settings()
        ending.look(file, environment, project_files.project_of_now())


def _begin(file: Path, me: job_lock.Holder, say: Callable[[str], None]) -> str:
    """Begin the entry of the run, and return its id; blank if the journal cannot be written, which stops no job."""
    trigger = os.environ.get(watch.TRIGGER, "")
    watcher, watcher_born = watch.watcher()
    run = Run(
        os.environ.get(watch.RUN_ID) or me.run or uuid.uuid4().hex,
        environment=environment_of_now() or "",
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
