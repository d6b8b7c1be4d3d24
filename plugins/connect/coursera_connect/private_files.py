"""Keeps files that hold people or credentials from other users of the machine, however they were made.

What this process writes is private by its umask, from the first byte. What is there already may be open, where Meltano
was installed without `make`, where a folder came from Git, or where an earlier release made it: those folders of the
project are closed by the same umask. A umask that keeps other users out already (027 for a group, 077) is the
operator's choice and stays.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from coursera_connect.meltano import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

_OTHERS = 0o007
_PRIVATE = 0o077
_WHOLE = ("output", "environments", "transform/target", "transform/logs")
"""Folders of which everything is closed."""
_MELTANO = ".meltano"
"""Closed itself, with what lies in it directly: the plugins' environments are many files and hold nothing."""


def keep() -> None:
    """Write private files from now on, and close what is open of the Meltano project that this was started in."""
    umask = os.umask(_PRIVATE)
    if umask & _OTHERS == _OTHERS:
        os.umask(umask)
    else:
        umask = _PRIVATE
    if root := os.environ.get(PROJECT):
        for path in _found(Path(root), umask):
            _close(path, umask)


def _found(project: Path, umask: int) -> Iterator[Path]:
    """Yield what is to be closed; a folder that is closed keeps others from all that is in it."""
    yield project / ".env"
    system = project / _MELTANO
    if _open(system, umask):
        yield system
        yield from system.iterdir()
    for folder in (project / name for name in _WHOLE):
        if _open(folder, umask):
            yield folder
            for place, folders, files in os.walk(folder):
                yield from (path for name in (*folders, *files) if not (path := Path(place, name)).is_symlink())


def _open(path: Path, umask: int) -> bool:
    return path.is_dir() and bool(stat.S_IMODE(path.stat().st_mode) & umask)


def _close(path: Path, umask: int) -> None:
    """Take the rights away that the umask does not give, of a file or folder that is the user's own."""
    with suppress(OSError):  # gone meanwhile, or on a file system that cannot be written
        found = path.stat()
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & umask:
            path.chmod(stat.S_IMODE(found.st_mode) & ~umask)
