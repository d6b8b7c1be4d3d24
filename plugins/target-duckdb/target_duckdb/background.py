"""Work beside the reading of lines: jobs done one after the other, in their order."""

from __future__ import annotations

import threading
from queue import Queue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Background:
    """Does jobs in one thread; after one that failed it does no more.

    The error of a job is raised by the next call of `start`, `check` or `wait`, and by each one after it.
    """

    def __init__(self) -> None:
        self._jobs: Queue[Callable[[], None] | None] = Queue()
        # One thread for all: each new one would get memory of its own from the allocator.
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def is_here(self) -> bool:
        """Whether the caller is one of the jobs."""
        return self._thread is threading.current_thread()

    def start(self, job: Callable[[], None]) -> None:
        """Do a job once those before it are done, while the caller goes on."""
        self.check()
        if self._thread is None:
            # Whoever ends without `join`, having no database, has no job at work either.
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def check(self) -> None:
        """Raise the error of a job that failed, if one did."""
        if self._error is not None:
            raise self._error

    def join(self) -> None:
        """Return when all jobs are done or given up."""
        if not self.is_here:
            self._jobs.join()

    def wait(self) -> None:
        """Return when all jobs are done.

        Raises:
            Exception: What a job failed with.
        """
        self.join()
        self.check()

    def close(self) -> None:
        """End the thread when all jobs are done or given up."""
        self.join()
        if self._thread is not None:
            self._jobs.put(None)
            self._thread = None

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                if self._error is None:
                    job()
            except BaseException as error:  # noqa: BLE001, PERF203 - it is raised where the lines are read
                self._error = error
            finally:
                del job
                self._jobs.task_done()
        self._jobs.task_done()
