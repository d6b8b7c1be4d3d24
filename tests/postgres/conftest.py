"""A PostgreSQL server for these tests, with a database that is created as docs/postgresql.md says."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.package import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.package.postgres import Postgres

PAGE = Path(__file__).resolve().parents[2] / "docs" / "postgresql.md"


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    with postgres.running() as found:
        yield found


@pytest.fixture(scope="module")
def database(server: Postgres) -> Iterator[dict[str, str]]:
    """A new database, made as the page says, by the variables that name it; they are set as long as it is there."""
    found = {"PGHOST": str(server.folder), "PGUSER": "coursera", "PGDATABASE": "coursera", "PGPASSWORD": "secret"}
    with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute("drop database if exists coursera with (force)")
        owner.execute("drop role if exists coursera")
        for statement in re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)[0].split(";"):
            if statement.strip():
                owner.execute(statement)
    before = {name: os.environ.get(name) for name in found}
    os.environ.update(found)
    yield found
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
