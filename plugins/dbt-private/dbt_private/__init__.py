"""dbt, whose files other users of the machine cannot read, and which says what it cannot read itself.

Its log holds rows of the mapping files, its folder `target` their queries, and the write-ahead log of DuckDB the tables
that it builds. Meltano starts it with the umask of the shell, which is 022 on most machines. The mapping files of the
sandbox are in no repository, and dbt finds no model without its seeds. At one that is not in UTF-8 dbt ends with a
traceback that does not name it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import yaml

_OTHERS = 0o007


def make_mapping(transform: Path, place: Path) -> None:
    """Make the mapping files of the sandbox that are missing, each with the header that its seed describes."""
    seeds = transform / "models" / "mapping" / "mapping.yml"
    for seed in yaml.safe_load(seeds.read_text("utf-8"))["seeds"] if seeds.exists() else ():
        file = place / f"{seed['name']}.csv"
        if not file.exists():
            place.mkdir(parents=True, exist_ok=True)
            file.write_text(",".join(seed["config"]["column_types"]) + "\n", "utf-8")


def unreadable(place: Path) -> str:
    """Say which mapping file is the first that is not in UTF-8; blank where all are."""
    for path in sorted(place.rglob("*.csv")):
        raw = path.read_bytes() if os.access(path, os.R_OK) else b""  # dbt itself says what it may not read
        for line, text in enumerate(raw.split(b"\n"), start=1):
            if text.decode("utf-8", "replace").encode() != text:
                return f"{path}, line {line}: this is not UTF-8 text: save the file again as `CSV UTF-8`."
    return ""


def main() -> None:
    """Become dbt, with the same arguments; a umask that keeps other users out already stays."""
    umask = os.umask(0o077)
    if umask & _OTHERS == _OTHERS:
        os.umask(umask)
    transform, environment = Path(os.environ.get("DBT_PROJECT_DIR") or "."), os.environ.get("MELTANO_ENVIRONMENT")
    place = transform.absolute().parent / "environments" / (environment or "sandbox") / "mapping"
    if (environment or "sandbox") == "sandbox":
        make_mapping(transform, place)
    if sentence := unreadable(place):
        sys.exit(f"Error: {sentence}")
    if environment:  # what is parsed for one is not for another, which may be built at the same time
        os.environ.setdefault("DBT_TARGET_PATH", str(transform.absolute() / "target" / environment))
    program = str(Path(sys.executable).with_name("dbt"))
    os.execv(program, [program, *sys.argv[1:]])  # noqa: S606 - a program beside this one
