"""Reading the files a BATCH message points at."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from singer_sdk.helpers._batch import BatchFileFormat
from upath import UPath

from target_duckdb.errors import LoadError
from target_duckdb.messages import decode_object
from target_duckdb.sql import escape_glob, literal, quote
from target_duckdb.texts import BOM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from singer_sdk.helpers._batch import BaseBatchFileEncoding

_FETCH_ROWS = 1000
_LOCAL = frozenset({"", "file", "local"})
_GZIP_MAGIC = b"\x1f\x8b"


def batch_records(
    encoding: BaseBatchFileEncoding,
    manifest: Sequence[str],
    repair: Callable[[dict[str, Any]], dict[str, Any]],
    take: Callable[[bytes], bool] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield the records of the files a BATCH message lists.

    Args:
        encoding: ``jsonl`` with or without gzip, or ``parquet`` (local files only).
        manifest: Paths or URLs of the files; anything fsspec can open.
        repair: Makes text of what cannot be text in a record, and null of a float that is no number.
        take: Is given each line of JSON first; one that it takes is not yielded as a record.
    """
    for number, url in enumerate(manifest, start=1):
        where = f"file {number} of a BATCH message"
        if encoding.format == BatchFileFormat.JSONL and encoding.compression in {None, "none", "gzip"}:
            yield from _jsonl(url, where, repair, take)
        elif encoding.format == BatchFileFormat.PARQUET:
            yield from map(repair, _parquet(url, where))
        else:
            raise LoadError(
                f"BATCH files of format {encoding.format} with compression {encoding.compression} cannot be read: "
                "set the tap's batch_config to jsonl (gzip or none) or parquet."
            )


def local_files(manifest: Sequence[str]) -> list[Path]:
    """List those files of a BATCH message that are on this machine."""
    return [Path(path.path) for path in map(UPath, manifest) if path.protocol in _LOCAL]


@contextmanager
def _readable(where: str) -> Iterator[None]:
    """Turn whatever opening or reading a file fails with into a LoadError.

    Each file system that fsspec knows raises errors of its own classes. Their texts may hold an answer of a server.
    """
    try:
        yield
    except LoadError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        if isinstance(error, ImportError):
            reason = str(error)  # it names the package to install
        elif isinstance(error, ValueError):
            reason = "its path or address is not valid"
        raise LoadError(f"Cannot read {where} ({reason}): check the storage root of its batch_config.") from error


def _lines(url: str, where: str) -> Iterator[bytes]:
    with _readable(where):
        path = UPath(url)
        with path.fs.open(path.path, "rb") as file:
            compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        # The SDK's own taps write gzip whatever the message says, so the file's first bytes decide.
        with path.fs.open(path.path, "rb", compression="gzip" if compressed else None) as lines:
            yield from lines


def _jsonl(
    url: str,
    where: str,
    repair: Callable[[dict[str, Any]], dict[str, Any]],
    take: Callable[[bytes], bool] | None,
) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_lines(url, where), start=1):
        if number == 1:
            line = line.removeprefix(BOM)  # noqa: PLW2901
        if (take is None or not take(line)) and line.strip():
            yield decode_object(line, f"Line {number} of {where}", repair)


def _parquet(url: str, where: str) -> Iterator[dict[str, Any]]:
    with _readable(where):
        path = UPath(url)
    if path.protocol not in _LOCAL:
        raise LoadError(f"Cannot read {where}: parquet is read from local files only, so use a file:// storage root.")
    with _readable(where), Path(path.path).open("rb"):
        source = f"read_parquet({literal(escape_glob(path.path))})"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        try:
            described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()  # noqa: S608 - quoted
            # Python would need pytz to hold a TIMESTAMPTZ; the text serves as well.
            select = ", ".join(
                f"{quote(name)}::VARCHAR" if kind == "TIMESTAMP WITH TIME ZONE" else quote(name)
                for name, kind, *_ in described
            )
            rows = connection.execute(f"SELECT {select} FROM {source}")  # noqa: S608 - quoted
            while values := rows.fetchmany(_FETCH_ROWS):
                yield from (dict(zip((name for name, *_ in described), row, strict=True)) for row in values)
        except duckdb.Error:
            raise LoadError(f"Cannot read {where}: it is not a readable parquet file.") from None
