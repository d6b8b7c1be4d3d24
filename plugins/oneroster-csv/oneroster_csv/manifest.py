"""The properties of a package's manifest, and their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneroster_csv import binding as bindings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oneroster_csv.binding import Binding

NAME = "manifest.csv"
HEADER = ("propertyName", "value")
VERSION, ONEROSTER = "manifest.version", "oneroster.version"
SOURCE = ("source.systemName", "source.systemCode")
WRITTEN_BY = "1.0"
"""The version of the manifest format."""

MODES = ("absent", "bulk", "delta")
"""The modes of a file in the manifest."""


def of_file(file: str) -> str:
    """Return the name of the property with the mode of a file."""
    return f"file.{file}"


def order(binding: Binding) -> list[str]:
    """Return all properties of a version in the order of the standard."""
    return [VERSION, ONEROSTER, *map(of_file, binding.files), *SOURCE]


def known() -> set[str]:
    """Return the properties of all versions."""
    return {name for version in bindings.VERSIONS for name in order(bindings.load(version))}


def properties(binding: Binding, modes: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return the properties of a package in order: versions, the `modes` of its files, and `more` that are filled."""
    found = {VERSION: WRITTEN_BY, ONEROSTER: binding.version}
    found |= {of_file(file): modes.get(file, "absent") for file in binding.files}
    return found | {name: value for name, value in more.items() if value}
