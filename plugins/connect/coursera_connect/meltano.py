"""The Meltano project that a command runs in: what to type there, and what its settings are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from coursera_connect.errors import UsageError

PROJECT = "MELTANO_PROJECT_ROOT"
RUN = "MELTANO_PARENT_CONTEXT_UUID"
"""What Meltano sets for its steps, another in each run."""


def command(words: str) -> str:
    """Return what an operator types, in the environment of now."""
    environment = os.environ.get("MELTANO_ENVIRONMENT")
    return f"meltano --environment={environment} {words}" if environment else f"meltano {words}"


def executable(project: Path) -> Path | None:
    """Return Meltano's executable: as the project remembers it (it is what runs the jobs), or on the path."""
    link = project / ".meltano" / "run" / "bin"
    if link.is_symlink() and link.exists():
        return link.readlink()
    return Path(name) if (name := shutil.which("meltano")) else None


def started(*words: str, **variables: str) -> subprocess.CompletedProcess[str] | None:
    """Run Meltano in the project and environment of now; None where there is no project, or no Meltano."""
    project = Path(os.environ[PROJECT]) if os.environ.get(PROJECT) else None
    found = executable(project) if project else None
    if project is None or found is None:
        return None
    environment = os.environ.get("MELTANO_ENVIRONMENT")
    called = [str(found), "--log-level=error", *([f"--environment={environment}"] if environment else []), *words]
    return subprocess.run(  # noqa: S603 - the project's own
        called,
        cwd=project,
        env={**os.environ, **variables, "NO_COLOR": "1"},
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
    done = started("config", "print", plugin, "--format=json")
    if done is None:
        return {}
    try:
        found = json.loads(done.stdout)
    except ValueError:
        found = None
    if done.returncode or not isinstance(found, dict):
        raise UsageError(f"Meltano cannot tell the settings of {plugin}: see {command(f'config print {plugin}')}.")
    return found
