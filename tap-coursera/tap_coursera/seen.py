"""Which rows were met already: of millions of rows, in a tenth of the memory of a dict.

A table of 64-bit keys with open addressing: a key lies at its remainder, or in the next free place after it. A quarter
of the places stays free, so that few have to be looked at.
"""

from __future__ import annotations

from array import array
from enum import Enum

SMALLEST = 1 << 10
"""Places."""
MOST_EXPECTED = 1 << 20
"""Rows that room is made for because they were announced; more have to come first."""


class Met(Enum):
    """Where a row was met before."""

    NOWHERE = 0
    EARLIER = 1
    """In an earlier reading."""
    NOW = 2
    """In this reading."""
    OUTRANKED_EARLIER = 3
    """In an earlier reading, as a row that this one takes the place of."""
    OUTRANKED_NOW = 4
    """In this reading, as a row that this one takes the place of."""


class Seen:
    """Rows shown so far; share it between listings that overlap, to get a row from only one of them."""

    def __init__(self) -> None:
        self._used = 0
        self._places = SMALLEST
        self._keys = array("q", [0]) * SMALLEST
        """By place; 0 is a free one."""
        self._now = bytearray(SMALLEST)
        """By place, whether that row was met in this reading."""
        self._ranks: array[int] | None = None
        """By place, the rank of that row; None as long as none has one."""
        self.rivals: set[int] = set()
        """Keys that rows of several ranks had in one reading."""

    @property
    def size(self) -> int:
        """Bytes."""
        ranks = 0 if self._ranks is None else len(self._ranks) * self._ranks.itemsize
        return len(self._keys) * self._keys.itemsize + len(self._now) + ranks

    def begin(self) -> None:
        """From here on it is another reading."""
        self._now = bytearray(len(self._keys))

    def expect(self, rows: int) -> None:
        """So many rows are going to come: room that is made for them at once is neither too much nor moved."""
        if not self._used:
            self._make_room(max(SMALLEST, min(rows, MOST_EXPECTED) * 4 // 3 + 2))

    def meet(self, key: int, rank: int | None = None) -> Met:
        """Take note of a row by its key (64 bits), and tell where it was met before.

        Of two rows of one key the one of the higher rank (0 to 2**63 - 1) counts; either all rows have one, or none.
        """
        if rank is not None and self._ranks is None:
            self._ranks = array("q", [0]) * self._places
        keys = self._keys
        key = key or 1
        place = key % self._places
        while (found := keys[place]) != key:
            if not found:
                keys[place] = key
                self._now[place] = 1
                self._used += 1
                if self._ranks is not None:
                    self._ranks[place] = rank or 0
                if 4 * self._used > 3 * self._places:
                    self._make_room(2 * self._places)
                return NOWHERE
            place += 1
            if place == self._places:
                place = 0
        met = NOW if self._now[place] else EARLIER
        self._now[place] = 1
        if self._ranks is not None and rank != self._ranks[place]:
            if met is NOW:
                self.rivals.add(key)
            if (rank or 0) > self._ranks[place]:
                self._ranks[place] = rank or 0
                return OUTRANKED_NOW if met is NOW else OUTRANKED_EARLIER
        return met

    def _make_room(self, places: int) -> None:
        ranks_before = self._ranks or bytes(self._places)
        before = zip(self._keys, self._now, ranks_before, strict=True)
        keys, now = array("q", [0]) * places, bytearray(places)
        ranks = None if self._ranks is None else array("q", [0]) * places
        for key, in_this_reading, rank in before:
            if key:
                place = key % places
                while keys[place]:
                    place = (place + 1) % places
                keys[place], now[place] = key, in_this_reading
                if ranks is not None:
                    ranks[place] = rank
        self._keys, self._now, self._ranks, self._places = keys, now, ranks, places


NOWHERE, EARLIER, NOW, OUTRANKED_EARLIER, OUTRANKED_NOW = Met
