"""A small college as OneRoster tables in a DuckDB file, made by hand."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import duckdb
from click.testing import CliRunner

from coursera_connect.cli.main import main
from oneroster_csv import binding

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS: dict[str, list[tuple[str | None, ...]]] = {
    "academicSessions": [
        ("y1", "2025", "schoolYear", "2025-08-01", "2026-08-01", "", "2026"),
        ("t1", "2025", "term", "2025-08-01", "2026-08-01", "y1", "2026"),
        ("g1", "2025", "gradingPeriod", "2025-08-01", "2026-08-01", "t1", "2026"),
    ],
    "categories": [("cat", "Quiz")],
    "classes": [("k1", "Algebra", None, "c1", "alg", "scheduled", None, "s1", "t1", None, None, None)],
    "courses": [("c1", "y1", "Algebra", "alg", None, "d1", None, None)],
    "enrollments": [
        ("e1", "k1", "s1", "u1", "student", None, "2025-09-01", None),
        ("e2", "k1", "s1", "u2", "student", None, None, ""),
    ],
    "lineItems": [("l1", "Quiz 1", None, "2025-08-01", "2026-07-31", "k1", "cat", "g1", "0", "100")],
    "orgs": [("d1", "District", "district", None, None), ("s1", "School", "school", "alg", "d1")],
    "results": [
        ("r1", "l1", "u1", "fully graded", "92.50", "2025-10-01", None),
        ("r2", "l1", "u2", "fully graded", "0.50", "2025-10-01", None),
    ],
    "users": [
        (u, "true", "s1", "student", f"{u}@example.org", "{Coursera:x}", "Ada", "Zed", *[None] * 8)
        for u in ("u1", "u2")
    ],
}


BUILT = (
    "create schema if not exists connect",
    """
    create or replace table connect.build as
    select 'b1' as build_id, true as is_complete, '' as ended_at, '' as meltano_run, '{}' as settings
    """,
)
"""What dbt says of a build that ended well."""


def columns(file: str) -> list[str]:
    return [column.name for column in binding.load("1.1").files[file]]


@dataclass
class Place:
    """A database and the path of its package."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def package(self) -> Path:
        return self.folder / "out" / "oneroster.zip"

    def build(self, fill: Callable[[Place], None] | None = None) -> None:
        """Make the database: a copy of one that `fill` filled for the first test that asked, `small` by default."""
        self.database.write_bytes(_filled(fill or small))

    def sql(self, *statements: str) -> None:
        with duckdb.connect(str(self.database)) as connection:
            connection.execute("set schema = 'oneroster'")
            for statement in statements:
                connection.execute(statement)

    def command(self, *arguments: str) -> list[str]:
        where = ["--database", str(self.database), "--package", str(self.package)]
        return [sys.executable, "-m", "coursera_connect", arguments[0], *where, *arguments[1:]]

    def run(self, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = self.command(*arguments)
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=folder)

    def call(self, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """As `run`, but in this process, which is a second cheaper."""
        command = self.command(*arguments)
        here = Path.cwd()
        os.chdir(folder or here)
        try:
            done = CliRunner().invoke(main, command[3:])
        finally:
            os.chdir(here)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(command, done.exit_code, done.stdout, done.stderr)

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.package.with_name("publish-report.json").read_text())
        return report

    def csv(self, file: str) -> list[list[str]]:
        with zipfile.ZipFile(self.package) as archive:
            text = archive.read(f"{file}.csv").decode("utf-8")
        return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def small(place: Place) -> None:
    """Fill a database with two learners."""
    with duckdb.connect(str(place.database)) as connection:
        for statement in (*BUILT, "create schema oneroster"):
            connection.execute(statement)
        for file, rows in ROWS.items():
            names = columns(file)
            connection.execute(
                f'create table oneroster."{file}" ({", ".join(f"{chr(34)}{n}{chr(34)} text" for n in names)})'
            )
            marks = ", ".join("?" * len(names))
            connection.executemany(
                f'insert into oneroster."{file}" values ({marks})', [(r[0], None, None, *r[1:]) for r in rows]
            )


@cache
def _filled(fill: Callable[[Place], None]) -> bytes:
    """Return the file that a function fills; making that file anew costs a hundred times as much as copying it."""
    with TemporaryDirectory() as folder:
        place = Place(Path(folder))
        fill(place)
        return place.database.read_bytes()
