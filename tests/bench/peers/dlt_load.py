"""dlt's `rest_api` source into DuckDB, set to be as quick as it was found to get.

    dlt_load.py TASK append|merge

Parquet between its steps, files of 25,000 rows, two workers that normalise, no compression, no child tables. Its pages
follow one another: one resource has one paginator, which knows the next page from the one before.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from collections.abc import Iterator


def main(task: dict[str, Any], disposition: str) -> None:
    """Extract, normalise, load."""
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(Path(task["folder"]) / "pipelines"),
        destination=dlt.destinations.duckdb(task["database"]),
        dataset_name="bench",
    )
    pipeline.run(source(task, disposition), loader_file_format="parquet").raise_on_failed_jobs()


def source(task: dict[str, Any], disposition: str) -> Any:
    """The list as a source with one resource."""
    token = requests.post(
        task["auth_url"],
        data={"grant_type": "client_credentials"},
        auth=(task["client_id"], task["client_secret"]),
        timeout=60,
    ).json()["access_token"]

    def items(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for inner in row[task["nested"]]:
            yield {name: row[name] for name in task["outer"]} | inner

    made = rest_api_source(
        {
            "client": {"base_url": task["url"], "auth": {"type": "bearer", "token": token}},
            "resources": [
                {
                    "name": "loaded",
                    "primary_key": task["key"],
                    "write_disposition": disposition,
                    "endpoint": {
                        "path": "",
                        "params": {**task["params"], "limit": task["page_size"]},
                        "data_selector": "elements",
                        "paginator": {
                            "type": "cursor",
                            "cursor_path": "paging.next",
                            "cursor_param": "start",
                        },
                    },
                    "processing_steps": [] if task["nested"] is None else [{"yield_map": items}],
                }
            ],
        }
    )
    made.max_table_nesting = 0
    return made


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2])
