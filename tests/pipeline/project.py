"""A temporary copy of the project, used with the commands that an operator would type."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Project:
    """A copy of this project, with the commands an operator would type."""

    root: Path
    port: int

    @property
    def warehouse(self) -> Path:
        return self.root / "output" / "sandbox" / "warehouse.duckdb"

    @property
    def package(self) -> Path:
        return self.root / "output" / "sandbox" / "oneroster.zip"

    def command(self, *words: str, environment: str = "sandbox") -> list[str]:
        return [str(self.root / ".venv" / "bin" / "meltano"), f"--environment={environment}", *words]

    def env(self, **extra: str) -> dict[str, str]:
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("TAP_", "TARGET_", "DBT_", "CONNECT_", "COURSERA_", "MELTANO_"))
        }
        return {**kept, "NO_COLOR": "1", "UV_PYTHON_DOWNLOADS": "never", **extra}

    def meltano(
        self, *words: str, environment: str = "sandbox", check: bool = True, **env: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*words, environment=environment),
            cwd=self.root,
            env=self.env(**env),
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        if check and done.returncode:
            pytest.fail(
                f"meltano {' '.join(words)} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
            )
        return done

    def start(self, *options: str) -> None:
        self.meltano("invoke", "coursera-sandbox:start", *options)

    def advance(self, days: int) -> None:
        self.meltano("invoke", "coursera-sandbox:advance", "--days", str(days))

    def stop(self) -> None:
        self.meltano("invoke", "coursera-sandbox:stop", check=False)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def fresh_warehouse(self) -> None:
        """Forget everything that was loaded, the bookmarks included; the sandbox and its clock stay."""
        shutil.rmtree(self.root / "output", ignore_errors=True)
        for database in (self.root / ".meltano").glob("meltano.db*"):
            database.unlink()


def tables(project: Project) -> dict[str, list[str]]:
    """Every raw and OneRoster table as sorted JSON rows, without removed rows and without the loader's own columns.

    Contents lack the columns that only an incremental answer fills: what has changed, and when they were removed. The
    stream `stream_reads` is left out, since its rows are about a single run.
    """
    found: dict[str, list[str]] = {}
    with duckdb.connect(str(project.warehouse), read_only=True) as connection:
        names = connection.execute(
            "select table_schema, table_name from information_schema.tables "
            "where table_schema in ('coursera', 'oneroster') and table_name <> 'stream_reads' order by all"
        ).fetchall()
        for schema, table in names:
            living = " where _sdc_deleted_at is null" if schema == "coursera" else ""
            if (schema, table) == ("coursera", "contents"):
                living += " and is_removed is not true"
            own = "c -> not starts_with(c, '_sdc_') and c not in ('changes', 'is_removed')"
            cursor = connection.execute(f'select columns({own}) from {schema}."{table}"{living}')
            columns = [column[0] for column in cursor.description or []]
            found[f"{schema}.{table}"] = sorted(
                json.dumps(dict(zip(columns, row, strict=True)), default=str, sort_keys=True)
                for row in cursor.fetchall()
            )
    return found
