"""How fast requests may start: all of them wait together when the vendor is busy, and get faster again by and by.

The vendor documents no quota, so the pace is found out: requests start as they come until one is refused for being one
too many. From then on they keep a distance, which doubles with every further refusal and shrinks with every answer.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_GAP, LONGEST_GAP, NO_GAP = 0.1, 2.0, 0.01
"""Seconds between the starts of two requests: after the first refusal, at most, and what counts as none."""
RECOVERY = 0.8
"""What an answer makes of the distance."""


@dataclass
class Pace:
    """Shared by all requests of a client; `start` before each of them, then tell how it went."""

    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    gap: float = 0.0
    """Seconds between the starts of two requests."""
    _next: float = 0.0
    _slowed: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def start(self) -> float:
        """Wait for one's turn; the moment at which the request starts."""
        while True:
            with self._lock:
                now = self.clock()
                wait = self._next - now
                if wait <= 0:
                    self._next = now + self.gap
                    return now
            self.sleep(wait)

    def refused(self, started: float, wait: float) -> None:
        """A request that started then was one too many: nobody starts for `wait` seconds, then at more distance."""
        with self._lock:
            now = self.clock()
            if started > self._slowed:
                # Those that were under way together are refused together, which is one sign and not many.
                self._slowed = now
                self.gap = min(LONGEST_GAP, max(FIRST_GAP, self.gap * 2))
            self._next = max(self._next, now + wait)

    def answered(self, started: float) -> None:
        """A request that started then came through."""
        with self._lock:
            # Those that started before the last slow-down say nothing about the distance since.
            if started > self._slowed:
                self.gap = self.gap * RECOVERY if self.gap > NO_GAP else 0.0
