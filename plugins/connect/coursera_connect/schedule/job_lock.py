"""One job at a time: the lock that a job takes with its first step, and has until its last process is gone.

A job is one `meltano` process whose steps are processes of their own. The first step takes the lock and hands it to a
process that holds it as long as the job lives (see lock_holder.py). It is a lock on an open file, so the system takes
it back from whoever dies, however that happens; what is in the file only tells who has it.
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
from coursera_connect.meltano import RUN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOCK = ".job.lock"
"""Name of the file, beside the package."""
_RETRY_SECONDS = 0.2
_CALLS = ("run", "invoke")


@dataclass(frozen=True)
class Holder:
    """The process that has the lock.

    Attributes:
        who: What to tell the operator, as `meltano run grade-sync (process 4711, since 2026-11-27T01:00:00Z)`.
        pid: Its process.
        born: When that began, in seconds since 1970: another process may get its number later.
        run: Names the run in the environment of its steps; blank where it is none of Meltano's.
        job: What it runs: the name of a job, or the words that were typed in its place.
    """

    who: str
    pid: int
    born: float
    run: str
    job: str = ""

    @classmethod
    def caller(cls) -> Holder:
        """The process that called this one."""
        try:
            process = psutil.Process(os.getppid())
            since = datetime.fromtimestamp(process.create_time(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            words = _called(process)
            who = f"{' '.join(words)} (process {process.pid}, since {since})"
            return cls(who, process.pid, process.create_time(), os.environ.get(RUN, ""), " ".join(words[2:]))
        except psutil.Error as error:
            raise _abandoned() from error


def take(file: Path, me: Holder, wait: float, say: Callable[[str], None], entry: Sequence[str] = ()) -> None:
    """Take the lock for the process that called this one, and leave it with a keeper.

    Args:
        file: The file that is locked; it and its folder are created when missing.
        me: The process that called this one.
        wait: Seconds to wait for another job at most.
        entry: The journal and the run's id in it, of which the keeper sees to it that the entry ends with the job.
        say: Is told whom this waits for.

    Raises:
        DatabaseError: Another job had it all the time, or the caller is gone.
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
            _keep(handle, me, entry)
    finally:
        os.close(handle)


def holder(handle: int) -> Holder | None:
    """Return who has written himself into the file last; None where that cannot be read, as while he writes."""
    try:
        found: dict[str, Any] = json.loads(os.pread(handle, 1 << 16, 0))
        return Holder(**found)
    except (ValueError, TypeError):
        return None


def write(handle: int, me: Holder) -> None:
    """Write into the file who has it; to be called by who does."""
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(asdict(me)).encode(), 0)


def _wait(handle: int, me: Holder, wait: float, say: Callable[[str], None]) -> bool:
    """Wait for the lock; false where the caller's own run has it, of which one job may have been the first part."""
    deadline = time.monotonic() + wait
    told = ""
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
        if other and who != told:
            say(f"Waiting up to {wait:g} seconds for {who}.")
            told = who
        if os.getppid() != me.pid:
            raise _abandoned()
        time.sleep(_RETRY_SECONDS)
    return True


def _abandoned() -> DatabaseError:
    return DatabaseError("The job that wanted the lock is gone: run it again.")


def _called(process: psutil.Process) -> list[str]:
    """Return the words that were typed, without what stands in options."""
    words = process.cmdline()
    names = [Path(word).name for word in words]
    if "meltano" not in names:
        return [process.name()]
    words = words[names.index("meltano") + 1 :]
    begin = next((number for number, word in enumerate(words) if word in _CALLS), 0)
    return ["meltano", *(word for word in words[begin:] if not word.startswith("-"))]


def _keep(handle: int, me: Holder, entry: Sequence[str]) -> None:
    # A process of its own program: a fork would keep all of this one's memory. In a session of its own, so that what
    # is meant for the job (Ctrl-C, a kill of its process group) does not take the lock from steps that live on.
    keeper = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "coursera_connect.schedule.lock_holder", str(handle), str(os.getsid(me.pid)), *entry],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[handle],
        start_new_session=True,
    )
    keeper.returncode = 0  # it is meant to live on, which `subprocess` would warn of
