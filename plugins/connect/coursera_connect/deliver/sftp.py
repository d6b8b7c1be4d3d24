"""Delivers over SFTP with asyncssh.

- Every host key is checked, and `~/.ssh/config` is not read: the same settings give the same connection for whoever
  runs this.
- asyncssh sends a block as several requests. When the connection breaks, it handles the failure of one request, and
  asyncio would print a traceback for each of the others.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import asyncssh
from typing_extensions import override

from coursera_connect.deliver.receivers import BLOCK, Entry, Interrupted, RefusedError, Renaming, Spoiled, not_renamed
from coursera_connect.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from typing_extensions import Self

    from coursera_connect.deliver.receivers import Manner

OPTIONS = ("known_hosts", "host_key", "key_file", "passphrase", "password")
_PORT = 22
_LINKS = 8  # a chain of symbolic links that is longer is a mistake
_PATIENCE = 300.0  # seconds for one request or block, where the server lives on but does not answer
_PASSING = (asyncssh.Error, OSError, asyncio.TimeoutError)  # before Python 3.11 the last is no OSError
_FORBIDDEN = (
    asyncssh.SFTPPermissionDenied,
    asyncssh.SFTPWriteProtect,
    asyncssh.SFTPCannotDelete,
    asyncssh.SFTPInvalidFilename,
)
_FULL = (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)
_ABSENT = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Server:
    """The server and the user. `password` is the one in the target; the option `password` outranks it."""

    host: str
    port: int | None
    user: str
    password: str = field(default="", repr=False)

    @property
    def pattern(self) -> str:
        """The server's name in a known_hosts file."""
        return self.host if self.port in {None, _PORT} else f"[{self.host}]:{self.port}"

    @property
    def scan(self) -> str:
        """The command that asks the server for its keys."""
        return f"ssh-keyscan {self.host}" if self.port in {None, _PORT} else f"ssh-keyscan -p {self.port} {self.host}"


