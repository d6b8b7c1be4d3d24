"""Runs target-snowflake with a Snowflake in its own process. The arguments are a folder, and then the loader's own.

fakesnow has DuckDB run Snowflake's SQL, in a file of that folder, but does not know the stage of a user. The statements
about one are done here: lines of a file that is put are kept, and a MERGE finds them in a table. At the end the tables
are in `tables.json` of the folder.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import fakesnow
import snowflake.connector
from fakesnow.cursor import FakeSnowflakeCursor
from target_snowflake.target import TargetSnowflake

DATABASE, SCHEMA = "ANALYTICS", "COURSERA"
FOLDER = Path(sys.argv.pop(1))
STAGE = re.compile(r"'@~/target-snowflake/([^'/]+)/?'")
READ = re.compile(STAGE.pattern + r"\(file_format => [^)]*\)")
execute = FakeSnowflakeCursor.execute
staged: dict[str, list[str]] = {}


def execute_here(self: Any, command: str, params: Any = None, *more: Any, **named: Any) -> Any:
    """Execute the statements about stages as Snowflake would, and pass all others to fakesnow."""
    verb = command.strip().lower()
    if verb.startswith("put "):
        with gzip.open(urlparse(params["file_uri"]).path, "rt") as lines:
            staged.setdefault(STAGE.findall(command)[0], []).extend(lines)
        return execute(self, "select 1")
    if verb.startswith("remove ") or "file format" in verb[:30]:
        return execute(self, "select 1")
    if stage := READ.search(command):
        execute(self, f"create or replace table {DATABASE}.PUBLIC.STAGED (place integer, found variant)")
        for start in range(0, len(staged[stage[1]]), 500):
            rows = list(enumerate(staged[stage[1]], start=1))[start : start + 500]
            values = ", ".join(["(%s, %s)"] * len(rows))
            query = f"insert into {DATABASE}.PUBLIC.STAGED select column1, parse_json(column2) from values {values}"
            execute(self, query, tuple(cell for row in rows for cell in row))
        command = command.replace(stage[0], f"{DATABASE}.PUBLIC.STAGED").replace("$1:", "found:")
        before, rest = command.replace("SEQ8()", "place").split(" using (", 1)
        query, after = rest.split(") s on ", 1)
        execute(self, f"create or replace table {DATABASE}.PUBLIC.SOURCE as {query}")
        execute(self, f"use schema {DATABASE}.PUBLIC")  # where fakesnow notes what to do with each row
        return execute(self, f"{before} using {DATABASE}.PUBLIC.SOURCE s on {after}")
    return execute(self, command, params, *more, **named)


def tables() -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables of the schema, values as text."""
    with snowflake.connector.connect(database=DATABASE, schema=SCHEMA) as connection:
        cursor = connection.cursor()
        names = [row[1] for row in execute(cursor, f"show tables in schema {DATABASE}.{SCHEMA}").fetchall()]
        found = {}
        for name in names:
            rows = execute(cursor, f'select * from {DATABASE}.{SCHEMA}."{name}"').fetchall()
            columns = [column[0] for column in cursor.description]
            found[name] = [dict(zip(columns, row, strict=True)) for row in rows]
        return found


FakeSnowflakeCursor.execute = execute_here
TargetSnowflake.max_parallelism = 1  # one connection of DuckDB is behind all of them
with fakesnow.patch(db_path=FOLDER):
    snowflake.connector.connect(database=DATABASE, schema="PUBLIC").close()
    TargetSnowflake.cli(standalone_mode=False)
    (FOLDER / "tables.json").write_text(json.dumps(tables(), default=str))
