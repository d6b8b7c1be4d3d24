"""Locks on open files: the system takes them back from whoever dies, however that happens."""

from __future__ import annotations

import fcntl
import time

_RETRY_SECONDS = 0.1


def taken(handle: int) -> bool:
    """Take the only lock of an open file, now; false where another process has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def taken_within(handle: int, seconds: float) -> bool:
    """Take the only lock of an open file; false where another process had it all the time."""
    deadline = time.monotonic() + seconds
    while not taken(handle):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_RETRY_SECONDS)
    return True
