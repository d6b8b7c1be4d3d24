"""A server between tap and sandbox that changes answers on their way, in their bytes."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable

    from coursera_sandbox.testing import RunningSandbox

    Alter = Callable[[str, bytes], bytes]
    """Path with query, body; the body to send."""

Json = dict[str, Any]


class Altered:
    """The sandbox, with another body where `alter` makes one, and these headers instead of its own (None: none)."""

    def __init__(self, sandbox: RunningSandbox, alter: Alter, headers: dict[str, str | None] | None = None) -> None:
        self.alter = alter
        self.ask: Callable[[str], str] = str
        """Makes of the address that the tap asks for the one that the sandbox is asked for."""
        self.headers = headers or {}
        self.requests: list[str] = []
        outer, client = self, httpx.Client(base_url=sandbox.url, timeout=30, trust_env=False)
        self._client = client

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                passed = {
                    name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers
                }
                answer = client.request(self.command, outer.ask(self.path), content=body, headers=passed)
                outer.requests.append(self.path)
                content = outer.alter(self.path, answer.content) if answer.status_code == 200 else answer.content
                own = {"Date": answer.headers["Date"]} | outer.headers
                self.send_response_only(answer.status_code)
                for name, value in {**own, "Content-Length": str(len(content))}.items():
                    if value is not None:
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = _pass_on  # noqa: N815 - as the library wants them

            @override
            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{self._server.server_port}"
        addresses = {"api_url": f"{url}/ent/api", "auth_url": f"{url}/oauth2/client_credentials/token"}
        self.tap_config: Json = sandbox.tap_config | addresses

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._client.close()


def rows_of(path: str, change: Callable[[list[Json]], object]) -> Alter:
    """Changes the rows of answers whose address has this in it."""

    def alter(asked: str, body: bytes) -> bytes:
        if path not in asked:
            return body
        answer = json.loads(body)
        change(answer.get("elements") or answer.get("enterpriseUserSkillsets") or [])
        return json.dumps(answer).encode()

    return alter
