"""Ctrl-C and SIGTERM: how soon the command ends, what it leaves behind, and that the next run makes it whole."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import pytest
from singer_sdk.helpers._batch import BaseBatchFileEncoding, SDKBatchMessage
from singer_sdk.singerlib import ActivateVersionMessage, RecordMessage, SchemaMessage, StateMessage

from tap_coursera import writing
from tap_coursera.stopping import Stop, Stopped
from tap_coursera.tap import STREAMS, TapCoursera
from tests.tap.conftest import Output

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from singer_sdk.singerlib import Message

    from coursera_sandbox.testing import RunningSandbox
    from tests.tap.conftest import Json, ReadTap

COMMAND = [sys.executable, "-m", "tap_coursera"]
SOON = 3.0
"""Seconds."""
GRADES = ("course_grades", "item_grades")
KEYS = {stream.name: cast("tuple[str, ...]", stream.primary_keys) for stream in STREAMS}
SELECTED = [stream.name for stream in STREAMS if stream.selected_by_default]
ABOUT_THE_READING = {"updated_at", "changes"}
"""Properties that tell when and how a row was read."""


class Run:
    """The real command, which writes into files."""

    def __init__(
        self, folder: Path, config: Json, state: Json | None = None, stdout: int | None = None, **variables: str
    ) -> None:
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "state.json").write_text(json.dumps(state or {}))
        self.out, self.err = folder / "out", folder / "err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [*COMMAND, "--config", folder / "config.json", "--state", folder / "state.json"],
                stdout=out if stdout is None else stdout,
                stderr=err,
                env={**os.environ, **variables},
            )

    def until(self, said: str) -> None:
        """Wait until it has logged this."""
        deadline = time.monotonic() + 60
        while said not in self.log():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.01)

    def end(self, *signals: signal.Signals) -> float:
        """Send signals; the seconds until it has ended."""
        sent = time.monotonic()
        for one in signals:
            self.process.send_signal(one)
        self.process.wait(60)
        return time.monotonic() - sent

    def messages(self) -> list[Json]:
        """All that it wrote; fails on a line that is not whole."""
        text = self.out.read_text()
        assert text.endswith("\n") or not text
        return [json.loads(line) for line in text.splitlines()]

    def log(self) -> str:
        """All that it said."""
        return self.err.read_text()


def tables(*runs: list[Json]) -> Json:
    """The rows of some runs as a loader keeps them."""
    found: dict[str, dict[tuple[Any, ...], Json]] = {}
    for message in chain(*runs):
        # What a run read is another thing in each of them.
        if message["type"] == "RECORD" and message["stream"] != "stream_reads":
            row = message["record"]
            key = tuple(row[name] for name in KEYS[message["stream"]])
            own = {name: value for name, value in row.items() if name not in ABOUT_THE_READING}
            found.setdefault(message["stream"], {})[key] = own
    return found


@pytest.mark.parametrize("parallel", [1, 4])
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_runs_that_are_stopped_at_any_moment_and_go_on_bring_the_same_rows(
    sandbox: RunningSandbox, tmp_path: Path, read_tap: ReadTap, parallel: int, told: signal.Signals
) -> None:
    config = sandbox.tap_config | {"max_parallel_requests": parallel, "page_size": 100}
    expected = tables(read_tap(config, select=SELECTED).messages)
    sandbox.faults(["latency:ms=5"])
    moments = random.Random(parallel * 100 + told)
    state: Json = {}
    runs: list[list[Json]] = []
    stops = 0
    for _ in range(3):
        run = Run(tmp_path, config, state)
        run.until("Beginning sync")
        time.sleep(moments.uniform(0, 1))
        assert run.end(told) < SOON
        messages = run.messages()
        assert run.process.returncode in {128 + told, 0}
        if run.process.returncode:
            stops += 1
            assert run.log().count("Stopped by") == 1
            assert (
                run.log()
                .splitlines()[-1]
                .endswith(f"Stopped by {told.name} before the end: run again with the last state to go on.")
            )
        assert "Traceback" not in run.log()
        assert messages[-1]["type"] == "STATE"
        state = messages[-1]["value"]
        runs.append(messages)
    assert stops
    run = Run(tmp_path, config, state)
    run.end()
    assert run.process.returncode == 0
    assert tables(*runs, run.messages()) == expected


@pytest.mark.parametrize("parallel", [1, 4])
@pytest.mark.parametrize(
    ("fault", "sign"),
    [
        ("latency:ms=60000", "Beginning sync of 'enrollments'"),
        ("503:retry-after=60", "Trying enrollments again in 60"),
        ("429:retry-after=60", "Trying enrollments again in 60"),
    ],
    ids=["answer", "retry", "pace"],
)
def test_nothing_that_is_waited_for_holds_up_the_end(
    sandbox: RunningSandbox, tmp_path: Path, parallel: int, fault: str, sign: str
) -> None:
    name, _, options = fault.partition(":")
    sandbox.faults([f"{name}:path=enrollmentReports,{options}"])
    run = Run(tmp_path, sandbox.tap_config | {"max_parallel_requests": parallel})
    run.until(sign)
    time.sleep(0.3)
    # Meltano's operator presses Ctrl-C, and Meltano sends on what the terminal has sent already.
    assert run.end(signal.SIGINT, signal.SIGTERM) < SOON
    first = signal.Signals(run.process.returncode - 128)
    assert first in {signal.SIGINT, signal.SIGTERM}
    messages = run.messages()
    assert messages[-1]["type"] == "STATE"
    assert messages[-1]["value"]["bookmarks"]["contents"]["replication_key_value"]
    assert {m["stream"] for m in messages if m["type"] == "RECORD"} >= {"contents", "organizations"}
    told = [line.rpartition(" | ")[2] for line in run.log().splitlines()]
    assert told[-1].startswith(f"Stopped by {first.name}")
    assert any(line.startswith("enrollments: 0 rows, ") for line in told)
    assert "Traceback" not in run.log()


def test_a_loader_that_does_not_read_cannot_hold_up_the_end(sandbox: RunningSandbox, tmp_path: Path) -> None:
    run = Run(tmp_path, sandbox.tap_config, stdout=subprocess.PIPE)
    run.until("Beginning sync")
    time.sleep(1)
    assert run.end(signal.SIGTERM) < SOON + 2
    assert run.process.returncode == 128 + signal.SIGTERM
    assert run.log().count("Stopped by SIGTERM") == 1
    assert "may be cut off" in run.log().splitlines()[-1]
    assert run.process.stdout is not None
    with run.process.stdout as written:
        *lines, _ = written.read().split(b"\n")
    assert all(json.loads(line) for line in lines)


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="only Linux narrows pipes")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_loader_that_reads_late_gets_whole_messages(sandbox: RunningSandbox, tmp_path: Path, unbuffered: str) -> None:
    reading, writing_end = os.pipe()
    fcntl.fcntl(writing_end, fcntl.F_SETPIPE_SZ, 4096)
    run = Run(tmp_path, sandbox.tap_config, stdout=writing_end, PYTHONUNBUFFERED=unbuffered)
    os.close(writing_end)
    run.until("Beginning sync")
    time.sleep(0.5)
    run.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    with os.fdopen(reading) as written:
        messages = [json.loads(line) for line in written]
    assert run.process.wait(10) == 128 + signal.SIGTERM
    assert [message["type"] for message in messages] == ["SCHEMA", "STATE"]
    assert len(json.dumps(messages[0])) > 4096


def test_a_loader_that_ends_by_the_same_key_is_no_other_trouble(sandbox: RunningSandbox, tmp_path: Path) -> None:
    sandbox.faults(["latency:ms=60000,path=enrollmentReports"])
    run = Run(tmp_path, sandbox.tap_config, stdout=subprocess.PIPE)
    assert run.process.stdout is not None
    with run.process.stdout as written:
        while b'"enrollments"' not in written.readline():
            pass
    assert run.end(signal.SIGINT) < SOON
    assert run.process.returncode == 128 + signal.SIGINT
    assert "Stopped by SIGINT" in run.log().splitlines()[-1]
    assert "BrokenPipe" not in run.log()


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_it_may_be_told_before_it_has_begun(told: signal.Signals) -> None:
    slow = (
        "import sys, time\n"
        "class Tap:\n"
        "    def cli(): print('here', flush=True); time.sleep(60)\n"
        "sys.modules['tap_coursera.tap'] = type('Module', (), {'TapCoursera': Tap})\n"
        "from tap_coursera.__main__ import main\n"
        "main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", slow], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(told)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + told
    assert said == f"Stopped by {told.name} before the end: run again with the last state to go on.\n"


class StoppingOutput(Output):
    """Tells the tap to stop after so many messages."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write_message(self, message: Message) -> None:
        super().write_message(message)
        if len(self.messages) == self.number:
            raise Stopped(signal.SIGTERM)


