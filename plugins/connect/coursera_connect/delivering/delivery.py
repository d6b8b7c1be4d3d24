"""Brings the package to its receiver, who keeps the old file or gets the new one, byte for byte, never a part."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from fsspec.registry import known_implementations  # type: ignore[import-untyped]

from coursera_connect.delivering.receivers import BLOCK, Content, Folder, Interrupted, ObjectStore
from coursera_connect.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from urllib.parse import SplitResult

    from coursera_connect.delivering.receivers import Receiver

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LONGEST_PAUSE = 120.0


@dataclass(frozen=True)
class Delivered:
    """A package that arrived. `target_shown` holds no password; `resumed_bytes` came with an earlier attempt or run."""

    target_shown: str
    bytes: int
    sha256: str
    attempts: int
    resumed_bytes: int
    already_there: bool


def deliver(  # noqa: PLR0913 - what to bring, where, and how patiently
    package: Path,
    target: str,
    options: Mapping[str, Any],
    *,
    attempts: int = 4,
    pause: Callable[[float], None] = time.sleep,
    step: Callable[[str, int], None],
    last_sha256: str = "",
) -> Delivered:
    """Deliver the package, or raise DeliveryError.

    `target`: a folder or the name of a .zip file, `sftp://user@host:port/path/`, `s3://bucket/path/` or another object
    store; see `receiver`. `options`: for SFTP `known_hosts`, `host_key`, `key_file`, `passphrase`, `password`, for an
    object store those of its driver. `step` is told a sentence and a number of bytes while the work goes on.

    A delivery that breaks off is tried again `attempts` times with growing pauses (2, 8, 32 … seconds, less a random
    part), and continued where the receiver can. What is there already is not sent again: the file is read back and
    compared, or, if its size fits and `last_sha256` (what was delivered there last) is this package's, believed.

    Whoever calls this holds the package's lock, or knows that nobody replaces it meanwhile.
    """
    to = receiver(target, options, package.name)
    with _opened(package) as content:
        for attempt in range(1, attempts + 1):
            step(f"Delivering to {to.shown}", 0)
            try:
                with to:
                    handed = to.receive(
                        content,
                        lambda count: step(f"Delivering to {to.shown}", count),
                        trust_size=last_sha256 == content.sha256,
                    )
            except Interrupted as error:
                if attempt == attempts:
                    tried = "once" if attempts == 1 else f"{attempts} times"
                    raise DeliveryError(
                        f"The package did not reach {to.shown}, tried {tried} ({error}): the file there is still the "
                        "old one. Run `connect deliver` when the receiver can be reached again; what arrived is kept."
                    ) from error
                step(f"Waiting to try again ({error})", 0)
                pause(_pause_after(attempt))
            else:
                return Delivered(to.shown, content.size, content.sha256, attempt, handed.resumed, handed.already_there)
    raise DeliveryError("A delivery needs at least one attempt: set CONNECT_DELIVERY_ATTEMPTS to 1 or more.")


def probe(target: str, options: Mapping[str, Any], name: str = "oneroster.zip") -> Iterator[str]:
    """Try with a tiny file what a delivery needs, and give a sentence for each thing that works, as it works.

    The file is removed again, and a delivered package is not touched. Raises DeliveryError.
    """
    to = receiver(target, options, name)
    try:
        with to:
            yield f"{to.shown} can be reached."
            yield from to.probe()
    except Interrupted as error:
        raise DeliveryError(f"{to.shown} could not be used ({error}): check the target, or try again later.") from error


def receiver(target: str, options: Mapping[str, Any], name: str) -> Receiver:
    """Return the receiver that a target names, unconnected.

    A target that ends in `.zip` is the file; any other is a folder, in which the file gets the package's `name`.
    """
    options = {key: value for key, value in options.items() if value is not None and value != ""}
    if not target.strip():
        raise DeliveryError(
            "There is no target: set CONNECT_DELIVERY to a folder, sftp://user@host/path/ or s3://bucket/."
        )
    scheme = _SCHEME.match(target)
    protocol = scheme[1].lower() if scheme else "file"
    if protocol in {"file", "local"}:
        path = unquote(target[scheme.end() :]) if scheme else target
        local = Path(path).expanduser()
        # os.path, since a folder that may not be entered is reported where it is used
        return Folder(local if _names_file(path) and not os.path.isdir(local) else local / name)  # noqa: PTH112 - see above
    parts = _split(target, protocol)
    if protocol in {"sftp", "ssh"}:
        return _sftp(parts, options, name)
    path = f"{parts.netloc.rpartition('@')[2]}{parts.path}"
    if protocol in {"abfs", "az"}:  # container@account in front of the path is a part of the name there
        path = f"{parts.netloc}{parts.path}"
    path = path if _names_file(path) else f"{path.rstrip('/')}/{name}"
    if protocol in ObjectStore.PROTOCOLS:
        return ObjectStore(protocol, path, f"{protocol}://{re.sub(':[^/]*@', '@', path)}", options)
    known = "cannot replace a file in one step" if protocol in known_implementations else "is not known"
    raise DeliveryError(
        f"{protocol}:// {known}: deliver to a folder, to sftp:// or to an object store "
        f"({', '.join(sorted(ObjectStore.PROTOCOLS))})."
    )


def _split(target: str, protocol: str) -> SplitResult:
    """Split a URL. What does not fit is not repeated: a password may be in the wrong place."""
    try:
        parts = urlsplit(target)
        parts.port  # noqa: B018 - read for its ValueError
    except ValueError:
        parts = None
    if parts is None or not parts.netloc or parts.query or parts.fragment:
        raise DeliveryError(
            f"The target {protocol}://… is no address: in a user, password or path write %40 for @, %3A for :, "
            "%2F for /, %3F for ?, %23 for #. A password is better kept in CONNECT_DELIVERY_PASSWORD."
        )
    return parts


def _sftp(parts: SplitResult, options: Mapping[str, Any], name: str) -> Receiver:
    from coursera_connect.delivering import sftp  # noqa: PLC0415 - its libraries take longer to load than all others together

    host, user = parts.hostname or "", unquote(parts.username or "")
    if strange := sorted(set(options) - set(sftp.OPTIONS)):
        raise DeliveryError(f"SFTP has no option {', '.join(strange)}: there are {', '.join(sftp.OPTIONS)}.")
    if not host or not user:
        raise DeliveryError("The target names no user or no host: write sftp://user@host/path/.")
    path = unquote(parts.path)
    if not _names_file(path):
        path = f"{path.rstrip('/')}/{name}" if parts.path else f"/~/{name}"
    port = f":{parts.port}" if parts.port else ""
    shown = f"sftp://{user}@{f'[{host}]' if ':' in host else host}{port}{path}"
    server = sftp.Server(host, parts.port, user, unquote(parts.password or ""))
    return sftp.Sftp(server, path.removeprefix("/~/"), shown, options)


def _names_file(path: str) -> bool:
    return path.lower().endswith(".zip")


@contextmanager
def _opened(package: Path) -> Iterator[Content]:
    try:
        handle = package.open("rb")
    except OSError as error:
        raise DeliveryError(f"{package} cannot be read ({error.strerror}): run `connect publish` first.") from error
    with handle:
        total, size = hashlib.sha256(), 0
        while block := handle.read(BLOCK):
            total.update(block)
            size += len(block)
        yield Content(package, handle, size, total.hexdigest())


def _pause_after(attempt: int) -> float:
    """Seconds: 2, 8, 32, … at most 120, each shortened by up to a half, so that many senders do not return together."""
    longest = min(_LONGEST_PAUSE, 2.0 * 4.0 ** (attempt - 1))
    return longest * secrets.SystemRandom().uniform(0.5, 1)
