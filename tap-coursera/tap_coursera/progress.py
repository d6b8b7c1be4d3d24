"""How far a run is: on a terminal in a line per stream that grows, elsewhere in one line of the log when it is over."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NoReturn, cast

from singer_sdk import metrics
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tqdm import tqdm

    from tap_coursera.client import Tally

logger = logging.getLogger("tap-coursera")

INTERVAL = 0.2
"""Seconds between two drawings."""


@dataclass
class Numbers:
    """What a stream has brought in all its programs so far, and what that has cost."""

    stream: str
    tally: Tally
    """Its requests."""
    read_with: str | None = None
    """The stream whose requests brought its rows, if it makes none."""
    rows: int = 0
    _spent: float = 0.0
    _since: float | None = None

    def go(self) -> None:
        """From now on, time is spent on this stream."""
        self._since = time.monotonic()

    def rest(self) -> None:
        """Until it goes on, time is spent on others."""
        self._spent, self._since = self.seconds, None

    @property
    def seconds(self) -> float:
        """Seconds spent on it so far, without those on streams within it."""
        return self._spent if self._since is None else self._spent + time.monotonic() - self._since

    def __str__(self) -> str:
        """For people and for programs: the words are always the same."""
        return (
            f"{self.rows} rows, {self.tally.requests} requests, {self.tally.retries} retries, {self.seconds:.1f} s"
            + (f" (read with {self.read_with})" if self.read_with else "")
        )


class RowCounter(metrics.Counter):
    """Counts rows for the SDK, which begins anew with each program, and for all programs together."""

    def __init__(self, numbers: Numbers) -> None:
        super().__init__(metrics.Metric.RECORD_COUNT, {metrics.Tag.STREAM: numbers.stream})
        self._numbers = numbers

    @override
    def increment(self, value: int = 1) -> None:
        self._numbers.rows += value
        self.value += value
        # Looking at the clock for each row would take longer than counting it.
        if self.value % 64 == 0:
            super().increment(0)


class OddRows(str, Enum):
    """Metrics besides the SDK's."""

    REPAIRED = "rows_repaired"
    LEFT_OUT = "rows_left_out"


def count_odd_rows(stream: str, repaired: int, left_out: int) -> None:
    """Count them in the SDK's way; nothing where there are none."""
    for metric, rows in ((OddRows.REPAIRED, repaired), (OddRows.LEFT_OUT, left_out)):
        if rows:
            point = metrics.Point("counter", cast("metrics.Metric", metric), rows, {metrics.Tag.STREAM: stream})
            metrics.log(metrics.get_metrics_logger(), point)


class Progress:
    """The streams of a run, each from its first request to its last.

    Args:
        tally: the requests of a stream.
    """

    def __init__(self, tally: Callable[[str], Tally]) -> None:
        self._tally = tally
        self._open: dict[str, Numbers] = {}
        self._current: Numbers | None = None
        self._screen: _Screen | None = None

    def of(self, stream: str) -> Numbers:
        """The numbers of a stream that is not over."""
        if stream not in self._open:
            self._open[stream] = Numbers(stream, self._tally(stream))
            if self._screen:
                self._screen.add(self._open[stream])
        return self._open[stream]

    @contextmanager
    def during(self, stream: str) -> Iterator[None]:
        """While a stream is read; the one that it is read within rests."""
        outer, inner = self._current, self.of(stream)
        if outer:
            outer.rest()
        self._current = inner
        inner.go()
        try:
            yield
        finally:
            inner.rest()
            self._current = outer
            if outer:
                outer.go()

    def over(self, stream: str) -> None:
        """Say what a stream has brought."""
        numbers = self.of(stream)
        if self._screen:
            self._screen.remove(numbers)
        del self._open[stream]
        logger.info("%s: %s", stream, numbers)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """During a run; where it fails or stops, what was not over is told as far as it came."""
        with ExitStack() as stack:
            if _watched():
                self._screen = _Screen(stack)
            try:
                yield
            finally:
                for stream in list(self._open):
                    self.over(stream)


def _watched() -> bool:
    """Whether somebody sees standard error, on a terminal that can write over its lines and that holds no messages."""
    return (
        sys.stderr.isatty()
        and not sys.stdout.isatty()
        and os.environ.get("TERM") != "dumb"
        and logger.isEnabledFor(logging.INFO)
    )


class _Screen:
    """The last lines of the terminal: one for each stream that is not over, drawn by a thread of its own.

    Args:
        stack: until it is closed; meanwhile the log is written above those lines.
    """

    def __init__(self, stack: ExitStack) -> None:
        from tqdm import tqdm  # noqa: PLC0415 - only where somebody watches
        from tqdm.contrib.logging import logging_redirect_tqdm  # noqa: PLC0415

        # It would start a thread and take a lock for other processes, neither of which is of use here.
        tqdm.monitor_interval = 0
        self._lock = threading.RLock()
        tqdm.set_lock(self._lock)
        self._new_bar = tqdm
        self._bars: dict[str, tuple[Numbers, tqdm[NoReturn]]] = {}
        self._ended = threading.Event()
        stack.enter_context(logging_redirect_tqdm())
        # The lines show the same, at a glance.
        logging.root.handlers[-1].addFilter(lambda record: record.name != metrics.METRICS_LOGGER_NAME)
        stack.callback(self._ended.set)
        threading.Thread(target=self._draw, name="progress", daemon=True).start()

    def add(self, numbers: Numbers) -> None:
        """Begin a line."""
        with self._lock:
            bar = self._new_bar(leave=False, dynamic_ncols=True, bar_format=_line(numbers))
            self._bars[numbers.stream] = (numbers, bar)

    def remove(self, numbers: Numbers) -> None:
        """End it."""
        with self._lock:
            _, bar = self._bars.pop(numbers.stream)
            # Alone, close() would not go back to the first column.
            bar.clear()
            bar.close()

    def _draw(self) -> None:
        while not self._ended.wait(INTERVAL):
            with self._lock:
                for numbers, bar in self._bars.values():
                    bar.bar_format = _line(numbers)
                    bar.total, bar.n = numbers.tally.total or None, numbers.tally.received
                    bar.refresh()


def _line(numbers: Numbers) -> str:
    return f"{numbers.stream:<22} {{bar:10}} {numbers}"
