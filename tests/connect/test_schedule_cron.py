"""A real cron runs a real Meltano through the entry that was installed.

cron and crontab see a spool of their own, in a mount namespace, so this machine's crontabs stay as they are.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

CRON, NEEDED = shutil.which("cron", path="/usr/sbin:/usr/bin"), ("crontab", "nsenter", "unshare")
MELTANO = Path(sys.executable).with_name("meltano")
CONNECT = Path(__file__).resolve().parents[2] / ".meltano" / "utilities" / "connect" / "venv" / "bin" / "connect"
"""As Meltano has it: the one beside Python belongs to this project alone."""
OTHERS = b'# somebody else\'s, \xff\nMAILTO=""\n17 3 * * * echo 50\\%\n'
SPOOL = """\
set -e
mount -t tmpfs -o mode=1730,gid=$(getent group crontab | cut -d: -f3) spool /var/spool/cron/crontabs
mount -t tmpfs run /run
mount -t tmpfs jobs /etc/cron.d
touch /run/none
mount --bind /run/none /etc/crontab
echo ready
exec sleep 600
"""
PROJECT = f"""\
project_id: 5d3f7c0e-6a0b-4a3e-9d57-3b9a0f0c5c12
send_anonymous_usage_stats: false
environments: [{{name: prod}}]
plugins:
  utilities:
    - {{name: connect, namespace: connect, executable: {CONNECT}, commands: {{lock: {{args: lock}}}}}}
    - {{name: tool, namespace: tool, executable: /bin/sh, commands: {{say: {{args: "-c 'echo $NIGHTLY in; pwd'"}}}}}}
jobs: [{{name: tick, tasks: ["connect:lock tool:say"]}}]
schedules: [{{name: tick, interval: "* * * * *", job: tick, env: {{NIGHTLY: it is on time}}}}]
"""


def cannot() -> str:
    missing = [name for name in NEEDED if not shutil.which(name)]
    if CRON is None or missing:
        return "there is no cron to run what is installed: on Debian `apt-get install cron`"
    if os.getuid() or subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        return "cron and its spool can be kept apart from this machine's by root alone, where it may `unshare --mount`"
    return ""


pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(cannot()), reason=cannot())]


class Apart:
    """A namespace in which nobody has a crontab, and its commands."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.keeper = subprocess.Popen(["unshare", "--mount", "sh", "-c", SPOOL], stdout=subprocess.PIPE, text=True)
        assert self.keeper.stdout is not None
        assert self.keeper.stdout.readline() == "ready\n"

    def command(self, *words: str | Path) -> list[str]:
        return ["nsenter", f"--mount=/proc/{self.keeper.pid}/ns/mnt", *map(str, words)]

    def run(self, *words: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        environment = {
            **os.environ,
            "MELTANO_PROJECT_ROOT": str(self.project),
            "MELTANO_ENVIRONMENT": "prod",
            "CONNECT_SCHEDULE_LOGS": str(self.project / "logs"),
        }
        command = self.command(*words)
        return subprocess.run(command, input=given, capture_output=True, check=False, env=environment)

    def schedule(self, *words: str) -> str:
        done = self.run(CONNECT, "schedule", *words)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode() + done.stderr.decode()

    def crontab(self) -> bytes:
        return self.run("crontab", "-l").stdout


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Apart]:
    project = tmp_path / "St. Mary's 100% college"
    project.mkdir()
    (project / "meltano.yml").write_text(PROJECT)
    found = Apart(project)
    yield found
    found.keeper.kill()
    found.keeper.communicate()


def until(text: str, log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not (log.is_file() and text in log.read_text()):
        assert time.monotonic() < deadline, f'no "{text}" in {log.read_text() if log.is_file() else log}'
        time.sleep(0.2)


def test_cron_runs_meltano_through_the_installed_entry_one_run_at_a_time(apart: Apart) -> None:
    assert apart.run("crontab", "-", given=OTHERS).returncode == 0
    apart.schedule("install", "--meltano", str(MELTANO))
    installed = apart.crontab()
    apart.schedule("install", "--meltano", str(MELTANO))
    assert apart.crontab() == installed
    assert installed.startswith(OTHERS)
    log = apart.project / "logs" / "tick.log"
    lock = apart.project / "output" / ".job.lock"
    lock.parent.mkdir()
    with lock.open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        holder.write('{"who": "a run by hand", "pid": 1, "born": 0, "run": ""}')
        holder.flush()
        bare = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}  # as at boot
        cron = subprocess.Popen(apart.command(str(CRON), "-f"), env=bare, stdin=subprocess.DEVNULL)
        try:
            until("Waiting up to 3600 seconds for a run by hand.", log, 150)
            assert "it is on time" not in log.read_text()
            fcntl.flock(holder, fcntl.LOCK_UN)
            until("tick of prod ended with exit code 0", log, 100)
            assert "No cron seems to run" not in apart.run(CONNECT, "schedule", "status").stderr.decode()
        finally:
            cron.terminate()
            cron.wait()
        fcntl.flock(holder, fcntl.LOCK_EX)  # The run of the next minute, if there was one.
    told = log.read_text()
    assert "it is on time in" in told
    assert str(apart.project) in told
    assert log.stat().st_mode & 0o777 == 0o600
    apart.schedule("remove")
    assert apart.crontab() == OTHERS
