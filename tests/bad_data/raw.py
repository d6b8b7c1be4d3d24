"""Odd values in the raw tables, where other taps and loaders may store values that ours never store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb

from tests.bad_data.college import ORGANISATION, Place, Row, schemas
from tests.bad_data.values import TWICE

if TYPE_CHECKING:
    from tests.bad_data.nights import Site
    from tests.bad_data.values import Odd

VALUES = {
    "VARCHAR": (
        *("''", "'  '", "'x'", "chr(0) || 'a'", "chr(65534) || 'a'", "'a' || chr(8238) || 'b'", "chr(65279) || 'a'"),
        *("chr(133)", "repeat('A', 100000)", "'=cmd()'", "'<b>x</b>'", "chr(160)", "chr(10)", "'a.b~c'", "'\"'", "'%'"),
    ),
    "TIMESTAMP WITH TIME ZONE": (
        *(
            "'infinity'",
            "'-infinity'",
            "'1970-01-21 00:00:00+00'",
            "'2083-01-01 00:00:00+00'",
            "'0001-01-01 00:00:00+00'",
        ),
        *(
            "'290000-01-01 00:00:00+00'",
            "'2011-12-31 23:59:59.999+00'",
            "'2026-03-20 00:00:00+00'",
            "'9999-12-31 00:00:00+00'",
        ),
    ),
    "DOUBLE": (
        *("'nan'", "'inf'", "'-inf'", "1e308", "-1e308", "-1", "-0.0", "1e-320", "1.05", "105", "1.0000000000000002"),
        *("100.00000000000001", "1e18", "-0.001", "200"),
    ),
    "BIGINT": ("9223372036854775807", "-9223372036854775808", "-1", "0", "101"),
    "BOOLEAN": ("true", "false"),
    "JSON": (
        *("'\"x\"'", "'[]'", "'{}'", "'5'", "'null'", "'true'", "'[null]'", "'[{}]'", "'[[[]]]'", "'{\"a\": []}'"),
        *("'[\"a\\u0000b\"]'",),
    ),
}


def statements(odd: Odd) -> list[str]:
    """Return the statements that put the value into the table."""
    table, rowid = f"coursera.{odd.place.stream}", odd.row.value["rowid"]
    if odd.value == TWICE:
        return [f"insert into {table} select * from {table} where rowid = {rowid}"]
    return [f'update {table} set "{odd.place.column}" = {odd.value} where rowid = {rowid}']


def cells(warehouse: Site) -> list[tuple[Place, str]]:
    """Every column of every raw table, with every value for its type."""
    specs = {
        name: {column: (spec.get("x-source", column), spec) for column, spec in schema["properties"].items()}
        for name, schema in schemas().items()
    }
    found: list[tuple[Place, str]] = []
    columns = warehouse.query(
        "select table_name, column_name, data_type from duckdb_columns() where schema_name = 'coursera' order by all"
    )
    for table, column, kind_ in columns:
        if table not in specs or table == ORGANISATION[0]:
            continue
        source, spec = specs[table].get(column, (column, {"type": ["string", "null"]}))
        place = Place(table, (source,), spec, column)
        found += [(place, value) for value in (*VALUES[kind_], "null", TWICE)]
    return found


def rows(warehouse: Site) -> dict[str, list[Row]]:
    """Return the rows of each raw table, with the ids that a row belongs to and its rowid."""
    found: dict[str, list[Row]] = {}
    with duckdb.connect(str(warehouse.warehouse), read_only=True) as connection:
        for table in schemas():
            relation = connection.execute(f'select rowid, * from coursera."{table}"')
            names = [one[0] for one in relation.description or []]
            found[table] = [_whose(table, dict(zip(names, values, strict=True))) for values in relation.fetchall()]
    return found


def _whose(table: str, row: dict[str, Any]) -> Row:
    external = str(row.get("external_id") or "")
    learner = external.removeprefix("sso") if external.startswith("sso") else ""
    if table == "users":
        learner = row["id"]
    if table == "skillset_progress":
        learner = f"U{row['user_email'][1:].split('@')[0]}"
    course = row.get("course_id") or row.get("content_id") or (row["id"] if table == "course_materials" else "")
    course = course or row.get("skillset_id")
    program = row.get("program_id") or (row["id"] if table == "programs" else "")
    return Row(
        table,
        str(row.get("id") or row.get("skillset_id") or f"{program}~{course}"),
        row,
        program,
        str(course or ""),
        learner,
    )
