"""Finds choices in the places of earlier releases that the folder of the environment lacks.

Nothing reads those places any more. A job that ignored them would publish with an empty mapping, or would publish
somebody who had been excluded.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

import yaml

from coursera_connect import command_text
from coursera_connect.errors import RefusedError
from coursera_connect.meltano import project_files
from coursera_connect.setup import mapping
from coursera_connect.text import plural

if TYPE_CHECKING:
    from pathlib import Path

_SHIPPED = "dbt-vars.json"
_MOVE = "scripts/move_choices.py"
MOVE = f"python3 {_MOVE}"


def refuse(project: Path, environment: str) -> None:
    """Raise RefusedError if an old place holds choices that the folder of an environment lacks; name each place."""
    if left := [*_mapping(project, environment), *_vars(project, environment), *_meltano(project, environment)]:
        place = project_files.folder(project, environment).relative_to(project)
        raise RefusedError(
            f"The choices of {environment} are in the folder {place} since release 0.2, and this is still elsewhere: "
            f"{'; '.join(left)}. To move it there, type in {project}: {MOVE}"
        )


def refuse_now() -> None:
    """Call `refuse` for the environment of this process, if there is one."""
    project, environment = project_files.project_of_now(), command_text.environment_of_now()
    if project and environment and (project / _MOVE).exists():
        refuse(project, environment)


def shipped() -> dict[str, Any]:
    """Return the shipped defaults of the dbt settings."""
    text = (resources.files("coursera_connect") / "environments" / _SHIPPED).read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _mapping(project: Path, environment: str) -> list[str]:
    old, new = (
        project / "transform" / "mapping" / environment,
        project_files.folder(project, environment) / project_files.MAPPING,
    )
    found = []
    for file in mapping.FILES:
        if (old / file).exists():
            lacking = _rows(old / file) - _rows(new / file)
            if lacking:
                found.append(f"{plural(len(lacking), 'line')} of {(old / file).relative_to(project)}")
    return found


def _rows(file: Path) -> set[tuple[tuple[str, str], ...]]:
    if not file.exists():
        return set()
    lines = mapping.read(file.parent, file.stem).lines
    return {tuple(sorted(line.cells.items())) for line in lines}


def _vars(project: Path, environment: str) -> list[str]:
    file = project / "transform" / "dbt_project.yml"
    now = (_yaml(file).get("vars")) or {}
    chosen = _chosen(project, environment).get("dbt", {})
    return [
        f"the var {name} of transform/dbt_project.yml"
        for name, default in shipped().items()
        if now.get(name) != default and str(chosen.get(name)) != str(now.get(name))
    ]


def _meltano(project: Path, environment: str) -> list[str]:
    """Return what `meltano config set` wrote into meltano.yml."""
    content = _yaml(project / "meltano.yml")
    found = [
        f"the environment {environment} of meltano.yml"
        for entry in content.get("environments") or []
        if entry.get("name") == environment and (environment != project_files.SANDBOX or entry.get("config"))
    ]
    settings = project_files.defined(project)
    found += [
        f"{name} of {entry['name']} in meltano.yml"
        for plugins in (content.get("plugins") or {}).values()
        for entry in plugins
        if entry["name"] in _OURS
        for name in entry.get("config") or {}
        if name in settings[entry["name"]]
    ]
    return found


_OURS = {"tap-coursera", "tap-coursera-roster", "target-duckdb", "target-warehouse", "dbt", "connect"}


def _chosen(project: Path, environment: str) -> dict[str, dict[str, Any]]:
    file = project_files.folder(project, environment) / project_files.SETTINGS
    return project_files.configured(_yaml(file), environment) if file.exists() else {}


def _yaml(file: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}  # whoever needs the file says what is wrong with it
    return found if isinstance(found, dict) else {}
