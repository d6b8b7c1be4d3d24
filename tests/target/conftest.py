"""A loader on a file of its own, in this process or as the real command."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from target_duckdb.target import TargetDuckDB

if TYPE_CHECKING:
    from collections.abc import Callable

COMMAND = Path(sys.executable).with_name("target-duckdb")


def pytest_configure(config: pytest.Config) -> None:
    # Python 3.10 is supported here although the SDK announces the end of its life.
    config.addinivalue_line("filterwarnings", "ignore::singer_sdk.helpers._compat.SingerSDKPythonEOLWarning")


def schema(stream: str, properties: dict[str, Any], keys: list[str] | None = None) -> dict[str, Any]:
    """Write a SCHEMA message; a property may be given as a type name."""
    full = {name: {"type": [it, "null"]} if isinstance(it, str) else it for name, it in properties.items()}
    return {"type": "SCHEMA", "stream": stream, "schema": {"properties": full}, "key_properties": keys or []}


def record(stream: str, values: dict[str, Any], version: int | None = None) -> dict[str, Any]:
    message: dict[str, Any] = {"type": "RECORD", "stream": stream, "record": values}
    return message if version is None else {**message, "version": version}


def state(value: Any) -> dict[str, Any]:
    return {"type": "STATE", "value": value}


def activate(stream: str, version: int) -> dict[str, Any]:
    return {"type": "ACTIVATE_VERSION", "stream": stream, "version": version}


def lines(*messages: dict[str, Any] | bytes) -> bytes:
    return b"".join((m if isinstance(m, bytes) else json.dumps(m).encode()) + b"\n" for m in messages)


@dataclass
class Loader:
    """Feeds messages to the target and looks into its file."""

    path: Path
    config: dict[str, Any] = field(default_factory=dict)

    schema = staticmethod(schema)
    record = staticmethod(record)
    state = staticmethod(state)
    activate = staticmethod(activate)
    lines = staticmethod(lines)

    def __call__(self, *messages: dict[str, Any] | bytes, **config: Any) -> None:
        """Load in this process."""
        target = TargetDuckDB(config={"filepath": str(self.path), **self.config, **config})
        try:
            target.process_lines(io.BytesIO(lines(*messages)))  # type: ignore[arg-type]  # our reader reads bytes
            target.process_endofpipe()
        finally:
            target.database.close()

    def start(self, **config: Any) -> subprocess.Popen[bytes]:
        """Start the real command, with pipes."""
        settings = self.path.parent.with_name("config.json")
        settings.write_text(json.dumps({"filepath": str(self.path), **self.config, **config}))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TARGET_DUCKDB")}
        with self.log.open("wb") as log:  # a pipe nobody reads would fill up and stop the loader
            return subprocess.Popen(
                [COMMAND, "--config", settings],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
            )

    def command(self, *messages: dict[str, Any] | bytes, **config: Any) -> tuple[int, str, str]:
        """Run the real command; exit code, output and error output."""
        with self.start(**config) as process:
            out, _ = process.communicate(lines(*messages), timeout=60)
        return process.returncode, out.decode(), self.log.read_text()

    @property
    def log(self) -> Path:
        """What the command last wrote to its error output."""
        return self.path.parent.with_name("stderr.txt")

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(sql, parameters).fetchall()

    def types(self, table: str) -> dict[str, str]:
        found = self.rows("SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ?", table)
        return {name: kind for name, kind in found if not name.startswith("_sdc_")}


@pytest.fixture(scope="session")
def make_loader() -> Callable[[Path], Loader]:
    return Loader


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    return Loader(tmp_path / "db" / "test.duckdb")
