"""What the other streams brought in this run: the last stream, and the only one that is the tap's own."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from typing_extensions import override

from tap_coursera.base import HOUR, CourseraStream
from tap_coursera.records import DAY, milliseconds_now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from singer_sdk.helpers.types import Context, Record

    from tap_coursera.paging import Listing


CLOCKS = "clocks"
"""In the state: this machine's and the API's at the end of the last run, epoch milliseconds."""
_REMEDY = "set this machine's clock if it is wrong; nothing that was read depends on it."


def on_this_machine(url: str) -> bool:
    """Whether an API is a stand-in such as the sandbox, whose clock is what somebody chose."""
    host = urlsplit(url).hostname or ""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


class StreamReads(CourseraStream):
    """One row for each stream and program that this run has read to the end."""

    name = "stream_reads"
    path = ""
    primary_keys = ("stream", "program_id")

    @override
    def foreseen(self, context: Context | None) -> Iterable[Listing]:
        return ()

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        for row in self._coursera.reads:
            for name in self._unwanted:
                del row[name]
            yield row
        self._tell_leaps()

    def _tell_leaps(self) -> None:
        """Remember both clocks, and say when this machine's is far from the API's, or left it since the run before.

        The run goes on: bookmarks and versions follow from what was there before.
        """
        state = self.get_context_state(None)
        before, now = state.get(CLOCKS), {"machine": milliseconds_now(), "api": self._coursera.client.now()}
        apart = now["machine"] - now["api"]
        if abs(apart) > HOUR and not on_this_machine(self.config["api_url"]):
            self.logger.warning(
                "This machine's clock is %.1f hours %s the API's: %s",
                abs(apart) / HOUR,
                "behind" if apart < 0 else "ahead of",
                _REMEDY,
            )
        elif isinstance(before, dict) and before.keys() == now.keys():
            machine, api = (now[clock] - before[clock] for clock in now)
            if machine < -HOUR or machine - max(api, 0) > DAY:
                self.logger.warning(
                    "Since the last run this machine's clock went %.1f hours %s, and the API's %.1f hours: %s",
                    abs(machine) / HOUR,
                    "back" if machine < 0 else "ahead",
                    api / HOUR,
                    _REMEDY,
                )
        state[CLOCKS] = now

    @property
    @override
    def _activates(self) -> bool:
        # What an earlier run read still holds.
        return False
