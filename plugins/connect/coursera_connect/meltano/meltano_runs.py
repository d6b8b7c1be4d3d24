"""Reads Meltano's record of loads, and marks runs there that were killed.

Meltano keeps a row for each load (an extractor with its loader) and none for other steps. It refuses a second run with
the same state id until the first has ended, or has sent no heartbeat for five minutes; it sends one each second. A job
that was killed and is started again should not have to wait so long.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
import uuid
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

DATABASE = "MELTANO_DATABASE_URI"
FOLDER = "MELTANO_SYS_DIR_ROOT"
_STILL = timedelta(seconds=5)
"""How long a run without a heartbeat counts as alive; Meltano sends one each second."""
_LOOK_SECONDS = 0.25
_LONG_AGO = 86_400
"""The most seconds that any run takes, also one by hand without a lock."""
_RUNNING = (
    "select id, job_name, last_heartbeat_at, payload from runs "
    "where state = 'RUNNING' and last_heartbeat_at is not null order by id"
)
_FAIL = "update runs set state = 'FAIL', ended_at = ?, payload = ? where id = ? and last_heartbeat_at = ?"


_LOADS = (
    "select run_id, job_name, state, started_at, ended_at, payload, trigger from runs "
    "where state in ('RUNNING', 'SUCCESS', 'FAIL') and started_at >= ? order by started_at, id"
)
_KILLED = "The process was killed."


@dataclass(frozen=True)
class Load:
    """What Meltano's record says of one load.

    Attributes:
        run: The id of Meltano's run.
        extractor: The extractor of the load.
        state: `RUNNING`, `SUCCESS` or `FAIL`.
        started_at: When the load began, UTC.
        ended_at: When the load ended; None if Meltano does not know.
        error: Meltano's words for what failed; blank if nothing did.
        trigger: What started the run, from MELTANO_JOB_TRIGGER.
    """

    run: str
    extractor: str
    state: str
    started_at: datetime
    ended_at: datetime | None
    error: str
    trigger: str

    @property
    def is_killed(self) -> bool:
        """Whether the process was killed, according to `end_dead`."""
        return self.error == _KILLED


def loads(environment: str, since: datetime) -> list[Load]:
    """Return the loads of an environment that began since a time, oldest first; none if the record cannot be read."""
    try:
        database = _record()
        if database is None:
            return []
        with closing(database):
            query = _LOADS if isinstance(database, sqlite3.Connection) else _LOADS.replace("?", "%s")
            rows = database.execute(query, [since.astimezone(timezone.utc).replace(tzinfo=None).isoformat(" ")])
            return [load for row in rows.fetchall() if (load := _load(environment, *row)) is not None]
    except Exception:  # noqa: BLE001 - each driver has errors of its own, and what is told here is an addition
        return []


def _load(environment: str, run: Any, state_id: str, state: str, *rest: Any) -> Load | None:
    started, ended, payload, trigger = rest
    of, _, names = state_id.partition(":")
    if of != environment:
        return None
    error = str(json.loads(payload or "{}").get("error") or "")
    name = str(uuid.UUID(str(run)))
    return Load(name, names.partition("-to-")[0], state, _moment(started), _moment(ended), error, trigger or "")


def _moment(text: Any) -> Any:
    """Return a time of the record with its zone; the record has UTC without a zone."""
    if text is None:
        return None
    found = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    return found.replace(tzinfo=timezone.utc)


def end_dead(environment: str, say: Callable[[str], None]) -> None:
    """Mark runs of an environment as failed if their process is dead; living runs are not changed.

    A record that cannot be read is not changed either.

    Args:
        environment: The Meltano environment, with which state ids begin.
        say: Is called with a sentence for each run that is marked as failed.
    """
    try:
        database = _record()
        if database is not None:
            with closing(database):
                for state_id in _end_dead(database, f"{environment}:"):
                    say(f"A run of {state_id} that was killed is noted as failed.")
    except Exception as error:  # noqa: BLE001 - each driver has errors of its own
        say(f"Meltano's runs could not be looked at ({type(error).__name__}): it may refuse to run for 5 minutes.")


def _record() -> Any:
    return _opened(os.path.expandvars(os.environ.get(DATABASE, f"sqlite:///${FOLDER}/meltano.db")))


def _opened(uri: str) -> Any:
    """Open the database that SQLAlchemy would open, in autocommit mode; None if there is none."""
    dialect, _, place = uri.partition("://")
    if dialect == "sqlite":
        file = Path(place[1:])
        return sqlite3.connect(file, timeout=30, isolation_level=None) if file.is_file() else None
    if dialect.partition("+")[0] == "postgresql":
        import psycopg  # noqa: PLC0415 - only few need it

        return psycopg.connect(f"postgresql://{place}", autocommit=True, connect_timeout=30)
    return None


def _end_dead(database: Any, prefix: str) -> list[str]:
    of_this_machine = isinstance(database, sqlite3.Connection)
    fail = _FAIL if of_this_machine else _FAIL.replace("?", "%s")
    ended: list[str] = []
    first: dict[int, Any] = {}
    began = time.monotonic()
    while True:
        undecided = False
        for number, state_id, beat, payload in database.execute(_RUNNING).fetchall():
            if not state_id.startswith(prefix) or first.setdefault(number, beat) != beat:
                continue  # another environment's, or alive
            still = timedelta(seconds=time.monotonic() - began)
            if of_this_machine:  # so is its clock
                still = max(still, _since(beat))
            if still < _STILL:
                undecided = True
                continue
            values = {**json.loads(payload or "{}"), "error": _KILLED}
            ending = datetime.now(timezone.utc).replace(tzinfo=None).isoformat(" ")
            if database.execute(fail, [ending, json.dumps(values), number, beat]).rowcount:
                ended.append(state_id)
        if not undecided:
            return ended
        time.sleep(_LOOK_SECONDS)


def _since(beat: str) -> timedelta:
    return datetime.now(timezone.utc) - datetime.fromisoformat(beat).replace(tzinfo=timezone.utc)


def remove_settings() -> None:
    """Remove files of old runs in which Meltano passed settings to plugins, secrets among them.

    Meltano removes such a file at the end of a run, but not if the run was killed.
    """
    for file in Path(os.environ.get(FOLDER, ".meltano"), "run").rglob("*.*.config.json"):
        with suppress(OSError):  # another run may remove it as well
            if time.time() - file.stat().st_mtime > _LONG_AGO:
                file.unlink()
