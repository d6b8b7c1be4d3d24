"""Writes settings into an env file: other lines stay as they are, and nobody else can read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dotenv

from coursera_connect.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write(file: Path, values: Mapping[str, str]) -> None:
    """Set variables of an env file; a blank value takes its line away.

    Raises:
        OutputError: when it cannot be written, or would say something else to Meltano.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)
        for name, value in values.items():
            if value:
                dotenv.set_key(file, name, value)
            elif name in dotenv.dotenv_values(file, interpolate=False):
                dotenv.unset_key(file, name)
        found = dotenv.dotenv_values(file)
    except OSError as error:
        raise OutputError(f"Cannot write {file} ({error.strerror}): check who may write there.") from error
    if wrong := [name for name, value in values.items() if (found.get(name) or "") != value]:
        raise OutputError(f"{', '.join(wrong)} cannot be written as it is into {file}: write it there by hand.")
