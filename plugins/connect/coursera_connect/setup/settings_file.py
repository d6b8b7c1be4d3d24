"""Changes a value in settings.yml; comments and order are kept."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import yaml

from coursera_connect.meltano import setting_values
from coursera_connect.setup import environments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from coursera_connect.setup.settings import Setting


def edit(file: Path, environment: str, one: Setting, value: Any) -> None:
    """Write a value into settings.yml, or remove it if it is None; comments and order are kept."""
    text = file.read_text("utf-8")
    new = _without(text, environment, one) if value is None else _with(text, environment, one, value)
    partial = file.with_name(f".{file.name}.partial")
    partial.unlink(missing_ok=True)
    environments.write(partial, new)
    partial.replace(file)


def _with(text: str, environment: str, one: Setting, value: Any) -> str:
    from ruamel.yaml import YAML  # noqa: PLC0415 - few commands need it

    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 4096
    editor.indent(mapping=2, sequence=4, offset=2)
    content = editor.load(text) or {}
    entry = _named(content.setdefault("environments", []), environment)
    plugins = _within(_within(entry, "config", {}), "plugins", {})
    kind = {"tap-coursera": "extractors", "target-warehouse": "loaders"}.get(one.plugin, "utilities")
    _within(_named(_within(plugins, kind, []), one.plugin), "config", {})[one.key] = setting_values.literal(value)
    written = io.StringIO()
    editor.dump(content, written)
    return written.getvalue()


def _without(text: str, environment: str, one: Setting) -> str:
    """Remove the lines of a setting; ruamel would also remove the comments after it."""
    steps: tuple[str, ...] = ("environments", environment, "config", "plugins", "*", one.plugin, "config", one.key)
    found = list(_lines(yaml.compose(text), steps))
    lines = text.splitlines(keepends=True)
    return "".join(line for number, line in enumerate(lines) if number not in found)


def _lines(node: yaml.Node | None, steps: tuple[str, ...]) -> Iterator[int]:
    """Yield the lines, from 0, of what steps lead to: a key, the name of an entry of a list, or * for any key."""
    if isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            names = {key.value: value.value for key, value in entry.value if isinstance(value, yaml.ScalarNode)}
            if names.get("name") == steps[0]:
                yield from _lines(entry, steps[1:])
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if steps[0] in {"*", key.value}:
                if len(steps) > 1:
                    yield from _lines(value, steps[1:])
                else:
                    yield from range(key.start_mark.line, _last_line(value) + 1)


def _last_line(node: yaml.Node) -> int:
    if not isinstance(node, yaml.CollectionNode) or not node.value or node.flow_style:
        return int(node.end_mark.line)
    last = node.value[-1]
    return _last_line(last[1] if isinstance(last, tuple) else last)


def _named(entries: Any, name: str) -> Any:
    """Return the entry of a list with this name; create it if it is missing."""
    for one in entries:
        if one.get("name") == name:
            return one
    entries.append({"name": name})
    return entries[-1]


def _within(above: Any, key: str, empty: Any) -> Any:
    """Return the mapping below a key; create it if there are only comments."""
    if above.get(key) is None:
        above[key] = empty
    return above[key]
