"""Delivers the package of the last publish again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coursera_connect import replacing as packages
from coursera_connect.deliver import delivery
from coursera_connect.errors import DeliveryError
from oneroster_csv.package import is_written_here

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from coursera_connect.deliver.delivery import Delivered


def deliver(  # noqa: PLR0913 - what to bring, where, and how patiently
    package: Path,
    target: str,
    options: Mapping[str, Any],
    *,
    attempts: int,
    wait: float,
    step: Callable[[str, int], None],
) -> Delivered:
    """Deliver a package that a publish has written; `wait` is in seconds, for the rest see `delivery.deliver`.

    Raises:
        DeliveryError: There is no package, the file is not a package of connect, or it could not be delivered.
        OutputError: A publish of the package is running.
    """
    if not package.is_file():
        raise DeliveryError(f"There is no package {package}: run `connect publish` first, or set CONNECT_PACKAGE.")
    if not is_written_here(package):
        raise DeliveryError(
            f"{package} is no package of connect, so it is not delivered: set CONNECT_PACKAGE to the one."
        )
    with packages.locked(package, wait):
        return delivery.deliver(package, target, options, attempts=attempts, step=step)
