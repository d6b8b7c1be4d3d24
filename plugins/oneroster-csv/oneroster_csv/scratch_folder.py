"""Makes a temporary folder for rows that are unpacked or do not fit into memory.

The rows are about people, so they must not stay behind when a process is killed. Each process locks its folder, and
removes the folders that no process has locked.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "oneroster-csv-"


@contextmanager
def scratch_folder(prefix: str = PREFIX) -> Iterator[Path]:
    """Yield a folder for this process alone in the system's temporary folder, and remove it at the end.

    Folders of the same prefix that a killed process left are removed.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        _remove_if_left(left)
    folder, handle = _made(prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _made(prefix: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        with suppress(FileNotFoundError):
            handle = os.open(folder, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_EX)
            if folder.is_dir():  # Otherwise another process removed the folder before it was locked.
                return folder, handle
            os.close(handle)


def _remove_if_left(folder: Path) -> None:
    with suppress(OSError):  # The folder belongs to another user, is in use, or is gone by now.
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)
