"""The loader of the jobs: target-duckdb, or target-postgres where CONNECT_WAREHOUSE is `postgres`.

Meltano takes settings from the environment, but not the names in a job, and a job has to name its loader.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

LOADERS = {"duckdb": "target-duckdb", "postgres": "target-postgres"}


def main() -> None:
    """Become the loader, with the same arguments."""
    chosen = os.environ.get("CONNECT_WAREHOUSE") or "duckdb"
    if chosen not in LOADERS:
        sys.exit(f"CONNECT_WAREHOUSE is {chosen!r}, and there are {' and '.join(LOADERS)}: choose one of them.")
    program = Path(sys.executable).with_name(LOADERS[chosen])
    os.execv(program, [str(program), *sys.argv[1:]])  # noqa: S606 - a program beside this one