def test_a_stop_between_the_two_streams_of_the_gradebook_loses_neither(
    moving_sandbox: RunningSandbox, read_tap: ReadTap
) -> None:
    config = moving_sandbox.tap_config
    before = read_tap(config, select=GRADES)
    moving_sandbox.advance(days=8)

    whole = read_tap(config, select=GRADES, state=before.state)
    expected = tables(before.messages, whole.messages)
    assert expected != tables(before.messages)
    moments = [
        number
        for number, message in enumerate(whole.messages, 1)
        if message["type"] == "STATE" or (message["type"] == "RECORD" and number % 97 == 0)
    ]
    assert len(moments) > 10
    between = 0
    for moment in moments:
        part = StoppingOutput(moment)
        with pytest.raises(Stopped):
            read_tap(config, select=GRADES, state=before.state, into=part)
        assert part.messages[-1]["type"] == "STATE"
        marks = [
            [one.get("replication_key_value") for one in part.state["bookmarks"].get(name, {}).get("partitions", [])]
            for name in GRADES
        ]
        between += marks[0] != marks[1]
        rest = read_tap(config, select=GRADES, state=part.state)
        assert tables(before.messages, part.messages, rest.messages) == expected, moment
    assert between > 1


def test_a_batch_file_that_is_not_announced_yet_is_not_stopped_at(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    def told(message: Message) -> bool:
        wish = Stop()
        wish.defer()
        wish._heed(signal.SIGTERM, None)
        monkeypatch.setattr(writing, "stop", wish)
        try:
            writing.MessageWriter().write_message(message)
        except Stopped:
            return True
        finally:
            assert json.loads(capsysbinary.readouterr().out)["type"] == message.type
        return False

    assert told(RecordMessage("users", {"id": "a"}))
    assert told(StateMessage({}))
    assert not told(SchemaMessage("users", {}))
    assert not told(ActivateVersionMessage("users", 1))
    assert not told(SDKBatchMessage("users", BaseBatchFileEncoding("jsonl"), ["file"]))


def test_a_loader_that_ended_by_the_same_key_a_little_sooner_is_no_other_trouble(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Gone:
        def write(self, _: bytes) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(writing, "stop", wish := Stop())
    monkeypatch.setattr("sys.stdout", type("Stdout", (), {"buffer": Gone()}))
    with pytest.raises(BrokenPipeError):
        writing.MessageWriter().write_message(SchemaMessage("users", {}))
    wish.defer()
    wish._heed(signal.SIGINT, None)
    with pytest.raises(Stopped):
        writing.MessageWriter().write_message(SchemaMessage("users", {}))


def test_a_wish_is_kept_until_a_fit_moment_and_told_once() -> None:
    def told(call: Callable[[], Any]) -> bool:
        try:
            call()
        except Stopped as stopped:
            return bool(stopped.code == 128 + signal.SIGINT)
        return False

    wish = Stop()
    wish.defer()
    assert not told(wish.fits)
    assert wish.fits_during(lambda: 7) == 7
    assert not told(lambda: wish._heed(signal.SIGINT, None))
    assert not told(lambda: wish._heed(signal.SIGTERM, None))
    assert told(lambda: wish.fits_during(lambda: pytest.fail("a wait begins although the wish is known")))
    assert not told(wish.fits)
    waiting = Stop()
    waiting.defer()
    assert told(lambda: waiting.fits_during(lambda: waiting._heed(signal.SIGINT, None)))


def test_a_program_that_the_tap_is_a_part_of_keeps_its_own_handlers() -> None:
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    TapCoursera(config={"client_id": "i", "client_secret": "s", "org_id": "o"})
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_that_comes_while_the_command_ends_says_nothing() -> None:
    rain = """
import signal, threading
from tap_coursera.stopping import Stop
raining = True
def rain():
    while raining:
        signal.raise_signal(signal.SIGINT)
signal.signal(signal.SIGINT, lambda *_: None)
drops = threading.Thread(target=rain)
drops.start()
for _ in range(10_000):
    signal.signal(signal.SIGINT, lambda *_: None)
    Stop.forget()
raining = False
drops.join()
"""
    ended = subprocess.run([sys.executable, "-c", rain], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
