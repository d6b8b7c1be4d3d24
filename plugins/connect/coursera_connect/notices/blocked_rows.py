"""The rows of a report that tell what a guard blocked or allowed, in words, with the commands that allow it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_COMMAND = re.compile("`(connect [^`]+)`")
"""The pattern of a command in a reason."""
_PUBLISH = "connect publish"


def sentence(row: Mapping[str, Any]) -> str:
    """Return a row of `blocked` or `allowed` in words."""
    if not row.get("file"):
        return str(row.get("reason"))
    return f"{row['file']} of {row.get('school_name') or row.get('school') or 'the district'}: {row.get('reason')}"


def commands(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the commands that allow what is blocked: those of the confirmations, and a publish with its options."""
    named = [
        command
        for row in rows
        for command in _COMMAND.findall(str(row.get("reason"))) or [f"{_PUBLISH} --allow-removals"]
    ]
    options = dict.fromkeys(one.removeprefix(_PUBLISH) for one in named if one.startswith(_PUBLISH))
    steps = dict.fromkeys(one for one in named if not one.startswith(_PUBLISH))
    return [*steps, *([f"{_PUBLISH}{''.join(options)}"] if options else [])]
