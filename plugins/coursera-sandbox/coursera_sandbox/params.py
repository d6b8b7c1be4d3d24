"""Query parameters as Naptime reads them: each at most once, booleans in lower case, unknown ones ignored."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from coursera_sandbox.errors import naptime, routing

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
ID = re.compile(r"[A-Za-z0-9_-]{22}(-[A-Za-z0-9]{5})?")
"""Ids of programs, organisations and contents; slugs do not look like this."""

_CURSOR = b"row:"


class Params:
    """The parameters of one request."""

    def __init__(self, query: QueryParams) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in query.multi_items():
            self._values.setdefault(name, []).append(value)

    def text(self, name: str) -> str | None:
        """Return an optional parameter; 400 if it was given twice."""
        values = self._values.get(name, [])
        if len(values) > 1:
            raise routing(400, f"Too many query parameters for '{name}")
        return values[0] if values else None

    def pairs(self) -> list[tuple[str, str]]:
        """Return all parameters as they came."""
        return [(name, value) for name, values in self._values.items() for value in values]

    def every(self, name: str) -> list[str]:
        """Return all values of a parameter that may be repeated, or hold a list separated by commas."""
        return [part for value in self._values.get(name, []) for part in value.split(",") if part]

    def required(self, name: str) -> str:
        """Return a required parameter; 400 if it is missing."""
        value = self.text(name)
        if value is None:
            raise routing(400, f"Missing required parameter '{name}'")
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean, false if absent; `True` is not a boolean."""
        value = self.text(name)
        if value not in {None, "true", "false"}:
            expected = f"Expected 'true' or 'false' but found '{value}'."
            raise routing(400, f"Improperly formatted value for parameter '{name}'. {expected}")
        return value == "true"

    def number(self, name: str) -> int | None:
        """Return an integer, or None when absent."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?\d{1,18}", value):
            raise routing(400, f"Improperly formatted value for parameter '{name}'")
        return int(value)

    def identifier(self, name: str) -> str:
        """Return a required id; 400 for everything else, such as a slug."""
        value = self.required(name)
        if not ID.fullmatch(value):
            raise routing(400, f"Improperly formatted value for parameter '{name}'")
        return value

    def identifiers(self, name: str) -> list[str] | None:
        """Return the ids of a list separated by commas."""
        value = self.text(name)
        if value is None:
            return None
        found = value.split(",")
        if not all(ID.fullmatch(item) for item in found):
            raise routing(400, f"Improperly formatted value for parameter '{name}'")
        return found

    def finder(self, *known: str, without: bool) -> str | None:
        """Return the parameter `q`; 405 for an unknown finder, or without a needed one."""
        value = self.text("q")
        if value is None:
            if not without:
                raise routing(405, "'get-all' not implemented")
            return None
        if not value:
            raise routing(405, "Must provide a finder name.")
        if value not in known:
            raise routing(405, f"finder '{value}' not implemented")
        return value

    @property
    def limit(self) -> int:
        """Rows per page. What is no positive number becomes the default; what is too much is cut to the maximum."""
        digits = (self.text("limit") or "").lstrip("0")
        if not (digits.isascii() and digits.isdigit()):
            return DEFAULT_LIMIT
        return min(int(digits[:9]), MAX_LIMIT)  # more digits than nine say no more

    @property
    def start(self) -> int:
        """Index of the first row, from a number or from a cursor of ours."""
        value = self.text("start")
        if value is None:
            return 0
        if value.isascii() and value.isdigit() and len(value) < 10:  # noqa: PLR2004
            return int(value)
        row = _from_cursor(value) if self.flag("useCursorPagination") else None
        if row is None:
            raise naptime(400, None, f"Paging start should be an integer, was Some({value})")
        return row

    def next(self, row: int) -> str:
        """Return the `start` of the page that begins at this row, always as a string."""
        if self.text("useCursorPagination") == "true":
            return base64.urlsafe_b64encode(_CURSOR + str(row).encode()).decode().rstrip("=")
        return str(row)


def _from_cursor(value: str) -> int | None:
    try:
        plain = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        return None
    digits = plain.removeprefix(_CURSOR)
    return int(digits) if plain.startswith(_CURSOR) and re.fullmatch(rb"\d{1,9}", digits) else None
