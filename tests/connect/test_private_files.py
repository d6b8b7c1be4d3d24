"""The umask of the commands, and the folders that they close to other users."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("umask", "file", "folder"),
    [(0o022, 0o600, 0o700), (0o002, 0o600, 0o700), (0o027, 0o640, 0o750), (0o077, 0o600, 0o700)],
)
@pytest.mark.parametrize("module", ["coursera_connect", "coursera_sandbox", "target_duckdb"])
def test_a_umask_that_lets_strangers_read_becomes_077_and_one_that_does_not_stays(
    module: str, umask: int, file: int, folder: int, tmp_path: Path
) -> None:
    code = (
        f"import os, pathlib, runpy, sys; sys.argv = ['command', '--version']\n"
        f"try: runpy.run_module({module!r}, run_name='__main__')\n"
        "except SystemExit: pass\n"
        "pathlib.Path('file').touch(); pathlib.Path('folder').mkdir()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, umask=umask, check=True, capture_output=True)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "folder")] == [file, folder]


def test_what_is_open_in_the_project_is_closed_and_nothing_else(tmp_path: Path) -> None:
    project = tmp_path / "project"
    held = ["output/prod/warehouse.duckdb", "environments/prod/secrets.env", "transform/target/manifest.json", ".env"]
    others = ["meltano.yml", "transform/models/model.sql", ".meltano/utilities/dbt/venv/bin/dbt"]
    for name in (*held, *others, ".meltano/meltano.db", "../elsewhere/warehouse.duckdb"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).touch()
    (project / "output/link").symlink_to(tmp_path / "elsewhere")

    def modes(*names: str) -> set[int]:
        return {stat.S_IMODE((project / name).stat().st_mode) for name in names}

    def told(umask: int) -> None:
        for path in (project, *project.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        environment = {**os.environ, "MELTANO_PROJECT_ROOT": str(project)}
        command = [sys.executable, "-m", "coursera_connect", "schools", "check", "--mapping", str(tmp_path / "none")]
        subprocess.run(command, env=environment, umask=umask, check=False, capture_output=True)

    folders = ["output", "output/prod", "environments", "environments/prod", "transform/target", ".meltano"]
    told(0o022)
    assert (modes(*held, ".meltano/meltano.db"), modes(*folders)) == ({0o600}, {0o700})
    assert modes(*others, "../elsewhere/warehouse.duckdb") == {0o644}
    told(0o027)
    assert (modes(*held, ".meltano/meltano.db"), modes(*folders)) == ({0o640}, {0o750})
