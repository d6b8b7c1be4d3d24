"""A sandbox for a test: its own process, port and home, and a small client that asks it the way a tap would."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx

from coursera_sandbox import daemon
from coursera_sandbox.tokens import CLIENT_ID, CLIENT_SECRET, ORG_ID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_START_SECONDS = 30
Json = dict[str, Any]


class RunningSandbox:
    """A sandbox in a process of its own, until :meth:`stop`; options as of :class:`coursera_sandbox.daemon.Options`."""

    client_id = CLIENT_ID
    client_secret = CLIENT_SECRET
    org_id = ORG_ID

    def __init__(self, home: Path, *, now: str | None = None, **options: Any) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        chosen = daemon.Options(home, **{"port": 0, "idle_timeout": 3600, **options})
        arguments = [*chosen.arguments(), *(["--now", now] if now else [])]
        self._errors = (home / "server.log").open("w")
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "coursera_sandbox", "run", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
        )
        self.url = self._wait().url
        self.api_url = f"{self.url}/ent/api"
        self.auth_url = f"{self.url}/oauth2/client_credentials/token"
        self.client = httpx.Client(timeout=120, trust_env=False)
        self._token: str | None = None

    def _wait(self) -> daemon.Server:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            server = daemon.find(self.home)
            if server and server.pid == self.process.pid and server.call("GET", "status"):
                return server
            time.sleep(0.02)
        self.process.kill()
        raise RuntimeError((self.home / "server.log").read_text() or "the sandbox did not start")

    def stop(self) -> None:
        """End the process."""
        self.client.close()
        self.process.terminate()
        self.process.wait(10)
        self._errors.close()

    @property
    def tap_config(self) -> Json:
        """Settings with which tap-coursera reads this sandbox."""
        return {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "org_id": self.org_id,
            "api_url": self.api_url,
            "auth_url": self.auth_url,
        }

    def _control(self, method: str, path: str, **more: Any) -> Json:
        answer = self.client.request(method, f"{self.url}/_sandbox/{path}", **more)
        answer.raise_for_status()
        body: Json = answer.json()
        return body

    def status(self) -> Json:
        """Return seed, learners, simulated time and active faults."""
        return self._control("GET", "status")

    def advance(self, *, hours: int = 0, days: int = 0) -> str:
        """Move the simulated clock; the new time."""
        return str(self._control("POST", "advance", params={"hours": hours, "days": days})["now"])

    def faults(self, specs: Sequence[str]) -> None:
        """Put these faults in force, in place of those before."""
        self._control("PUT", "faults", json=list(specs))

    def clear_faults(self) -> None:
        """Behave again."""
        self._control("DELETE", "faults")

    def requests(self) -> Json:
        """Return `{"total": …, "rows": …, "routes": {…}, "statuses": {…}}` since the last reset."""
        return self._control("GET", "requests")

    def reset_requests(self) -> None:
        """Count requests anew."""
        self._control("DELETE", "requests")

    def token(self) -> str:
        """Return a bearer token, which is requested once."""
        if self._token is None:
            answer = self.client.post(
                self.auth_url, auth=(self.client_id, self.client_secret), data={"grant_type": "client_credentials"}
            )
            self._token = str(answer.raise_for_status().json()["access_token"])
        return self._token

    def ask(self, path: str, *, headers: dict[str, str] | None = None, **params: Any) -> httpx.Response:
        """Return the raw answer to an authorised GET; a path is below the organisation, `/rest/...` below the API."""
        base = self.api_url if path.startswith("/rest/") else f"{self.api_url}/businesses.v1/{self.org_id}"
        plain = {name: str(value).lower() if isinstance(value, bool) else value for name, value in params.items()}
        return self.client.get(
            base + path, params=plain, headers={"Authorization": f"Bearer {self.token()}", **(headers or {})}
        )

    def get(self, path: str, **params: Any) -> Json:
        """Return the JSON answer to an authorised GET; raises for any status but 2xx."""
        body: Json = self.ask(path, **params).raise_for_status().json()
        return body

    def all(self, path: str, **params: Any) -> list[Json]:
        """Return all elements of a list of `businesses.v1`, page by page."""
        found: list[Json] = []
        params = {"limit": 1000, **params}
        while True:
            page = self.get(path, **params)
            found += page["elements"]
            if "next" not in page["paging"]:
                return found
            params["start"] = page["paging"]["next"]
