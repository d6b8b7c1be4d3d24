"""The tap's definition for the Meltano Hub; `python tests/package/hub.py` writes it again.

What the tap says of itself (`--about --format=json`) becomes capabilities, settings and versions of Python, in the form
of the Hub: sorted, nested settings with dots. Everything else in the file is written by hand and stays.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = Path(__file__).resolve().parents[2] / "tap-coursera/meltano-hub.yml"
ABBREVIATIONS = {"gzip": "GZIP", "jsonl": "JSONL"}

Json = dict[str, Any]


def about() -> Json:
    """Return what the tap of the working tree prints with `--about`."""
    command = [sys.executable, "-m", "tap_coursera", "--about", "--format=json"]
    said: Json = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return said


def kind(schema: Json) -> str:
    """The Hub's word for the type of a setting."""
    if schema.get("secret"):
        return "password"
    if schema.get("format") == "date-time":
        return "date_iso8601"
    if "enum" in schema:
        return "options"
    # The seed and locale of Faker may be several things; the Hub lists them as text and list.
    types = schema.get("type") or [kind(choice) for choice in schema["oneOf"]]
    return "array" if "array" in types else next(name for name in ("string", *types) if name in types)


def settings(properties: Json, prefix: str = "") -> Iterator[Json]:
    """Each setting; those inside an object by themselves, apart from stream maps, whose names are the user's."""
    for name, schema in properties.items():
        if schema.get("properties") and name != "stream_maps":
            yield from settings(schema["properties"], f"{prefix}{name}.")
            continue
        setting = {
            "description": schema["description"],
            "kind": kind(schema),
            "label": schema["title"],
            "name": prefix + name,
        }
        if "enum" in schema:
            setting["options"] = [{"label": ABBREVIATIONS.get(v, v.title()), "value": v} for v in schema["enum"]]
        if schema.get("secret"):
            setting["sensitive"] = True
        if "default" in schema:
            setting["value"] = schema["default"]
        yield setting


def definition(written: Json, said: Json) -> Json:
    """Return the definition with the present output of `--about`."""
    return written | {
        "capabilities": sorted(said["capabilities"]),
        "settings": sorted(settings(said["settings"]["properties"]), key=lambda setting: str(setting["name"])),
        "settings_group_validation": [sorted(said["settings"]["required"])],
        "supported_python_versions": said["supported_python_versions"],
    }


def text(header: str, found: Json) -> str:
    """The file: its first comment, and YAML the way the Hub sorts and indents it."""
    return header + yaml.safe_dump(found, sort_keys=True, allow_unicode=True, width=120)


def parts(written: str) -> tuple[str, Json]:
    """The comment at the top of the file, and what follows."""
    header = "".join(line for line in written.splitlines(keepends=True) if line.startswith("#"))
    return header, yaml.safe_load(written)


if __name__ == "__main__":
    header, before = parts(FILE.read_text(encoding="utf-8"))
    FILE.write_text(text(header, definition(before, about())), encoding="utf-8")
