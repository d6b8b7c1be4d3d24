"""Starts dbt so that its files are private, and says which mapping file dbt could not read.

dbt's log holds rows of the mapping files, its folder `target` holds their queries, and the write-ahead log of DuckDB
holds the tables that dbt builds. Meltano starts dbt with the umask of the shell, which is 022 on most machines. The
mapping files of the sandbox are in no repository, but dbt needs a file for each seed. If a file is not in UTF-8, dbt
ends with a traceback that does not name the file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import yaml

_OTHERS = 0o007


def make_mapping(transform: Path, place: Path) -> None:
    """Create missing mapping files of the sandbox, with the headers from the descriptions of the seeds."""
    seeds = transform / "models" / "mapping" / "mapping.yml"
    for seed in yaml.safe_load(seeds.read_text("utf-8"))["seeds"] if seeds.exists() else ():
        file = place / f"{seed['name']}.csv"
        if not file.exists():
            place.mkdir(parents=True, exist_ok=True)
            file.write_text(",".join(seed["config"]["column_types"]) + "\n", "utf-8")


def unreadable(place: Path) -> str:
    """Return a sentence that names the first mapping file that is not in UTF-8; blank if there is none."""
    for path in sorted(place.rglob("*.csv")):
        raw = path.read_bytes() if os.access(path, os.R_OK) else b""  # dbt itself says what it may not read
        for line, text in enumerate(raw.split(b"\n"), start=1):
            if text.decode("utf-8", "replace").encode() != text:
                return f"{path}, line {line}: this is not UTF-8 text: save the file again as `CSV UTF-8`."
    return ""


def main() -> None:
    """Replace this process by dbt with the same arguments; a umask that already keeps other users out is kept."""
    umask = os.umask(0o077)
    if umask & _OTHERS == _OTHERS:
        os.umask(umask)
    transform, environment = Path(os.environ.get("DBT_PROJECT_DIR") or "."), os.environ.get("MELTANO_ENVIRONMENT")
    place = transform.absolute().parent / "environments" / (environment or "sandbox") / "mapping"
    if (environment or "sandbox") == "sandbox":
        make_mapping(transform, place)
    if sentence := unreadable(place):
        sys.exit(f"Error: {sentence}")
    if environment:  # two environments may be built at the same time
        os.environ.setdefault("DBT_TARGET_PATH", str(transform.absolute() / "target" / environment))
    program = str(Path(sys.executable).with_name("dbt"))
    os.execv(program, [program, *sys.argv[1:]])  # noqa: S606 - a program beside this one
