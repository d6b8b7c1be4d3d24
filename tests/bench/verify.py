"""Checks that a DuckDB file holds the rows that were served: rows, different keys, and sums over every field."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from tests.bench.pages import FLAG, INTEGER, KINDS, MOMENT, NESTED, NUMBER, TEXT, snake

if TYPE_CHECKING:
    from tests.bench.pages import Kind

_SECOND_SUM = {
    TEXT: "sum(length({}))",
    INTEGER: "sum(CAST({} AS BIGINT))",
    NUMBER: "sum(CAST(round(CAST({} AS DOUBLE) * 100) AS BIGINT))",
    FLAG: "count_if({})",
    MOMENT: "sum({})",
    NESTED: "count({})",
}
"""What `pages.measure` adds up, in SQL."""


def differences(database: Path, table: str, kind: Kind, expected: dict[str, object], *, snake_case: bool) -> list[str]:
    """One line for each count or sum that is not as expected.

    Args:
        database: the DuckDB file.
        table: with its schema.
        kind: the report that was loaded.
        expected: a `pages.Truth` as a dictionary.
        snake_case: whether columns are called `external_id` rather than `externalId`.
    """
    column = {name: f'"{snake(name) if snake_case else name}"' for name in kind.fields}
    with duckdb.connect(str(database), read_only=True) as connection:
        types = {row[0].lower(): str(row[1]) for row in connection.sql(f"DESCRIBE {table}").fetchall()}
        queries = ["count(*)", f"count(DISTINCT ({', '.join(column[name] for name in kind.key)}))"]
        for name, of in kind.fields.items():
            value = column[name]
            if of == MOMENT and types.get(value.strip('"').lower(), "").startswith("TIMESTAMP"):
                value = f"epoch_ms({value})"
            queries += [f"count({value})", _SECOND_SUM[of].format(value)]
        row = connection.sql(f"SELECT {', '.join(queries)} FROM {table}").fetchone() or ()
    found = [int(value or 0) for value in row]
    wanted = _flat(expected, kind)
    return [
        f"{label}: {got:,} and not {right:,}" for (label, right), got in zip(wanted, found, strict=True) if got != right
    ]


def _flat(expected: dict[str, object], kind: Kind) -> list[tuple[str, int]]:
    sums = expected["sums"]
    assert isinstance(sums, dict)
    wanted = [("rows", expected["rows"]), ("different keys", expected["keys"])]
    for name in kind.fields:
        wanted += [(f"values of {name}", sums[name][0]), (f"sum of {name}", sums[name][1])]
    return [(label, value) for label, value in wanted if isinstance(value, int)]


def main() -> None:
    """Compare a table with what was served; differences go to standard output, exit code 1 when there are any."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("database", type=Path)
    parser.add_argument("table")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--snake", action="store_true", help="columns are called external_id, not externalId")
    given = parser.parse_args()
    expected = json.loads(given.truth.read_text())
    found = differences(given.database, given.table, KINDS[given.kind], expected, snake_case=given.snake)
    print("\n".join(found))  # noqa: T201 - its output
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
