"""Pages of `businesses.v1`: the envelope, `paging.next` (a string, absent at the end), and the faults in paging."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urlsplit

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from coursera_sandbox.campus import Campus
    from coursera_sandbox.chance import Ints
    from coursera_sandbox.faults import Fault
    from coursera_sandbox.params import Params

Row = TypeVar("Row")


@dataclass(frozen=True)
class Call:
    """One authorised request: where it goes, what it asks for, what shall go wrong with it."""

    campus: Campus
    params: Params
    path: dict[str, str]
    faults: dict[str, Fault]
    url: str
    """For error bodies and links."""
    number: int
    """Of the request, by which faults strike."""


@dataclass(frozen=True)
class Window:
    """The part of a list that a page shows, after the paging faults had their say."""

    places: Ints
    """Indexes into the list."""
    total: int
    after: int | None
    """Row at which the next page starts; None at the end."""


def window(call: Call, name: str, size: int, start: int, limit: int) -> Window:
    """Cut a page out of a list of `size` rows; `name` tells lists apart."""
    shift = _shift(call, name, size, start)
    if "short-pages" in call.faults and limit > 1:
        limit = max(1, limit - 1 - (start * 7919 + size) % limit)
    end, total = start + limit, size + shift
    places = np.maximum(np.arange(start, min(end, total)) - shift, 0)
    return Window(places, total, end if end < total else None)


def _shift(call: Call, name: str, size: int, start: int) -> int:
    """Return 1 if a copy of the first row was inserted ahead of a list, -1 if the first row was removed, else 0.

    It happens between two pages, once to a list, and stays so.
    """
    fault = call.faults.get("shifting-rows")
    if fault is None or not size:
        return 0
    if name not in fault.shifted:
        if not start or not fault.strikes(call.campus.world.seed, call.number, urlsplit(call.url).path):
            return 0
        fault.shifted.add(name)
    return -1 if fault.number("lose") else 1


@dataclass(frozen=True)
class Listing(Generic[Row]):
    """What an endpoint lists: rows in order, and how to show some of them."""

    name: str
    rows: Sequence[Row] | Ints
    show: Callable[[Any], Sequence[Any]]

    def page(self, call: Call) -> dict[str, Any]:
        """Return the envelope with the page that the request asks for."""
        start, limit = call.params.start, call.params.limit
        cut = window(call, self.name, len(self.rows), start, limit)
        rows = (
            self.rows[cut.places]
            if isinstance(self.rows, np.ndarray)
            else [self.rows[place] for place in cut.places.tolist()]
        )
        paging: dict[str, Any] = {"total": cut.total}
        if "missing-total" in call.faults:
            paging.clear()
        if cut.after is not None:
            paging["next"] = call.params.next(cut.after)
        return {"elements": self.show(rows), "paging": paging, "linked": {}}


def single(element: object) -> dict[str, Any]:
    """Return the envelope around one object, without pages."""
    return {"elements": [element], "paging": {}, "linked": {}}
