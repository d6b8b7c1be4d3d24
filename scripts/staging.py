"""Writes the dbt source, staging model and column descriptions of a new stream from its schema.

    .venv/bin/python scripts/staging.py program_skillsets

The result is a draft: read it, and give the columns names that people would use. Existing files are not changed.
"""

from __future__ import annotations

import json
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tap_coursera.tap import STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterable

STAGING = Path("transform/models/staging")
TYPES = {"date-time": "timestamptz", "number": "double precision", "integer": "bigint", "boolean": "boolean"}
TYPES |= {"string": "text", "object": "", "array": ""}
GROUPS = {"text": 1, "": 1, "double precision": 2, "bigint": 2, "boolean": 3, "timestamptz": 4}
"""The groups of columns by type, in order; keys are first."""


def write(stream: str, root: Path) -> list[str]:
    """Write what is missing for a stream below the repository's root, and return the changed files."""
    keys = {one.name: list(cast("Iterable[str]", one.primary_keys)) for one in STREAMS}[stream]
    schema = json.loads((root / f"tap-coursera/tap_coursera/schemas/{stream}.json").read_text("utf-8"))
    properties: dict[str, Any] = schema["properties"]
    types = {name: TYPES[one.get("format") or one["type"][0]] for name, one in properties.items()}
    folder = root / STAGING
    changed: list[str] = []

    model = folder / f"stg_coursera__{stream}.sql"
    if not model.exists():
        model.write_text(_model(stream, keys, types), "utf-8")
        changed.append(model.name)

    columns = [
        f"- {{name: {name}, description: {json.dumps(one['description'], ensure_ascii=False)}}}"
        for name, one in properties.items()
    ]
    described = json.dumps(schema["description"], ensure_ascii=False)
    source = [f"- name: {stream}", f"  description: {described}", "  columns:"]
    entry = [f"- name: {model.stem}", f"  description: {described}", "  columns:"]
    for path, head, indent, end in (
        (folder / "sources.yml", source, "      ", ""),
        (folder / "staging.yml", entry, "  ", "\nunit_tests:"),
    ):
        text = path.read_text("utf-8")
        if f"{head[0]}\n" not in text:
            before, mark, after = text.partition(end) if end else (text, "", "")
            added = _indented([*head, *(f"    {one}" for one in columns)], indent)
            path.write_text(f"{before}{added}{mark}{after}", "utf-8")
            changed.append(path.name)
    return changed


def _model(stream: str, keys: list[str], types: dict[str, str]) -> str:
    """Return the staging model: current rows with cast columns, in groups separated by blank lines."""
    group = {name: 0 if name in keys else GROUPS[kind] for name, kind in types.items()}
    casts = {name: f"cast({name} as {kind}) as {name}" if kind else name for name, kind in types.items()}
    casts |= {name: f'{{{{ moment("{name}") }}}} as {name}' for name, kind in types.items() if kind == "timestamptz"}
    groups = groupby(sorted(types, key=group.__getitem__), key=group.__getitem__)
    listed = ",\n\n".join(",\n".join(f"        {casts[name]}" for name in names) for _, names in groups)
    rows = f'{{{{ newest_rows(source("coursera", "{stream}"), {json.dumps(keys)}) }}}}'
    return (
        f"with current_rows as (\n    {rows}\n),\n\n"
        f"renamed as (\n    select\n{listed}\n    from current_rows\n)\n\nselect * from renamed\n"
    )


def _indented(lines: Iterable[str], indent: str) -> str:
    return "".join(f"{indent}{line}\n" for line in lines)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in {one.name for one in STREAMS}:  # noqa: PLR2004 - the name of a stream
        sys.exit("Name one stream of STREAMS in tap_coursera/tap.py.")
    for changed in write(sys.argv[1], Path(__file__).resolve().parent.parent):
        sys.stdout.write(f"{STAGING / changed}\n")
