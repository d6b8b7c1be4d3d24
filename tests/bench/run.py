"""`make bench`: the same pages for every contestant, in turns, verified, in one table per workload.

    make bench                                                     everything, three times: about 45 minutes
    make bench ARGS="--only enrollments --latency 0 --contestants floor,ours --runs 1"
    make bench ARGS="--only memory"                                50,000, 200,000 and 800,000 enrollments, once each

Tables go to standard output and, with every single measurement, to `.bench/results/`. The exit code is 1 when a
contestant failed or ended with other rows than were served.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

from tests.bench import ours, report
from tests.bench.contestants import Task, contestants
from tests.bench.environments import ROOT, Environments, SetupError
from tests.bench.pages import KINDS, Book
from tests.bench.processes import run
from tests.bench.report import AGAIN, FIRST, Measurement
from tests.bench.server import TALLY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.bench.contestants import Contestant
    from tests.bench.pages import Kind
    from tests.bench.processes import Cost

WORKLOADS = ("enrollments", "items", "memory")


@dataclass(frozen=True)
class Workload:
    """What all contestants are asked to do, and how often."""

    kind: Kind
    rows: int
    """Of the vendor's."""
    latency: int
    """Milliseconds per request."""
    runs: int
    again: bool
    """Whether those that replace rows load a second time over what is there."""


@dataclass(frozen=True)
class Bench:
    """A place to measure in."""

    folder: Path
    environments: Environments
    requests: int
    """In flight at a time, where a contestant can be told."""

    @property
    def pages(self) -> Path:
        """Where the rows that are served are kept."""
        return self.folder / "pages"

    def measure(self, workloads: Sequence[Workload], them: Sequence[Contestant]) -> list[Measurement]:
        """Let each contestant run each workload, in turns."""
        for name, rows in dict.fromkeys((one.kind.name, one.rows) for one in workloads):
            _tell(f"Pages: {rows:,} rows for {name}")
            command = [sys.executable, "-m", "tests.bench.pages", name, str(rows), str(self.pages)]
            subprocess.run(command, cwd=ROOT, check=True)
        found: list[Measurement] = []
        with self._served() as address:
            for workload in workloads:
                for number in range(workload.runs):
                    # No contestant is always the first after a pause.
                    shift = number % len(them)
                    for one in (*them[shift:], *them[:shift]):
                        found += self._loads(one, workload, address, f"{number + 1} of {workload.runs}")
        return found

    @contextmanager
    def _served(self) -> Iterator[str]:
        command = [sys.executable, "-m", "tests.bench.server", str(self.pages)]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"

    def _loads(self, one: Contestant, workload: Workload, address: str, number: str) -> Iterator[Measurement]:
        folder = self.folder / "work" / one.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        task = Task(workload.kind, f"{address}/{workload.latency}/{workload.rows}", self.requests, folder)
        for load in (FIRST, AGAIN) if workload.again and one.replaces else (FIRST,):
            stages = one.stages(task, self.environments)
            _ask(address)
            cost = run(stages, folder / "errors.log", one.watched)
            tally = _ask(address)
            wrong = cost.failure or self._differences(one, task, workload)
            _tell(
                f"{workload.kind.name} {workload.rows:,}, {workload.latency} ms, {load}, run {number}: "
                f"{one.name} {cost.wall:.2f} s{_costs(cost)}{f' WRONG: {wrong}' if wrong else ''}"
            )
            yield Measurement(
                one.name,
                workload.kind.name,
                workload.rows,
                workload.latency,
                load,
                cost.wall,
                cost.cpu,
                cost.peak,
                tally["requests"],
                tally["in_flight"],
                wrong,
            )
            if wrong:
                break
        shutil.rmtree(folder, ignore_errors=True)

    def _differences(self, one: Contestant, task: Task, workload: Workload) -> str | None:
        # A process of its own checks the rows, because the memory of this process counts as the peak of its children.
        truth = Book(workload.kind, workload.rows, self.pages).truth
        command = [sys.executable, "-m", "tests.bench.verify", str(task.database), one.table(workload.kind)]
        command += [workload.kind.name, str(truth), *(["--snake"] if one.snake else [])]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return (done.stdout.strip() or done.stderr.strip()[-1000:]) if done.returncode else None


def _costs(cost: Cost) -> str:
    cpu = ", ".join(f"{role} {value:.1f} s" for role, value in cost.cpu.items())
    peak = ", ".join(f"{role} {value:.0f} MB" for role, value in cost.peak.items())
    return f" (CPU: {cpu}; peak: {peak})"


