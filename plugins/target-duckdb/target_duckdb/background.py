"""Work beside the reading of lines: jobs done one after the other, in their order."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Background:
    """Does jobs in threads, never two at a time; after one that failed it does no more.

    The error of a job is raised by the next call of `start`, `check` or `wait`, and by each one after it.
    """

    def __init__(self) -> None:
        self._latest: threading.Thread | None = None
        self._at_work: int | None = None
        self._error: BaseException | None = None

    @property
    def is_here(self) -> bool:
        """Whether the caller is one of the jobs."""
        return self._at_work == threading.get_ident()

    def start(self, job: Callable[[], None]) -> None:
        """Do a job once those before it are done, while the caller goes on."""
        self.check()
        self._latest = threading.Thread(target=self._work, args=(job, self._latest))
        self._latest.start()

    def check(self) -> None:
        """Raise the error of a job that failed, if one did."""
        if self._error is not None:
            raise self._error

    def join(self) -> None:
        """Return when all jobs are done or given up."""
        if self._latest is not None:
            self._latest.join()
            self._latest = None

    def wait(self) -> None:
        """Return when all jobs are done.

        Raises:
            Exception: What a job failed with.
        """
        self.join()
        self.check()

    def _work(self, job: Callable[[], None], before: threading.Thread | None) -> None:
        if before is not None:
            before.join()
        if self._error is None:
            self._at_work = threading.get_ident()
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised where the lines are read
                self._error = error
            self._at_work = None
