"""Names and texts inside SQL."""

from __future__ import annotations


def quote(*names: str) -> str:
    """Write an identifier so that its case and every character count; several make a dotted path."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text: str) -> str:
    """Write a text constant."""
    return "'" + text.replace("'", "''") + "'"
