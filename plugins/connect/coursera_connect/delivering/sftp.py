"""Delivery over SFTP, through fsspec's `sshfs`; what that does not do by itself is done here and nowhere else.

- sshfs checks no host keys unless it is given some: here none goes unchecked.
- Its `mv` copies through a shell where the server cannot rename over a file, and then removes the new file even if the
  copy failed: here the server's own rename is used, else the two renames described at `Sftp.replace`.
- Its `put_file` writes under the final name and creates folders on the way: here neither happens.
- asyncssh sends a block as several requests and, when the line breaks, looks at the failure of one; asyncio would print
  a traceback for each of the others.
- `~/.ssh/config` is not read: the same settings give the same connection for whoever runs this.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import asyncssh
from fsspec.asyn import get_loop, sync  # type: ignore[import-untyped]
from sshfs import SSHFileSystem  # type: ignore[import-untyped]
from typing_extensions import override

from coursera_connect.delivering.receivers import BLOCK, Interrupted, Renaming
from coursera_connect.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from typing_extensions import Self

OPTIONS = ("known_hosts", "host_key", "key_file", "passphrase", "password")
_PORT = 22
_LINKS = 8  # a chain of symbolic links that is longer is a mistake
_PATIENCE = 300.0  # seconds for one request or block, where the server lives on but does not answer
_PASSING = (asyncssh.Error, OSError, asyncio.TimeoutError)  # before Python 3.11 the last is no OSError
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Server:
    """Where to log in, and as whom. `password` is the one in the target, the option outranks it."""

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
    """A file on an SFTP server. Folders are not created: a mistyped one would swallow every delivery in silence."""

    def __init__(self, server: Server, path: str, shown: str, options: Mapping[str, Any]) -> None:
        """Deliver to the file `path`, absolute or seen from the user's home folder. `options`: see OPTIONS."""
        self.shown = shown
        self._server = server
        self._path = path
        self._trusted = _Trusted.of(server, options)
        self._login = _login(server, options)

    @override
    def __enter__(self) -> Self:
        self._fs = self._connected()
        try:
            self._look_around()
        except BaseException:
            self.__exit__()
            raise
        return self

    @override
    def __exit__(self, *_: object) -> None:
        async def close() -> None:
            await self._fs._pool.close()  # noqa: SLF001 - sshfs closes only when it is collected
            await self._fs._stack.aclose()  # noqa: SLF001 - the same

        with suppress(Exception):  # the connection may be the very thing that broke
            sync(self._fs.loop, close, timeout=5)

    @override
    def how_replaced(self) -> str:
        if self._ask(_replaces):
            return "in one step"
        return "in two steps that are sent together, since the server has no rename over an existing file"

    @override
    def names(self) -> list[str]:
        with self._refusals():
            try:
                return [str(name) for name in self._ask(lambda channel: channel.listdir(self._folder))]
            except asyncssh.SFTPPermissionDenied:
                return []

    @override
    def size(self, name: str) -> int | None:
        with self._refusals():
            try:
                return self._ask(lambda channel: channel.stat(self._at(name))).size
            except asyncssh.SFTPNoSuchFile:
                return None

    @override
    def read(self, name: str) -> Iterator[bytes]:
        try:
            with self._refusals(), self._fs.open(self._at(name), "rb") as handle:
                while block := handle.read(BLOCK, timeout=_PATIENCE):
                    yield block
        except _NotAllowedError as error:
            raise PermissionError from error

    @override
    def write(self, name: str, start: int, blocks: Iterator[bytes], sent: Callable[[int], None]) -> None:
        with self._refusals(), self._fs.open(self._at(name), "r+b" if start else "wb") as handle:
            handle.seek(start)
            for block in blocks:
                handle.write(block, timeout=_PATIENCE)
                sent(len(block))
            with suppress(asyncssh.SFTPOpUnsupported):
                handle.fsync(timeout=_PATIENCE)

    @override
    def replace(self, old: str, new: str) -> None:
        """Rename over the target: one request where the server can (posix-rename@openssh.com, or SFTP 5 and later).

        Where it cannot, and the plain rename refuses because there is a file: the old file is moved aside and the new
        one into its place. Both requests leave together, before either is answered, so that an end of this process
        or of the line hardly falls between them; between the server's two steps a reader finds no file for that
        moment, and never a part of one. If the second step fails the old file is moved back, at once or, when the line
        is gone, by `heal` at the next attempt.
        """
        with self._refusals():
            if self._ask(_replaces):
                self._ask(lambda channel: channel.posix_rename(self._at(old), self._at(new)))
                return
            with suppress(asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists):
                self._ask(lambda channel: channel.rename(self._at(old), self._at(new)))
                return
            aside = self._at(_aside(new))

            async def exchange(channel: asyncssh.SFTPClient) -> tuple[BaseException | None, BaseException | None]:
                return await asyncio.gather(
                    channel.rename(self._at(new), aside),
                    channel.rename(self._at(old), self._at(new)),
                    return_exceptions=True,
                )

            moved, placed = self._ask(exchange)
            if placed is not None and moved is None:  # a server that does not work in the order of the requests
                try:
                    self._ask(lambda channel: channel.rename(self._at(old), self._at(new)))
                    placed = None
                except asyncssh.SFTPError:
                    self._ask(lambda channel: channel.rename(aside, self._at(new)))
            if placed is not None:
                raise placed
        self.remove(_aside(new))

    @override
    def heal(self, name: str) -> None:
        aside = _aside(name)
        if self.size(aside) is None:
            return
        if self.size(name) is None:
            with self._refusals():
                self._ask(lambda channel: channel.rename(self._at(aside), self._at(name)))
        else:
            self.remove(aside)

    @override
    def remove(self, name: str) -> None:
        with self._refusals(), suppress(asyncssh.SFTPNoSuchFile):
            self._ask(lambda channel: channel.remove(self._at(name)))

    def _at(self, name: str) -> str:
        return posixpath.join(self._folder, name)

    def _look_around(self) -> None:
        """Follow the target if it is a symbolic link, and see that its folder is there."""
        path = self._path
        with self._refusals():
            for _ in range(_LINKS):
                if not self._ask(lambda channel, at=path: channel.islink(at)):  # type: ignore[misc]
                    break
                link = self._ask(lambda channel, at=path: channel.readlink(at))  # type: ignore[misc]
                path = posixpath.join(posixpath.dirname(path), str(link))
            self._folder, self.name = posixpath.split(path)
            self._folder = self._folder or "."
            if not self._ask(lambda channel: channel.isdir(self._folder)):
                raise DeliveryError(
                    f"{self._server.host} has no folder {self._folder} that {self._server.user} may enter: create it, "
                    "or correct the target."
                )
            if self._ask(lambda channel: channel.isdir(path)):
                raise DeliveryError(f"{self.shown} is a folder: end the target with / or with the name of a file.")

    def _ask(self, ask: Callable[[asyncssh.SFTPClient], Awaitable[_Answer]]) -> _Answer:
        async def asked() -> _Answer:
            async with self._fs._pool.get() as channel:  # noqa: SLF001 - the requests fsspec has no words for
                return await ask(channel)

        answer: _Answer = sync(self._fs.loop, asked, timeout=_PATIENCE)
        return answer

    def _connected(self) -> SSHFileSystem:
        server, presented = self._server, _Presented()
        try:
            get_loop().set_exception_handler(_without_echoes)
            return SSHFileSystem(
                server.host,
                port=server.port or _PORT,
                username=server.user,
                known_hosts=self._trusted.hosts,
                client_factory=lambda: presented,
                config=None,
                connect_timeout=30,
                login_timeout=60,
                keepalive_interval=15,  # so that a line that went silent is noticed within a minute
                keepalive_count_max=3,
                skip_instance_cache=True,
                **self._login,
            )
        except asyncssh.HostKeyNotVerifiable as error:
            raise self._trusted.refusal(server, presented) from error
        except asyncssh.KeyExchangeFailed as error:
            if self._trusted.knows(server) and "host key" in str(error):  # none of the kind that is known
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
        where = self.shown
        try:
            yield
        except asyncssh.SFTPPermissionDenied as error:
            raise _NotAllowedError(
                f"{where} cannot be written or read there: let {self._server.user} write in that folder, or change the "
                "target."
            ) from error
        except (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded) as error:
            raise DeliveryError(f"{where} has no space left: free some, then run `connect deliver`.") from error
        except _PASSING as error:
            raise Interrupted(_words(error)) from error


