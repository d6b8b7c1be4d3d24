"""What all endpoints share: one session, one token, one pace, retries, and answers that are surely the API's.

A request ends with a complete JSON envelope or with a `TapError`; never with half of something. Requests may be made
from several threads at once.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
import requests

from tap_coursera import envelopes, errors
from tap_coursera.agenda import Agenda
from tap_coursera.ahead import Workers
from tap_coursera.auth import SharedToken
from tap_coursera.errors import Answer, BusyError, TapError, TransientError
from tap_coursera.pace import Pace
from tap_coursera.records import FIRST_MOMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger("tap-coursera")

CONNECT_TIMEOUT = 20.0
TRIES = 7
"""Of one request; with BACKOFF_BASE these last at most about half a minute, longer only when the server asks for it."""
TRIES_UNREACHABLE = 4
"""Of a host that has not answered once in this run."""
NEW_TOKENS = 3
"""For one request."""
BACKOFF_BASE = 0.5
BACKOFF_CAP = 30.0
RETRY_AFTER_CAP = 300.0
"""Seconds."""
_TOKEN = "the token"  # noqa: S105 - what messages call it
_OK, _REDIRECT, _BAD_REQUEST, _TIMEOUT, _TOO_MANY, _SERVER_ERROR = 200, 300, 400, 408, 429, 500


@dataclass(frozen=True)
class _Target:
    """One kind of address: where it is set, and how requests to it are made."""

    url: str
    setting: str


@dataclass
class Tally:
    """What the requests of one stream have cost so far."""

    requests: int = 0
    """Including the ones that had to be made again."""
    retries: int = 0
    received: int = 0
    """Rows of the vendor's; each as often as it came."""
    total: int = 0
    """Rows of the vendor's that there are, as the first pages of its lists told."""
    read_at: int | None = None
    """When the last of them was answered: see `Client.now`."""


