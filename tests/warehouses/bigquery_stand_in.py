"""As much of BigQuery's REST interface as a loader needs that loads files: datasets, tables, load jobs, and a token.

It keeps what it is sent. Nothing of BigQuery's own checks is imitated.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]
PROJECT = "made-up"
BROKEN: Json = {"reason": "backendError", "message": "made-up failure"}


class BigQuery(ThreadingHTTPServer):
    """Serves on a free port until `shutdown`."""

    daemon_threads = True

    def __init__(self, private_key: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._private_key = private_key
        self.tables: dict[str, Json] = {}
        """By name, as they were created."""
        self.rows: dict[str, list[Json]] = defaultdict(list)
        self.refuses_credentials = False
        self.failing: set[str] = set()
        """Tables whose load jobs fail."""
        self.jobs: dict[str, Json] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def create(self, name: str) -> None:
        """Make an empty table; the loader waits five seconds for each table that the loader makes itself."""
        self.tables[name] = {"tableReference": {"projectId": PROJECT, "datasetId": "coursera", "tableId": name}}

    @property
    def credentials(self) -> Json:
        """Return the credentials of a service account that gets its tokens from this server."""
        return {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key": self._private_key,
            "client_email": "loader@made-up.example",
            "token_uri": f"{self.url}/token",
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BigQuery

    def do_GET(self) -> None:
        kind, name = self._place()
        found = {"tables": self.server.tables, "jobs": self.server.jobs}.get(kind, {})
        if kind == "datasets" or name in found:
            self._answer(
                200, found.get(name, {"datasetReference": {"projectId": PROJECT, "datasetId": name}, "location": "US"})
            )
        else:
            self._answer(404, {"error": {"code": 404, "message": f"Not found: {name}", "errors": []}})

    def do_POST(self) -> None:
        body = self._body()
        kind, _ = self._place()
        if self.path == "/token":
            if self.server.refuses_credentials:
                self._answer(400, {"error": "invalid_grant", "error_description": "Invalid grant: account not found"})
            else:
                self._answer(200, {"access_token": "made-up", "expires_in": 3600, "token_type": "Bearer"})
        elif kind == "tables":
            table = json.loads(body)
            self.server.tables[table["tableReference"]["tableId"]] = table
            self._answer(200, table)
        else:
            job = json.loads(body)
            name = job["jobReference"]["jobId"]
            self.server.jobs[name] = job
            self._answer(200, {}, Location=f"{self.server.url}/upload/{name}")

    def do_PUT(self) -> None:
        content = gzip.decompress(self._body())
        job = self.server.jobs[self.path.rsplit("/", 1)[1]]
        table = job["configuration"]["load"]["destinationTable"]["tableId"]
        job["status"] = {"state": "DONE"}
        if table in self.server.failing:
            job["status"] |= {"errorResult": BROKEN, "errors": [BROKEN]}
        else:
            self.server.rows[table] += [json.loads(line) for line in content.splitlines()]
        self._answer(200, job)

    def _place(self) -> tuple[str, str]:
        """Return the kind of the resource that is asked for, and its name if it has one."""
        parts = urlsplit(self.path).path.removeprefix("/upload").strip("/").split("/")
        return (parts[-1], "") if len(parts) % 2 else (parts[-2], parts[-1])

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, content: Json, **headers: str) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
        pass
