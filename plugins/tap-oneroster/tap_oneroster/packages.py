"""Finds the packages to read, copies them, and reads their rows.

A package may be replaced while it is read, so each one is copied into a private folder first. The copy is what is
checked and read.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, TYPE_CHECKING

from oneroster_csv import binding as bindings
from oneroster_csv import validate
from oneroster_csv.errors import OneRosterError, PackageError
from oneroster_csv.package import opened
from oneroster_csv.strict_csv import BrokenError, Reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oneroster_csv.validate import Checked

logger = logging.getLogger("tap-oneroster")

_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Package:
    """A package that was copied and checked."""

    copy: Path
    name: str
    """The path that the operator knows."""
    digest: str
    """SHA-256 of the zip, or of the names and bytes of the files of a folder, in hexadecimal."""
    version: str
    """Version of OneRoster, `1.1` or `1.2`."""
    modes: dict[str, str]
    """The mode of each file of the version: `absent`, `bulk` or `delta`."""
    headers: dict[str, list[str]] = field(default_factory=dict)
    """The columns of each file that is there."""

    def rows(self, file: str) -> Iterator[dict[str, str]]:
        """Yield the rows of a file by column; none where the file is absent."""
        if file in self.headers:
            with opened(self.copy) as archive, archive.open(f"{file}.csv") as raw:
                header: list[str] = []
                for cells in _cells(raw):
                    if header:
                        yield dict(zip(header, cells, strict=True))
                    else:
                        header = cells


@dataclass(frozen=True)
class Series:
    """The packages that say together what a reader holds: the last complete one and all after it, oldest first."""

    packages: tuple[Package, ...]

    @property
    def last(self) -> Package:
        """The newest package."""
        return self.packages[-1]

    @cached_property
    def binding(self) -> bindings.Binding:
        """The binding of the newest package."""
        return bindings.load(self.last.version)

    def after(self, digest: str) -> tuple[Package, ...]:
        """Return the packages after one that was read before; all, where that one is not in the series."""
        for place, package in enumerate(self.packages, 1):
            if package.digest == digest:
                return self.packages[place:]
        return self.packages

    def since_bulk(self, file: str) -> tuple[Package, ...]:
        """Return the last package that has a file in bulk and those after it; all, where none has the file in bulk."""
        for place in range(len(self.packages) - 1, -1, -1):
            if self.packages[place].modes.get(file) == "bulk":
                return self.packages[place:]
        return self.packages

    def is_complete(self, file: str) -> bool:
        """Return whether the rows of a file in the series are all rows that a reader holds."""
        return self.since_bulk(file)[0].modes.get(file) == "bulk"


def read(path: Path, scratch: Path) -> Series:
    """Find the packages at a path, copy them into a private folder, and check them.

    A path is a zip, a folder that holds the files of one package, or a folder of zips. Of a folder of zips, the newest
    is taken (by time of modification, then by name); if it is a delta, also all before it, back to the last package in
    which no file is a delta.

    Raises:
        PackageError: there is no package, or one of them cannot be read or breaks a rule.
    """
    if not path.exists():
        raise PackageError(f"There is no package at {path}.")
    chosen: list[Package] = []
    found = list(reversed(_zips(path))) if _is_folder_of_zips(path) else [path]
    for place, source in enumerate(found):
        copy = scratch / f"{place}.zip"
        try:
            digest = _copied(source, copy)
            if not zipfile.is_zipfile(copy):
                if not chosen and len(found) > 1:
                    logger.warning("%s is no complete zip yet, so the package before it is the last one.", source)
                    continue
                raise PackageError(f"{source} is no zip file, or a damaged one: transfer it again.")
            package = _checked(copy, source, digest)
        except OSError as error:
            raise PackageError(f"{source} cannot be read ({error.strerror}).") from error
        except OneRosterError as error:
            raise PackageError(str(error).replace(str(copy), str(source))) from error
        chosen.append(package)
        modes = set(package.modes.values())
        if "bulk" in modes and "delta" not in modes:
            break
    if not chosen:
        raise PackageError(f"There is no complete package in {path}.")
    return Series(tuple(reversed(chosen)))


def _is_folder_of_zips(path: Path) -> bool:
    return path.is_dir() and not any(path.glob("*.csv"))


def _zips(folder: Path) -> list[Path]:
    """Return the zips of a folder, oldest first; those whose name begins with a dot are not finished."""
    found = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() == ".zip" and not file.name.startswith(".") and file.is_file()
    ]
    if not found:
        raise PackageError(f"There is no package in {folder}: it has neither a zip nor a CSV file.")
    return sorted(found, key=lambda file: (file.stat().st_mtime_ns, file.name))


def _copied(source: Path, copy: Path) -> str:
    """Copy a package, a folder as a zip, and return its digest."""
    digest = hashlib.sha256()
    if not source.is_dir():
        with source.open("rb") as raw, copy.open("xb") as target:
            while block := raw.read(_AT_ONCE):
                digest.update(block)
                target.write(block)
        return digest.hexdigest()
    size = 0
    with zipfile.ZipFile(copy, "x", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(source.rglob("*"))[: validate.MOST_ENTRIES + 1]:
            if file.is_file():
                name = file.relative_to(source).as_posix()
                size += file.stat().st_size
                if size > validate.MOST_BYTES:
                    raise PackageError(f"{source} is larger than {validate.MOST_BYTES >> 30} GiB, and is not read.")
                digest.update(f"{len(name)} {name} {file.stat().st_size} ".encode("utf-8", "surrogateescape"))
                with file.open("rb") as raw, archive.open(name, "w", force_zip64=True) as target:
                    shutil.copyfileobj(_Digesting(raw, digest), target, _AT_ONCE)
    return digest.hexdigest()


class _Digesting:
    """Reads a file and adds what is read to a digest."""

    def __init__(self, raw: IO[bytes], digest: hashlib._Hash) -> None:
        self._raw, self._digest = raw, digest

    def read(self, size: int = -1) -> bytes:
        block = self._raw.read(size)
        self._digest.update(block)
        return block


def _checked(copy: Path, source: Path, digest: str) -> Package:
    """Check a copied package, and return it with the columns of its files."""
    found = validate.package(copy, empty="header")  # a file without rows does no harm to a reader
    if found.refused:
        raise PackageError(_sentence(source, found))
    present = [file for file, mode in found.modes.items() if mode != "absent"]
    headers = {}
    with opened(copy) as archive:
        for file in present:
            with archive.open(f"{file}.csv") as raw:
                headers[file] = next(_cells(raw))
    return Package(copy, str(source), digest, found.version, found.modes, headers)


def _sentence(source: Path, found: Checked) -> str:
    """Return what is wrong with a package in one sentence: the first broken rule, and how many others there are."""
    errors = [problem for problem in found.described()["problems"] if problem["severity"] == "error"]
    first, others = errors[0], len(errors) - 1
    times = "once" if first["count"] == 1 else f"{first['count']:,} times"
    more = f" and {others:,} more" if others else ""
    what = f"OneRoster {found.version}" if found.version else "OneRoster"
    return (
        f"{source} is not valid {what} ({first['file']} {first['field']}: {first['reason'].rstrip('.')}, {times}{more})"
        f": correct it where the package is made; `oneroster-csv check {source}` lists the rows."
    )


def _cells(raw: IO[bytes]) -> Iterator[list[str]]:
    """Yield the rows of a file that was checked, beginning with its header."""
    try:
        for block in Reader(raw).blocks():
            yield from block
    except BrokenError as error:
        raise PackageError(f"A package cannot be read at row {error.row} of a file ({error.rule}).") from error


def columns(series: Series, file: str) -> list[bindings.Column]:
    """Return the columns of a file: those of the standard, then others that a package of the series has.

    Others are extensions (`metadata.*`), and columns of an older version if the series has packages of two versions.
    """
    found = {column.name: column for column in series.binding.files[file]}
    for package in series.packages:
        theirs = {column.name: column for column in bindings.load(package.version).files.get(file, ())}
        for name in package.headers.get(file, []):
            found.setdefault(name, theirs.get(name) or bindings.Column(name, "string"))
    return list(found.values())
