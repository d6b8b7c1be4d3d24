"""A raw DuckDB file as the loader leaves it, made from a few Python rows, and the dbt project run on it."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest

from coursera_connect.setup.mapping import FILES, columns

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = REPOSITORY / "transform"

SCHEMAS = REPOSITORY / "tap-coursera" / "tap_coursera" / "schemas"
_TYPES = {
    "date-time": "TIMESTAMPTZ",
    "number": "DOUBLE",
    "integer": "BIGINT",
    "boolean": "BOOLEAN",
    "array": "JSON",
    "object": "JSON",
    "string": "VARCHAR",
}


def _columns(schema: dict[str, Any]) -> dict[str, str]:
    """The columns that the loader makes of a stream, with their types."""
    return {name: _TYPES[one.get("format") or one["type"][0]] for name, one in schema["properties"].items()}


RAW_COLUMNS = {path.stem: _columns(json.loads(path.read_text("utf-8"))) for path in sorted(SCHEMAS.glob("*.json"))}
_TIMES = ["_sdc_extracted_at", "_sdc_received_at", "_sdc_batched_at", "_sdc_deleted_at"]
_NUMBERS = ["_sdc_sequence", "_sdc_table_version", "_sdc_sync_started_at"]
_METADATA = dict.fromkeys(_TIMES, "TIMESTAMPTZ") | dict.fromkeys(_NUMBERS, "BIGINT")
# An empty folder of mapping files: every file has its header and no row.
MAPPING = {name.removesuffix(".csv"): ",".join(columns(name.removesuffix(".csv"))) for name in FILES}

DATABASE = "warehouse.duckdb"
"""The name of most files; what dbt parses depends on it."""

Row = dict[str, Any]


def one_thread(profiles: str) -> str:
    """Return the profiles with one thread of dbt and of DuckDB: more threads cost more than they save on few rows."""
    changed = profiles.replace("threads: 2", "threads: 1").replace("{TimeZone: UTC}", "{TimeZone: UTC, threads: 1}")
    assert changed.count("threads: 1") > profiles.count("threads: 2"), "the profiles are written otherwise now"
    return changed


def executable() -> Path:
    """Where dbt is: DBT_EXECUTABLE, else Meltano's own venv, else the path."""
    named = os.environ.get("DBT_EXECUTABLE")
    venvs = [REPOSITORY / ".meltano" / kind / "dbt" / "venv" / "bin" / "dbt" for kind in ("utilities", "transformers")]
    found = named or next((str(path) for path in venvs if path.exists()), None) or shutil.which("dbt")
    if found is None:
        pytest.fail("dbt is not installed: run `meltano install` (or set DBT_EXECUTABLE) and start the tests again.")
    return Path(found)


class Dbt:
    """dbt, imported once for all runs, with the project parsed once; `home` is where it keeps what it makes."""

    def __init__(self, home: Path) -> None:
        self.home = home
        # A copy, since mapping files are found from the project; one for all tests, so that it is parsed once.
        self.project = home / "transform"
        self.mapping = home / "environments" / "sandbox" / "mapping"
        self.mapping.mkdir(parents=True)
        self._write({})
        shutil.copytree(PROJECT, self.project, ignore=shutil.ignore_patterns("target", "logs"))
        profiles = self.project / "profiles.yml"
        profiles.write_text(one_thread(profiles.read_text("utf-8")), "utf-8")
        python = executable().resolve().with_name("python")
        server = Path(__file__).with_name("dbt_server.py")
        self._process = subprocess.Popen(
            # The forked runs leave semaphores, which this process removes.
            [python, "-W", "ignore:resource_tracker", server],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | self._environment(DATABASE, home / "target"),
        )

    def _write(self, mapping: dict[str, bytes]) -> None:
        for name, header in MAPPING.items():
            path, content = self.mapping / f"{name}.csv", mapping.get(name, f"{header}\n".encode())
            if not path.exists() or path.read_bytes() != content:
                path.write_bytes(content)

    def _environment(self, database: str, target: Path) -> dict[str, str]:
        return {
            "DBT_PROJECT_DIR": str(self.project),
            "DBT_PROFILES_DIR": str(self.project),
            "DBT_DUCKDB_PATH": database,  # of the folder where dbt starts
            "DBT_TARGET_PATH": str(target),
            "DBT_LOG_PATH": str(self.home / "logs"),
            "DBT_WRITE_JSON": "false",  # No test reads the artifacts of a run.
            "DBT_LOG_LEVEL_FILE": "none",
            "MELTANO_ENVIRONMENT": "sandbox",
        }

    def run(
        self,
        arguments: tuple[str, ...],
        database: Path,
        mapping: dict[str, bytes],
        environment: dict[str, str],
        *,
        is_parsed: bool = False,
    ) -> Finished:
        """Run one dbt command on a DuckDB file with these mapping files; a file that is not named has no row.

        `is_parsed`: it takes the project as it was parsed for the first command, with no setting but the defaults.
        """
        self._write(mapping)
        output = self.home / "output.txt"
        job = {
            "arguments": arguments,
            "folder": str(database.parent),
            "output": str(output),
            "environment": self._environment(database.name, self._target(arguments)) | environment,
            "is_parsed": is_parsed,
        }
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return Finished(int(self._process.stdout.readline()), output.read_text("utf-8"))

    def _target(self, arguments: tuple[str, ...]) -> Path:
        """Return where dbt keeps what it has parsed, which is for one choice of variables."""
        variables = dict(pairwise(arguments)).get("--vars", "{}")
        return self.home / ("target" if variables == "{}" else f"target-{sha256(variables.encode()).hexdigest()[:8]}")

    def close(self) -> None:
        """End the process."""
        with self._process:
            assert self._process.stdin
            self._process.stdin.close()


