"""The journal holds every run of a job and how it ended, in a SQLite file beside the package.

The warehouse cannot hold the journal, since a run may fail because the warehouse is locked. `connect lock`, the first
step of each job, begins an entry. The process that watches the run ends the entry (watch.py); if no process watches,
the holder of the lock ends it (ending.py). A publish copies ended runs into the ledger.
"""

from __future__ import annotations

import os
import socket
import sqlite3
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import psutil

from coursera_connect import timestamps
from coursera_connect.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "journal.sqlite3"
"""The name of the file beside the package."""

HAND = "hand"
"""The value of `started_by` for a run that no schedule started."""

SCHEDULE = "schedule:"
"""The prefix in `started_by` before the name of a schedule."""

DONE, FAILED, KILLED, STOPPED = "done", "failed", "killed", "stopped"

_KEPT = timedelta(days=400)
_WAIT = 30.0
_SAME = 2.0
"""Seconds by which the start time of a process may appear to move when the clock is set."""
_FOREIGN = timedelta(days=1)
"""How long a run of another machine, whose processes cannot be seen here, counts as running."""


@dataclass(frozen=True)
class Run:
    """One run of a job.

    Attributes:
        id: The id of the run; also the id of Meltano's run if `connect run` started it.
        environment: The Meltano environment.
        job: The name of the job, or the words that were typed in its place.
        started_by: `hand`, or `schedule:` and the name of the schedule.
        started_at: When it began, UTC.
        meltano_run: The id that Meltano passes to the steps of the run; blank before the first step.
        host: The machine.
        pid: The process of the job.
        born: When that process began, in seconds since 1970.
        watcher: The process that watches the run and ends its entry; 0 where none does.
        watcher_born: When the watcher began, in seconds since 1970.
        ended_at: When it ended, UTC; blank while it runs.
        outcome: `done`, `failed`, `killed` or `stopped` (Ctrl-C); blank while it runs.
        step: The step that failed, as meltano.yml names it.
        sentence: The error message of that step.
        exit_code: The exit code of Meltano; None if no process saw it.
        extractor: The extractor of the run; blank if the run did not reach a load.
        loaded: `done` or `failed`; blank if the run did not reach a load.
        published: The outcome of its publish; blank if it did not reach one, `began` while the publish runs.
        ledger_run: The number of that publish in the ledger.
        told_at: When a notice of its end was sent, UTC.
        steps: The seconds of each step by its number, as JSON.
    """

    id: str
    environment: str = ""
    job: str = ""
    started_by: str = HAND
    started_at: str = ""
    meltano_run: str = ""
    host: str = ""
    pid: int = 0
    born: float = 0.0
    watcher: int = 0
    watcher_born: float = 0.0
    ended_at: str = ""
    outcome: str = ""
    step: str = ""
    sentence: str = ""
    exit_code: int | None = None
    extractor: str = ""
    loaded: str = ""
    published: str = ""
    ledger_run: int | None = None
    told_at: str = ""
    steps: str = ""

    @property
    def seconds(self) -> float | None:
        """Return how many seconds the run took; None while it runs."""
        began, ended = timestamps.parsed(self.started_at), timestamps.parsed(self.ended_at)
        return max(0.0, (ended - began).total_seconds()) if began and ended else None

    @property
    def schedule(self) -> str:
        """Return the schedule that started the run; blank if it was started by hand."""
        return self.started_by.removeprefix(SCHEDULE) if self.started_by.startswith(SCHEDULE) else ""

    @property
    def is_alive(self) -> bool:
        """Whether the run is still running, as far as this machine can see."""
        if self.ended_at:
            return False
        if self.host != socket.gethostname():
            began = timestamps.parsed(self.started_at)
            return began is not None and datetime.now(timezone.utc) - began < _FOREIGN
        return _lives(self.pid, self.born) or self.is_watched

    @property
    def is_watched(self) -> bool:
        """Whether the process that watches the run lives."""
        return bool(self.watcher) and self.host == socket.gethostname() and _lives(self.watcher, self.watcher_born)


_COLUMNS = {field.name: field for field in fields(Run)}
_TYPES = {"pid": "integer", "watcher": "integer", "exit_code": "integer", "ledger_run": "integer", "born": "real"}
_TYPES["watcher_born"] = "real"


def now() -> str:
    """Return this moment as the journal writes it."""
    return timestamps.written(datetime.now(timezone.utc))


def place(package: Path) -> Path:
    """Return the path of the journal of a package."""
    return package.with_name(NAME)


def process(pid: int) -> tuple[int, float]:
    """Return the id of a process and when it began, as an entry stores them."""
    with suppress(psutil.Error):
        return pid, psutil.Process(pid).create_time()
    return pid, 0.0


