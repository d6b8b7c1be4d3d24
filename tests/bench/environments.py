"""A virtual environment for each contestant, with the versions that a file beside its script pins."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

PEERS = Path(__file__).resolve().parent / "peers"
ROOT = Path(__file__).resolve().parents[2]
_MADE_FROM = "made-from"
_TOLD = ("dlt", "duckdb", "msgspec", "pyarrow", "requests", "singer-sdk", "tap-coursera", "target-duckdb")
"""Packages whose versions are worth a line."""


class SetupError(Exception):
    """An environment that cannot be made; the text says why."""


@dataclass(frozen=True)
class Environments:
    """Environments below a folder, or for quick trials the environment of this process for all contestants."""

    folder: Path
    here: bool = False

    def program(self, environment: str, name: str) -> str:
        """An executable of an environment."""
        if self.here:
            return str(Path(sys.executable).with_name(name))
        return str(self.folder / environment / ("Scripts" if os.name == "nt" else "bin") / name)

    def prepare(self, environment: str) -> None:
        """Make an environment, unless it is there and its pins are the same.

        Raises:
            SetupError: when the packages cannot be installed.
        """
        if self.here:
            return
        pins = PEERS / f"{environment}.txt"
        target = self.folder / environment
        version = _version(pins)
        stamp = target / _MADE_FROM
        if stamp.exists() and stamp.read_text() == version:
            return
        shutil.rmtree(target, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        _uv("venv", "--python", sys.executable, str(target))
        _uv("pip", "install", "--python", self.program(environment, "python"), "-r", str(pins))
        stamp.write_text(version)

    def versions(self, environment: str) -> dict[str, str]:
        """Versions of the packages that matter, by name."""
        script = "from importlib import metadata as m\nfor d in m.distributions(): print(d.name.lower(), d.version)"
        command = [self.program(environment, "python"), "-I", "-c", script]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        installed = dict(line.split(" ", 1) for line in lines)
        return {name: installed[name] for name in _TOLD if name in installed}


def _version(pins: Path) -> str:
    parts = [pins, *(ROOT.glob("*/pyproject.toml")), *(ROOT.glob("plugins/*/pyproject.toml"))]
    return sha256(b"".join(part.read_bytes() for part in sorted(parts)) + sys.executable.encode()).hexdigest()


def _uv(*words: str) -> None:
    # Meltano brings uv along.
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv") or "uv"
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(
        [uv, "--quiet", *words],
        cwd=ROOT,
        env={**env, "UV_PYTHON_DOWNLOADS": "never", "UV_COMPILE_BYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SetupError(f"uv {' '.join(words)}: {done.stderr[-1500:]}")
