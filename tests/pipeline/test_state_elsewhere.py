"""State in a bucket or in PostgreSQL: another machine continues where the first stopped, never ahead of its file."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest

from coursera_sandbox.testing import RunningSandbox
from tests.package import postgres
from tests.package.commands import run as psql
from tests.pipeline.conftest import a_copy, free_port
from tests.pipeline.project import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.package.postgres import Postgres
    from tests.pipeline.project import Project

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

LOAD = ("run", "tap-coursera", "target-duckdb")
STATE = "sandbox:tap-coursera-to-target-duckdb"
START_SECONDS = 30


@dataclass(frozen=True)
class Bucket:
    """A bucket of an S3 server on this machine, and the lines of `.env` that put the state there."""

    url: str
    name: str = "college-state"
    key: str = "AKIAEXAMPLE"
    secret: str = "made-up-secret"

    @property
    def env(self) -> dict[str, str]:
        return {
            "MELTANO_STATE_BACKEND_URI": f"s3://{self.name}/meltano",
            "MELTANO_STATE_BACKEND_S3_ENDPOINT_URL": self.url,
            "MELTANO_STATE_BACKEND_S3_AWS_ACCESS_KEY_ID": self.key,
            "MELTANO_STATE_BACKEND_S3_AWS_SECRET_ACCESS_KEY": self.secret,
        }

    @property
    def client(self) -> Any:
        keys = {"aws_access_key_id": self.key, "aws_secret_access_key": self.secret}
        return boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", **keys)

    def somebody_died(self) -> None:
        """Leave the lock of a process that was writing the state a moment ago."""
        moment = (datetime.now(timezone.utc) - timedelta(seconds=8)).timestamp()
        self.client.put_object(Bucket=self.name, Key=f"meltano/{STATE}/lock", Body=str(moment).encode())

    def objects(self) -> set[str]:
        return {found["Key"] for found in self.client.list_objects_v2(Bucket=self.name).get("Contents", [])}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    port = free_port()
    log = tmp_path_factory.mktemp("s3") / "log"
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as text, subprocess.Popen(command, stdout=text, stderr=text) as server:
        try:
            found = Bucket(f"http://127.0.0.1:{port}")
            wait_for(found.url, server, log)
            found.client.create_bucket(Bucket=found.name)
            yield found
        finally:
            server.terminate()


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            httpx.get(url, trust_env=False)
            return
        time.sleep(0.05)
    raise RuntimeError(log.read_text())


@dataclass(frozen=True)
class System:
    """Meltano's system database in a PostgreSQL."""

    server: Postgres

    @property
    def env(self) -> dict[str, str]:
        return {"MELTANO_DATABASE_URI": self.server.url}

    def ask(self, statement: str) -> str:
        folder = f"--host={self.server.folder}"
        return psql(self.server.programs / "psql", folder, "--username=postgres", "-XAtqc", statement)

    def somebody_died(self, minutes_ago: int = 6) -> None:
        """Leave the newest run as a killed run leaves it: marked as running, with its last heartbeat."""
        self.ask(
            "update runs set state = 'RUNNING', ended_at = null, "
            f"last_heartbeat_at = now() at time zone 'UTC' - interval '{minutes_ago} minutes' "
            "where id = (select max(id) from runs)"
        )


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with postgres.running() as server:
        yield System(server)


@pytest.fixture(scope="module")
def places(bucket: Bucket, system: System) -> dict[str, Bucket | System]:
    return {"bucket": bucket, "system": system}


