"""Rows of a system, in memory, and the rows that an output writes of them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb

from oneroster_csv import binding as bindings
from oneroster_csv import output as outputs
from oneroster_csv import profile as profiles
from oneroster_csv.database import Database
from oneroster_csv.sql import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oneroster_csv.output import Output

KEY = "a key that only this test knows"
DISTRICT = "org.Blue_Hills"
ADA = {
    "sourcedId": "user.a1",
    "enabledUser": "true",
    "orgSourcedIds": "s1",
    "role": "student",
    "username": "ada.lovelace@example.org",
    "userIds": "{Coursera:ada.lovelace@example.org}",
    "givenName": "Ada Augusta",
    "familyName": "Lovelace",
    "middleName": "Gordon",
    "identifier": "Ada.Lovelace@example.org",
    "email": "Ada.Lovelace@example.org",
    "sms": "+44 1632 960001",
    "phone": "+44 1632 960002",
    "metadata.naturalKey": "ada.lovelace@example.org",
}
ZOE = {
    "sourcedId": "user.z2",
    "enabledUser": "true",
    "orgSourcedIds": "s1",
    "role": "teacher",
    "username": "zoe-obrien",
    "userIds": "{Coursera:T4711}",
    "givenName": "Zoë",
    "familyName": "O'Brien",
    "identifier": "T4711",
    "email": "zb47@example.org",
    "metadata.naturalKey": "T4711",
}


def output(profile: str = "generic", level: int = 0, *exclude: str, key: str = KEY, version: str = "1.1") -> Output:
    return outputs.make(version, profiles.load(profile), level, key, exclude, DISTRICT)


@contextmanager
def connection(output: Output) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as opened:
        output.unlock(Database(opened))
        yield opened


def columns_of(file: str) -> list[str]:
    return [*(column.name for column in bindings.load("1.1").files[file]), "metadata.naturalKey"]


def fill(opened: duckdb.DuckDBPyConnection, file: str, rows: list[dict[str, str]], *more: str) -> list[str]:
    """Make the table of a file and return its columns; a cell that a row does not name is null."""
    names = [*columns_of(file), *more]
    opened.execute(f"create table {quoted(file)} ({', '.join(f'{quoted(name)} text' for name in names)})")
    if rows:
        marks = ", ".join("?" * len(names))
        opened.executemany(
            f"insert into {quoted(file)} values ({marks})", [[r.get(name) for name in names] for r in rows]
        )
    return names


def written(output: Output, file: str, *rows: dict[str, str], more: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """Return the rows as an output writes them, in the order of their ids."""
    with connection(output) as opened:
        names = output.header(fill(opened, file, list(rows), *more))
        cells = ", ".join(f"{output.cell(file, name)} as {quoted(name)}" for name in names)
        query = f'select {cells} from {quoted(file)} as r where {output.condition(file)} order by r."sourcedId"'
        return [dict(zip(names, row, strict=True)) for row in opened.execute(query).fetchall()]


def broken(output: Output, file: str, *rows: dict[str, str]) -> list[tuple[str, str, int]]:
    """Return rule, column and number of rows for each rule of the reader that written rows break."""
    shaped = written(output, file, *rows)
    with connection(output) as opened:
        fill(opened, file, shaped)
        counts = []
        for rule in output.profile.rules_of(file):
            query = f"select count(*) from {quoted(file)} as r where {rule.condition}"
            (count,) = opened.execute(query.replace("{rows}", quoted(file))).fetchall()[0]
            counts.append((rule.id, rule.column, count))
        return [found for found in counts if found[2]]