def begin(file: Path, run: Run) -> Run:
    """Begin the entry of a run, or complete the entry that its watcher began; return the entry."""
    facts = {name: value for name, value in asdict(run).items() if value != _COLUMNS[name].default}
    facts |= {"started_at": run.started_at or now(), "host": socket.gethostname()}
    with _opened(file, write=True) as database:
        oldest = timestamps.written(datetime.now(timezone.utc) - _KEPT)
        database.execute("delete from runs where started_at < ? and id <> ?", [oldest, run.id])
        known = _read(database, "id = ?", [run.id])
        if known:
            # Who began the entry knows best which job it is, since when, and who started it.
            for name in ("job", "started_by", "started_at", "environment"):
                facts.pop(name, None)
            _update(database, run.id, facts)
        else:
            _insert(database, Run(**facts))
        return _read(database, "id = ?", [run.id])[0]


def note(file: Path, run: str, **facts: Any) -> None:
    """Update the entry of a run; without an entry, do nothing."""
    with _opened(file, write=True) as database:
        _update(database, run, facts)


def end(file: Path, run: str, **facts: Any) -> bool:
    """End the entry of a run unless it has ended; return whether this call ended it."""
    facts = {"ended_at": now(), **facts}
    with _opened(file, write=True) as database:
        return _update(database, run, facts, "coalesce(ended_at, '') = ''")


def tell(file: Path, run: str) -> bool:
    """Record that a notice of the end of a run is sent; return false if one was sent before."""
    with _opened(file, write=True) as database:
        return _update(database, run, {"told_at": now()}, "coalesce(told_at, '') = ''")


def adopt(file: Path, runs: list[Run]) -> None:
    """Add runs that began no entry; known runs are not changed."""
    with _opened(file, write=True) as database:
        for run in runs:
            if not _read(database, "id = ?", [run.id]):
                _insert(database, run)


def read(file: Path, where: str = "1", values: list[Any] | None = None) -> list[Run]:
    """Return the runs that meet a condition, newest first; none if there is no readable journal."""
    if not file.is_file():
        return []
    try:
        with _opened(file) as database:
            return _read(database, where, values or [])
    except (sqlite3.Error, OSError):
        return []


def of_meltano(file: Path, meltano_run: str) -> Run | None:
    """Return the run that this process is a step of; None if that run began no entry."""
    found = read(file, "meltano_run = ?", [meltano_run]) if meltano_run else []
    return found[0] if found else None


@contextmanager
def _opened(file: Path, *, write: bool = False) -> Iterator[sqlite3.Connection]:
    """Open the file; a writing transaction locks it from its beginning."""
    if write:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    with closing(sqlite3.connect(file, timeout=_WAIT, isolation_level=None)) as database:
        database.row_factory = sqlite3.Row
        if not write:
            yield database
            return
        database.execute("begin immediate")
        try:
            _prepare(database)
            yield database
        except BaseException:
            database.execute("rollback")
            raise
        database.execute("commit")


def _prepare(database: sqlite3.Connection) -> None:
    columns = ", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in _COLUMNS)
    database.execute(f"create table if not exists runs ({columns}, primary key (id))")
    known = {row["name"] for row in database.execute("pragma table_info(runs)")}
    for name in _COLUMNS.keys() - known:  # an earlier release did not have it yet
        database.execute(f"alter table runs add column {name} {_TYPES.get(name, 'text')}")


def _read(database: sqlite3.Connection, where: str, values: list[Any]) -> list[Run]:
    rows = database.execute(f"select * from runs where {where} order by started_at desc, rowid desc", values)  # noqa: S608 - ours
    return [
        Run(**{name: row[name] for name in row.keys() if name in _COLUMNS and row[name] is not None})  # noqa: SIM118 - a Row
        for row in rows
    ]


def _insert(database: sqlite3.Connection, run: Run) -> None:
    facts = asdict(replace(run, sentence=redacted(run.sentence)))
    marks = ", ".join("?" * len(facts))
    database.execute(f"insert into runs ({', '.join(facts)}) values ({marks})", list(facts.values()))  # noqa: S608 - ours


def _update(database: sqlite3.Connection, run: str, facts: dict[str, Any], where: str = "1") -> bool:
    facts = {name: redacted(value) if name == "sentence" else value for name, value in facts.items() if name != "id"}
    sets = ", ".join(f"{name} = ?" for name in facts)
    done = database.execute(f"update runs set {sets} where id = ? and {where}", [*facts.values(), run])  # noqa: S608 - ours
    return bool(done.rowcount)


def _lives(pid: int, born: float) -> bool:
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - born) < _SAME and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
