"""The Meltano project: how a process of an environment is started, and which settings it has.

An environment is a folder `environments/<name>` of the project, and a process of Meltano reads the env file of one
environment alone: Meltano by itself would read the root `.env` for every environment. This module imports nothing but
the standard library where it is loaded, since the launcher of `connect` and `meltano` needs it before anything else.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coursera_connect import setting_types
from coursera_connect.command_text import ENVIRONMENT, carried, environment_of_now, printed
from coursera_connect.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["ENVIRONMENT", "carried", "environment_of_now", "printed"]  # of the module that errors can import

PROJECT = "MELTANO_PROJECT_ROOT"
RUN = "MELTANO_PARENT_CONTEXT_UUID"
"""The variable with the id of a run, which Meltano sets for its steps."""
PORT = "COURSERA_SANDBOX_PORT"
SHELL = "CONNECT_SHELL"
"""The variable in which the launchers list the variables of the shell, separated by commas."""
FOLDER_OF_MELTANO = "MELTANO_SYS_DIR_ROOT"
PARTS = ("tap-coursera", "target-warehouse", "dbt", "connect", "coursera-sandbox")
"""The plugins with settings."""
SETTLED = "meltano.yml"
"""The origin of a value that meltano.yml fixes for an environment."""
_SANDBOX_PLUGIN = "coursera-sandbox"
_FOLDERS = ("CONNECT_OUTPUT", PROJECT, "MELTANO_ENVIRONMENT")
SANDBOX, PROD = "sandbox", "prod"
FOLDER = "environments"
SETTINGS, SECRETS, MAPPING = "settings.yml", "secrets.env", "mapping"
OURS = ("TAP_", "TARGET_", "DBT_", "CONNECT_", "COURSERA_", "PG", "MELTANO_")
"""The prefixes of settings; other variables in an env file are for tools, such as a proxy."""
_OF_THE_SANDBOX = re.compile(
    "TAP_COURSERA_(CLIENT_ID|CLIENT_SECRET|ORG_ID|API_URL|AUTH_URL)|CONNECT_WAREHOUSE|PG[A-Z]+"
)
"""The variables that meltano.yml and the options of connect fix for the sandbox, however Meltano is started."""


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
    found = said(project, environment)
    shell = _names_of_shell(found)
    own = {name: value for name, value in os.environ.items() if name not in found or name in shell}
    chosen = {name: one.value for name, one in found.items() if one.is_chosen or name == PORT}
    chosen = chosen if environment == SANDBOX else {}
    return {**own, **chosen, PROJECT: str(project), ENVIRONMENT: environment, SHELL: ",".join(shell)}


def all_variables(project: Path, environment: str) -> dict[str, str]:
    """Return the environment variables of a process with every setting, as Meltano would start it."""
    found = said(project, environment)
    of_file = {name: value for name, value in _env_file_values(project, environment).items() if name != ENVIRONMENT}
    env = {FOLDER_OF_MELTANO: str(project / ".meltano"), **of_file, **os.environ}
    env.pop("PYTHONPATH", None)
    told = {name: one.value for name, one in found.items() if one.origin}
    return {
        **env,
        **told,
        PROJECT: str(project),
        ENVIRONMENT: environment,
        SHELL: ",".join(_names_of_shell(found)),
    }


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


def lines(file: Path) -> set[str]:
    """Return the variables that an env file has a line for, also without a value: Meltano takes them for set."""
    from dotenv import dotenv_values  # noqa: PLC0415 - as above

    return set(dotenv_values(file))


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
    if environment == SANDBOX and (not_heeded := _not_heeded(project)):
        values = " ".join(f"{name}={shlex.quote(value)}" for name, value in not_heeded.items() if name != PORT)
        say = f" (or with these in the shell: {values})" if values else ""
        raise RefusedError(
            f"Meltano by itself does not follow {', '.join(not_heeded)}, which the shell or the folder "
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


def _not_heeded(project: Path) -> dict[str, str]:
    """Return the settings of the sandbox's folder, and the port of the shell, that this step does not have."""
    if RUN not in os.environ:
        return {}
    found = {name: one.value for name, one in said(project, SANDBOX).items() if one.is_chosen}
    import psutil  # noqa: PLC0415 - in the environment of connect alone

    with suppress(psutil.Error):
        if port := psutil.Process(os.getppid()).environ().get(PORT):
            found[PORT] = port
    return {name: value for name, value in found.items() if os.environ.get(name) != value}


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


