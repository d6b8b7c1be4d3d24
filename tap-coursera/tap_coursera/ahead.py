"""Work that is begun before its result is needed, in threads that never keep the process from ending."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from tap_coursera.stopping import stop

if TYPE_CHECKING:
    from collections.abc import Callable

    _Calls = queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
    """What is to be done; None ends a thread."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Pending(Protocol[T_co]):
    """A call that was begun."""

    def done(self) -> bool:
        """Whether its result is there."""

    def result(self) -> T_co:
        """What it returned, once it did; raises what it raised."""

    def cancel(self) -> bool:
        """Give it up, if it is not under way already."""


@dataclass(frozen=True)
class _Later(Generic[T]):
    """A call that is made when its result is asked for."""

    result: Callable[[], T]

    def done(self) -> bool:
        return False

    def cancel(self) -> bool:
        return True


class Workers:
    """Makes at most `size` calls at a time; with 1 each is made in the caller's thread, when its result is asked for.

    The threads of `concurrent.futures` are waited for when Python exits, so a stalled request would keep a stopped tap
    alive for as long as its time-out lasts; these are not.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.before_waiting: Callable[[], None] = _nothing
        """What to do before a result is waited for that is not there yet."""
        self._calls: _Calls = queue.SimpleQueue()
        self._threads = 0

    def begin(self, call: Callable[[], T]) -> Pending[T]:
        """Make a call as soon as a worker is free; calls begin in this order."""
        if self.size == 1:
            return _Later(call)
        if self._threads < self.size:
            self._threads += 1
            threading.Thread(target=_work, args=(self._calls,), name=f"request-{self._threads}", daemon=True).start()
        future: Future[T] = Future()
        self._calls.put((future, call))
        return future

    def wait_for(self, pending: Pending[T]) -> T:
        """What a call returned, once it did; raises what it raised, or `Stopped`."""
        if not pending.done():
            self.before_waiting()
        return stop.fits_during(pending.result)

    def __del__(self) -> None:
        """End the threads once nobody can begin anything any more."""
        for _ in range(self._threads):
            self._calls.put(None)


def _nothing() -> None:
    pass


def _work(calls: _Calls) -> None:
    # Between two calls a thread keeps neither the workers nor a page alive.
    while (begun := calls.get()) is not None:
        _make(*begun)
        del begun


def _make(future: Future[T], call: Callable[[], T]) -> None:
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            future.set_exception(error)