def _ask(address: str) -> dict[str, int]:
    with urlopen(address + TALLY, timeout=60) as answer:
        tally: dict[str, int] = json.load(answer)
        return tally


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


# On the command line


def _numbers(text: str) -> list[int]:
    return [int(part.replace("_", "")) for part in text.split(",")]


def _some_of(allowed: Sequence[str]) -> Callable[[str], list[str]]:
    def chosen(text: str) -> list[str]:
        if unknown := [part for part in text.split(",") if part not in allowed]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is none of {', '.join(allowed)}")
        return text.split(",")

    return chosen


def _parser(names: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    for option, allowed in (("--only", WORKLOADS), ("--contestants", names)):
        text = f"some of {', '.join(allowed)} (default: all)"
        parser.add_argument(option, type=_some_of(allowed), default=list(allowed), metavar="A,B", help=text)
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="of each workload but memory (default: 3)")
    parser.add_argument("--latency", type=_numbers, default=[0, 100], metavar="MS,MS", help="per request (0,100)")
    parser.add_argument("--requests", type=int, default=4, metavar="N", help="in flight at a time (4)")
    parser.add_argument("--enrollments", type=int, default=200_000, metavar="N", help="rows (200000)")
    parser.add_argument("--gradebooks", type=int, default=20_000, metavar="N", help="rows of 15 items (20000)")
    parser.add_argument(
        "--memory",
        type=_numbers,
        default=[50_000, 200_000, 800_000],
        metavar="N,N",
        help="enrollments at which memory is compared (50000,200000,800000)",
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench", help="for all that is made on the way (.bench)")
    parser.add_argument(
        "--here", action="store_true", help="use this Python's packages for all: floor, naive and ours, which have them"
    )
    return parser


def _workloads(given: argparse.Namespace) -> list[Workload]:
    found = []
    for kind, rows in ((KINDS["enrollments"], given.enrollments), (KINDS["items"], given.gradebooks)):
        if kind.name in given.only:
            found += [Workload(kind, rows, one, given.runs, again=one == 0) for one in given.latency]
    return found


def _for_memory(given: argparse.Namespace, workloads: Sequence[Workload]) -> list[Workload]:
    """Return the runs for memory, one at each size that no other workload has."""
    if "memory" not in given.only:
        return []
    measured = {one.rows for one in workloads if one.kind.name == "enrollments" and one.latency == 0}
    sizes = [rows for rows in given.memory if rows not in measured]
    return [Workload(KINDS["enrollments"], rows, 0, 1, again=False) for rows in sizes]


def main(words: Sequence[str] | None = None, others: Mapping[str, Contestant] | None = None) -> int:
    """Run what the words of a command line ask for; `others` take part on top of the usual contestants."""
    project = ROOT / ".bench" / "meltano"
    known = {**contestants(project), **(others or {})}
    given = _parser(list(known)).parse_args(words)
    begin = time.monotonic()
    bench = Bench(given.folder.resolve(), Environments(given.folder.resolve() / "venvs", given.here), given.requests)
    them = [known[name] for name in known if name in given.contestants]
    try:
        for environment in dict.fromkeys(name for one in them for name in one.environments):
            _tell(f"Environment: {environment}")
            bench.environments.prepare(environment)
        if any(one.project for one in them):
            ours.prepare_project(project)
    except (SetupError, subprocess.CalledProcessError) as error:
        _tell(f"A contestant cannot be set up, leave it out with --contestants. {error}")
        return 1
    names = dict.fromkeys("here" if given.here else name for one in them for name in one.environments)
    versions = {name: bench.environments.versions(name) for name in names}
    if any(one.project for one in them):
        versions["meltano"] = ours.meltano_version()
    head = report.machine(versions)
    workloads = _workloads(given)
    for_memory = _for_memory(given, workloads)
    measurements = bench.measure([*workloads, *for_memory], them)
    about = {one.name: one.about for one in them}
    text = f"{head}\n{report.tables(measurements, about, {one.rows for one in for_memory})}"
    text += f"\nAll of it took {(time.monotonic() - begin) / 60:.0f} minutes.\n"
    _save(bench.folder / "results", text, measurements)
    sys.stdout.write(text)
    wrong = [one for one in measurements if one.wrong]
    for one in wrong:
        _tell(f"WRONG: {one.contestant}, {one.kind}, {one.load}: {one.wrong}")
    return 1 if wrong else 0


def _save(folder: Path, text: str, measurements: Sequence[Measurement]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{datetime.now(tz=timezone.utc):%Y%m%d-%H%M%S}"
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    (folder / f"{name}.json").write_text(report.as_json(measurements), encoding="utf-8")
    _tell(f"Saved: {folder / name}.md and .json")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
