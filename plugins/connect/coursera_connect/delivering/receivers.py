"""Where a package can be delivered to: a folder, an SFTP server (`sftp.py`) or an object store.

Each keeps one promise in its own way: whoever looks at the target sees the old file or the new one, complete.

- Folder and SFTP: the content grows under a temporary name beside the target, is read back and compared, and takes the
  target's place by a rename. The temporary name holds a part of the content's SHA-256, so nothing but the same content
  is ever continued.
- Object store: an object appears when its upload is complete, and replaces the old one in that moment.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import fsspec  # type: ignore[import-untyped]
from fsspec.callbacks import Callback  # type: ignore[import-untyped]
from fsspec.registry import known_implementations  # type: ignore[import-untyped]
from typing_extensions import override

from coursera_connect.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from typing_extensions import Self

BLOCK = 1 << 20
"""Bytes that are read, sent and compared at a time."""

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


class Interrupted(Exception):  # noqa: N818 - it is no error yet: the next attempt may succeed
    """A delivery broke off for a reason that may pass. `str()` is the reason in a few words, without secrets."""


@dataclass(frozen=True)
class Content:
    """An open package: what is delivered stays what was hashed, even if the package is replaced meanwhile."""

    path: Path
    handle: IO[bytes]
    size: int
    sha256: str

    def blocks(self, start: int = 0) -> Iterator[bytes]:
        """Give the content from a byte on, block by block."""
        self.handle.seek(start)
        while block := self.handle.read(BLOCK):
            yield block


@dataclass(frozen=True)
class Handed:
    """How one attempt ended well: nothing was sent, or all but the `resumed` first bytes."""

    already_there: bool
    resumed: int = 0


class Receiver(AbstractContextManager["Receiver"], ABC):
    """One target. It is entered for every attempt and told to `receive`; failures are DeliveryError or Interrupted."""

    shown: str
    """The target as it may be shown: never a password."""

    def __enter__(self) -> Self:
        """Connect. Receivers without a connection have nothing to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""

    @abstractmethod
    def receive(self, content: Content, sent: Callable[[int], None], *, trust_size: bool = False) -> Handed:
        """Take the content, unless it is there already; `sent` is told bytes while they go.

        With `trust_size`, a file of the same size counts as the same content.
        """

    @abstractmethod
    def probe(self) -> Iterator[str]:
        """Write, replace, read and remove a small file, and give one sentence for each thing that worked."""


