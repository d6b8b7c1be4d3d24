"""Messages on standard output: whole ones, and nothing else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.singerlib import RecordMessage, StateMessage
from typing_extensions import override

from tap_coursera.stopping import stop

if TYPE_CHECKING:
    from singer_sdk.singerlib import Message


class MessageWriter(MsgSpecWriter):
    """Writes messages as JSON lines; once a row or a state is out, the run may stop."""

    @override
    def write_message(self, message: Message) -> None:
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
        # Not after the others: a bookmark moves ahead of the message that tells of a batch file.
        if isinstance(message, (RecordMessage, StateMessage)):
            stop.fits()
