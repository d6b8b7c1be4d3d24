"""Reads CSV strictly as RFC 4180 describes it, in blocks of rows, so that memory does not grow with the file.

Python's csv module splits the cells; it takes a quote in the middle of a bare field and lines that end in CR alone, so
the grammar is checked here, line by line, before it sees them.
"""

from __future__ import annotations

import csv
import io
import re
from itertools import islice
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_ROW = 131_072
"""The number of characters that a row may have: the limit of a field in Python's and other CSV readers."""

_ROWS_AT_ONCE = 10_000
_CELL = r'(?:[^",\r\n]*|"[^"]*(?:""[^"]*)*")'
_ROW = re.compile(rf"{_CELL}(?:,{_CELL})*\r?\n?")


class BrokenError(Exception):
    """The file cannot be read beyond `row`, which counts from 1 for the first row below the header, which is 0."""

    def __init__(self, rule: str, row: int) -> None:
        super().__init__(rule, row)
        self.rule, self.row = rule, row


class Reader:
    """Reads the rows of one file, beginning with the header."""

    def __init__(self, raw: IO[bytes]) -> None:
        # Bytes that are not UTF-8 become lone surrogates, which valid UTF-8 never gives, so their row can be found.
        self._text = io.TextIOWrapper(raw, "utf-8", errors="surrogateescape", newline="\n")
        self._row = -1
        self.bom = False
        """Whether the file began with a byte order mark."""
        self.undecodable: list[int] = []
        """Numbers of the rows that are not UTF-8. The caller empties the list."""

    def blocks(self) -> Iterator[list[list[str]]]:
        """Yield lists of rows. A blank line is a row without cells. Raises `BrokenError` where the grammar ends."""
        rows = csv.reader(self._rows(), strict=True)
        try:
            while block := list(islice(rows, _ROWS_AT_ONCE)):
                yield block
        except csv.Error as error:
            raise BrokenError("csv-line-end", self._row) from error

    def _rows(self) -> Iterator[str]:
        while line := self._text.readline(LONGEST_ROW):
            self._row += 1
            if not self._row and line.startswith("\ufeff"):
                self.bom = True
                line = line[1:]
            if '"' in line:
                line = self._quoted(line)
            elif "\r" in line[:-2]:
                raise BrokenError("csv-line-end", self._row)
            if len(line) >= LONGEST_ROW:
                raise BrokenError("csv-row-length", self._row)
            if not line.isascii():
                line = self._decoded(line)
            # The csv module before Python 3.11 accepts no NUL; another control character breaks the same rule.
            yield line.replace("\0", "\x01") if "\0" in line else line

    def _quoted(self, line: str) -> str:
        """Return the whole row that begins with a line: quotes come in pairs, so it ends where their number is even."""
        parts, quotes, length = [line], line.count('"'), len(line)
        while quotes % 2:
            more = self._text.readline(LONGEST_ROW)
            length += len(more)
            if not more or length >= LONGEST_ROW:
                raise BrokenError("csv-quote", self._row)
            parts.append(more)
            quotes += more.count('"')
        row = "".join(parts)
        if length < LONGEST_ROW and not _ROW.fullmatch(row):
            lone = _ROW.fullmatch(row.replace("\r", ""))
            raise BrokenError("csv-line-end" if lone else "csv-quote", self._row)
        return row

    def _decoded(self, line: str) -> str:
        try:
            line.encode()
        except UnicodeEncodeError:
            self.undecodable.append(self._row)
            return line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return line
