"""Whole listings out of pages that may be short, repeat themselves, or shift while they are read.

The vendor pages by row index over a moving set: a row that appears or vanishes ahead of the reader pushes another one
over a page border, where it is seen twice or not at all. A listing therefore counts as read only when `total` stayed
the same from the first page to the last and as many different rows came as it said; otherwise it is read again, at
most `READS` times in all. A list that really holds a row twice counts when two readings in a row brought the very same
rows in the same order. Where the vendor sends no `total`, only rows seen twice give a shift away.

Pages are asked for ahead of time, and read in order: once the first page has told `total` and has kept to the page
size, it is known where the others start. Listings that are read one after the other share that head start, and what is
left of it goes to what the run reads next.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast
from urllib.parse import parse_qsl, urlsplit

from tap_coursera.errors import TapError
from tap_coursera.seen import EARLIER, NOW, OUTRANKED_NOW, Seen
from tap_coursera.texts import OddRow
from tap_coursera.typed import TypedRow

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from tap_coursera.ahead import Pending
    from tap_coursera.client import Client
    from tap_coursera.typed import Raw as Row

logger = logging.getLogger("tap-coursera")

READS = 4
"""How often a listing is read before a set that never stands still becomes an error."""
MOST_PAGES, MOST_NEW = 100_000, 10_000
"""Pages of a list, and rows beyond twice as many as its first page announced, after which it has no end."""
BARREN_PAGES = 20
"""Pages in a row without a row that is new to this reading, after which paging counts as going round in circles."""


class Page(NamedTuple):
    """One answer: its rows, how many there are in all, where the next page starts (None: nowhere, as far as said)."""

    rows: Collection[Row]
    total: int | None
    following: str | None


class Dialect(Protocol):
    """How an API wants to be asked for a page, and how it says what comes next."""

    def page(self, listing: Listing, position: str, received: int) -> Page:
        """The page at a position; "0" is the first one, others are what the page before said is `following`.

        `received` is how many rows came before it.
        """


class Businesses:
    """`businesses.v1`: `start` and `limit`, then `paging: {next, total}`; `next` is text, or a number, or absent."""

    def page(self, listing: Listing, position: str, received: int) -> Page:  # noqa: ARG002 - `next` says it all
        """The page at a row number, or at the cursor of the page before."""
        params = dict(listing.params)
        if listing.page_size is not None:
            params["limit"] = str(listing.page_size)
        if position != "0":
            params["start"] = position
        answer = listing.client.get(listing.stream, listing.path, params)
        paging = _members(answer.get("paging"))
        rows = answer["elements"]
        if listing.typed is not None:
            rows.typed(listing.typed)
        return Page(rows, _integer(paging.get("total")), _text(paging.get("next")))


@dataclass(frozen=True)
class Skills:
    """The skills service: `offset` and `limit`, then `pagination: {total, nextPage, nextPageLink}`.

    The link is followed where there is one, by its query: its host and path are those of the list already, and a token
    goes nowhere else. Without a link it is not established whether the label of the next page is sent back as `offset`
    or as `nextPage`, so both are sent.

    Args:
        offset_is_index: the vendor describes `offset` as a row number, not as the label.
    """

    offset_is_index: bool

    def page(self, listing: Listing, position: str, received: int) -> Page:
        """The page at a link, a label or a row number."""
        params = dict(listing.params)
        if listing.page_size is not None:
            params["limit"] = str(listing.page_size)
        if "?" in position:
            params |= dict(parse_qsl(urlsplit(position).query))
        elif position != "0":
            label_is_index = position.isdecimal()
            params["offset"] = str(received) if self.offset_is_index and not label_is_index else position
            if not label_is_index:
                params["nextPage"] = position
        answer = listing.client.get_skills(listing.stream, listing.path, params)
        paging = _members(answer.get("pagination"))
        following = _text(paging.get("nextPageLink")) or _text(paging.get("nextPage"))
        return Page(answer["elements"], _integer(paging.get("total")), following)


BUSINESSES = Businesses()


@dataclass
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
    dialect: Dialect = BUSINESSES
    typed: Callable[[Any], Row] | None = None
    """Decodes a row that is what its schema says."""
    fields: frozenset[str] = frozenset()
    """What a row may have; an answer of which no row has any of them is not the vendor's."""
    rank: Callable[[Row], int] | None = None
    """Of rows with one id the one of the highest rank counts (0 to 2**63 - 1), whatever their order; else the first."""
    total: int | None = None
    """How many rows it has, as its newest page says."""
    size: int | None = None
    """How many rows it had, once it was read."""

    def rows(self, seen: Seen | None = None) -> Iterator[Row]:
        """Every row once, by its `id`; see `read`."""
        return read([self], seen)


