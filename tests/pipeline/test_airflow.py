"""A real Airflow (scheduler, workers, API server) in an environment of its own runs the schedules of a project."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.error import URLError
from urllib.request import Request, urlopen
from zoneinfo import ZoneInfo

import pytest
import yaml

from tests.package.commands import environment, new_environment
from tests.pipeline.conftest import ROOT, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.pipeline.project import Project

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.slow,
    pytest.mark.skipif(sys.version_info < (3, 11), reason="today's packages of Airflow need Python 3.11"),
]

FOLDER = Path("orchestrate/airflow")
POOL = {"name": "coursera_api", "slots": 1}
ZONE = "America/New_York"
SECRET = "only-for-those-who-may-post"
READS_ONLY = {
    r"(tap-coursera-roster [\w-]+) dbt:build connect:publish": r"\1",
    r"^jobs:": 'jobs:\n  - name: fails\n    tasks: ["connect:publish"]',
    r"^schedules:": 'schedules:\n  - {name: fails, interval: "@once", job: fails}',
}
IMPATIENT = {r'"retries": 3': '"retries": 1', r"timedelta\(minutes=10\)": "timedelta(seconds=1)"}

T = TypeVar("T")


def edited(path: Path, changes: dict[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, new in changes.items():
        text, found = re.subn(old, new, text, flags=re.MULTILINE)
        assert found == 1, f"{path.name} has {found} times: {old}"
    path.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Airflow:
    """Airflow as `airflow standalone` starts it; its methods use the API of Airflow."""

    project: Project
    home: Path
    url: str
    posted: list[dict[str, Any]] = field(default_factory=list)
    token: list[str] = field(default_factory=list)

    def ask(self, path: str, body: dict[str, Any] | None = None, method: str | None = None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {''.join(self.token)}"}
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self.url + path, data, headers, method=method), timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def dags(self) -> dict[str, dict[str, Any]]:
        return {dag["dag_id"]: dag for dag in self.ask("/api/v2/dags")["dags"]}

    def import_errors(self) -> dict[str, str]:
        return {error["filename"]: error["stack_trace"] for error in self.ask("/api/v2/importErrors")["import_errors"]}

    def start(self, dag: str) -> str:
        self.ask(f"/api/v2/dags/{dag}", {"is_paused": False}, "PATCH")
        return str(self.ask(f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None})["dag_run_id"])

    def ended(self, dag: str, run: str) -> str | None:
        state: str = self.ask(f"/api/v2/dags/{dag}/dagRuns/{run}")["state"]
        return state if state in {"success", "failed"} else None

    def tries(self, dag: str, run: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask(f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/meltano/tries")[
            "task_instances"
        ]
        return found

    def logs(self) -> str:
        return "\n".join(file.read_text(errors="replace") for file in self.home.rglob("*.log"))


def until(found: Callable[[], T | None], what: str, seconds: float = 200) -> T:
    """Wait until `found` returns something, and return that; only a busy machine needs a minute and more."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := found():
            return answer
        time.sleep(1)
    return pytest.fail(f"{what}: not after {seconds:g} seconds")


