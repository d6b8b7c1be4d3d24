"""The value of every setting in an environment, and where it comes from.

One precedence holds for all settings: a value that meltano.yml fixes for the environment outranks the shell, the shell
outranks the env file, the env file outranks settings.yml of the folder, and settings.yml outranks the default of
meltano.yml. Meltano has the same order, but takes seconds; a test compares both.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coursera_connect.command_text import ENVIRONMENT
from coursera_connect.errors import UsageError
from coursera_connect.meltano import setting_types
from coursera_connect.meltano.project_files import (
    PARTS,
    PORT,
    PROJECT,
    RUN,
    SETTINGS,
    SHELL,
    configured,
    defined,
    env_file,
    folder,
    load,
    page,
    variable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SETTLED = "meltano.yml"
"""The origin of a value that meltano.yml fixes for an environment."""

_SANDBOX_PLUGIN = "coursera-sandbox"

_FOLDERS = ("CONNECT_OUTPUT", PROJECT, "MELTANO_ENVIRONMENT")

_REFERENCE = re.compile(r"(\\)?\$(?:{(\w+)}|([A-Z][A-Z0-9_]*))")


@dataclass(frozen=True)
class SettingValue:
    """The present value and origin of a setting; `definition` is that of meltano.yml, with the name and kind."""

    plugin: str
    definition: dict[str, Any]
    value: str
    origin: str
    """`shell`, the env file, settings.yml, `default`, or meltano.yml if that fixes the value; blank without a value."""
    is_chosen: bool = False
    """Whether the value is from the folder of the environment."""


def values(project: Path, environment: str) -> dict[str, SettingValue]:
    """Return every setting of an environment by its variable, with the one precedence for all settings.

    A value that meltano.yml fixes for the environment outranks the shell, the shell outranks the env file, the env file
    outranks settings.yml of the folder, and settings.yml outranks the default of meltano.yml. Meltano has the same
    order, but takes seconds; a test compares both. The result includes variables that meltano.yml or settings.yml sets
    and that belong to no plugin.
    """
    base = page(project)
    file = folder(project, environment) / SETTINGS
    own = load(file) if file.exists() else {}
    configs = configured(own, environment)
    of_file = env_file_values(project, environment)
    known = {**of_file, **os.environ, PROJECT: str(project), ENVIRONMENT: environment}
    found: dict[str, SettingValue] = {}

    def settle(pairs: Iterable[tuple[str, Any]]) -> None:
        facts = {name: expanded(str(value), known) for name, value in pairs}
        known.update(facts)
        found.update({name: SettingValue("", {}, value, SETTLED) for name, value in facts.items()})

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
            candidates = ((text, place) for text, place in zip(lower, places, strict=True) if text is not None)
            value, origin = next(candidates, ("", ""))
        found[name] = SettingValue(plugin, one, value, origin, is_chosen=origin == places[1])

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


def from_shell(found: Mapping[str, SettingValue]) -> list[str]:
    """Return the names of the variables whose value is from the shell."""
    return [name for name, one in found.items() if one.origin == "shell"]


def refuse_impossible(project: Path, environment: str) -> None:
    """Raise UsageError if a setting has a value that Meltano cannot pass on; Meltano would end with a traceback."""
    for name, one in values(project, environment).items():
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


def env_file_values(project: Path, environment: str) -> dict[str, str]:
    """Return the values of the env file of an environment, with blank ones."""
    from dotenv import dotenv_values  # noqa: PLC0415 - in the environments of Meltano and of connect

    values = dotenv_values(env_file(project, environment))
    return {name: value for name, value in values.items() if value is not None}


def _relative(file: Path, project: Path) -> str:
    return str(file.relative_to(project))
