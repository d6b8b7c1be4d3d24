"""The Meltano project around a command: how a process of an environment is started, and what an operator types.

An environment is a folder `environments/<name>` of the project, and a process of Meltano reads the env file of one
environment alone: Meltano by itself would read the root `.env` for every environment. This module imports nothing but
the standard library where it is loaded, since the launcher of `connect` and `meltano` needs it before anything else.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from coursera_connect.errors import RefusedError, UsageError
from coursera_connect.typed import ENVIRONMENT, carried, environment_of_now, printed

__all__ = ["ENVIRONMENT", "carried", "environment_of_now", "printed"]  # of the module that errors can import

PROJECT = "MELTANO_PROJECT_ROOT"
RUN = "MELTANO_PARENT_CONTEXT_UUID"
"""What Meltano sets for its steps, another in each run."""
PORT = "COURSERA_SANDBOX_PORT"
SANDBOX, PROD = "sandbox", "prod"
FOLDER = "environments"
SETTINGS, SECRETS, MAPPING = "settings.yml", "secrets.env", "mapping"
OURS = ("TAP_", "TARGET_", "DBT_", "CONNECT_", "COURSERA_", "PG", "MELTANO_")
"""What names of settings begin with; everything else in an env file is for tools, such as a proxy."""
_OF_THE_SANDBOX = re.compile(
    "TAP_COURSERA_(CLIENT_ID|CLIENT_SECRET|ORG_ID|API_URL|AUTH_URL)|CONNECT_WAREHOUSE|PG[A-Z]+"
)
"""What meltano.yml and the options of connect settle for the sandbox, whoever calls Meltano."""


def folder(project: Path, environment: str) -> Path:
    """Return the folder that holds an environment's choices: settings, mapping files and secrets."""
    return project / FOLDER / environment


def env_file(project: Path, environment: str) -> Path:
    """Return the env file of an environment; it need not be there.

    The root `.env` is prod's where prod has no file of its own, and nobody else's.
    """
    own = folder(project, environment) / SECRETS
    return project / ".env" if environment == PROD and not own.exists() else own


def project_of_now() -> Path | None:
    """Return the project that this process runs in; None outside of one."""
    return Path(os.environ[PROJECT]) if os.environ.get(PROJECT) else None


def arguments(project: Path, environment: str, *words: str, meltano: Path | None = None) -> list[str]:
    """Return the complete command line of `meltano WORDS` in an environment; see `variables` for its process.

    Args:
        project: The project's folder.
        environment: The environment.
        words: What follows `meltano`.
        meltano: Meltano's executable, where it is not to be looked for.

    Raises:
        UsageError: where the project has no Meltano.
    """
    found = meltano or executable(project)
    if found is None:
        raise UsageError(f"Meltano is not found for {project}: run `make setup` in that folder.")
    return [str(found), f"--env-file={env_file(project, environment)}", f"--environment={environment}", *words]


def variables(project: Path, environment: str) -> dict[str, str]:
    """Return the variables of a process that `arguments` starts.

    What the sandbox's folder chooses is among them, unless the shell says otherwise: meltano.yml defines the sandbox,
    for whoever has no folder yet, and Meltano knows one definition of an environment.
    """
    choices = chosen(project, environment) if environment == SANDBOX else {}
    return {
        **choices,
        **os.environ,
        PROJECT: str(project),
        ENVIRONMENT: environment,
    }


def environment_meant(project: Path) -> str:
    """Return the environment where none is named: that of the shell, else of the root `.env`, else the sandbox."""
    return os.environ.get(ENVIRONMENT) or env_values(project / ".env").get(ENVIRONMENT) or SANDBOX


def environments(project: Path) -> list[str]:
    """Return the names of the environments that there are."""
    own = {file.parent.name for file in (project / FOLDER).glob(f"*/{SETTINGS}")}
    return sorted(own | {SANDBOX})


def require_environment(project: Path, environment: str) -> None:
    """Raise UsageError where there is no such environment."""
    known = environments(project)
    if environment not in known:
        raise UsageError(
            f"There is no environment {environment} in {project / FOLDER}; there are {', '.join(known)}. "
            f"To make it: connect environment add {environment}"
        )


def env_values(file: Path) -> dict[str, str]:
    """Return what an env file says, blank values left out; nothing where there is no file."""
    from dotenv import dotenv_values  # noqa: PLC0415 - in the environments of Meltano and of connect

    return {name: value for name, value in dotenv_values(file).items() if value}


def blanks(file: Path) -> set[str]:
    """Return the variables that an env file has a line for, and no value: Meltano takes them for set."""
    from dotenv import dotenv_values  # noqa: PLC0415 - as above

    return {name for name, value in dotenv_values(file).items() if not value}


