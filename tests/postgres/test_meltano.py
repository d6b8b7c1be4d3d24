"""The project itself on PostgreSQL: chosen by what the environment `postgres` sets, and by .env."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import psycopg
import pytest
import yaml

from tests.pipeline.conftest import ROOT, plugins, project

if TYPE_CHECKING:
    from tests.pipeline.project import Project

__all__ = ["plugins", "project"]  # fixtures of there

pytestmark = pytest.mark.pipeline


def test_a_job_loads_transforms_and_publishes_there(project: Project, database: dict[str, str]) -> None:
    page = project.root / "meltano.yml"
    environments = {one["name"]: one["env"] for one in yaml.safe_load(page.read_text())["environments"]}
    chosen = {name: environments["postgres"][name] for name in environments["postgres"].keys() - {"CONNECT_OUTPUT"}}
    settings = "".join(f"      {name}: {value!r}\n" for name, value in chosen.items())
    sandbox = "  - name: sandbox\n    env:\n"
    assert sandbox in page.read_text()
    page.write_text(page.read_text().replace(sandbox, sandbox + settings))
    (project.root / ".env").write_text("".join(f"{name}={value}\n" for name, value in database.items()))

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
    assert "CONNECT_WAREHOUSE is 'oracle', and there are duckdb and postgres" in done.stderr + done.stdout


def test_the_environment_has_mapping_files_of_its_own() -> None:
    folders = {
        name: {path.name for path in (ROOT / "transform/mapping" / name).iterdir()} for name in ("prod", "postgres")
    }
    assert folders["prod"] == folders["postgres"]
