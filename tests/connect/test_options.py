"""What every option of connect takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from coursera_connect.cli import main

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
