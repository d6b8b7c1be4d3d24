"""Runs an installed tap with everything selected, and reads what it wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.package.commands import environment, run

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

Json = dict[str, Any]


def decoded(text: str) -> Any:
    """Return parsed JSON, with decimals as they are written."""
    return json.loads(text, parse_float=Decimal)


def stored(path: Path, value: Json) -> Path:
    path.write_text(json.dumps(value))
    return path


@dataclass(frozen=True)
class Output:
    """The output of one run: the file, and its messages by stream."""

    path: Path
    schemas: dict[str, Json] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)
    records: dict[str, list[Json]] = field(default_factory=dict)
    states: list[Json] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Output:
        found = cls(path)
        for message in map(decoded, path.read_text().splitlines()):
            if message["type"] == "SCHEMA":
                found.schemas[message["stream"]] = message["schema"]
                found.keys[message["stream"]] = message["key_properties"]
                found.records.setdefault(message["stream"], [])
            elif message["type"] == "RECORD":
                found.records[message["stream"]].append(message["record"])
            elif message["type"] == "STATE":
                found.states.append(message["value"])
        return found


def selected(catalog: Json, streams: Collection[str] | None = None) -> Json:
    """The catalog with these streams selected and no others; all of them without a list."""
    for stream in catalog["streams"]:
        for item in stream["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = streams is None or stream["tap_stream_id"] in streams
    return catalog


def read_tap(
    folder: Path,
    *tap: str | Path,
    config: Json,
    streams: Collection[str] | None = None,
    state: Json | None = None,
) -> Output:
    """Discover, select and read, with the command `tap`; the output stays in the folder."""
    folder.mkdir()
    catalog = stored(folder / "catalog.json", selected(json.loads(run(*tap, "--discover")), streams))
    options: list[str | Path] = ["--config", stored(folder / "config.json", config), "--catalog", catalog]
    if state is not None:
        options += ["--state", stored(folder / "state.json", state)]
    output = folder / "output.jsonl"
    output.write_text(run(*tap, *options, env=environment()))
    return Output.read(output)
