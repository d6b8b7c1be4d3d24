"""The simulated clock: a moment in a file, which moves only when somebody asks for it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from coursera_sandbox.moments import DAY, START, iso, moment

if TYPE_CHECKING:
    from pathlib import Path


FURTHEST = 366 * DAY


class Clock:
    """The clock kept in a home folder; it stands at START when there is none yet."""

    def __init__(self, home: Path) -> None:
        self._path = home / "clock.json"

    @property
    def now(self) -> int:
        """Epoch milliseconds."""
        try:
            return moment(json.loads(self._path.read_text())["now"])
        except FileNotFoundError:
            return START

    def set(self, now: int) -> int:
        """Move to a moment."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(f".{os.getpid()}.tmp")
        fresh.write_text(json.dumps({"now": iso(now)}))
        fresh.replace(self._path)
        return now

    def advance(self, milliseconds: int) -> int:
        """Move on, and say where to; ValueError for a way that it cannot go."""
        if not 0 <= milliseconds <= FURTHEST:
            raise ValueError("The clock does not run backwards, nor more than 366 days at once.")
        return self.set(self.now + milliseconds)
