"""Names and texts inside SQL."""

from __future__ import annotations

import re


def quote(*names: str) -> str:
    """Write an identifier so that its case and every character count; several make a dotted path."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text: str) -> str:
    """Write a text constant."""
    return "'" + text.replace("'", "''") + "'"


def escape_glob(path: str) -> str:
    """Write a path so that neither DuckDB nor pathlib takes it for a pattern."""
    return re.sub(r"([*?[])", r"[\1]", path)
