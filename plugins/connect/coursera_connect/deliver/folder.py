"""Delivery into a folder of this machine or of a mounted disk."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from coursera_connect.deliver.receiver import BLOCK, Interrupted, RefusedError
from coursera_connect.deliver.renaming import Entry, Renaming, not_renamed
from coursera_connect.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

    from coursera_connect.deliver.renaming import WriteOptions

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_TARGET = {
    errno.ELOOP,
    errno.EFBIG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
}


class Folder(Renaming):
    """An existing folder of this machine or of a mounted disk."""

    def __init__(self, path: Path, write_options: WriteOptions) -> None:
        """Deliver to the file `path`; if that is a symbolic link, to the file it points to."""
        self.shown, self.write_options = str(path), write_options
        self._folder = Path(os.path.realpath(path)).parent
        self.name = Path(os.path.realpath(path)).name

    @override
    def __enter__(self) -> Self:
        with self._refusals():
            if (self._folder / self.name).is_dir():
                raise DeliveryError(f"{self.shown} is a folder: end the target with / or with the name of a file.")
        return self

    @override
    def how_replaced(self) -> str:
        return "in one step"

    @override
    def names(self) -> list[str]:
        with self._refusals():
            return [entry.name for entry in self._folder.iterdir()]

    @override
    def entry(self, name: str, *, follow: bool = True) -> Entry | None:
        with self._refusals():
            try:
                found = (self._folder / name).stat(follow_symlinks=follow)
            except FileNotFoundError:
                return None
            plain = stat.S_ISREG(found.st_mode)
            return Entry(found.st_size, stat.S_IMODE(found.st_mode), int(found.st_mtime), plain)

    @override
    def read(self, name: str) -> Iterator[bytes]:
        with self._refusals(), (self._folder / name).open("rb") as handle:
            while block := handle.read(BLOCK):
                yield block

    @override
    def create(self, name: str, mode: int | None) -> None:
        with self._refusals():
            made = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
            os.close(made)

    @override
    def set_mode(self, name: str, mode: int) -> None:
        with suppress(PermissionError):
            (self._folder / name).chmod(mode)

    @override
    def write(self, name: str, start: int, blocks: Iterator[bytes], *, emptied: bool = False) -> None:
        how = os.O_WRONLY | os.O_NOFOLLOW | (os.O_TRUNC if emptied else 0)
        with self._refusals(), os.fdopen(os.open(self._folder / name, how), "wb") as handle:
            handle.seek(start)
            for block in blocks:
                handle.write(block)
            handle.flush()
            os.fsync(handle.fileno())

    @override
    def replace(self, old: str, new: str) -> None:
        with self._refusals():
            try:
                (self._folder / old).replace(self._folder / new)
            except PermissionError as error:
                raise DeliveryError(not_renamed(self.shown)) from error
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    @override
    def remove(self, name: str) -> None:
        with self._refusals():
            (self._folder / name).unlink(missing_ok=True)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = f"{self.shown} cannot be written ({error.strerror})"
            if error.errno in _NO_SPACE:
                raise DeliveryError(f"{why}: free some space, then run `connect deliver`.") from error
            if error.errno in _NOT_ALLOWED:
                raise RefusedError(f"{why}: let the user of this process write there, or change the target.") from error
            if error.errno in _WRONG_TARGET:
                raise DeliveryError(f"{why}: correct the target.") from error
            raise Interrupted(str(error.strerror)) from error  # a network disk that is away, for instance