class Sftp(Renaming):
    """A file on an SFTP server. Folders are not created: a mistyped one would take every delivery unnoticed."""

    def __init__(self, server: Server, path: str, shown: str, options: Mapping[str, Any], manner: Manner) -> None:
        """Deliver to the file `path`, absolute or seen from the user's home folder. `options`: see OPTIONS."""
        self.shown, self.manner = shown, manner
        self._server = server
        self._path = path
        self._trusted = _Trusted.of(server, options)
        self._login = _login(server, options)
        self._aside = ""
        self._in_one_step = True  # until the server says that it cannot

    @override
    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_without_echoes)
        try:
            self._connection = self._connected()
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
    def afterwards(self) -> str:
        if self._aside:
            return f"the old file may be there as {self._aside} until the next delivery, which moves it back first"
        return super().afterwards()

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
    def write(
        self,
        name: str,
        start: int,
        blocks: Iterator[bytes],
        sent: Callable[[int], None],
        *,
        emptied: bool = False,
    ) -> None:
        how = asyncssh.FXF_WRITE | (asyncssh.FXF_TRUNC if emptied else 0)
        there = self.entry(name, follow=False)
        with self._opened(name, how) as handle:
            now = _entry(self._ask(handle.stat()))
            if there is None or not there.plain or (not emptied and (now.mode, now.size) != (there.mode, there.size)):
                raise Spoiled("what was written to was exchanged at the same moment, by another sender or by a link")
            at = start
            try:
                for block in blocks:
                    self._ask(handle.write(block, at))
                    at += len(block)
                    sent(len(block))
            except asyncssh.SFTPFailure as error:  # all that SFTP 3 has for a full disk
                if self._is_full():
                    raise self._no_space() from error
                raise Spoiled(_words(error)) from error
            with suppress(asyncssh.SFTPOpUnsupported):
                self._ask(handle.fsync())

    @override
    def replace(self, old: str, new: str) -> None:
        """Rename over the target, in one request if the server can (posix-rename@openssh.com, or SFTP 5 and later).

        If it cannot, and a plain rename fails because the target exists, the old file is moved aside and the new one
        takes its place. Both requests are sent together before either is answered, so this process or the connection
        hardly ends between them. Between the two steps of the server a reader finds no file for a moment, but never a
        part of one. If the second step fails, the old file is moved back at once or, if the connection is gone, by
        `heal` at the next attempt.
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
                raise Spoiled(
                    "the server did not rename the file; if it never does, set CONNECT_DELIVERY_RENAME to off"
                ) from error

    def _exchange(self, old: str, new: str) -> None:
        aside = _aside(new)

        async def both() -> tuple[BaseException | None, BaseException | None]:
            return await asyncio.gather(
                self._files.rename(self._at(new), self._at(aside)),
                self._files.rename(self._at(old), self._at(new)),
                return_exceptions=True,
            )

        self._aside = aside
        moved, placed = self._ask(both())
        if placed is not None and moved is None:  # a server that does not work in the order of the requests
            try:
                self._ask(self._files.rename(self._at(old), self._at(new)))
                placed = None
            except asyncssh.SFTPError:
                self._ask(self._files.rename(self._at(aside), self._at(new)))
        self._aside = ""
        if placed is not None:
            raise placed
        self.remove(aside)

    @override
    def heal(self, name: str) -> None:
        aside = _aside(name)
        if self.entry(aside) is None:
            return
        if self.entry(name) is None:
            with self._refusals():
                self._ask(self._files.rename(self._at(aside), self._at(name)))
            self._aside = ""
        else:
            self.remove(aside)

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
                with suppress(*_PASSING):
                    self._ask(handle.close())

    def _is_full(self) -> bool:
        with suppress(*_PASSING):
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
                raise Interrupted(_words(error)) from error
            raise DeliveryError(
                f"{self._server.host} lets {self._server.user} log in, and offers no SFTP: ask its administrator to "
                "allow it (in OpenSSH: `Subsystem sftp` or `ForceCommand internal-sftp`, and for a chroot a folder "
                "that only root may write)."
            ) from error
        except _PASSING as error:
            raise Interrupted(_words(error)) from error

    def _connected(self) -> asyncssh.SSHClientConnection:
        server, presented = self._server, _Presented()
        try:
            return self._ask(
                asyncssh.connect(
                    server.host,
                    server.port or _PORT,
                    username=server.user,
                    known_hosts=self._trusted.hosts,
                    client_factory=lambda: presented,
                    config=None,
                    connect_timeout=30,
                    login_timeout=60,
                    keepalive_interval=15,  # so that a line that went silent is noticed within a minute
                    keepalive_count_max=3,
                    **self._login,
                )
            )
        except asyncssh.HostKeyNotVerifiable as error:
            raise self._trusted.refusal(server, presented) from error
        except asyncssh.KeyExchangeFailed as error:
            if self._trusted.knows(server) and "host key" in str(error):
                raise self._trusted.refusal(server, presented) from error
            raise DeliveryError(
                f"{server.host} offers no encryption that is safe today: ask its administrator to update the server."
            ) from error
        except (PermissionError, asyncssh.PermissionDenied) as error:
            raise DeliveryError(
                f"{server.host} refused the login of {server.user}: check the user in CONNECT_DELIVERY, and "
                "CONNECT_DELIVERY_PASSWORD or CONNECT_DELIVERY_KEY_FILE."
            ) from error
        except _PASSING as error:
            raise Interrupted(f"no connection to {server.host}: {_words(error)}") from error

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
        except _PASSING as error:
            raise Interrupted(_words(error)) from error


def _entry(attributes: asyncssh.SFTPAttrs) -> Entry:
    mode = attributes.permissions
    kind = stat.S_IFMT(mode) if mode is not None else 0
    return Entry(
        attributes.size or 0,
        None if mode is None else stat.S_IMODE(mode),
        attributes.mtime,
        plain=not kind or stat.S_ISREG(kind),
    )


class _Presented(asyncssh.SSHClient):
    """Stores the fingerprint of an unknown host key, and refuses the key."""

    fingerprint = ""

    @override
    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        del host, addr, port
        self.fingerprint = key.get_fingerprint()
        return False


@dataclass(frozen=True)
class _Trusted:
    """The accepted host keys and their origin."""

    hosts: asyncssh.SSHKnownHosts
    origin: str
    by_hand: bool

    @classmethod
    def of(cls, server: Server, options: Mapping[str, Any]) -> _Trusted:
        if line := str(options.get("host_key") or "").strip():
            for text in (line, line.partition(" ")[2]):  # bare, or behind the host's name as ssh-keyscan prints it
                with suppress(asyncssh.KeyImportError):
                    key = asyncssh.import_public_key(text).export_public_key("openssh").decode()
                    hosts = asyncssh.import_known_hosts(f"{server.pattern} {key}")
                    return cls(hosts, "CONNECT_DELIVERY_HOST_KEY", by_hand=True)
            raise DeliveryError(
                f"CONNECT_DELIVERY_HOST_KEY is no public key: give one line of what `{server.scan}` prints."
            )
        file = Path(str(options.get("known_hosts") or "~/.ssh/known_hosts")).expanduser()
        try:
            return cls(asyncssh.read_known_hosts(str(file)), str(file), by_hand=False)
        except FileNotFoundError:
            return cls(asyncssh.import_known_hosts(""), str(file), by_hand=False)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "not the format of known_hosts"
            raise DeliveryError(
                f"{file} cannot be read ({why}): correct it, or CONNECT_DELIVERY_KNOWN_HOSTS."
            ) from error

    def knows(self, server: Server) -> bool:
        """Return whether there is any key for the server."""
        keys, authorities, _ = self._lines(server)
        return bool(keys or authorities)

    def _lines(self, server: Server) -> tuple[Any, Any, Any]:
        """Return the keys, the authorities and the revoked keys for the server."""
        port = None if server.port in {None, _PORT} else server.port
        keys, authorities, revoked, *_ = asyncssh.match_known_hosts(self.hosts, server.host, "", port)
        return keys, authorities, revoked

    def refusal(self, server: Server, presented: _Presented) -> DeliveryError:
        """Return a sentence that says whether the server is unknown or shows another key than before."""
        seen = f" ({presented.fingerprint})" if presented.fingerprint else ""
        confirm = "have the receiver confirm the fingerprint"
        if not seen and self._lines(server)[2]:  # what is revoked is refused before anybody is asked
            return DeliveryError(
                f"{server.host} shows a host key that {self.origin} marks as @revoked, or one that such a key signed: "
                "nothing was sent. Ask the receiver; leave the mark, since whoever stole the key can show it."
            )
        if self.knows(server):
            return DeliveryError(
                f"{server.host} shows another host key{seen} than the one in {self.origin}: this may be an attack, so "
                f"nothing was sent. If the receiver changed the key, {confirm} and replace the old line there by what "
                f"`{server.scan}` prints."
            )
        return DeliveryError(
            f"The host key of {server.host}{seen} is not in {self.origin}: {confirm}, then "
            f"`{server.scan} >> {self.origin}`."
        )


def _login(server: Server, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options to log in: the key file, else the password, else the agent and the user's own keys."""
    password = str(options.get("password") or server.password) or None
    if file := str(options.get("key_file") or ""):
        try:
            key = asyncssh.read_private_key(Path(file).expanduser(), str(options.get("passphrase") or "") or None)
        except asyncssh.KeyEncryptionError as error:
            raise DeliveryError(f"CONNECT_DELIVERY_PASSPHRASE is not the one of {file}: correct it.") from error
        except asyncssh.KeyImportError as error:
            raise DeliveryError(
                f"{file} is no private key that can be used (or CONNECT_DELIVERY_PASSPHRASE is missing): "
                "correct CONNECT_DELIVERY_KEY_FILE."
            ) from error
        except OSError as error:
            raise DeliveryError(
                f"{file} cannot be read ({error.strerror}): check CONNECT_DELIVERY_KEY_FILE."
            ) from error
        return {"client_keys": [key], "agent_path": None, "password": password}
    if password:
        return {"client_keys": None, "agent_path": None, "password": password}
    return {}


def _aside(name: str) -> str:
    return f".{name}.connect-previous"


def _words(error: Exception) -> str:
    """Return what went wrong, without the words of the server."""
    if isinstance(error, (asyncssh.ConnectionLost, asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)):
        return "the connection was lost"
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return "no answer in time"
    if isinstance(error, asyncssh.SFTPFailure):
        return "the server failed without a reason, often a full disk or a quota"
    if (
        isinstance(error, OSError) and error.strerror
    ):  # asyncio puts its own words there, name look-ups a number below 0
        return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    return type(error).__name__


def _without_echoes(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Drop messages of asyncio about requests that failed together with the reported one."""
    if not isinstance(context.get("exception"), asyncssh.Error):
        loop.default_exception_handler(context)
