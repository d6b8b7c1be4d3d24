"""What text may hold, and what becomes of the rest; `tests/awkward_text.json` shows it on examples.

Half an emoji (a lone surrogate) becomes U+FFFD, a control character one blank (tab and line breaks stay), and what
stands for no character or turns the direction of writing is dropped.

Hardly a row has any of it, so a page is looked at once, in its bytes, before any of its rows is.
"""

from __future__ import annotations

import re
from typing import Any

_REPLACED = "[\ud800-\udfff]"
_BLANK = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
_DROPPED = (
    "[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)
_ODD = re.compile(f"({_REPLACED})|({_BLANK})|{_DROPPED}")

# In JSON these may be escaped, or stand there as UTF-8. All of them begin with one of a few bytes, and a pattern that
# begins with a set of bytes is looked for twenty times as fast as one that is a choice.
_FIRST = rb"\\\x7f\xc2\xd8\xe2\xef\xf0-\xf4"
_USUAL = re.sub(rb"[" + _FIRST + rb"]", b"", bytes(range(256)))
_ODD_BYTES = re.compile(
    rb"[" + _FIRST + rb"](?:(?<=\\)(?:[bf]|u(?:00[01789][0-9A-Fa-f]|061[Cc]|200[EFef]|202[A-Ea-e]|206[6-9]"
    rb"|[Dd][89A-Fa-f][0-9A-Fa-f]{2}|[Ff][Dd][DdEe][0-9A-Fa-f]|[Ff]{3}[EFef]))"
    rb"|(?<=\x7f)|(?<=\xc2)[\x80-\x9f]|(?<=\xd8)\x9c|(?<=\xe2)(?:\x80[\x8e\x8f\xaa-\xae]|\x81[\xa6-\xa9])"
    rb"|(?<=\xef)(?:\xb7[\x90-\xaf]|\xbf[\xbe\xbf])|(?<=[\xf0-\xf4])[\x80-\xbf]\xbf[\xbe\xbf])"
)


def cleaned(text: str) -> str:
    """The text by the rule of this module; the very same object where there is nothing to do."""
    return _ODD.sub(_instead, text) if _ODD.search(text) else text


def may_be_odd(page: bytes) -> bool:
    """Whether any text in some JSON may need to be cleaned."""
    return bool(page.translate(None, _USUAL)) and _ODD_BYTES.search(page) is not None


class OddRow(dict[str, Any]):
    """A row, or an object in one, whose texts were cleaned, or that no strict reader of JSON would take."""

    repaired: frozenset[str] = frozenset()
    """The fields in which a text was, at whatever depth."""
    replaced: frozenset[str] = frozenset()
    """The fields whose value could not be used, and has another one in its place."""


def row(value: Any) -> OddRow:
    """The row with all its texts cleaned, or an empty one in place of what is no object."""
    return _clean(value)[0] if isinstance(value, dict) else OddRow()


def _clean(value: Any) -> tuple[Any, bool]:
    """The value, and whether a text in it was changed."""
    if isinstance(value, str):
        text = cleaned(value)
        return text, text is not value
    if isinstance(value, list):
        both = [_clean(one) for one in value]
        return [one for one, _ in both], any(changed for _, changed in both)
    if isinstance(value, dict):
        found, repaired = OddRow(), set()
        for name, one in value.items():
            found[cleaned(name)], changed = _clean(one)
            if changed:
                repaired.add(name)
        found.repaired = frozenset(repaired)
        return found, bool(repaired)
    return value, False


def _instead(match: re.Match[str]) -> str:
    return "\ufffd" if match[1] else " " if match[2] else ""
