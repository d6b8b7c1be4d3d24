"""The command: a background server that can be found, moved and stopped, and leaves nothing when it is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from coursera_sandbox import daemon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXECUTABLE = [sys.executable, "-m", "coursera_sandbox"]


class Command:
    """The command with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *arguments: str, code: int = 0) -> str:
        environment = {**os.environ, "COURSERA_SANDBOX_HOME": str(self.home), "COURSERA_SANDBOX_PORT": "0"}
        done = subprocess.run(
            [*EXECUTABLE, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return (done.stdout + done.stderr).strip()

    @property
    def pid(self) -> int:
        return int(json.loads((self.home / "server.json").read_text())["pid"])


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path / "home")
    yield command
    command("stop")


def url_in(line: str) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found
    return found[0]


def has_ended(pid: int) -> bool:
    """Return whether a process has ended; a zombie counts, since only its exit code was not read yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_start_advance_status_and_stop(command: Command) -> None:
    line = command("start", "--learners", "60")
    assert "2026-02-02T06:00:00Z" in line
    assert "60 learners" in line
    assert len(line.splitlines()) == 1
    again = command("start", "--learners", "60")
    assert url_in(again) == url_in(line)
    assert again.endswith("(already running)")
    assert "own options" in command("start", "--learners", "70")
    assert "own options" in command("start", "--learners", "60", "--class-day", "2028-10-12")
    assert command("advance", "--hours", "2", "--days", "1") == "2026-02-03T08:00:00Z"
    assert "2026-02-03T08:00:00Z" in command("status")
    assert httpx.get(url_in(line) + "/_sandbox/status", trust_env=False).json()["now"] == "2026-02-03T08:00:00Z"
    pid = command.pid
    assert "Stopped" in command("stop")
    assert has_ended(pid)
    assert command("status", code=3) == command("stop") == "No sandbox is running."
    assert command("advance", "--hours", "1") == "2026-02-03T09:00:00Z"
    assert "2026-02-03T09:00:00Z" in command("start")


def test_a_killed_server_is_replaced_and_its_clock_kept(command: Command) -> None:
    command("start")
    command("advance", "--days", "3")
    killed = command.pid
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while not has_ended(killed):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert command("status", code=3) == "No sandbox is running."
    assert "2026-02-05T06:00:00Z" in command("start")
    assert command.pid != killed


def test_a_pid_that_now_belongs_to_somebody_else_is_left_alone(command: Command) -> None:
    command.home.mkdir()
    note = {"pid": os.getpid(), "born": 1.0, "url": "http://127.0.0.1:9", "seed": 7, "learners": 120}
    (command.home / "server.json").write_text(json.dumps(note))
    assert command("stop") == "No sandbox is running."
    (command.home / "server.json").write_text("{broken")
    assert "Coursera sandbox at" in command("start")


def test_a_taken_port_is_one_clear_sentence(command: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = command("start", "--port", str(port), code=1)
    assert message.startswith(f"Error: Port {port} cannot be used")
    assert len(message.splitlines()) == 1


def test_an_idle_server_ends_by_itself_whoever_asks_for_its_status_but_not_when_started_again(tmp_path: Path) -> None:
    options = daemon.Options(tmp_path, port=0, idle_timeout=1.5)
    server, _ = daemon.start(options)
    for _ in range(3):
        time.sleep(0.8)
        assert daemon.start(options) == (server, True)
    deadline = time.monotonic() + 15
    while server.alive:
        assert time.monotonic() < deadline
        server.call("GET", "status")
    assert not (tmp_path / "server.json").exists()


def test_a_server_that_does_not_react_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, _ = daemon.start(daemon.Options(tmp_path, port=0))
    os.kill(server.pid, signal.SIGSTOP)
    monkeypatch.setattr(daemon, "_STOP_SECONDS", 0.5)
    assert daemon.stop(tmp_path) == server
    assert has_ended(server.pid)


def test_starting_leaves_no_warning_behind(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "once")  # Meltano starts it in this way.
    assert len(command("start").splitlines()) == 1


def test_two_that_start_at_the_same_time_get_one_server(command: Command) -> None:
    with ThreadPoolExecutor() as pool:
        lines = [task.result() for task in [pool.submit(command, "start") for _ in range(3)]]
    assert len({url_in(line) for line in lines}) == 1
    assert sum(line.endswith("(already running)") for line in lines) == 2


def test_a_server_in_the_foreground_says_where_it_is_and_ends_on_sigterm(command: Command) -> None:
    environment = {**os.environ, "COURSERA_SANDBOX_HOME": str(command.home), "COURSERA_SANDBOX_SEED": "11"}
    with subprocess.Popen(
        [*EXECUTABLE, "run", "--port", "0", "--now", "2026-03-01T06:00:00Z"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        line = process.stdout.readline()
        assert "seed 11" in line
        assert "2026-03-01T06:00:00Z" in line
        assert "runs already" in command("run", code=1)
        process.terminate()
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["start", "--fault", "nonsense"], "There is no fault 'nonsense'"),
        (["start", "--now", "yesterday"], "Invalid isoformat string"),
        (["start", "--class-day", "2028-10-12,soon"], "Invalid isoformat string: 'soon'"),
        (["start", "--learners", "0"], "0 is not in the range"),
        (["advance"], "Say how far"),
        (["advance", "--days", "367"], "At most 366 days"),
    ],
)
def test_wrong_options_are_refused_before_anything_runs(command: Command, arguments: list[str], message: str) -> None:
    assert message in command(*arguments, code=2)
    assert command("status", code=3) == "No sandbox is running."


def test_help_tells_all_faults(command: Command) -> None:
    text = command("start", "--help")
    for name in ("429", "shifting-rows", "token-expires", "COURSERA_SANDBOX_IDLE_TIMEOUT"):
        assert name in text
