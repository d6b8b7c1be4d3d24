"""Where the records of a batch wait for DuckDB: a file of newline-delimited JSON, not a list in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_WRITE_BYTES = 1 << 20
VECTOR = 2048
"""Records that DuckDB has in hand at once."""
VECTOR_BYTES = 8 << 20
_MOST_BYTES = 160 << 20
_VECTOR_VALUES = 400_000  # however short or missing they are


def _as_text(value: Any) -> str:
    return str(value)


_encoder = msgspec.json.Encoder(enc_hook=_as_text, decimal_format="number")


class Spool:
    """Collects records in a file; memory stays at about a mebibyte whatever the batch.

    Args:
        path: The file, opened only while writing, so any number of streams may wait side by side.
        width: How many columns the records have in the table.
    """

    def __init__(self, path: Path, width: int) -> None:
        self.path = path
        self.size = 0
        self.rows = 0
        self.heaviest = 0
        """Bytes of those of its records that DuckDB may have in hand at once."""
        self._width = width
        self._in_vector = self._vector_bytes = 0
        self.longest = 0
        """No line is longer than this, in bytes."""
        self._buffer = bytearray()

    def add(self, record: dict[str, Any]) -> None:
        """Append one record."""
        start = len(self._buffer)
        _encoder.encode_into(record, self._buffer, start)
        self._buffer += b"\n"
        self._count(1, len(self._buffer) - start)

    def add_rows(self, rows: Sequence[msgspec.Struct]) -> None:
        """Append a chunk of records, each of a type that stands for an object."""
        lines = _encoder.encode_lines(rows)
        self._buffer += lines
        self._count(len(rows), len(lines))

    @property
    def is_full(self) -> bool:
        """Whether it has as much as DuckDB should have in hand at once, or merge in one transaction."""
        values = self._in_vector * self._width
        return self.size >= _MOST_BYTES or self.heaviest >= VECTOR_BYTES or values >= _VECTOR_VALUES

    def _count(self, records: int, length: int) -> None:
        self.size += length
        self.longest = max(self.longest, length)
        self.rows += records
        if self._in_vector >= VECTOR:
            self._in_vector = self._vector_bytes = 0
        self._in_vector += records
        self._vector_bytes += length
        self.heaviest = max(self.heaviest, self._vector_bytes)
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
