"""Rows and bookmarks in PostgreSQL follow the same rules as in the DuckDB file."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.target.conftest import activate, lines, record, schema, state
from tests.transform.warehouse import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = REPOSITORY / ".meltano/loaders/target-duckdb/venv/bin/target-warehouse"
ANNOUNCED = schema("s", {"id": "integer"}, ["id"])


@pytest.fixture(autouse=True)
def _fresh(database: dict[str, str]) -> Iterator[None]:
    assert database
    yield
    with psycopg.connect(autocommit=True) as server:
        for name in ("raw", "target_duckdb"):
            server.execute(f"drop schema if exists {name} cascade")


def load(folder: Path, *messages: dict[str, Any], **config: Any) -> subprocess.CompletedProcess[str]:
    settings = folder / "config.json"
    settings.write_text(json.dumps({"default_target_schema": "raw", "add_record_metadata": True, **config}))
    return subprocess.run(
        [PROGRAM, "--config", settings],
        input=lines(*messages).decode(),
        capture_output=True,
        text=True,
        env={**os.environ, "CONNECT_WAREHOUSE": "postgres"},
        check=False,
    )


def ids(where: str = "true") -> list[int]:
    with psycopg.connect() as server:
        return [number for (number,) in server.execute(f"select id from raw.s where {where} order by id")]


@pytest.mark.parametrize("hard", [False, True])
def test_what_was_not_sent_under_the_activated_version_goes_whatever_its_number(tmp_path: Path, hard: bool) -> None:
    sent = [ANNOUNCED, record("s", {"id": 1}, 2000), record("s", {"id": 2}, 2000), activate("s", 2000)]
    assert load(tmp_path, *sent).returncode == 0
    later = load(tmp_path, ANNOUNCED, record("s", {"id": 2}, 1000), activate("s", 1000), hard_delete=hard)
    assert later.returncode == 0, later.stderr
    assert ids("_sdc_deleted_at is null") == [2]
    assert ids() == ([2] if hard else [1, 2])


def of(name: str, moment: str) -> dict[str, Any]:
    """The state in which one bookmark of a partition of the stream is at a moment."""
    return state({"bookmarks": {"s": {"partitions": [{"context": {"program_id": "p"}, name: moment}]}}})


@pytest.mark.parametrize("name", ["replication_key_value", "report_updated_at"])
def test_a_database_that_is_behind_a_bookmark_the_tap_goes_on_from_loads_nothing(tmp_path: Path, name: str) -> None:
    first, second = (of(name, f"2026-11-0{day}T00:00:00Z") for day in (1, 2))
    assert load(tmp_path, ANNOUNCED, record("s", {"id": 1}), first).returncode == 0
    refused = load(tmp_path, second, ANNOUNCED, record("s", {"id": 2}), second)
    assert refused.returncode == 1
    assert "The tap goes on from a later bookmark of stream s than the PostgreSQL database" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert f"({name})" in refused.stderr
    assert ids() == [1]
    assert load(tmp_path, first, ANNOUNCED, record("s", {"id": 2}), second).returncode == 0
    assert load(tmp_path, second, ANNOUNCED, record("s", {"id": 3}), second).returncode == 0
    assert ids() == [1, 2, 3]


def test_a_lost_table_is_not_begun_in_the_middle(tmp_path: Path) -> None:
    refused = load(tmp_path, of("replication_key_value", "2026-11-01T00:00:00Z"), ANNOUNCED, record("s", {"id": 2}))
    assert refused.returncode == 1
    assert "has no table with what came before it" in refused.stderr


def test_a_database_of_an_earlier_release_is_taken_as_it_is_and_watched_from_then_on(tmp_path: Path) -> None:
    first, second, third = (of("report_updated_at", f"2026-11-0{day}T00:00:00Z") for day in (1, 2, 3))
    assert load(tmp_path, ANNOUNCED, record("s", {"id": 1}), first).returncode == 0
    with psycopg.connect(autocommit=True) as server:
        server.execute("drop schema target_duckdb cascade")
    assert load(tmp_path, first, ANNOUNCED, record("s", {"id": 2}), second).returncode == 0
    assert load(tmp_path, third, ANNOUNCED, record("s", {"id": 3}), third).returncode == 1
    assert ids() == [1, 2]
