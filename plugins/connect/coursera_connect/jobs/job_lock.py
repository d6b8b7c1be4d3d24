"""The lock that lets one job run at a time: the first step of a job takes it, and its last process releases it.

A job is one `meltano` process whose steps are processes of their own. The first step takes the lock and passes it to a
process that holds it as long as the job lives (lock_holder.py). The lock is on an open file, so the system releases it
when its holder ends, however that happens; the content of the file only tells who holds the lock.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from coursera_connect import file_lock
from coursera_connect.errors import DatabaseError, OutputError
from coursera_connect.meltano.project_files import RUN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOCK = ".job.lock"
"""The name of the file beside the package."""
_RETRY_SECONDS = 0.2
_CALLS = ("run", "invoke")


@dataclass(frozen=True)
class Holder:
    """The process that has the lock.

    Attributes:
        who: The job in words, such as `meltano run grade-sync (process 4711, since 2026-11-27T01:00:00Z)`.
        pid: The process of the job.
        born: When that process began, in seconds since 1970: another process may get its number later.
        run: The id that Meltano passes to the steps of the run; blank without Meltano.
        job: The name of the job, or the words that were typed in its place.
    """

    who: str
    pid: int
    born: float
    run: str
    job: str = ""

    @classmethod
    def caller(cls) -> Holder:
        """Return the process that called this one."""
        try:
            process = psutil.Process(os.getppid())
            since = datetime.fromtimestamp(process.create_time(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            words = _called(process)
            who = f"{' '.join(words)} (process {process.pid}, since {since})"
            return cls(who, process.pid, process.create_time(), os.environ.get(RUN, ""), " ".join(words[2:]))
        except psutil.Error as error:
            raise _abandoned() from error


def take(file: Path, me: Holder, wait: float, say: Callable[[str], None], entry: Sequence[str] = ()) -> None:
    """Take the lock for the process that called this one, and start the process that holds it.

    Args:
        file: The file that is locked; it and its folder are created when missing.
        me: The process that called this one.
        wait: The most seconds to wait for another job.
        entry: The journal and the run's id in it; the holder of the lock ends this entry with the job.
        say: Is called with a sentence that names the job that holds the lock.

    Raises:
        DatabaseError: Another job held the lock all the time, or the caller has ended.
        OutputError: The file cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OutputError(
            f"Cannot write to the folder {file.parent} ({error.strerror}): check CONNECT_PACKAGE."
        ) from error
    try:
        if _wait(handle, me, wait, say):
            write(handle, me)
            _start_holder(handle, me, entry)
    finally:
        os.close(handle)


def holder(handle: int) -> Holder | None:
    """Return the holder that the file names; None if the file cannot be read, for example while it is written."""
    try:
        found: dict[str, Any] = json.loads(os.pread(handle, 1 << 16, 0))
        return Holder(**found)
    except (ValueError, TypeError):
        return None


def write(handle: int, me: Holder) -> None:
    """Write the holder into the file; only the holder may call this."""
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(asdict(me)).encode(), 0)


def _wait(handle: int, me: Holder, wait: float, say: Callable[[str], None]) -> bool:
    """Wait for the lock; return false if the caller's own run holds it, which may consist of several jobs."""
    deadline = time.monotonic() + wait
    announced = ""
    while not file_lock.taken(handle):
        other = holder(handle)
        if other and me.run and other.run == me.run:
            return False
        who = other.who if other else "another job"
        if time.monotonic() >= deadline:
            raise DatabaseError(
                f"{who} is still at work here after {wait:g} seconds: let it end, or set CONNECT_LOCK_WAIT to wait "
                "longer; then run again."
            )
        if other and who != announced:
            say(f"Waiting up to {wait:g} seconds for {who}.")
            announced = who
        if os.getppid() != me.pid:
            raise _abandoned()
        time.sleep(_RETRY_SECONDS)
    return True


def _abandoned() -> DatabaseError:
    return DatabaseError("The job that wanted the lock is gone: run it again.")


def _called(process: psutil.Process) -> list[str]:
    """Return the words that were typed, without options."""
    words = process.cmdline()
    names = [Path(word).name for word in words]
    if "meltano" not in names:
        return [process.name()]
    words = words[names.index("meltano") + 1 :]
    begin = next((number for number, word in enumerate(words) if word in _CALLS), 0)
    return ["meltano", *(word for word in words[begin:] if not word.startswith("-"))]


def _start_holder(handle: int, me: Holder, entry: Sequence[str]) -> None:
    # A process of its own program: a fork would keep all of this one's memory. In a session of its own, so that what
    # is meant for the job (Ctrl-C, a kill of its process group) does not take the lock from steps that live on.
    holding = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "coursera_connect.jobs.lock_holder", str(handle), str(os.getsid(me.pid)), *entry],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[handle],
        start_new_session=True,
    )
    holding.returncode = 0  # it is meant to live on, which `subprocess` would warn of
