"""Messages on standard output: whole ones, and nothing else."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.singerlib import RecordMessage, StateMessage
from typing_extensions import override

from tap_coursera.batches import Batches
from tap_coursera.stopping import stop

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from singer_sdk.singerlib import Message


class MessageWriter(MsgSpecWriter):
    """Writes messages as JSON lines; once a row or a state is out, the run may stop."""

    _batches: Batches | None = None

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

    def _write(self, message: Message) -> None:
        rest = self.format_message(message)
        try:
            # Where Python is told not to buffer (PYTHONUNBUFFERED), a signal may cut a write short.
            while rest:
                rest = rest[sys.stdout.buffer.write(rest) :]
            sys.stdout.flush()
        except BrokenPipeError:
            # Ctrl-C ends the loader of a shell's pipeline, too.
            stop.fits()
            raise
