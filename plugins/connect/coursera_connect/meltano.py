"""The Meltano project around a command: how a process of an environment is started, and what an operator types.

An environment is a folder `environments/<name>` of the project, and a process of Meltano reads the env file of one
environment alone: Meltano by itself would read the root `.env` for every environment. This module imports nothing but
the standard library where it is loaded, since the launcher of `connect` and `meltano` needs it before anything else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from coursera_connect.errors import UsageError

PROJECT = "MELTANO_PROJECT_ROOT"
ENVIRONMENT = "MELTANO_ENVIRONMENT"
RUN = "MELTANO_PARENT_CONTEXT_UUID"
"""What Meltano sets for its steps, another in each run."""
ENV_FILE = "CONNECT_ENV_FILE"
"""Names the env file that this process of Meltano was started with; missing where somebody called Meltano itself."""
SANDBOX, PROD = "sandbox", "prod"
FOLDER = "environments"
SETTINGS, SECRETS, MAPPING = "settings.yml", "secrets.env", "mapping"


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


def environment_of_now() -> str | None:
    """Return the environment that this process runs in; None outside of Meltano."""
    return os.environ.get(ENVIRONMENT) or None


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
    """Return the variables of a process that `arguments` starts."""
    return {
        **os.environ,
        PROJECT: str(project),
        ENVIRONMENT: environment,
        ENV_FILE: str(env_file(project, environment)),
    }


def printed(words: str, environment: str | None = None) -> str:
    """Return what an operator types for `connect WORDS` or `meltano WORDS`, with its environment.

    Args:
        words: The command, program first: `connect schools list`, `meltano run grade-sync`.
        environment: The environment; that of now where none is given, and none outside of Meltano.
    """
    name = environment or environment_of_now()
    program, _, rest = words.partition(" ")
    return f"{program} --environment={name} {rest}" if name else words


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
    return found
