"""Tap and loader as processes on a machine whose clock jumps a month ahead and is corrected later."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.package.singer import selected
from tests.target.conftest import COMMAND

if TYPE_CHECKING:
    from coursera_sandbox.testing import RunningSandbox

LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
needs_faketime = pytest.mark.skipif(
    LIBRARY is None, reason="there is no libfaketime here; as root, `make faketime` installs it"
)


def night(folder: Path, sandbox: RunningSandbox, ahead: str | None) -> str:
    """Read on from the last state and load, with the clock so far ahead; return the log of the tap."""
    tap, loader, state = (folder / f"{name}.json" for name in ("tap", "loader", "state"))
    tap.write_text(json.dumps(sandbox.tap_config | {"emit_activate_version_messages": True}))
    catalog = folder / "catalog.json"
    clock = {} if ahead is None else {"LD_PRELOAD": str(LIBRARY), "FAKETIME": ahead, "DONT_FAKE_MONOTONIC": "1"}

    def run(*program: Any, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            program, input=text, env={**os.environ, **clock}, capture_output=True, check=True, timeout=120
        )

    command = [sys.executable, "-m", "tap_coursera", "--config", str(tap)]
    if not catalog.exists():
        catalog.write_text(
            json.dumps(selected(json.loads(run(*command, "--discover").stdout), ["users", "stream_reads"]))
        )
    command += ["--catalog", str(catalog)] + ["--state", str(state)] * state.exists()
    loader.write_text(json.dumps({"filepath": str(folder / "w.duckdb"), "add_record_metadata": True}))
    read = run(*command)
    done = run(COMMAND, "--config", loader, text=read.stdout)
    state.write_bytes(done.stdout.splitlines()[-1])
    return read.stderr.decode()


def ask(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "w.duckdb")) as connection:
        return connection.execute(query).fetchall()


@needs_faketime
def test_who_leaves_is_removed_after_a_night_with_the_clock_a_month_ahead(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    versions, told = [], []
    for ahead in (None, "+30d", None):
        told.append([line for line in night(tmp_path, sandbox, ahead).splitlines() if "machine's clock" in line])
        ((version, gone),) = ask(
            tmp_path,
            "select max(_sdc_table_version), count(_sdc_deleted_at) from users where not starts_with(id, 'left')",
        )
        assert gone == 0
        versions.append(version)
        if ahead:  # A learner who was there on that night, and has left since.
            ask(tmp_path, "insert into users select * replace ('left' as id) from users limit 1")
    first, leapt, last = versions
    assert 29 < (leapt - first) / 86_400_000 < 31
    assert last == leapt + 1
    assert ask(tmp_path, "select count(*) from users where id = 'left' and _sdc_deleted_at is not null") == [(1,)]
    assert [len(lines) for lines in told] == [0, 1, 1]
    assert "ahead" in told[1][0]
    assert "back" in told[2][0]
