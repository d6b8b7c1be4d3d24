"""JSON Schema of the columns of OneRoster files, and the cells as JSON values."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from oneroster_csv.binding import Column

_PAIR = re.compile(r"\{([^{}:,]+):([^{},]+)\}")
_TEXTS: dict[str, Any] = {"type": ["array", "null"], "items": {"type": "string"}}
_PAIRS: dict[str, Any] = {
    "type": ["array", "null"],
    "items": {"type": "object", "properties": {"name": {"type": "string"}, "value": {"type": "string"}}},
}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "guid": {"type": ["string"]},
    "date": {"type": ["string", "null"], "format": "date"},
    "modified": {"type": ["string", "null"], "format": "date-time"},
    "year": {"type": ["integer", "null"]},
    "percent": {"type": ["integer", "null"]},
    "float": {"type": ["number", "null"]},
    "boolean": {"type": ["boolean", "null"]},
    "list": _TEXTS,
    "guidreflist": _TEXTS,
    "pairs": _PAIRS,
}


def schema(columns: list[Column]) -> dict[str, Any]:
    """Return the JSON Schema of a file; every column but the key may be null, which stands for a blank cell."""
    properties = {
        column.name: {**_SCHEMAS.get(column.type, {"type": ["string", "null"]}), "description": _described(column)}
        for column in columns
    }
    return {"type": "object", "properties": properties, "required": ["sourcedId"]}


def _described(column: Column) -> str:
    told = f"sourcedId of {column.references}." if column.references else f"OneRoster type: {column.type}."
    return f"{told} One of: {', '.join(column.values)}." if column.values and not column.references else told


def value(column: Column, cell: str) -> Any:
    """Return a cell that was checked as a JSON value; null if it is blank.

    Lists are arrays of texts. Pairs such as `{SIS:17},{LMS:a}` are arrays of objects with `name` and `value`.
    """
    if not cell:
        return None
    return _VALUES[column.type](cell) if column.type in _VALUES else cell


def pairs(cell: str) -> list[tuple[str, str]]:
    """Return the pairs of a cell such as `{SIS:17},{LMS:a}`."""
    return _PAIR.findall(cell)


_VALUES: dict[str, Callable[[str], Any]] = {
    "float": Decimal,
    "year": int,
    "percent": int,
    "boolean": lambda cell: cell == "true",
    "list": lambda cell: cell.split(","),
    "guidreflist": lambda cell: cell.split(","),
    "pairs": lambda cell: [{"name": name, "value": text} for name, text in pairs(cell)],
}