@dataclass
class _Reading:
    """One pass from the first page to the last."""

    received: int = 0
    repeated: int = 0
    order: int = 0
    """A hash of all rows in their order."""
    totals: set[int | None] = field(default_factory=set)

    def is_complete(self, before: _Reading | None) -> bool:
        if len(self.totals - {None}) > 1 or not self.has_all():
            return False
        return not self.repeated or (before is not None and before.order == self.order)

    def has_all(self) -> bool:
        """Whether as many rows came as the newest page announced, or it announced nothing."""
        return all(total is None or self.received >= total for total in self.totals)


def read(listings: Iterable[Listing], seen: Seen | None = None) -> Iterator[Row]:
    """The rows of some listings, one listing after the other: every row once, by its `id`, whichever listing shows it.

    Where listings rank their rows, one that outranks an earlier row of the same id comes as well, after it.

    Args:
        listings: they are taken from the iterable when there is room for their first page.
        seen: rows that were shown elsewhere, to leave them out here.

    Raises:
        TapError: when paging goes in circles, or a list never stood still.
    """
    seen = Seen() if seen is None else seen
    ahead = _Ahead(iter(listings))
    try:
        while (listing := ahead.begin()) is not None:
            yield from _whole(listing, seen, ahead)
    finally:
        ahead.give_up()


def _whole(listing: Listing, seen: Seen, ahead: _Ahead) -> Iterator[Row]:
    before: _Reading | None = None
    for number in range(1, READS + 1):
        reading = _Reading()
        yield from _pass(listing, reading, seen, ahead)
        if reading.is_complete(before):
            listing.size = reading.received
            return
        before = reading
        logger.info("Rows of %s moved while they were read (reading %d of %d)", listing.stream, number, READS)
    raise TapError(
        f"The list behind {listing.stream} changed during each of {READS} readings, so rows may be missing: run "
        "again at a quieter hour, or set a larger page_size; no bookmark was moved."
    )


def _pass(listing: Listing, reading: _Reading, seen: Seen, ahead: _Ahead) -> Iterator[Row]:
    barren = 0
    seen.begin()
    for page in _pages(listing, reading, ahead):
        seen.expect(listing.total or 0)
        new_here = unknown = 0
        for row in page:
            key = _key(listing, row)
            if key is None:
                key, row, is_foreign = _nameless(listing, row)  # noqa: PLW2901 - what is no object has nothing in it
                unknown += is_foreign
            reading.order = hash((reading.order, key))
            met = seen.meet(key) if listing.rank is None else seen.meet(key, listing.rank(row))
            if met is NOW or met is OUTRANKED_NOW:
                reading.repeated += 1
            if met is NOW:
                continue
            new_here += 1
            if met is not EARLIER:
                yield row
        if unknown and unknown == len(page):
            raise TapError(
                f"The rows of {listing.stream} hold nothing that Coursera documents: check that api_url is the "
                "Coursera API, and report it if it is."
            )
        barren = 0 if new_here else barren + 1
        if barren >= BARREN_PAGES:
            raise _circles(listing)


def _pages(listing: Listing, reading: _Reading, ahead: _Ahead) -> Iterator[Collection[Row]]:
    position, announced = "0", None
    visited = {position}
    tally = listing.client.tallies[listing.stream]
    while True:
        page = ahead.page(position, reading.received)
        if position == "0":
            tally.total += page.total or 0
            announced = page.total
        tally.received += len(page.rows)
        reading.received += len(page.rows)
        reading.totals.add(page.total)
        listing.total = page.total
        yield page.rows
        endless = len(visited) > MOST_PAGES or (announced is not None and reading.received > 2 * announced + MOST_NEW)
        if endless:
            raise _circles(listing)
        following = page.following
        if following is None:
            if not page.rows or page.total is None or reading.received >= page.total:
                return
            following = str(reading.received)
        backwards = following.isdecimal() and position.isdecimal() and int(following) <= int(position)
        if following in visited or backwards:
            if page.total is not None and reading.has_all():
                return
            raise _circles(listing)
        visited.add(following)
        position = following


