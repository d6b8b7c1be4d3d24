"""Runs `make demo`: the job `demo` in the sandbox by `connect run`, with the next simulated day on each further call.

This script only calls `meltano` and `connect`, so everything can also be done by hand.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
COMMANDS = PROJECT / ".venv" / "bin"
MELTANO = [str(COMMANDS / "meltano"), "--environment=sandbox", "--log-level=disabled", "invoke"]
CONNECT = [str(COMMANDS / "connect"), "--environment=sandbox"]
OUTPUT = PROJECT / "output" / "sandbox"
DAY_DONE = OUTPUT / "demo.done"
"""The file that a successful run leaves; without it the same simulated day is repeated."""

NEXT = """
Try next:
  make demo               the next simulated day: only what changed is fetched
  . .venv/bin/activate    puts `connect` and `meltano` on the path
  connect --environment=sandbox serve
                          the page of this run, in a browser
  connect --environment=prod setup
                          your own organisation (docs/administrators.md)
"""


def called(command: list[str], *words: str) -> int:
    """Run a command in the sandbox, and return its exit code."""
    return subprocess.run([*command, *words], cwd=PROJECT, check=False).returncode


def main() -> int:
    """Advance the clock if this is not the first day, run the job, and stop the sandbox in any case."""
    os.environ.setdefault("NO_COLOR", "1")
    OUTPUT.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Bookmarks that outlived the file they are about would leave most rows out; the loader refuses that.
    fresh = [] if (OUTPUT / "warehouse.duckdb").exists() else ["--full-refresh"]
    try:
        if DAY_DONE.exists():
            DAY_DONE.unlink()
            if failed := called(MELTANO, "coursera-sandbox:advance", "--days", "1"):
                return failed
        if failed := called(CONNECT, "run", *fresh, "demo"):
            return failed
        sys.stdout.write(NEXT)
        DAY_DONE.touch(mode=0o600)
    except KeyboardInterrupt:
        sys.stdout.write("\nStopped.\n")
        return 130
    finally:
        subprocess.run([*MELTANO, "coursera-sandbox:stop"], cwd=PROJECT, check=False, capture_output=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
