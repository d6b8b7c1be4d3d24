"""Replaces a package in one step: a reader sees either the old file or the complete new one."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from coursera_connect import file_lock
from coursera_connect.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def locked(package: Path, wait: float) -> Iterator[None]:
    """Hold the lock for writing a package (a file beside it), and remove what a killed publish left behind."""
    lock = package.with_name(f".{package.name}.lock")
    try:
        package.parent.mkdir(parents=True, exist_ok=True)
        handle = lock.open("a")
    except OSError as error:
        raise OutputError(
            f"Cannot write to the folder {package.parent} ({error.strerror}): check CONNECT_PACKAGE."
        ) from error
    with handle:
        if not file_lock.taken_within(handle.fileno(), wait):
            raise OutputError(f"Another publish of {package} is running: wait for it and run again.")
        partial = re.compile(rf"\.{re.escape(package.name)}\.[0-9a-f]{{16}}\.connect-partial")
        for entry in package.parent.iterdir():
            if partial.fullmatch(entry.name):
                entry.unlink()  # whoever wrote it would hold the lock
        yield


@contextmanager
def replacing(target: Path, package: Path, *, keep_same: bool = False) -> Iterator[IO[bytes]]:
    """Yield a temporary file beside the package that replaces the target once it is complete and on disk.

    With `keep_same`, a target with the same bytes is not touched.
    """
    partial = package.with_name(f".{package.name}.{secrets.token_hex(8)}.connect-partial")
    try:
        with partial.open("xb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        if keep_same and target.is_file() and digest(target) == digest(partial):
            return
        partial.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise OutputError(f"Cannot write {target} ({error.strerror}): check the disk and CONNECT_PACKAGE.") from error
    finally:
        partial.unlink(missing_ok=True)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file as hex."""
    total = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            total.update(block)
    return total.hexdigest()
