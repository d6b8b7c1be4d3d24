"""Turns rows into the rows that one reader gets, by Privacy Shield, excluded attributes and the reader's profile.

All cells are text, blank is the empty text. Expressions and conditions are over a row `r` of the file with all columns
there are. In this order: a cell is blank when its attribute is excluded; else it is masked (`masking.py`), then
changed as the reader wants (`profile.py`). Statements with such expressions need the connection that `unlock` was
called with.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oneroster_csv import binding as bindings
from oneroster_csv import masking
from oneroster_csv import profile as profiles
from oneroster_csv.errors import KeyMissingError, SettingError
from oneroster_csv.sql import literal, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from oneroster_csv.binding import Binding, Column
    from oneroster_csv.database import Database
    from oneroster_csv.profile import Profile

STAMPS = ("status", "dateLastModified")
"""Columns that are blank in a bulk file, and say in a delta when a row changed."""

_STRUCTURE = frozenset({"sourcedId", *STAMPS})


@dataclass(frozen=True)
class Output:
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
    """The domain of masked e-mail addresses."""
    key: masking.Key | None = field(default=None, repr=False, compare=False)

    def unlock(self, database: Database) -> None:
        """Store the key in a connection, so that it occurs in no statement and in no error."""
        for name, pad in (self.key.pads if self.key else {}).items():
            database.remember(name, pad)

    def files(self, binding: Binding) -> tuple[str, ...]:
        """Return the files the reader takes, in the order of the manifest."""
        return tuple(file for file in binding.files if self.profile.takes(file))

    def header(self, columns: list[str]) -> list[str]:
        """Return the columns to write of those that a file has."""
        return [name for name in columns if self.profile.metadata or not name.startswith("metadata.")]

    def cell(self, file: str, column: str) -> str:
        """Return the SQL of the text to write, which is never null."""
        attribute = f"{file}.{column}"
        if attribute in self.excluded or attribute in self.profile.without:
            return "''"
        text = masking.masked(file, column, self.level, self.domain)
        for change in self.profile.cells:
            if attribute in change.columns:
                text = change.apply(text)
        return text

    def condition(self, file: str) -> str:
        """Return the SQL condition for rows the reader takes."""
        wanted = []
        for attribute, values in self.profile.rows:
            of_file, _, column = attribute.partition(".")
            if of_file == file:
                wanted.append(f"coalesce(r.{quoted(column)}, '') in ({', '.join(map(literal, values))})")
        return " and ".join(wanted) or "true"

    def define(
        self,
        database: Database,
        binding: Binding,
        headers: Mapping[str, list[str]],
        rows: Mapping[str, str],
        *,
        stamped: bool,
    ) -> None:
        """Define what the reader is to see: the relations `rows_of(file)`, for the checks and for the writer.

        `headers` are the columns to write, `rows` the relations (as quoted in SQL) that they are made from. What is not
        in `headers` has no row. status and dateLastModified are blank, unless the relations are `stamped`: for a delta.
        """
        for file, names in headers.items():
            cells = [f"{self._written(file, name, stamped)} as {quoted(name)}" for name in names]
            database.view(f"publish {file}", f"select {', '.join(cells)} from {rows[file]} as r")  # noqa: S608 - quoted
        for file in binding.files.keys() - headers.keys():
            database.view(f"publish {file}", binding.no_rows(file))

    def _written(self, file: str, column: str, stamped: bool) -> str:
        if column not in STAMPS:
            return self.cell(file, column)
        # A cell is never null, even if the time at which its row changed is unknown.
        return f"coalesce(r.{quoted(column)}, '')" if stamped else "''"


def make(  # noqa: PLR0913, PLR0917 - one value per setting
    version: str,
    reader: Profile,
    privacy_level: int,
    privacy_key: str,
    exclude: Iterable[str],
    district: str,
    *,
    mode: str = "bulk",
) -> Output:
    """Return the output that settings ask for; a SettingError names the setting that cannot be used.

    `district` is the sourcedId of the district. At a level that `masking.hides_emails`, no sourcedId of a user may be
    made of an e-mail, which the caller alone knows.
    """
    if version not in reader.versions:
        raise SettingError(
            f"The profile {reader.name} is not made for OneRoster {version}: choose {' or '.join(reader.versions)}."
        )
    if mode not in reader.modes:
        raise SettingError(f"The profile {reader.name} is not made for {mode}: choose {' or '.join(reader.modes)}.")
    if privacy_level not in masking.LEVELS:
        raise SettingError(f"There is no privacy level {privacy_level}: choose 0 (off), 1, 2 or 3.")
    key = _key(privacy_level, privacy_key)
    excluded = frozenset(_excluded(exclude, version, reader))
    domain = masking.domain(district)
    seen = {
        attribute
        for attribute in excluded
        if reader.takes(attribute.partition(".")[0]) and (reader.metadata or ".metadata." not in attribute)
    }
    masks = [masking.FINGERPRINT, privacy_level, key.fingerprint if key else ""]
    parts = [version, reader.written, sorted(seen), masks, domain if masking.hides_emails(privacy_level) else ""]
    fingerprint = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return Output(version, reader, privacy_level, excluded, fingerprint, domain, key)


def _key(level: int, text: str) -> masking.Key | None:
    if not level:
        return None
    if not text.strip():
        raise KeyMissingError(
            f"The privacy level {level} needs a key: make one with `openssl rand -hex 32`, and keep it, since another "
            "key masks everybody differently."
        )
    if not masking.is_strong(text.strip()):
        raise SettingError(
            "The privacy key is too short: it needs 16 characters, better the 64 of `openssl rand -hex 32`."
        )
    return masking.Key(text.strip())


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
            raise SettingError(f"There is no attribute {attribute} to exclude in OneRoster {version}{near or '.'}")
        if column in _STRUCTURE or columns[attribute].required:
            raise SettingError(f"{attribute} cannot be excluded: OneRoster {version} requires it.")
        if attribute in reader.required:
            raise SettingError(f"{attribute} cannot be excluded: the profile {reader.name} requires it.")
        yield attribute
