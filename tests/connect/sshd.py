"""A real SSH server on a port of this machine, over a temporary folder, with faults that a test chooses."""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncssh
from asyncssh.sftp import SFTPServerHandler

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typing_extensions import Self

USER, PASSWORD = "college", "s3cr:t/wörd@"
_KEY = asyncssh.generate_private_key("ssh-ed25519")


@dataclass
class Sshd:
    """The server: `folder` is its root. `cut_after` and `hold_after` count the bytes that clients wrote since start."""

    folder: Path
    user_key: asyncssh.SSHKey | None = None
    port: int = 0
    written: int = 0
    logins: int = 0
    requests: list[str] = field(default_factory=list)
    cut_after: int | None = None
    hold_after: int | None = None
    held: threading.Event = field(default_factory=threading.Event)
    refused: tuple[str, ...] = ()
    """Operations that are answered with "permission denied": open-read, open-write, rename, listdir, remove."""
    full: bool = False
    """Whether the disk is full."""
    ends_at: str = ""
    """The operation at which the server closes the line, before doing it."""

    def __post_init__(self) -> None:
        self.key = _KEY
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        async def stop() -> None:
            self._acceptor.close()
            await self._acceptor.wait_closed()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)

        self._do(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"sftp://{USER}@127.0.0.1:{self.port}/"

    @property
    def host_key(self) -> str:
        return self.key.export_public_key("openssh").decode().strip()

    def another_key(self, algorithm: str = "ssh-ed25519") -> None:
        """Restart on the same port with a new host key."""
        self._do(self._closed())
        self.key = asyncssh.generate_private_key(algorithm)
        self._listen()

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _closed(self) -> None:
        self._acceptor.close()
        await self._acceptor.wait_closed()

    def _listen(self) -> None:
        sshd = self

        class Login(asyncssh.SSHServer):
            def begin_auth(self, username: str) -> bool:
                return bool(username)

            def password_auth_supported(self) -> bool:
                return True

            def validate_password(self, username: str, password: str) -> bool:
                return self._welcome((username, password) == (USER, PASSWORD))

            def public_key_auth_supported(self) -> bool:
                return sshd.user_key is not None

            def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
                assert sshd.user_key is not None
                known = sshd.user_key.convert_to_public()
                return self._welcome(username == USER and key.public_data == known.public_data)

            def _welcome(self, right: bool) -> bool:
                sshd.logins += right
                return right

        async def listen() -> None:
            self._acceptor = await asyncssh.listen(
                "127.0.0.1",
                self.port,
                server_factory=Login,
                server_host_keys=[self.key],
                sftp_factory=lambda channel: _Files(channel, sshd),
            )
            self.port = self._acceptor.get_port()

        self._do(listen())


class _Files(asyncssh.SFTPServer):
    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], sshd: Sshd) -> None:
        super().__init__(channel, chroot=os.fsencode(sshd.folder))
        self._sshd = sshd

    def _asked(self, what: str) -> None:
        self._sshd.requests.append(what)
        if what == self._sshd.ends_at:
            self._sshd.ends_at = ""
            self._hang_up()
        if what in self._sshd.refused:
            raise asyncssh.SFTPPermissionDenied("the people of example.org may not")

    def _hang_up(self) -> None:
        self.connection.abort()
        raise asyncssh.SFTPConnectionLost("cut")

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> Any:
        self._asked("open-write" if pflags & asyncssh.FXF_WRITE else "open-read")
        return super().open(path, pflags, attrs)

    async def write(self, file_obj: object, offset: int, data: bytes) -> int:
        sshd = self._sshd
        if sshd.full:
            raise asyncssh.SFTPFailure("No space left on device")
        if sshd.cut_after is not None and sshd.written >= sshd.cut_after:
            sshd.cut_after = None
            self._hang_up()
        if sshd.hold_after is not None and sshd.written >= sshd.hold_after:
            file_obj.flush()  # type: ignore[attr-defined]
            sshd.held.set()
            while sshd.hold_after is not None:  # noqa: ASYNC110 - it is set in another thread
                await asyncio.sleep(0.02)
            raise asyncssh.SFTPConnectionLost("nobody waits for this any more")
        sshd.written += len(data)
        written = super().write(file_obj, offset, data)
        assert isinstance(written, int)
        return written

    def readlink(self, path: bytes) -> bytes:
        return os.readlink(self.map_path(path))  # noqa: PTH115 - bytes, and as it is, like OpenSSH

    def rename(self, oldpath: bytes, newpath: bytes) -> Any:
        self._asked("rename")
        return super().rename(oldpath, newpath)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> Any:
        self._asked("posix-rename")
        return super().posix_rename(oldpath, newpath)

    def remove(self, path: bytes) -> Any:
        self._asked("remove")
        return super().remove(path)

    def scandir(self, path: bytes) -> Any:
        self._asked("listdir")
        return super().scandir(path)


def without_posix_rename() -> list[tuple[bytes, bytes]]:
    """Return what a server offers beyond SFTP 3, but for the rename over an existing file."""
    offers = SFTPServerHandler._extensions
    return [offer for offer in offers if offer[0] != b"posix-rename@openssh.com"]


def serving(folder: Path) -> Iterator[Sshd]:
    folder.mkdir()
    with Sshd(folder) as sshd:
        yield sshd
