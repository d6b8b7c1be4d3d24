"""The services of a platform over HTTP: tokens, pages, speed, waiting, and what an answer means."""

from __future__ import annotations

import email.utils
import json
import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests

from target_lti_ags import addresses
from target_lti_ags.errors import CourseError, PlatformError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_lti_ags.keys import Key

_AGS = "https://purl.imsglobal.org/spec/lti-ags/scope"
LINE_ITEMS, LINE_ITEMS_READ, SCORES = f"{_AGS}/lineitem", f"{_AGS}/lineitem.readonly", f"{_AGS}/score"
MEMBERS = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"

LINE_ITEM = "application/vnd.ims.lis.v2.lineitem+json"
LINE_ITEM_LIST = "application/vnd.ims.lis.v2.lineitemcontainer+json"
SCORE = "application/vnd.ims.lis.v1.score+json"
MEMBER_LIST = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_TIMEOUT = (15, 90)
_ATTEMPTS = 6
_LONGEST_WAIT = 600.0
_LONGEST_BACKOFF = 60.0
_MOST_BYTES = 32 << 20
_MOST_PAGES = 1000
_EARLY = 60
_LEAST_LIFE = 5


@dataclass(frozen=True)
class Answer:
    """An answer of a platform: the HTTP status (0 if there was none), the decoded JSON or None, and the next page."""

    status: int
    body: Any = None
    next_page: str = ""
    says_timestamp: bool = False
    """Whether the answer speaks of a timestamp, by which platforms refuse a score that is not newer."""
    is_uncertain: bool = False
    """Whether it is unknown if the platform did what it was asked to, in this attempt or an earlier one."""

    @property
    def is_done(self) -> bool:
        """Whether the platform did what it was asked to."""
        return 200 <= self.status < 300  # noqa: PLR2004

    @property
    def is_outage(self) -> bool:
        """Whether there was no answer, or the platform failed."""
        return not self.status or self.status >= 500 or self.status == 429  # noqa: PLR2004


