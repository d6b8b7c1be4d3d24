"""The files of a release after two nights at a made-up college, saved to test that the next release continues them.

    python -m tests.pipeline.saved_release COMMIT

sets that release up in a temporary folder (some minutes), lets it load, map and publish, and writes
`saved/COMMIT.tar.xz`: the warehouse, the package with its report, Meltano's database, the mapping and the clock of the
sandbox. All people in it are the sandbox's. The file of the last release is to be made when the next one is begun.
"""

from __future__ import annotations

import io
import os
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).with_name("saved")
LEARNERS = 60
"""Size of the made-up college; the clock of the sandbox is among the files."""
PARTS = (
    "output/sandbox/warehouse.duckdb",
    "output/sandbox/oneroster.zip",
    "output/sandbox/publish-report.json",
    ".meltano/meltano.db",
    ".meltano/run/coursera-sandbox/clock.json",
    "transform/mapping/sandbox/school_mapping.csv",
)
MOVED = {
    ".meltano/run/coursera-sandbox/clock.json": ".meltano/coursera-sandbox/clock.json",
    "transform/mapping/sandbox/school_mapping.csv": "environments/sandbox/mapping/school_mapping.csv",
}
"""What has another place now; see docs/upgrading.md."""
PORT = "8749"


def main(commit: str) -> None:
    """Save the files of a release."""
    with tempfile.TemporaryDirectory(prefix="release-") as name:
        folder = Path(name)
        source = subprocess.run(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(source)) as archive:
            archive.extractall(folder, filter="data")
        subprocess.run(["make", "setup", f"PYTHON={sys.executable}"], cwd=folder, check=True)
        try:
            two_nights(folder)
        finally:
            meltano(folder, "invoke", "coursera-sandbox:stop")
        with closing(sqlite3.connect(folder / ".meltano/meltano.db")) as database:
            database.execute("pragma wal_checkpoint(truncate)")
            database.execute("vacuum")
        with tarfile.open(FOLDER / f"{commit}.tar.xz", "w:xz", preset=9) as archive:
            for part in PARTS:
                archive.add(folder / part, part, filter=plain)


def two_nights(folder: Path) -> None:
    """Load, map the programs to two schools and publish; and two days later again."""
    meltano(folder, "invoke", "coursera-sandbox:start", "--learners", str(LEARNERS))
    meltano(folder, "run", "tap-coursera", "target-duckdb")
    with duckdb.connect(str(folder / PARTS[0]), read_only=True) as database:
        programs = database.execute("select id, name from coursera.programs order by id").fetchall()
    with (folder / "transform/mapping/sandbox/school_mapping.csv").open("a", encoding="utf-8") as mapping:
        for number, (program, title) in enumerate(programs):
            school = ("north", "south")[number % 2]
            mapping.write(f'{program},"{title}",{school},{school.title()} School\n')
    meltano(folder, "run", "dbt:build", "connect:publish")
    meltano(folder, "invoke", "coursera-sandbox:advance", "--days", "2")
    meltano(folder, "run", "grade-sync")


def meltano(folder: Path, *words: str) -> None:
    """Run a command of the release in its sandbox environment."""
    ours = ("TAP_", "TARGET_", "DBT_", "CONNECT_", "COURSERA_", "MELTANO_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    page = folder / "meltano.yml"
    page.write_text(page.read_text().replace('"8737"', f'"{PORT}"'))
    command = [str(folder / ".venv/bin/meltano"), "--environment=sandbox", *words]
    subprocess.run(command, cwd=folder, env={**kept, "NO_COLOR": "1"}, check=True)


def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove the owner and the time of a file."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def unpack(saved: Path, folder: Path) -> None:
    """Put the files of a release into a copy of the project."""
    with tarfile.open(saved) as archive:
        for member in archive.getmembers():
            member.name = MOVED.get(member.name, member.name)
            archive.extract(member, folder, filter="data")


if __name__ == "__main__":
    main(sys.argv[1])
