"""The CSV binding of a OneRoster version as data (`bindings/`): files, columns in order, types and references."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from oneroster_csv.sql import quoted


@dataclass(frozen=True)
class Column:
    """One column.

    `type` is guid, status, modified, guidref, guidreflist, list, pairs, string, date, year, float, percent, boolean or
    vocabulary. `status` and `modified` are blank in a bulk file and filled in a delta file.
    """

    name: str
    type: str
    required: bool = False
    references: str = ""
    """The file whose sourcedId this column holds."""
    referencedType: str = ""  # noqa: N815 - spelled as in the data
    """The value that the referenced row must have in its column `type`."""
    notReferencedType: str = ""  # noqa: N815 - spelled as in the data
    """The value that the referenced row must not have in its column `type`."""
    values: tuple[str, ...] = ()
    """The vocabulary, exact in spelling and case; in a list, of each item."""
    extensible: bool = False
    """Whether the vocabulary also takes values that begin with `ext:`."""


@dataclass(frozen=True)
class Binding:
    """The binding of a version: `files` in the order of the manifest; `together` are files that a bulk file needs.

    `sameLength` names, per file, two columns whose lists must have the same number of items.
    """

    version: str
    files: dict[str, tuple[Column, ...]]
    together: dict[str, tuple[str, ...]]
    sameLength: dict[str, tuple[str, str]]  # noqa: N815 - spelled as in the data

    def no_rows(self, file: str) -> str:
        """Return a query with the columns of a file and no rows."""
        blank = ", ".join(f"'' as {quoted(column.name)}" for column in self.files[file])
        return f"select {blank} where false"


VERSIONS = ("1.1", "1.2")
"""The supported versions, oldest first; 1.2 is 1.2.1, which is called 1.2 in the manifest."""


@cache
def load(version: str = "1.1") -> Binding:
    """Return the binding of a supported version."""
    data = json.loads((files("oneroster_csv") / "bindings" / f"oneroster-{version}.json").read_text("utf-8"))
    return Binding(
        version=data["version"],
        files={
            name: tuple(Column(**{**column, "values": tuple(column.get("values", ()))}) for column in columns)
            for name, columns in data["files"].items()
        },
        together={name: tuple(others) for name, others in data["together"].items()},
        sameLength={name: (first, second) for name, (first, second) in data["sameLength"].items()},
    )
