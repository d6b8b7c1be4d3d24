"""Finds mapping files and settings that changed after the last build, so that its tables do not follow them yet."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import yaml

from coursera_connect import command_text
from coursera_connect.errors import DatabaseError, UsageError
from coursera_connect.meltano import processes, project_files
from coursera_connect.setup import attributes, mapping
from coursera_connect.text import listed
from oneroster_csv.sql import quoted

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_connect.setup.mapping import Content
    from coursera_connect.warehouse.build import Build
    from coursera_connect.warehouse.warehouse import Warehouse

SCHEMA = "mapping"
"""The schema with the rows of the mapping files."""
_SHORT = (str, int, float, bool)


def changed(database: Warehouse, build: Build, folder: Path | None, transform: Path | None) -> list[str]:
    """Return what changed since a build: mapping files by name, and settings by name with the old and new value.

    Without the folder of mapping files, or without the dbt project, their changes are not known.
    """
    files = [
        file
        for file in (mapping.FILES if folder else ())
        if folder and is_changed(database, mapping.sound(folder, file.removesuffix(".csv")))
    ]
    return files + (_settings(build, transform) if transform else [])


def refuse(database: Warehouse, build: Build, folder: Path | None, transform: Path | None) -> None:
    """Raise DatabaseError if something changed since a build; the sentence says what."""
    if found := changed(database, build, folder, transform):
        raise DatabaseError(
            f"Changed since the last dbt:build, so that the tables do not follow it yet: {listed(found)}. "
            f"Run {command_text.printed('meltano run dbt:build')}"
        )


def is_changed(database: Warehouse, content: Content) -> bool:
    """Return whether a mapping file has other rows than the warehouse."""
    name, columns = content.path.stem, mapping.columns(content.path.stem)
    made: set[tuple[str, ...]] = set()
    if set(columns) <= set(database.columns(SCHEMA).get(name, ())):
        listed = ", ".join(map(quoted, columns))
        made = {_plain(row) for row in database.rows(f"select {listed} from {SCHEMA}.{quoted(name)}")}  # noqa: S608
    return {_plain(line.cells[column] for column in columns) for line in content.lines} != made


def _plain(cells: Any) -> tuple[str, ...]:
    """Return a row without white space that dbt removes."""
    return tuple(" ".join(str(cell or "").split()) for cell in cells)


def _settings(build: Build, transform: Path) -> list[str]:
    now = _variables(transform / attributes.FILE) | _chosen(build)
    if "attribute_mapping" in build.settings:
        now["attribute_mapping"] = attributes.data(transform)
    found = []
    for name, was in build.settings.items():
        if name not in now:
            continue  # of an earlier release, and nobody can have changed it since
        if _comparable(was) == _comparable(now[name]):
            continue
        short = isinstance(was, _SHORT) and isinstance(now[name], _SHORT)
        found.append(f"{name} (was {was}, is {now[name]})" if short else name)
    return found


def _comparable(value: Any) -> str:
    """Return a value for comparison: the number 50 in dbt_project.yml is the text 50 in a variable of Meltano."""
    if isinstance(value, _SHORT):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return json.dumps(value, sort_keys=True, default=str)


def _chosen(build: Build) -> dict[str, Any]:
    """Return the settings that Meltano passes to dbt, which outrank the vars."""
    if build.meltano_run and build.meltano_run == os.environ.get(project_files.RUN):
        return dict(build.settings)  # of a step of the run that this one is a step of
    return {
        name: value
        for name, value in processes.plugin_settings("dbt").items()
        if name in build.settings and value is not None and value != ""
    }


def _variables(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read ({type(error).__name__}): check CONNECT_TRANSFORM.") from error
    variables = found.get("vars") if isinstance(found, dict) else None
    variables = variables if isinstance(variables, dict) else {}
    own = variables.get(str(found.get("name")))  # vars of this project alone outrank those of all
    return variables | own if isinstance(own, dict) else variables
