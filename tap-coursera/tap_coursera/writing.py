"""Messages on standard output: whole ones, and nothing else."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from singer_sdk.contrib.msgspec import MsgSpecWriter, encoder
from singer_sdk.helpers._util import utc_now
from singer_sdk.singerlib import RecordMessage, StateMessage
from typing_extensions import override

from tap_coursera.batches import Batches
from tap_coursera.stopping import stop

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from singer_sdk.helpers.types import Record
    from singer_sdk.singerlib import Message

ENOUGH = 1 << 16
"""Bytes of rows that are written together, about what a pipe holds."""


class MessageWriter(MsgSpecWriter):
    """Writes messages as JSON lines; once a row or a state is out, the run may stop.

    Rows may wait to be written together: no longer than until there are enough, until another message follows, or
    until `flush`, which is due before anything is waited for and at the end.
    """

    _batches: Batches | None = None

    def __init__(self) -> None:
        super().__init__()
        self._waiting = bytearray()
        """Whole RECORD messages."""
        self._around: dict[tuple[str, int | None], tuple[bytes, bytes]] = {}
        """Of those that wait, by stream and version: what comes before and after a row."""

    @contextmanager
    def by_file(self, config: Mapping[str, Any] | None) -> Iterator[None]:
        """Meanwhile put rows into files, if `batch_config` says so."""
        if not config:
            yield
            return
        with Batches(config, self._write) as batches:
            self._batches = batches
            try:
                yield
            finally:
                self._batches = None

    @override
    def write_message(self, message: Message) -> None:
        if self._batches is None:
            self._write(message)
        elif isinstance(message, RecordMessage):
            self._batches.add(message.stream, message.record, message.version)
        else:
            self._batches.flush()
            self._write(message)
        # Not after the others: a bookmark may be ahead of the rows until they are announced.
        if isinstance(message, (RecordMessage, StateMessage)):
            stop.fits()

    def write_row(self, stream: str, row: Record, version: int | None) -> None:
        """Write a row as it is, in the bytes of a RecordMessage, but that rows that wait together share their time.

        It is that of the first row of the stream among them, so never later than the writing.
        """
        if self._batches is not None:
            self._batches.add(stream, row, version)
            stop.fits()
            return
        lines, around = self._waiting, self._around.get((stream, version))
        if around is None:
            around = self._around[stream, version] = _around(stream, version)
        before, after = around
        lines += before
        encoder.encode_into(row, lines, -1)
        lines += after
        if len(lines) >= ENOUGH:
            self.flush()
            stop.fits()

    def flush(self) -> None:
        """Write the rows that wait."""
        if self._waiting:
            lines, self._waiting = self._waiting, bytearray()
            self._around.clear()
            self._put(lines)

    def _write(self, message: Message) -> None:
        self.flush()
        self._put(self.format_message(message))

    def _put(self, rest: bytearray) -> None:
        try:
            # Where Python is told not to buffer (PYTHONUNBUFFERED), a signal may cut a write short.
            while rest:
                rest = rest[sys.stdout.buffer.write(rest) :]
            sys.stdout.flush()
        except BrokenPipeError:
            # Ctrl-C ends the loader of a shell's pipeline, too.
            stop.fits()
            raise


def _around(stream: str, version: int | None) -> tuple[bytes, bytes]:
    """What comes before a row and after it in a RECORD message of now."""
    row, message = {"": 0}, RecordMessage(stream, {"": 0}, version, utc_now())
    before, _, after = encoder.encode(message.to_dict()).partition(encoder.encode(row))
    return before, after + b"\n"
