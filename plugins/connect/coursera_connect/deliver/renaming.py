"""Delivery into a folder whose files can be renamed: a folder of this machine, or one of an SFTP server.

The content grows under a temporary name beside the target, is read back and compared, and takes the target's place by a
rename. The temporary name holds a part of the content's SHA-256, so nothing but the same content is ever continued.
"""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import override

from coursera_connect.deliver.receiver import Interrupted, Receipt, Receiver, RefusedError, UnusableError
from coursera_connect.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from coursera_connect.deliver.receiver import Content

_ACTIVE_SECONDS = 3600
"""How long a temporary file may belong to another sender."""


@dataclass(frozen=True)
class WriteOptions:
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


def not_renamed(shown: str) -> str:
    """Return the remedy for a server on which files can be written but not renamed."""
    return (
        f"{shown}: a file can be written there, and not be renamed over another: allow it, or set "
        "CONNECT_DELIVERY_RENAME to off, with which the package is written at once under its own name."
    )


class Renaming(Receiver):
    """A receiver with folders and renames. This class knows the order of the steps; a subclass performs each step."""

    name: str
    """The name of the file."""
    write_options: WriteOptions

    @override
    def receive(self, content: Content, sent: Callable[[int], None], *, trust_size: bool = False) -> Receipt:
        """Continue or start the temporary file, read it back, and rename it."""
        self.restore_previous(self.name)
        old = self.entry(self.name)
        if old and old.size == content.size and (trust_size or self._equal_bytes(self.name, content) == content.size):
            return Receipt(already_there=True)
        if not self.write_options.rename:
            self._write_in_place(content, old, sent)
            return Receipt(already_there=False)
        partial = self._temporary(content.sha256[:16])
        try:
            start = self._start(partial, content, old.mode if old else None)
            self.write(partial, start, _reported(content.blocks(start), sent))
            self._compare(partial, content)
            self._keep_permissions(partial, old)
            self.replace(partial, self.name)
        except (DeliveryError, UnusableError):
            with suppress(Interrupted, DeliveryError):
                self.remove(partial)
            raise
        finally:
            with suppress(Interrupted, DeliveryError):
                self._remove_old_temporaries(keep=partial)
        now = self.entry(self.name)
        if now is not None and now.size != content.size:
            raise DeliveryError(
                f"{self.shown} was replaced by another sender at the same moment, so what lies there is not this "
                "package: give each sender a target of its own, then run `connect deliver`."
            )
        return Receipt(already_there=False, resumed=start)

    @override
    def state_after_failure(self) -> str:
        if self.write_options.rename:
            return "this delivery has changed nothing there"
        return "with CONNECT_DELIVERY_RENAME=off the file there may be missing or incomplete now"

    @override
    def probe(self) -> Iterator[str]:
        """Do with a tiny file what a delivery does with the package, and yield a sentence for each step."""
        tag = f"connect-test-{os.getpid()}"
        name = f"{tag}.zip" if self.write_options.suffix or not self.write_options.rename else f".{tag}.txt"
        partial = f"{name}{self.write_options.suffix or '.connect-partial'}" if self.write_options.rename else name
        try:
            for word in (b"old", b"new"):
                if word == b"old" or partial != name:
                    self._create(partial, None)
                self.write(partial, 0, iter([word]), emptied=True)
                if word == b"old":
                    yield "A file can be written."
                if partial != name:
                    self.replace(partial, name)
            how = self.how_replaced() if self.write_options.rename else "by writing over it"
            yield f"A file can be replaced {how}."
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
        if self.write_options.suffix:
            return f"{self.name}.{tag}{self.write_options.suffix}"
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
            self.write(self.name, 0, _reported(content.blocks(), sent), emptied=True)
            self._compare(self.name, content)
        except (DeliveryError, UnusableError):
            with suppress(Interrupted, DeliveryError):  # no file is better than a damaged one
                self.remove(self.name)
            raise

    def _compare(self, name: str, content: Content) -> None:
        there = self.entry(name)
        if there is None:
            raise UnusableError("somebody else removed the file while it was written, perhaps another sender")
        if there.size != content.size or self._equal_bytes(name, content) not in {content.size, None}:
            raise UnusableError("what arrived is not what was sent")

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
        return self._equal_bytes(partial, content) or 0 if there.size else 0

    def _equal_bytes(self, name: str, content: Content) -> int | None:
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

    def _remove_old_temporaries(self, keep: str) -> None:
        """Remove temporary files of other contents that are at least an hour old by the receiver's own clock.

        A younger file may belong to a sender that is running. Only names that this module makes are touched.
        """
        ours = re.compile("[0-9a-f]{16}".join(map(re.escape, self._temporary("\0").split("\0"))))
        found = {name: self.entry(name, follow=False) for name in self.names() if ours.fullmatch(name)}
        ages = [entry.modified for entry in (self.entry(self.name), *found.values()) if entry and entry.modified]
        for name, entry in found.items():
            if name != keep and entry and (entry.modified is None or entry.modified < max(ages) - _ACTIVE_SECONDS):
                self.remove(name)

    def restore_previous(self, name: str) -> None:
        """Undo the first of two renames after which a delivery was killed; needed where a rename does not replace."""

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
    def write(self, name: str, start: int, blocks: Iterator[bytes], *, emptied: bool = False) -> None:
        """Write blocks into an existing file from a byte on, or after emptying it, and return once they are on disk."""

    @abstractmethod
    def replace(self, old: str, new: str) -> None:
        """Rename a file, and replace another one of that name."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""


def _reported(blocks: Iterator[bytes], sent: Callable[[int], None]) -> Iterator[bytes]:
    """Yield blocks, and report the size of each one when it is written."""
    for block in blocks:
        yield block
        sent(len(block))