class Renaming(Receiver):
    """A receiver with folders and renames. A subclass has the names of `folder`, this class the order of the work."""

    name: str
    """The file's own name."""

    @override
    def receive(self, content: Content, sent: Callable[[int], None], *, trust_size: bool = False) -> Handed:
        """Continue or start the temporary file, read it back, rename it."""
        self.heal(self.name)
        partial = f".{self.name}.{content.sha256[:16]}.connect-partial"
        if self.size(self.name) == content.size and (trust_size or self._agreement(self.name, content) == content.size):
            self._clear(keep="")
            return Handed(already_there=True)
        self._clear(keep=partial)
        start = self._start(partial, content)
        self.write(partial, start, content.blocks(start), sent)
        agreement = self._agreement(partial, content)
        if self.size(partial) != content.size or agreement not in {content.size, None}:
            self.remove(partial)
            raise Interrupted("what arrived is not what was sent")
        self.replace(partial, self.name)
        return Handed(already_there=False, resumed=start)

    @override
    def probe(self) -> Iterator[str]:
        """Do with a tiny file what a delivery does with the package."""
        name, partial = (f".connect-test-{os.getpid()}{end}" for end in (".txt", ".connect-partial"))
        try:
            for word in (b"old", b"new"):
                self.write(partial, 0, iter([word]), lambda _bytes: None)
                if word == b"old":
                    yield "A file can be written."
                self.replace(partial, name)
            yield f"A file can be replaced {self.how_replaced()}."
            try:
                back = b"".join(self.read(name))
            except PermissionError:
                yield "Files cannot be read back: a broken delivery starts again instead of being continued."
            else:
                if back != b"new":
                    raise DeliveryError(f"{self.shown} did not keep what was written: ask its administrator.")
                yield "A file can be read back: a broken delivery is continued."
        finally:
            with suppress(Interrupted, DeliveryError):
                self.remove(partial)
            self.remove(name)
        yield "A file can be removed."

    def _start(self, partial: str, content: Content) -> int:
        """Return how many bytes of the temporary file can stay.

        Its size alone does not tell: a server that works on several requests at a time may have written a later block
        but not an earlier one when the line broke.
        """
        there = self.size(partial)
        if there is not None and there > content.size:
            self.remove(partial)
            return 0
        return self._agreement(partial, content) or 0 if there else 0

    def _agreement(self, name: str, content: Content) -> int | None:
        """Return how many bytes at the beginning of a remote file are the content's, None if it cannot be read."""
        agreed = 0
        mine = content.blocks()
        own = b""
        try:
            for block in self.read(name):
                theirs = block
                while theirs:
                    own = own or next(mine, b"")
                    length = min(len(own), len(theirs))
                    if not length or own[:length] != theirs[:length]:
                        return agreed + next((at for at in range(length) if own[at] != theirs[at]), 0)
                    agreed += length
                    own, theirs = own[length:], theirs[length:]
        except PermissionError:
            return None
        return agreed

    def _clear(self, keep: str) -> None:
        """Remove what killed deliveries of other contents left. Only names that this module makes are touched."""
        ours = re.compile(rf"\.{re.escape(self.name)}\.[0-9a-f]{{16}}\.connect-partial")
        for name in self.names():
            if name != keep and ours.fullmatch(name):
                self.remove(name)

    def heal(self, name: str) -> None:
        """Bring a target back that a killed delivery had moved aside; only needed where renames do not replace."""

    @abstractmethod
    def how_replaced(self) -> str:
        """Say how a file takes another's place here."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names in the folder, none if it cannot be listed."""

    @abstractmethod
    def size(self, name: str) -> int | None:
        """Return a file's size in bytes, None if there is none."""

    @abstractmethod
    def read(self, name: str) -> Iterator[bytes]:
        """Give a file's bytes; PermissionError if files cannot be read here."""

    @abstractmethod
    def write(self, name: str, start: int, blocks: Iterator[bytes], sent: Callable[[int], None]) -> None:
        """Write blocks from a byte on: a new file at 0, else into what is there. On disk when it returns."""

    @abstractmethod
    def replace(self, old: str, new: str) -> None:
        """Rename a file, over another one if need be."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""


class Folder(Renaming):
    """A folder of this machine, or one that is mounted. It is created, with its parents, when it is missing."""

    def __init__(self, path: Path) -> None:
        """Deliver to the file `path`; if that is a symbolic link, to the file it points to."""
        self.shown = str(path)
        self._folder = Path(os.path.realpath(path)).parent
        self.name = Path(os.path.realpath(path)).name

    @override
    def __enter__(self) -> Self:
        with self._refusals():
            self._folder.mkdir(parents=True, exist_ok=True)
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
    def size(self, name: str) -> int | None:
        with self._refusals():
            try:
                return (self._folder / name).stat().st_size
            except FileNotFoundError:
                return None

    @override
    def read(self, name: str) -> Iterator[bytes]:
        with self._refusals(), (self._folder / name).open("rb") as handle:
            while block := handle.read(BLOCK):
                yield block

    @override
    def write(self, name: str, start: int, blocks: Iterator[bytes], sent: Callable[[int], None]) -> None:
        target = self._folder / self.name
        with self._refusals(), (self._folder / name).open("r+b" if start else "wb") as handle:
            if target.exists():  # a file that the administrator hid from others stays hidden
                os.fchmod(handle.fileno(), stat.S_IMODE(target.stat().st_mode))
            handle.seek(start)
            for block in blocks:
                handle.write(block)
                sent(len(block))
            handle.flush()
            os.fsync(handle.fileno())

    @override
    def replace(self, old: str, new: str) -> None:
        with self._refusals():
            (self._folder / old).replace(self._folder / new)
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
                raise DeliveryError(
                    f"{why}: let the user of this process write there, or change the target."
                ) from error
            if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG}:
                raise DeliveryError(f"{why}: correct the target.") from error
            raise Interrupted(str(error.strerror)) from error  # a network disk that is away, for instance


class ObjectStore(Receiver):
    """A bucket that fsspec knows. Objects appear when they are complete: nothing is renamed, nothing continued."""

    PROTOCOLS: ClassVar = {"abfs", "az", "gcs", "gs", "memory", "oci", "oss", "s3", "s3a", "tos"}
    """Those known to replace an object in one step. What has neither that nor a rename (FTP, HTTP) is refused."""

    def __init__(self, protocol: str, path: str, shown: str, options: Mapping[str, Any]) -> None:
        """Deliver to an object; `options` are those of the protocol's driver."""
        self.shown, self._path, self._options, self._protocol = shown, path, options, protocol

    @override
    def __enter__(self) -> Self:
        try:
            self._fs = fsspec.filesystem(self._protocol, skip_instance_cache=True, **self._options)
        except ImportError as error:
            driver = str(known_implementations[self._protocol]["class"]).split(".", maxsplit=1)[0]
            raise DeliveryError(
                f"The driver for {self._protocol}:// is missing: add {driver} to connect's pip_url and install again."
            ) from error
        except Exception as error:  # noqa: BLE001 - a driver may raise anything, its texts may hold its keys
            raise DeliveryError(
                f"{self.shown} cannot be used ({type(error).__name__}): check CONNECT_DELIVERY_OPTIONS."
            ) from None
        return self

    @override
    def receive(self, content: Content, sent: Callable[[int], None], *, trust_size: bool = False) -> Handed:
        """Put the object, unless the same is there."""
        with self._refusals():
            if self._size() == content.size and (trust_size or self._same(content)):
                return Handed(already_there=True)
            self._fs.put_file(str(content.path), self._path, callback=_Sent(sent))
            if self._size() != content.size:
                raise Interrupted("what arrived is not what was sent")
        return Handed(already_there=False)

    @override
    def probe(self) -> Iterator[str]:
        """Put, read and remove a small object."""
        path = f"{self._path.rpartition('/')[0]}/.connect-test-{os.getpid()}.txt"
        with self._refusals():
            self._fs.pipe_file(path, b"old")
            yield "An object can be written."
            self._fs.pipe_file(path, b"new")
            if self._fs.cat_file(path) != b"new":
                raise DeliveryError(f"{self.shown} did not keep what was written: ask its administrator.")
            yield "An object can be replaced in one step, and read back."
            self._fs.rm_file(path)
            yield "An object can be removed."

    def _size(self) -> int | None:
        self._fs.invalidate_cache()
        try:
            return int(self._fs.info(self._path)["size"])
        except FileNotFoundError:
            return None

    def _same(self, content: Content) -> bool:
        with self._fs.open(self._path, "rb") as handle:
            return all(handle.read(len(block)) == block for block in content.blocks())

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except (DeliveryError, Interrupted):
            raise
        except PermissionError:
            raise DeliveryError(
                f"{self.shown} refuses access: check the keys in CONNECT_DELIVERY_OPTIONS and what they allow."
            ) from None
        except FileNotFoundError:
            raise DeliveryError(
                f"{self.shown} has no such bucket or container: create it, or correct the target."
            ) from None
        except Exception as error:  # noqa: BLE001 - a driver may raise anything, its texts may hold its keys
            raise Interrupted(type(error).__name__) from None


class _Sent(Callback):  # type: ignore[misc]
    """Passes a driver's progress on as bytes since the last word."""

    def __init__(self, sent: Callable[[int], None]) -> None:
        super().__init__()
        self._sent = sent
        self._told = 0

    def call(self, *_: Any, **__: Any) -> None:
        self._sent(self.value - self._told)
        self._told = self.value
