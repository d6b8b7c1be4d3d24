"""The catalog as it was reviewed, one line per property: `python -m tests.tap.catalog` writes it anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tap_coursera.tap import TapCoursera

FILE = Path(__file__).with_name("catalog.json")


def short(catalog: dict[str, Any]) -> dict[str, Any]:
    """What matters of a catalog: keys, how each stream is read, and the types of its properties."""
    return {
        stream["tap_stream_id"]: {
            "keys": stream["key_properties"],
            "replication_key": stream.get("replication_key"),
            "replication_method": stream["replication_method"],
            "properties": {
                name: "/".join([*spec["type"], *([spec["format"]] if "format" in spec else [])])
                for name, spec in stream["schema"]["properties"].items()
            },
        }
        for stream in catalog["streams"]
    }


if __name__ == "__main__":
    found = TapCoursera(config={}, validate_config=False).catalog_dict
    FILE.write_text(json.dumps(short(found), indent=2) + "\n", "utf-8")
