"""The receivers of a package: a folder, an SFTP server (`sftp.py`) or an object store.

At every receiver the target is at any time either the old file or the complete new one.

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
from typing import IO, TYPE_CHECKING, Any

import fsspec  # type: ignore[import-untyped]
from fsspec.callbacks import Callback  # type: ignore[import-untyped]
from fsspec.registry import known_implementations  # type: ignore[import-untyped]
from typing_extensions import override

from coursera_connect.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from typing_extensions import Self

BLOCK = 1 << 20
"""How many bytes are read, sent and compared at a time."""

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


_AT_WORK = 3600  # seconds for which a temporary file may belong to another sender


class Interrupted(Exception):  # noqa: N818 - it is no error yet: the next attempt may succeed
    """A delivery broke off for a temporary reason. `str()` is the reason in a few words, without secrets."""


class Spoiled(Interrupted):
    """A delivery broke off for a temporary reason, and the bytes that arrived cannot be used."""


class RefusedError(DeliveryError):
    """The receiver does not allow this user to do something."""


def not_renamed(shown: str) -> str:
    """Return the remedy for a server on which files can be written but not renamed."""
    return (
        f"{shown}: a file can be written there, and not be renamed over another: allow it, or set "
        "CONNECT_DELIVERY_RENAME to off, with which the package is written at once under its own name."
    )


@dataclass(frozen=True)
class Content:
    """An open package. Its content stays the one that was hashed, even if the file is replaced meanwhile."""

    path: Path
    handle: IO[bytes]
    size: int
    sha256: str

    def blocks(self, start: int = 0) -> Iterator[bytes]:
        """Yield the content from a byte on, block by block."""
        self.handle.seek(start)
        while block := self.handle.read(BLOCK):
            yield block


@dataclass(frozen=True)
class Handed:
    """The result of a successful attempt: nothing was sent, or everything but the first `resumed` bytes."""

    already_there: bool
    resumed: int = 0


class Receiver(AbstractContextManager["Receiver"], ABC):
    """One target, a context manager that is entered for every attempt.

    Its methods raise DeliveryError or Interrupted.
    """

    shown: str
    """The target without a password."""

    def __enter__(self) -> Self:
        """Connect. Receivers without a connection have nothing to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""

    @abstractmethod
    def receive(self, content: Content, sent: Callable[[int], None], *, trust_size: bool = False) -> Handed:
        """Take the content unless it is there already; `sent` is called with the number of bytes of each block.

        With `trust_size`, a file of the same size counts as the same content.
        """

    @abstractmethod
    def afterwards(self) -> str:
        """Return what the target holds after a delivery that failed."""

    @abstractmethod
    def probe(self) -> Iterator[str]:
        """Write, replace, read and remove a small file, and yield a sentence for each step that works."""


@dataclass(frozen=True)
class Manner:
    """How a file is brought into a folder: CONNECT_DELIVERY_RENAME and CONNECT_DELIVERY_TEMPORARY_SUFFIX."""

    rename: bool = True
    """Whether the file is renamed; if not, it is written under its own name, for servers without renaming."""
    suffix: str = ""
    """The end of the temporary name; a name with a suffix does not begin with a dot."""


@dataclass(frozen=True)
class Entry:
    """What a receiver reports of a file; `mode` and `modified` (seconds of its own clock) may be None."""

    size: int
    mode: int | None = None
    modified: int | None = None
    plain: bool = True
    """Whether this is a regular file."""


