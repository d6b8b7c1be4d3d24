"""The models as dbt compiled them, once for all tests of odd values and bad nights of a process."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.bad_data.nights import Nights
from tests.bad_data.upstream import Upstream
from tests.bad_data.verdict import MODE
from tests.transform.compiled import compiled
from tests.transform.warehouse import RAW_COLUMNS, Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.transform.warehouse import Dbt

GRANULAR = "granular_all"
MODELS = ("+oneroster", "+settings_used", "+quality", "+last_reads")


def _tests(dbt: Dbt) -> dict[str, str]:
    """The data tests that stop a build, as dbt has just compiled them."""
    manifest = json.loads((dbt.home / "target" / "manifest.json").read_text("utf-8"))
    return {
        node["name"]: node["compiled_code"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and node.get("compiled_code")
        and node["config"]["severity"].lower() == "error"
    }


@pytest.fixture(scope="session")
def nights(tmp_path_factory: pytest.TempPathFactory, dbt: Dbt) -> Iterator[Nights]:
    warehouse = Warehouse(tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb", dbt)
    warehouse.load("2026-03-10T06:00:00Z", **{stream: [] for stream in RAW_COLUMNS})
    warehouse.run("--select", *MODELS, "resource_type:seed", grade_sync=MODE)
    models = {one: compiled(warehouse, *MODELS, grade_sync=one) for one in dict.fromkeys((GRANULAR, MODE))}
    with duckdb.connect(str(warehouse.path)) as database:
        database.execute("drop schema coursera cascade")  # The loader makes this schema.
        database.execute("update connect.build set is_complete = true")  # No model reads a table that is not made here.
    upstream = Upstream(tmp_path_factory.mktemp("batches") if os.environ.get("ODD_BATCH") else None)
    yield Nights(upstream, models, MODE, _tests(dbt), warehouse.path.parent)
    upstream.stop()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Leave the thousands of warnings about odd values out of the log, for one test alone."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)
