"""Endpoints of the skills service: other envelope, other errors, seconds in, milliseconds out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from coursera_sandbox.paging import Call

ROUTES: dict[str, Callable[[Call], dict[str, Any]]] = {}