class Renaming(Receiver):
    """A receiver with folders and renames. This class knows the order of the steps; a subclass performs each step."""

    name: str
    """The name of the file."""
    manner: Manner

    @override
    def receive(self, content: Content, sent: Callable[[int], None], *, trust_size: bool = False) -> Handed:
        """Continue or start the temporary file, read it back, and rename it."""
        self.heal(self.name)
        old = self.entry(self.name)
        if old and old.size == content.size and (trust_size or self._agreement(self.name, content) == content.size):
            return Handed(already_there=True)
        if not self.manner.rename:
            self._write_in_place(content, old, sent)
            return Handed(already_there=False)
        partial = self._temporary(content.sha256[:16])
        try:
            start = self._start(partial, content, old.mode if old else None)
            self.write(partial, start, content.blocks(start), sent)
            self._compare(partial, content)
            self._keep_permissions(partial, old)
            self.replace(partial, self.name)
        except (DeliveryError, Spoiled):
            with suppress(Interrupted, DeliveryError):
                self.remove(partial)
            raise
        finally:
            with suppress(Interrupted, DeliveryError):
                self._clear(keep=partial)
        now = self.entry(self.name)
        if now is not None and now.size != content.size:
            raise DeliveryError(
                f"{self.shown} was replaced by another sender at the same moment, so what lies there is not this "
                "package: give each sender a target of its own, then run `connect deliver`."
            )
        return Handed(already_there=False, resumed=start)

    @override
    def afterwards(self) -> str:
        if self.manner.rename:
            return "this delivery has changed nothing there"
        return "with CONNECT_DELIVERY_RENAME=off the file there may be missing or incomplete now"

    @override
    def probe(self) -> Iterator[str]:
        """Do with a tiny file what a delivery does with the package, and yield a sentence for each step."""
        tag = f"connect-test-{os.getpid()}"
        name = f"{tag}.zip" if self.manner.suffix or not self.manner.rename else f".{tag}.txt"
        partial = f"{name}{self.manner.suffix or '.connect-partial'}" if self.manner.rename else name
        try:
            for word in (b"old", b"new"):
                if word == b"old" or partial != name:
                    self._create(partial, None)
                self.write(partial, 0, iter([word]), lambda _bytes: None, emptied=True)
                if word == b"old":
                    yield "A file can be written."
                if partial != name:
                    self.replace(partial, name)
            yield f"A file can be replaced {self.how_replaced() if self.manner.rename else 'by writing over it'}."
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
            with suppress(Interrupted, DeliveryError):
                self.remove(name)
        if self.entry(name) is not None:
            raise DeliveryError(f"{self.shown} does not let a file be removed: the file {name} stays there.")
        yield "A file can be removed."

    def _temporary(self, tag: str) -> str:
        """Return the temporary name of a content, which holds a part of its SHA-256."""
        if self.manner.suffix:
            return f"{self.name}.{tag}{self.manner.suffix}"
        return f".{self.name}.{tag}.connect-partial"

    def _create(self, name: str, mode: int | None) -> None:
        """Create an empty file with at most the permissions `mode`, without following a link."""
        there = self.entry(name, follow=False)
        if there is not None:
            self.remove(name)
        try:
            self.create(name, mode)
        except RefusedError as error:
            if not name.startswith("."):
                raise
            other = f"{name.strip('.')}.connect-test"
            try:
                self.create(other, 0o600)
                self.remove(other)
            except (Interrupted, DeliveryError):
                raise error from None
            raise DeliveryError(
                f"{self.shown}: the server takes no name that begins with a dot, as our temporary names do: set "
                "CONNECT_DELIVERY_TEMPORARY_SUFFIX, to .part for instance, or CONNECT_DELIVERY_RENAME to off."
            ) from error

    def _write_in_place(self, content: Content, old: Entry | None, sent: Callable[[int], None]) -> None:
        """Write the file under its own name. A reader may see a part of it meanwhile."""
        try:
            if old is None:
                self._create(self.name, None)
            self.write(self.name, 0, content.blocks(), sent, emptied=True)
            self._compare(self.name, content)
        except (DeliveryError, Spoiled):
            with suppress(Interrupted, DeliveryError):  # no file is better than a damaged one
                self.remove(self.name)
            raise

    def _compare(self, name: str, content: Content) -> None:
        there = self.entry(name)
        if there is None:
            raise Spoiled("somebody else removed the file while it was written, perhaps another sender")
        if there.size != content.size or self._agreement(name, content) not in {content.size, None}:
            raise Spoiled("what arrived is not what was sent")

    def _keep_permissions(self, partial: str, old: Entry | None) -> None:
        """Give the new file at most the permissions of the old one."""
        if old is None or old.mode is None:
            return
        self.set_mode(partial, old.mode)
        now = self.entry(partial)
        if now is not None and now.mode is not None and now.mode & ~old.mode & 0o777:
            raise DeliveryError(
                f"{self.shown} has permissions that this user cannot give to a new file, so more people could read it: "
                "let the user set them, or remove the old file once."
            )

    def _start(self, partial: str, content: Content, mode: int | None) -> int:
        """Create the temporary file unless it is there, and return how many of its bytes can stay.

        The size does not tell that: a server that handles several requests at a time may have written a later block
        but not an earlier one when the connection broke. The bytes that follow are written again; another sender of
        the same content may write them, too.
        """
        there = self.entry(partial, follow=False)
        if there is None or not there.plain or there.size > content.size:
            self._create(partial, mode)
            return 0
        return self._agreement(partial, content) or 0 if there.size else 0

    def _agreement(self, name: str, content: Content) -> int | None:
        """Return how many bytes at the beginning of a remote file equal the content; None if it cannot be read."""
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
        """Remove temporary files of other contents that are at least an hour old by the receiver's own clock.

        A younger file may belong to a sender that is running. Only names that this module makes are touched.
        """
        ours = re.compile("[0-9a-f]{16}".join(map(re.escape, self._temporary("\0").split("\0"))))
        found = {name: self.entry(name, follow=False) for name in self.names() if ours.fullmatch(name)}
        ages = [entry.modified for entry in (self.entry(self.name), *found.values()) if entry and entry.modified]
        for name, entry in found.items():
            if name != keep and entry and (entry.modified is None or entry.modified < max(ages) - _AT_WORK):
                self.remove(name)

    def heal(self, name: str) -> None:
        """Move back a target that a killed delivery had moved aside; only needed where a rename does not replace."""

    @abstractmethod
    def how_replaced(self) -> str:
        """Return how a file takes the place of another one here."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names in the folder; none if the folder cannot be listed."""

    @abstractmethod
    def entry(self, name: str, *, follow: bool = True) -> Entry | None:
        """Return what is known of a file, or without `follow` of a link itself; None if there is no such file."""

    @abstractmethod
    def read(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file.

        Raises:
            PermissionError: Files cannot be read here.
        """

    @abstractmethod
    def create(self, name: str, mode: int | None) -> None:
        """Create an empty file that does not exist yet, with these permissions or the usual ones."""

    @abstractmethod
    def set_mode(self, name: str, mode: int) -> None:
        """Set the permissions of a file, if that is possible."""

    @abstractmethod
    def write(
        self,
        name: str,
        start: int,
        blocks: Iterator[bytes],
        sent: Callable[[int], None],
        *,
        emptied: bool = False,
    ) -> None:
        """Write blocks into an existing file from a byte on, or after emptying it, and return once they are on disk."""

    @abstractmethod
    def replace(self, old: str, new: str) -> None:
        """Rename a file, and replace another one of that name."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""


class Folder(Renaming):
    """An existing folder of this machine or of a mounted disk."""

    def __init__(self, path: Path, manner: Manner) -> None:
        """Deliver to the file `path`; if that is a symbolic link, to the file it points to."""
        self.shown, self.manner = str(path), manner
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
    def write(
        self,
        name: str,
        start: int,
        blocks: Iterator[bytes],
        sent: Callable[[int], None],
        *,
        emptied: bool = False,
    ) -> None:
        how = os.O_WRONLY | os.O_NOFOLLOW | (os.O_TRUNC if emptied else 0)
        with self._refusals(), os.fdopen(os.open(self._folder / name, how), "wb") as handle:
            handle.seek(start)
            for block in blocks:
                handle.write(block)
                sent(len(block))
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
            if error.errno in {
                errno.ELOOP,
                errno.EFBIG,
                errno.ENOENT,
                errno.ENOTDIR,
                errno.EEXIST,
                errno.EISDIR,
                errno.ENAMETOOLONG,
            }:
                raise DeliveryError(f"{why}: correct the target.") from error
            raise Interrupted(str(error.strerror)) from error  # a network disk that is away, for instance


_NO_KEYS = {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError", "ClientAuthenticationError"}
_NO_LINE = {"EndpointConnectionError", "ConnectTimeoutError", "ClientConnectorError", "ServiceRequestError"}
"""The names that drivers give to a failed connection; most drivers do not use Python's own classes."""


class ObjectStore(Receiver):
    """A bucket of an object store (fsspec). An object appears when it is complete: nothing is renamed or continued."""

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
            raise self._unusable(type(error).__name__) from None
        return self

    @override
    def receive(self, content: Content, sent: Callable[[int], None], *, trust_size: bool = False) -> Handed:
        """Upload the object unless the same one is there."""
        with self._refusals():
            if self._size() == content.size and (trust_size or self._same(content)):
                return Handed(already_there=True)
            self._fs.put_file(str(content.path), self._path, callback=_Sent(sent))
            if self._size() != content.size:
                raise Interrupted("what arrived is not what was sent")
        return Handed(already_there=False)

    @override
    def afterwards(self) -> str:
        return "the object there is still the old one"

    @override
    def probe(self) -> Iterator[str]:
        """Upload, read and remove a small object, and yield a sentence for each step."""
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
            raise self._no_access() from None
        except FileNotFoundError:
            raise DeliveryError(
                f"{self.shown} has no such bucket or container: create it, or correct the target."
            ) from None
        except Exception as error:  # noqa: BLE001 - a driver may raise anything, its texts may hold its keys
            kind = type(error).__name__
            if kind in _NO_KEYS:
                raise self._no_access() from None
            if isinstance(error, (TypeError, ValueError)) or kind == "ParamValidationError":
                raise self._unusable(kind) from None
            raise Interrupted("no connection" if kind in _NO_LINE else kind) from None

    def _unusable(self, kind: str) -> DeliveryError:
        return DeliveryError(f"{self.shown} cannot be used ({kind}): check CONNECT_DELIVERY_OPTIONS.")

    def _no_access(self) -> DeliveryError:
        return DeliveryError(
            f"{self.shown} refuses access: check the keys in CONNECT_DELIVERY_OPTIONS and what they allow."
        )


class _Sent(Callback):  # type: ignore[misc]
    """Reports the progress of a driver as the bytes since the last report."""

    def __init__(self, sent: Callable[[int], None]) -> None:
        super().__init__()
        self._sent = sent
        self._told = 0

    def call(self, *_: Any, **__: Any) -> None:
        self._sent(self.value - self._told)
        self._told = self.value
