"""Starts the server as a detached process, finds it again, and stops it by the pid in its home folder."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"
_START_SECONDS = 30
_STOP_SECONDS = 5


class SandboxError(Exception):
    """An expected error; its message is one sentence for the operator."""


@dataclass(frozen=True)
class Options:
    """How a server is run."""

    home: Path
    port: int = 8737
    learners: int = 120
    seed: int = 7
    idle_timeout: float = 900
    class_day: str = ""
    """Dates with commas between."""
    faults: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        """Return the options as command line arguments of `run`."""
        found = ["--home", str(self.home)]
        for name in ("port", "learners", "seed", "idle_timeout"):
            found += [f"--{name.replace('_', '-')}", str(getattr(self, name))]
        if self.class_day:
            found += ["--class-day", self.class_day]
        for spec in self.faults:
            found += ["--fault", spec]
        return found


@dataclass(frozen=True)
class Server:
    """A running server, as its home folder describes it."""

    pid: int
    born: float
    """When the process began: another process may get its pid later."""
    url: str
    seed: int
    learners: int
    class_day: str = ""

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.born) < 2 and process.status() != psutil.STATUS_ZOMBIE  # noqa: PLR2004 - seconds
        except psutil.Error:
            return False

    def call(self, method: str, path: str, **params: int) -> dict[str, Any] | None:
        """Return the answer of a control endpoint; None if the server does not answer."""
        import httpx  # noqa: PLC0415 - the server itself need not wait for it

        try:
            with httpx.Client(trust_env=False, timeout=30) as client:
                answer = client.request(method, f"{self.url}/_sandbox/{path}", params=params)
                body: dict[str, Any] = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError):
            return None
        return body


def find(home: Path) -> Server | None:
    """Return the server that belongs to a home folder, if it still runs; files of a dead server are ignored."""
    try:
        server = Server(**json.loads((home / "server.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return server if server.alive else None


def start(options: Options) -> tuple[Server, bool]:
    """Return a running server for this home, and whether it was running before."""
    options.home.mkdir(parents=True, exist_ok=True)
    with (options.home / "start.lock").open("w") as lock:  # two that start at the same time get one server
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = find(options.home)
        if running and running.call("POST", "advance", hours=0):  # moves nothing, and starts its idle time anew
            return running, True
        return _launch(options), False


def _launch(options: Options) -> Server:
    """Start a server that outlives this process, and wait until it answers."""
    log = options.home / "server.log"
    with log.open("w") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "coursera_sandbox", "run", *options.arguments()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        server = find(options.home)
        if server and server.pid == process.pid and server.call("GET", "status"):
            process.returncode = 0  # it is meant to run on, which `subprocess` would warn of
            return server
        if process.poll() is not None:
            raise SandboxError(
                log.read_text().strip().splitlines()[-1].removeprefix("Error: ")
                if log.stat().st_size
                else "The server ended at once."
            )
        time.sleep(0.03)
    process.kill()
    process.wait()
    raise SandboxError(f"The server did not answer within {_START_SECONDS} seconds; its messages are in {log}.")


def stop(home: Path) -> Server | None:
    """End the server of this home; None when there was none."""
    server = find(home)
    if server:
        for end in (psutil.Process.terminate, psutil.Process.kill):
            with suppress(psutil.NoSuchProcess):
                end(psutil.Process(server.pid))
            deadline = time.monotonic() + _STOP_SECONDS
            while server.alive and time.monotonic() < deadline:
                time.sleep(0.02)
            if not server.alive:
                break
    (home / "server.json").unlink(missing_ok=True)
    return server


def describe(server: Server, now: str) -> str:
    """Return the one line that `start` prints."""
    college = f"{server.learners} learners, seed {server.seed}"
    return f"Coursera sandbox at {server.url}, simulated time {now}, {college}, pid {server.pid}"