@pytest.fixture(scope="module")
def college(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    sandbox = RunningSandbox(tmp_path_factory.mktemp("sandbox"), learners=30)
    yield sandbox
    sandbox.stop()


@dataclass(frozen=True)
class Night:
    """A load: its folder, its requests, and the rows of the file afterwards."""

    machine: Project
    asked: dict[str, int]
    rows: int
    loaded: dict[str, list[str]]


@pytest.fixture(scope="module")
def new_machine(
    plugins: Path, college: RunningSandbox, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Project]:
    """Make one more copy of the project, which has run nothing yet, for the same college."""
    port = int(college.url.rpartition(":")[2])
    return lambda: a_copy(tmp_path_factory.mktemp("machine") / "copy", plugins, port)


def load(machine: Project, college: RunningSandbox, env: dict[str, str]) -> Night:
    """Load with the settings in the env file of the environment, where an operator writes them."""
    secrets = machine.root / "environments" / "sandbox" / "secrets.env"
    secrets.parent.mkdir(parents=True, exist_ok=True)
    secrets.write_text("".join(f'{name}="{value}"\n' for name, value in env.items()))
    college.reset_requests()
    machine.meltano(*LOAD)
    counted = college.requests()
    return Night(machine, counted["routes"], counted["rows"], tables(machine))


def with_the_file_of(before: Night, machine: Project) -> Project:
    """Copy the folder of the warehouse, as an operator has to who moves a DuckDB file."""
    shutil.copytree(before.machine.root / "output", machine.root / "output")
    return machine


@pytest.fixture(scope="module")
def first(
    new_machine: Callable[[], Project], college: RunningSandbox, places: dict[str, Bucket | System]
) -> dict[str, Night]:
    """The first night, for each place where state can be; then a day goes by."""
    nights = {name: load(new_machine(), college, place.env) for name, place in places.items()}
    college.advance(days=1)
    return nights


@pytest.fixture(scope="module")
def stayed(first: dict[str, Night], new_machine: Callable[[], Project], college: RunningSandbox) -> Night:
    """The second night on the first machine, with the state copied to it by hand."""
    machine = with_the_file_of(first["bucket"], new_machine())
    exported = machine.root / "state.json"
    exported.write_text(first["bucket"].machine.meltano("state", "export").stdout)
    machine.meltano("state", "import", str(exported))
    return load(machine, college, {})


@pytest.fixture(scope="module")
def moved(
    first: dict[str, Night],
    stayed: Night,
    new_machine: Callable[[], Project],
    college: RunningSandbox,
    places: dict[str, Bucket | System],
) -> dict[str, Night]:
    """The second night on other machines, after a process on the first ones was killed."""
    assert stayed.machine not in {night.machine for night in first.values()}
    for place in places.values():
        place.somebody_died()
    return {
        name: load(with_the_file_of(first[name], new_machine()), college, place.env) for name, place in places.items()
    }


@pytest.mark.parametrize("place", ["bucket", "system"])
def test_another_machine_goes_on_where_the_first_stopped_and_ends_with_the_same_tables(
    place: str, first: dict[str, Night], stayed: Night, moved: dict[str, Night]
) -> None:
    assert moved[place].asked == stayed.asked
    assert moved[place].rows == stayed.rows < first[place].rows
    assert moved[place].loaded == stayed.loaded != first[place].loaded


def test_in_a_bucket_lies_one_object_per_job_and_no_lock_of_a_run_that_died(
    moved: dict[str, Night], bucket: Bucket
) -> None:
    assert moved["bucket"].machine.root.exists()
    assert bucket.objects() == {f"meltano/{STATE}/state.json"}


def test_with_the_system_database_elsewhere_nothing_of_it_is_on_the_machine(
    moved: dict[str, Night], system: System
) -> None:
    assert not list((moved["system"].machine.root / ".meltano").glob("*.db*"))
    assert system.ask("select state, count(*) from runs group by 1 order by 1") == "FAIL|1\nSUCCESS|1\n"


def test_a_machine_whose_file_is_behind_the_state_says_so_and_loads_nothing(
    first: dict[str, Night], moved: dict[str, Night]
) -> None:
    behind = first["bucket"].machine
    refused = behind.meltano(*LOAD, check=False)
    assert refused.returncode != 0
    assert "The tap goes on from a later bookmark of stream" in refused.stdout + refused.stderr
    assert "--full-refresh" in refused.stdout + refused.stderr
    assert {name: rows for name, rows in tables(behind).items() if "grades" in name} == {
        name: rows for name, rows in first["bucket"].loaded.items() if "grades" in name
    }
    assert moved["bucket"].loaded != tables(behind)


def test_machines_that_share_the_system_database_do_not_run_the_same_job_at_once(
    moved: dict[str, Night], college: RunningSandbox, system: System
) -> None:
    system.somebody_died(minutes_ago=0)
    college.reset_requests()
    refused = moved["system"].machine.meltano(*LOAD, check=False)
    assert refused.returncode != 0
    assert "pipeline is already running" in refused.stdout + refused.stderr
    assert college.requests()["total"] == 0
