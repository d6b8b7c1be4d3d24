"""A ledger of an earlier release: columns that are missing become null, and the next publish continues that ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb

from coursera_connect.warehouse import history, ledger
from tests.connect.college import College

if TYPE_CHECKING:
    from pathlib import Path

LATER = {"runs": ["versions", "profile", "seconds"], "counts": ["school_name"], "problems": ["severity"]}
"""Columns that the earlier release has not had yet."""


def turn_back(database: Path) -> None:
    """Replace the tables of the ledger by those of the earlier release, with the columns in another order."""
    with duckdb.connect(str(database)) as connection:
        for table, later in LATER.items():
            columns = [name for name, *_ in connection.execute(f"describe ledger.{table}").fetchall()]
            kept = ", ".join(name for name in reversed(columns) if name not in later)
            connection.execute(f"create or replace table ledger.{table} as select {kept} from ledger.{table}")


def told(run: dict[str, Any]) -> dict[str, Any]:
    return {name: run[name] for name in ("run", "outcome", "total", "added", "removed", "sha256", "placed", "versions")}


def test_a_ledger_of_an_earlier_release_is_read_and_gone_on_with(tmp_path: Path) -> None:
    college = College(tmp_path)
    assert college.publish()["outcome"] == "published"
    (before,) = history.runs(college.database, 0, 10)
    turn_back(college.database)

    (read,) = history.runs(college.database, 0, 10)
    assert told(read) == told(before) | {"versions": {}}
    assert history.show(college.database, 0, 1)["counts"][0]["school_name"] is None

    college.sql("delete from results where \"sourcedId\" = 'r.ka1.3'")
    assert college.publish()["outcome"] == "unchanged"  # the row is held, as the run before is known
    newest, oldest = history.runs(college.database, 0, 10)
    assert told(oldest) == told(before) | {"versions": {}}
    assert (newest["outcome"], newest["sha256"], newest["placed"]) == ("unchanged", before["sha256"], True)
    assert (newest["total"], newest["added"], newest["removed"]) == (before["total"], 0, 0)
    assert newest["held"] == 1
    assert newest["versions"]["duckdb"] == duckdb.__version__
    assert [event["what"] for event in history.record(college.database, 0, "r.ka1.4")] == ["added"]
    with duckdb.connect(str(college.database), read_only=True) as connection:
        for table in LATER:
            columns = [name for name, *_ in connection.execute(f"describe ledger.{table}").fetchall()]
            assert set(columns) == set(ledger._columns(table))
