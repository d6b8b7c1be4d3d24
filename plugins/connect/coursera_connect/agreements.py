"""What an administrator agrees may leave, told to the ledger, so that the guards of the next publish let it go."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def agree(database: Path, wait: float, kind: str, subject: str, detail: dict[str, Any]) -> None:
    """Record an agreement: kind `school` with the sourcedId of a school, or `grade_sync` with the new mode."""
    # Imported by name and late, since the ledger opens the warehouse to write.
    importlib.import_module("coursera_connect.ledger").agree(database, wait, kind, subject, detail)
