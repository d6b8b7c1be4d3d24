"""dlt's `rest_api` source into DuckDB, with the fastest settings that were found.

    dlt_load.py TASK append|merge [parts]

Parquet between its steps, files of 25,000 rows, two workers that normalise, no compression. Items stay a child table of
their gradebook row, which takes less time than making flat rows of them on the way; lists of texts become JSON.

A resource has one paginator, which learns of the next page from the one before, so its requests follow one another.
With `parts` the list is cut by hand, into as many resources as requests may be in flight.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ |= {
    "SOURCES__DATA_WRITER__FILE_MAX_ITEMS": "25000",
    "SOURCES__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "NORMALIZE__WORKERS": "2",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
}

import dlt
import requests
from dlt.sources.rest_api import rest_api_source


def main(task: dict[str, Any], disposition: str, *parts: str) -> None:
    """Extract, normalise, load."""
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(Path(task["folder"]) / "pipelines"),
        destination=dlt.destinations.duckdb(task["database"]),
        dataset_name="bench",
    )
    pipeline.run(source(task, disposition, parts=bool(parts)), loader_file_format="parquet").raise_on_failed_jobs()


def source(task: dict[str, Any], disposition: str, *, parts: bool) -> Any:
    """The list as a source."""
    token = requests.post(
        task["auth_url"],
        data={"grant_type": "client_credentials"},
        auth=(task["client_id"], task["client_secret"]),
        timeout=60,
    ).json()["access_token"]

    client = {"base_url": task["url"], "auth": {"type": "bearer", "token": token}}
    resource = {
        "table_name": "loaded",
        # Of a gradebook row where its items are a table below it.
        "primary_key": task["outer"] or task["key"],
        "write_disposition": disposition,
    }
    endpoint = {"path": "", "params": task["params"], "data_selector": "elements"}
    made = rest_api_source(
        {
            "client": client,
            "resources": [
                {**resource, "name": f"part_{number}", "endpoint": {**endpoint, **paging}}
                for number, paging in enumerate(in_parts(task, token) if parts else in_one(task))
            ],
        }
    )
    made.max_table_nesting = 1 if task["nested"] else 0
    if parts:
        for one in made.resources.values():
            # The setting of that name in a resource's description changed nothing: one request after the other.
            one.parallelize()
    return made


def in_one(task: dict[str, Any]) -> list[dict[str, Any]]:
    """How to read the list from its beginning to its end."""
    following = {"type": "cursor", "cursor_path": "paging.next", "cursor_param": "start"}
    return [{"params": {**task["params"], "limit": task["page_size"]}, "paginator": following}]


def in_parts(task: dict[str, Any], token: str) -> list[dict[str, Any]]:
    """How to read each of several parts of the list."""
    headers, size = {"Authorization": f"Bearer {token}"}, task["page_size"]
    first = requests.get(task["url"], params={**task["params"], "limit": 1}, headers=headers, timeout=60).json()
    total = first["paging"]["total"]
    step = -(-total // size // task["requests"]) * size
    by_number = {"type": "offset", "limit": size, "offset_param": "start", "limit_param": "limit", "total_path": None}
    return [
        {"paginator": {**by_number, "offset": start, "maximum_offset": min(start + step, total)}}
        for start in range(0, total, step)
    ]


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), *sys.argv[2:])
