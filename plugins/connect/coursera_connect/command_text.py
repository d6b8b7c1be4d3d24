"""Writes commands as an operator types them, with their environment, so that they work wherever they are read."""

from __future__ import annotations

import os
import re

ENVIRONMENT = "MELTANO_ENVIRONMENT"
VERBS = (
    *("attributes", "check", "deliver", "environment", "grades", "history", "items", "lock", "mapping", "preview"),
    *("publish", "quality", "report", "run", "schedule", "schools", "serve", "settings", "setup", "summary", "test"),
)
"""The names of the commands of connect."""
_COMMAND = re.compile(rf"(?<![\w-])connect (?=(?:{'|'.join(VERBS)})\b)")
_WORD = r"""(?:"[^"\n]*"|'[^'\n]*'|[^\s"'`,;:.()]|[,;:.()](?=\S))+"""
PRINTED = (
    r"(?<![\w-])(?:connect|meltano)(?: --environment=\S+)? "
    rf"(?:{'|'.join((*VERBS, 'config', 'invoke', 'state'))})\b(?: {_WORD})*"
)
"""The pattern of a command in a text, up to the next punctuation."""


def environment_of_now() -> str | None:
    """Return the environment that this process runs in; None outside of Meltano."""
    return os.environ.get(ENVIRONMENT) or None


def printed(words: str, environment: str | None = None) -> str:
    """Return what an operator types for `connect WORDS` or `meltano WORDS`, with its environment.

    Args:
        words: The command, program first: `connect schools list`, `meltano run grade-sync`.
        environment: The environment; by default the present one, and none outside Meltano.
    """
    name = environment or environment_of_now()
    program, _, rest = words.partition(" ")
    return f"{program} --environment={name} {rest}" if name else words


def carried(text: str) -> str:
    """Return a text in which every command of connect names the present environment."""
    name = environment_of_now()
    return _COMMAND.sub(f"connect --environment={name} ", text) if name else text
