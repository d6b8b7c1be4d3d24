"""A deadline for a whole request, from its first byte to the last one of its answer.

The time-outs of requests are those of each single read: a server that sends a byte now and then is never late for
them. Here each read gets what is left of the time for all of them.
"""

from __future__ import annotations

import io
import threading
import time
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any, cast

import requests
from typing_extensions import override
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from socket import SocketIO

    from urllib3.poolmanager import PoolManager, ProxyManager

_due = threading.local()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Requests that this thread makes meanwhile end so many seconds from now, if need be with a time-out."""
    _due.at = time.monotonic() + seconds
    try:
        yield
    finally:
        del _due.at


def is_over() -> bool:
    """Whether no time is left, within `within`."""
    return bool(time.monotonic() >= _due.at)


class _Timed(io.RawIOBase):
    """What comes from a socket, for as long as time is left."""

    def __init__(self, sock: socket.socket, raw: SocketIO) -> None:
        self._sock = sock
        self._raw = raw

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, into: Any, /) -> int | None:
        if (at := getattr(_due, "at", None)) is not None:
            left = at - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
        return self._raw.readinto(into)

    @override
    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        inside = self.fp.detach()
        self.fp = io.BufferedReader(_Timed(sock, cast("SocketIO", inside)))


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class Adapter(requests.adapters.HTTPAdapter):
    """Makes requests that keep to `within`."""

    poolmanager: PoolManager

    @override
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    @override
    def proxy_manager_for(self, proxy: str, **options: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager
