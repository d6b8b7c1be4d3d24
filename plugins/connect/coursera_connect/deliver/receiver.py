"""A receiver of packages: where a package is delivered, as an interface with three implementations.

`folder.Folder` and `sftp.Sftp` (both `renaming.Renaming`) and `object_store.ObjectStore` keep one promise: the target
is at any time either the old file or the complete new one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from coursera_connect.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typing_extensions import Self

BLOCK = 1 << 20
"""How many bytes are read, sent and compared at a time."""


class Interrupted(Exception):  # noqa: N818 - it is no error yet: the next attempt may succeed
    """A delivery broke off for a temporary reason. `str()` is the reason in a few words, without secrets."""


class UnusableError(Interrupted):
    """A delivery broke off for a temporary reason, and the next attempt has to send everything again."""


class RefusedError(DeliveryError):
    """The receiver does not allow this user to do something."""


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
class Receipt:
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
    def receive(self, content: Content, sent: Callable[[int], None], *, trust_size: bool = False) -> Receipt:
        """Take the content unless it is there already; `sent` is called with the number of bytes of each block.

        With `trust_size`, a file of the same size counts as the same content.
        """

    @abstractmethod
    def state_after_failure(self) -> str:
        """Return what the target holds after a delivery that failed."""

    @abstractmethod
    def probe(self) -> Iterator[str]:
        """Write, replace, read and remove a small file, and yield a sentence for each step that works."""
