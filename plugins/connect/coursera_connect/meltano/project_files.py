"""The files of the Meltano project: meltano.yml, and a folder `environments/<name>` for each environment.

A process of Meltano reads the env file of one environment alone: Meltano by itself would read the root `.env` for every
environment. The modules `project_files`, `setting_values` and `processes` import nothing but the standard library where
they are loaded, since the launcher of `connect` and `meltano` needs them before anything else.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from coursera_connect.command_text import ENVIRONMENT
from coursera_connect.errors import UsageError

PROJECT = "MELTANO_PROJECT_ROOT"

RUN = "MELTANO_PARENT_CONTEXT_UUID"
"""The variable with the id of a run, which Meltano sets for its steps."""

PORT = "COURSERA_SANDBOX_PORT"

SHELL = "CONNECT_SHELL"
"""The variable in which the launchers list the variables of the shell, separated by commas."""

FOLDER_OF_MELTANO = "MELTANO_SYS_DIR_ROOT"

PARTS = ("tap-coursera", "target-warehouse", "dbt", "connect", "coursera-sandbox")
"""The plugins with settings."""

SANDBOX, PROD = "sandbox", "prod"

FOLDER = "environments"

SETTINGS, SECRETS, MAPPING = "settings.yml", "secrets.env", "mapping"


def folder(project: Path, environment: str) -> Path:
    """Return the folder of an environment with its settings, mapping files and secrets."""
    return project / FOLDER / environment


def env_file(project: Path, environment: str) -> Path:
    """Return the path of the env file of an environment; the file may be missing.

    The root `.env` belongs to prod if prod has no file of its own, and to no other environment.
    """
    own = folder(project, environment) / SECRETS
    return project / ".env" if environment == PROD and not own.exists() else own


def project_of_now() -> Path | None:
    """Return the project of this process; None outside a project."""
    return Path(os.environ[PROJECT]) if os.environ.get(PROJECT) else None


def environment_meant(project: Path) -> str:
    """Return the environment to use if none is named: that of the shell, else of the root `.env`, else the sandbox."""
    return os.environ.get(ENVIRONMENT) or env_values(project / ".env").get(ENVIRONMENT) or SANDBOX


def environments(project: Path) -> list[str]:
    """Return the names of the existing environments."""
    own = {file.parent.name for file in (project / FOLDER).glob(f"*/{SETTINGS}")}
    return sorted(own | {SANDBOX})


def require_environment(project: Path, environment: str) -> None:
    """Raise UsageError if there is no such environment."""
    known = environments(project)
    if environment not in known:
        raise UsageError(
            f"There is no environment {environment} in {project / FOLDER}; there are {', '.join(known)}. "
            f"To make it: connect environment add {environment}"
        )


def env_values(file: Path) -> dict[str, str]:
    """Return the values of an env file without blank ones; none if there is no file."""
    from dotenv import dotenv_values  # noqa: PLC0415 - in the environments of Meltano and of connect

    return {name: value for name, value in dotenv_values(file).items() if value}


def variables_of(file: Path) -> set[str]:
    """Return the variables that an env file has a line for, also without a value: Meltano takes them for set."""
    from dotenv import dotenv_values  # noqa: PLC0415 - as above

    return set(dotenv_values(file))


def load(file: Path) -> Any:
    """Return the content of a YAML file.

    Raises:
        UsageError: The file cannot be read, or is not YAML.
    """
    import yaml  # noqa: PLC0415 - in the environments of Meltano and of connect

    try:
        return yaml.load(file.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}," if mark else ""
        raise UsageError(f"{file}{place} cannot be read ({type(error).__name__}): correct it.") from error


def page(project: Path) -> dict[str, Any]:
    """Return the content of meltano.yml; nothing if there is none."""
    file = project / "meltano.yml"
    found: dict[str, Any] = (load(file) if file.exists() else None) or {}
    return found


def defined(project: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the settings that meltano.yml defines, by plugin and name, in its order; those inherited included."""
    plugins = page(project).get("plugins") or {}
    entries = {one["name"]: one for kind in plugins.values() for one in kind or []}
    return {
        name: {one["name"]: one for one in (entries.get(entry.get("inherit_from"), entry).get("settings") or [])}
        for name, entry in entries.items()
    }


def configured(content: Any, environment: str) -> dict[str, dict[str, Any]]:
    """Return the settings in a settings.yml by plugin and name."""
    entries = (content or {}).get("environments") or []
    entry: dict[str, Any] = next((one for one in entries if one.get("name") == environment), {})
    plugins = ((entry.get("config") or {}).get("plugins") or {}).values()
    return {str(one["name"]): one.get("config") or {} for kind in plugins for one in kind or []}


def variable(setting: dict[str, Any], plugin: str) -> str:
    """Return the environment variable of a setting."""
    aliases = setting.get("env_aliases") or [f"{plugin}_{setting['name']}".upper().replace("-", "_").replace(".", "_")]
    return str(aliases[0])
