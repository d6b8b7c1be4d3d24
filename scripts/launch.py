"""The commands `connect` and `meltano` in this project's .venv, which use the env file of the right environment.

Meltano without them reads the root `.env` for every environment, and `env` of meltano.yml outranks the shell. `make
setup` writes both commands into .venv/bin with `python scripts/launch.py install`.
"""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

HOME = Path(__file__).resolve().parents[1]
sys.path.append(str(HOME / "plugins" / "connect"))

from coursera_connect import private_files  # noqa: E402 - found by the line above
from coursera_connect.errors import ConnectError  # noqa: E402
from coursera_connect.meltano import processes, project_files, setting_values  # noqa: E402

COMMANDS = ("connect", "meltano")
_WITH_SETTINGS = {"config", "el", "invoke", "run", "schedule"}
"""The commands of Meltano that read settings, and end with a traceback if a value is impossible."""
_WITH_VALUE = {"log-level", "log-format", "log-config", "environment", "cwd", "env-file"}
LAUNCHER = """#!{python}
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import launch

launch.{command}(sys.argv[1:])
"""


def install() -> None:
    """Write both commands into the folder of this Python."""
    for command in COMMANDS:
        file = Path(sys.executable).with_name(command)
        text = LAUNCHER.format(python=sys.executable, command=command)
        if not file.exists() or file.read_text() != text:
            file.unlink(missing_ok=True)
            file.write_text(text)
            file.chmod(0o755)


def connect(words: list[str]) -> None:
    """Run `connect` of this project from any folder, with the variables that Meltano would give it.

    Meltano itself would turn the standard error of `connect` into log lines, and takes seconds to start.
    """
    private_files.keep()
    options, rest = _group_options(words, {"environment"})
    executable = HOME / ".meltano" / "utilities" / "connect" / "venv" / "bin" / "connect"
    try:
        environment = options.get("environment") or project_files.environment_meant(HOME)
        project_files.require_environment(HOME, environment)
        variables = processes.all_variables(HOME, environment)
    except ConnectError as error:
        sys.exit(f"Error: {error}")
    if not executable.exists():
        sys.exit(f"Error: connect is not installed in {HOME}: run `make setup` there.")
    os.execve(executable, ["connect", *rest], variables)  # noqa: S606 - our own, without a shell


def meltano(words: list[str]) -> None:
    """Run `meltano`; in a project of this kind with the env file of its environment."""
    private_files.keep()
    options, rest = _group_options(words, _WITH_VALUE)
    root, environment = _project(options.get("cwd")), ""
    if root and "no-environment" not in options:
        environment = options.get("environment") or project_files.environment_meant(root)
        if "env-file" not in options:
            words = [f"--env-file={project_files.env_file(root, environment)}", f"--environment={environment}", *words]
        try:
            if _WITH_SETTINGS & set(rest[:1]):
                setting_values.refuse_impossible(root, environment)
            variables = processes.variables(root, environment)
        except ConnectError as error:
            sys.exit(f"Error: {error}")
        os.environ.clear()
        os.environ.update(variables)
    _meltano(words, environment)


def _meltano(words: list[str], environment: str) -> None:
    """Start Meltano so that two of its processes do not disturb each other."""
    from meltano.cli import main  # noqa: PLC0415 - takes a second
    from meltano.core.meltano_file import MeltanoFile  # noqa: PLC0415
    from meltano.core.migration_service import MigrationService  # noqa: PLC0415
    from meltano.core.project_dirs_service import ProjectDirsService  # noqa: PLC0415

    parse, port = MeltanoFile.parse, os.environ.get(project_files.PORT)
    run, upgrade = ProjectDirsService.run, MigrationService.upgrade

    def parsed(content: dict[str, Any]) -> MeltanoFile:
        """Apply the sandbox's port of the shell, which `env` of meltano.yml would outrank."""
        env = content.get("env") or {}
        told = {**content, "env": {**env, project_files.PORT: port}} if port and project_files.PORT in env else content
        found: MeltanoFile = parse(told)
        return found

    def folder(dirs: ProjectDirsService, *names: str | os.PathLike[str], make_dirs: bool = True) -> Path:
        """Return a folder per environment for the files of a running step; Meltano has one for all environments."""
        of_step = ("environments", environment, *names) if environment and names else names
        found: Path = run(dirs, *of_step, make_dirs=make_dirs)
        return found

    def upgraded(service: MigrationService, *, silent: bool = False) -> None:
        """Create the tables of Meltano's database under a lock: of two processes at once, one would fail."""
        place = service.engine.url.database or ""
        if service.engine.dialect.name != "sqlite" or not Path(place).parent.is_dir():
            return upgrade(service, silent=silent)
        with Path(f"{place}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return upgrade(service, silent=silent)

    sys.argv = [sys.argv[0], *words]
    with (
        patch.object(MeltanoFile, "parse", parsed),
        patch.object(ProjectDirsService, "run", folder),
        patch.object(MigrationService, "upgrade", upgraded),
    ):
        main()


def _group_options(words: list[str], with_value: set[str]) -> tuple[dict[str, str], list[str]]:
    """Return the options before the first command, and the words from that command on."""
    found: dict[str, str] = {}
    rest = list(words)
    while rest and rest[0].startswith("--"):
        written, equals, value = rest[0][2:].partition("=")
        name = written.replace("_", "-")
        if name not in with_value and with_value == {"environment"}:
            break
        rest.pop(0)
        if name in with_value and not equals and rest:
            value = rest.pop(0)
        found[name] = value
    return found, rest


def _project(cwd: str | None) -> Path | None:
    """Return the project that Meltano would find, if it has these launchers."""
    start = Path(os.environ.get(project_files.PROJECT) or cwd or Path.cwd()).resolve()
    found = next((folder for folder in (start, *start.parents) if (folder / "meltano.yml").exists()), None)
    return found if found and (found / "scripts" / "launch.py").exists() else None


if __name__ == "__main__" and sys.argv[1:] == ["install"]:
    install()
