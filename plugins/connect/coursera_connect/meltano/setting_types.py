"""Kinds of settings in meltano.yml: converts a text into a value, and says in words which values are allowed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_WORDS = {
    "integer": "a whole number",
    "decimal": "a number",
    "boolean": "true or false",
    "object": 'a JSON object, as {"users.sms": "learner.external_id"}',
    "array": 'a JSON list, as ["first", "second"]',
}


def allowed(definition: Mapping[str, Any]) -> list[str]:
    """Return the allowed values of a setting, if it lists them."""
    return [str(option["value"]) for option in definition.get("options", [])]


def words(definition: Mapping[str, Any]) -> str:
    """Return in words which values a setting may have."""
    options = allowed(definition)
    return f"one of {', '.join(options)}" if options else _WORDS.get(definition.get("kind", ""), "a text")


def value(definition: Mapping[str, Any], text: str) -> Any:
    """Return the value of a setting that a text stands for.

    Raises:
        ValueError: The setting cannot have that value.
    """
    options = allowed(definition)
    if options and text not in options:
        raise ValueError
    return _KINDS.get(definition.get("kind", ""), str)(text)


def _boolean(text: str) -> bool:
    if text.lower() not in {"true", "false", "1", "0", "yes", "no", "on", "off", "t", "f", "y", "n"}:
        raise ValueError
    return text.lower() in {"true", "1", "yes", "on", "t", "y"}


def _json(kind: type) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        found = json.loads(text)
        if not isinstance(found, kind):
            raise ValueError  # noqa: TRY004 - the caller says what it has to be
        return found

    return read


_KINDS: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "decimal": float,
    "boolean": _boolean,
    "object": _json(dict),
    "array": _json(list),
}
