"""A private folder for rows that do not fit into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneroster_csv import scratch_folder as folders

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

PREFIX = "coursera-connect-"


def scratch_folder() -> AbstractContextManager[Path]:
    """Yield a folder that only this process uses, and remove it at the end; remove what a killed process left."""
    return folders.scratch_folder(PREFIX)
