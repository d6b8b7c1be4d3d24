"""What holds for every command of connect and for every option of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from coursera_connect.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator


def numbers(command: click.Command, path: str = "connect") -> Iterator[tuple[str, click.ParamType[Any]]]:
    """Each option that takes a number with a fraction, by its command."""
    for one in command.params:
        if isinstance(one.type, type(click.FLOAT)):
            yield f"{path} {one.opts[0]}", one.type
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from numbers(inner, f"{path} {name}")


def test_no_option_takes_a_number_that_is_none() -> None:
    found = list(numbers(main))
    assert {"connect publish --removal-threshold", "connect lock --lock-wait"} <= {name for name, _ in found}
    assert [
        (name, text) for name, kind in found for text in ("nan", "-nan", "inf", "1e400") if _takes(kind, text)
    ] == []
    assert all(_takes(kind, "15") for _, kind in found)


def _takes(kind: click.ParamType[Any], text: str) -> bool:
    try:
        kind.convert(text, None, None)
    except click.BadParameter:
        return False
    return True


def commands(command: click.Command = main, *words: str) -> Iterator[tuple[str, ...]]:
    """The words of each command that does something, below groups also."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, *words, name)
    if words and (not isinstance(command, click.Group) or command.invoke_without_command):
        yield words


@pytest.mark.parametrize("environment", ["sandbox", "prod", ""])
def test_every_screen_of_the_sandbox_says_that_it_is_one_and_no_other_does(environment: str) -> None:
    told = {}
    for words in commands():
        typed = {"screen": ["--no-such-option"], "json": ["--no-such-option", "--json"], "help": ["--help"]}
        told[words] = {what: _says_sandbox([*words, *more], environment) for what, more in typed.items()}
    assert len(told) > 40
    expected = {"screen": environment == "sandbox", "json": False, "help": False}
    assert {words: found for words, found in told.items() if found != expected} == {}


def _says_sandbox(words: list[str], environment: str) -> bool:
    done = CliRunner().invoke(main, words, env={"MELTANO_ENVIRONMENT": environment})
    return done.stderr.startswith("This is the sandbox: a made-up college")


def test_a_group_without_a_command_shows_its_help_once() -> None:
    done = CliRunner().invoke(main, ["schools"])
    assert done.exit_code == click.UsageError.exit_code
    assert done.output.count("Usage:") == 1
    assert "Error" not in done.output
