"""Keeps files that hold people or credentials from other users of the machine, however they were made.

New files of this process are private from the first byte by its umask. Existing ones may be readable by others: if
Meltano was installed without `make`, if a folder came from Git, or if an earlier release made it. Those folders of the
project are closed with the same umask. A umask that already keeps other users out (027 for a group, 077) is the
operator's choice and is kept.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from coursera_connect.meltano.project_files import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

_OTHERS = 0o007
_PRIVATE = 0o077
_WHOLE = ("output", "environments", "transform/target", "transform/logs")
"""The folders that are closed with everything in them."""
_MELTANO = ".meltano"
"""The folder that is closed itself with its direct children: the environments of plugins hold nothing private."""


def keep() -> None:
    """Write private files from now on, and close files of the present Meltano project that others may read."""
    umask = os.umask(_PRIVATE)
    if umask & _OTHERS == _OTHERS:
        os.umask(umask)
    else:
        umask = _PRIVATE
    if root := os.environ.get(PROJECT):
        for path in _found(Path(root), umask):
            _close(path, umask)


def _found(project: Path, umask: int) -> Iterator[Path]:
    """Yield the paths to close; a closed folder protects everything in it."""
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
    """Remove the permissions that the umask excludes from a file or folder of this user."""
    with suppress(OSError):  # gone meanwhile, or on a file system that cannot be written
        found = path.stat()
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & umask:
            path.chmod(stat.S_IMODE(found.st_mode) & ~umask)