class Finished(NamedTuple):
    """How a dbt command ended, and everything it printed."""

    returncode: int
    output: str


@dataclass
class Warehouse:
    """One DuckDB file and the dbt runs on it."""

    path: Path
    runner: Dbt
    mapping_files: dict[str, bytes] = field(default_factory=dict)

    def mapping(self, **files: list[Row] | bytes) -> None:
        """Replace all mapping files: by rows, or by what somebody saved (bytes). A file not named has no row."""
        assert not set(files) - set(MAPPING), "a file that nobody reads"
        self.mapping_files = {name: _csv(MAPPING[name], rows) for name, rows in files.items()}

    def load(self, read_at: str, **streams: list[Row] | None) -> None:
        """Replace the rows of the named streams by rows read at a moment.

        `removed=True` in a row marks one that has vanished since; None instead of rows is a stream never loaded.
        """
        with duckdb.connect(str(self.path)) as database:
            for stream, rows in streams.items():
                columns = RAW_COLUMNS[stream] | _METADATA
                table = f"coursera.{stream}"
                declared = ", ".join(map(" ".join, columns.items()))
                database.execute("CREATE SCHEMA IF NOT EXISTS coursera")
                if rows is None:
                    database.execute(f"DROP TABLE IF EXISTS {table}")
                    continue
                database.execute(f"CREATE OR REPLACE TABLE {table} ({declared})")
                stamped = [_stamped(row, read_at) for row in rows]
                assert not {name for row in stamped for name in row} - set(columns), (
                    "a column the loader would not have"
                )
                if stamped:
                    # All rows are one parameter, since each parameter costs more than a row.
                    form = json.dumps([columns])
                    rows_of = f"SELECT unnest(from_json(?, '{form}'), max_depth := 2)"
                    database.execute(f"INSERT INTO {table} BY NAME {rows_of}", [json.dumps(stamped)])

    def dbt(self, *arguments: str, grade_sync: str = "") -> Finished:
        """Run one dbt command."""
        return self.runner.run(arguments, self.path, self.mapping_files, {"CONNECT_GRADE_SYNC": grade_sync})

    def build(self, *, grade_sync: str = "", **variables: Any) -> None:
        """Run every model and every data test, as the jobs do."""
        self._succeed("build", "--exclude-resource-type", "unit_test", grade_sync=grade_sync, variables=variables)

    def run(self, *arguments: str, grade_sync: str = "", **variables: Any) -> None:
        """Run the mapping files and the models without data tests, which is faster."""
        only = ("build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "test")
        self._succeed(*only, *arguments, grade_sync=grade_sync, variables=variables)

    def _succeed(self, *arguments: str, grade_sync: str, variables: dict[str, Any]) -> None:
        done = self.runner.run(
            (*arguments, "--vars", json.dumps(variables)),
            self.path,
            self.mapping_files,
            {"CONNECT_GRADE_SYNC": grade_sync},
            is_parsed=self.path.name == DATABASE,
        )
        assert done.returncode == 0, done.output[-8000:]

    def read(self, table: str) -> list[Row]:
        """All rows of a table, in order of their first column."""
        with duckdb.connect(str(self.path), read_only=True) as database:
            cursor = database.execute(f"SELECT * FROM {table} ORDER BY ALL")
            names = [column[0] for column in cursor.description or []]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def file(self, name: str) -> dict[str, Row]:
        """The filled cells of a OneRoster file by sourcedId."""
        return {
            row["sourcedId"]: {column: cell for column, cell in row.items() if cell is not None}
            for row in self.read(f'oneroster."{name}"')
        }


def _csv(header: str, rows: list[Row] | bytes) -> bytes:
    if isinstance(rows, bytes):
        return rows
    text = io.StringIO()
    writer = csv.DictWriter(text, header.split(","))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _stamped(row: Row, read_at: str) -> Row:
    """Add what the loader adds to every row."""
    stamps = {"_sdc_extracted_at": read_at, "_sdc_received_at": read_at, "_sdc_batched_at": read_at, "_sdc_sequence": 1}
    data = {name: value for name, value in row.items() if name != "removed"}
    return stamps | ({"_sdc_deleted_at": read_at} if row.get("removed") else {}) | data