def refuse_foreign_env_file() -> None:
    """Raise RefusedError where Meltano was called by itself, and has read a root `.env` of another environment.

    Its credentials and receivers count nowhere in the sandbox, so those may stay.
    """
    project, environment = project_of_now(), environment_of_now()
    if project is None or environment is None or env_file(project, environment) == project / ".env":
        return
    own = env_values(env_file(project, environment))
    told = env_values(project / ".env")
    read = [
        name
        for name, value in sorted(told.items())
        if name.startswith(OURS)
        and name != ENVIRONMENT
        and os.environ.get(name) == value != own.get(name)
        and not (environment == SANDBOX and _OF_THE_SANDBOX.fullmatch(name))
    ]
    if read:
        raise RefusedError(
            f"Meltano has read {project / '.env'}, which is not for the environment {environment}: {', '.join(read)}. "
            f"Start it with `. .venv/bin/activate`, whose `meltano` and `connect` see to that, or with "
            f"meltano --env-file={env_file(project, environment)} --environment={environment}"
        )


def executable(project: Path) -> Path | None:
    """Return Meltano's executable: as the project remembers it (it is what runs the jobs), or on the path."""
    link = project / ".meltano" / "run" / "bin"
    if link.is_symlink() and link.exists():
        return link.readlink()
    return Path(name) if (name := shutil.which("meltano")) else None


def started(*words: str, **more: str) -> subprocess.CompletedProcess[str] | None:
    """Run Meltano in the project and environment of now; None where there is no project, or no Meltano."""
    project, environment = project_of_now(), environment_of_now()
    if project is None or environment is None or executable(project) is None:
        return None
    return subprocess.run(  # noqa: S603 - the project's own
        arguments(project, environment, "--log-level=error", *words),
        cwd=project,
        env={**variables(project, environment), **more, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def settings(plugin: str) -> dict[str, Any]:
    """Return the settings of a plugin by name, as Meltano would pass them; none outside of a project.

    Raises:
        UsageError: Meltano cannot tell.
    """
    done = started("config", "--unsafe", "print", plugin, "--format=json")
    if done is None:
        return {}
    try:
        found = json.loads(done.stdout)
    except ValueError:
        found = None
    if done.returncode or not isinstance(found, dict):
        see = printed(f"meltano config print {plugin}")
        raise UsageError(f"Meltano cannot tell the settings of {plugin}: see {see}.")
    return found | _by_own_variables(plugin)


def _by_own_variables(plugin: str) -> dict[str, str]:
    """Return the settings that the process finds in a variable of their own (`env` in meltano.yml).

    Meltano passes such a variable on, and yet does not count it when it tells the setting.
    """
    project, environment = project_of_now(), environment_of_now()
    if project is None or environment is None:
        return {}
    told = {**env_values(env_file(project, environment)), **variables(project, environment)}
    own = {name: setting.get("env") for name, setting in defined(project).get(plugin, {}).items()}
    return {name: told[variable] for name, variable in own.items() if variable and told.get(variable)}


def chosen(project: Path, environment: str) -> dict[str, str]:
    """Return the choices in the folder of an environment by their variable, as Meltano would pass them on."""
    found: dict[str, str] = {}
    file = folder(project, environment) / SETTINGS
    if file.exists():
        plugins = defined(project)
        for plugin, config in configured(load(file), environment).items():
            for name, value in config.items():
                text = value if isinstance(value, str) else json.dumps(value)
                found[variable(plugins.get(plugin, {}).get(name, {"name": name}), plugin)] = text
    return found


def configured(content: Any, environment: str) -> dict[str, dict[str, Any]]:
    """Return the settings in a settings.yml by plugin and name."""
    entries = (content or {}).get("environments") or []
    entry: dict[str, Any] = next((one for one in entries if one.get("name") == environment), {})
    plugins = ((entry.get("config") or {}).get("plugins") or {}).values()
    return {str(one["name"]): one.get("config") or {} for kind in plugins for one in kind or []}


def defined(project: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the settings that meltano.yml defines, by plugin and name, in its order; those inherited included."""
    plugins = (load(project / "meltano.yml") or {}).get("plugins") or {}
    entries = {one["name"]: one for kind in plugins.values() for one in kind or []}
    return {
        name: {one["name"]: one for one in (entries.get(entry.get("inherit_from"), entry).get("settings") or [])}
        for name, entry in entries.items()
    }


def variable(setting: dict[str, Any], plugin: str) -> str:
    """Return the environment variable of a setting."""
    return str(setting.get("env") or f"{plugin}_{setting['name']}".upper().replace("-", "_").replace(".", "_"))


def load(file: Path) -> Any:
    """Return what a YAML file says.

    Raises:
        UsageError: it cannot be read, or is no YAML.
    """
    import yaml  # noqa: PLC0415 - in the environments of Meltano and of connect

    try:
        return yaml.load(file.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{file} cannot be read ({type(error).__name__}): correct it.") from error
