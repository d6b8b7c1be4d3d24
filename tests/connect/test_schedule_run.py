from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from coursera_connect import scheduled_run
from tests.connect.box import CONNECT, Box

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    before = os.umask(0o022)
    yield Box(tmp_path, monkeypatch)
    os.umask(before)


def free(lock: Path) -> bool:
    with lock.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def until(text: str, log: Path) -> None:
    for _ in range(600):
        if log.is_file() and text in log.read_text():
            return
        time.sleep(0.05)
    pytest.fail(f'no "{text}" in {log}')


def test_a_run_calls_meltano_in_the_project_and_says_nothing(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATH")
    assert box.good("run", "nightly", "--meltano", str(box.programs / "meltano")) == ""
    log = (box.logs / "nightly.log").read_text()
    assert f"--environment=prod schedule run nightly in {box.project}\n" in log
    assert f"umask 0077, path {box.programs}:/usr/local/bin:/usr/bin:/bin\n" in log
    assert "nightly of prod starts" in log.splitlines()[0]
    assert "nightly ended with exit code 0 after " in log.splitlines()[-1]
    written = (box.logs, box.logs / "nightly.log", box.project / "made")
    assert [oct(path.stat().st_mode & 0o777) for path in written] == ["0o700", "0o600", "0o600"]


def test_the_umask_is_a_setting(box: Box) -> None:
    box.good("run", "nightly", "--umask", "027")
    assert (box.project / "made").stat().st_mode & 0o777 == 0o640


def test_a_run_that_fails_has_its_exit_code_and_tells_the_end_of_its_log(box: Box) -> None:
    (box.project / "fails").touch()
    done = box.connect("run", "nightly")
    assert done.exit_code == 3
    assert done.output.splitlines() == [
        f"Error: nightly of prod failed (exit code 3); {box.logs / 'nightly.log'} ends:",
        *map(str, range(26, 41)),
    ]
    box.program("meltano", "kill -9 $$")
    assert box.connect("run", "nightly").exit_code == 128 + 9


def test_a_run_of_the_same_environment_waits_and_tells_for_whom(box: Box) -> None:
    box.program("meltano", f"[ $4 != slow ] || {{ echo begun; while [ ! -e {box.folder}/go ]; do sleep 0.05; done; }}")
    slow = subprocess.Popen([CONNECT, "schedule", "run", "slow"], stderr=subprocess.PIPE, text=True)
    until("begun", box.logs / "slow.log")
    done = box.connect("run", "nightly", "--wait-minutes", "0")
    assert done.exit_code == 4
    assert f"nightly was not run: slow (process {slow.pid}, since 20" in done.output
    assert "still ran after 0 minutes of waiting" in (box.logs / "nightly.log").read_text()
    box.good("run", "nightly", "--environment", "trial")
    waiting = subprocess.Popen([CONNECT, "schedule", "run", "nightly"])
    until(f"nightly waits up to 60 minutes for slow (process {slow.pid}", box.logs / "nightly.log")
    (box.folder / "go").touch()
    assert (slow.communicate()[1], slow.returncode, waiting.wait()) == ("", 0, 0)
    assert "nightly ended with exit code 0" in (box.logs / "nightly.log").read_text().splitlines()[-1]


def test_a_run_that_is_killed_holds_the_lock_until_its_last_process_has_ended(box: Box) -> None:
    box.program("meltano", "echo me $$; exec sleep 60")
    run = subprocess.Popen([CONNECT, "schedule", "run", "nightly"])
    until("me ", box.logs / "nightly.log")
    lock = scheduled_run.Run("nightly", box.project, "prod", box.project, box.logs).lock
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert not free(lock)
    (meltano,) = (line[3:] for line in (box.logs / "nightly.log").read_text().splitlines() if line.startswith("me "))
    os.kill(int(meltano), signal.SIGKILL)
    for _ in range(600):
        if free(lock):
            break
        time.sleep(0.05)
    box.program("meltano", "")
    box.good("run", "nightly", "--wait-minutes", "0")


def test_logs_of_a_schedule_never_take_more_than_5_mb(box: Box) -> None:
    box.program("meltano", "head -c 7000000 /dev/zero | tr '\\0' x | fold -w 1000; echo; echo last")
    box.good("run", "nightly")
    sizes = {path.name: path.stat().st_size for path in box.logs.iterdir()}
    assert sorted(sizes) == ["nightly.log", *(f"nightly.log.{number}" for number in range(1, 5))]
    assert max(sizes.values()) <= 1_000_000
    assert "last\n" in (box.logs / "nightly.log").read_text()


def test_a_log_that_cannot_be_written_is_told(box: Box) -> None:
    box.logs.write_text("in the way")
    done = box.connect("run", "nightly")
    assert (done.exit_code, "CONNECT_SCHEDULE_LOGS" in done.output) == (4, True)


def test_an_entry_of_another_zone_runs_once_its_time_has_come_and_is_silent_before(box: Box) -> None:
    always, never = ("--interval", "* * * * *"), ("--interval", "0 0 1 1 *", "--time-zone", "Asia/Tokyo")
    assert box.good("run", "nightly", *never) == ""
    assert not box.logs.exists()
    (box.project / ".meltano" / "run" / "connect" / "prod.nightly.looked").unlink()
    box.good("run", "nightly", *always)
    assert (box.logs / "nightly.log").exists()
