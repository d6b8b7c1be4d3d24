"""Runs a pipeline of processes and measures what each of them cost.

The kernel counts the CPU seconds and the peak memory of a process, with those of the children that it waited for. Only
where a program starts others (Meltano the tap and the loader) memory is sampled from outside, ten times a second.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PATIENCE = 1800.0
"""Seconds after which a pipeline is ended."""
INTERVAL = 0.1
"""Seconds between two looks at the memory of other programs' processes."""
_MB = 1024 * 1024
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in which the kernel counts the peak."""


@dataclass(frozen=True)
class Stage:
    """One process of a pipeline."""

    role: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    """On top of this process's own."""
    folder: Path | None = None
    """Where it is started; where this process is by default."""


@dataclass
class Cost:
    """What a pipeline took."""

    wall: float
    """Seconds from the start of the first process to the end of the last."""
    cpu: dict[str, float]
    """Seconds (user and system) by role."""
    peak: dict[str, float]
    """Memory in MB of the largest process, by role."""
    failure: str | None = None
    """What there is to read where a process failed."""


def run(
    stages: Sequence[Stage], log: Path, watched: Mapping[str, str] | None = None, output: Path | None = None
) -> Cost:
    """Run processes, the output of each being the input of the next.

    Args:
        stages: the processes in order.
        log: the file for what they say on standard error.
        watched: names of programs that they start, with the role each is to be listed under.
        output: the file for what the last one prints; without it that is thrown away.
    """
    watcher = _Watcher(watched or {})
    started: list[subprocess.Popen[bytes]] = []
    with log.open("wb") as errors, Path(output or os.devnull).open("wb") as printed:
        begin = time.monotonic()
        for number, stage in enumerate(stages):
            last = number == len(stages) - 1
            process = subprocess.Popen(
                stage.command,
                stdin=started[-1].stdout if started else subprocess.DEVNULL,
                stdout=printed if last else subprocess.PIPE,
                stderr=errors,
                env={**clean_environment(), **stage.env},
                cwd=stage.folder,
            )
            # Only the next process may hold the reading end of a pipe, so that a writer notices when its reader died.
            if started and (pipe := started[-1].stdout):
                pipe.close()
            started.append(process)
        timer = threading.Timer(PATIENCE, _kill, [started])
        timer.start()
        watcher.start({process.pid: stage.role for process, stage in zip(started, stages, strict=True)})
        cost = Cost(0.0, {}, {})
        failed = False
        try:
            for stage, process in zip(stages, started, strict=True):
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                failed = failed or process.returncode != 0
                cost.cpu[stage.role] = usage.ru_utime + usage.ru_stime
                cost.peak[stage.role] = usage.ru_maxrss * _PEAK_UNIT / _MB
        finally:
            # If the benchmark is stopped, its processes are stopped with it.
            timer.cancel()
            _kill(started)
        cost.wall = time.monotonic() - begin
    cost.peak |= watcher.stop()
    if failed:
        codes = ", ".join(f"{stage.role} {process.returncode}" for stage, process in zip(stages, started, strict=True))
        cost.failure = f"exit codes: {codes}\n{log.read_text(errors='replace')[-2000:]}"
    return cost


def clean_environment() -> dict[str, str]:
    """This process's environment without anybody's settings of the parts that are measured."""
    others = ("TAP_", "TARGET_", "MELTANO_", "COURSERA_", "CONNECT_", "DLT_", "VIRTUAL_ENV", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(others)}


def _kill(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.returncode is None:
            with suppress(psutil.Error):
                # The workers of a stopped process would wait for that process for ever.
                above = psutil.Process(process.pid)
                for one in (*above.children(recursive=True), above):
                    one.kill()


class _Watcher:
    """Samples the memory of processes and of their children, by the name of the program.

    The kernel's account of a process holds the peak of its children, too, so it is not used for these.
    """

    def __init__(self, roles: Mapping[str, str]) -> None:
        self._roles = roles
        self._peaks: dict[str, float] = {}
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, parents: Mapping[int, str]) -> None:
        if self._roles:
            self._thread = threading.Thread(target=self._watch, args=(parents,), daemon=True)
            self._thread.start()

    def stop(self) -> dict[str, float]:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        return self._peaks

    def _watch(self, parents: Mapping[int, str]) -> None:
        known: dict[int, str | None] = dict(parents)
        while not self._over.wait(INTERVAL):
            with suppress(psutil.Error):
                for parent in parents:
                    above = psutil.Process(parent)
                    for process in (above, *above.children(recursive=True)):
                        with suppress(psutil.Error):
                            self._look(process, known)

    def _look(self, process: psutil.Process, known: dict[int, str | None]) -> None:
        if known.get(process.pid) is None:
            # A process that was forked a moment ago still bears its parent's name.
            known[process.pid] = self._role(process.cmdline())
        if (role := known[process.pid]) is not None:
            self._peaks[role] = max(self._peaks.get(role, 0.0), process.memory_info().rss / _MB)

    def _role(self, command: list[str]) -> str | None:
        return next(
            (role for name, role in self._roles.items() if any(Path(word).name == name for word in command)), None
        )
