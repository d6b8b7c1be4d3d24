"""The error every expected failure ends in."""

from __future__ import annotations


class LoadError(Exception):
    """Something the operator can put right; its message is one sentence with the remedy, free of record contents."""
