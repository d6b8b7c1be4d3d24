"""How a process of an environment is started, and which environment variables it gets."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from coursera_connect.command_text import ENVIRONMENT, environment_of_now, printed
from coursera_connect.errors import RefusedError, UsageError
from coursera_connect.meltano.project_files import (
    FOLDER,
    FOLDER_OF_MELTANO,
    PORT,
    PROJECT,
    RUN,
    SANDBOX,
    SHELL,
    env_file,
    env_values,
    project_of_now,
)
from coursera_connect.meltano.setting_values import env_file_values, from_shell, values

OURS = ("TAP_", "TARGET_", "DBT_", "CONNECT_", "COURSERA_", "PG", "MELTANO_")
"""The prefixes of settings; other variables in an env file are for tools, such as a proxy."""

_OF_THE_SANDBOX = re.compile(
    "TAP_COURSERA_(CLIENT_ID|CLIENT_SECRET|ORG_ID|API_URL|AUTH_URL)|CONNECT_WAREHOUSE|PG[A-Z]+"
)
"""The variables that meltano.yml and the options of connect fix for the sandbox, however Meltano is started."""


def arguments(project: Path, environment: str, *words: str, meltano: Path | None = None) -> list[str]:
    """Return the complete command line of `meltano WORDS` in an environment; see `variables` for its process.

    Args:
        project: The project's folder.
        environment: The environment.
        words: The words after `meltano`.
        meltano: The path of Meltano, unless it should be searched.

    Raises:
        UsageError: The project has no Meltano.
    """
    found = meltano or executable(project)
    if found is None:
        raise UsageError(f"Meltano is not found for {project}: run `make setup` in that folder.")
    return [str(found), f"--env-file={env_file(project, environment)}", f"--environment={environment}", *words]


def variables(project: Path, environment: str) -> dict[str, str]:
    """Return the environment variables of a process that `arguments` starts.

    They include only the settings of the shell, since Meltano reads all others by itself. The settings in the sandbox's
    folder are an exception: meltano.yml defines the environment `sandbox`, and Meltano accepts one definition of an
    environment.
    """
    found = values(project, environment)
    shell = from_shell(found)
    own = {name: value for name, value in os.environ.items() if name not in found or name in shell}
    chosen = {name: one.value for name, one in found.items() if one.is_chosen or name == PORT}
    chosen = chosen if environment == SANDBOX else {}
    return {**own, **chosen, PROJECT: str(project), ENVIRONMENT: environment, SHELL: ",".join(shell)}


def all_variables(project: Path, environment: str) -> dict[str, str]:
    """Return the environment variables of a process with every setting, as Meltano would start it."""
    found = values(project, environment)
    of_file = {name: value for name, value in env_file_values(project, environment).items() if name != ENVIRONMENT}
    env = {FOLDER_OF_MELTANO: str(project / ".meltano"), **of_file, **os.environ}
    env.pop("PYTHONPATH", None)
    facts = {name: one.value for name, one in found.items() if one.origin}
    return {
        **env,
        **facts,
        PROJECT: str(project),
        ENVIRONMENT: environment,
        SHELL: ",".join(from_shell(found)),
    }


def executable(project: Path) -> Path | None:
    """Return the path of Meltano: the one that the project stores, that in .venv, or that on the path."""
    link, own = project / ".meltano" / "run" / "bin", project / ".venv" / "bin" / "meltano"
    if link.is_symlink() and link.exists():
        return link.readlink()
    if own.exists():
        return own
    return Path(name) if (name := shutil.which("meltano")) else None


def started(*words: str, **more: str) -> subprocess.CompletedProcess[str] | None:
    """Run Meltano in the present project and environment; return None without a project or without Meltano."""
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


def invoked(project: Path, environment: str, command: str) -> int:
    """Run a command of a plugin in the foreground, and return its exit code."""
    done = subprocess.run(  # noqa: S603 - the project's own
        arguments(project, environment, "--log-level=warning", "invoke", command),
        cwd=project,
        env=variables(project, environment),
        check=False,
    )
    return done.returncode


def plugin_settings(plugin: str) -> dict[str, Any]:
    """Return the settings of a plugin by name, as Meltano would pass them; none outside a project.

    Raises:
        UsageError: Meltano cannot read them.
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
    return found


def refuse_alone() -> None:
    """Raise RefusedError if Meltano was started without the launchers and therefore has wrong settings.

    Without the launchers Meltano reads the root `.env` for every environment, so credentials and receivers of another
    environment would apply. In the sandbox it ignores settings.yml and the port of the shell.
    """
    project, environment = project_of_now(), environment_of_now()
    if project is None or environment is None or SHELL in os.environ:
        return
    wrong = _read_by_mistake(project, environment)
    if wrong:
        raise RefusedError(
            f"Meltano has read {project / '.env'}, which is not for the environment {environment}: {', '.join(wrong)}. "
            f"Start it with `. .venv/bin/activate`, whose `meltano` and `connect` see to that, or with "
            f"meltano --env-file={env_file(project, environment)} --environment={environment}"
        )
    if environment == SANDBOX and (ignored := _ignored(project)):
        values = " ".join(f"{name}={shlex.quote(value)}" for name, value in ignored.items() if name != PORT)
        say = f" (or with these in the shell: {values})" if values else ""
        raise RefusedError(
            f"Meltano by itself does not follow {', '.join(ignored)}, which the shell or the folder "
            f"{FOLDER}/{SANDBOX} chooses for the sandbox: run `make setup` once in {project}, and start it with "
            f"`. .venv/bin/activate`, whose `meltano` and `connect` do{say}."
        )


def _read_by_mistake(project: Path, environment: str) -> list[str]:
    if env_file(project, environment) == project / ".env":
        return []
    own = env_values(env_file(project, environment))
    return [
        name
        for name, value in sorted(env_values(project / ".env").items())
        if name.startswith(OURS)
        and name != ENVIRONMENT
        and os.environ.get(name) == value != own.get(name)
        and not (environment == SANDBOX and _OF_THE_SANDBOX.fullmatch(name))
    ]


def _ignored(project: Path) -> dict[str, str]:
    """Return the settings of the sandbox's folder, and the port of the shell, that this step does not have."""
    if RUN not in os.environ:
        return {}
    found = {name: one.value for name, one in values(project, SANDBOX).items() if one.is_chosen}
    import psutil  # noqa: PLC0415 - in the environment of connect alone

    with suppress(psutil.Error):
        if port := psutil.Process(os.getppid()).environ().get(PORT):
            found[PORT] = port
    return {name: value for name, value in found.items() if os.environ.get(name) != value}
