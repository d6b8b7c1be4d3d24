"""The command `target-duckdb`, also as `python -m target_duckdb`."""

from __future__ import annotations

import os

from target_duckdb.target import TargetDuckDB

_OTHERS = 0o007


def main() -> None:
    """Load, into files that other users of the machine cannot read; a umask that keeps them out already stays."""
    umask = os.umask(0o077)
    if umask & _OTHERS == _OTHERS:
        os.umask(umask)
    TargetDuckDB.cli()


if __name__ == "__main__":
    main()
