"""Every command that an error, a hint or a help can print is one, and carries its environment; tried for two."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from coursera_connect.cli import main
from coursera_connect.typed import carried

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "plugins/connect/coursera_connect"
COMMAND = re.compile(r"(?<![\w-])(connect (?:--environment=\S+ )?[a-z][^`\n]*)")


def texts() -> list[str]:
    """Every text in the code, docstrings left out, and the page."""
    found: list[str] = []
    for file in sorted(SOURCE.rglob("*.py")):
        nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
        told = {ast.get_docstring(node, clean=False) for node in nodes if isinstance(node, DOCUMENTED)}
        constants = [node.value for node in nodes if isinstance(node, ast.Constant)]
        found += [text for text in constants if isinstance(text, str) and text not in told]
    return found


DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def resolved(words: list[str]) -> tuple[click.Command, list[str]] | None:
    """The command that words name, and the words that follow; None where they name none."""
    command: click.Command = main
    rest = list(words)
    while isinstance(command, click.Group) and rest and rest[0] in command.commands:
        command = command.commands[rest.pop(0)]
    return None if command is main else (command, rest)


def helps(environment: str) -> dict[str, str]:
    """What `--help` of each command says."""
    found = {}
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        words = waiting.pop()
        done = resolved(list(words))
        command = done[0] if done else main
        waiting += [(*words, name) for name in getattr(command, "commands", {})]
        found[" ".join(words)] = (
            CliRunner().invoke(main, [*words, "--help"], env={"MELTANO_ENVIRONMENT": environment}).output
        )
    return found


@pytest.mark.parametrize("environment", ["sandbox", "prod"])
def test_every_command_in_a_text_of_the_code_is_one_and_carries_its_environment(
    environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MELTANO_ENVIRONMENT", environment)
    typed = [found for text in texts() for found in COMMAND.findall(carried(text))]
    typed = [found for found in typed if found.startswith(f"connect --environment={environment} ")]
    assert len(typed) > 40
    for found in typed:
        check(found, environment)


@pytest.mark.parametrize("environment", ["sandbox", "prod"])
def test_every_command_in_a_help_is_one_and_carries_its_environment(environment: str) -> None:
    told = 0
    for name, text in helps(environment).items():
        for found in re.findall(r"^ {2,}(connect .*)$", text, flags=re.MULTILINE):
            assert "--environment=" in found, f"{name} --help: {found}"
            check(found.split("  ")[0], found.split("=")[1].split()[0])
            told += 1
    assert told > 20


def check(typed: str, environment: str) -> None:
    """Look a printed command up as click would: the verb, and every option."""
    assert typed.startswith(f"connect --environment={environment} "), typed
    first = typed[: typed.find("connect ", 1)] if "connect " in typed[1:] else typed
    try:
        words = shlex.split(first.replace("'", ""))[2:]
    except ValueError:
        words = first.split()[2:]
    words = [word.rstrip(".,;:)") for word in words]
    found = resolved(words)
    assert found is not None, typed
    command, rest = found
    known = {name for one in command.params for name in one.opts}
    for word in rest:
        if word.startswith("--"):
            assert word.partition("=")[0] in {*known, "--help"}, typed
