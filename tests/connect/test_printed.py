"""Every command that a page, an error, a hint or a help can print exists and names its environment."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from coursera_connect.cli.main import main
from coursera_connect.command_text import carried, printed

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "plugins/connect/coursera_connect"
ENVIRONMENTS = ("sandbox", "prod")
COMMAND = re.compile(r"(?<![\w-])(?:connect|\{\{ connect \}\}|meltano) [a-z][^`\n<]*")
SAMPLES = {
    "grade_sync ": "final", "score_scale ": "1", "grades change ": "granular_all", "grades scale ": "1",
    "history show ": "1", "environment add ": "south", "config print ": "connect",
    "meltano run ": "tap-coursera target-warehouse",
    "run ": "grade-sync", "--rule ": "not-enrolled", "schools map ": "-jvWbOLkoRDUmHGS_lA7wA",
    "schools unmap ": "ZW8J5w6U0OnKZ3DmXVeZ4g", "schools leave-out ": "-jvWbOLkoRDUmHGS_lA7wA ZW8J5w6U0OnKZ3DmXVeZ4g",
}  # fmt: skip
"""What stands for a value, by the words before it."""
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def texts() -> Iterator[str]:
    """Return every text in the code without docstrings, with `{}` in place of its variables, and the page."""
    for file in sorted(SOURCE.rglob("*.py")):
        nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
        told = {
            id(node.body[0].value)
            for node in nodes
            if isinstance(node, DOCUMENTED) and node.body and isinstance(node.body[0], ast.Expr)
        }
        filled = [node for node in nodes if isinstance(node, ast.JoinedStr)]
        told |= {id(part) for node in filled for part in ast.walk(node) if isinstance(part, ast.Constant)}
        for node in filled:
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            for inner in ast.walk(node):
                if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute | ast.Name):
                    yield from filter(None, map(_text, inner.args))
        yield from (text for node in nodes if id(node) not in told and (text := _text(node)))
    yield re.sub(r"\{\{ (?!connect )[^}]+ \}\}", "{}", (SOURCE / "report/templates/page.html").read_text("utf-8"))


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def commands() -> list[list[str]]:
    """Return the words of each command that our texts can print, with sample values in place of variables."""
    found: set[tuple[str, ...]] = set()
    for text in texts():
        for typed in COMMAND.findall(text):
            for words in _filled(typed.replace("{{ connect }}", "connect")):
                if whole := _whole(words):
                    found.add(tuple(whole))
    return sorted(map(list, found))


def _filled(typed: str) -> Iterator[list[str]]:
    for before, value in SAMPLES.items():
        typed = typed.replace(f"{before}{{}}", f"{before}{value}")
    pause = re.split(r"[,;:.)](?:\s|$)|'(?=[,)])", typed)[0]
    try:
        yield shlex.split(pause)
    except ValueError:
        yield pause.split()


def _whole(words: list[str]) -> list[str]:
    """Return the longest beginning of the words that can be typed; options and values after it count as a failure."""
    if words[0] == "meltano":
        return words if words[1] in {"run", "config", "state"} and "{}" not in words else []
    if words[1] not in main.commands:
        return []  # a sentence about connect
    for length in range(len(words), 1, -1):
        if _can_be_typed(words[1:length]):
            assert not [word for word in words[length:] if word.startswith("-") or "{" in word], words
            return words[:length]
    return [*words, "cannot be typed"]


def _can_be_typed(words: list[str]) -> bool:
    """Return whether click accepts a verb, its options and their values; nothing is run."""
    command: click.Command = main
    parent = click.Context(main, info_name="connect")
    while words and isinstance(command, click.Group) and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
        if isinstance(command, click.Group):
            parent = click.Context(command, parent=parent)
    if isinstance(command, click.Group) and not command.invoke_without_command:
        return False
    if words == ["--help"]:
        return command is not main
    try:
        command.make_context(None, list(words), parent=parent)
    except click.UsageError:
        return False
    return True


def test_what_is_printed_can_be_typed() -> None:
    found = commands()
    assert [words for words in found if "cannot be typed" in words] == []
    assert len(found) >= 50
    assert ["connect", "schools", "map", "-jvWbOLkoRDUmHGS_lA7wA", "--save"] in found  # of the page
    assert ["connect", "publish", "--allow-lower-scores"] in found  # of a guard
    assert ["connect", "setup", "--step", "delivery"] in found  # of setup
    assert ["meltano", "run", "dbt:build"] in found


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_each_carries_its_environment(environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELTANO_ENVIRONMENT", environment)
    for words in commands():
        typed = " ".join(words)
        whole = f"{words[0]} --environment={environment} {' '.join(words[1:])}"
        assert printed(typed) == whole
        assert carried(typed) == (whole if words[0] == "connect" else typed)
        assert carried(f"See `{whole}`.") == f"See `{whole}`."


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_command_in_a_help_can_be_typed_and_carries_its_environment(environment: str) -> None:
    told = 0
    for text in helps(environment):
        joined = re.sub(r" \\\n +", " ", text)
        for line in re.findall(r"^ {2,}(connect .*)$", joined, flags=re.MULTILINE):
            words = shlex.split(line.split("  ")[0])
            name = words.pop(1)
            assert name in {"--environment=prod", f"--environment={environment}"}, line
            assert [part for part in words if part in "|>"] or _can_be_typed(words[1:]), line
            told += 1
    assert told > 40


def helps(environment: str) -> Iterator[str]:
    """Return the help of each command."""
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        path = waiting.pop()
        command: click.Command = main
        for word in path:
            assert isinstance(command, click.Group)
            command = command.commands[word]
        waiting += [(*path, name) for name in getattr(command, "commands", {})]
        yield CliRunner().invoke(main, [*path, "--help"], env={"MELTANO_ENVIRONMENT": environment}).output
