"""Asks Meltano, as the launcher `meltano` starts it, with which variables it would start each part of a project.

    python -m tests.pipeline.meltanos_answer PROJECT '{"ENVIRONMENT": {"VARIABLE OF THE SHELL": "..."}}'

One process asks for all parts and environments, and prints {environment: {part: {variable: value}}}.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def asked(project: Path, environments: dict[str, dict[str, str]], env: dict[str, str]) -> dict[str, Any]:
    """Return Meltano's answer from a process of its own; `env` has the additional variables of that process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.pipeline.meltanos_answer", str(project), json.dumps(environments)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _variables(project: Path, environment: str) -> dict[str, dict[str, str]]:
    from meltano.core.plugin_invoker import invoker_factory  # noqa: PLC0415 - in the process that asks
    from meltano.core.project import Project  # noqa: PLC0415

    from coursera_connect.meltano import processes, project_files  # noqa: PLC0415

    of_shell = dict(os.environ)
    os.environ.update(processes.variables(project, environment))
    opened = Project(project, dotenv_file=project_files.env_file(project, environment))
    opened.activate_environment(environment)
    found = {}
    for part in project_files.PARTS:
        invoker = invoker_factory(opened, opened.plugins.find_plugin(part))
        invoker.plugin_config_env = invoker.settings_service.as_env(extras=False)
        found[part] = {name: str(value) for name, value in invoker.env().items()}
    os.environ.clear()
    os.environ.update(of_shell)
    return found


def _main(project: Path, environments: dict[str, dict[str, str]]) -> None:
    answer = {}
    for environment, of_shell in environments.items():
        os.environ.update(of_shell)
        answer[environment] = _variables(project, environment)
        for name in of_shell:
            del os.environ[name]
    sys.stdout.write(f"\n{json.dumps(answer)}\n")


if __name__ == "__main__":
    _main(Path(sys.argv[1]), json.loads(sys.argv[2]))
