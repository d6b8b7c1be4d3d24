"""The models of the project as dbt compiled them, run without dbt, which saves seconds on each day."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from tests.transform.warehouse import MAPPING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.transform.warehouse import Row, Warehouse


FINISHED = "update connect.build set build_id = cast(uuid() as varchar), is_complete = true"
"""What dbt notes at the end of a build of all models: these tests make those alone that a package is written from."""


@dataclass(frozen=True)
class Compiled:
    """The statements that build the tables of some models, or add to those of incremental models."""

    statements: tuple[str, ...]

    def run(self, database: Path, mapping: dict[str, list[Row]]) -> None:
        """Do what `dbt build` does in a warehouse where it ran before; a mapping file that is not named has no row."""
        with duckdb.connect(str(database)) as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute("set threads = 1")  # With few rows, starting more threads costs more than they save.
            connection.execute("begin")
            for name, header in MAPPING.items():
                connection.execute(f"delete from mapping.{name}")
                for line, row in enumerate(mapping.get(name, []), 2):
                    cells = [row.get(column) or None for column in header.split(",")]
                    places = ", ".join("?" * len(cells))
                    connection.execute(
                        f"insert into mapping.{name} ({header}, line_number) values ({places}, {line})", cells
                    )
            for statement in self.statements:
                connection.execute(statement)
            connection.execute(FINISHED)
            connection.execute("commit")


def compiled(warehouse: Warehouse, *selection: str, grade_sync: str) -> Compiled:
    """Let dbt compile models for a warehouse that already has their tables, since incremental models depend on that."""
    environment = {"CONNECT_GRADE_SYNC": grade_sync, "DBT_WRITE_JSON": "true"}
    done = warehouse.runner.run(
        ("compile", "--select", *selection), warehouse.path, warehouse.mapping_files, environment
    )
    assert done.returncode == 0, done.output[-8000:]
    manifest = json.loads((warehouse.runner.home / "target" / "manifest.json").read_text("utf-8"))
    nodes = {
        key: node
        for key, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and node.get("compiled_code")
    }
    statements: list[str] = []
    made: set[str] = set()
    while len(made) < len(nodes):
        ready = [key for key in nodes if key not in made and not set(_needs(nodes[key])) & (nodes.keys() - made)]
        assert ready, "the models go in a circle"
        for key in ready:
            statements += _statements(nodes[key])
        made.update(ready)
    return Compiled(tuple(statements))


def _needs(node: dict[str, Any]) -> list[str]:
    needs: list[str] = node["depends_on"]["nodes"]
    return needs


def _statements(node: dict[str, Any]) -> list[str]:
    relation, query, config = node["relation_name"], node["compiled_code"], node["config"]
    if config["materialized"] == "view":  # The views of staging exist already; others depend on the grade sync.
        return [] if config["schema"] == "staging" else [f"create or replace view {relation} as {query}"]
    if config["materialized"] == "table":
        return [f"create or replace table {relation} as {query}"]
    assert (config["materialized"], config["incremental_strategy"]) == ("incremental", "delete+insert")
    key = config["unique_key"]
    match = " and ".join(f"old.{name} = new.{name}" for name in ([key] if isinstance(key, str) else key))
    return [
        f"create or replace temporary table new_rows as {query}",
        f"delete from {relation} as old using new_rows as new where {match}",
        f"insert into {relation} by name select * from new_rows",
    ]
