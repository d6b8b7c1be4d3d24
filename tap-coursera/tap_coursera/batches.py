"""Rows by file: the loader gets a BATCH message for many rows, and opens the file that it names.

A file holds rows of one stream and one version, one per line, in the order and notation that they have in RECORD
messages. It is announced when it is full, and before any message that is not a row, so that neither a bookmark nor
ACTIVATE_VERSION gets ahead of the rows that it speaks for. It is closed first: what is announced is whole.

Files hold names and grades, so only their owner may read them. The loader may remove those that it has loaded; those
that it never heard of, this module removes.
"""

from __future__ import annotations

import gzip
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from io import BufferedWriter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast
from uuid import uuid4

from singer_sdk.contrib.msgspec import encoder
from singer_sdk.helpers._batch import BatchConfig, SDKBatchMessage
from upath import UPath

from tap_coursera.errors import TapError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from singer_sdk.helpers.types import Record
    from typing_extensions import Self

LEFT_BEHIND = 86_400
"""Seconds after which a file of another run is nobody's any more."""
_BUFFER = 1 << 17
_LOCAL = frozenset({"", "file", "local"})


@dataclass(slots=True)
class BatchMessage(SDKBatchMessage):
    """The SDK's message, with what a RECORD message says of its row."""

    time_extracted: datetime | None = None
    """When the first row of the file was read."""


class Batches:
    """The files of one run; to be entered before the first row and left after the last.

    Args:
        config: the setting `batch_config`.
        announce: writes a message.

    Raises:
        TapError: when a file cannot be written.
    """

    def __init__(self, config: Mapping[str, Any], announce: Callable[[BatchMessage], None]) -> None:
        self._config = BatchConfig.from_dict(dict(config))
        self._announce = announce
        self._name = f"{self._config.storage.prefix or ''}tap-coursera--"
        self._ending = ".jsonl.gz" if self._config.encoding.compression == "gzip" else ".jsonl"
        self._run = uuid4().hex
        self._number = 0
        self._open: dict[str, _File] = {}
        self._line = bytearray(64)

    def __enter__(self) -> Self:
        try:
            self._root = _root(self._config.storage.root, self._config.storage.params)
            folder = (self._root / self._name).parent
            if folder.protocol in _LOCAL:
                Path(folder.path).mkdir(mode=0o700, parents=True, exist_ok=True)
                self._remove_left_behind(Path(folder.path))
        except Exception as error:
            raise _trouble(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Also where a run fails: rows that were written as messages would have arrived, too.
        try:
            self.flush()
        except BrokenPipeError:
            if error is None:
                raise

    def add(self, stream: str, row: Record, version: int | None) -> None:
        """Take a row; its file is announced when this makes it full."""
        encoder.encode_into(row, self._line)
        self._line += b"\n"
        file = self._open.get(stream)
        if file is None or file.version != version:
            file = self._next(stream, version)
        file.add(self._line)
        if file.rows == self._config.batch_size:
            self._finish(stream)

    def flush(self) -> None:
        """Announce all rows that were taken."""
        try:
            for stream in list(self._open):
                self._finish(stream)
        finally:
            for file in self._open.values():
                file.remove()
            self._open.clear()

    def _next(self, stream: str, version: int | None) -> _File:
        if stream in self._open:
            self._finish(stream)
        self._number += 1
        path = self._root / f"{self._name}{self._run}-{self._number}{self._ending}"
        file = self._open[stream] = _File(path, version, compress=self._ending.endswith(".gz"))
        return file

    def _finish(self, stream: str) -> None:
        file = self._open[stream]
        file.close()
        self._announce(
            BatchMessage(stream, self._config.encoding, [file.url], version=file.version, time_extracted=file.since)
        )
        del self._open[stream]

    def _remove_left_behind(self, folder: Path) -> None:
        """Remove what the loader did not; or nobody heard of, because a run was killed."""
        own = re.compile(rf"{re.escape((self._root / self._name).name)}[0-9a-f]{{32}}-\d+\.jsonl(\.gz)?")
        for path in folder.iterdir():
            with suppress(OSError):  # another run may be at it, too
                if own.fullmatch(path.name) and time.time() - path.stat().st_mtime > LEFT_BEHIND:
                    path.unlink()


class _File:
    def __init__(self, path: UPath, version: int | None, *, compress: bool) -> None:
        self._path = path
        self.version = version
        self.since = datetime.now(timezone.utc)
        self.rows = 0
        try:
            self._raw = _opened(path)
            inside = gzip.GzipFile("", "wb", 1, self._raw, 0) if compress else None
        except Exception as error:
            raise _trouble(error) from error
        # A GzipFile takes its time over each single line.
        self._lines = BufferedWriter(cast("Any", inside), _BUFFER) if inside else self._raw

    @property
    def url(self) -> str:
        """Where a loader finds it; nothing is escaped, since fsspec undoes no escapes."""
        return f"file://{self._path.path}" if self._path.protocol in _LOCAL else str(self._path)

    def add(self, line: bytearray) -> None:
        self.rows += 1
        try:
            self._lines.write(line)
        except Exception as error:
            raise _trouble(error) from error

    def close(self) -> None:
        try:
            self._lines.close()
            self._raw.close()
        except Exception as error:
            raise _trouble(error) from error

    def remove(self) -> None:
        with suppress(Exception):
            self.close()
        with suppress(Exception):
            self._path.unlink()


def _root(root: str, options: Mapping[str, Any]) -> UPath:
    found = UPath(root, **options)
    return UPath(os.path.abspath(found.path)) if found.protocol in _LOCAL else found  # noqa: PTH100 - keeps links


def _opened(path: UPath) -> IO[bytes]:
    if path.protocol in _LOCAL:
        return open(path.path, "xb", _BUFFER, opener=lambda name, flags: os.open(name, flags, 0o600))
    file: IO[bytes] = path.fs.open(path.path, "wb")
    return file


def _trouble(error: Exception) -> TapError:
    # Each driver has errors of its own.
    reason = getattr(error, "strerror", None) or type(error).__name__
    return TapError(
        f"A batch file cannot be written ({reason}): check batch_config.storage.root and the room there, or remove "
        "batch_config to send rows one by one."
    )
