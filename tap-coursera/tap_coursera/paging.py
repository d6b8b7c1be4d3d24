"""Whole listings out of pages that may be short, repeat themselves, or shift while they are read.

The vendor pages by row index over a moving set: a row that appears or vanishes ahead of the reader pushes another one
over a page border, where it is seen twice or not at all. A listing therefore counts as read only when `total` stayed
the same from the first page to the last and as many different rows came as it said; otherwise it is read again, at
most `READS` times in all. A list that really holds a row twice counts when two readings in a row brought the very same
rows in the same order. Where the vendor sends no `total`, only rows seen twice give a shift away.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tap_coursera.errors import TapError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tap_coursera.client import Client

logger = logging.getLogger("tap-coursera")

READS = 4
"""How often a listing is read before a set that never stands still becomes an error."""
BARREN_PAGES = 20
"""Pages in a row without a row that is new to this reading, after which paging counts as going round in circles."""

Seen = dict[int, int]
"""Rows shown so far, as the 64-bit hash of their id to save memory, to the reading that last met them."""


@dataclass
class _Reading:
    """One pass from the first page to the last."""

    received: int = 0
    repeated: int = 0
    order: int = 0
    """A hash of all rows in their order."""
    totals: set[int | None] = field(default_factory=set)

    def is_complete(self, before: _Reading | None) -> bool:
        if len(self.totals) > 1 or not self.has_all():
            return False
        return not self.repeated or (before is not None and before.order == self.order)

    def has_all(self) -> bool:
        """Whether as many rows came as the newest page announced, or it announced nothing."""
        return all(total is None or self.received >= total for total in self.totals)


@dataclass(frozen=True)
class Listing:
    """A list endpoint: `path` and `params` as the vendor names them, `stream` for messages.

    `page_size` is in rows, None where the address takes no limit; `id_parts` name the fields that make up a row's `id`.
    """

    client: Client
    stream: str
    path: str
    params: Mapping[str, str]
    page_size: int | None
    id_parts: Sequence[str] = ()

    def rows(self, seen: Seen | None = None) -> Iterator[dict[str, Any]]:
        """Every row once, by its `id`.

        Args:
            seen: share it between listings that overlap, to get a row from only one of them.

        Raises:
            TapError: when paging goes in circles, or the list never stood still.
        """
        seen = {} if seen is None else seen
        first = max(seen.values(), default=0) + 1
        before: _Reading | None = None
        for number in range(1, READS + 1):
            reading = _Reading()
            yield from self._read(reading, seen, first + number - 1)
            if reading.is_complete(before):
                return
            before = reading
            logger.info("Rows of %s moved while they were read (reading %d of %d)", self.stream, number, READS)
        raise TapError(
            f"The list behind {self.stream} changed during each of {READS} readings, so rows may be missing: run "
            "again at a quieter hour, or set a larger page_size; no bookmark was moved."
        )

    def _read(self, reading: _Reading, seen: Seen, mark: int) -> Iterator[dict[str, Any]]:
        barren = 0
        for page in self._pages(reading):
            new_here = 0
            for row in page:
                key = self._key(row)
                reading.order = hash((reading.order, key))
                before = seen.get(key)
                seen[key] = mark
                if before == mark:
                    reading.repeated += 1
                    continue
                new_here += 1
                if before is None:
                    yield row
            barren = 0 if new_here else barren + 1
            if barren >= BARREN_PAGES:
                raise self._circles()

    def _pages(self, reading: _Reading) -> Iterator[list[dict[str, Any]]]:
        start = "0"
        visited = {start}
        while True:
            params = dict(self.params)
            if self.page_size is not None:
                params["limit"] = str(self.page_size)
            if start != "0":
                params["start"] = start
            answer = self.client.get(self.stream, self.path, params)
            elements = answer["elements"]
            paging = answer.get("paging")
            paging = paging if isinstance(paging, dict) else {}
            total = _integer(paging.get("total"))
            reading.received += len(elements)
            reading.totals.add(total)
            following = paging.get("next")
            yield elements
            if following is None or following == "":
                if not elements or total is None or reading.received >= total:
                    return
                following = reading.received
            following = str(following)
            backwards = following.isdecimal() and start.isdecimal() and int(following) <= int(start)
            if following in visited or backwards:
                if total is not None and reading.has_all():
                    return
                raise self._circles()
            visited.add(following)
            start = following

    def _key(self, row: object) -> int:
        """A hash that tells the row from others; ids of reports are unique only within their program.

        Composes the id of a row that came without, as the vendor does.
        """
        if isinstance(row, dict):
            if row.get("id") is None and self.id_parts:
                parts = [row.get(name) for name in self.id_parts]
                row["id"] = None if None in parts else "~".join(map(str, parts))
            if row.get("id") is not None:
                return hash((str(row["id"]), str(row.get("programId"))))
        raise TapError(
            f"A row of {self.stream} came without an id, so it cannot be told from others: check that api_url is "
            "the Coursera API, and report it if it is."
        )

    def _circles(self) -> TapError:
        return TapError(
            f"The pages of {self.stream} lead in a circle, so the list has no end: run again later, and report it to "
            "Coursera if it stays; no bookmark was moved."
        )


def _integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    try:
        return int(value)
    except ValueError:
        return None
