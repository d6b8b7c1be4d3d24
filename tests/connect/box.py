"""A server with a Meltano project on it, whose `crontab`, `systemctl`, `loginctl` and `meltano` are small stand-ins."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from click.testing import CliRunner

from coursera_connect.cli.main import main

if TYPE_CHECKING:
    import pytest
    from click.testing import Result

CRONTAB = """\
[ -z "$CRONTAB_REFUSES" ] || { echo "You (ann) are not allowed to use this program (crontab)" >&2; exit 1; }
case $1 in
-l) [ -e "$BOX/crontab" ] || { echo 'no crontab for ann' >&2; exit 1; }; cat "$BOX/crontab" ;;
-r) rm "$BOX/crontab" ;;
-)
    cat > "$BOX/new"
    grep -q ' 99 ' "$BOX/new" && { echo '"-":0: bad hour' >&2; exit 1; }
    mv "$BOX/new" "$BOX/crontab" ;;
esac
"""
SYSTEMCTL = """\
shift
echo "$*" >> "$BOX/systemctl"
[ -z "$NO_SESSION" ] || { echo 'Failed to connect to bus: No medium found' >&2; exit 1; }
[ "$1" != is-active ] || [ -z "$ASLEEP" ]
"""
LOGINCTL = 'echo "${LINGER:-yes}"'
MELTANO = 'echo "$@ in $PWD"; echo "umask $(umask), path $PATH"; touch made; [ ! -e fails ] || { seq 40; exit 3; }'


class Box:
    """`jobs` of the project are `load`, in the environments `prod`, `trial` and `sandbox`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.project = folder / "college"
        self.project.mkdir()
        self.programs = folder / "bin"
        self.programs.mkdir()
        stands_in = {"crontab": CRONTAB, "systemctl": SYSTEMCTL, "loginctl": LOGINCTL, "meltano": MELTANO}
        for name, script in stands_in.items():
            self.program(name, script)
        # This folder holds `connect`, so that an entry can be run as it is written.
        for name, value in {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "BOX": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "MELTANO_PROJECT_ROOT": str(self.project),
            "MELTANO_ENVIRONMENT": "prod",
            "CONNECT_SCHEDULE_LOGS": str(self.logs),
            "CONNECT_SCHEDULE_TIME_ZONE": "UTC",
            "TZ": "UTC",
        }.items():
            monkeypatch.setenv(name, value)
        self.schedules(nightly="30 2 * * *")

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def units(self) -> Path:
        return self.folder / "config" / "systemd" / "user"

    def program(self, name: str, script: str) -> None:
        (self.programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.programs / name).chmod(0o755)

    def schedules(self, **intervals: str) -> None:
        entries = "".join(f"  - {{name: {name}, interval: '{cron}', job: load}}\n" for name, cron in intervals.items())
        (self.project / "meltano.yml").write_text(
            "environments: [{name: prod}, {name: trial}, {name: sandbox}]\n"
            f"jobs: [{{name: load, tasks: [tap target]}}]\nschedules:\n{entries}"
        )

    def connect(self, *words: str) -> Result:
        return CliRunner().invoke(main, ["schedule", *words])

    def good(self, *words: str) -> str:
        done = self.connect(*words)
        assert done.exit_code == 0, done.output
        return done.output

    @property
    def crontab(self) -> bytes | None:
        path = self.folder / "crontab"
        return path.read_bytes() if path.exists() else None

    @crontab.setter
    def crontab(self, content: bytes) -> None:
        (self.folder / "crontab").write_bytes(content)

    @property
    def entries(self) -> list[str]:
        """Return the lines of the crontab that start something."""
        return [line for line in os.fsdecode(self.crontab or b"").splitlines() if line and line[0] in "*0123456789"]

    @property
    def calls(self) -> list[str]:
        """Return the calls of systemctl since the last time this was asked."""
        path = self.folder / "systemctl"
        told = path.read_text().splitlines() if path.exists() else []
        path.write_text("")
        return told


CONNECT = Path(sys.executable).with_name("connect")
