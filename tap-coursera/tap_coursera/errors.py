"""What can go wrong with the connection, told in one sentence each: what happened, which setting to check, what to do.

    TapError             the run cannot go on; its text is all that an operator gets to see
    ├─ TransientError    the same request may succeed a moment later; carries how long the server asked to wait
    │  └─ BusyError      it was one too many, so all others have to wait, too
    └─ RefusedError      the data endpoint said no, for good; carries the vendor's error code

No sentence repeats what a server answered, nor a path or query with ids in it: both may hold secrets and people.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


_ID = re.compile(r"[A-Za-z0-9_-]{22}")
USUAL = {
    "api_url": "https://api.coursera.com/ent/api",
    "auth_url": "https://api.coursera.com/oauth2/client_credentials/token",
}
"""Where the API is, by setting."""
_OLDER_HOSTS = frozenset({"api.coursera.org", "accounts.coursera.org"})
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 400, 401, 403, 404


class Answer(NamedTuple):
    """What a server said."""

    status_code: int
    content: bytes


class TapError(Exception):
    """The run cannot go on; the text is one sentence for the operator."""


class TransientError(TapError):
    """Worth another try; `wait` is what the server asked for, in seconds."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class BusyError(TransientError):
    """One request too many; `started` is when it began, by the clock of the pace."""

    def __init__(self, message: str, wait: float | None, started: float) -> None:
        super().__init__(message, wait)
        self.started = started


class RefusedError(TapError):
    """The data endpoint said no; `code` is the vendor's own word for why, such as `COURSE_NOT_IN_PROGRAM`, or None."""

    def __init__(self, message: str, status: int, code: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def host(url: str) -> str:
    """Host and port of a URL, which is all of it that an error may show."""
    parts = urlsplit(url)
    return parts.hostname + (f":{parts.port}" if parts.port else "") if parts.hostname else url.partition("?")[0]


def not_a_url(setting: str) -> str:
    """What was set cannot be asked."""
    return f"{setting} is not a web address: set it to one that starts with https://."


def older_api(url: str, setting: str, status: int | None = None) -> str | None:
    """Coursera's older API, which knows other credentials; None when the URL leads elsewhere."""
    name = urlsplit(url).hostname
    if name not in _OLDER_HOSTS:
        return None
    answered = "" if status is None else f" (HTTP {status})"
    return (
        f"{name} belongs to Coursera's older API and refuses these credentials{answered}: set {setting} to "
        f"{USUAL[setting]}."
    )


def unknown_programs(missing: Iterable[str]) -> str:
    """Programs that are not among those of the organisation."""
    return (
        f"The organisation has no active program {', '.join(sorted(missing))}: program_ids takes program ids, not "
        "names or slugs; remove what no longer exists."
    )


def not_the_api(url: str, setting: str) -> str:
    """A server is there, but it does not talk like Coursera."""
    return (
        f"{host(url)} answered with something that is not the Coursera API: check {setting}, "
        "which should point at the API itself and not at a web page or proxy."
    )


def odd_token(url: str) -> str:
    """A token came that no request can bear."""
    return (
        f"{host(url)} answered with a token that no request can bear, since it has letters or blanks that tokens do "
        "not have: check auth_url, and report it to Coursera if it is right."
    )


def unreachable(url: str, setting: str) -> str:
    """No server is there, or no way leads to it."""
    return f"{host(url)} cannot be reached: check {setting}, and that this machine may open connections to it."


def bad_certificate(url: str, setting: str) -> str:
    """TLS failed, so the token was not sent."""
    return (
        f"No secure connection to {host(url)} could be made: check {setting}, and that the certificates of a proxy in "
        "between are trusted on this machine."
    )


def token_refused(status: int, url: str) -> str:
    """The token endpoint said no, for good."""
    if status in {BAD_REQUEST, UNAUTHORIZED}:
        return (
            f"Coursera refused the credentials (HTTP {status}): check client_id and client_secret, and copy both again "
            "from your app on dev.coursera.com."
        )
    if status == FORBIDDEN:
        return (
            "Coursera gives this app no token (HTTP 403): check client_id, and that the app is approved and not "
            "revoked on dev.coursera.com."
        )
    return (
        f"{host(url)} has no token endpoint there (HTTP {status}): check auth_url, which usually is "
        f"{USUAL['auth_url']}."
    )


def data_refused(response: Answer, stream: str, org_id: str, url: str, *, alone: bool) -> RefusedError:
    """The data endpoint said no, for good; the kind of its body tells which layer did, its text is not repeated.

    `alone`: others of the organisation were given in this run.
    """
    body = _members(response)
    code = body.get("errorCode")
    sentence = (
        _refused_alone(stream)
        if alone and response.status_code == FORBIDDEN
        else _refusal(response.status_code, body, stream, org_id, url)
    )
    return RefusedError(sentence, response.status_code, code if isinstance(code, str) else None)


def _refusal(status: int, body: dict[str, Any], stream: str, org_id: str, url: str) -> str:
    if older := older_api(url, "api_url", status):
        return older
    if status in {UNAUTHORIZED, FORBIDDEN}:
        return _denied(status, body, stream, org_id)
    if not body:
        return not_the_api(url, "api_url")
    return _unknown(status, stream, org_id, url)


def _unknown(status: int, stream: str, org_id: str, url: str) -> str:
    if not _ID.fullmatch(org_id):
        return _not_an_org_id(status)
    if status == NOT_FOUND:
        return (
            f"{host(url)} does not know the address of {stream} (HTTP 404): check org_id, and the path of api_url, "
            "which usually is /ent/api."
        )
    if status == BAD_REQUEST:
        return (
            f"Coursera did not understand the request for {stream} (HTTP 400): check that org_id and program_ids hold "
            "ids and not slugs."
        )
    return f"Coursera refused the request for {stream} (HTTP {status}): check api_url, and report it if that is right."


def _denied(status: int, body: dict[str, Any], stream: str, org_id: str) -> str:
    if status == UNAUTHORIZED:
        return (
            f"A brand-new token was refused when reading {stream} (HTTP 401): check that auth_url and api_url belong "
            "together and that the app of client_id is not revoked."
        )
    if "fault" in body:
        return (
            "The app has no access to the enterprise API (HTTP 403): check client_id, and enable the API products for "
            "this app on dev.coursera.com with the organisation's admin account."
        )
    if not _ID.fullmatch(org_id):
        return _not_an_org_id(status)
    return (
        "Coursera gave a token but denies access to the organisation (HTTP 403): check that org_id is the one from the "
        "API Credentials document, and that the app of client_id was made with that organisation's admin account."
    )


def _refused_alone(stream: str) -> str:
    return (
        f"Coursera denies access to {stream} alone (HTTP 403), while other lists of the organisation can be read: ask "
        "Coursera to enable it for this app, or deselect the stream."
    )


def _not_an_org_id(status: int) -> str:
    return (
        f"Coursera does not know the organisation (HTTP {status}): org_id has to be the 22-character ID from the API "
        "Credentials document, not the organisation's name or slug."
    )


def _members(response: Answer) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
