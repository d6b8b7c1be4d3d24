"""`connect lock`: jobs run one after another, and a job that dies releases the lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import psutil
import pytest

from coursera_connect.meltano.project_files import RUN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Stands in for Meltano: runs the lock as its first step, perhaps others, and ends when it is told to.
MELTANO = """
import subprocess, sys
lock = [sys.executable, "-m", "coursera_connect", "lock"]
if code := subprocess.run(lock).returncode:
    sys.exit(code)
for step in {steps}:
    subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=sys.stdin, **step)
if {again}:
    sys.exit(subprocess.run(lock).returncode)
print("at work", flush=True)
sys.stdin.read()
"""
STEP, SERVICE = {}, {"start_new_session": True}  # type: ignore[var-annotated]


class Job:
    """A running job; it ends when the `with` block is left."""

    def __init__(self, folder: Path, name: str, wait: float, steps: tuple[object, ...], again: bool) -> None:
        script = folder / name / "meltano"
        script.parent.mkdir()
        script.write_text(MELTANO.format(steps=list(steps), again=again))
        env = {"CONNECT_PACKAGE": str(folder / "new" / "oneroster.zip"), "CONNECT_LOCK_WAIT": str(wait)}
        self.process = subprocess.Popen(
            [sys.executable, str(script), "--environment=prod", "run", name],
            env={**os.environ, **env, RUN: uuid.uuid4().hex},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def line(self, pipe: IO[str] | None) -> str:
        assert pipe is not None
        return pipe.readline().strip()

    def at_work(self) -> bool:
        return self.line(self.process.stdout) == "at work"

    def says(self) -> str:
        return self.line(self.process.stderr)

    def end(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@contextmanager
def job(
    folder: Path, name: str, *, wait: float = 60, steps: tuple[object, ...] = (), again: bool = False
) -> Iterator[Job]:
    started = Job(folder, name, wait, steps, again)
    with started.process:
        try:
            yield started
        finally:
            started.process.kill()


@contextmanager
def working(folder: Path, name: str, *steps: object) -> Iterator[Job]:
    with job(folder, name, steps=steps) as started:
        assert started.at_work()
        yield started


def test_the_second_job_says_whom_it_waits_for_and_runs_when_that_has_ended(folder: Path) -> None:
    with working(folder, "first") as first, job(folder, "second") as second:
        said = second.says()
        assert said.startswith(f"Waiting up to 60 seconds for meltano run first (process {first.process.pid}, since 20")
        assert first.end() == (0, "")
        assert second.at_work()
        assert second.end() == (0, "")


def test_a_job_that_waited_long_enough_ends_and_says_for_whom(folder: Path) -> None:
    with working(folder, "first") as first:
        with job(folder, "second", wait=0) as second:
            code, said = second.end()
        assert code == 3
        assert said.startswith(f"Error: meltano run first (process {first.process.pid}, since ")
        assert said.endswith(
            "is still at work here after 0 seconds: let it end, or set CONNECT_LOCK_WAIT to wait longer; then run "
            "again.\n"
        )


@pytest.mark.parametrize("kill", [os.kill, os.killpg])
def test_a_job_that_is_killed_makes_room_at_once(folder: Path, kill: object) -> None:
    assert callable(kill)
    with working(folder, "first") as first, job(folder, "second") as second:
        assert "meltano run first" in second.says()
        kill(first.process.pid, signal.SIGKILL)
        assert second.at_work()


def test_steps_that_outlive_their_job_keep_others_waiting_and_services_do_not(folder: Path) -> None:
    with working(folder, "first", STEP, SERVICE) as first, job(folder, "second") as second:
        assert "meltano run first" in second.says()
        step, service = psutil.Process(first.process.pid).children()[-2:]
        first.process.kill()
        first.process.wait()
        assert f"(process {step.pid}), left at work by meltano run first (process " in second.says()
        step.kill()
        assert second.at_work()
        assert service.is_running()
        service.kill()


def test_two_jobs_in_one_run_do_not_wait_for_each_other(folder: Path) -> None:
    with job(folder, "both", wait=0, again=True) as both:
        assert both.end() == (0, "")


def test_who_waits_for_the_lock_of_a_job_that_is_gone_takes_none(folder: Path) -> None:
    with working(folder, "first"), job(folder, "second") as second:
        assert "meltano run first" in second.says()
        second.process.kill()
        assert second.end()[1] == "Error: The job that wanted the lock is gone: run it again.\n"
