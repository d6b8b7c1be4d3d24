"""Helpers for texts: names on one line, plurals, lists, and the search for a name that was typed inexactly."""

from __future__ import annotations

import difflib
import unicodedata
from typing import TYPE_CHECKING

from coursera_connect.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_NEAR = 0.5
"""The least similarity of a suggestion, 0 to 1."""


def one_line(text: str) -> str:
    """Return a text on one line, in NFC, without control characters."""
    line = " ".join(unicodedata.normalize("NFC", text).split())
    return "".join(letter for letter in line if letter.isprintable())


def lower(text: str) -> str:
    """Return a text in lower case as databases do: each character becomes one character."""
    return "".join(letter.lower()[0] for letter in text)


def plural(number: int, one: str, several: str = "") -> str:
    """Return `1 class`, `1,200 classes`."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def listed(words: Sequence[str]) -> str:
    """Return `a, b and c`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def found(text: str, names: Mapping[str, str], what: str, remedy: str = "") -> str:
    """Return the id for a text, which is an id or a unique name in any letter case.

    `names` are the names by id; `what` is the word for one of them in an error.

    Raises:
        UsageError: Nothing has that name (with a suggestion), or several have it (with all of them).
    """
    wanted = one_line(text)
    if wanted in names:
        return wanted
    same = [one for one, name in names.items() if one_line(name).casefold() == wanted.casefold()]
    if len(same) == 1:
        return same[0]
    if same:
        raise UsageError(
            f"{len(same)} {what}s are called {wanted}: say which one by its id, {' or '.join(sorted(same))}."
        )
    known = {one.casefold(): one for one in names} | {one_line(name).casefold(): one for one, name in names.items()}
    near = difflib.get_close_matches(wanted.casefold(), known, 1, _NEAR)
    if near:
        one = known[near[0]]
        raise UsageError(f"There is no {what} {wanted}: did you mean {one_line(names[one]) or one} ({one})?")
    raise UsageError(f"There is no {what} {wanted}{remedy and ': ' + remedy}.")


def suggestion(text: str, names: Iterable[str]) -> str:
    """Return ` did you mean X?` for a name that is not among the others; blank if none is similar."""
    near = difflib.get_close_matches(text, list(names), 1)
    return f" did you mean {near[0]}?" if near else ""
