"""The floor: fetch the pages with some requests in flight, put the raw rows into a file, let DuckDB read it; no more.

Nothing is checked, converted or remembered, and rows are only appended. Run with the task file of the benchmark.
"""

from __future__ import annotations

import base64
import http.client
import json
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import duckdb
import msgspec

if TYPE_CHECKING:
    from concurrent.futures import Future

TYPES = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "flag": "BOOLEAN",
    "moment": "BIGINT",
    "nested": "VARCHAR[]",
}


class Paging(msgspec.Struct):
    """What a page says about the list."""

    total: int


class Page(msgspec.Struct):
    """A page whose rows stay as they are."""

    elements: list[msgspec.Raw]
    paging: Paging


class Connection:
    """One connection to the API."""

    def __init__(self, task: dict[str, Any], token: str) -> None:
        address = urlsplit(task["url"])
        self._connection = http.client.HTTPConnection(address.netloc)
        self._path, self._params, self._limit = address.path, task["params"], task["page_size"]
        self._headers = {"Authorization": f"Bearer {token}"}

    def page(self, start: int) -> Page:
        """The page that starts at a row."""
        query = urlencode({**self._params, "limit": self._limit, "start": start})
        self._connection.request("GET", f"{self._path}?{query}", headers=self._headers)
        return msgspec.json.decode(self._connection.getresponse().read(), type=Page)


def main(task: dict[str, Any]) -> None:
    """Download, then load."""
    rows = Path(task["folder"]) / "rows.jsonl"
    download(task, rows)
    load(task, rows)


def download(task: dict[str, Any], rows: Path) -> None:
    """Write the raw rows of all pages to a file, one a line, in order."""
    token = fetch_token(task)
    connections = [Connection(task, token) for _ in range(task["requests"])]
    first = connections[0].page(0)
    starts = range(task["page_size"], first.paging.total, task["page_size"])
    with rows.open("wb") as file, ThreadPoolExecutor(len(connections)) as pool:
        write(file, first)
        under_way: deque[Future[Page]] = deque()
        for turn, start in enumerate(starts):
            if turn >= len(connections):
                write(file, under_way.popleft().result())
            under_way.append(pool.submit(connections[turn % len(connections)].page, start))
        while under_way:
            write(file, under_way.popleft().result())


def write(file: Any, page: Page) -> None:
    """Append the rows of a page to a file."""
    file.writelines(part for row in page.elements for part in (row, b"\n"))


def fetch_token(task: dict[str, Any]) -> str:
    """A bearer token for the client's credentials."""
    address = urlsplit(task["auth_url"])
    connection = http.client.HTTPConnection(address.netloc)
    basic = base64.b64encode(f"{task['client_id']}:{task['client_secret']}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", address.path, "grant_type=client_credentials", headers)
    return str(json.loads(connection.getresponse().read())["access_token"])


def load(task: dict[str, Any], rows: Path) -> None:
    """Append the rows of a file to the table `loaded`."""
    fields: dict[str, str] = {name: TYPES[kind] for name, kind in task["fields"].items()}
    nested: str | None = task["nested"]
    if nested is None:
        source, columns = "*", fields
    else:
        outer = {name: fields.pop(name) for name in task["outer"]}
        struct = ", ".join(f'"{name}" {kind}' for name, kind in fields.items())
        source = f"{', '.join(outer)}, unnest({nested}, recursive := true)"
        columns = {**outer, nested: f"STRUCT({struct})[]"}
    with duckdb.connect(task["database"]) as connection:
        reading = f"SELECT {source} FROM read_json($1, format := 'newline_delimited', columns := {columns})"
        connection.execute(f"CREATE TABLE IF NOT EXISTS loaded AS FROM ({reading}) LIMIT 0", [str(rows)])
        connection.execute(f"INSERT INTO loaded {reading}", [str(rows)])


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