class Client:
    """Coursera's Enterprise API for one organisation.

    Args:
        config: settings of the tap (`api_url`, `auth_url`, `client_id`, `client_secret`, `org_id`, `request_timeout`,
            `user_agent`, `max_parallel_requests`).
        sleep: waits between tries.
        clock: seconds, for the pace.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.org_id: str = config["org_id"]
        self.workers = Workers(config["max_parallel_requests"])
        self.agenda = Agenda()
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)
        """By the name of the stream, or "the token"."""
        self._api = _Target(config["api_url"].rstrip("/"), "api_url")
        self._auth = _Target(config["auth_url"], "auth_url")
        self._credentials = (config["client_id"].encode(), config["client_secret"].encode())
        self._timeout = (CONNECT_TIMEOUT, float(config["request_timeout"]))
        self._sleep = sleep
        self._pace = Pace(sleep, clock)
        self._answered: set[str] = set()
        self._date: int | None = None
        self._lock = threading.Lock()
        self._session = requests.Session()
        pool = requests.adapters.HTTPAdapter(pool_maxsize=self.workers.size)
        self._session.mount("https://", pool)
        self._session.mount("http://", pool)
        # A gateway's cookies would be the only thing that requests of several threads share.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers["Accept"] = "application/json"
        if config.get("user_agent"):
            self._session.headers["User-Agent"] = config["user_agent"]
        # Without a handler of its own, requests would prefer credentials from a .netrc file to the token.
        self._session.auth = _leave_headers_alone
        self.token = SharedToken(self._mint, self._auth.url)

    def now(self) -> int:
        """Epoch milliseconds by the `Date` of the newest answer; by this machine's clock where answers have none."""
        if not self._answered:
            self.token.value()
        return milliseconds_now() if self._date is None else self._date

    def get(self, stream: str, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        """The envelope `{"elements": Rows, "paging": {...}}` of one request to `businesses.v1`.

        `path` follows the organisation (`/programs`); `stream` is what errors call the request.
        """
        path = f"/businesses.v1/{quote(self.org_id, safe='')}{path}"
        trouble = errors.not_the_api(self._api.url, self._api.setting)
        return self._ask(stream, path, params, partial(envelopes.listing, trouble=trouble))

    def get_skills(self, stream: str, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        """The envelope `{"elements" or "enterpriseUserSkillsets": [...], "pagination": {...}}` of the skills service.

        `path` follows `/rest/v1/enterprise`. The vendor's description shows a bare list in one example: it becomes
        `elements`.
        """
        return self._ask(stream, f"/rest/v1/enterprise{path}", params, envelopes.skills_listing)

    def _ask(
        self, stream: str, path: str, params: Mapping[str, str], envelope: Callable[[bytes], dict[str, Any] | None]
    ) -> dict[str, Any]:
        def attempt() -> dict[str, Any]:
            response = self._authorised(stream, self._api.url + path, params)
            if response.status_code != _OK:
                raise errors.data_refused(response, stream, self.org_id, self._api.url)
            return _decoded(response, self._api, envelope)

        return self._persistently(attempt, stream, self._api)

    def _authorised(self, stream: str, url: str, params: Mapping[str, str]) -> Answer:
        """Ask with the token; when it is refused, again with a new one, since it can be revoked before its time."""
        tries = 0
        while True:
            tries += 1
            token = self.token.value()
            bearer = {"Authorization": f"Bearer {token}"}
            response = self._send(stream, self._api, "GET", url, params=params, headers=bearer)
            if response.status_code != errors.UNAUTHORIZED or tries > NEW_TOKENS:
                return response
            self.token.forget(token)
            if tries > 1:
                self._sleep(pause(tries, None))

    def _mint(self) -> dict[str, Any]:
        def attempt() -> dict[str, Any]:
            response = self._send(
                _TOKEN,
                self._auth,
                "POST",
                self._auth.url,
                data={"grant_type": "client_credentials"},
                auth=requests.auth.HTTPBasicAuth(*self._credentials),
            )
            if response.status_code >= _REDIRECT:
                raise TapError(errors.token_refused(response.status_code, self._auth.url))
            return _decoded(response, self._auth, envelopes.members)

        return self._persistently(attempt, _TOKEN, self._auth)

    def _send(self, stream: str, target: _Target, method: str, url: str, **options: Any) -> Answer:
        """One request over the wire; every passing trouble becomes a `TransientError`."""
        started = self._pace.start()
        with self._lock:
            self.tallies[stream].requests += 1
        try:
            # Redirects lead to a log-in page at best, and would carry the token elsewhere.
            with self._session.request(
                method, url, timeout=self._timeout, allow_redirects=False, stream=True, **options
            ) as response:
                # In one piece: requests would collect it in pieces of 10 kB, and hold it twice.
                content = b"".join(response.iter_content(None))
        except requests.exceptions.SSLError:
            raise TapError(errors.bad_certificate(target.url, target.setting)) from None
        except (
            requests.exceptions.InvalidSchema,
            requests.exceptions.MissingSchema,
            requests.exceptions.InvalidURL,
        ):
            raise TapError(errors.not_a_url(target.setting)) from None
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
        self._date = date(response.headers.get("Date")) or self._date
        self.tallies[stream].read_at = self._date
        status = response.status_code
        if status == _TOO_MANY:
            raise BusyError(
                f"{errors.host(target.url)} keeps answering that there are too many requests (HTTP 429): run again "
                "later or less often, or with a lower max_parallel_requests.",
                retry_after(response.headers.get("Retry-After")),
                started,
            )
        self._pace.answered(started)
        if status >= _SERVER_ERROR or status == _TIMEOUT:
            raise TransientError(
                f"{errors.host(target.url)} keeps failing (HTTP {status}): run again later; no bookmark was moved.",
                retry_after(response.headers.get("Retry-After")),
            )
        if _REDIRECT <= status < _BAD_REQUEST:
            raise TapError(errors.not_the_api(target.url, target.setting))
        return Answer(status, content)

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
                with self._lock:
                    self.tallies[what].retries += 1
                logger.warning("Trying %s again in %.1f s (%d of %d): %s", what, wait, tries, allowed, error)
                if isinstance(error, BusyError):
                    self._pace.refused(error.started, wait)
                else:
                    self._sleep(wait)


def pause(tries: int, asked: float | None) -> float:
    """Seconds to wait after this many tries: twice as long each time, never less than the server asked for."""
    backoff: float = min(BACKOFF_CAP, BACKOFF_BASE * 2 ** (tries - 1)) * random.uniform(0.5, 1)  # noqa: S311 - no secret
    return backoff if asked is None else min(RETRY_AFTER_CAP, max(asked, 0.0)) + backoff / 4


def milliseconds_now() -> int:
    """This machine's clock, epoch milliseconds."""
    return time.time_ns() // 1_000_000


def date(header: str | None) -> int | None:
    """Epoch milliseconds in a `Date` header; None when it is absent, unreadable or older than the vendor."""
    moment = _http_date(header)
    return None if moment is None or (found := int(moment.timestamp()) * 1000) < FIRST_MOMENT else found


def retry_after(header: str | None) -> float | None:
    """Seconds in a `Retry-After` header, which holds seconds or an HTTP date; None when absent or unreadable."""
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    moment = _http_date(header)
    return None if moment is None else max(0.0, (moment - datetime.now(tz=timezone.utc)).total_seconds())


def _http_date(header: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(header or "")
    except (TypeError, ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment


def _decoded(response: Answer, target: _Target, envelope: Callable[[bytes], dict[str, Any] | None]) -> dict[str, Any]:
    """The body, when `envelope` finds in it what has to be there."""
    try:
        body = envelope(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = None
    if body is None:
        raise TransientError(errors.not_the_api(target.url, target.setting))
    return body


def _leave_headers_alone(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
