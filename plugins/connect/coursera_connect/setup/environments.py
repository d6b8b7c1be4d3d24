"""Creates the folder of an environment: settings, mapping files and secrets, readable only by its owner."""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING

from coursera_connect import command_text
from coursera_connect.errors import OutputError, RefusedError, UsageError
from coursera_connect.meltano import project_files
from coursera_connect.setup import mapping

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_OUTPUT = "      CONNECT_OUTPUT: "
_POSTGRES = """\
      CONNECT_WAREHOUSE: postgres # the database that PGHOST, PGUSER, PGPASSWORD and PGDATABASE name in secrets.env
      TAP_COURSERA_BATCH_CONFIG: "{}" # target-postgres does not date the rows that come by file
"""
_SECRETS = """\
# Secrets of the environment {name}, and what else it wants to have as a variable. Only its own commands read them.
TAP_COURSERA_CLIENT_ID=
TAP_COURSERA_CLIENT_SECRET=
TAP_COURSERA_ORG_ID=
"""
_DATABASE = """\
PGHOST=
PGUSER=
PGPASSWORD=
PGDATABASE=
"""


def add(project: Path, name: str, *, postgres: bool = False) -> Path:
    """Create the folder of a new environment, and return its path.

    Raises:
        UsageError: An environment cannot have that name.
        RefusedError: There is an environment of that name.
        OutputError: The folder cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name} is no name for an environment: use up to 40 of a-z, 0-9, - and _, as north-campus.")
    place = project_files.folder(project, name)
    if name in project_files.environments(project):
        raise RefusedError(
            f"There is an environment {name} already; see {command_text.printed('connect settings', name)}"
        )
    try:
        private(place)
        make_mapping(project, name)
        write(place / project_files.SETTINGS, settings(name, postgres=postgres))
        if name != project_files.PROD:  # whose secrets are in the root .env
            secrets = place / project_files.SECRETS
            if not secrets.exists():
                write(secrets, _SECRETS.format(name=name) + (_DATABASE if postgres else ""))
    except OSError as error:
        raise OutputError(f"{place} cannot be written ({error.strerror}): check who may write there.") from error
    return place


def settings(name: str, *, postgres: bool = False) -> str:
    """Return the text of a new settings.yml, which chooses nothing but the place of the tables."""
    text = (resources.files("coursera_connect") / "environments" / project_files.SETTINGS).read_text("utf-8")
    lines = text.replace("{environment}", name).splitlines(keepends=True)
    at = next(index for index, line in enumerate(lines) if line.startswith(_OUTPUT)) + 1
    return "".join([*lines[:at], _POSTGRES if postgres else "", *lines[at:]])


def make_mapping(project: Path, name: str) -> None:
    """Create missing mapping files with their headers."""
    place = project_files.folder(project, name) / project_files.MAPPING
    missing = [file for file in mapping.FILES if not (place / file).exists()]
    if missing:
        private(place.parent)
        private(place)
        for file in missing:
            write(place / file, ",".join(mapping.columns(file.removesuffix(".csv"))) + "\n")


def private(place: Path) -> None:
    """Create a folder that only its owner may read."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.mkdir(mode=0o700, exist_ok=True)


def write(file: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    file.touch(mode=0o600)
    file.write_text(text, "utf-8")
