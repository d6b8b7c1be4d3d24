"""Where the records of a batch wait for DuckDB: a file of newline-delimited JSON, not a list in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_WRITE_BYTES = 1 << 20


def _as_text(value: Any) -> str:
    return str(value)


_encoder = msgspec.json.Encoder(enc_hook=_as_text, decimal_format="number")


class Spool:
    """Collects records in a file; memory stays at about a mebibyte whatever the batch.

    Args:
        path: The file, opened only while writing, so any number of streams may wait side by side.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.longest = 0
        """No line is longer than this, in bytes."""
        self._buffer = bytearray()

    def add(self, record: dict[str, Any]) -> None:
        """Append one record."""
        start = len(self._buffer)
        _encoder.encode_into(record, self._buffer, start)
        self._buffer += b"\n"
        length = len(self._buffer) - start
        self.size += length
        self.longest = max(self.longest, length)
        if len(self._buffer) >= _WRITE_BYTES:
            self.flush()

    def add_rows(self, rows: Sequence[msgspec.Struct]) -> None:
        """Append a chunk of records, each of a type that stands for an object."""
        lines = _encoder.encode_lines(rows)
        self._buffer += lines
        self.size += len(lines)
        self.longest = max(self.longest, len(lines))
        if len(self._buffer) >= _WRITE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Bring everything added so far into the file."""
        with self.path.open("ab") as file:
            file.write(self._buffer)
        self._buffer.clear()

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)
