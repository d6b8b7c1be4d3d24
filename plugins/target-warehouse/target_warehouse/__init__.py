"""The loader of the jobs: target-duckdb, or target-postgres where CONNECT_WAREHOUSE is `postgres`.

Meltano takes settings from the environment, but not the names in a job, and a job has to name its loader.

target-postgres finds its database by libpq's own variables (PGHOST, PGUSER and so on). `postgres.json` has what is
right for our tap; a setting that is chosen outranks it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

LOADERS = ("duckdb", "postgres")


def main() -> None:
    """Be the loader, with the same arguments."""
    chosen = os.environ.get("CONNECT_WAREHOUSE") or "duckdb"
    if chosen == "postgres":
        from target_warehouse.postgres import TargetWarehouse  # noqa: PLC0415 - who loads into a file need not wait for it

        TargetWarehouse.cli(["--config", str(Path(__file__).with_name("postgres.json")), *sys.argv[1:]])
    elif chosen == "duckdb":
        program = str(Path(sys.executable).with_name("target-duckdb"))
        os.execv(program, [program, *sys.argv[1:]])  # noqa: S606 - a program beside this one
    else:
        sys.exit(f"CONNECT_WAREHOUSE is {chosen!r}, and there are {' and '.join(LOADERS)}: choose one of them.")
