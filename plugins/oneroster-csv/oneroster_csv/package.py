"""Writes packages (the same rows give the same bytes), and opens packages to read."""

from __future__ import annotations

import csv
import io
import struct
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal

from oneroster_csv import binding as bindings
from oneroster_csv import manifest
from oneroster_csv.checks import check, rows_of, text_rows
from oneroster_csv.database import Database
from oneroster_csv.errors import PackageError
from oneroster_csv.sql import csv_row, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import duckdb

    from oneroster_csv.binding import Binding
    from oneroster_csv.checks import Outcome
    from oneroster_csv.output import Output

DATE = (1980, 1, 1, 0, 0, 0)
"""The date of every file in a package, because the same rows must give the same bytes."""

_ZIP64_FROM_ROWS = (
    2_000_000  # zipfile needs to know beforehand that a file may exceed 2 GiB; a row has far less than 1 kB.
)
_BEGINNING = 1 << 16


@dataclass(frozen=True)
class Part:
    """How a file is written: its mode (bulk, delta or absent), its columns in order, and the number of its rows."""

    mode: str
    columns: list[str]
    rows: int


def from_tables(  # noqa: PLR0913 - one value per thing that may differ
    connection: duckdb.DuckDBPyConnection,
    target: Path,
    output: Output,
    *,
    schema: str = "main",
    mode: str = "bulk",
    properties: Mapping[str, str] | None = None,
) -> Outcome:
    """Check the tables or views of a schema that are named as files, and write the package unless a rule refuses it.

    Cells are written as text, null as blank. A `delta` needs status and dateLastModified in every row. `properties`
    are further ones of the manifest, such as source.systemName. The target is a new file, which exists unless the
    outcome is `refused`.
    """
    database, binding = Database(connection), bindings.load(output.version)
    there = database.columns(schema)
    headers, rows = {}, {}
    for file in output.files(binding):
        if file in there:
            texts = text_rows(schema, file, there[file])
            database.view(f"source {file}", f"select * from ({texts}) as r where {output.condition(file)}")  # noqa: S608
            headers[file], rows[file] = output.header(there[file]), quoted(f"source {file}")
    output.unlock(database)
    output.define(database, binding, headers, rows, stamped=mode == "delta")
    modes = dict.fromkeys(binding.files, mode)
    found = check(database, headers, binding, modes=modes, reader=output.profile.rules_of)
    if not found.refused:
        chosen = parts(database, binding, output, headers, mode)
        more = dict(output.profile.manifest) | dict(properties or {})
        with target.open("xb") as handle:
            write(handle, database, binding, chosen, more, output.profile.quotes == "all")
    return found


def parts(
    database: Database, binding: Binding, output: Output, headers: Mapping[str, list[str]], mode: str
) -> dict[str, Part]:
    """Return how the reader's files are written; a file without rows is absent unless the reader wants its header."""
    found = {}
    for file in output.files(binding):
        columns = headers.get(file, [column.name for column in binding.files[file]])
        rows = database.row(f"select count(*) from {rows_of(file)}")[0]  # noqa: S608 - quoted
        is_written = rows or (output.profile.empty == "header" and mode == "bulk")
        found[file] = Part(mode if is_written else "absent", columns, rows)
    return found


def write(  # noqa: PLR0913, PLR0917 - one value per part of the package
    handle: IO[bytes],
    database: Database,
    binding: Binding,
    parts: dict[str, Part],
    properties: Mapping[str, str],
    quote_all: bool,
    step: Callable[[str, int], None] = lambda _file, _rows: None,
) -> None:
    """Write the manifest and the files from the checked relations `rows_of(file)`.

    `properties` are those of the manifest besides versions and modes, such as source.systemName. `step` is called with
    the file and the number of rows after every block.
    """
    quoting: Literal[0, 1] = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    modes = {file: parts[file].mode if file in parts else "absent" for file in binding.files}
    with zipfile.ZipFile(handle, "w", zipfile.ZIP_DEFLATED) as archive:
        with _entry(archive, "manifest", 0) as text:
            rows = manifest.properties(binding, modes, properties).items()
            csv.writer(text, quoting=quoting).writerows([manifest.HEADER, *rows])
        for file, mode in modes.items():
            if mode == "absent":
                continue
            names = parts[file].columns
            # RFC 4180: commas, CRLF, quotes at least where needed. No two rows share the sourcedId, the first column.
            line = csv_row([quoted(name) for name in names], quote_all=quote_all)
            query = f"select {line} as line, {quoted(names[0])} as id from {rows_of(file)}"  # noqa: S608 - quoted
            with _entry(archive, file, parts[file].rows) as text:
                csv.writer(text, quoting=quoting).writerow(names)
                for block in database.blocks(f"select line from ({query}) as r order by id"):  # noqa: S608 - quoted
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


def is_written_here(path: Path) -> bool:
    """Return whether `write` made a file, by the order, names and dates of its entries."""
    known = {f"{file}.csv" for version in bindings.VERSIONS for file in bindings.load(version).files} | {manifest.NAME}
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if not entries or entries[0].filename != manifest.NAME:
                return False
            if any(entry.filename not in known or entry.date_time != DATE for entry in entries):
                return False
            with archive.open(manifest.NAME) as raw:
                text = raw.read(_BEGINNING).decode("utf-8")
                rows = list(csv.reader(io.StringIO(text, newline="")))
    except (OSError, ValueError, EOFError, RuntimeError, csv.Error, zipfile.BadZipFile, zlib.error):
        return False
    return rows[:1] == [[*manifest.HEADER]] and {manifest.VERSION, manifest.ONEROSTER} <= {
        row[0] for row in rows if row
    }


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a package for reading.

    Raises:
        PackageError: The package cannot be read; also raised within the block.
    """
    if not path.is_file():
        raise PackageError(f"There is no package at {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except OSError as error:
        raise PackageError(f"{path} cannot be read ({error.strerror}).") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, UnicodeDecodeError, NotImplementedError) as error:
        raise PackageError(f"{path} is no zip file, or a damaged one: transfer it again.") from error
