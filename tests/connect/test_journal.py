"""Every run of a job is recorded, however it ended, and every screen first says what failed."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from meltano.core.job.job import Job
from meltano.core.models import SystemModel
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from coursera_connect.jobs import ending, health, journal
from coursera_connect.jobs.journal import Run
from coursera_connect.meltano import meltano_runs
from coursera_connect.meltano.project_files import RUN
from coursera_connect.warehouse import ledger, warehouse
from tests.connect.looked import Looked

if TYPE_CHECKING:
    from pathlib import Path
REFUSED = "Coursera refused the credentials (HTTP 401): check client_id and client_secret."
PROJECT = """
jobs:
  - {name: grade-sync, tasks: ["connect:lock tap-coursera target-warehouse dbt:build connect:publish"]}
  - {name: publish, tasks: ["connect:lock dbt:build connect:publish"]}
"""


def ago(**span: float) -> str:
    return (datetime.now(timezone.utc) - timedelta(**span)).strftime("%Y-%m-%dT%H:%M:%SZ")


def ran(file: Path, job: str, outcome: str = "done", *, minutes: float, **told: Any) -> Run:
    """A run that began so many minutes ago, and ended a minute later."""
    run = Run(uuid.uuid4().hex, environment="prod", job=job, started_at=ago(minutes=minutes), outcome=outcome)
    loads = (
        {} if job == "publish" else {"extractor": "tap-coursera", "loaded": "done" if outcome == "done" else "failed"}
    )
    run = replace(run, ended_at=ago(minutes=minutes - 1), **{**loads, **told})
    journal.adopt(file, [run])
    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Looked:
    college = Looked(tmp_path_factory.mktemp("made"))
    assert college.connect("publish").exit_code == 0
    return college


@pytest.fixture
def college(made: Looked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Looked:
    """Published once, in the environment prod."""
    monkeypatch.setenv("MELTANO_ENVIRONMENT", "prod")
    monkeypatch.setenv("MELTANO_SYS_DIR_ROOT", str(tmp_path / "no-meltano"))
    return made.copy(tmp_path / "college")


def headline(college: Looked) -> str:
    return college.look().headline


def test_a_refused_secret_is_the_first_thing_that_everything_says_until_a_load_succeeds(college: Looked) -> None:
    file = journal.place(college.package)
    ran(file, "grade-sync", minutes=60 * 24)
    assert headline(college).startswith("The sync is healthy")
    run = ran(file, "grade-sync", "failed", minutes=30, step="tap-coursera", sentence=REFUSED, exit_code=1)
    assert college.connect("ended", run.id).exit_code == 0  # who watched the run calls this

    page = college.seen()
    assert page.headline == "The last load failed (grade-sync)."
    commands = re.findall(r"<pre><code>(.*?)</code></pre>", page.whole)
    assert commands[:2] == ["connect --environment=prod test", "connect --environment=prod run grade-sync"]
    assert f"tap-coursera: {REFUSED}" in page.text
    assert "environment prod" in page.text
    history = college.connect("history").output
    assert re.search(r"grade-sync +hand +failed +tap-coursera: Coursera refused", history)
    summary = college.connect("summary")
    assert summary.exit_code == 1
    assert summary.output.startswith(f"The last load failed (grade-sync). tap-coursera: {REFUSED}\n")

    # A daily publish does not end the failed state, and neither does a load of the roster alone.
    ran(file, "publish", minutes=20)
    ran(file, "roster-sync", minutes=15, extractor="tap-coursera-roster")
    assert college.connect("publish").exit_code == 0
    assert college.seen().headline == "The last load failed (grade-sync)."
    ran(file, "grade-sync", minutes=10)
    assert headline(college).startswith("The sync is healthy")
    assert college.connect("summary").exit_code == 0


def test_the_page_that_the_run_itself_writes_tells_that_its_load_made_the_failure_good(
    college: Looked, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = journal.place(college.package)
    ran(file, "grade-sync", "failed", minutes=30, step="tap-coursera", sentence=REFUSED, exit_code=1)
    pid, born = journal.process(os.getpid())
    again = Run("again", environment="prod", job="grade-sync", extractor="tap-coursera", meltano_run="m1")
    journal.begin(file, replace(again, pid=pid, born=born))
    monkeypatch.setenv(RUN, "m1")
    assert college.connect("publish").exit_code == 0
    page = college.seen()
    assert page.headline.startswith("The sync is healthy")
    assert "Coursera refused" not in page.text.split("Runs")[0]


def test_healthy_needs_a_load_within_the_expected_time(college: Looked) -> None:
    college.sql("update connect.freshness set read_at = now() - interval '50 hours'")
    assert headline(college) == "No load has succeeded for 2 days."
    ran(journal.place(college.package), "grade-sync", minutes=5)
    assert headline(college).startswith("The sync is healthy")


def test_the_page_of_the_sandbox_says_so_and_calls_nothing_old(
    college: Looked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MELTANO_ENVIRONMENT", "sandbox")
    college.sql(
        "update connect.freshness set read_at = now() - interval '300 days', "
        "report_refreshed_at = now() - interval '300 days'"
    )
    page = college.look()
    assert page.headline.startswith("The sync is healthy")
    assert "This is the sandbox." in page.text
    assert "by the simulated clock" in page.text
    assert 'data-old-hours="Infinity"' in page.whole


def test_where_the_warehouse_is_locked_the_journal_and_the_page_tell_the_failure(college: Looked) -> None:
    holds = "import sys, duckdb; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holds, str(college.database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        sentence = "The database is in use by DBeaver (PID 7)."
        run = ran(
            journal.place(college.package),
            "grade-sync",
            "failed",
            minutes=2,
            step="target-warehouse",
            sentence=sentence,
        )
        assert college.connect("ended", run.id, "--wait", "0").exit_code == 0
        page = college.seen()
        assert page.headline == "The last load failed (grade-sync)."
        assert sentence in page.text
        assert "grade-sync" in college.connect("history", "--wait", "0").output
        summary = college.connect("summary", "--wait", "0")
        assert (summary.exit_code, summary.output.startswith("The last load failed")) == (3, True)
        other.communicate("")


def test_a_publish_takes_the_runs_over_into_the_ledger_once(college: Looked) -> None:
    file = journal.place(college.package)
    ran(file, "grade-sync", "failed", minutes=30, step="dbt:build", sentence="Failure in test x.", loaded="done")
    for _ in range(2):
        assert college.connect("publish").exit_code == 0
    file.unlink()  # the machine was lost, and the warehouse came from a copy
    with warehouse.opened(college.database) as opened:
        (run,) = ledger.job_runs(opened, file)
    assert (run.job, run.outcome, run.step, run.sentence) == ("grade-sync", "failed", "dbt:build", "Failure in test x.")
    assert "dbt:build: Failure in test x." in college.connect("history").output


def test_people_of_several_schools_count_once(college: Looked) -> None:
    college.sql("update oneroster.users set \"orgSourcedIds\" = 'a,b' where \"sourcedId\" in ('a3', 'a4', 'a5')")
    college.sql("update oneroster.users set \"givenName\" = 'New' where \"sourcedId\" = 'a3'")
    done = college.connect("publish", "--allow-changes", "--json")
    report = json.loads(done.stdout)
    (users,) = [row for row in report["totals"] if row["file"] == "users"]
    assert (users["total"], users["changed"]) == (40, 3)
    assert sum(row["total"] for row in report["counts"] if row["file"] == "users") > 40
    page = college.seen()
    assert "40 people" in page.text
    assert "3 people changed" in page.text
    newest = json.loads(college.connect("history", "--json").stdout)["runs"][0]
    assert newest["total"] == sum(row["total"] for row in report["totals"])


# How a run ended that nobody watched

MELTANO = """
import os, signal, subprocess, sys
code = subprocess.run([sys.executable, "-m", "coursera_connect", "lock"]).returncode
print("at work", code, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Meltano project with a record of runs, of which this process is a step."""
    (tmp_path / "meltano.yml").write_text(PROJECT)
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(tmp_path))
    monkeypatch.setenv("MELTANO_ENVIRONMENT", "prod")
    monkeypatch.setenv(meltano_runs.FOLDER, str(tmp_path))
    monkeypatch.delenv(meltano_runs.DATABASE, raising=False)
    monkeypatch.setenv("CONNECT_PACKAGE", str(tmp_path / "out" / "oneroster.zip"))
    monkeypatch.setenv("CONNECT_DATABASE", str(tmp_path / "none.duckdb"))
    monkeypatch.delenv("CONNECT_REPORT")
    return tmp_path


def record(project: Path, state_id: str, error: str = "") -> None:
    """Return the row that Meltano writes for a load that began just now."""
    engine = create_engine(f"sqlite:///{project}/meltano.db", poolclass=NullPool, isolation_level="AUTOCOMMIT")
    SystemModel.metadata.create_all(engine)
    with Session(engine) as session:
        job = Job(job_name=state_id)
        job.start()
        if error:
            job.fail(error)
        else:
            job.success()
        job.save(session)


def meltano(project: Path, job: str, **env: str) -> subprocess.Popen[str]:
    script = project / "bin" / "meltano"
    script.parent.mkdir(exist_ok=True)
    script.write_text(MELTANO)
    return subprocess.Popen(
        [sys.executable, str(script), "--environment=prod", "run", job],
        env={**os.environ, RUN: uuid.uuid4().hex, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def at_work(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline().split()[-1])


def ended(file: Path) -> Run:
    """Return the newest run, once that has ended."""
    deadline = time.monotonic() + 60
    while not (found := journal.read(file)) or not found[0].ended_at:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found[0]


def test_a_run_that_is_killed_is_known_with_the_step_and_its_page_says_so(project: Path) -> None:
    file = project / "out" / journal.NAME
    with meltano(project, "grade-sync", MELTANO_JOB_TRIGGER="schedule:nightly") as process:
        assert at_work(process) == 0
        (running,) = journal.read(file)
        assert (running.job, running.started_by, running.extractor) == (
            "grade-sync",
            "schedule:nightly",
            "tap-coursera",
        )
        assert file.stat().st_mode & 0o077 == 0
        record(project, "prod:tap-coursera-to-target-warehouse", "The process was killed.")
        os.killpg(process.pid, signal.SIGKILL)
    run = ended(file)
    assert (run.outcome, run.step, run.loaded) == ("killed", "tap-coursera", "failed")
    page = file.with_name("report.html")
    deadline = time.monotonic() + 60
    while not page.is_file():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "Grade-sync was killed, and loaded nothing." in page.read_text()


@pytest.mark.parametrize(
    ("load", "published", "told"),
    [
        ("Extractor failed", "", ("failed", "tap-coursera", "The extractor failed; the output of that run says why.")),
        ("", "", ("failed", "dbt:build", "It did not end well, or was killed; the output of that run says why.")),
        ("", "began", ("killed", "connect:publish", "The publish was killed.")),
        ("", "blocked", ("failed", "connect:publish", "more would leave")),
        ("", "unchanged", ("done", "", "")),
        (None, "", ("failed", "tap-coursera", "It did not end well, or was killed; the output of that run says why.")),
    ],
)
def test_of_a_plain_run_its_traces_tell_which_step_failed(
    project: Path, load: str | None, published: str, told: tuple[str, str, str]
) -> None:
    file = project / "out" / journal.NAME
    gone = subprocess.Popen([sys.executable, "-c", ""])
    pid, born = journal.process(gone.pid)
    gone.wait()
    journal.begin(file, Run("r1", environment="prod", job="grade-sync", pid=pid, born=born or 1.0))
    if load is not None:
        record(project, "prod:tap-coursera-to-target-warehouse", load)
    if published:
        journal.note(file, "r1", published=published, sentence="more would leave" if published == "blocked" else "")
    ending.look(file, "prod", project)
    (run,) = journal.read(file)
    assert (run.outcome, run.step, run.sentence) == told


def test_a_load_that_began_no_entry_is_taken_from_meltanos_record_at_the_next_look(project: Path) -> None:
    file = project / "out" / journal.NAME
    record(project, "prod:tap-coursera-to-target-warehouse")
    record(project, "prod:tap-coursera-to-target-warehouse", "Loader failed")
    record(project, "other:tap-coursera-to-target-warehouse", "Loader failed")
    for _ in range(2):
        ending.look(file, "prod", project)
    newest, oldest = sorted(journal.read(file), key=lambda run: run.outcome == "done")
    assert (newest.outcome, newest.step, newest.sentence) == (
        "failed", "tap-coursera", "The loader failed; the output of that run says why.",
    )  # fmt: skip
    assert (oldest.outcome, oldest.loaded) == ("done", "done")


def test_a_job_that_waits_in_vain_for_another_is_known_too(project: Path) -> None:
    file = project / "out" / journal.NAME
    file.parent.mkdir()
    with (file.parent / ".job.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with meltano(project, "publish", CONNECT_LOCK_WAIT="0") as process:
            assert at_work(process) == 3
            process.communicate("")
    run = ended(file)
    assert (run.outcome, run.step) == ("failed", "connect:lock")
    assert "is still at work here after 0 seconds" in run.sentence


def test_a_journal_that_is_damaged_stops_no_job(project: Path) -> None:
    file = project / "out" / journal.NAME
    file.parent.mkdir()
    file.write_bytes(b"no database at all" * 100)
    with meltano(project, "publish") as process:
        assert at_work(process) == 0
        process.communicate("")
    assert journal.read(file) == []


def test_the_job_demo_is_refused_where_a_real_college_is(project: Path) -> None:
    with meltano(project, "demo") as process:
        assert at_work(process) == 7
        process.communicate("")
    with meltano(project, "demo", MELTANO_ENVIRONMENT="sandbox") as process:
        assert at_work(process) == 0
        process.communicate("")


def test_a_failure_is_made_good_by_what_does_the_same_again() -> None:
    bad = Run("1", job="grade-sync", ended_at="2026-11-01T00:00:00Z", outcome="failed", extractor="tap-coursera")

    def after(**told: Any) -> Run | None:
        later = Run("2", ended_at="2026-11-02T00:00:00Z", outcome="done", **told)
        return health.failure([later, bad])

    assert after(job="publish") is bad
    assert after(job="roster-sync", extractor="tap-coursera-roster", loaded="done") is bad
    assert after(job="full-reconcile", extractor="tap-coursera-full", loaded="done") is None
    built = replace(bad, loaded="done", step="dbt:build")
    assert health.failure([built], published_at="2026-11-01T01:00:00Z") is None
    assert health.failure([built], published_at="2026-10-31T01:00:00Z") is built


def test_a_process_that_has_another_ones_number_is_not_taken_for_it() -> None:
    me, born = journal.process(os.getpid())
    run = Run("1", host=os.uname().nodename, pid=me, born=born)
    assert run.is_alive
    assert not replace(run, born=born - 60).is_alive
    assert psutil.pid_exists(me)
