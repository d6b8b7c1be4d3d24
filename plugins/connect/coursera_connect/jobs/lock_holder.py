"""Holds the lock of a job until the job is gone.

Started as `python -m coursera_connect.jobs.lock_holder LOCK SESSION [JOURNAL RUN]`.

LOCK is the open file, which names the holder, and SESSION is the session of the job's processes. A killed job may leave
steps that still write to the warehouse, so the next job has to wait for these, too. A service that a step started, such
as the sandbox, has left the session.

When the job is over, this process ends its entry in the journal, unless another process watches the job and does so.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from coursera_connect.jobs import ending, journal, running
from coursera_connect.jobs.job_lock import holder, write
from coursera_connect.meltano import project_files
from coursera_connect.meltano.project_files import RUN

if TYPE_CHECKING:
    from coursera_connect.jobs.job_lock import Holder

_LOOK_SECONDS = 0.5
_SAME = 2
"""Seconds by which the start time of a process may appear to move when the clock is set."""


def main(handle: int, session: int) -> None:
    """Hold the lock and return when no process of the job is left."""
    job = holder(handle)
    if job is None:
        return
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(job.pid)
        if abs(process.create_time() - job.born) < _SAME:
            _wait(process)
    while left := _steps(job, session):
        write(handle, replace(job, who=f"{', '.join(left.values())}, left at work by {job.who}"))
        psutil.wait_procs(left, timeout=_LOOK_SECONDS)


def end_entry(file: Path, run: str) -> None:
    """End the entry of the job and send notices of a failure, unless another process watches the job."""
    while True:
        found = journal.read(file, "id = ? and coalesce(ended_at, '') = ''", [run])
        if not found:
            return
        if not found[0].is_watched:
            break
        time.sleep(_LOOK_SECONDS)
    ended = ending.settle(file, found[0], project_files.project_of_now())
    if ended.outcome != journal.DONE:
        running.announce_failure(run)


def _wait(process: psutil.Process) -> None:
    # One that has ended stays as a zombie while nobody asks for its exit code, as in a container without an init.
    while process.status() != psutil.STATUS_ZOMBIE:
        with suppress(psutil.TimeoutExpired):
            process.wait(_LOOK_SECONDS)
            return


def _steps(job: Holder, session: int) -> dict[psutil.Process, str]:
    """Return the living processes of the job's run in the session, and their name for the operator."""
    found = {}
    for process in psutil.process_iter() if job.run else ():
        with suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == session and process.environ().get(RUN) == job.run:
                found[process] = f"{process.name()} (process {process.pid})"
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
    if sys.argv[3:]:
        end_entry(Path(sys.argv[3]), sys.argv[4])
