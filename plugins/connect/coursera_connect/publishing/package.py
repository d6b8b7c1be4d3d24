"""Writes the zip: the same rows give the same bytes, and a reader sees the old package or the new one, never a part."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import secrets
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal

from coursera_connect import file_lock
from coursera_connect.database.warehouse import csv_row, quoted
from coursera_connect.errors import OutputError
from coursera_connect.publishing.stages import at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from coursera_connect.database.warehouse import Warehouse
    from coursera_connect.publishing.binding import Binding

_ZIP64_FROM_ROWS = 2_000_000  # a file above 2 GiB needs it announced; a row is far below 1 kB


DATE = (1980, 1, 1, 0, 0, 0)
"""Of every file in a package, since the same rows give the same bytes."""


@contextmanager
def locked(package: Path, wait: float) -> Iterator[None]:
    """Hold the only right to write a package (file lock beside it), and clear what a killed publish left behind."""
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
    """Give a temporary file beside the package that takes the target's place, once complete and on disk.

    With `keep_same`, a target that already has the same bytes is left untouched.
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


@dataclass(frozen=True)
class Part:
    """How a file is written: `mode` bulk, delta or absent; its columns in order; its rows as counted."""

    mode: str
    columns: list[str]
    rows: int


def write(  # noqa: PLR0913, PLR0917 - one value per part of the package
    handle: IO[bytes],
    warehouse: Warehouse,
    binding: Binding,
    parts: dict[str, Part],
    source: dict[str, str],
    quote_all: bool,
    step: Callable[[str, int], None],
) -> None:
    """Write manifest and files of a checked package. `step` is told file and rows after every block."""
    quoting: Literal[0, 1] = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    modes = {file: parts[file].mode if file in parts else "absent" for file in binding.files}
    properties = {"manifest.version": "1.0", "oneroster.version": binding.version}
    properties |= {f"file.{file}": mode for file, mode in modes.items()}
    properties |= {f"source.{name}": value for name, value in source.items() if value}
    with zipfile.ZipFile(handle, "w", zipfile.ZIP_DEFLATED) as archive:
        with _entry(archive, "manifest", 0) as text:
            csv.writer(text, quoting=quoting).writerows([("propertyName", "value"), *properties.items()])
        for file, mode in modes.items():
            if mode == "absent":
                continue
            names = parts[file].columns
            # RFC 4180: commas, CRLF, quotes at least where needed. No two rows share the sourcedId, the first column.
            line = csv_row([quoted(name) for name in names], quote_all=quote_all)
            rows = f"select {line} as line, {quoted(names[0])} as id from {at('publish', file)}"  # noqa: S608 - quoted
            with _entry(archive, file, parts[file].rows) as text:
                csv.writer(text, quoting=quoting).writerow(names)
                for block in warehouse.blocks(f"select line from ({rows}) as r order by id"):  # noqa: S608 - quoted
                    text.write("".join(f"{line}\r\n" for (line,) in block))
                    step(file, len(block))


@contextmanager
def _entry(archive: zipfile.ZipFile, file: str, rows: int) -> Iterator[IO[str]]:
    info = zipfile.ZipInfo(f"{file}.csv", date_time=DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = 0o100644 << 16
    with (
        archive.open(info, "w", force_zip64=rows >= _ZIP64_FROM_ROWS) as raw,
        io.TextIOWrapper(raw, encoding="utf-8", newline="") as text,
    ):
        yield text
