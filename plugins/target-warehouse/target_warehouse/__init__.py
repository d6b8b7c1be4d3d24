"""The loader of the jobs: target-duckdb, or target-postgres if CONNECT_WAREHOUSE is `postgres`.

A job in meltano.yml has to name its loader, and Meltano expands no variable in that name.

target-postgres finds its database by the variables of libpq (PGHOST, PGUSER and so on). `postgres.json` has settings
that suit tap-coursera; settings of the user outrank them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

LOADERS = ("duckdb", "postgres")


def main() -> None:
    """Run the chosen loader with the same arguments."""
    chosen = os.environ.get("CONNECT_WAREHOUSE") or "duckdb"
    if chosen == "postgres":
        from target_warehouse.postgres import TargetWarehouse  # noqa: PLC0415 - who loads into a file need not wait for it

        TargetWarehouse.cli(["--config", str(Path(__file__).with_name("postgres.json")), *sys.argv[1:]])
    elif chosen == "duckdb":
        program = str(Path(sys.executable).with_name("target-duckdb"))
        os.execv(program, [program, *sys.argv[1:]])  # noqa: S606 - a program beside this one
    else:
        sys.exit(f"CONNECT_WAREHOUSE is {chosen!r}, and there are {' and '.join(LOADERS)}: choose one of them.")