class _NotAllowedError(DeliveryError):
    """The server lets the user do less than was asked of it."""


class _Presented(asyncssh.SSHClient):
    """Remembers the fingerprint of a host key that is not known, and refuses it."""

    fingerprint = ""

    @override
    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        del host, addr, port
        self.fingerprint = key.get_fingerprint()
        return False


@dataclass(frozen=True)
class _Trusted:
    """The host keys that are accepted, and where they are from."""

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
        """Whether there is any key for the server."""
        port = None if server.port in {None, _PORT} else server.port
        keys, authorities, *_ = asyncssh.match_known_hosts(self.hosts, server.host, "", port)
        return bool(keys or authorities)

    def refusal(self, server: Server, presented: _Presented) -> DeliveryError:
        """Say whether the server is a stranger or shows another key than it used to."""
        seen = f" ({presented.fingerprint})" if presented.fingerprint else ""
        confirm = "have the receiver confirm the fingerprint"
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
    """Return how to log in: the key file, else the password, else the agent and the user's own keys."""
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


async def _replaces(channel: asyncssh.SFTPClient) -> bool:
    """Whether the server can rename over an existing file (it says so when the session starts)."""
    handler: Any = channel._handler  # noqa: SLF001 - asyncssh has no public word for what a server offers
    return bool(handler._supports_posix_rename or channel.version >= 5)  # noqa: PLR2004, SLF001 - SFTP 5 replaces


def _words(error: Exception) -> str:
    """Return what went wrong without repeating a server's words."""
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
    """Drop what asyncio says about requests that failed with the one that was reported."""
    if not isinstance(context.get("exception"), asyncssh.Error):
        loop.default_exception_handler(context)
