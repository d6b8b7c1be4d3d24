"""A simple script: one request after the other, a file of JSON lines, which DuckDB reads.

Run with the task file of the benchmark.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator


def main(task: dict[str, Any]) -> None:
    """Download, then load."""
    rows = Path(task["folder"]) / "rows.jsonl"
    with rows.open("w", encoding="utf-8") as file:
        for row in download(task):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    with duckdb.connect(task["database"]) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS loaded AS FROM read_json_auto($1) LIMIT 0", [str(rows)])
        connection.execute("INSERT INTO loaded BY NAME FROM read_json_auto($1)", [str(rows)])


def download(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of the table."""
    answer = requests.post(
        task["auth_url"],
        data={"grant_type": "client_credentials"},
        auth=(task["client_id"], task["client_secret"]),
        timeout=60,
    ).json()
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    params = {**task["params"], "limit": task["page_size"], "start": "0"}
    while params["start"] is not None:
        page = requests.get(task["url"], params=params, headers=headers, timeout=60).json()
        for row in page["elements"]:
            if task["nested"] is None:
                yield row
            else:
                for inner in row[task["nested"]]:
                    yield {name: row[name] for name in task["outer"]} | inner
        params["start"] = page["paging"].get("next")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