class Begun:
    """A listing with pages of it that are under way or wait to be read, in order, from the first one on."""

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self._pages: deque[tuple[str, Pending[Page]]] = deque()
        self._starts: Iterator[int] | None = None
        """Where further pages start; None as long as the first one has not told."""
        self._begin("0", 0)

    @property
    def waiting(self) -> int:
        """Pages that are under way or wait."""
        return len(self._pages)

    def more(self) -> bool:
        """Begin another page, if it is known that there is one."""
        if self._starts is None and self._pages[0][1].done():
            try:
                self._learn(self._pages[0][1].result())
            except BaseException:  # noqa: BLE001 - raised again where the page is read
                self._starts = iter(())
        if (start := next(self._starts or iter(()), None)) is None:
            return False
        self._begin(str(start), start)
        return True

    def page(self, position: str, received: int) -> Pending[Page]:
        """The page at this position, `received` rows after the first one; it is not kept."""
        if not self._pages or self._pages[0][0] != position:
            # This list does not keep to its page size, or is read again.
            self.give_up()
            self._starts = None if position == "0" else iter(())
            self._begin(position, received)
        return self._pages[0][1]

    def read(self, page: Page) -> None:
        """The page that was asked for last is there."""
        self._pages.popleft()
        if self._starts is None:
            self._learn(page)

    def give_up(self) -> None:
        """Nobody wants the rest."""
        self._starts = iter(())
        while self._pages:
            self._pages.popleft()[1].cancel()

    def _begin(self, position: str, received: int) -> None:
        listing = self.listing
        call = partial(listing.dialect.page, listing, position, received)
        self._pages.append((position, listing.client.workers.begin(call)))

    def _learn(self, first: Page) -> None:
        size = len(first.rows)
        regular = first.following == str(self.listing.page_size) == str(size)
        self._starts = iter(range(size, first.total or 0, size) if regular else ())


class _Ahead:
    """Pages under way or waiting to be read: of the current list, of those that follow it here, and of the agenda.

    Of each at most as many as requests may be in flight. Those of lists to come are begun while the current list leaves
    requests free; what the agenda has begun takes no room from the others, which are read before it.
    """

    def __init__(self, listings: Iterator[Listing]) -> None:
        self._coming = listings
        self._current: Begun | None = None
        self._later: deque[Begun] = deque()

    def begin(self) -> Listing | None:
        """Go on with the next listing; None after the last."""
        if self._current is not None:
            self._current.give_up()
        if not self._later and not self._take():
            return None
        self._current = self._later.popleft()
        return self._current.listing

    def page(self, position: str, received: int) -> Page:
        """The page of the current listing at this position, `received` rows after its first one."""
        current = cast("Begun", self._current)
        pending = current.page(position, received)
        self._fill(current)
        page = current.listing.client.workers.wait_for(pending)
        current.read(page)
        self._fill(current)
        return page

    def give_up(self) -> None:
        """Nobody wants the rest."""
        for one in (self._current, *self._later):
            if one is not None:
                one.give_up()

    def _fill(self, current: Begun) -> None:
        size, agenda = current.listing.client.workers.size, current.listing.client.agenda
        if size == 1:
            return
        while current.waiting < size and current.more():
            pass
        while current.waiting < size and self._waiting < size:
            if not (any(one.more() for one in self._later) or self._take()):
                break
        while current.waiting < size and self._waiting + agenda.waiting < size and agenda.begin():
            pass

    @property
    def _waiting(self) -> int:
        return sum(one.waiting for one in self._later)

    def _take(self) -> bool:
        """Have the next listing begun, if there is one."""
        if (listing := next(self._coming, None)) is None:
            return False
        self._later.append(listing.client.agenda.take(listing) or Begun(listing))
        return True


def _key(listing: Listing, row: object) -> int | None:
    """A hash that tells the row from others; ids of reports are unique only within their program.

    Composes the id of a row that came without, as the vendor does; None where it cannot.
    """
    if isinstance(row, (dict, TypedRow)):
        name, program = row.get("id"), row.get("programId", "None")
        if name.__class__ is str is program.__class__ and name:
            return hash((name, program))
        if _is_missing(name) and listing.id_parts:
            parts = [row.get(name) for name in listing.id_parts]
            row["id"] = None if any(map(_is_missing, parts)) else "~".join(map(str, parts))
        if not _is_missing(row.get("id")):
            return hash((str(row["id"]), str(row.get("programId"))))
    return None


def _nameless(listing: Listing, row: object) -> tuple[int, Row, bool]:
    """A row without an id, which is left out further on: its key, itself, and whether the vendor documents none of it.

    The same one in another reading is no other.
    """
    if isinstance(row, TypedRow):
        return hash(repr(row)), row, False
    if isinstance(row, dict):
        return hash(repr(row)), row, bool(listing.fields) and listing.fields.isdisjoint(row)
    return hash(repr(row)), OddRow(), True


def _is_missing(part: object) -> bool:
    return part is None or part == ""


def _circles(listing: Listing) -> TapError:
    return TapError(
        f"The pages of {listing.stream} lead in a circle, so the list has no end: run again later, and report it to "
        "Coursera if it stays; no bookmark was moved."
    )


def _members(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    try:
        return int(value)
    except ValueError:
        return None
