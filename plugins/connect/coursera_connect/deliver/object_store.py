"""Delivery into a bucket of an object store, by the driver that fsspec has for it.

An object appears when its upload is complete, and replaces the old one in that moment: nothing is renamed or continued.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import fsspec  # type: ignore[import-untyped]
from fsspec.callbacks import Callback  # type: ignore[import-untyped]
from fsspec.registry import known_implementations  # type: ignore[import-untyped]
from typing_extensions import override

from coursera_connect.deliver.receiver import Interrupted, Receipt, Receiver
from coursera_connect.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from typing_extensions import Self

    from coursera_connect.deliver.receiver import Content

_NO_CREDENTIALS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "DefaultCredentialsError",
    "ClientAuthenticationError",
}
_NO_CONNECTION = {"EndpointConnectionError", "ConnectTimeoutError", "ClientConnectorError", "ServiceRequestError"}
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
    def receive(self, content: Content, sent: Callable[[int], None], *, trust_size: bool = False) -> Receipt:
        """Upload the object unless the same one is there."""
        with self._refusals():
            if self._size() == content.size and (trust_size or self._same(content)):
                return Receipt(already_there=True)
            self._fs.put_file(str(content.path), self._path, callback=_Sent(sent))
            if self._size() != content.size:
                raise Interrupted("what arrived is not what was sent")
        return Receipt(already_there=False)

    @override
    def state_after_failure(self) -> str:
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
            if kind in _NO_CREDENTIALS:
                raise self._no_access() from None
            if isinstance(error, (TypeError, ValueError)) or kind == "ParamValidationError":
                raise self._unusable(kind) from None
            raise Interrupted("no connection" if kind in _NO_CONNECTION else kind) from None

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
        self._reported = 0

    def call(self, *_: Any, **__: Any) -> None:
        self._sent(self.value - self._reported)
        self._reported = self.value
