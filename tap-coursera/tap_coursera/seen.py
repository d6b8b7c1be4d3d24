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


class Seen:
    """Rows shown so far; share it between listings that overlap, to get a row from only one of them."""

    def __init__(self) -> None:
        self._used = 0
        self._places = SMALLEST
        self._keys = array("q", [0]) * SMALLEST
        """By place; 0 is a free one."""
        self._now = bytearray(SMALLEST)
        """By place, whether that row was met in this reading."""

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._keys) * self._keys.itemsize + len(self._now)

    def begin(self) -> None:
        """From here on it is another reading."""
        self._now = bytearray(len(self._keys))

    def expect(self, rows: int) -> None:
        """So many rows are going to come: room that is made for them at once is neither too much nor moved."""
        if not self._used:
            self._make_room(max(SMALLEST, min(rows, MOST_EXPECTED) * 4 // 3 + 2))

    def meet(self, key: int) -> Met:
        """Take note of a row by its key (64 bits), and tell where it was met before."""
        keys = self._keys
        key = key or 1
        place = key % self._places
        while (found := keys[place]) != key:
            if not found:
                keys[place] = key
                self._now[place] = 1
                self._used += 1
                if 4 * self._used > 3 * self._places:
                    self._make_room(2 * self._places)
                return NOWHERE
            place += 1
            if place == self._places:
                place = 0
        if self._now[place]:
            return NOW
        self._now[place] = 1
        return EARLIER

    def _make_room(self, places: int) -> None:
        before = zip(self._keys, self._now, strict=True)
        keys, now = array("q", [0]) * places, bytearray(places)
        for key, in_this_reading in before:
            if key:
                place = key % places
                while keys[place]:
                    place = (place + 1) % places
                keys[place], now[place] = key, in_this_reading
        self._keys, self._now, self._places = keys, now, places


NOWHERE, EARLIER, NOW = Met
