"""Every setting of every part has the same precedence as in Meltano: command line, shell, env file, folder, default."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.core import ParameterSource

from coursera_connect.cli.main import main
from coursera_connect.meltano import processes, project_files, setting_types, setting_values
from coursera_connect.setup import settings as chosen
from tests.pipeline.meltanos_answer import asked

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
VALUES = {
    "integer": ("11", "12"),
    "decimal": ("1.5", "2.5"),
    "boolean": ("true", "false"),
    "object": ('{"a": "$B one"}', '{"a": "${C} two"}'),
    "array": ('["$A one"]', '["two"]'),
}
KINDS = {"extractors": ["tap-coursera"], "loaders": ["target-warehouse"], "utilities": ["dbt", "connect"]}
LAYERS = {
    "all": {"shell": 0, "env file": 1, "folder": 0},
    "below": {"env file": 1, "folder": 0},
    "folder": {"folder": 0},
    "above": {"shell": 1, "folder": 0},
    "nothing": {},
}
"""Environments, and which of two values each layer says there for every setting."""


def values(definition: dict[str, Any]) -> tuple[str, str]:
    """Two values of a setting."""
    allowed = [str(option["value"]) for option in definition.get("options", [])]
    return (allowed[0], allowed[-1]) if allowed else VALUES.get(definition.get("kind", ""), ("one $X", "two\\$Y ${Z}"))


def shell_without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(processes.OURS)}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which every layer of every environment has the values of LAYERS."""
    root = tmp_path_factory.mktemp("precedence").resolve()
    (root / "transform").mkdir()
    (root / ".meltano").mkdir()
    shutil.copy(ROOT / "meltano.yml", root)
    shutil.copy(ROOT / "transform/dbt_project.yml", root / "transform")
    for environment, layers in LAYERS.items():
        folder = root / "environments" / environment
        folder.mkdir(parents=True)
        config: dict[str, dict[str, Any]] = {}
        of_file = ""
        for plugin, name, one in definitions(root):
            if "folder" in layers:
                value = setting_types.value(one, values(one)[layers["folder"]])
                config.setdefault(plugin, {})[one["name"]] = setting_values.literal(value)
            if "env file" in layers:
                # Env files have their own references to variables.
                value = values(one)[layers["env file"]].replace("${", "$ {")
                of_file += f"{name}='{value}'\n"
        entry = {"name": environment, "env": {"CONNECT_OUTPUT": f"$MELTANO_PROJECT_ROOT/output/{environment}"}}
        by_kind = {
            kind: [{"name": name, "config": config[name]} for name in names if name in config]
            for kind, names in KINDS.items()
        }
        content = {"environments": [{**entry, "config": {"plugins": by_kind}}]}
        (folder / "settings.yml").write_text(json.dumps(content))
        (folder / "secrets.env").write_text(of_file)
    return root


@pytest.fixture(scope="module")
def answer(project: Path) -> dict[str, Any]:
    """Return the variables with which Meltano would start each part."""
    return asked(project, {name: shell(project, name) for name in LAYERS}, shell_without_settings())


def definitions(project: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Plugin, variable and definition of every setting of the four parts."""
    for plugin, found in project_files.defined(project).items():
        if plugin in project_files.PARTS[:-1]:
            for one in found.values():
                yield plugin, project_files.variable(one, plugin), one


def shell(project: Path, environment: str) -> dict[str, str]:
    which = LAYERS[environment].get("shell")
    return {} if which is None else {name: values(one)[which] for _, name, one in definitions(project)}


@pytest.mark.parametrize("environment", LAYERS)
def test_shell_env_file_folder_and_default_count_in_this_order_as_meltano_has_it(
    environment: str, project: Path, answer: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [one for one in os.environ if one.startswith(processes.OURS)]:
        monkeypatch.delenv(name)
    for name, value in shell(project, environment).items():
        monkeypatch.setenv(name, value)
    layers = LAYERS[environment]
    origin = {
        "shell": "shell",
        "env file": f"environments/{environment}/secrets.env",
        "folder": f"environments/{environment}/settings.yml",
    }.get(next(iter(layers), ""), "default")
    shown = {one.variable: one for one in chosen.listed(project, environment)}
    found = setting_values.values(project, environment)
    of_connect = processes.all_variables(project, environment)
    assert len(shown) > 80
    wrong = {}
    for plugin, name, one in definitions(project):
        expected = found[name].value
        if layers:
            layer, which = next(iter(layers.items()))
            value = values(one)[which]
            assert expected == (value.replace("${", "$ {") if layer == "env file" else value), name
            assert shown[name].origin == origin, name
        else:
            assert shown[name].origin in {"", "default"}, name
        told = answer[environment][plugin].get(name, "")
        if not (told == expected == of_connect.get(name, "")):
            wrong[name] = (expected, told, of_connect.get(name, ""))
    assert wrong == {}


def commands(command: click.Command) -> Iterator[click.Command]:
    yield command
    for inner in getattr(command, "commands", {}).values():
        yield from commands(inner)


def test_the_command_line_outranks_them_for_every_option(monkeypatch: pytest.MonkeyPatch) -> None:
    definition = {name: one for _, name, one in definitions(ROOT)}
    tried = set()
    for command in commands(main):
        arguments = ["1" for one in command.params if isinstance(one, click.Argument) and one.required]
        for option in command.params:
            if not isinstance(option, click.Option) or not option.envvar:
                continue
            name = str(option.envvar)
            above, below = _typed(option, definition.get(name, {}))
            monkeypatch.setenv(name, below)
            words = [option.opts[0]] if option.is_flag else [option.opts[0], above]
            context = click.Context(command)
            command.parse_args(context, [*words, *arguments])
            monkeypatch.delenv(name)
            assert context.get_parameter_source(str(option.name)) == ParameterSource.COMMANDLINE
            if option.expose_value and option.callback is None:
                expected = True if option.is_flag else option.type.convert(above, option, context)
                assert context.params[str(option.name)] == expected, name
            tried.add(name)
    assert {
        name for name in definition if name.startswith("CONNECT_") and "env_aliases" not in definition[name]
    } - tried == {
        f"CONNECT_SCHEDULE_{schedule}" for schedule in ("FULL_RECONCILE", "ROSTER_SYNC", "GRADE_SYNC", "PUBLISH")
    }


def _typed(option: click.Option, definition: dict[str, Any]) -> tuple[str, str]:
    if isinstance(option.type, click.Choice):
        allowed = [str(one) for one in option.type.choices]
        return allowed[0], allowed[-1]
    if isinstance(option.type, (click.types.IntRange, click.types.IntParamType)):
        return "1", "2"
    if option.is_flag:
        return "", "false"
    return values(definition)
