"""A warehouse per test file, since a dbt run takes seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.transform.warehouse import RAW_COLUMNS, Warehouse

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def dbt_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where dbt keeps what it has parsed, shared so that it parses the project once."""
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, dbt_home: Path) -> Warehouse:
    """A file in which every raw table exists and is empty, as after a load without rows."""
    made = Warehouse(tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb", dbt_home)
    made.load("2026-02-02T06:00:00Z", **{stream: [] for stream in RAW_COLUMNS})
    return made
