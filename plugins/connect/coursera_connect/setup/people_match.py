# ruff: noqa: S608 - every name in a statement is a constant
"""Compares our people with an export of the LMS's accounts: who has an account there, who has none, and by which value.

Nothing from the file is stored or shown; of our people only the sourcedId is shown.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from coursera_connect.errors import DatabaseError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_connect.warehouse.warehouse import Warehouse

HEADINGS = {
    "identifier": (
        "identifier",
        "sis id",
        "sis user id",
        "external id",
        "id number",
        "idnumber",
        "student id",
        "user id",
        "id",
    ),
    "email": ("email", "e mail", "email address", "e mail address", "mail"),
    "username": ("username", "user name", "login id", "login", "user"),
}
"""The possible names of a column in an export, best first; letter case, `-`, `_` and spaces are ignored."""

_DELIMITERS = ",;\t|"
_SHOWN = 1000
_Values = dict[str, str]


def read(path: Path) -> list[_Values]:
    """Return identifier, email and username of each account in a CSV file, as far as it has such columns."""
    try:
        text = _decoded(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or type(error).__name__}.") from error
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text)))
    except csv.Error as error:
        raise UsageError(f"{path} is no CSV file: {error}.") from error
    headings = [_plain(heading) for heading in rows[0]] if rows else []
    columns = {
        attribute: headings.index(name)
        for attribute, names in HEADINGS.items()
        if (name := next((name for name in names if name in headings), None))
    }
    if not columns:
        raise UsageError(
            f"{path} has no column called username, email or identifier (SIS id): "
            "export the people of the LMS with a header line."
        )
    people = [
        {name: row[at].strip().casefold() for name, at in columns.items() if at < len(row) and row[at].strip()}
        for row in rows[1:]
    ]
    return [person for person in people if person]


def compare(database: Warehouse, there: list[_Values], path: str) -> dict[str, Any]:
    """Return how many of our people have exactly one account, per school and in total, and who has none.

    A person is matched by identifier, then e-mail, then username; a value that several accounts share makes the person
    `ambiguous`.
    """
    schools = {row[0]: row[1] for row in _select(database, "orgs", ("sourcedId", "name"))}
    index: dict[str, dict[str, list[int]]] = {name: defaultdict(list) for name in HEADINGS}
    for number, person in enumerate(there):
        for name, value in person.items():
            index[name][value].append(number)
    counts: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(("people", "matched", "ambiguous"), 0))
    by, met = dict.fromkeys(HEADINGS, 0), set[int]()
    only_here: list[str] = []
    ambiguous: list[str] = []
    for sourced_id, orgs, role, *values in _select(
        database, "users", ("sourcedId", "orgSourcedIds", "role", *HEADINGS)
    ):
        if role not in ("student", ""):
            continue
        hits = {
            name: index[name].get(value.strip().casefold(), [])
            for name, value in zip(HEADINGS, values, strict=True)
            if value.strip()
        }
        sure = next((name for name, accounts in hits.items() if len(accounts) == 1), None)
        met.update(number for accounts in hits.values() for number in accounts)
        state = "matched" if sure else "ambiguous" if any(hits.values()) else ""
        if sure:
            by[sure] += 1
        else:
            (ambiguous if state else only_here).append(sourced_id)
        for group in ("", *filter(None, (org.strip() for org in orgs.split(",")))):
            counts[group]["people"] += 1
            if state:
                counts[group][state] += 1
    total = counts.pop("", dict.fromkeys(("people", "matched", "ambiguous"), 0))
    return {
        "file": path,
        "accounts": len(there),
        "columns": sorted({name for person in there for name in person}),
        "total": {**total, "percent": _percent(total)},
        "schools": [
            {"school": org, "name": schools.get(org, ""), **counts[org], "percent": _percent(counts[org])}
            for org in sorted(counts)
        ],
        "by": by,
        "only_here": len(only_here),
        "only_there": len(there) - len(met),
        "only_here_ids": sorted(only_here)[:_SHOWN],
        "ambiguous_ids": sorted(ambiguous)[:_SHOWN],
    }


def _select(database: Warehouse, table: str, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    known = database.columns("oneroster").get(table)
    if known is None or "sourcedId" not in known:
        raise DatabaseError(f"The database holds no oneroster.{table}: run the transforms (dbt:build) first.")
    cells = [f"""coalesce(cast("{name}" as varchar), '')""" if name in known else "''" for name in columns]
    return list(database.rows(f"""select {", ".join(cells)} from oneroster."{table}" order by "sourcedId" """))


def _percent(counts: dict[str, int]) -> float | None:
    return round(100 * counts["matched"] / counts["people"], 1) if counts["people"] else None


def _decoded(content: bytes) -> str:
    """Return the text of a file of Excel or an LMS: UTF-8, UTF-16 with a byte order mark, or Windows-1252."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _delimiter(text: str) -> str:
    """Return the delimiter of the header line; values cannot mislead there, as they can with csv.Sniffer."""
    header = text.partition("\n")[0]
    return max(_DELIMITERS, key=header.count)


def _plain(heading: str) -> str:
    return " ".join(heading.replace("-", " ").replace("_", " ").split()).casefold()