class Platform:
    """The services of one platform, used by several threads at once."""

    def __init__(  # noqa: PLR0913 - each is a setting
        self,
        *,
        client_id: str,
        token_url: str,
        audience: str,
        key: Key,
        scopes: list[str],
        requests_per_second: float,
    ) -> None:
        self._client_id, self._token_url, self._audience, self._key = client_id, token_url, audience, key
        self._scope = " ".join(scopes)
        self._gap = 1 / requests_per_second
        self._sessions = threading.local()
        self._pace, self._renewing = threading.Lock(), threading.Lock()
        self._free_at = 0.0
        self._token, self._token_ends = "", 0.0

    # What a course has

    def pages(self, address: str, accept: str, parameters: dict[str, str] | None = None) -> Iterator[Any]:
        """Yield the decoded pages of a list.

        Raises:
            CourseError: a page cannot be had, or the next one is at an unsafe address.
        """
        wanted, seen = address, set[str]()
        while wanted:
            if len(seen) >= _MOST_PAGES or wanted in seen:
                raise CourseError("course-failed", "A list of the platform does not end.")
            seen.add(wanted)
            answer = self.ask("GET", wanted, accept=accept, parameters=parameters)
            if not answer.is_done or answer.body is None:
                raise course_error(answer)
            yield answer.body
            wanted, parameters = answer.next_page, None
            if wanted:
                self.check(wanted, address)

    @staticmethod
    def check(given: str, service: str) -> None:
        """Refuse an address of the platform that leads to another host, or is no https address.

        Raises:
            CourseError: a token must not be sent there.
        """
        if not addresses.is_safe(given) or addresses.origin(given) != addresses.origin(service):
            raise CourseError("address-refused", "The platform names an address on another host or without https.")

    # A request

    def ask(  # noqa: PLR0913 - each is a part of a request
        self,
        method: str,
        address: str,
        *,
        accept: str = "",
        content_type: str = "",
        body: dict[str, Any] | None = None,
        parameters: dict[str, str] | None = None,
        repeat_uncertain: bool = True,
    ) -> Answer:
        """Send a request, wait as the platform says, and return the last answer.

        A request whose effect is unknown (no answer, or a failure of the platform) is repeated unless
        `repeat_uncertain` is off.

        Raises:
            PlatformError: there is no token, or a new one is refused, too.
        """
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Accept": accept} if accept else {}
        headers |= {"Content-Type": content_type} if content_type else {}
        answer, uncertain, renewed = Answer(0), False, False
        for attempt in range(_ATTEMPTS):
            token = self._valid_token()
            answer, wait = self._once(method, address, headers, token, data, parameters)
            if answer.status == 401:  # noqa: PLR2004
                if renewed:
                    raise PlatformError(
                        "The platform refuses a token that it gave a moment ago: see whether the tool is still allowed "
                        "there, with its grade services."
                    )
                self._forget(token)
                renewed = True
                continue
            unclear = not answer.status or answer.status >= 500  # noqa: PLR2004
            uncertain = uncertain or unclear
            if wait is None or (unclear and not repeat_uncertain) or attempt == _ATTEMPTS - 1 or wait > _LONGEST_WAIT:
                break
            self._hold(wait if wait >= 0 else _backoff(attempt))
        return Answer(answer.status, answer.body, answer.next_page, answer.says_timestamp, uncertain)

    def _once(  # noqa: PLR0913, PLR0917 - each is a part of a request
        self,
        method: str,
        address: str,
        headers: dict[str, str],
        token: str,
        data: bytes | None,
        parameters: dict[str, str] | None,
    ) -> tuple[Answer, float | None]:
        """Send a request once; return the answer, and the seconds to wait before the next attempt.

        None is for no other attempt, -1 for a wait that the platform does not tell.
        """
        self._await_turn()
        try:
            with self._session.request(
                method,
                address,
                headers=headers | {"Authorization": f"Bearer {token}"},
                data=data,
                params=parameters,
                timeout=_TIMEOUT,
                allow_redirects=False,
                stream=True,
            ) as response:
                text = _read(response)
                answer = Answer(
                    response.status_code,
                    _decoded(text),
                    requests.compat.urljoin(address, response.links.get("next", {}).get("url", ""))
                    if "next" in response.links
                    else "",
                    b"timestamp" in text.lower(),
                )
                throttled = response.status_code == 429 or (  # noqa: PLR2004
                    response.status_code == 403 and b"rate limit exceeded" in text.lower()  # noqa: PLR2004 - Canvas
                )
                if throttled or response.status_code >= 500:  # noqa: PLR2004
                    status = 429 if throttled else response.status_code
                    return Answer(status, None), _told_wait(response.headers.get("Retry-After", ""))
                return answer, None
        except requests.RequestException:
            return Answer(0), -1

    @property
    def _session(self) -> requests.Session:
        """The connections of this thread."""
        found: requests.Session | None = getattr(self._sessions, "session", None)
        if found is None:
            found = self._sessions.session = requests.Session()
            found.trust_env = True
            found.auth = _no_other_credentials
        return found

    def _await_turn(self) -> None:
        """Wait until another request is allowed by the rate."""
        with self._pace:
            now = time.monotonic()
            turn = max(now, self._free_at)
            self._free_at = turn + self._gap
        time.sleep(max(0.0, turn - now))

    def _hold(self, seconds: float) -> None:
        """Let no request of any thread begin for a while."""
        with self._pace:
            self._free_at = max(self._free_at, time.monotonic() + seconds)

    # Tokens

    def _valid_token(self) -> str:
        with self._renewing:
            if not self._token or time.monotonic() >= self._token_ends:
                self._renew()
            return self._token

    def _forget(self, token: str) -> None:
        """Drop a token that was refused, unless another thread has a new one already."""
        with self._renewing:
            if self._token == token:
                self._token = ""

    def _renew(self) -> None:
        for attempt in range(_ATTEMPTS):
            self._await_turn()
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": _ASSERTION,
                "client_assertion": self._key.assertion(self._client_id, self._audience),
                "scope": self._scope,
            }
            status, wait = 0, -1.0
            try:
                with self._session.post(
                    self._token_url, data=form, timeout=_TIMEOUT, allow_redirects=False, stream=True
                ) as response:
                    status = response.status_code
                    wait = _told_wait(response.headers.get("Retry-After", ""))
                    body = _decoded(_read(response))
            except requests.RequestException:
                body = None
            if status == 200 and isinstance(body, dict) and isinstance(body.get("access_token"), str):  # noqa: PLR2004
                life = body.get("expires_in")
                life = float(life) if isinstance(life, (int, float, str)) and _is_number(life) else 3600.0
                self._token = body["access_token"]
                self._token_ends = time.monotonic() + max(life - _EARLY, min(life / 2, _LEAST_LIFE))
                return
            if status and status < 500 and status != 429:  # noqa: PLR2004
                break
            if attempt == _ATTEMPTS - 1 or wait > _LONGEST_WAIT:
                break
            self._hold(wait if wait >= 0 else _backoff(attempt))
        if not status:
            raise PlatformError("The token service of the platform cannot be reached: check token_url and the network.")
        raise PlatformError(
            f"The platform gives no token (HTTP {status}): check client_id, token_url, token_audience, and that the "
            "platform knows the public key under key_id."
        )


def _no_other_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep requests from adding what a .netrc file says."""
    return request


def _read(response: requests.Response) -> bytes:
    """Return the body of an answer.

    Raises:
        requests.RequestException: the body ends early or is too large.
    """
    text = b""
    for block in response.iter_content(1 << 16):
        text += block
        if len(text) > _MOST_BYTES:
            raise requests.exceptions.ContentDecodingError
    return text


def _decoded(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _told_wait(header: str) -> float:
    """Return the seconds of a Retry-After header, which are a number or a date; -1 if it tells none."""
    if _is_number(header):
        return max(0.0, float(header))
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except (TypeError, ValueError, IndexError):
        return -1


def _is_number(value: Any) -> bool:
    try:
        return 0 <= float(value) < float("inf")
    except (TypeError, ValueError):
        return False


def _backoff(attempt: int) -> float:
    return min(2.0**attempt, _LONGEST_BACKOFF) * random.uniform(0.75, 1.25)  # noqa: S311 - spreads, no secret


def course_error(answer: Answer) -> CourseError:
    """Return the error for an answer by which a course cannot be served."""
    if answer.is_outage:
        return CourseError("course-failed", "The platform failed or did not answer.", answer.status, is_outage=True)
    if answer.is_done:
        return CourseError("course-failed", "The platform answered with something that is no JSON.", answer.status)
    return CourseError("course-refused", "The platform refused the course.", answer.status)
