"""What a run says about how far it is: a line per stream in the log, and on a terminal lines that grow."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tap_coursera.client import Tally
from tap_coursera.progress import Progress
from tap_coursera.tap import STREAMS

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_sandbox.testing import RunningSandbox
    from tests.tap.conftest import Json

COMMAND = [sys.executable, "-m", "tap_coursera"]
SELECTED = {stream.name for stream in STREAMS if stream.selected_by_default}
LINE = re.compile(
    r"^\S+ \S+ \| INFO     \| tap-coursera +\| "
    r"(?P<stream>\w+): (?P<rows>\d+) rows, (?P<requests>\d+) requests, (?P<retries>\d+) retries, "
    r"\d+\.\d s(?P<note>.*)$",
    re.MULTILINE,
)
DRAWN = re.compile(r"^(\w+) +[^\w ]+ +(\d+ rows, \d+ requests)", re.MULTILINE)
"""With a bar that has begun to fill."""
COLUMNS = 400


def run(folder: Path, config: Json) -> subprocess.CompletedProcess[str]:
    (folder / "config.json").write_text(json.dumps(config))
    return subprocess.run(
        [*COMMAND, "--config", folder / "config.json"], capture_output=True, text=True, check=False, timeout=120
    )


def written(stdout: str) -> Counter[str]:
    return Counter(m["stream"] for line in stdout.splitlines() if (m := json.loads(line))["type"] == "RECORD")


def test_the_log_has_one_line_for_each_stream_with_what_it_brought_and_cost(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    sandbox.faults(["503:times=2,path=/users"])
    sandbox.reset_requests()
    done = run(tmp_path, sandbox.tap_config | {"page_size": 50})
    lines = {found["stream"]: found for found in LINE.finditer(done.stderr)}
    assert done.returncode == 0
    assert len(LINE.findall(done.stderr)) == len(lines)
    assert lines.keys() == SELECTED
    assert {stream: int(line["rows"]) for stream, line in lines.items()} == written(done.stdout)
    token = 1
    assert sum(int(line["requests"]) for line in lines.values()) + token == sandbox.requests()["total"]
    assert {stream: int(line["retries"]) for stream, line in lines.items() if line["retries"] != "0"} == {"users": 2}
    assert {stream: line["note"] for stream, line in lines.items() if line["note"]} == {
        "item_grades": " (read with course_grades)"
    }
    assert lines["item_grades"]["requests"] == "0"
    assert "METRIC" in done.stderr
    assert not re.search(r"[\r\x1b]", done.stderr)


def test_what_failed_is_told_as_far_as_it_came_and_then_why(sandbox: RunningSandbox, tmp_path: Path) -> None:
    config = sandbox.tap_config | {"page_size": 20, "request_timeout": 1, "max_parallel_requests": 1}
    sandbox.faults(["html:path=/memberships"])
    with pytest.MonkeyPatch.context() as patched:
        # Seven tries take half a minute.
        (tmp_path / "sitecustomize.py").write_text("from tap_coursera import client\nclient.BACKOFF_BASE = 0.001\n")
        patched.setenv("PYTHONPATH", str(tmp_path))
        failed = run(tmp_path, config)
    assert failed.returncode == 1
    *_, line, error = failed.stderr.splitlines()
    assert LINE.match(line)
    assert "| ERROR" in error
    lines = {found["stream"]: found for found in LINE.finditer(failed.stderr)}
    assert lines.keys() == {"contents", "organizations", "programs", "program_contents", "program_memberships"}
    assert lines["program_memberships"].group("rows", "requests", "retries") == ("0", "7", "6")


def test_the_time_of_a_stream_is_not_that_of_the_streams_within_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    progress = Progress(lambda _: Tally())
    programs, users = progress.of("programs"), progress.of("users")
    with progress.during("programs"):
        clock[0] = 1
        with progress.during("users"):
            clock[0] = 11
            assert (programs.seconds, users.seconds) == (1, 10)
        clock[0] = 13
        with progress.during("users"):
            clock[0] = 43
    clock[0] = 99
    assert (programs.seconds, users.seconds) == (3, 40)


class Terminal:
    """The command with standard error on a terminal."""

    def __init__(self, folder: Path, config: Json, *, term: str = "xterm", stdout_too: bool = False) -> None:
        (folder / "config.json").write_text(json.dumps(config))
        self.out = folder / "out"
        self.master, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [*COMMAND, "--config", folder / "config.json"],
                stdout=terminal if stdout_too else out,
                stderr=terminal,
                env={**os.environ, "TERM": term, "PYTHONWARNINGS": "ignore"},
            )
        os.close(terminal)
        self.received = b""

    def until(self, drawn: bytes) -> None:
        """Wait until this was drawn."""
        while drawn not in self.received:
            assert self._read(), self.received

    def end(self) -> None:
        """Wait until the command has ended."""
        while self._read():
            pass
        os.close(self.master)
        self.process.wait(10)

    def _read(self) -> bytes:
        try:
            part = os.read(self.master, 65536)
        except OSError:  # Linux's way to say that nobody writes any more
            part = b""
        self.received += part
        return part

    def screen(self) -> str:
        """What is to be seen in the end, also above the upper edge."""
        lines = [[" "] * COLUMNS]
        row = column = 0
        for part in re.findall("\x1b\\[A|.|\n", self.received.decode().replace("\r", "\x01")):
            if part == "\x01":
                column = 0
            elif part == "\n":
                row += 1
                if row == len(lines):
                    lines.append([" "] * COLUMNS)
            elif part == "\x1b[A":
                row -= 1
            else:
                assert part != "\x1b"
                assert column < COLUMNS, "it wraps"
                lines[row][column] = part
                column += 1
        return "\n".join("".join(line).rstrip() for line in lines).rstrip("\n")


def test_on_a_terminal_lines_grow_and_only_whole_lines_of_the_log_remain(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    sandbox.faults(["latency:ms=30", "503:rate=0.1"])
    shown = Terminal(tmp_path, sandbox.tap_config | {"page_size": 40, "max_parallel_requests": 4})
    shown.end()
    assert shown.process.returncode == 0
    drawn = DRAWN.findall(re.sub("\x1b\\[A|\r", "\n", shown.received.decode()))
    assert len({numbers for stream, numbers in drawn if stream == "enrollments"}) > 2
    left = shown.screen()
    assert {found["stream"]: int(found["rows"]) for found in LINE.finditer(left)} == written(shown.out.read_text())
    assert len(LINE.findall(left)) == len(SELECTED)
    assert "Trying " in left
    assert "METRIC" not in left
    for line in left.splitlines():
        assert re.match(r"\d{4}-\d\d-\d\d .* \| (INFO|WARNING) +\| ", line), line


@pytest.mark.parametrize(("term", "stdout_too"), [("dumb", False), ("xterm", True)])
def test_a_terminal_that_cannot_write_over_lines_or_gets_messages_too_is_no_screen(
    sandbox: RunningSandbox, tmp_path: Path, term: str, stdout_too: bool
) -> None:
    shown = Terminal(tmp_path, sandbox.tap_config, term=term, stdout_too=stdout_too)
    shown.end()
    text = shown.received.decode()
    assert shown.process.returncode == 0
    assert "\x1b" not in text
    assert not re.search("\r(?!\n)", text)
    assert len(LINE.findall(text.replace("\r", ""))) == len(SELECTED)
    assert "METRIC" in text


def test_a_stop_leaves_the_terminal_tidy(sandbox: RunningSandbox, tmp_path: Path) -> None:
    sandbox.faults(["latency:ms=60000,path=courseGradebookReports"])
    shown = Terminal(tmp_path, sandbox.tap_config)
    shown.until(b"course_grades  ")
    shown.process.send_signal(signal.SIGINT)
    shown.end()
    assert shown.process.returncode == 128 + signal.SIGINT
    lines = shown.screen().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d .* \| (INFO|WARNING) +\| ", line) for line in lines)
    assert "Stopped by SIGINT" in lines[-1]
    assert any("course_grades: 0 rows, " in line for line in lines)
