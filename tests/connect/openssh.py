"""A real OpenSSH server on a port of this machine, for one user and one folder, and a disk that is soon full."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROGRAM = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
NEEDED = pytest.mark.skipif(
    _PROGRAM is None, reason="there is no OpenSSH server here; as root, `make sshd` installs one"
)
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can lock somebody into a folder, or mount a disk")
START_SECONDS = 20


@dataclass(frozen=True)
class OpenSsh:
    """The server: `folder` is where the tests deliver to."""

    folder: Path
    port: int
    key_file: Path
    host_key: str

    @property
    def address(self) -> str:
        return f"sftp://{getpass.getuser()}@127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.address}{self.folder}/"

    @property
    def access(self) -> dict[str, str]:
        return {"host_key": self.host_key, "key_file": str(self.key_file)}


@contextmanager
def openssh(place: Path, *lines: str, sftp: str = "internal-sftp", folder: Path | None = None) -> Iterator[OpenSsh]:
    """Run the server. `lines` are added to its configuration; `sftp` is the command of its subsystem."""
    place.mkdir(exist_ok=True)
    folder = folder or place / "in"
    folder.mkdir(exist_ok=True)
    for name in ("host", "user"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(place / name)]
        subprocess.run(make, check=True, timeout=30)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # The folder in which the server confines the process that talks to clients that have not logged in.
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    settings = [
        "ListenAddress 127.0.0.1",
        f"Port {port}",
        f"HostKey {place / 'host'}",
        f"AuthorizedKeysFile {place / 'user.pub'}",
        "PidFile none",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "PermitRootLogin yes",
        f"Subsystem sftp {sftp}",
        *lines,
    ]
    (place / "sshd_config").write_text("\n".join(settings) + "\n")
    assert _PROGRAM is not None
    command = [_PROGRAM, "-D", "-e", "-f", str(place / "sshd_config")]
    with (place / "log").open("w") as log, subprocess.Popen(command, stderr=log) as server:
        try:
            _wait(port, server, place / "log")
            yield OpenSsh(folder, port, place / "user", " ".join((place / "host.pub").read_text().split()[:2]))
        finally:
            server.terminate()


def _wait(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(log.read_text())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a disk that is soon full cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
