"""A table of a thousand columns, and one of long texts."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.target.conftest import COMMAND, lines, record, schema

if TYPE_CHECKING:
    from tests.target.conftest import Loader

WIDTH, ROWS, MEGABYTES = 1_000, 400, 300
LONG = 120
PEAK = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
sys.exit(code)
"""


def load(loader: Loader, *messages: dict[str, Any]) -> int:
    """Load by the real command, and return the megabytes of memory that it had at most."""
    settings = loader.path.parent.with_name("wide.json")
    settings.write_text(json.dumps({"filepath": str(loader.path), "add_record_metadata": True}))
    done = subprocess.run(
        [COMMAND.with_name("python"), "-c", PEAK, COMMAND, "--config", settings],
        input=lines(*messages),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-500:]
    return int(done.stdout.split()[-1])


def test_a_thousand_columns_are_loaded_twice_within_300_megabytes(loader: Loader) -> None:
    names = [f"c{number}" for number in range(WIDTH)]
    announced = schema("s", {"id": "integer", **dict.fromkeys(names, "string")}, ["id"])
    for time in ("first", "second"):
        rows = [record("s", {"id": n, **{name: f"{time} {n} {name}" for name in names}}) for n in range(ROWS)]
        assert load(loader, announced, *rows) <= MEGABYTES
        assert loader.rows("SELECT count(*), count(DISTINCT id), min(c7), max(c999) FROM s") == [
            (ROWS, ROWS, f"{time} 0 c7", f"{time} 99 c999")
        ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["string", "object"])
def test_records_of_more_than_a_megabyte_are_loaded_and_changed(loader: Loader, kind: str) -> None:
    announced = schema("s", {"id": "integer", "text": kind}, ["id"])
    for time in ("first", "second"):
        texts = (f"{n} {time} " + "abcdefghij" * 140_000 for n in range(LONG))
        rows = [
            record("s", {"id": n, "text": text if kind == "string" else {"a": text}}) for n, text in enumerate(texts)
        ]
        assert load(loader, announced, *rows) <= LONG * 1.4 * 8
        assert loader.rows(
            "SELECT count(*), count(DISTINCT text) FROM s WHERE text::VARCHAR LIKE ?", f"%{time} abc%"
        ) == [(LONG, LONG)]
    # One more brings all of them into DuckDB's hand once more.
    load(loader, announced, record("s", {"id": LONG, "text": "short" if kind == "string" else {"a": "short"}}))
    assert loader.rows("SELECT count(*) FROM s") == [(LONG + 1,)]