@pytest.fixture(scope="module")
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of a webhook on this machine, and what was posted there."""
    posted: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{SECRET}", posted
        server.shutdown()


@pytest.fixture(scope="module")
def airflow(
    project: Project, webhook: tuple[str, list[dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Airflow]:
    """Airflow on a project whose job `roster-sync` only loads, and with a schedule that fails and soon tries again."""
    address, posted = webhook
    shutil.copytree(ROOT / "orchestrate", project.root / "orchestrate", ignore=shutil.ignore_patterns("__pycache__"))
    edited(project.root / "meltano.yml", READS_ONLY)
    edited(project.root / FOLDER / "dags" / "coursera_connect_dags.py", IMPATIENT)
    secrets = project.root / "environments" / "sandbox" / "secrets.env"
    secrets.parent.mkdir(parents=True, exist_ok=True)
    secrets.write_text(f"CONNECT_WEBHOOK={address}\n")
    project.start("--learners", "20")

    home = tmp_path_factory.mktemp("airflow")
    commands = new_environment(home / "venv", sys.executable, "-r", str(ROOT / FOLDER / "requirements.txt"))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    meltano = Path(sys.executable).parent
    env = {name: value for name, value in project.env().items() if name in environment()} | {
        "PATH": os.pathsep.join((str(commands), str(meltano), os.environ["PATH"])),
        "MELTANO_ENVIRONMENT": "sandbox",
        "CONNECT_SCHEDULE_TIME_ZONE": ZONE,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(project.root / FOLDER / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "true",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__TRIGGERER__TRIGGERER_LOG_SERVER_PORT": str(free_port()),
    }
    with (home / "standalone.log").open("wb") as log:
        process = subprocess.Popen(
            [commands / "airflow", "standalone"],
            env=env,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    started = Airflow(project, home, url, posted)

    def up() -> bool:
        if process.poll() is not None:
            pytest.fail(f"Airflow ended:\n{(home / 'standalone.log').read_text()[-6000:]}")
        try:
            parts = started.ask("/api/v2/monitor/health")
        except (URLError, ConnectionError, TimeoutError):
            return False
        return all(parts[part]["status"] == "healthy" for part in ("scheduler", "dag_processor"))

    try:
        until(up, "Airflow is up")
        started.token.append(started.ask("/auth/token")["access_token"])
        started.ask("/api/v2/pools", POOL)
        yield started
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_each_schedule_is_a_dag_that_begins_at_its_time_in_the_zone_of_the_setting(airflow: Airflow) -> None:
    schedules = yaml.safe_load((airflow.project.root / "meltano.yml").read_text())["schedules"]
    expected = {f"coursera-connect-{s['name']}": s["interval"] for s in schedules}
    until(lambda: airflow.dags().keys() >= expected.keys() and not airflow.import_errors(), "the DAGs are there")
    dags = airflow.dags()
    assert {name: dag["timetable_summary"] for name, dag in dags.items()} == {
        name: None if interval == "@once" else interval for name, interval in expected.items()
    }
    begins = datetime.fromisoformat(
        dags["coursera-connect-roster-sync"]["next_dagrun_run_after"].replace("Z", "+00:00")
    )
    assert begins.astimezone(ZoneInfo(ZONE)).strftime("%H:%M") == "01:00"
    assert all(dag["is_paused"] and dag["max_active_runs"] == 1 for dag in dags.values())


def test_one_runs_to_success_and_one_fails_is_tried_again_and_told_and_never_do_two_run_at_once(
    airflow: Airflow,
) -> None:
    kept = airflow.project.root / ".meltano" / "run" / "airflow-sandbox.json"
    written = kept.stat().st_mtime_ns
    runs = {dag: airflow.start(dag) for dag in ("coursera-connect-fails", "coursera-connect-roster-sync")}
    ends = {dag: until(lambda d=dag, r=run: airflow.ended(d, r), f"{dag} ended") for dag, run in runs.items()}  # type: ignore[misc]
    assert ends == {"coursera-connect-fails": "failed", "coursera-connect-roster-sync": "success"}, airflow.logs()[
        -9000:
    ]
    assert airflow.project.query("select count(*) from coursera.program_memberships")[0][0] > 0

    tries = {dag: airflow.tries(dag, run) for dag, run in runs.items()}
    assert [one["state"] for one in tries["coursera-connect-fails"]] == ["failed", "failed"]
    assert [one["state"] for one in tries["coursera-connect-roster-sync"]] == ["success"]
    times = sorted((one["start_date"], one["end_date"]) for each in tries.values() for one in each)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(times)), times

    def told() -> list[dict[str, Any]]:
        return [post for post in airflow.posted if "dag" in post["report"]]  # `connect publish` sends its own notice.

    until(told, "the alert is there")
    run = runs["coursera-connect-fails"]
    [alert] = told()
    log = alert["report"].pop("log")
    assert log.startswith(f"{airflow.url}/dags/coursera-connect-fails/runs/")
    assert alert == {
        "text": f"coursera-connect-fails failed (task_failure) at try 2, run {run}: {log}",
        "report": {
            "outcome": "failed",
            "dag": "coursera-connect-fails",
            "run": run,
            "task": "meltano",
            "try": 2,
            "reason": "task_failure",
        },
    }
    assert SECRET not in airflow.logs()
    # Airflow has imported the DAGs many times meanwhile, without asking Meltano again.
    assert kept.stat().st_mtime_ns == written


def test_a_broken_meltano_yml_is_an_import_error_and_the_dags_stay_as_they_were(airflow: Airflow) -> None:
    page = airflow.project.root / "meltano.yml"
    good, before = page.read_text(), airflow.dags().keys()
    page.write_text(good.replace("schedules:\n", "schedules: [\n"))
    errors = until(airflow.import_errors, "the import error is there")
    assert list(errors) == ["coursera_connect_check.py"]
    assert "failed" in errors["coursera_connect_check.py"]
    assert f"{page}, line" in errors["coursera_connect_check.py"]
    assert airflow.dags().keys() == before
    page.write_text(good.replace('"0 1 * * *"', '"0 25 * * *"'))
    until(lambda: '"0 25 * * *"' in str(airflow.import_errors()), "the next import error is there")
    assert airflow.dags().keys() == before
    page.write_text(good.replace('"0 1 * * *"', '"0 3 * * *"'))
    until(lambda: not airflow.import_errors(), "there is no import error")
    until(lambda: airflow.dags()["coursera-connect-roster-sync"]["timetable_summary"] == "0 3 * * *", "the DAG follows")
