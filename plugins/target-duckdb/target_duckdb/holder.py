"""Which process has a DuckDB file open, by the lock that DuckDB takes on it."""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from pathlib import Path

_MAC = sys.platform == "darwin"
_FLOCK = "qqihh" if _MAC else "hhqqi4x"


def holder(path: Path) -> str | None:
    """Return who keeps this process from writing a file, None when nobody does.

    To be asked only while this process does not have the file open: closing it here would take its lock away.

    Raises:
        OSError: The file may not be opened.
    """
    handle = os.open(path, os.O_RDWR)
    try:
        lock = fcntl.F_WRLCK
        asked = (0, 0, 0, lock, os.SEEK_SET) if _MAC else (lock, os.SEEK_SET, 0, 0, 0)
        told = struct.unpack(_FLOCK, fcntl.fcntl(handle, fcntl.F_GETLK, struct.pack(_FLOCK, *asked)))
    finally:
        os.close(handle)
    kind, process = (told[3], told[2]) if _MAC else (told[0], told[4])
    if kind == fcntl.F_UNLCK:
        return None
    try:
        return f"{Path(f'/proc/{process}/comm').read_text('utf-8').strip()} (process {process})"
    except (OSError, UnicodeDecodeError):  # another user's, on another machine, or a system without /proc
        return f"another program (process {process})"
