"""Checks the paths of outputs before a command begins, so that no output replaces a file of another kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from coursera_connect.errors import UsageError
from coursera_connect.jobs.job_lock import LOCK
from coursera_connect.publish.settings import PREVIEW, REPORT
from coursera_connect.report import render as pages
from coursera_connect.setup.connection import RECORD
from oneroster_csv import package as packages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from coursera_connect.warehouse.warehouse import Location

_BEGINNING = 1 << 16


def check(database: Location, package: Path, page: Path | None, *, writes_package: bool = True) -> None:
    """Raise UsageError where the package, its preview or the page (None: none) would take the place of another file."""
    if writes_package:
        for path in (package, package.parent / PREVIEW / package.name):
            _check("CONNECT_PACKAGE", path, "a package of connect", "a zip file", packages.is_written_here)
        _apart("CONNECT_PACKAGE", package, _others(database, package))
    if page is not None:
        _check("CONNECT_REPORT", page, "a page of connect", "an HTML file", is_page)
        _apart("CONNECT_REPORT", page, [(package, "the package"), *_others(database, package)])


def _others(database: Location, package: Path) -> Iterator[tuple[Path, str]]:
    """Return the other files that are read or written, and their names in a sentence."""
    if isinstance(database, Path):
        yield database, "the warehouse"
        yield database.with_name(f"{database.name}.wal"), "the log of the warehouse"
    preview = package.parent / PREVIEW
    for place in (package, preview / package.name):
        yield place.with_name(REPORT), "a report"
        yield place.with_name(REPORT).with_suffix(".md"), "a report"
        yield place.with_name(f".{package.name}.lock"), "a lock"
    yield preview / package.name, "the package of a preview"
    yield package.with_name(RECORD), "the record of the connection test"
    yield package.with_name(LOCK), "a lock"


def _apart(setting: str, path: Path, others: Iterable[tuple[Path, str]]) -> None:
    for other, what in others:
        if _same(path, other):
            raise UsageError(f"{setting} is {path}, which is {what}: set it to the name of a file of its own.")


def _check(setting: str, path: Path, what: str, example: str, is_own: Callable[[Path], bool]) -> None:
    if path.is_dir():
        raise UsageError(f"{path} is a folder: set {setting} to the name of {example}.")
    if path.exists() and not (path.is_file() and is_own(path)):
        raise UsageError(f"{path} is not {what}, so it stays as it is: move it away, or set {setting} to another name.")


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # not there yet; where case does not count, two names that differ in it are one
        return str(one.resolve()).casefold() == str(other.resolve()).casefold()


def is_page(path: Path) -> bool:
    """Return whether a file is a report page of connect."""
    try:
        with path.open("rb") as handle:
            beginning = handle.read(_BEGINNING)
    except OSError:
        return False
    return beginning.startswith(b"<!doctype html>") and pages.TITLE.encode() in beginning
