"""What is in an answer: the envelope at once, and its rows when their turn comes.

Pages wait to be read, and what becomes of their rows takes three to five times as much room as their bytes. So these
are kept, once it is sure that they are whole: an answer that is not is asked for again.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from typing import TYPE_CHECKING, Any

import msgspec

from tap_coursera.errors import TapError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_PIECE = 1 << 14
"""Bytes."""


class Rows:
    """The rows of a page, each made of its bytes when it is its turn.

    Args:
        rows: JSON that is known to be well-formed.
        trouble: what an operator is told when it is not usable all the same.
    """

    def __init__(self, rows: list[msgspec.Raw], trouble: str) -> None:
        self._rows = rows
        self._trouble = trouble
        self._typed: Callable[[msgspec.Raw], Any] | None = None

    def typed(self, decode: Callable[[msgspec.Raw], Any]) -> None:
        """Make rows by this from now on; from the first one on that it cannot take, they are dicts again."""
        self._typed = decode

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Any]:
        """Each row.

        Raises:
            TapError: when a number in it is larger than any that computers calculate with.
        """
        decode = self._typed or _decode
        try:
            for row in self._rows:
                try:
                    one = decode(row)
                except msgspec.DecodeError:
                    decode = _decode
                    one = decode(row)
                yield one
        except msgspec.DecodeError:
            raise TapError(self._trouble) from None


class _Listing(msgspec.Struct):
    """An envelope of `businesses.v1`."""

    elements: list[msgspec.Raw]
    paging: Any = None


_decode = msgspec.json.Decoder().decode
_decode_listing = msgspec.json.Decoder(_Listing).decode


def members(content: bytes) -> dict[str, Any] | None:
    """A JSON object; None when it is other JSON.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: when it is not JSON, here and below.
    """
    body = _decode(content)
    return body if isinstance(body, dict) else None


def listing(content: bytes, trouble: str) -> dict[str, Any] | None:
    """The envelope `{"elements": Rows, "paging": {...}}` of `businesses.v1`; None when it is something else."""
    # What is skipped is checked for its grammar, but for this.
    if not content.isascii():
        _check_utf8(content)
    try:
        found = _decode_listing(content)
    except msgspec.ValidationError:
        return None
    return {"elements": Rows(found.elements, trouble), "paging": found.paging}


def _check_utf8(content: bytes) -> None:
    # The text of a page in one piece would not fit into a processor's cache, and takes four times as long.
    decode = getincrementaldecoder("utf-8")().decode
    view = memoryview(content)
    for start in range(0, len(view), _PIECE):
        decode(view[start : start + _PIECE])
    decode(b"", final=True)


def skills_listing(content: bytes) -> dict[str, Any] | None:
    """The envelope `{"elements" or "enterpriseUserSkillsets": [...], "pagination": {...}}` of the skills service."""
    body = _decode(content)
    if isinstance(body, list):
        return {"elements": body}
    if not isinstance(body, dict):
        return None
    if isinstance(body.get("enterpriseUserSkillsets"), list):
        return {"elements": body["enterpriseUserSkillsets"], "pagination": body.get("pagination")}
    return body if isinstance(body.get("elements"), list) else None
