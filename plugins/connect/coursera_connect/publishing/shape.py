"""What stands between the rows of the models and the files: Privacy Shield, excluded attributes, a reader's profile.

All cells are text, blank is the empty text. Expressions and conditions are over a row `r` of the file with all columns
of the models. In this order: a cell is blank when its attribute is excluded; else it is masked (`shield.py`), then
changed as the reader wants (`profile.py`). Statements with such expressions need the connection that `unlock` was
called with.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from coursera_connect.database.warehouse import literal, quoted
from coursera_connect.errors import UsageError
from coursera_connect.publishing import binding as bindings
from coursera_connect.publishing import profile as profiles
from coursera_connect.publishing import shield

if TYPE_CHECKING:
    from collections.abc import Iterable

    from coursera_connect.database.warehouse import Warehouse
    from coursera_connect.publishing.binding import Binding, Column
    from coursera_connect.publishing.profile import Profile, ReaderRule

_STRUCTURE = frozenset({"sourcedId", "status", "dateLastModified"})


@dataclass(frozen=True)
class Shape:
    """How rows are written for one reader."""

    version: str
    profile: Profile
    level: int
    """Privacy Shield, 0 (off) to 3."""
    excluded: frozenset[str]
    """Attributes such as `users.email`."""
    fingerprint: str
    """Hex; differs exactly when the same rows can be written differently, the key and the version included."""
    domain: str = ""
    """Of masked e-mails."""
    key: shield.Key | None = field(default=None, repr=False, compare=False)


def shape(  # noqa: PLR0913, PLR0917 - one value per setting
    version: str,
    profile: str,
    privacy_level: int,
    privacy_key: str,
    exclude: Iterable[str],
    district: str,
    *,
    mode: str = "bulk",
    identity: str = "coursera_id",
) -> Shape:
    """Return the shape that settings ask for; a UsageError says which of them does not go.

    `district` is the sourcedId of the district, `identity` what the models made the sourcedIds of users from.
    """
    reader = profiles.load(profile)
    if version not in reader.versions:
        raise UsageError(
            f"The profile {profile} is not made for OneRoster {version}: choose {' or '.join(reader.versions)}."
        )
    if mode not in reader.modes:
        raise UsageError(f"The profile {profile} is not made for {mode}: choose {' or '.join(reader.modes)}.")
    if privacy_level not in shield.LEVELS:
        raise UsageError(f"There is no privacy level {privacy_level}: choose 0 (off), 1, 2 or 3.")
    key = _key(privacy_level, privacy_key)
    if shield.hides_emails(privacy_level) and identity != "coursera_id":
        raise UsageError(
            f"The privacy level {privacy_level} masks e-mails, and with the identity {identity} every sourcedId of a "
            "user can be guessed from one: set identity to coursera_id, or the level to 1."
        )
    excluded = frozenset(_excluded(exclude, version, reader))
    domain = shield.domain(district)
    seen = {
        attribute
        for attribute in excluded
        if reader.takes(attribute.partition(".")[0]) and (reader.metadata or ".metadata." not in attribute)
    }
    masks = [shield.FINGERPRINT, privacy_level, key.fingerprint if key else ""]
    parts = [version, reader.written, sorted(seen), masks, domain if shield.hides_emails(privacy_level) else ""]
    fingerprint = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return Shape(version, reader, privacy_level, excluded, fingerprint, domain, key)


def unlock(shape: Shape, warehouse: Warehouse) -> None:
    """Let a connection mask: it remembers the key, which so stands in no statement and in no error."""
    for name, pad in (shape.key.pads if shape.key else {}).items():
        warehouse.remember(name, pad)


def files(shape: Shape, binding: Binding) -> tuple[str, ...]:
    """Return the files the reader takes, in the order of the manifest."""
    return tuple(file for file in binding.files if shape.profile.takes(file))


def header(shape: Shape, file: str, columns: list[str]) -> list[str]:
    """Return the columns to write of those there are."""
    del file  # a profile wants the columns of all files alike
    return [name for name in columns if shape.profile.metadata or not name.startswith("metadata.")]


def cell(shape: Shape, file: str, column: str) -> str:
    """Return the SQL of the text to write, which is never null."""
    attribute = f"{file}.{column}"
    if attribute in shape.excluded or attribute in shape.profile.without:
        return "''"
    text = shield.masked(file, column, shape.level, shape.domain)
    for change in shape.profile.cells:
        if attribute in change.columns:
            text = change.apply(text)
    return text


def condition(shape: Shape, file: str) -> str:
    """Return the SQL condition for rows the reader takes."""
    wanted = []
    for attribute, values in shape.profile.rows:
        of_file, _, column = attribute.partition(".")
        if of_file == file:
            wanted.append(f"coalesce(r.{quoted(column)}, '') in ({', '.join(map(literal, values))})")
    return " and ".join(wanted) or "true"


def rules(shape: Shape, file: str) -> list[ReaderRule]:
    """Return the reader's rules on the written rows of a file, none for a file it does not take."""
    if not shape.profile.takes(file):
        return []
    return [
        demand.of(column)
        for demand in shape.profile.rules
        for of_file, _, column in (attribute.partition(".") for attribute in demand.columns)
        if of_file in {file, "*"}
    ]


def _key(level: int, text: str) -> shield.Key | None:
    if not level:
        return None
    if not text.strip():
        raise UsageError(
            f"The privacy level {level} needs a key: make one with `openssl rand -hex 32`, set CONNECT_PRIVACY_KEY to "
            "it, and keep it, since another key masks everybody differently."
        )
    if not shield.is_strong(text.strip()):
        raise UsageError(
            "The privacy key is too short: it needs 16 characters, better the 64 of `openssl rand -hex 32`."
        )
    return shield.Key(text.strip())


def _excluded(exclude: Iterable[str], version: str, reader: Profile) -> Iterable[str]:
    for attribute in exclude:
        columns: dict[str, Column] = {
            f"{file}.{column.name}": column
            for file, standard in bindings.load(version).files.items()
            for column in standard
        }
        file, _, column = attribute.partition(".")
        if column.startswith("metadata.") and file in bindings.load(version).files:
            yield attribute
            continue
        if attribute not in columns:
            near = profiles.suggestion(attribute, tuple(columns))
            raise UsageError(f"There is no attribute {attribute} to exclude in OneRoster {version}{near or '.'}")
        if column in _STRUCTURE or columns[attribute].required:
            raise UsageError(f"{attribute} cannot be excluded: OneRoster {version} requires it.")
        if attribute in reader.required:
            raise UsageError(f"{attribute} cannot be excluded: the profile {reader.name} requires it.")
        yield attribute
