"""One run of a schedule, as cron or systemd starts it: into a log of its own, quiet unless it fails.

That jobs do not overlap is their own doing: each begins with `connect lock`.
"""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections import deque
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING
from urllib.parse import quote

from typing_extensions import override

from coursera_connect import meltano
from coursera_connect.errors import OutputError
from coursera_connect.scheduling.cron_times import fires

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from zoneinfo import ZoneInfo

LOG_BYTES = 1_000_000
"""Bytes of a log, beyond which the next line begins a new one."""
LOG_FILES = 4
"""Older logs that are kept of a schedule."""
_PATH = "/usr/local/bin:/usr/bin:/bin"  # what a shell has, and cron perhaps not
_TAIL = 15
_LOOK = timedelta(hours=1)
_SIGNALLED = 128


@dataclass(frozen=True)
class Run:
    """What is run, and how; `umask` is of the files it writes."""

    name: str
    project: Path
    environment: str
    meltano: Path
    logs: Path
    umask: int = 0o077

    @property
    def log(self) -> Path:
        """Return where its output goes."""
        return self.logs / f"{quote(self.name, safe=' ')}.log"

    @property
    def looked(self) -> Path:
        """Return the file that is as old as the last look at the clock of another zone."""
        name = quote(f"{self.environment}.{self.name}.looked", safe=" ")
        return self.project / ".meltano" / "run" / "connect" / name


def due(run: Run, cron: str, zone: ZoneInfo, now: datetime) -> bool:
    """Return whether a time of an expression has come since the last look, which was an hour ago at most."""
    try:
        last = datetime.fromtimestamp(run.looked.stat().st_mtime, timezone.utc)
    except FileNotFoundError:
        last = now.replace(second=0, microsecond=0) - timedelta(seconds=1)
    with _written(run.looked):
        run.looked.parent.mkdir(parents=True, exist_ok=True)
        run.looked.touch()
        os.utime(run.looked, (now.timestamp(), now.timestamp()))
    return any(fires(cron, zone, max(last, now - _LOOK), now))


def execute(run: Run) -> tuple[int, list[str]]:
    """Run the schedule; return Meltano's exit code and its last lines. Have a failure told to the webhook."""
    os.umask(run.umask)
    with _written(run.log):
        run.logs.mkdir(parents=True, exist_ok=True)
        log = _Log(run.log)
    with closing(log):
        began = time.monotonic()
        log.note(f"{run.name} of {run.environment} starts")
        code, last = _meltano(run, log, "schedule", "run", run.name)
        log.note(f"{run.name} ended with exit code {code} after {time.monotonic() - began:.0f} s")
        if code:  # by Meltano, which knows the settings
            _meltano(run, log, "invoke", "connect", "schedule", "failed", run.name, "--code", str(code))
        return code, last


def _meltano(run: Run, log: _Log, *words: str) -> tuple[int, list[str]]:
    command = meltano.arguments(run.project, run.environment, *words, meltano=run.meltano)
    path = os.pathsep.join(filter(None, (str(run.meltano.parent), os.environ.get("PATH"), _PATH)))
    last: deque[str] = deque(maxlen=_TAIL)
    try:
        process = subprocess.Popen(  # noqa: S603 - the project's own
            command,
            cwd=run.project,
            env={**meltano.variables(run.project, run.environment), "PATH": path, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise OutputError(
            f"{run.meltano} cannot be started ({error.strerror}): run `connect schedule install` again."
        ) from error
    with process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        for line in process.stdout:
            last.append(line.decode("utf-8", "replace").rstrip())
            log.line(last[-1])
    code = process.returncode
    return (code if code >= 0 else _SIGNALLED - code), list(last)


class _Log(RotatingFileHandler):
    """The log of a schedule, never larger than LOG_BYTES * (LOG_FILES + 1); a full disk does not end a run."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", errors="replace")

    def note(self, text: str) -> None:
        self.line(f"{_now()} connect: {text}")

    def line(self, text: str) -> None:
        self.emit(logging.makeLogRecord({"msg": "%s", "args": (text,)}))

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        pass


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror}): check its folder, or CONNECT_SCHEDULE_LOGS."
        ) from error


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
