"""Which addresses a token may be sent to."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit, urlunsplit


def origin(address: str) -> tuple[str, str, int]:
    """Return scheme, host and port of an address; the host is blank if it is no address."""
    try:
        parts = urlsplit(address)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    except ValueError:
        return "", "", 0
    return parts.scheme, (parts.hostname or "").lower(), port


def is_safe(address: str) -> bool:
    """Return whether an address is https, or http on this machine, without a user name or a fragment in it."""
    scheme, host, port = origin(address)
    if not host or not port or "@" in urlsplit(address).netloc or any(mark in address for mark in " \r\n\t#\\"):
        return False
    return scheme == "https" or (scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def scores_of(line_item: str) -> str:
    """Return the address for the scores of a line item: `/scores` goes before a query string."""
    parts = urlsplit(line_item)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/scores"))
