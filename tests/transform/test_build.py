"""The table `connect.build` about the last run of dbt; and no table depends on the name of its database file."""

from __future__ import annotations

import json
import shutil
import threading
import time
import zipfile
from typing import TYPE_CHECKING, Any

import duckdb
import psutil
import pytest
import yaml
from click.testing import CliRunner

from coursera_connect.cli.main import main
from coursera_connect.setup import attributes
from tests.transform.college import enrolled, member, offers, program
from tests.transform.warehouse import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.transform.warehouse import Warehouse


@pytest.fixture(scope="module")
def built(warehouse: Warehouse) -> Warehouse:
    warehouse.load(
        "2026-02-02T06:00:00Z",
        organizations=[{"id": "Org_A", "name": "Example College", "slug": "example-college"}],
        programs=[program("ProgA", "Business")],
        program_contents=[offers("ProgA", "Course1")],
        program_memberships=[member("ProgA", "ana")],
        enrollments=[enrolled("ProgA", "Course1", "ana")],
    )
    warehouse.run(calendar="evergreen", grade_sync="final_incremental")
    return warehouse


def mark(warehouse: Warehouse) -> dict[str, Any]:
    (row,) = warehouse.read("connect.build")
    return row


def test_a_run_of_everything_is_complete_with_the_settings_it_followed(built: Warehouse) -> None:
    made = mark(built)
    assert made["is_complete"]
    variables = yaml.safe_load((PROJECT / "dbt_project.yml").read_text("utf-8"))["vars"]
    variables |= {"calendar": "evergreen", "grade_sync": "final_incremental"}
    assert json.loads(made["settings"]) == variables | {"attribute_mapping": attributes.data(PROJECT)}
    built.dbt("test", "--select", "school_mapping")
    assert mark(built) == made


def test_views_can_be_read_whatever_their_file_is_called(built: Warehouse, tmp_path: Path) -> None:
    copy = tmp_path / "oneroster-2026.duckdb"
    duckdb.connect(str(built.path)).close()  # A checkpoint moves the last changes from the log into the file.
    shutil.copy(built.path, copy)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{copy}' as elsewhere (read_only)")
        views = connection.execute(
            "select table_schema, table_name from information_schema.tables "
            "where table_catalog = 'elsewhere' and table_type = 'VIEW'"
        ).fetchall()
        assert {schema for schema, _ in views} == {"staging", "connect", "oneroster_1_2"}
        for schema, view in views:
            connection.execute(f'select * from elsewhere.{schema}."{view}"').fetchall()
        assert connection.execute("select count(*) from elsewhere.oneroster_1_2.users").fetchone() == (1,)
    package = tmp_path / "out" / "oneroster.zip"
    where = ["--database", str(copy), "--package", str(package), "--page", "off"]
    done = CliRunner().invoke(main, ["publish", *where, "--oneroster-version", "1.2"])
    assert done.exit_code == 0, done.output
    assert "roles.csv" in zipfile.ZipFile(package).namelist()


def test_a_run_of_a_part_and_one_that_failed_are_not(built: Warehouse) -> None:
    two_names = [{"program_id": p, "program_name": p, "school_id": "S", "school_name": p} for p in ("ProgA", "ProgB")]
    for code, arguments in (
        (0, ("run", "--select", "school_years")),
        (0, ("build", "--select", "school_mapping")),
        (0, ("seed",)),
        (1, ("build", "--exclude-resource-type", "unit_test")),
    ):
        with duckdb.connect(str(built.path)) as connection:
            connection.execute("update connect.build set is_complete = true")
        built.mapping(school_mapping=two_names if code else [])
        done = built.dbt(*arguments)
        assert done.returncode == code, done.output[-3000:]
        assert not mark(built)["is_complete"], arguments
    built.mapping()


def test_a_run_that_is_killed_is_not_complete(built: Warehouse) -> None:
    with duckdb.connect(str(built.path)) as connection:
        connection.execute("update connect.build set is_complete = true")
    server, output = psutil.Process(built.runner._process.pid), built.runner.home / "output.txt"
    output.unlink()

    def kill() -> None:
        while not output.exists() or "OK created" not in output.read_text():
            time.sleep(0.01)
        # The first process is the resource tracker of multiprocessing, which removes semaphores.
        server.children()[-1].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    assert built.dbt("build", "--exclude-resource-type", "unit_test").returncode
    killer.join()
    assert not mark(built)["is_complete"]