def settings(plugin: str) -> dict[str, Any]:
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


@dataclass(frozen=True)
class Said:
    """The present value and origin of a setting; `definition` is that of meltano.yml, with the name and kind."""

    plugin: str
    definition: dict[str, Any]
    value: str
    origin: str
    """`shell`, the env file, settings.yml, `default`, or meltano.yml if that fixes the value; blank without a value."""
    is_chosen: bool = False
    """Whether the value is from the folder of the environment."""


def said(project: Path, environment: str) -> dict[str, Said]:
    """Return every setting of an environment by its variable, with the one precedence for all settings.

    A value that meltano.yml fixes for the environment outranks the shell, the shell outranks the env file, the env file
    outranks settings.yml of the folder, and settings.yml outranks the default of meltano.yml. Meltano has the same
    order, but takes seconds; a test compares both. The result includes variables that meltano.yml or settings.yml sets
    and that belong to no plugin.
    """
    base = _page(project)
    file = folder(project, environment) / SETTINGS
    own = load(file) if file.exists() else {}
    configs = configured(own, environment)
    of_file = _env_file_values(project, environment)
    known = {**of_file, **os.environ, PROJECT: str(project), ENVIRONMENT: environment}
    found: dict[str, Said] = {}

    def settle(pairs: Iterable[tuple[str, Any]]) -> None:
        told = {name: expanded(str(value), known) for name, value in pairs}
        known.update(told)
        found.update({name: Said("", {}, value, SETTLED) for name, value in told.items()})

    places = _relative(env_file(project, environment), project), _relative(file, project), "default"

    def add(plugin: str, one: dict[str, Any]) -> None:
        name = variable(one, plugin)
        chosen = _text(expanded(configs.get(plugin, {}).get(one["name"]), known))
        lower = of_file.get(name), chosen, _text(expanded(one.get("value"), known))
        shell = os.environ.get(name)
        if name in found:  # and comes to its place among the settings of its plugin
            value, origin = found.pop(name).value, SETTLED
        elif shell is not None and _is_of_shell(name, shell, lower):
            value, origin = shell, "shell"
        else:
            told = ((text, place) for text, place in zip(lower, places, strict=True) if text is not None)
            value, origin = next(told, ("", ""))
        found[name] = Said(plugin, one, value, origin, is_chosen=origin == places[1])

    plugins = defined(project)
    port = {**plugins.get(_SANDBOX_PLUGIN, {}).get("port", {}), "value": (base.get("env") or {}).get(PORT)}
    if port["value"]:
        add(_SANDBOX_PLUGIN, port)  # env of meltano.yml has the default, which the launchers let others outrank
        known[PORT] = found[PORT].value
    settle((name, value) for name, value in (base.get("env") or {}).items() if name != PORT)
    settle([*_env_of(base, environment), *_env_of(own, environment)])
    for plugin, settings_of_plugin in plugins.items():
        if plugin in PARTS:
            others = {name: {"name": name} for name in configs.get(plugin, {}) if name not in settings_of_plugin}
            for one in (settings_of_plugin | others).values():
                if variable(one, plugin) == PORT and PORT in found:
                    found[PORT] = found.pop(PORT)
                else:
                    add(plugin, one)
    return found


