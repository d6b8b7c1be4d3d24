"""What is in an answer: the envelope at once, and its rows when their turn comes.

Pages wait to be read, and what becomes of their rows takes three to five times as much room as their bytes. So these
are kept, once it is sure that they are whole: an answer that is not is asked for again.

What a strict reader of JSON refuses although nobody could misunderstand it (half an emoji, an escape or a byte that
does not exist, NaN, a number beyond all numbers, a thousand levels) is read by `careful`: it harms one row and not
all of them.
"""

from __future__ import annotations

import json
import re
from codecs import getincrementaldecoder
from typing import TYPE_CHECKING, Any

import msgspec

from tap_coursera import texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


_PIECE = 1 << 14
"""Bytes."""
_STRICT = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a strict reader raises."""
DEEPEST = 50
"""Levels of objects and lists that are looked into."""
_LONGEST = 40
"""Digits of a whole number; a longer one is none that anything could be counted with."""
_ESCAPE = re.compile(r'\\(?:(["\\/bfnrt]|u[0-9A-Fa-f]{4})|)')
_NESTING = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class Rows:
    """The rows of a page, each made of its bytes when it is its turn.

    Args:
        rows: JSON that is known to be well-formed, or rows that were made with care.
        odd: whether any text in them may need to be cleaned.
    """

    def __init__(self, rows: Sequence[msgspec.Raw | texts.OddRow], *, odd: bool = False) -> None:
        self._rows = rows
        self._odd = odd
        self._typed: Callable[[msgspec.Raw], Any] | None = None

    def typed(self, decode: Callable[[msgspec.Raw], Any]) -> None:
        """Make rows by this from now on; from the first one on that it cannot take, they are dicts again."""
        self._typed = decode

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Any]:
        decode = self._typed or _decode
        for row in self._rows:
            if isinstance(row, texts.OddRow):
                yield row
                continue
            if self._odd and texts.may_be_odd(bytes(row)):
                yield texts.row(careful(bytes(row)))
                continue
            try:
                one = decode(row)
            except _STRICT:
                decode = _decode
                try:
                    one = decode(row)
                except _STRICT:
                    one = texts.row(careful(bytes(row)))
            yield one


class _Listing(msgspec.Struct):
    """An envelope of `businesses.v1`."""

    elements: list[msgspec.Raw]
    paging: Any = None


_decode = msgspec.json.Decoder().decode
_decode_listing = msgspec.json.Decoder(_Listing).decode


def careful(content: bytes) -> Any:
    """JSON as far as it can be understood; what is no character is a lone surrogate in it, what is no number NaN.

    Raises:
        ValueError: when it is not JSON, here and below.
    """
    text = content.decode(json.detect_encoding(content), "surrogateescape").lstrip("\ufeff")
    text = _ESCAPE.sub(lambda match: match[0] if match[1] else "\udcff", text)
    try:
        return _loads(text)
    except RecursionError:
        return _loads(_shallow(text))


def _loads(text: str) -> Any:
    return json.loads(text, strict=False, parse_constant=lambda _: float("nan"), parse_int=_whole_number)


def _whole_number(digits: str) -> float:
    return int(digits) if len(digits) <= _LONGEST else float("nan")


def _shallow(text: str) -> str:
    """The same JSON with NaN, which nothing can be, in place of what lies too deep."""
    parts, depth, kept = [], 0, 0
    for token in _NESTING.finditer(text):
        if token[0] in {"[", "{"}:
            depth += 1
            if depth == DEEPEST + 1:
                parts += [text[kept : token.start()], "NaN"]
        elif token[0] in {"]", "}"}:
            depth -= 1
            if depth == DEEPEST:
                kept = token.end()
    return "".join([*parts, text[kept:] if depth <= DEEPEST else ""])


def members(content: bytes) -> dict[str, Any] | None:
    """A JSON object; None when it is other JSON."""
    body, _ = _read(content)
    return body if isinstance(body, dict) else None


def _read(content: bytes) -> tuple[Any, bool]:
    """The JSON, and whether its texts may need to be cleaned."""
    try:
        return _decode(content), texts.may_be_odd(content)
    except _STRICT:
        return careful(content), True


def listing(content: bytes) -> dict[str, Any] | None:
    """The envelope `{"elements": Rows, "paging": {...}}` of `businesses.v1`; None when it is something else."""
    try:
        # What is skipped is checked for its grammar, but for this.
        if not content.isascii():
            _check_utf8(content)
        found = _decode_listing(content)
    except _STRICT:
        body = careful(content)
        if not isinstance(body, dict) or not isinstance(body.get("elements"), list):
            return None
        return {"elements": Rows([texts.row(one) for one in body["elements"]]), "paging": body.get("paging")}
    return {"elements": Rows(found.elements, odd=texts.may_be_odd(content)), "paging": found.paging}


def _check_utf8(content: bytes) -> None:
    # The text of a page in one piece would not fit into a processor's cache, and takes four times as long.
    decode = getincrementaldecoder("utf-8")().decode
    view = memoryview(content)
    for start in range(0, len(view), _PIECE):
        decode(view[start : start + _PIECE])
    decode(b"", final=True)


def skills_listing(content: bytes) -> dict[str, Any] | None:
    """The envelope `{"elements" or "enterpriseUserSkillsets": [...], "pagination": {...}}` of the skills service."""
    body, odd = _read(content)
    if isinstance(body, list):
        body = {"elements": body}
    if not isinstance(body, dict):
        return None
    name = "enterpriseUserSkillsets"
    rows = body[name] if isinstance(body.get(name), list) else body.get("elements")
    if not isinstance(rows, list):
        return None
    return {"elements": [texts.row(one) for one in rows] if odd else rows, "pagination": body.get("pagination")}
