"""The token: fetched with the app's credentials, shared by all requests of a client, renewed before it expires."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tap_coursera.errors import TapError, TransientError, not_the_api, odd_token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEFAULT_LIFETIME = 1799.0
"""Seconds; what the vendor's token endpoint says in `expires_in`."""
MARGIN = 60.0
"""Seconds before the end at which a token is renewed."""
LONGEST_LIFETIME = 86_400.0
"""Seconds after which a token is renewed, whatever was said of it."""
_MILLISECONDS = 1e11
_SENDABLE = re.compile(r"[!-~]+")


@dataclass
class SharedToken:
    """A bearer token of one app at one endpoint; `mint` asks the token endpoint and returns its JSON answer."""

    mint: Callable[[], Mapping[str, Any]]
    auth_url: str
    clock: Callable[[], float] = time.time
    _text: str | None = field(default=None, repr=False)
    _renew_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __str__(self) -> str:
        """Never the token itself."""
        return "SharedToken"

    def value(self) -> str:
        """The token, fetched anew when there is none or it is about to expire."""
        with self._lock:
            if self._text is None or self.clock() >= self._renew_at:
                answer = self.mint()
                text = answer.get("access_token")
                if not isinstance(text, str) or not text:
                    raise TransientError(not_the_api(self.auth_url, "auth_url"))
                if not _SENDABLE.fullmatch(text):
                    raise TapError(odd_token(self.auth_url))
                lifetime = self._lifetime(answer)
                self._text = text
                self._renew_at = self.clock() + max(lifetime - MARGIN, lifetime / 2)
            return self._text

    def forget(self, refused: str) -> None:
        """Drop this token, unless another request has replaced it already."""
        with self._lock:
            if self._text == refused:
                self._text = None

    def _lifetime(self, answer: Mapping[str, Any]) -> float:
        """Seconds that are left; `issued_at` (epoch seconds) counts only where it agrees with this machine's clock."""
        expires_in = min(_number(answer.get("expires_in")) or DEFAULT_LIFETIME, LONGEST_LIFETIME)
        issued_at = _number(answer.get("issued_at"))
        if issued_at > _MILLISECONDS:
            issued_at /= 1000
        left = issued_at + expires_in - self.clock()
        return left if 0 < left < expires_in else expires_in


def _number(value: object) -> float:
    try:
        number = float(value) if isinstance(value, (int, float, str)) else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return number if 0 < number < float("inf") else 0.0
