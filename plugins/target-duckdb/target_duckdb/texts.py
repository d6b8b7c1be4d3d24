"""What cannot be text is made text, by one rule, and counted per stream.

Half of a surrogate pair becomes U+FFFD, a control character a blank (but for tab and line breaks), and what Unicode
keeps free of characters and marks that turn the direction of writing are dropped. A float that is no number (NaN,
infinity), which other taps write although JSON has none, becomes null and is counted, too.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

BOM = b"\xef\xbb\xbf"

_CONTROLS = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_HALVES = "\ud800-\udfff"
_NO_CHARACTERS = "\ufdd0-\ufdef" + "".join(
    f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17)
)
_DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_ODD = re.compile(f"([{_HALVES}])|([{_CONTROLS}])|[{_NO_CHARACTERS}{_DIRECTIONS}]")
_HALF = re.compile(f"[{_HALVES}]")

# The same inside a line of JSON, where a character is an escape or its UTF-8. Both may find more than there is.
_ESCAPED = re.compile(
    rb"\\(?:[bf]|u(?:00[0189]|007[fF]|061[cC]|20(?:0[eEfF]|2[a-eA-E]|6[6-9])|[fF][dD][dDeE]|[fF]{3}[eEfF]"
    rb"|[dD][89abAB]..(?!\\u[dD][c-fC-F])|[dD][89abAB][37bBfF][fF]\\u[dD][fF]{2}[eEfF]"
    rb"|(?<!\\u[dD][89abAB]..\\u)[dD][c-fC-F]))"
)
# The set of first bytes in front lets the search skip what begins otherwise, ten times as fast.
_RAW = re.compile(
    rb"[\xc2\xd8\xe2\xed\xef-\xf4](?:(?<=\xc2)[\x80-\x9f]|(?<=\xd8)\x9c|(?<=\xed)[\xa0-\xbf]"
    rb"|(?<=\xe2)(?:\x80[\x8e\x8f\xaa-\xae]|\x81[\xa6-\xa9])|(?<=\xef)(?:\xb7[\x90-\xaf]|\xbf[\xbe\xbf])"
    rb"|(?<=[\xf0-\xf4])[\x8f\x9f\xaf\xbf]\xbf[\xbe\xbf])"
)


def may_be_odd(line: bytes | str) -> bool:
    """Tell whether a line of JSON may have text that is to be repaired; fast, since every line is asked."""
    if isinstance(line, str):
        line = line.encode("utf-8", "surrogatepass")
    return (
        (b"\\" in line and _ESCAPED.search(line) is not None)
        or (not line.isascii() and _RAW.search(line) is not None)
        or b"\x7f" in line
    )


def repaired(text: str) -> str:
    """The text by the rule."""
    return _ODD.sub(lambda found: "\ufffd" if found[1] else " " if found[2] else "", text)


def repaired_name(name: str) -> str:
    """The name of a stream or property: it is told from others by all that it has, so only halves are replaced."""
    return _HALF.sub("\ufffd", name)


class Repairs:
    """Repairs texts and numbers, and counts them."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        """Texts that were repaired, by stream."""
        self.no_numbers: Counter[str] = Counter()
        """Floats that became null, by stream."""

    def record(self, stream: Any, record: Any) -> Any:
        """A record with its texts and numbers repaired, also those deep inside."""
        if not isinstance(record, dict):
            return record
        tally = _Tally()
        mended = {repaired_name(name): tally.repair(value) for name, value in record.items()}
        self.counted[str(stream)] += tally.texts
        self.no_numbers[str(stream)] += tally.no_numbers
        return mended

    def message(self, message: dict[str, Any]) -> dict[str, Any]:
        """A message of any type; only texts of records change beyond what keeps them from being text at all."""
        rest = {name: _names_only(value) for name, value in message.items() if name != "record"}
        if "record" in message:
            rest["record"] = self.record(rest.get("stream"), message["record"])
        return rest


class _Tally:
    def __init__(self) -> None:
        self.texts = self.no_numbers = 0

    def repair(self, value: Any) -> Any:
        if isinstance(value, str):
            if (text := repaired(value)) != value:
                self.texts += 1
            return text
        if isinstance(value, list):
            return [self.repair(part) for part in value]
        if isinstance(value, dict):
            mended: dict[str, Any] = {}
            for name, part in value.items():
                key = self.repair(name)
                while key in mended or (key != name and key in value):
                    key += "\ufffd"  # two names that became one are two still
                mended[key] = self.repair(part)
            return mended
        if _is_no_number(value):
            self.no_numbers += 1
            return None
        return value


def _is_no_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _names_only(value: Any) -> Any:
    if isinstance(value, str):
        return repaired_name(value)
    if isinstance(value, list):
        return [_names_only(part) for part in value]
    if isinstance(value, dict):
        return {repaired_name(name): _names_only(part) for name, part in value.items()}
    return None if _is_no_number(value) else value
