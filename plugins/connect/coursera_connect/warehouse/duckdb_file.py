"""Opens the DuckDB file, which either one process may write or several may read.

DuckDB has one class of error for all that can be wrong with a file, so the file itself is asked what it is: whether it
may be opened, and whether another process holds the lock on it that DuckDB takes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import struct
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import duckdb
import psutil

from coursera_connect.errors import DatabaseError

if TYPE_CHECKING:
    from pathlib import Path

_RETRY_SECONDS = 0.2
_BLOCK = 1 << 20
_TRIES = 3
"""After so many failures, with no process holding the file, the file itself is at fault: a lock can end after a try."""
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_FLOCK = "qqihh" if sys.platform == "darwin" else "hhqqi4x"
_NAME = '"the warehouse"'
"""The name of the attached file in statements. It must not be the name of a schema, which would be ambiguous."""


def connect(path: Path, spill: Path, wait: float, *, write: bool) -> duckdb.DuckDBPyConnection:
    """Open the file, and wait at most `wait` seconds while another process has it.

    Raises:
        DatabaseError: It is in use, may not be opened, or is no DuckDB file.
    """
    deadline = time.monotonic() + wait
    unexplained = 0
    while True:
        connection = duckdb.connect(":memory:", config=limits(spill))
        try:
            place = str(path).replace("'", "''")
            connection.execute(f"attach '{place}' as {_NAME} (type duckdb, read_only {'false' if write else 'true'})")
            connection.execute(f"use {_NAME}")
        except duckdb.Error as error:
            connection.close()
            holder = _holder(path, write=write)
            unexplained += holder is None
            if unexplained >= _TRIES:
                raise DatabaseError(f"{path} is not a DuckDB database this release can read.") from error
            if holder is not None and time.monotonic() >= deadline:
                raise _in_use(path, holder) from error
            time.sleep(_RETRY_SECONDS)
        else:
            return connection


def _in_use(path: Path, holder: str | None) -> DatabaseError:
    who = holder or "another process"
    return DatabaseError(f"The database {path} is in use by {who}: wait until it ends and run again.")


def copy(path: Path, target: Path, wait: float) -> None:
    """Copy the file as it is at one moment, and wait at most `wait` seconds while another process writes it.

    Raises:
        DatabaseError: It is in use, or there is no room for the copy.
    """
    deadline = time.monotonic() + wait
    with path.open("rb") as source:
        while not _may_read(source.fileno()):
            if time.monotonic() >= deadline:
                raise _in_use(path, _holder(path, write=False))
            time.sleep(_RETRY_SECONDS)
        try:
            with target.open("xb") as copied:
                shutil.copyfileobj(source, copied, _BLOCK)
            log = path.with_name(f"{path.name}.wal")  # what DuckDB has not moved into the file yet
            if log.exists():
                shutil.copyfile(log, target.with_name(f"{target.name}.wal"))
        except OSError as error:
            raise DatabaseError(
                f"{path} cannot be copied into {target.parent} ({error.strerror}): make room there, or set TMPDIR."
            ) from error


def _may_read(handle: int) -> bool:
    """Take the lock that keeps writers away until the file is closed; false where one is at work."""
    try:
        fcntl.lockf(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def limits(spill: Path) -> dict[str, str | bool | int | float | list[str]]:
    """Return how DuckDB is set up: its memory is bounded, and what does not fit goes into the folder `spill`."""
    return {"temp_directory": str(spill), "memory_limit": "256MB", "preserve_insertion_order": False}


def _holder(path: Path, *, write: bool) -> str | None:
    """Say which process holds a lock that keeps this one out; None where there is none.

    Call this only after DuckDB could not open the file: closing the file here would release a lock of this process.

    Raises:
        DatabaseError: The file may not be opened by this user.
    """
    mode, lock = (os.O_RDWR, fcntl.F_WRLCK) if write else (os.O_RDONLY, fcntl.F_RDLCK)
    try:
        handle = os.open(path, mode)
    except OSError as error:
        if error.errno not in _NOT_ALLOWED:
            raise DatabaseError(f"{path} cannot be opened ({error.strerror}): check CONNECT_DATABASE.") from error
        what = "write" if write else "read"
        raise DatabaseError(f"{path} may not be opened to {what}: change its permissions, or the user.") from error
    try:
        asked = struct.pack(_FLOCK, 0, 0, 0, lock, os.SEEK_SET) if sys.platform == "darwin" else b""
        asked = asked or struct.pack(_FLOCK, lock, os.SEEK_SET, 0, 0, 0)
        answer = struct.unpack(_FLOCK, fcntl.fcntl(handle, fcntl.F_GETLK, asked))
    finally:
        os.close(handle)
    kind, pid = (answer[3], answer[2]) if sys.platform == "darwin" else (answer[0], answer[4])
    if kind == fcntl.F_UNLCK:
        return None
    with suppress(psutil.Error, ValueError):
        return f"{psutil.Process(pid).name()} (PID {pid})"
    return "another process"
