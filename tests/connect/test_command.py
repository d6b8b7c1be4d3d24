"""The command `connect` itself: versions, help, and arguments that it does not know."""

from __future__ import annotations

import subprocess
import sys


def test_the_command_starts_without_what_only_some_deliveries_need() -> None:
    code = "import coursera_connect.cli.main, sys; print(*sorted({'asyncssh', 'requests'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "\n"
