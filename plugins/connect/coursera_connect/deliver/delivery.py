"""Delivers the package to its receiver, which has either the old file or the complete new one at any time."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coursera_connect.deliver import addresses
from coursera_connect.deliver.folder import Folder
from coursera_connect.deliver.object_store import ObjectStore
from coursera_connect.deliver.receiver import BLOCK, Content, Interrupted
from coursera_connect.deliver.renaming import WriteOptions
from coursera_connect.errors import DeliveryError
from coursera_connect.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from coursera_connect.deliver.addresses import Address
    from coursera_connect.deliver.receiver import Receiver

_LONGEST_PAUSE = 120.0
SSH = ("known_hosts", "host_key", "key_file", "passphrase", "password")
"""The options of an SFTP server."""


@dataclass(frozen=True)
class Delivered:
    """A delivered package. `target_shown` holds no password; `resumed_bytes` were sent by an earlier attempt or run."""

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

    `target`: see `addresses.py`. `options`: see `options_for`. `step` is called with a sentence and a number of bytes
    while the delivery runs.

    A delivery that breaks off is tried again `attempts` times with growing pauses (2, 8, 32 … seconds, less a random
    part), and continued if the receiver supports that. A file that is there already is not sent again: it is read back
    and compared, or trusted if its size fits and `last_sha256`, the hash of the last delivery, is that of this package.

    The caller holds the package's lock, or knows that nobody replaces the package meanwhile.
    """
    to = receiver(target, options, package.name)
    with _opened(package) as content:
        for attempt in range(1, attempts + 1):
            step(f"Delivering to {to.shown}", 0)
            try:
                with to:
                    receipt = to.receive(
                        content,
                        lambda count: step(f"Delivering to {to.shown}", count),
                        trust_size=last_sha256 == content.sha256,
                    )
            except Interrupted as error:
                if attempt == attempts:
                    tried = "once" if attempts == 1 else f"{attempts} times"
                    raise DeliveryError(
                        f"The package did not reach {to.shown}, tried {tried} ({error}): {to.state_after_failure()}. "
                        "Run `connect deliver` when the receiver can be reached again."
                    ) from error
                step(f"Waiting to try again ({error})", 0)
                pause(_pause_after(attempt))
            else:
                return Delivered(
                    to.shown, content.size, content.sha256, attempt, receipt.resumed, receipt.already_there
                )
    raise DeliveryError("A delivery needs at least one attempt: set CONNECT_DELIVERY_ATTEMPTS to 1 or more.")


def options_for(target: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that the receiver of a target takes, out of the settings of all receivers.

    A folder takes `rename` and `temporary_suffix` (see `WriteOptions`), an SFTP server also those of `SSH`, and an
    object store those of its fsspec driver, which are the JSON object `driver_options`.

    Raises:
        DeliveryError: The target, if there is one, is no address, or a setting is wrong.
    """
    write_options = {"rename": settings["rename"] == "on", "temporary_suffix": settings["temporary_suffix"]}
    if not re.fullmatch(r"[A-Za-z0-9._-]*", write_options["temporary_suffix"]):
        raise DeliveryError(
            "CONNECT_DELIVERY_TEMPORARY_SUFFIX holds more than letters, digits, dots, - and _: as .part."
        )
    address = addresses.parse(target) if target.strip() else None
    if address and address.scheme in addresses.SFTP:
        return {**{name: settings[name] for name in SSH}, **write_options}
    try:
        of_driver = json.loads(settings["driver_options"] or "{}")
    except ValueError:
        of_driver = None
    if not isinstance(of_driver, dict):
        raise DeliveryError('CONNECT_DELIVERY_OPTIONS is no JSON object: write {"name": "value"}.')
    return of_driver if address and address.scheme else write_options


def probe(target: str, options: Mapping[str, Any], name: str = "oneroster.zip") -> Iterator[str]:
    """Try with a tiny file what a delivery needs, and yield a sentence for each step that works.

    The file is removed again, and a delivered package is not touched.

    Raises:
        DeliveryError: A step does not work.
    """
    to = receiver(target, options, name)
    try:
        with to:
            yield f"{to.shown} can be reached."
            yield from to.probe()
    except Interrupted as error:
        raise DeliveryError(f"{to.shown} could not be used ({error}): check the target, or try again later.") from error


def receiver(target: str, options: Mapping[str, Any], name: str) -> Receiver:
    """Return the receiver for a target, without connecting.

    A target that ends in `.zip` is a file; every other target is a folder, in which the file gets the name `name`.
    """
    options = {key: value for key, value in options.items() if value is not None and value != ""}
    write_options = WriteOptions(options.pop("rename", True), str(options.pop("temporary_suffix", "")))
    address = addresses.parse(target)
    if address.scheme in addresses.SFTP:
        return _sftp(address, write_options, options, name)
    if not address.scheme:
        local = Path(address.path)
        return Folder(local if address.names_file and not os.path.isdir(local) else local / name, write_options)  # noqa: PTH112 - see addresses.py
    path = address.path if address.names_file else f"{address.path.rstrip('/')}/{name}"
    return ObjectStore(address.scheme, path, redacted(f"{address.scheme}://{path}"), options)


def _sftp(address: Address, write_options: WriteOptions, options: Mapping[str, Any], name: str) -> Receiver:
    from coursera_connect.deliver import sftp, ssh  # noqa: PLC0415 - its libraries take longer to load than all others together

    host, user, path = address.host, address.user, address.path
    if strange := sorted(set(options) - set(SSH)):
        raise DeliveryError(f"SFTP has no option {', '.join(strange)}: there are {', '.join(SSH)}.")
    if not address.names_file:
        path = f"{path.rstrip('/')}/{name}" if path else f"/~/{name}"
    port = f":{address.port}" if address.port else ""
    shown = redacted(f"sftp://{user}@{f'[{host}]' if ':' in host else host}{port}{path}")
    server = ssh.Server(host, address.port, user, address.password)
    return sftp.Sftp(server, path.removeprefix("/~/"), shown, options, write_options)


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
