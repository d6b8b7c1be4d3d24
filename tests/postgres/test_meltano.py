"""The project on PostgreSQL, chosen by the settings of the environment `postgres` and by .env."""

from __future__ import annotations

import os
import subprocess
import zipfile
from typing import TYPE_CHECKING

import psycopg
import pytest
import yaml

from coursera_connect.setup import environments
from tests.pipeline.conftest import plugins, project

if TYPE_CHECKING:
    from tests.pipeline.project import Project

__all__ = ["plugins", "project"]  # These are fixtures.

pytestmark = pytest.mark.pipeline


@pytest.mark.slow
def test_a_job_loads_transforms_and_publishes_there(project: Project, database: dict[str, str]) -> None:
    page = project.root / "meltano.yml"
    content = yaml.safe_load(page.read_text())
    (postgres,) = yaml.safe_load(environments.settings("postgres", postgres=True))["environments"]
    chosen = {name: value for name, value in postgres["env"].items() if name != "CONNECT_OUTPUT"}
    content["environments"][0]["env"] |= chosen
    page.write_text(yaml.safe_dump(content))
    secrets = project.root / "environments" / "sandbox" / "secrets.env"
    secrets.parent.mkdir(parents=True, exist_ok=True)
    secrets.write_text("".join(f"{name}={value}\n" for name, value in database.items()))

    project.meltano("run", "demo")

    assert not project.warehouse.exists()
    with zipfile.ZipFile(project.package) as archive:
        published = archive.read("users.csv").decode().count("\n") - 1
    with psycopg.connect() as server:
        counts = "select (select count(*) from coursera.users), (select count(*) from oneroster.users), "
        counts += "(select count(*) from coursera.users where _sdc_deleted_at is not null or _sdc_sequence is null)"
        loaded, made, marked = server.execute(counts).fetchall()[0]
        assert loaded > 0 == marked
        assert made == published > 0
        assert server.execute("select outcome, placed from ledger.runs").fetchall() == [("published", True)]


def test_a_loader_nobody_knows_is_a_sentence(project: Project) -> None:
    done = project.meltano(
        "invoke", "target-warehouse", "--version", environment="prod", check=False, CONNECT_WAREHOUSE="oracle"
    )
    assert done.returncode
    assert "CONNECT_WAREHOUSE cannot be 'oracle' in the shell: it has to be one of duckdb, postgres." in done.stderr
    loader = project.root / ".meltano" / "loaders" / "target-duckdb" / "venv" / "bin" / "target-warehouse"
    alone = subprocess.run(
        [loader], env={**os.environ, "CONNECT_WAREHOUSE": "oracle"}, capture_output=True, text=True, check=False
    )
    assert alone.stderr == "CONNECT_WAREHOUSE is 'oracle', and there are duckdb and postgres: choose one of them.\n"
