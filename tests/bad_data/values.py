"""The odd values: JSON texts that a field may hold against its schema, and which of them a finding has to name."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.bad_data.college import BEGIN, ms

if TYPE_CHECKING:
    from tests.bad_data.college import Json, Path_, Place, Row

MISSING, TWICE, TWICE_OTHERWISE = "(missing)", "(twice)", "(twice, with another value)"
_MARK = "@@the odd value@@"

TYPES = (
    *("null", MISSING, "true", "false", "[]", "{}", "[1]", '{"a": 1}', '[null, "x"]', '""', '"   "', '"x"'),
    *("-1", "0", "1.5", "1e400", "-1e400", '"NaN"', '"Infinity"', str(2**70), str(-(2**70)), '"1e5"', '"٣"', '"0x10"'),
    *(
        '"true"',
        '"FALSE"',
        '"1e400"',
        '{"a": 1, "a": 2}',
        r'{"\ud83d": ["\udc00", {"b": "\u0000"}]}',
        "[[[[[[[[]]]]]]]]",
    ),
)
POSSIBLE = ms(BEGIN - timedelta(hours=5))
"""A moment that can be, and is not the newest."""
MOMENTS = (
    *("0", "-1", "1", str(ms(BEGIN) // 1000), str(ms(BEGIN) * 1000), "1000000000000000", str(2**63 - 1), str(-(2**63))),
    *("3570000000000", "253402300800000", "-62135596800001", "1325375999999", "1325376000000"),
    *(str(ms(BEGIN + timedelta(days=9))), '"yesterday"', '"2026-03-01"', '"2026-03-01T00:00:00Z"', f"{POSSIBLE}.5"),
    *(f'"{POSSIBLE}"', f"{POSSIBLE}.0", "1.7e12", "-0.0", '"2026-03-01 06:00:00"', '"2026-03-01T06:00:00"'),
    *('"2026-03-01T06:00:00+14:00"', '"2026-03-01T24:00:00Z"', '"now"', '"epoch"', '"infinity"'),
)
TEXTS = (
    *(
        r'"\ud83d"',
        r'"a\udc00b"',
        r'"a\u0000b"',
        r'"\u0001\u001f"',
        r'"a\u0085b\u009f"',
        r'"\u202eabc\u202c"',
        r'"\u2066x\u2069"',
    ),
    *(r'"\ufeffx"', r'"\ufffex"', r'"x\uffff"', r'"\ufdd0x"', r'"\ud83f\udffex"', r'"\u200fx\u200e"', r'"a\u007fb"'),
    *('"' + "A" * 100_000 + '"', '"=cmd()"', '"+1"', '"@x"', '"<b>x</b>"', r'"\u00a0\u2003"', r'"a\nb"', r'"a\u2028b"'),
    *(
        r'"a\"b,c;d"',
        r'"\u0301"',
        r'"\u200dx"',
        r'"a\\\\b"',
        '"a\'b"',
        '"%"',
        '"_"',
        '"a~b"',
        '"a.b"',
        '"null"',
        '"NULL"',
    ),
    *(
        '"' + "a" * 10_000 + '"',
        '"\u0130"',
        '"\u0391\u03a3"',
        r'"a\u00adb"',
        r'"\u200b"',
        '"\uff11\uff12"',
        r'"\ud83d\ud83d"',
    ),
    *(
        r'"\u0000"',
        '"external~x"',
        '"(?i)x"',
        '"{x:y}"',
        '"a,b"',
        r'"\u2066"',
        r'"x\ty"',
        '"NaN"',
        '"-0"',
        r'"e\u0301"',
    ),
)
NUMBERS = (
    *("1.0000000000000002", "1.05", "105", "-0.1", "1e-320", "100.00000000000001", "100.004", "100.005", "0.99999999"),
    *(
        "-0.0",
        "1e300",
        "-1e300",
        "2147483648",
        "9223372036854775808",
        "1e15",
        "0.005",
        "200",
        '"50"',
        '" 50 "',
        '"1_0"',
    ),
)
ROWS = ("null", "true", '"x"', "[]", "{}", "5")
"""Instead of a whole row."""


def kind(spec: Json) -> str:
    """Return the type of a field: moment, text, number, integer, boolean, array or object."""
    if spec.get("x-unit", "").startswith("epoch") or spec.get("format") == "date-time":
        return "moment"
    first: str = next(one for one in spec["type"] if one != "null")
    return "text" if first == "string" else first


def thrown_at(place: Place) -> list[str]:
    """Return the JSON texts to try in a field."""
    more = {"moment": MOMENTS, "text": TEXTS, "number": NUMBERS, "integer": NUMBERS}.get(kind(place.spec), ())
    return list(dict.fromkeys((*TYPES, *more, TWICE, TWICE_OTHERWISE)))


@dataclass(frozen=True)
class Odd:
    """One value in one field of one row."""

    place: Place
    row: Row
    value: str

    def __str__(self) -> str:
        shown = self.value if len(self.value) < 60 else f"{self.value[:20]}… ({len(self.value)} characters)"
        return f"{self.place.stream}.{'.'.join(map(str, self.place.path))} = {shown} in {self.row.key}"

    def texts(self, value: Any) -> list[str]:
        """Return the JSON texts that replace the row."""
        path = self.place.path
        if self.value == TWICE:
            return [json.dumps(value)] * 2
        if self.value == TWICE_OTHERWISE:
            return [json.dumps(value), _with(value, path, _other(_at(value, path)))]
        return [_with(value, path, self.value)]


def _at(value: Any, path: Path_) -> Any:
    for step in path:
        found = value.get(step) if isinstance(value, dict) else None
        value = value[0] if isinstance(value, list) and value else found
    return value


def _other(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return json.dumps(not value)
    if isinstance(value, (int, float)):
        return json.dumps(value - 1)
    return json.dumps(f"other {value}" if isinstance(value, str) else [])


def _with(value: Any, path: Path_, text: str) -> str:
    changed = copy.deepcopy(value)
    outer, name = _at(changed, path[:-1]), str(path[-1])
    if text == MISSING:
        if isinstance(outer, dict):
            outer.pop(name, None)
        elif isinstance(outer, list):
            outer.clear()
        return json.dumps(changed)
    if isinstance(outer, list):
        outer[:] = [_MARK]
    else:
        outer[name] = _MARK
    return json.dumps(changed).replace(json.dumps(_MARK), text)
