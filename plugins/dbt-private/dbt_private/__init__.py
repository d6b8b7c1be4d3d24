"""dbt, whose files other users of the machine cannot read, and whose sandbox needs no file of anybody.

Its log holds rows of the mapping files, its folder `target` their queries, and the write-ahead log of DuckDB the tables
that it builds. Meltano starts it with the umask of the shell, which is 022 on most machines. The mapping files of the
sandbox are in no repository, and dbt finds no model without its seeds.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import yaml

_OTHERS = 0o007


def make_mapping(transform: Path) -> None:
    """Make the mapping files of the sandbox that are missing, each with the header that its seed describes."""
    seeds = transform / "models" / "mapping" / "mapping.yml"
    place = transform.absolute().parent / "environments" / "sandbox" / "mapping"
    for seed in yaml.safe_load(seeds.read_text("utf-8"))["seeds"] if seeds.exists() else ():
        file = place / f"{seed['name']}.csv"
        if not file.exists():
            place.mkdir(parents=True, exist_ok=True)
            file.write_text(",".join(seed["config"]["column_types"]) + "\n", "utf-8")


def main() -> None:
    """Become dbt, with the same arguments; a umask that keeps other users out already stays."""
    umask = os.umask(0o077)
    if umask & _OTHERS == _OTHERS:
        os.umask(umask)
    if (os.environ.get("MELTANO_ENVIRONMENT") or "sandbox") == "sandbox":
        make_mapping(Path(os.environ.get("DBT_PROJECT_DIR") or "."))
    program = str(Path(sys.executable).with_name("dbt"))
    os.execv(program, [program, *sys.argv[1:]])  # noqa: S606 - a program beside this one
