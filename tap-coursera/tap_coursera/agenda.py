"""What the whole run is going to read after what it reads now: lists that may be begun before their turn.

A turn is a stream in a program, or a stream of the organisation. Turns come in the order in which the SDK takes them;
each names the lists that it is sure to ask for, as far as that is known beforehand. Whoever reads such a list finds
it begun. A list that was named and is not asked for in its turn costs its requests and nothing else.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tap_coursera.errors import TapError
from tap_coursera.paging import Begun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tap_coursera.paging import Listing

    Place = tuple[str, Mapping[str, Any] | None]
    """Stream and context."""
    Turns = Iterator[tuple[Place, Callable[[], Iterable[Listing]]] | None]
    """Each turn with the lists in it; None while it is not known yet what comes next."""

REACH = 32
"""Turns; what is begun much earlier than it is read may have changed meanwhile, and is then read twice."""


@dataclass
class _Turn:
    place: Place
    begun: deque[Begun] = field(default_factory=deque)


class Agenda:
    """Turns that are to come, and the lists that were begun for them."""

    def __init__(self) -> None:
        self._coming: Turns = iter(())
        self._turns: deque[_Turn] = deque()
        """The current one, and those that were looked at ahead of their time."""
        self._lists: Iterator[Listing] = iter(())
        """Of the last of them, what is not begun."""

    def plan(self, turns: Turns) -> None:
        """These are to come; what was planned before is given up."""
        self._coming, self._lists = turns, iter(())
        while self._turns:
            _give_up(self._turns.popleft())

    @property
    def waiting(self) -> int:
        """Pages that were begun and not taken."""
        return sum(one.waiting for turn in self._turns for one in turn.begun)

    def turn(self, place: Place) -> None:
        """From now on it is this one's turn, which takes care of its lists itself."""
        while self._turns and self._turns[0].place != place:
            _give_up(self._turns.popleft())
        if len(self._turns) > 1:
            return
        self._lists = iter(())
        if not self._turns:
            for coming in self._coming:
                if coming is None:
                    return
                if coming[0] == place:
                    self._turns.append(_Turn(place))
                    return

    def begin(self) -> bool:
        """Begin the next page, if it is known what comes next."""
        if any(one.more() for turn in self._turns for one in turn.begun):
            return True
        while (listing := next(self._lists, None)) is None:
            coming = next(self._coming, None) if len(self._turns) < REACH else None
            if coming is None:
                return False
            place, lists = coming
            self._turns.append(_Turn(place))
            try:
                self._lists = iter(lists())
            except TapError:
                # Something is wrong with the state, which is told when it is that stream's turn.
                self._lists = iter(())
        self._turns[-1].begun.append(Begun(listing))
        return True

    def take(self, listing: Listing) -> Begun | None:
        """What was begun of a list, if anything."""
        begun = self._turns[0].begun if self._turns else None
        if not begun or begun[0].listing != listing:
            return None
        taken = begun.popleft()
        taken.listing = listing
        return taken


def _give_up(turn: _Turn) -> None:
    for one in turn.begun:
        one.give_up()
