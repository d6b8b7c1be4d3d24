"""Runs commands as a user who has installed only the packages; nothing of this environment is passed on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TAP = ROOT / "tap-coursera"
README = (TAP / "README.md").read_text(encoding="utf-8")
UV = Path(sys.executable).with_name("uv")  # uv comes with Meltano.
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def environment(**more: str) -> dict[str, str]:
    """Return the variables of this process without those that would change the installed programs."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "TAP_", "TARGET_", "VIRTUAL_ENV"))}
    certificates = {"UV_SYSTEM_CERTS": "true"} if SYSTEM_CERTIFICATES.exists() else {}
    return {**kept, **certificates, "UV_PYTHON_DOWNLOADS": "never", **more}


def run(*command: str | Path, env: dict[str, str] | None = None, **more: Any) -> str:
    """Return the standard output of a command; a command that fails also fails the test, with its last lines."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, env=env or environment(), capture_output=True, text=True, check=False, timeout=240, **more
    )
    if done.returncode:
        pytest.fail(
            f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"[-8000:]
        )
    return done.stdout


def install(*command: str | Path, env: dict[str, str] | None = None, **more: Any) -> None:
    """Run a command of uv from its cache, without network; use the network only if the cache lacks a package."""
    chosen = env or environment()
    stored = subprocess.run(
        command, env={**chosen, "UV_OFFLINE": "true"}, capture_output=True, check=False, timeout=240, **more
    )
    if stored.returncode:
        run(*command, env=chosen, **more)


def new_environment(folder: Path, python: str, *packages: Path | str) -> Path:
    """Make a virtual environment with packages and their dependencies, and return its folder of commands."""
    run(UV, "venv", "--quiet", "--no-project", "--python", python, folder)
    install(UV, "pip", "install", "--quiet", "--python", folder / "bin/python", *packages)
    return folder / "bin"


def blocks(heading: str) -> str:
    """The commands that the tap's README shows under a heading."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"^```bash\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL))
