"""dbt, whose files other users of the machine cannot read.

Its log holds rows of the mapping files, its folder `target` their queries, and the write-ahead log of DuckDB the tables
that it builds. Meltano starts it with the umask of the shell, which is 022 on most machines.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_OTHERS = 0o007


def main() -> None:
    """Become dbt, with the same arguments; a umask that keeps other users out already stays."""
    umask = os.umask(0o077)
    if umask & _OTHERS == _OTHERS:
        os.umask(umask)
    program = str(Path(sys.executable).with_name("dbt"))
    os.execv(program, [program, *sys.argv[1:]])  # noqa: S606 - a program beside this one
