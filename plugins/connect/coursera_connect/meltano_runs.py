"""Meltano's record of runs, as far as a run that was killed still stands in it as running.

Meltano refuses a second run with the same state id until the first has ended, or has not said for five minutes that it
is alive, which it does every second. A job that was killed and is started again should not have to wait so long.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DATABASE = "MELTANO_DATABASE_URI"
FOLDER = "MELTANO_SYS_DIR_ROOT"
_SQLITE = "sqlite:///"
_STILL = timedelta(seconds=5)
"""For how long a heart has to stand still that beats every second."""
_LOOK_SECONDS = 0.25
_RUNNING = (
    "select id, job_name, last_heartbeat_at, payload from runs "
    "where state = 'RUNNING' and last_heartbeat_at is not null and substr(job_name, 1, length(?)) = ?"
)
_FAIL = "update runs set state = 'FAIL', ended_at = ?, payload = ? where id = ? and last_heartbeat_at = ?"


def end_dead(environment: str, say: Callable[[str], None]) -> None:
    """Note runs of an environment as failed whose process is dead; those that are alive stay.

    Only Meltano's own database is looked at, a SQLite file; one that cannot be read is as Meltano left it.

    Args:
        environment: The Meltano environment, with which state ids begin.
        say: Is told of each run that is noted as failed.
    """
    place = _place()
    if place is None or not place.is_file():
        return
    try:
        with closing(sqlite3.connect(place, timeout=30)) as database:
            for state_id in _end_dead(database, f"{environment}:"):
                say(f"A run of {state_id} that was killed is noted as failed.")
    except sqlite3.Error as error:
        say(f"Meltano's runs could not be looked at ({type(error).__name__}): it may refuse to run for 5 minutes.")


def _place() -> Path | None:
    uri = os.path.expandvars(os.environ.get(DATABASE, f"{_SQLITE}${FOLDER}/meltano.db"))
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None


def _end_dead(database: sqlite3.Connection, prefix: str) -> list[str]:
    ended: list[str] = []
    first: dict[int, str] = {}
    began = time.monotonic()
    while True:
        undecided = False
        for number, state_id, beat, payload in database.execute(_RUNNING, [prefix, prefix]).fetchall():
            if first.setdefault(number, beat) != beat:
                continue  # alive
            watched = timedelta(seconds=time.monotonic() - began)
            if max(watched, _since(beat)) < _STILL:
                undecided = True
                continue
            told = {**json.loads(payload or "{}"), "error": "The process was killed."}
            ending = datetime.now(timezone.utc).replace(tzinfo=None).isoformat(" ")
            with database:
                if database.execute(_FAIL, [ending, json.dumps(told), number, beat]).rowcount:
                    ended.append(state_id)
        if not undecided:
            return ended
        time.sleep(_LOOK_SECONDS)


def _since(beat: str) -> timedelta:
    # Both clocks are of this machine, whose SQLite file it is.
    return datetime.now(timezone.utc) - datetime.fromisoformat(beat).replace(tzinfo=timezone.utc)
