"""BigQuery, as far as it goes without an account: the loader is the real one, a stand-in keeps what it sends."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Protocol

import asyncssh
import pytest

from coursera_sandbox.testing import RunningSandbox
from tests.package.commands import environment
from tests.package.singer import read_tap, stored
from tests.package.test_pythons import interpreter
from tests.warehouses.bigquery_stand_in import BigQuery
from tests.warehouses.project import definition, installed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.package.singer import Output
    from tests.warehouses.project import Json, Project

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

STREAMS = ("program_memberships", "enrollments")
NEWEST_PYTHON = "3.11"
"""That the loader takes; the definition names it."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    assert definition("bigquery")["python"] == f"python{NEWEST_PYTHON}"
    if not interpreter(NEWEST_PYTHON):
        pytest.skip(f"no Python {NEWEST_PYTHON} on this machine, and z3-target-bigquery takes none that is newer")
    return installed(tmp_path_factory.mktemp("bigquery"), "bigquery")


@pytest.fixture
def bigquery() -> Iterator[BigQuery]:
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    server = BigQuery(key.export_private_key("pkcs1-pem").decode())
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Output:
    folder = tmp_path_factory.mktemp("day")
    sandbox = RunningSandbox(folder / "sandbox", learners=30)
    try:
        config = sandbox.tap_config | {"emit_activate_version_messages": True}
        return read_tap(folder / "day", sys.executable, "-m", "tap_coursera", config=config, streams=STREAMS)
    finally:
        sandbox.stop()


@pytest.fixture(scope="module")
def chosen(project: Project) -> Json:
    """What the definition chose, for a project of Google's."""
    return project.config("target-bigquery", TARGET_BIGQUERY_PROJECT="made-up")


class Load(Protocol):
    """Pours the day into the loader."""

    def __call__(self) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def load(project: Project, chosen: Json, day: Output, bigquery: BigQuery, tmp_path: Path) -> Load:
    credentials = stored(tmp_path / "credentials.json", bigquery.credentials)
    config = stored(tmp_path / "config.json", chosen | {"credentials_path": str(credentials)})

    def run_it() -> subprocess.CompletedProcess[str]:
        with day.path.open() as messages:
            return subprocess.run(
                [project.commands / "target-bigquery", "--config", config],
                stdin=messages,
                env=environment(BIGQUERY_EMULATOR_HOST=bigquery.url),
                capture_output=True,
                text=True,
                check=False,
                timeout=90,
            )

    return run_it


def test_the_loader_has_every_setting_of_the_definition(project: Project) -> None:
    about, defined = project.about(), definition("bigquery")
    known = about["settings"]["properties"]
    assert {setting["name"] for setting in defined["settings"]} <= set(known)
    assert set(defined["capabilities"]) <= set(about["capabilities"])
    for setting in defined["settings"]:
        options = [one["value"] for one in setting.get("options", [])]
        assert sorted(options) == sorted(known[setting["name"]].get("enum", [])) or setting["kind"] == "integer"


def test_meltano_hands_over_the_project_and_what_the_definition_chose(project: Project, chosen: Json) -> None:
    assert (chosen["project"], chosen["dataset"]) == ("made-up", "coursera")
    assert (chosen["method"], chosen["denormalized"]) == ("batch_job", True)
    assert not project.config("tap-coursera-to-bigquery").get("batch_config")


def test_every_row_is_loaded_into_a_typed_table_of_its_stream(load: Load, day: Output, bigquery: BigQuery) -> None:
    done = load()
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout.splitlines()[-1]) == day.states[-1]
    for stream in STREAMS:
        found = [{name: row[name] for name in row if not name.startswith("_sdc_")} for row in bigquery.rows[stream]]
        assert sorted(row["id"] + row["program_id"] for row in found) == sorted(
            row["id"] + row["program_id"] for row in day.records[stream]
        )
        assert {name for row in found for name in row} == {name for row in day.records[stream] for name in row}
        assert all(row["_sdc_extracted_at"] and row["_sdc_sequence"] for row in bigquery.rows[stream])
    types = {field["name"]: field["type"] for field in bigquery.tables["enrollments"]["schema"]["fields"]}
    named = ("enrolled_at", "is_completed", "overall_progress", "grade", "_sdc_batched_at")
    assert [types[name] for name in named] == ["timestamp", "boolean", "integer", "float", "timestamp"]


def test_refused_credentials_end_it_with_what_google_said(load: Load, bigquery: BigQuery) -> None:
    bigquery.refuses_credentials = True
    done = load()
    assert done.returncode
    assert "invalid_grant" in done.stderr
    assert "PRIVATE KEY" not in done.stderr
    assert not done.stdout


def test_as_the_page_warns_a_load_job_that_fails_at_the_end_goes_unnoticed(
    load: Load, day: Output, bigquery: BigQuery
) -> None:
    bigquery.failing = {"enrollments"}
    for stream in STREAMS:
        bigquery.create(stream)
    done = load()
    assert not bigquery.rows["enrollments"]
    assert done.returncode == 0, "a release that fails here is better than the page says: tell so there"
    assert json.loads(done.stdout.splitlines()[-1]) == day.states[-1]
