"""What all endpoints share: one session, one token, retries, and answers that are surely the API's.

`Client.get` returns a complete JSON envelope or raises a `TapError`; it never returns half of something.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
import requests

from tap_coursera import errors
from tap_coursera.auth import SharedToken
from tap_coursera.errors import TapError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger("tap-coursera")

CONNECT_TIMEOUT = 20.0
TRIES = 7
"""Of one request; with BACKOFF_BASE these last at most about half a minute, longer only when the server asks for it."""
TRIES_UNREACHABLE = 4
"""Of a host that has not answered once in this run."""
BACKOFF_BASE = 0.5
BACKOFF_CAP = 30.0
RETRY_AFTER_CAP = 300.0
"""Seconds."""
_OK, _REDIRECT, _BAD_REQUEST, _TIMEOUT, _TOO_MANY, _SERVER_ERROR = 200, 300, 400, 408, 429, 500


@dataclass(frozen=True)
class _Target:
    """One kind of address: where it is set, and how requests to it are made."""

    url: str
    setting: str


class Client:
    """Coursera's `businesses.v1` for one organisation.

    Args:
        config: settings of the tap (`api_url`, `auth_url`, `client_id`, `client_secret`, `org_id`, `request_timeout`,
            `user_agent`).
        sleep: waits between tries.
    """

    def __init__(self, config: Mapping[str, Any], sleep: Callable[[float], None] = time.sleep) -> None:
        self._org_id: str = config["org_id"].strip()
        self._api = _Target(config["api_url"].rstrip("/"), "api_url")
        self._auth = _Target(config["auth_url"], "auth_url")
        self._credentials = (config["client_id"].strip().encode(), config["client_secret"].strip().encode())
        self._timeout = (CONNECT_TIMEOUT, float(config["request_timeout"]))
        self._sleep = sleep
        self._answered: set[str] = set()
        self._session = requests.Session()
        self._session.headers["Accept"] = "application/json"
        if config.get("user_agent"):
            self._session.headers["User-Agent"] = config["user_agent"]
        # Without a handler of its own, requests would prefer credentials from a .netrc file to the token.
        self._session.auth = _leave_headers_alone
        self.token = SharedToken(self._mint, self._auth.url)

    def get(self, stream: str, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        """The envelope `{"elements": [...], "paging": {...}}` of one request.

        `path` follows the organisation (`/programs`); `stream` is what errors call the request.
        """
        url = f"{self._api.url}/businesses.v1/{quote(self._org_id, safe='')}{path}"

        def attempt() -> dict[str, Any]:
            response = self._authorised(url, params)
            if response.status_code != _OK:
                raise TapError(errors.data_refused(response, stream, self._org_id, self._api.url))
            body = _decoded(response, self._api)
            if not isinstance(body.get("elements"), list):
                raise TransientError(errors.not_the_api(self._api.url, "api_url"))
            return body

        return self._persistently(attempt, stream, self._api)

    def _authorised(self, url: str, params: Mapping[str, str]) -> requests.Response:
        """Ask with the token; when it is refused, once more with a new one."""
        for last in (False, True):
            bearer = {"Authorization": f"Bearer {self.token.value()}"}
            response = self._send(self._api, "GET", url, params=params, headers=bearer)
            if response.status_code != errors.UNAUTHORIZED or last:
                break
            self.token.forget()
        return response

    def _mint(self) -> dict[str, Any]:
        def attempt() -> dict[str, Any]:
            response = self._send(
                self._auth,
                "POST",
                self._auth.url,
                data={"grant_type": "client_credentials"},
                auth=requests.auth.HTTPBasicAuth(*self._credentials),
            )
            if response.status_code >= _REDIRECT:
                raise TapError(errors.token_refused(response.status_code, self._auth.url))
            return _decoded(response, self._auth)

        return self._persistently(attempt, "the token", self._auth)

    def _send(self, target: _Target, method: str, url: str, **options: Any) -> requests.Response:
        """One request over the wire; every passing trouble becomes a `TransientError`."""
        try:
            # Redirects lead to a log-in page at best, and would carry the token elsewhere.
            response = self._session.request(method, url, timeout=self._timeout, allow_redirects=False, **options)
        except requests.exceptions.SSLError:
            raise TapError(errors.bad_certificate(target.url, target.setting)) from None
        except (
            requests.exceptions.InvalidSchema,
            requests.exceptions.MissingSchema,
            requests.exceptions.InvalidURL,
        ):
            raise TapError(f"{target.setting} is not a web address: set it to one that starts with https://.") from None
        except requests.exceptions.Timeout:
            raise TransientError(
                f"{errors.host(target.url)} did not answer in time: check {target.setting} or raise request_timeout."
            ) from None
        except requests.exceptions.ConnectionError:
            if target.setting in self._answered:
                raise TransientError(
                    f"{errors.host(target.url)} keeps closing the connection: run again later; no bookmark was moved."
                ) from None
            raise TransientError(errors.unreachable(target.url, target.setting)) from None
        except requests.exceptions.RequestException:
            raise TransientError(
                f"{errors.host(target.url)} keeps breaking off its answers: run again later; no bookmark was moved."
            ) from None
        self._answered.add(target.setting)
        status = response.status_code
        if status == _TOO_MANY:
            raise TransientError(
                f"{errors.host(target.url)} keeps answering that there are too many requests (HTTP 429): run again "
                "later or less often.",
                retry_after(response.headers.get("Retry-After")),
            )
        if status >= _SERVER_ERROR or status == _TIMEOUT:
            raise TransientError(
                f"{errors.host(target.url)} keeps failing (HTTP {status}): run again later; no bookmark was moved.",
                retry_after(response.headers.get("Retry-After")),
            )
        if _REDIRECT <= status < _BAD_REQUEST:
            raise TapError(errors.not_the_api(target.url, target.setting))
        return response

    def _persistently(self, attempt: Callable[[], dict[str, Any]], what: str, target: _Target) -> dict[str, Any]:
        tries = 0
        while True:
            tries += 1
            try:
                return attempt()
            except TransientError as error:
                allowed = TRIES if target.setting in self._answered else TRIES_UNREACHABLE
                if tries >= allowed:
                    raise TapError(str(error)) from None
                wait = pause(tries, error.wait)
                logger.warning("Trying %s again in %.1f s (%d of %d): %s", what, wait, tries, allowed, error)
            self._sleep(wait)


def pause(tries: int, asked: float | None) -> float:
    """Seconds to wait after this many tries: twice as long each time, never less than the server asked for."""
    backoff: float = min(BACKOFF_CAP, BACKOFF_BASE * 2 ** (tries - 1)) * random.uniform(0.5, 1)  # noqa: S311 - no secret
    return backoff if asked is None else min(RETRY_AFTER_CAP, max(asked, 0.0)) + backoff / 4


def retry_after(header: str | None) -> float | None:
    """Seconds in a `Retry-After` header, which holds seconds or an HTTP date; None when absent or unreadable."""
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - datetime.now(tz=timezone.utc)).total_seconds())


def _decoded(response: requests.Response, target: _Target) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        raise TransientError(errors.not_the_api(target.url, target.setting)) from None
    if not isinstance(body, dict):
        raise TransientError(errors.not_the_api(target.url, target.setting))
    return body


def _leave_headers_alone(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
