"""A table of a thousand columns, in the memory of an ordinary one."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from tests.target.conftest import COMMAND, record, schema

if TYPE_CHECKING:
    from tests.target.conftest import Loader

WIDTH, ROWS, MEGABYTES = 1_000, 400, 300
PEAK = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
sys.exit(code)
"""


def test_a_thousand_columns_are_loaded_twice_within_300_megabytes(loader: Loader) -> None:
    names = [f"c{number}" for number in range(WIDTH)]
    settings = loader.path.parent.with_name("wide.json")
    settings.write_text(json.dumps({"filepath": str(loader.path), "add_record_metadata": True}))
    for time in ("first", "second"):
        lines = [schema("s", {"id": "integer", **dict.fromkeys(names, "string")}, ["id"])]
        lines += [record("s", {"id": n, **{name: f"{time} {n} {name}" for name in names}}) for n in range(ROWS)]
        text = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        done = subprocess.run(
            [COMMAND.with_name("python"), "-c", PEAK, COMMAND, "--config", settings],
            input=text,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()[-500:]
        assert int(done.stdout.split()[-1]) <= MEGABYTES
        assert loader.rows("SELECT count(*), count(DISTINCT id), min(c7), max(c999) FROM s") == [
            (ROWS, ROWS, f"{time} 0 c7", f"{time} 99 c999")
        ]
