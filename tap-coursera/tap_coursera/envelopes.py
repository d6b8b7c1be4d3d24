"""What is in an answer: the envelope at once, and its rows when their turn comes.

Pages wait to be read, and what becomes of their rows takes three to five times as much room as their bytes. So these
are kept, once it is sure that they are whole: an answer that is not is asked for again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tap_coursera.errors import TapError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Rows:
    """The rows of a page, each made of its bytes when it is its turn.

    Args:
        rows: JSON that is known to be well-formed.
        trouble: what an operator is told when it is not usable all the same.
    """

    def __init__(self, rows: list[msgspec.Raw], trouble: str) -> None:
        self._rows = rows
        self._trouble = trouble

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Any]:
        """Each row.

        Raises:
            TapError: when a number in it is larger than any that computers calculate with.
        """
        try:
            for row in self._rows:
                yield _decode(row)
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
        content.decode()
    try:
        found = _decode_listing(content)
    except msgspec.ValidationError:
        return None
    return {"elements": Rows(found.elements, trouble), "paging": found.paging}


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
