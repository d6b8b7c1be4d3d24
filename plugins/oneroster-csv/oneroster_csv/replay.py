"""Replays packages: computes the rows that a reader holds after a series of packages.

A bulk file replaces all rows of its file. A delta file adds, replaces and deletes rows by sourcedId. An absent file
leaves the rows as they are, also in a package of bulk files. All rows are in memory.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from oneroster_csv import manifest
from oneroster_csv.errors import PackageError
from oneroster_csv.package import opened

if TYPE_CHECKING:
    import zipfile
    from pathlib import Path

Table = dict[str, dict[str, str]]


class Replay:
    """Holds the rows of a reader in `tables`: file, sourcedId, column, cell; without status and dateLastModified."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}

    def apply(self, path: Path) -> None:
        """Apply a package. The package is not validated; see `validate.package`.

        Raises:
            PackageError: The package cannot be applied. The rows stay as they were.
        """
        with opened(path) as archive:
            try:
                self._apply(archive)
            except KeyError as error:
                raise PackageError(
                    f"{path} lacks a file that its manifest names: add it, or declare it absent."
                ) from error
            except (ValueError, csv.Error) as error:
                raise PackageError(
                    f"{path} cannot be replayed ({error}): check it with `oneroster-csv check`."
                ) from error

    def _apply(self, archive: zipfile.ZipFile) -> None:
        header, *properties = _rows(archive, manifest.NAME)
        if header != [*manifest.HEADER]:
            raise ValueError("the manifest has another header")
        tables = {file: dict(table) for file, table in self.tables.items()}
        present = {manifest.NAME}
        for name, mode in properties:
            file = name.removeprefix("file.")
            if file == name or mode == "absent":
                continue
            present.add(f"{file}.csv")
            if mode == "bulk":
                tables[file] = {}
            elif mode != "delta":
                raise ValueError(f"{file} has a mode that is none of the standard's")
            self._take(tables.setdefault(file, {}), file, mode, _rows(archive, f"{file}.csv"))
        if present != set(archive.namelist()):
            raise ValueError("the manifest does not name what the zip holds")
        self.tables = tables

    @staticmethod
    def _take(table: Table, file: str, mode: str, rows: list[list[str]]) -> None:
        header, *body = rows
        seen = set()
        for cells in body:
            row = dict(zip(header, cells, strict=True))
            sourced_id, status, modified = (row.pop(name) for name in ("sourcedId", "status", "dateLastModified"))
            if sourced_id in seen:
                raise ValueError(f"{file} names a row twice")
            seen.add(sourced_id)
            if (mode == "bulk") != (not status and not modified):
                raise ValueError(f"{file} is not the {mode} file it says it is")
            if status == "tobedeleted":
                table.pop(sourced_id, None)
            elif status in {"", "active"}:
                table[sourced_id] = row
            else:
                raise ValueError(f"{file} has a status that is none of the standard's")


def _rows(archive: zipfile.ZipFile, name: str) -> list[list[str]]:
    with archive.open(name) as raw, io.TextIOWrapper(raw, "utf-8", newline="") as text:
        return list(csv.reader(text, strict=True))
