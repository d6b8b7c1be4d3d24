"""What can go wrong on a normal day: one sentence with its remedy, and an exit code per kind."""

from __future__ import annotations

from typing import Any

from coursera_connect.command_text import carried
from coursera_connect.redaction import redacted


class ConnectError(Exception):
    """An expected failure. `str()` is one sentence for the operator; no name, e-mail or cell of a table is in it."""

    exit_code = 1
    report: dict[str, Any] | None = None
    """What is known of the run that it ended, where it ended one."""

    def __init__(self, sentence: str) -> None:
        """Take the sentence, which is printed, stored and posted: without passwords, its commands complete."""
        super().__init__(redacted(carried(sentence)))


class UsageError(ConnectError):
    """A setting cannot be used as it is (exit code 2, the code click gives to a wrong option)."""

    exit_code = 2


class DatabaseError(ConnectError):
    """The database is missing, locked by another process, damaged, or holds no OneRoster models (exit code 3)."""

    exit_code = 3


class OutputError(ConnectError):
    """The package cannot be written, or another publish of the same package does not end (exit code 4)."""

    exit_code = 4


class PackageError(ConnectError):
    """A package that was to be read is missing, no zip, damaged, or unpacks to too much (exit code 4)."""

    exit_code = 4


class DeliveryError(ConnectError):
    """The package did not reach its receiver, who keeps the file of the last delivery (exit code 5)."""

    exit_code = 5


class BlockedError(ConnectError):
    """A guard stopped the publish: more would leave or change than the threshold allows (exit code 6)."""

    exit_code = 6


class RefusedError(ConnectError):
    """What was asked for is not allowed yet, or any more; the sentence says what has to come first (exit code 7)."""

    exit_code = 7


class SchedulerError(ConnectError):
    """This machine's cron, or its systemd, cannot be used (exit code 8)."""

    exit_code = 8
