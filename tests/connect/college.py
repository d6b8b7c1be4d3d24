"""A college of two schools with twenty learners each, in tables that a test changes and publishes again."""

from __future__ import annotations

import atexit
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import duckdb

from coursera_connect.publish.publish import publish
from coursera_connect.publish.settings import Settings
from tests.connect.warehouse import Place, small

SETTINGS = {"grade_sync": "final", "data_as_of": "2026-02-02T04:00:00Z"}


class College(Place):
    """School a has the classes ka1 and ka2, school b has kb1; its twenty learners are in each class of a school."""

    def __init__(self, folder: Path, *, build: bool = True) -> None:
        super().__init__(folder)
        self.settings = Settings(self.database, self.package)
        if build:
            self.build(two_schools)

    def say(self, **settings: str) -> None:
        """Change a row of the table in which the transforms record their settings."""
        self.sql("delete from connect.settings_used")
        columns, values = ", ".join(settings), ", ".join(f"'{value}'" for value in settings.values())
        self.sql(f"insert into connect.settings_used ({columns}) values ({values})")

    def newer(self, day: int) -> None:
        """Say that the reports were refreshed on a day of February 2026."""
        self.sql(f"update connect.settings_used set data_as_of = '2026-02-{day:02}T04:00:00Z'")

    def lose(self, file: str, where: str) -> None:
        """Remove rows and keep them for `find`."""
        kept = f"kept_{file}"
        self.sql(
            f'create table if not exists "{kept}" as select * from "{file}" where false',
            f'insert into "{kept}" select * from "{file}" where {where}',
            f'delete from "{file}" where {where}',
        )

    def find(self, file: str) -> None:
        """Restore the rows that `lose` removed."""
        self.sql(f'insert into "{file}" select * from "kept_{file}"', f'drop table "kept_{file}"')

    def publish(self, **settings: Any) -> dict[str, Any]:
        """Publish in this process and return the report."""
        return publish(replace(self.settings, **settings), lambda _what, _rows: None)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with duckdb.connect(str(self.database)) as connection:
            return connection.execute(query).fetchall()

    def ids(self, file: str) -> set[str]:
        """Return the ids of a file of the package; none if the file is absent."""
        try:
            return {row[0] for row in self.csv(file)[1:]}
        except KeyError:
            return set()


def published(folder: Path, *statements: str, mode: str = "bulk") -> College:
    """Return a college that has published once after these statements: a copy of the one of the first test that asked.

    A copy takes a hundredth of the time of a publish.
    """
    shutil.copytree(_published(statements, mode), folder, dirs_exist_ok=True)
    return College(folder, build=False)


@cache
def _published(statements: tuple[str, ...], mode: str) -> Path:
    folder = Path(mkdtemp())
    atexit.register(shutil.rmtree, folder)
    college = College(folder)
    college.sql(*statements)
    report = college.publish(mode=mode)
    assert (report["outcome"], report["mode"]) == ("published", "bulk")
    return folder


def two_schools(place: Place) -> None:
    """Fill a database with the college."""
    small(place)
    learners = "from (values ('a'), ('b')) as s(school), range(20) as t(i)"
    classes = "from (values ('ka1', 'a'), ('ka2', 'a'), ('kb1', 'b')) as c(class, school), range(20) as t(i)"
    place.sql(
        *(f'delete from "{file}"' for file in ("users", "enrollments", "results", "lineItems", "classes")),
        "update orgs set \"sourcedId\" = 'a' where \"sourcedId\" = 's1'",
        "insert into orgs values ('b', null, null, 'School B', 'school', 'b', 'd1')",
        "insert into classes select class, null, null, 'Class ' || class, null, 'c1', 'x', 'scheduled', null, school, "
        "'t1', null, null, null from (values ('ka1', 'a'), ('ka2', 'a'), ('kb1', 'b')) as c(class, school)",
        "insert into users select school || i, null, null, 'true', school, 'student', school || i, null, 'Ada', 'Zed', "
        f"null, null, school || i || '@mail.example', null, null, null, null, null {learners}",
        "insert into enrollments select 'e.' || class || '.' || i, null, null, class, school, school || i, 'student', "
        f"null, '2025-09-01', null {classes}",
        "insert into \"lineItems\" select 'l.' || class, null, null, 'Final grade', null, '2025-08-01', '2026-07-31', "
        "class, 'cat', 'g1', '0', '100' from (values ('ka1'), ('ka2'), ('kb1')) as c(class)",
        "insert into results select 'r.' || class || '.' || i, null, null, 'l.' || class, school || i, 'fully graded', "
        f"(50 + i) || '.00', '2025-10-01', null {classes}",
        "create schema if not exists connect",
        "create table connect.settings_used (grade_sync text, data_as_of text)",
        f"insert into connect.settings_used values {tuple(SETTINGS.values())}",
    )
