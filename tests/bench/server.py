"""The vendor's API as far as the contestants use it: the same bytes for each, with hardly any CPU time.

    http://127.0.0.1:PORT/<milliseconds per request>/<rows of the vendor's>/ent/api/businesses.v1/...

Latency and length of the report are part of the address, so one server serves every workload. Pages are slices of
files that `pages` wrote; the kernel sends them. Filters are ignored. The server ends when its standard input ends.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.bench.pages import KINDS, PROGRAM, Book

if TYPE_CHECKING:
    from array import array

ORGANISATION = "BenchOrg-AAAAAAAAAAA_A"
TALLY = "/tally"
LIMIT = 100
"""Rows of a page that is asked for without one."""
_BY_ENDPOINT = {kind.endpoint: kind for kind in KINDS.values()}


class Server(ThreadingHTTPServer):
    """A thread for each connection."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.requests = 0
        self.under_way = 0
        self.most_under_way = 0
        self.lock = threading.Lock()
        self._indexes: dict[Path, array[int]] = {}

    def starts(self, book: Book) -> array[int]:
        """Where the rows of a report begin; kept."""
        with self.lock:
            if book.index not in self._indexes:
                self._indexes[book.index] = book.starts()
            return self._indexes[book.index]

    def tally(self) -> dict[str, int]:
        """Return the number of requests since the last call, and the largest number of requests at the same time."""
        with self.lock:
            counts = {"requests": self.requests, "in_flight": self.most_under_way}
            self.requests = self.most_under_way = 0
        return counts


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    @cached_property
    def _books(self) -> dict[tuple[str, int], Book]:
        return {}

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = {"access_token": "bench", "token_type": "Bearer", "grant_type": "client_credentials"}
        self._send(json.dumps(token | {"issued_at": int(time.time()), "expires_in": 1799}).encode())

    def do_GET(self) -> None:
        if self.path == TALLY:
            self._send(json.dumps(self.server.tally()).encode())
            return
        with self.server.lock:
            self.server.requests += 1
            self.server.under_way += 1
            self.server.most_under_way = max(self.server.most_under_way, self.server.under_way)
        try:
            self._data()
        finally:
            with self.server.lock:
                self.server.under_way -= 1

    def _data(self) -> None:
        address = urlsplit(self.path)
        _, latency, count, *_, name = address.path.split("/")
        time.sleep(int(latency) / 1000)
        if self.headers.get("Authorization") != "Bearer bench":
            self.send_error(401)
        elif name in _BY_ENDPOINT:
            asked = {key: values[0] for key, values in parse_qs(address.query).items()}
            self._page(Book(_BY_ENDPOINT[name], int(count), self.server.folder), asked)
        elif name == "programs":
            self._listing([{"id": PROGRAM, "name": "All programmes", "url": "https://www.example.edu/all"}])
        elif name == ORGANISATION:
            self._listing([{"id": ORGANISATION, "name": "Bench College", "slug": "bench-college"}])
        else:
            self._listing([])

    def _listing(self, elements: list[Any]) -> None:
        self._send(json.dumps({"elements": elements, "paging": {"total": len(elements)}, "linked": {}}).encode())

    def _page(self, book: Book, asked: dict[str, str]) -> None:
        start, limit = int(asked.get("start", 0)), int(asked.get("limit", LIMIT))
        starts = self.server.starts(book)
        first, end = min(start, book.count), min(start + limit, book.count)
        following = f'"next":"{end}",' if end < book.count else ""
        tail = f'],"paging":{{{following}"total":{book.count}}},"linked":{{}}}}'.encode()
        length = max(0, starts[end] - starts[first] - 1)
        head = b'{"elements":['
        self._headers(len(head) + length + len(tail))
        self.wfile.write(head)
        if length:
            with book.rows.open("rb") as file:
                self.connection.sendfile(file, starts[first], length)
        self.wfile.write(tail)

    def _send(self, body: bytes) -> None:
        self._headers(len(body))
        self.wfile.write(body)

    def _headers(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
        pass


def main() -> None:
    """Serve until standard input ends; the first line of output is the port."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where the pages are")
    server = Server(parser.parse_args().folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
