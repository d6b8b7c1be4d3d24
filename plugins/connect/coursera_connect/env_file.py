"""Writes settings into an env file: other lines stay as they are, and nobody else can read the file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import dotenv

from coursera_connect.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write(file: Path, values: Mapping[str, str]) -> None:
    """Set variables of an env file; a blank value removes the line of its variable.

    Raises:
        OutputError: The file cannot be written, or Meltano would read another value. The file stays as it was.
    """
    target = file.resolve()
    partial = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
            copy.write(target.read_bytes() if target.exists() else b"")
        try:
            for name, value in values.items():
                if value:
                    dotenv.set_key(partial, name, value)
                elif name in dotenv.dotenv_values(partial, interpolate=False):
                    dotenv.unset_key(partial, name)
            found = dotenv.dotenv_values(partial)
            if wrong := [name for name, value in values.items() if (found.get(name) or "") != value]:
                raise OutputError(f"{', '.join(wrong)} cannot be written as it is into {file}: write it there by hand.")
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot write {file} ({error.strerror}): check who may write there.") from error
