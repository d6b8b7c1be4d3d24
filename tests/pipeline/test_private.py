"""Files that hold people or credentials are private from their creation: no `make`, umask 022, open folders."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.pipeline.project import Project

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

CODE = {
    "plugins",
    "scripts",
    "tap-coursera",
    "transform/macros",
    "transform/models",
    "transform/mapping",
    "transform/tests",
}
PLUGINS = {".meltano/extractors", ".meltano/loaders", ".meltano/utilities"}
OPEN = 0o077


def files(root: Path) -> Iterator[tuple[str, int]]:
    """Every file and folder that a run can have made, with its mode."""
    for place, folders, names in os.walk(root):
        at = Path(place).relative_to(root)
        folders[:] = [name for name in folders if str(at / name) not in CODE | PLUGINS]
        for name in (*folders, *names):
            with suppress(FileNotFoundError):
                yield str(at / name), stat.S_IMODE((root / at / name).lstat().st_mode)


def test_a_whole_run_makes_no_file_that_others_can_read_and_closes_those_that_are_open(project: Project) -> None:
    root = project.root
    for folder in ("output/sandbox/logs", "transform/target", "transform/logs", ".meltano/run"):
        (root / folder).mkdir(mode=0o755, parents=True)
    earlier = [root / "output/sandbox/logs/earlier.log", root / "transform/logs/earlier.log", root / ".env"]
    for path in earlier:
        path.write_text("")
        path.chmod(0o644)
    there = {name for name, _ in files(root)}
    seen: dict[str, int] = {}
    exposed: set[str] = set()  # The settings of a plugin, including the secret.
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            for name, mode in files(root):
                if name not in there:
                    seen[name] = seen.get(name, 0) | mode
                if name.endswith(".config.json") and (root / ".meltano").stat().st_mode & OPEN:
                    exposed.add(name)
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        done = subprocess.run(
            project.command("run", "demo"),
            cwd=root,
            env=project.env(),
            umask=0o022,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
    finally:
        ended.set()
        watcher.join()
    assert done.returncode == 0, done.stdout + done.stderr

    # Meltano creates its files with the umask of the shell, in a folder that no other user can enter.
    ours = {name: mode for name, mode in seen.items() if not name.startswith(".meltano/")}
    sandbox = {name: mode for name, mode in seen.items() if name.startswith(".meltano/coursera-sandbox/")}
    for kind in ("warehouse.duckdb", "warehouse.duckdb.wal", "oneroster.zip", "report.html", "batches/", ".loading-"):
        assert any(kind in name for name in ours), f"no {kind} was seen"
    assert any(name.startswith("transform/logs/dbt") for name in ours)
    assert any(name.startswith("transform/target/") for name in ours)
    assert sandbox
    assert any(name.endswith(".config.json") for name in seen)
    assert not exposed
    open_files = {name: oct(mode) for name, mode in (ours | sandbox).items() if mode & OPEN}
    assert not open_files

    now = dict(files(root))
    folders = ("output", "output/sandbox", "transform/target", "transform/logs", ".meltano", ".meltano/run")
    closed = [*folders, ".meltano/meltano.db", *(str(path.relative_to(root)) for path in earlier)]
    assert {name: oct(now[name]) for name in closed if now[name] & OPEN} == {}
