"""Questions on a terminal, each of which an option may have answered already."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from coursera_connect.cli import terminal
from coursera_connect.errors import ConnectError, UsageError
from coursera_connect.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NUMBERS = re.compile(r"(\d+)(?:\s*-\s*(\d+))?")


@dataclass(frozen=True)
class Questions:
    """Asks, unless `asks` is false; `given` are the options that were typed."""

    given: Mapping[str, Any]
    asks: bool

    def answer(self, option: str, question: str, now: str, check: Callable[[str], str] = str) -> str:
        """Return the result of `check` for the typed option or for the answer; `now` if nothing is asked."""
        if self.given.get(option):
            return check(one_line(self.given[option]))
        return self.asked(question, now, check) if self.asks else now

    def asked(self, question: str, now: str, check: Callable[[str], Any]) -> Any:
        """Ask until `check` accepts the answer, and return its result. `now` is the default."""

        def value(text: str) -> Any:
            try:
                return check(one_line(text))
            except ConnectError as error:
                raise click.UsageError(str(error)) from error

        return click.prompt(question, default=now or None, value_proc=value)

    def secret(self, option: str, question: str, now: str) -> str:
        """Return a secret from the file of an option, or from hidden input; `now` is the default."""
        if file := self.given.get(option):
            return one_line(file.read())
        if not self.asks:
            return now
        keep = " (blank keeps the one there is)" if now else ""
        return one_line(click.prompt(question + keep, default=now, hide_input=True, show_default=False))

    def repeated(self, step: Callable[[], None]) -> None:
        """Repeat a step until it succeeds or the administrator gives up."""
        again = True
        while again:
            again = self._failed(step)

    def _failed(self, step: Callable[[], None]) -> bool:
        """Do a step, and return whether it failed and should be repeated."""
        try:
            step()
        except ConnectError as error:
            if not self.asks:
                raise
            terminal.say(f"FAILED: {error}")
            if not click.confirm("Try again?", default=True):
                raise
            return True
        return False


def numbers_of(programs: list[str]) -> Callable[[str], list[str]]:
    """Return a check of an answer that chooses listed programs: `all`, or their numbers, such as 1,3-5."""

    def chosen(text: str) -> list[str]:
        if text.strip().lower() == "all":
            return programs
        found: dict[str, None] = {}
        for part in text.split(","):
            span = _NUMBERS.fullmatch(part.strip())
            first, last = (int(span[1]), int(span[2] or span[1])) if span else (0, 0)
            if not 1 <= first <= last <= len(programs):
                raise UsageError(f"{part.strip()} is none of the numbers 1 to {len(programs)}.")
            found |= dict.fromkeys(programs[first - 1 : last])
        return list(found)

    return chosen
