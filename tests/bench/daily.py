"""What a night costs: a first run of a college, and one for a day on which 2 % of its learners handed something in.

    python -m tests.bench.daily --learners 20000

A sandbox of its own serves the college; each step is a process, as Meltano starts them, and rows travel by file, as in
meltano.yml. Around 2028-10-12 nothing changes in the sandbox except for the class that hands in on that day. The
report has time and memory of each step, the requests that the vendor got, and the size of the files.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from coursera_sandbox.testing import RunningSandbox
from tests.bench.steps import run, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.steps import Step

ROOT = Path(__file__).resolve().parents[2]
QUIET, CLASS_DAY = "2028-10-10T06:00:00Z", "2028-10-12"
BESIDE = Path(sys.executable).parent
"""Where the commands of the tap and the loader are installed."""
COUNTED = ("users", "program_memberships", "enrollments", "course_grades", "item_grades")
"""Streams whose rows tell how large the college is."""
INTERVAL = 0.2
"""Seconds between two looks at the folder of batches."""
MB = 1e6


@dataclass(frozen=True)
class Night:
    """What one run of the job cost: steps, requests by route of the vendor's API, and bytes by file."""

    name: str
    steps: list[Step]
    requests: dict[str, int]
    disk: dict[str, int]


class Job:
    """The steps of the job `grade-sync`, for one warehouse."""

    def __init__(self, folder: Path, sandbox: RunningSandbox, dbt: Path, grade_sync: str) -> None:
        self.folder, self.sandbox, self.dbt = folder, sandbox, dbt
        self.batches = folder / "batches"
        self.most_in_batches = 0
        self.database = folder / "warehouse.duckdb"
        self.project = folder / "transform"
        shutil.copytree(ROOT / "transform", self.project, ignore=shutil.ignore_patterns("target", "logs"))
        self.environment = {
            "DBT_PROJECT_DIR": str(self.project),
            "DBT_PROFILES_DIR": str(self.project),
            "DBT_DUCKDB_PATH": str(self.database),
            "CONNECT_GRADE_SYNC": grade_sync,
            "MELTANO_ENVIRONMENT": "sandbox",
        }
        batches = {"encoding": {"format": "jsonl"}, "storage": {"root": str(self.batches)}}
        self._say("tap", {**sandbox.tap_config, "emit_activate_version_messages": True, "batch_config": batches})
        target = {"filepath": str(self.database), "default_target_schema": "coursera"}
        self._say("target", {**target, "add_record_metadata": True, "remove_batch_files": True})

    def _say(self, name: str, content: dict[str, Any]) -> None:
        (self.folder / f"{name}.json").write_text(json.dumps(content), "utf-8")

    def run(self, name: str) -> Night:
        """Run the job; `name` tells one night from another."""
        self.sandbox.reset_requests()
        self.most_in_batches = 0
        steps = [self.discover(name), self.load(name), self.transform(name), self.publish(name)]
        disk = {one: (self.folder / one).stat().st_size for one in ("warehouse.duckdb", "oneroster.zip", "state.json")}
        return Night(name, steps, self.sandbox.requests()["routes"], {**disk, "batches, at most": self.most_in_batches})

    def rows(self) -> dict[str, int]:
        """How many rows each of the large streams has."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            counts = {name: connection.execute(f"select count(*) from coursera.{name}").fetchone() for name in COUNTED}
        return {name: count[0] for name, count in counts.items() if count}

    @contextmanager
    def _watching_batches(self) -> Iterator[None]:
        over = threading.Event()

        def watch() -> None:
            while not over.wait(INTERVAL):
                with suppress(OSError):  # The loader may remove a file meanwhile.
                    size = sum(one.stat().st_size for one in self.batches.iterdir())
                    self.most_in_batches = max(self.most_in_batches, size)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def discover(self, name: str) -> Step:
        """Make the catalog, as Meltano does before a run."""
        tap = [str(BESIDE / "tap-coursera"), "--config", str(self.folder / "tap.json"), "--discover"]
        done = run(f"{name}, discover", tap, folder=self.folder, output="catalog.json")
        catalog = json.loads((self.folder / "catalog.json").read_text("utf-8"))
        for stream in catalog["streams"]:
            stream["selected"] = stream["tap_stream_id"] != "course_materials"
            stream["metadata"][-1]["metadata"]["selected"] = stream["selected"]
            for entry in stream["metadata"]:
                if not entry["breadcrumb"]:
                    entry["metadata"]["selected"] = stream["selected"]
        self._say("catalog", catalog)
        return done

    def load(self, name: str) -> Step:
        """Read and load, from the state that the night before left."""
        tap = [str(BESIDE / "tap-coursera"), "--config", str(self.folder / "tap.json")]
        tap += ["--catalog", str(self.folder / "catalog.json")]
        state = self.folder / "state.json"
        if state.exists():
            tap += ["--state", str(state)]
        target = [str(BESIDE / "target-duckdb"), "--config", str(self.folder / "target.json")]
        with self._watching_batches():
            done = run(f"{name}, tap and target", tap, target, folder=self.folder, output="states.jsonl")
        state.write_text((self.folder / "states.jsonl").read_text("utf-8").splitlines()[-1], "utf-8")
        return done

    def transform(self, name: str) -> Step:
        """Build all models and test them."""
        command = [str(self.dbt), "build", "--exclude-resource-type", "unit_test"]
        done = run(f"{name}, dbt build", command, folder=self.folder, environment=self.environment)
        results = self.project / "target" / "run_results.json"
        if results.exists():
            shutil.copy(results, self.folder / f"{name.replace(' ', '-')}.results.json")
        return done

    def publish(self, name: str) -> Step:
        """Publish into the folder of the warehouse."""
        command = [sys.executable, "-m", "coursera_connect", "publish", "--database", str(self.database)]
        command += ["--package", str(self.folder / "oneroster.zip")]
        done = run(f"{name}, publish", command, folder=self.folder)
        report = self.folder / "publish-report.json"
        shutil.copy(report, self.folder / f"{name.replace(' ', '-')}.report.json")
        return done


def measure(folder: Path, dbt: Path, learners: int, grade_sync: str, quiet_days: int) -> tuple[list[Night], Job]:
    """Run a first night, then one for each quiet day, then that of the class day."""
    sandbox = RunningSandbox(folder / "sandbox", learners=learners, now=QUIET, class_day=CLASS_DAY)
    try:
        job = Job(folder, sandbox, dbt, grade_sync)
        nights = [job.run("first run")]
        for day in range(quiet_days):
            sandbox.advance(days=1)
            nights.append(job.run(f"quiet day {day + 1}"))
        sandbox.advance(days=3 - quiet_days)  # The report shows a change a day late.
        return [*nights, job.run("class day")], job
    finally:
        sandbox.stop()


def shown(nights: list[Night], rows: dict[str, int]) -> str:
    """Return what was measured as Markdown: steps, requests, disk."""
    names = [night.name for night in nights]
    routes = sorted({route for night in nights for route in night.requests})
    asked = [[route, *(f"{night.requests.get(route, 0):,}" for night in nights)] for route in routes]
    asked.append(["all", *(f"{sum(night.requests.values()):,}" for night in nights)])
    disk = [[what, *(f"{night.disk[what] / MB:.1f}" for night in nights)] for what in nights[0].disk]
    return "\n\n".join(
        [
            ", ".join(f"{name} {count:,}" for name, count in rows.items()),
            table(["step", "wall s", "CPU s", "peak MB"], [step.cells for night in nights for step in night.steps]),
            table(["requests", *names], asked),
            table(["MB on disk", *names], disk),
        ]
    )


def main() -> None:
    """Measure what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learners", type=int, default=20_000)
    parser.add_argument("--grade-sync", default="final", help="final, final_incremental or granular_all (final)")
    parser.add_argument("--quiet-days", type=int, default=1, help="runs on which nothing moved, before the day, 0 to 2")
    parser.add_argument("--folder", type=Path, help="an empty folder that is kept; by default a temporary one")
    installed = ROOT / ".meltano" / "utilities" / "dbt" / "venv" / "bin" / "dbt"
    parser.add_argument("--dbt", type=Path, default=os.environ.get("DBT_EXECUTABLE", installed), help="dbt's command")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        nights, job = measure(folder, Path(options.dbt), options.learners, options.grade_sync, options.quiet_days)
        found = shown(nights, job.rows())
    sys.stdout.write(f"{options.learners:,} learners, grade sync {options.grade_sync}\n\n{found}\n")


if __name__ == "__main__":
    main()
