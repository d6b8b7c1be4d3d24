"""The CSV binding of a OneRoster version as data (`bindings/`): files, columns in order, types and references."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Column:
    """One column.

    `type` is guid, bulkBlank, guidref, guidreflist, list, string, date, year, float, boolean or vocabulary.
    """

    name: str
    type: str
    required: bool = False
    references: str = ""
    """File whose sourcedId this column holds."""
    referencedType: str = ""  # noqa: N815 - spelled as in the data
    """Value the referenced row must have in its column `type`."""
    values: tuple[str, ...] = ()
    """The vocabulary, exact in spelling and case."""


@dataclass(frozen=True)
class Binding:
    """One version: `files` in the order of the manifest; `together` is what a bulk file needs beside it."""

    version: str
    files: dict[str, tuple[Column, ...]]
    together: dict[str, tuple[str, ...]]


@cache
def load(version: str = "1.1") -> Binding:
    """Return the binding of a version we have data for."""
    data = json.loads((files(__package__) / "bindings" / f"oneroster-{version}.json").read_text("utf-8"))
    return Binding(
        version=data["version"],
        files={
            name: tuple(Column(**{**column, "values": tuple(column.get("values", ()))}) for column in columns)
            for name, columns in data["files"].items()
        },
        together={name: tuple(others) for name, others in data["together"].items()},
    )
