from __future__ import annotations

import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from oneroster_csv.scratch_folder import scratch_folder

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

DIE = """
import os, signal
from oneroster_csv.scratch_folder import scratch_folder
held = scratch_folder()
(held.__enter__() / "rows").write_text("Zoe")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_goes_with_the_next_and_what_is_in_use_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "somebody-else").mkdir()
    assert subprocess.run([sys.executable, "-c", DIE], check=False, timeout=60).returncode == -9
    (left,) = tmp_path.glob("oneroster-csv-*")
    assert (left / "rows").read_text() == "Zoe"
    with scratch_folder() as first:
        assert not left.exists()
        with scratch_folder() as second:
            assert first.is_dir()
            assert second != first
        assert not second.exists()
        assert first.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["somebody-else"]