def _is_of_shell(name: str, value: str, lower: tuple[str | None, ...]) -> bool:
    """Return whether the value of a variable is from the shell.

    The launchers list these variables. Without the launchers Meltano also passes values from other places.
    """
    if SHELL in os.environ:
        return name in os.environ[SHELL].split(",")
    return RUN not in os.environ or value not in lower


def _names_of_shell(found: Mapping[str, Said]) -> list[str]:
    return [name for name, one in found.items() if one.origin == "shell"]


def refuse_wrong(project: Path, environment: str) -> None:
    """Raise UsageError if a setting has a value that Meltano cannot pass on; Meltano would end with a traceback."""
    for name, one in said(project, environment).items():
        if one.origin in {"", "default", SETTLED}:
            continue
        try:
            setting_types.value(one.definition, one.value)
        except ValueError:
            place = f"the {one.origin}" if one.origin == "shell" else one.origin
            if not one.value:
                raise UsageError(f"{name} is blank in {place}: give it a value there, or remove it.") from None
            shown = "what it is" if one.definition.get("sensitive") else repr(one.value[:60])
            what = setting_types.words(one.definition)
            raise UsageError(f"{name} cannot be {shown} in {place}: it has to be {what}. Correct it there.") from None


_REFERENCE = re.compile(r"(\\)?\$(?:{(\w+)}|([A-Z][A-Z0-9_]*))")


def expanded(value: Any, known: Mapping[str, str]) -> Any:
    """Return a value of a YAML file with the variables in its texts replaced, as Meltano does."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: found[0][1:] if found[1] else known.get(found[2] or found[3], ""), value)
    if isinstance(value, list):
        return [expanded(one, known) for one in value]
    if isinstance(value, dict):
        return {name: expanded(one, known) for name, one in value.items()}
    return value


def literal(value: Any) -> Any:
    """Return a value for a YAML file, quoted so that Meltano replaces only folders in it."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: found[0] if (found[2] or found[3]) in _FOLDERS else f"\\{found[0]}", value)
    if isinstance(value, list):
        return [literal(one) for one in value]
    if isinstance(value, dict):
        return {name: literal(one) for name, one in value.items()}
    return value


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) or value is None else json.dumps(value)


def _env_of(content: Any, environment: str) -> list[tuple[str, Any]]:
    entries = (content or {}).get("environments") or []
    return [pair for one in entries if one.get("name") == environment for pair in (one.get("env") or {}).items()]


def _env_file_values(project: Path, environment: str) -> dict[str, str]:
    from dotenv import dotenv_values  # noqa: PLC0415 - in the environments of Meltano and of connect

    values = dotenv_values(env_file(project, environment))
    return {name: value for name, value in values.items() if value is not None}


def _relative(file: Path, project: Path) -> str:
    return str(file.relative_to(project))


def configured(content: Any, environment: str) -> dict[str, dict[str, Any]]:
    """Return the settings in a settings.yml by plugin and name."""
    entries = (content or {}).get("environments") or []
    entry: dict[str, Any] = next((one for one in entries if one.get("name") == environment), {})
    plugins = ((entry.get("config") or {}).get("plugins") or {}).values()
    return {str(one["name"]): one.get("config") or {} for kind in plugins for one in kind or []}


def defined(project: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the settings that meltano.yml defines, by plugin and name, in its order; those inherited included."""
    plugins = _page(project).get("plugins") or {}
    entries = {one["name"]: one for kind in plugins.values() for one in kind or []}
    return {
        name: {one["name"]: one for one in (entries.get(entry.get("inherit_from"), entry).get("settings") or [])}
        for name, entry in entries.items()
    }


def _page(project: Path) -> dict[str, Any]:
    file = project / "meltano.yml"
    found: dict[str, Any] = (load(file) if file.exists() else None) or {}
    return found


def variable(setting: dict[str, Any], plugin: str) -> str:
    """Return the environment variable of a setting."""
    aliases = setting.get("env_aliases") or [f"{plugin}_{setting['name']}".upper().replace("-", "_").replace(".", "_")]
    return str(aliases[0])


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
