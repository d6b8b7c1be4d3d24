"""Delivery into a folder of an SFTP server, with asyncssh.

asyncssh sends a block as several requests. When the connection breaks, it handles the failure of one request, and
asyncio would print a traceback for each of the others.
"""

from __future__ import annotations

import asyncio
import posixpath
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

import asyncssh
from typing_extensions import override

from coursera_connect.deliver.receiver import BLOCK, Interrupted, RefusedError, UnusableError
from coursera_connect.deliver.renaming import Entry, Renaming, not_renamed
from coursera_connect.deliver.ssh import TEMPORARY, Login, described
from coursera_connect.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Mapping

    from typing_extensions import Self

    from coursera_connect.deliver.renaming import WriteOptions
    from coursera_connect.deliver.ssh import Server

_LINKS = 8  # a chain of symbolic links that is longer is a mistake
_PATIENCE = 300.0  # seconds for one request or block, where the server lives on but does not answer
_FORBIDDEN = (
    asyncssh.SFTPPermissionDenied,
    asyncssh.SFTPWriteProtect,
    asyncssh.SFTPCannotDelete,
    asyncssh.SFTPInvalidFilename,
)
_FULL = (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)
_ABSENT = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)
_Answer = TypeVar("_Answer")


class Sftp(Renaming):
    """A file on an SFTP server. Folders are not created: a mistyped one would take every delivery unnoticed."""

    def __init__(
        self, server: Server, path: str, shown: str, options: Mapping[str, Any], write_options: WriteOptions
    ) -> None:
        """Deliver to the file `path`, absolute or relative to the user's home folder. `options`: see `delivery.SSH`."""
        self.shown, self.write_options = shown, write_options
        self._server, self._path, self._login = server, path, Login(server, options)
        self._previous = ""
        self._in_one_step = True  # until the server says that it cannot

    @override
    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_without_echoes)
        try:
            self._connection = self._ask(self._login.connect())
            self._files = self._session()
            self._look_around()
        except BaseException:
            self.__exit__()
            raise
        return self

    @override
    def __exit__(self, *_: object) -> None:
        async def close() -> None:
            with suppress(Exception):  # the connection may be the very thing that broke
                if connection := getattr(self, "_connection", None):
                    connection.close()
                    await asyncio.wait_for(connection.wait_closed(), 5)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

        self._loop.run_until_complete(close())
        self._loop.close()

    @override
    def state_after_failure(self) -> str:
        if self._previous:
            return f"the old file may be there as {self._previous} until the next delivery, which moves it back first"
        return super().state_after_failure()

    @override
    def how_replaced(self) -> str:
        if self._in_one_step:
            return "in one step"
        return "in two steps that are sent together, since the server has no rename over an existing file"

    @override
    def names(self) -> list[str]:
        with self._refusals():
            try:
                return list(self._ask(self._files.listdir(self._folder)))
            except asyncssh.SFTPPermissionDenied:
                return []

    @override
    def entry(self, name: str, *, follow: bool = True) -> Entry | None:
        with self._refusals():
            try:
                ask = self._files.stat if follow else self._files.lstat
                return _entry(self._ask(ask(self._at(name))))
            except _ABSENT:
                return None

    @override
    def read(self, name: str) -> Iterator[bytes]:
        try:
            with self._opened(name, asyncssh.FXF_READ) as handle:
                at = 0
                while block := cast("bytes", self._ask(handle.read(BLOCK, at))):
                    at += len(block)
                    yield block
        except RefusedError as error:
            raise PermissionError from error

    @override
    def create(self, name: str, mode: int | None) -> None:
        attributes = asyncssh.SFTPAttrs() if mode is None else asyncssh.SFTPAttrs(permissions=mode)
        with self._opened(name, asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_EXCL, attributes):
            pass

    @override
    def set_mode(self, name: str, mode: int) -> None:
        with self._refusals(), suppress(asyncssh.SFTPError):
            self._ask(self._files.chmod(self._at(name), mode, follow_symlinks=False))

    @override
    def write(self, name: str, start: int, blocks: Iterator[bytes], *, emptied: bool = False) -> None:
        how = asyncssh.FXF_WRITE | (asyncssh.FXF_TRUNC if emptied else 0)
        there = self.entry(name, follow=False)
        with self._opened(name, how) as handle:
            now = _entry(self._ask(handle.stat()))
            if there is None or not there.plain or (not emptied and (now.mode, now.size) != (there.mode, there.size)):
                raise UnusableError(
                    "what was written to was exchanged at the same moment, by another sender or by a link"
                )
            at = start
            try:
                for block in blocks:
                    self._ask(handle.write(block, at))
                    at += len(block)
            except asyncssh.SFTPFailure as error:  # all that SFTP 3 has for a full disk
                if self._is_full():
                    raise self._no_space() from error
                raise UnusableError(described(error)) from error
            with suppress(asyncssh.SFTPOpUnsupported):
                self._ask(handle.fsync())

    @override
    def replace(self, old: str, new: str) -> None:
        """Rename over the target, in one request if the server can (posix-rename@openssh.com, or SFTP 5 and later).

        If it cannot, and a plain rename fails because the target exists, the old file is renamed and the new one
        takes its place. Both requests are sent together before either is answered, so this process or the connection
        hardly ends between them. Between the two steps of the server a reader finds no file for a moment, but never a
        part of one. If the second step fails, the old file is moved back at once or, if the connection is gone, by
        `restore_previous` at the next attempt.
        """
        with self._refusals():
            try:
                with suppress(asyncssh.SFTPOpUnsupported):
                    self._ask(self._files.posix_rename(self._at(old), self._at(new)))
                    return
                self._in_one_step = False
                with suppress(asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists):
                    self._ask(self._files.rename(self._at(old), self._at(new)))
                    return
                self._exchange(old, new)
            except (*_FORBIDDEN, asyncssh.SFTPOpUnsupported) as error:
                raise DeliveryError(not_renamed(self.shown)) from error
            except asyncssh.SFTPFailure as error:
                raise UnusableError(
                    "the server did not rename the file; if it never does, set CONNECT_DELIVERY_RENAME to off"
                ) from error

    def _exchange(self, old: str, new: str) -> None:
        previous = _previous(new)

        async def both() -> tuple[BaseException | None, BaseException | None]:
            return await asyncio.gather(
                self._files.rename(self._at(new), self._at(previous)),
                self._files.rename(self._at(old), self._at(new)),
                return_exceptions=True,
            )

        self._previous = previous
        first, second = self._ask(both())
        if second is not None and first is None:  # a server that does not work in the order of the requests
            try:
                self._ask(self._files.rename(self._at(old), self._at(new)))
                second = None
            except asyncssh.SFTPError:
                self._ask(self._files.rename(self._at(previous), self._at(new)))
        self._previous = ""
        if second is not None:
            raise second
        self.remove(previous)

    @override
    def restore_previous(self, name: str) -> None:
        previous = _previous(name)
        if self.entry(previous) is None:
            return
        if self.entry(name) is None:
            with self._refusals():
                self._ask(self._files.rename(self._at(previous), self._at(name)))
            self._previous = ""
        else:
            self.remove(previous)

    @override
    def remove(self, name: str) -> None:
        with self._refusals(), suppress(*_ABSENT):
            self._ask(self._files.remove(self._at(name)))

    def _at(self, name: str) -> str:
        return posixpath.join(self._folder, name)

    def _look_around(self) -> None:
        """Follow the target if it is a symbolic link, and check that its folder exists."""
        path = self._path
        with self._refusals():
            for _ in range(_LINKS):
                if not self._ask(self._files.islink(path)):
                    break
                path = posixpath.join(posixpath.dirname(path), str(self._ask(self._files.readlink(path))))
            self._folder, self.name = posixpath.split(path)
            self._folder = self._folder or "."
            if not self._ask(self._files.isdir(self._folder)):
                raise DeliveryError(
                    f"{self._server.host} has no folder {self._folder} that {self._server.user} may enter: create it, "
                    "or correct the target."
                )
            if self._ask(self._files.isdir(path)):
                raise DeliveryError(f"{self.shown} is a folder: end the target with / or with the name of a file.")

    def _ask(self, work: Awaitable[_Answer]) -> _Answer:
        async def in_time() -> _Answer:
            return await asyncio.wait_for(work, _PATIENCE)

        return self._loop.run_until_complete(in_time())

    @contextmanager
    def _opened(
        self, name: str, how: int, attributes: asyncssh.SFTPAttrs | None = None
    ) -> Iterator[asyncssh.SFTPClientFile]:
        with self._refusals():
            opening = self._files.open(self._at(name), how, attributes or asyncssh.SFTPAttrs(), encoding=None)
            handle = self._ask(opening)
            try:
                yield handle
            finally:
                with suppress(*TEMPORARY):
                    self._ask(handle.close())

    def _is_full(self) -> bool:
        with suppress(*TEMPORARY):
            disk = self._ask(self._files.statvfs(self._folder))
            return disk.bavail * disk.frsize < BLOCK
        return False

    def _no_space(self) -> DeliveryError:
        return DeliveryError(f"{self.shown} has no space left: free some, then run `connect deliver`.")

    def _session(self) -> asyncssh.SFTPClient:
        try:
            # Names that are not UTF-8 are other people's, and no reason to fail.
            return self._ask(self._connection.start_sftp_client(path_errors="surrogateescape"))
        except (asyncssh.ChannelOpenError, asyncssh.SFTPError) as error:
            if self._connection.is_closed():
                raise Interrupted(described(error)) from error
            raise DeliveryError(
                f"{self._server.host} lets {self._server.user} log in, and offers no SFTP: ask its administrator to "
                "allow it (in OpenSSH: `Subsystem sftp` or `ForceCommand internal-sftp`, and for a chroot a folder "
                "that only root may write)."
            ) from error
        except TEMPORARY as error:
            raise Interrupted(described(error)) from error

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except _FORBIDDEN as error:
            raise RefusedError(
                f"{self.shown} cannot be written or read there: let {self._server.user} write in that folder, or "
                "change the target."
            ) from error
        except _FULL as error:
            raise self._no_space() from error
        except TEMPORARY as error:
            raise Interrupted(described(error)) from error


def _entry(attributes: asyncssh.SFTPAttrs) -> Entry:
    mode = attributes.permissions
    kind = stat.S_IFMT(mode) if mode is not None else 0
    return Entry(
        attributes.size or 0,
        None if mode is None else stat.S_IMODE(mode),
        attributes.mtime,
        plain=not kind or stat.S_ISREG(kind),
    )


def _previous(name: str) -> str:
    return f".{name}.connect-previous"


def _without_echoes(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Drop messages of asyncio about requests that failed together with the reported one."""
    if not isinstance(context.get("exception"), asyncssh.Error):
        loop.default_exception_handler(context)
