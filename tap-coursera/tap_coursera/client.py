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
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests

from tap_coursera import deadline, envelopes, errors
from tap_coursera.agenda import Agenda
from tap_coursera.ahead import Workers
from tap_coursera.auth import SharedToken
from tap_coursera.errors import Answer, BusyError, TapError, TransientError
from tap_coursera.pace import Pace
from tap_coursera.records import FIRST_MOMENT, milliseconds_now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger("tap-coursera")

CONNECT_TIMEOUT = 20.0
TRIES = 7
"""Of one request; with BACKOFF_BASE these last at most about half a minute, longer only when the server asks for it.

What is answered with 429 is tried for `max_busy_minutes`, however often that is.
"""
TRIES_UNREACHABLE = 4
"""Of a host that has not answered once in this run."""
NEW_TOKENS = 3
"""For one request."""
BACKOFF_BASE = 0.5
BACKOFF_CAP = 30.0
RETRY_AFTER_CAP = 300.0
"""Seconds."""
_TOKEN = "the token"  # noqa: S105 - what messages call it
_PIECE = 1 << 18
"""Bytes of a body that are taken at a time."""
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
            `user_agent`, `max_parallel_requests`, `max_answer_megabytes`, `max_busy_minutes`).
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
        self._timeout = float(config["request_timeout"])
        self._largest = int(config["max_answer_megabytes"]) << 20
        self.patience = config["max_busy_minutes"] * 60.0
        """Seconds for which one request is tried again while there are too many."""
        self._sleep = sleep
        self._clock = clock
        self._pace = Pace(sleep, clock)
        self._answered: set[str] = set()
        self._gave = False
        """Whether any data was given in this run."""
        self._date: int | None = None
        self._lock = threading.Lock()
        self._session = requests.Session()
        pool = deadline.Adapter(pool_maxsize=self.workers.size)
        self._session.mount("https://", pool)
        self._session.mount("http://", pool)
        # A gateway's cookies would be the only thing that requests of several threads share.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers["Accept"] = "application/json"
        # The one encoding that is unpacked piece by piece wherever the tap runs, so that no answer expands unseen.
        self._session.headers["Accept-Encoding"] = "gzip"
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
        return self._ask(stream, path, params, envelopes.listing)

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
                raise errors.data_refused(response, stream, self.org_id, self._api.url, alone=self._gave)
            found = _decoded(response, self._api, envelope)
            self._gave = True
            return found

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
        status, headers, content = self._exchange(target, method, url, **options)
        self._answered.add(target.setting)
        self._date = date(headers.get("Date")) or self._date
        self.tallies[stream].read_at = self._date
        if status == _TOO_MANY:
            raise BusyError(
                f"{errors.host(target.url)} keeps answering that there are too many requests (HTTP 429): run again "
                "later or less often, or with a lower max_parallel_requests.",
                retry_after(headers.get("Retry-After")),
                started,
            )
        self._pace.answered(started)
        if status >= _SERVER_ERROR or status == _TIMEOUT:
            raise TransientError(
                f"{errors.host(target.url)} keeps failing (HTTP {status}): run again later; no bookmark was moved.",
                retry_after(headers.get("Retry-After")),
            )
        if _REDIRECT <= status < _BAD_REQUEST:
            raise TapError(errors.not_the_api(target.url, target.setting))
        return Answer(status, content)

    def _exchange(self, target: _Target, method: str, url: str, **options: Any) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of one answer, all of it within `request_timeout`."""
        try:
            with deadline.within(self._timeout):
                try:
                    # Redirects lead to a log-in page at best, and would carry the token elsewhere.
                    with self._session.request(
                        method,
                        url,
                        timeout=(min(CONNECT_TIMEOUT, self._timeout), self._timeout),
                        allow_redirects=False,
                        stream=True,
                        **options,
                    ) as response:
                        return response.status_code, response.headers, self._content(response, target)
                except requests.exceptions.ConnectionError:
                    # It is what requests makes of a body that does not come in time.
                    if deadline.is_over():
                        raise requests.exceptions.ReadTimeout from None
                    raise
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
                f"{errors.host(target.url)} did not answer in time: check {target.setting}, or raise request_timeout, "
                "which is for the whole of an answer."
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

    def _content(self, response: requests.Response, target: _Target) -> bytes:
        """The body, up to `max_answer_megabytes` of what it expands to."""
        pieces, size = [], 0
        for piece in response.iter_content(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > self._largest:
                raise TapError(
                    f"{errors.host(target.url)} sent an answer of more than {self._largest >> 20} MB: check "
                    f"{target.setting}, lower page_size, or raise max_answer_megabytes."
                )
        return b"".join(pieces)

    def _persistently(self, attempt: Callable[[], dict[str, Any]], what: str, target: _Target) -> dict[str, Any]:
        failed = busy = 0
        first: float | None = None
        while True:
            try:
                return attempt()
            except BusyError as error:
                busy += 1
                first = error.started if first is None else first
                wait = pause(busy, error.wait)
                if self._clock() - first + wait > self.patience:
                    raise TapError(str(error)) from None
                logger.warning(
                    "Trying %s again in %.1f s (for up to %g minutes): %s", what, wait, self.patience / 60, error
                )
                self._pace.refused(error.started, wait)
            except TransientError as error:
                failed += 1
                allowed = TRIES if target.setting in self._answered else TRIES_UNREACHABLE
                if failed >= allowed:
                    raise TapError(str(error)) from None
                wait = pause(failed, error.wait)
                logger.warning("Trying %s again in %.1f s (%d of %d): %s", what, wait, failed, allowed, error)
                self._sleep(wait)
            with self._lock:
                self.tallies[what].retries += 1


def pause(tries: int, asked: float | None) -> float:
    """Seconds to wait after this many tries: twice as long each time, never less than the server asked for."""
    backoff: float = min(BACKOFF_CAP, BACKOFF_BASE * 2 ** min(tries - 1, 10)) * random.uniform(0.5, 1)  # noqa: S311 - no secret
    return backoff if asked is None else min(RETRY_AFTER_CAP, max(asked, 0.0)) + backoff / 4


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
    except (ValueError, RecursionError):
        body = None
    if body is None:
        raise TransientError(errors.not_the_api(target.url, target.setting))
    return body


def _leave_headers_alone(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
