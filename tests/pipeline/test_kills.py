"""kill -9 at twenty random moments of a job: nothing is lost, nothing is half written, and the next run can start."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from coursera_connect.warehouse import warehouse
from oneroster_csv import validate
from tests.pipeline.project import tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.pipeline.project import Project

pytestmark = [pytest.mark.pipeline, pytest.mark.slow(minutes=7)]

PHASES = ("lock", "load", "dbt", "publish")
KILLS = {"lock": 2, "load": 13, "dbt": 3, "publish": 2}


@dataclass
class Run:
    """A job under way, in a process group of its own, and its log."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def text(self) -> str:
        return self.log.read_text()

    @property
    def seconds(self) -> list[float]:
        """Return the seconds of each phase that has ended."""
        whole = [line for line in self.text.splitlines(keepends=True) if line.startswith("{") and line.endswith("\n")]
        events = map(json.loads, whole)
        return [one["duration_seconds"] for one in events if one.get("event") == "Block run completed"]

    def wait_for(self, phase: str) -> None:
        while len(self.seconds) < PHASES.index(phase):
            assert self.process.poll() is None, self.text[-3000:]
            time.sleep(0.05)

    def end(self) -> int:
        return self.process.wait(timeout=240)


@contextmanager
def running(project: Project, job: str, log: Path) -> Iterator[Run]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*project.command("--log-format=json"), "run", job],
            cwd=project.root,
            env=project.env(CONNECT_REPORT="off", MELTANO_AUTO_INSTALL="false"),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Run(process, log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@dataclass
class Undisturbed:
    """The second day of a college without any kill."""

    before: Path
    """A copy of what the first day left."""
    old: bytes
    new: bytes
    tables: dict[str, list[str]]
    seconds: dict[str, float]


def keep(project: Project, place: Path) -> None:
    shutil.copytree(project.root / "output", place / "output")
    for file in (project.root / ".meltano").glob("meltano.db*"):
        shutil.copy(file, place)


def bring_back(project: Project, place: Path) -> None:
    project.fresh_warehouse()
    shutil.copytree(place / "output", project.root / "output")
    for file in place.glob("meltano.db*"):
        shutil.copy(file, project.root / ".meltano")


@pytest.fixture(scope="module")
def undisturbed(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    project.start("--learners", "40")
    # Two steps of one run take the lock, and the run does not wait for itself.
    project.meltano(
        "run", "connect:lock", "tap-coursera-roster", "target-warehouse", "grade-sync", CONNECT_REPORT="off"
    )
    old = project.package.read_bytes()
    keep(project, folder)
    project.advance(days=1)
    with running(project, "grade-sync", folder / "log") as run:
        assert run.end() == 0, run.text[-3000:]
        seconds = dict(zip(PHASES, run.seconds, strict=True))
    new = project.package.read_bytes()
    assert new != old
    return Undisturbed(folder, old, new, tables(project), seconds)


def moments(seconds: dict[str, float], chance: random.Random) -> list[tuple[str, float]]:
    """Return the phases in random order, with the seconds after the beginning of each at which it is to be killed.

    One kill of each phase comes early, so that it is not too late on a machine that has become faster.
    """
    drawn = [
        (phase, chance.random() * seconds[phase] * (0.3 if first else 1))
        for phase, count in KILLS.items()
        for first in [True, *[False] * (count - 1)]
    ]
    chance.shuffle(drawn)
    return drawn


def look(project: Project, day: Undisturbed, valid: set[bytes]) -> None:
    """Check that the package is the old one or the new one, and that the warehouse has all rows up to the bookmarks."""
    package = project.package.read_bytes()
    assert package in (day.old, day.new)
    if package not in valid:
        found = validate.package(project.package)
        assert not [one for one in found.findings if found.rules[one.rule].refuses]
        valid.add(package)
    with warehouse.opened(project.warehouse, 60) as opened:  # A killed process may need some time to end.
        marks = list(bookmarks(project))
        assert {"contents", "enrollments", "item_grades"} <= {stream for stream, _, _ in marks}
        for stream, context, mark in marks:
            there = " and ".join(f"{name} = '{value}'" for name, value in context.items())
            reached = f"{mark['replication_key']} >= cast('{mark['replication_key_value']}' as timestamptz)"
            (rows,) = opened.row(f"select count(*) from coursera.{stream} where {reached} and {there or 'true'}")
            assert rows, (stream, context)


def bookmarks(project: Project) -> Iterator[tuple[str, dict[str, str], dict[str, str]]]:
    """Return the bookmarks in states, as stream, context and value."""
    with closing(sqlite3.connect(project.root / ".meltano" / "meltano.db")) as system:
        rows = system.execute("select partial_state, completed_state from state").fetchall()
    for text in (text for row in rows for text in row if text):
        for stream, mark in json.loads(text).get("singer_state", {}).get("bookmarks", {}).items():
            for part in (mark, *mark.get("partitions", [])):
                if "replication_key_value" in part:
                    yield stream, part.get("context", {}), part


def test_twenty_kills_and_then_two_jobs_at_once_end_like_a_day_on_which_nobody_died(
    undisturbed: Undisturbed, project: Project, tmp_path: Path
) -> None:
    seed = int(os.environ.get("KILLS_SEED", random.SystemRandom().randrange(1_000_000)))
    sys.stdout.write(f"KILLS_SEED={seed}\n")
    bring_back(project, undisturbed.before)
    valid: set[bytes] = set()
    met = []
    chance = random.Random(seed)
    for number, (phase, later) in enumerate(moments(undisturbed.seconds, chance)):
        with running(project, "grade-sync", tmp_path / f"{number}.log") as run:
            run.wait_for(phase)
            time.sleep(later)
            os.killpg(run.process.pid, signal.SIGKILL)
            run.process.wait()
            met.append(PHASES[len(run.seconds)] if len(run.seconds) < len(PHASES) else "end")
            sys.stdout.write(f"{number}: killed {later:.2f} s after the beginning of {phase}, in {met[-1]}\n")
            assert "already running" not in run.text
        look(project, undisturbed, valid)
        if project.package.read_bytes() == undisturbed.new:
            bring_back(project, undisturbed.before)  # The other tests also need work to do.
    assert {"load", "dbt", "publish"} <= set(met)

    # Only Meltano dies, its steps live on: the next jobs wait for these, too, and the second of them for the first.
    phase = chance.choice(PHASES[1:])
    sys.stdout.write(f"killed Meltano alone in {phase}\n")
    with running(project, "grade-sync", tmp_path / "left.log") as run:
        run.wait_for(phase)
        time.sleep(chance.random() * undisturbed.seconds[phase])
        run.process.kill()
        run.process.wait()
    with (
        running(project, "roster-sync", tmp_path / "roster.log") as roster,
        running(project, "grade-sync", tmp_path / "grade.log") as grade,
    ):
        assert (roster.end(), grade.end()) == (0, 0), roster.text[-3000:] + grade.text[-3000:]
    assert "Waiting up to 3600 seconds for " in roster.text + grade.text
    assert "already running" not in roster.text + grade.text

    assert project.package.read_bytes() == undisturbed.new
    ended = tables(project)
    assert ended.keys() == undisturbed.tables.keys()
    for name, rows in ended.items():
        assert rows == undisturbed.tables[name], f"{name} differs"
    left = {path.name for path in project.package.parent.iterdir() if "loading" in path.name or "partial" in path.name}
    assert left == set()
