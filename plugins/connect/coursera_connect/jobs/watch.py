"""Runs Meltano and watches it: writes what each step says into a log, and how the run ended into the journal.

Meltano reports its steps as lines of JSON. The words of a part are passed on only if they cannot hold a row: error
messages of the parts of this project, and the names of dbt models or tests that failed.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import time
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING, Any

import psutil
from typing_extensions import override

from coursera_connect.errors import OutputError
from coursera_connect.jobs import journal
from coursera_connect.jobs.journal import DONE, FAILED, KILLED, STOPPED
from coursera_connect.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from coursera_connect.jobs.journal import Run

RUN_ID, TRIGGER = "MELTANO_RUN_ID", "MELTANO_JOB_TRIGGER"
"""Variables of Meltano: the id of its run, and what started it."""

WATCHER = "CONNECT_WATCHER"
"""The variable that tells the steps of a run which process watches it, and when that process began."""

LOG_BYTES = 1_000_000
"""The size in bytes at which a new log file begins."""

LOG_FILES = 4
"""How many older log files of a job are kept."""

TAIL = 15
_PATH = "/usr/local/bin:/usr/bin:/bin"  # what a shell has, and cron perhaps not
_SIGNALLED = 128
_INTERRUPTED = 130
_KEPT = 400
_MELTANO = "meltano"
_SENTENCE = re.compile(r"^(?:Error|Usage error): +(.+)")
_OF_DBT = re.compile(r"((?:Failure|\w+ Error) in .+|Got \d+ results?, .+)$")
_STAMP = re.compile(r"^\S+Z (?:\[\w+ *\] +)?\w+:? +")
_COMMAND = re.compile(r"`(\S+)(?: (\S+))?` failed")


@dataclass(frozen=True)
class Event:
    """A line of Meltano's log.

    Attributes:
        part: The plugin that wrote the line; `meltano` for Meltano itself.
        level: The log level, in Meltano's words.
        text: The message.
        facts: All other fields of the line.
    """

    part: str
    level: str
    text: str
    facts: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        """Return the error message of a part of this project; blank if the line holds none."""
        if self.level in {"error", "critical"} and not self.is_end_of_step:
            return self.text
        found = _SENTENCE.search(self.text)
        return found[1] if found else ""

    @property
    def is_end_of_step(self) -> bool:
        """Return whether this line reports the end of a step."""
        return self.text == "Block run completed" and "block_type" in self.facts


@dataclass
class _Seen:
    """What the lines have reported so far."""

    lines: dict[str, deque[Event]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=_KEPT)))
    last: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL))
    extractor: str = ""
    loader: str = ""
    loaded: str = ""
    step: str = ""
    why: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        self.lines[event.part].append(event)
        if event.facts.get("producer"):
            self.extractor = event.part
        if event.facts.get("consumer"):
            self.loader = event.part
        if event.is_end_of_step:
            self._end_of_step(event)

    def _end_of_step(self, event: Event) -> None:
        good, loads = bool(event.facts.get("success")), event.facts["block_type"] == "ExtractLoadBlocks"
        if loads:
            self.loaded = "done" if good else "failed"
        self.seconds[str(event.facts.get("set_number"))] = float(event.facts.get("duration_seconds") or 0)
        if good:
            return
        self.why = str(event.facts.get("err") or "")
        if loads:
            codes = event.facts.get("exit_codes") or {}
            self.step = (self.loader if "loaders" in codes else self.extractor) or "the load"
        elif found := _COMMAND.search(self.why):
            self.step = ":".join(filter(None, found.groups()))

    def sentence(self) -> str:
        """Return the error message of the step that failed, if it may be passed on."""
        part = self.step.partition(":")[0] or _MELTANO
        lines = list(self.lines[part])
        if part == "dbt":
            sentences = [found[1].strip() for line in lines if (found := _OF_DBT.search(line.text))]
            own = [found[1] for line in lines if (found := _SENTENCE.search(line.text))]  # of what starts dbt
            return f"{'; '.join(sentences[:2]) or self.why}." if sentences or not own else one_line(own[-1])
        sentences = [sentence for line in lines if (sentence := line.sentence)]
        if sentences:
            return one_line(sentences[-1])
        if part == _MELTANO:
            return one_line(_STAMP.sub("", self.last[-1]) if self.last else "Meltano said nothing.")
        return f"{one_line(self.why or 'It failed')}."


@dataclass(frozen=True)
class Watched:
    """A run that was watched to its end: its entry, its last lines, and the seconds of each step by its number."""

    run: Run
    last: Sequence[str]
    seconds: Mapping[str, float]


def watch(
    command: Sequence[str],
    project: Path,
    variables: Mapping[str, str],
    run: Run,
    output: tuple[Log, Callable[[Event], None]],
) -> Watched:
    """Run Meltano in the project's folder until it ends; Ctrl-C ends it, and the entry says so.

    Args:
        command: The command line of Meltano.
        project: The project's folder.
        variables: The environment of the process.
        run: The entry of the run as it is known before.
        output: The log for all lines, and a function that is called with each line.
    """
    log, show = output
    began = time.monotonic()
    name = run.schedule or run.job
    log.note(f"{name} of {run.environment} starts")
    pid, born = journal.process(os.getpid())
    own = {
        "PATH": _path(command, variables),
        "NO_COLOR": "1",
        "MELTANO_CLI_LOG_FORMAT": "json",
        "MELTANO_CLI_LOG_LEVEL": "info",
        RUN_ID: run.id,
        TRIGGER: run.started_by if run.schedule else "cli",
        WATCHER: f"{pid}:{born!r}",
    }
    seen = _Seen()
    try:
        process = subprocess.Popen(  # noqa: S603 - the project's own
            command,
            cwd=project,
            env={**variables, **own},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise OutputError(f"{command[0]} cannot be started ({error.strerror}): run `make setup` again.") from error
    stopped = False
    with process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        while True:
            try:
                for line in process.stdout:
                    event = _event(line.decode("utf-8", "replace").rstrip())
                    seen.add(event)
                    written = log.event(event)
                    seen.last.append(written)
                    show(event)
                break
            except KeyboardInterrupt:  # the terminal has sent it to Meltano, too, which is to end in its own way
                stopped = True
    code = process.returncode if process.returncode >= 0 else _SIGNALLED - process.returncode
    code = _INTERRUPTED if stopped else code
    log.note(f"{name} of {run.environment} ended with exit code {code} after {time.monotonic() - began:.0f} s")
    return Watched(_ended(run, seen, code), list(seen.last), seen.seconds)


def passed_on(command: Sequence[str], project: Path, variables: Mapping[str, str], log: Log) -> None:
    """Run Meltano in the project's folder, and write its output into the log."""
    with suppress(OSError):
        done = subprocess.run(  # noqa: S603 - the project's own
            command,
            cwd=project,
            env={**variables, "PATH": _path(command, variables), "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        for line in done.stdout.decode("utf-8", "replace").splitlines():
            log.line(line)


def _path(command: Sequence[str], variables: Mapping[str, str]) -> str:
    folder = os.path.dirname(command[0])  # noqa: PTH120 - a word of a command
    return os.pathsep.join(filter(None, (folder, variables.get("PATH"), _PATH)))


def _ended(run: Run, seen: _Seen, code: int) -> Run:
    known = replace(
        run, ended_at=journal.now(), exit_code=code, extractor=seen.extractor or run.extractor, loaded=seen.loaded
    )
    if not code:
        return replace(known, outcome=DONE)
    step = seen.step or _MELTANO
    if code == _INTERRUPTED:
        return replace(known, outcome=STOPPED, step=seen.step, sentence="It was stopped with Ctrl-C.")
    if code > _SIGNALLED:
        return replace(known, outcome=KILLED, step=step, sentence="Meltano was killed.")
    return replace(known, outcome=FAILED, step=step, sentence=seen.sentence())


def watcher() -> tuple[int, float]:
    """Return the process that watches the run of this step, and when that process began; zeros if there is none."""
    with suppress(ValueError):
        pid, _, born = os.environ.get(WATCHER, "").partition(":")
        number, began = int(pid), float(born)
        if psutil.pid_exists(number):
            return number, began
    return 0, 0.0


def _event(line: str) -> Event:
    try:
        facts = json.loads(line)
    except ValueError:
        facts = None
    if not isinstance(facts, dict) or "event" not in facts:
        return Event(_MELTANO, "info", line, {})
    return Event(str(facts.get("name") or _MELTANO), str(facts.get("level") or "info"), str(facts["event"]), facts)


class Log(RotatingFileHandler):
    """The log of a job, never larger than LOG_BYTES * (LOG_FILES + 1); a full disk does not end a run."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
            super().__init__(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", errors="replace")
        except OSError as error:
            raise OutputError(
                f"{path} cannot be written ({error.strerror}): check its folder, or CONNECT_SCHEDULE_LOGS."
            ) from error

    def note(self, text: str) -> None:
        """Write a line of this module into the log."""
        self.line(f"{journal.now()} connect: {text}")

    def event(self, event: Event) -> str:
        """Write a line of Meltano into the log, and return what was written."""
        if event.facts:
            at = str(event.facts.get("timestamp", ""))[:19]
            text = event.text
            if event.is_end_of_step:
                how = "ended well" if event.facts.get("success") else f"failed: {event.facts.get('err')}"
                text = f"step {int(event.facts.get('set_number') or 0) + 1} {how}"
            line = f"{at}Z {event.part}: {text}"
        else:
            line = event.text
        self.line(line)
        return line

    def line(self, text: str) -> None:
        """Write a line."""
        self.emit(logging.makeLogRecord({"msg": "%s", "args": (text,)}))

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        pass
