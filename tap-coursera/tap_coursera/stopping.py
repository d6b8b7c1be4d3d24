"""Ending when told to: which moments are fit for it, and what happens when none of them comes.

A signal may arrive at any moment. During a run it is kept until the next fit one: a row or a state has been written, or
an answer is waited for. So no message is torn, and no bookmark is ahead of the rows that it speaks for.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from sys import UnraisableHookArgs
    from types import FrameType

T = TypeVar("T")

logger = logging.getLogger("tap-coursera")

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE = 2.0
"""Seconds until the process ends wherever it is: the loader may not read, or the name of a host not be found."""
_NUDGE = 0.1
"""Seconds after which the main thread gets the signal again until then."""
_LAST_WORDS = 0.2
"""Seconds that the last sentence may take then, since standard error may be stuck, too."""
_CUT_OFF = (
    "Stopped by %s in the middle of something that did not end, so the last message may be cut off: run again with the "
    "last state that the loader wrote."
)


class Stopped(SystemExit):
    """The process was told to end; with the exit code that shells give a signal."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.signum = signum

    def tell(self) -> None:
        """The one sentence in the log, and the last: requests that are still under way keep quiet from here on."""
        logger.warning(
            "Stopped by %s before the end: run again with the last state to go on.",
            signal.Signals(self.signum).name,
        )
        logging.disable()


class Stop:
    """The wish to end, of which a process has one."""

    def __init__(self) -> None:
        self._signum: int | None = None
        self._raised = False
        self._fit = True
        self._awake: socket.socket | None = None

    def watch(self) -> None:
        """Heed the signals from now on; to be called once, by the main thread of a command.

        A second signal changes nothing, because two are usual: a terminal sends one to the tap and one to Meltano,
        which sends another one on.
        """
        # Python runs handlers only between two steps of the main thread, but writes to this socket at once.
        waiting, self._awake = socket.socketpair()
        self._awake.setblocking(False)
        signal.set_wakeup_fd(self._awake.fileno(), warn_on_full_buffer=False)
        for one in SIGNALS:
            signal.signal(one, self._heed)
        threading.Thread(target=_end_hard, args=(waiting, threading.get_ident()), name="stop", daemon=True).start()

    def defer(self) -> None:
        """From now on only fit moments are fit."""
        self._fit = False

    @staticmethod
    def forget() -> None:
        """From now on the process ends anyway; on its way out Python would let a signal kill it, and the exit code."""
        sys.unraisablehook = _without_late_signals
        for one in SIGNALS:
            signal.signal(one, signal.SIG_IGN)

    def fits(self) -> None:
        """This moment is fit.

        Raises:
            Stopped: if the process was told to end; once only, so that what is left to do can be done.
        """
        if self._signum is not None and not self._raised:
            self._raised = True
            raise Stopped(self._signum)

    def fits_during(self, wait: Callable[[], T]) -> T:
        """The result of a call that only waits, and may be broken off at any moment.

        Raises:
            Stopped: as `fits` does.
        """
        before, self._fit = self._fit, True
        try:
            self.fits()
            return wait()
        finally:
            self._fit = before

    def _heed(self, signum: int, _frame: FrameType | None) -> None:
        if self._signum is None:
            self._signum = signum
        if self._fit:
            self.fits()


def _without_late_signals(what: UnraisableHookArgs) -> None:
    # One that another thread took a moment before its handler went is an error to Python, whose line would be last.
    if what.exc_type is not OSError or what.object is not None:
        sys.__unraisablehook__(what)


def _end_hard(waiting: socket.socket, main: int) -> None:
    signum = 0
    while signum not in SIGNALS:
        signum = waiting.recv(1)[0]
    for _ in range(round(GRACE / _NUDGE)):
        time.sleep(_NUDGE)
        # One that another thread took, or that came just ahead of a wait, did not wake the main thread.
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(main, signum)
    last_words = threading.Thread(target=logger.warning, args=(_CUT_OFF, signal.Signals(signum).name), daemon=True)
    last_words.start()
    last_words.join(_LAST_WORDS)
    os._exit(128 + signum)


stop = Stop()
