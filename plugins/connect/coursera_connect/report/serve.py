"""Serves the report page and the package to a browser on this machine.

Other users of the machine, and web pages that guess the port, must not read them: every address begins with a secret of
this run, and a request with another Host (DNS rebinding) is refused.
"""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from typing_extensions import override

from coursera_connect.command_text import carried
from coursera_connect.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_MISSING = "There is nothing here yet: run connect report, or connect publish."


class Server(ThreadingHTTPServer):
    """Serves two files until it is closed, or until there was no request for a while.

    The page is at `url`, and the package is beside it under its own name. Both are read anew for each request.
    """

    daemon_threads = True

    def __init__(self, page: Path, package: Path, port: int, idle_seconds: float) -> None:
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or "no such port"
            raise UsageError(f"Port {port} cannot be used ({reason}): choose another, or 0 for any.") from error
        self.hosts = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}
        secret = secrets.token_urlsafe(16)
        self.url = f"http://{HOST}:{self.server_port}/{secret}/"
        self.files = {
            f"/{secret}/": (page, "text/html; charset=utf-8"),
            f"/{secret}/{package.name}": (package, "application/zip"),
        }
        self.idle_seconds = idle_seconds
        self.asked = time.monotonic()

    @override
    def service_actions(self) -> None:
        # Called twice a second by serve_forever, which cannot be ended from its own thread.
        if time.monotonic() - self.asked > self.idle_seconds:
            threading.Thread(target=self.shutdown, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version = "connect"
    sys_version = ""
    timeout = 10.0

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        if self.headers.get("Host", "").lower() not in self.server.hosts:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, explain="This server answers to its own address only.")
            return
        found = self.server.files.get(self.path.partition("?")[0])
        if found is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.server.asked = time.monotonic()
        path, kind = found
        try:
            handle = path.open("rb")
        except OSError:
            self.send_error(HTTPStatus.NOT_FOUND, explain=carried(_MISSING))
            return
        with handle:
            size = handle.seek(0, 2)
            handle.seek(0)
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            if body:
                shutil.copyfileobj(handle, self.wfile)

    @override
    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Write nothing, since addresses contain the secret."""
