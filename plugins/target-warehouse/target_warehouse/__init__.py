"""The loader of the jobs: target-duckdb, or target-postgres where CONNECT_WAREHOUSE is `postgres`.

Meltano takes settings from the environment, but not the names in a job, and a job has to name its loader.

target-postgres finds its database by libpq's own variables (PGHOST, PGUSER and so on). `postgres.json` has what is
right for our tap; a setting that is chosen outranks it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

LOADERS: dict[str, tuple[str, ...]] = {
    "duckdb": ("target-duckdb",),
    "postgres": ("target-postgres", "--config", str(Path(__file__).with_name("postgres.json"))),
}


def main() -> None:
    """Become the loader, with the same arguments."""
    chosen = os.environ.get("CONNECT_WAREHOUSE") or "duckdb"
    if chosen not in LOADERS:
        sys.exit(f"CONNECT_WAREHOUSE is {chosen!r}, and there are {' and '.join(LOADERS)}: choose one of them.")
    name, *more = LOADERS[chosen]
    program = str(Path(sys.executable).with_name(name))
    os.execv(program, [program, *more, *sys.argv[1:]])  # noqa: S606 - a program beside this one
