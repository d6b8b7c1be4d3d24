"""Sends the report of a run as JSON to a webhook, and in a few lines to people."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from coursera_connect.notices import texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEADLINE = 30.0
"""Seconds after which a webhook is given up in any case, since a publish holds its lock meanwhile."""

_LOCAL = {"localhost", "127.0.0.1", "::1"}

_TEMPORARY = {408, 425, 429}

_BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
"""The pattern of what separates two addresses of people."""


def send(report: Mapping[str, Any], webhook: str, people: str) -> list[str]:
    """Send the report to the webhook and to people (addresses for apprise); return warnings as sentences.

    This takes at most DEADLINE seconds, whatever an address does, and never raises.
    """
    deadline = DEADLINE
    began = time.monotonic()
    warnings: list[str] = []
    ended = threading.Event()

    def work() -> None:
        warnings.extend(_tell_people(report, people))
        ended.set()

    if people:
        threading.Thread(target=work, name="notice", daemon=True).start()
    trouble = post(webhook, report, deadline=deadline) if webhook else None
    if people and not ended.wait(max(0.0, deadline - (time.monotonic() - began))):
        warnings.append(f"CONNECT_NOTIFY: no answer within {deadline:.0f} seconds in all; the run is not affected.")
    return [*([trouble] if trouble else []), *warnings]


def _tell_people(report: Mapping[str, Any], people: str) -> list[str]:
    """Send the report to each address; return warnings that name only its scheme, since the rest is secret."""
    import apprise  # noqa: PLC0415 - most runs tell nobody, and it takes long to load

    logging.getLogger("apprise").disabled = True  # it would print addresses
    warnings = []
    title, body = texts.notice(report)
    for address in filter(None, _BETWEEN.split(people.strip())):
        scheme = address.partition("://")[0] if "://" in address else "one"
        service = apprise.Apprise()
        try:
            known = bool(service.add(address))
            sent = known and service.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT)
        except Exception:  # noqa: BLE001 - each of a hundred services has errors of its own, with addresses in them
            known, sent = True, False
        if not known:
            warnings.append(f"CONNECT_NOTIFY: the address ({scheme}) is none that apprise knows: correct it.")
        elif not sent:
            warnings.append(f"CONNECT_NOTIFY: the notice to {scheme} was not taken: check the address.")
    return warnings


def post(  # noqa: PLR0913 - where, what, and how patiently
    url: str,
    report: Mapping[str, Any],
    *,
    timeout: float = 10.0,
    deadline: float = DEADLINE,
    attempts: int = 3,
    allow_http: bool = False,
    pause: Callable[[float], None] = time.sleep,
) -> str | None:
    """Post the run to a webhook as `{"text": …, "report": …}`; return None, or the sentence of a warning.

    This function never raises, since an unreachable chat must not make a good run fail. `timeout` is in seconds, for
    one attempt without an answer; `deadline` is for all attempts together, including name look-up, TLS and slow
    answers. The URL is a secret (everybody who has it can post), so messages name only its host. `http://` is allowed
    for this machine only, unless `allow_http` is set. Redirects are not followed.
    """
    try:
        parts = urlsplit(url)
        host, scheme = parts.hostname or "", parts.scheme
    except ValueError:
        host = scheme = ""
    if not host or scheme not in {"http", "https"}:
        return "The webhook is no web address, so nobody was told: correct CONNECT_WEBHOOK."
    if scheme == "http" and host not in _LOCAL and not allow_http:
        return f"The webhook at {host} is not encrypted, so nobody was told: use https in CONNECT_WEBHOOK."
    body = json.dumps({"text": texts.summary(report), "report": _short(report)}, default=str)
    ended: list[tuple[int, str]] = []

    def work() -> None:
        for attempt in range(1, attempts + 1):
            found = _posted(url, body.encode(), timeout)
            if attempt == attempts or (0 < found[0] < 500 and found[0] not in _TEMPORARY):  # noqa: PLR2004 - 5xx may pass
                ended.append(found)
                return
            pause(2.0**attempt)

    # Some of what a request waits for takes no time limit, so another thread waits, and ends with the process.
    worker = threading.Thread(target=work, name="webhook", daemon=True)
    worker.start()
    worker.join(deadline)
    status, why = ended[0] if ended else (0, f"no answer within {deadline:.0f} seconds in all")
    if 0 < status < 300:  # noqa: PLR2004 - 2xx
        return None
    if 0 < status < 500 and status not in _TEMPORARY:  # noqa: PLR2004 - 5xx may pass, the rest will not
        return f"The webhook at {host} did not take the notice ({why}): check CONNECT_WEBHOOK."
    return f"The webhook at {host} could not be told ({why}): the run itself is not affected."


def _posted(url: str, body: bytes, timeout: float) -> tuple[int, str]:
    """Post once; return the HTTP status (0 without an answer) and what is wrong in words."""
    import requests  # noqa: PLC0415 - most runs have no webhook, and it takes long to load

    try:
        answer = requests.post(
            url,
            data=body,
            headers={"Content-Type": "application/json"},
            timeout=timeout,
            allow_redirects=False,
            stream=True,
            auth=lambda request: request,  # of our own, so that none is taken from ~/.netrc
        )
        with answer:
            return answer.status_code, f"HTTP {answer.status_code}"
    except requests.Timeout:
        return 0, "no answer in time"
    except requests.exceptions.SSLError:
        return 0, "its certificate is not valid"
    except requests.ConnectionError:
        return 0, "no connection"
    except (requests.RequestException, ValueError, OSError) as error:
        return 0, type(error).__name__  # their texts contain the URL


def _short(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report with shortened lists and their lengths: webhooks refuse large bodies."""
    cut = {name: rows for name, rows in report.items() if isinstance(rows, list) and len(rows) > texts.ROWS}
    return {
        **report,
        **{name: rows[: texts.ROWS] for name, rows in cut.items()},
        **{f"{name}_in_all": len(rows) for name, rows in cut.items()},
    }
