"""The journal: every run of a job and how it ended, in a SQLite file beside the package.

The warehouse cannot hold it, since the warehouse may be what a run waits for in vain. `connect lock`, the first step of
each job, begins an entry; who watches the run ends it (see watch.py), and for a run that nobody watches the holder
of the lock does (see ending.py). A publish takes the ended runs over into the ledger.
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
"""Name of the file, beside the package."""

HAND = "hand"
"""Who started a run that no schedule started."""

SCHEDULE = "schedule:"
"""What stands before the name of the schedule that started a run."""

DONE, FAILED, KILLED, STOPPED = "done", "failed", "killed", "stopped"

_KEPT = timedelta(days=400)
_WAIT = 30.0
_SAME = 2.0
"""Seconds by which the beginning of a process may seem to move, when the clock is set."""
_FOREIGN = timedelta(days=1)
"""For how long a run of another machine, whose processes are not seen here, counts as being at work."""


@dataclass(frozen=True)
class Run:
    """One run of a job.

    Attributes:
        id: Its own; that of Meltano's run, too, where `connect run` started it.
        environment: The Meltano environment.
        job: The name of the job, or what was typed in its place.
        started_by: `hand`, or `schedule:` and the name of the schedule.
        started_at: When it began, UTC.
        meltano_run: Names the run in the environment of its steps; blank before its first step.
        host: The machine.
        pid: The process of the job.
        born: When that began, in seconds since 1970.
        watcher: The process that watches the run and ends its entry; 0 where none does.
        watcher_born: When that began.
        ended_at: When it ended, UTC; blank while it is at work.
        outcome: `done`, `failed`, `killed` or `stopped` (Ctrl-C); blank while it is at work.
        step: The step that failed, as meltano.yml names it.
        sentence: What that step said.
        exit_code: Of Meltano; None where nobody saw it.
        extractor: What the run reads with; blank where it came to no load.
        loaded: `done` or `failed`; blank where it came to no load.
        published: The outcome of its publish; blank where it came to none, `began` while that is at work.
        ledger_run: The number of that publish in the ledger.
        told_at: When somebody was told of its end, UTC.
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
        """Return how long the run took; None while it is at work."""
        began, ended = timestamps.parsed(self.started_at), timestamps.parsed(self.ended_at)
        return max(0.0, (ended - began).total_seconds()) if began and ended else None

    @property
    def schedule(self) -> str:
        """Return the schedule that started the run; blank where a hand did."""
        return self.started_by.removeprefix(SCHEDULE) if self.started_by.startswith(SCHEDULE) else ""

    @property
    def is_alive(self) -> bool:
        """Whether the run is at work, as far as that is seen from here."""
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
    """Return where the journal of a package is."""
    return package.with_name(NAME)


def process(pid: int) -> tuple[int, float]:
    """Return a process and when it began, as an entry names it."""
    with suppress(psutil.Error):
        return pid, psutil.Process(pid).create_time()
    return pid, 0.0


def begin(file: Path, run: Run) -> Run:
    """Begin the entry of a run, or add what is known now to the one that its watcher began; return the entry."""
    told = {name: value for name, value in asdict(run).items() if value != _COLUMNS[name].default}
    told |= {"started_at": run.started_at or now(), "host": socket.gethostname()}
    with _opened(file, write=True) as database:
        oldest = timestamps.written(datetime.now(timezone.utc) - _KEPT)
        database.execute("delete from runs where started_at < ? and id <> ?", [oldest, run.id])
        known = _read(database, "id = ?", [run.id])
        if known:
            # Who began the entry knows best which job it is, since when, and who started it.
            for name in ("job", "started_by", "started_at", "environment"):
                told.pop(name, None)
            _update(database, run.id, told)
        else:
            _insert(database, Run(**told))
        return _read(database, "id = ?", [run.id])[0]


def note(file: Path, run: str, **told: Any) -> None:
    """Add to the entry of a run; where there is none, nothing is added."""
    with _opened(file, write=True) as database:
        _update(database, run, told)


def end(file: Path, run: str, **told: Any) -> bool:
    """End the entry of a run, unless that was done; return whether it was done by this call."""
    told = {"ended_at": now(), **told}
    with _opened(file, write=True) as database:
        return _update(database, run, told, "coalesce(ended_at, '') = ''")


def tell(file: Path, run: str) -> bool:
    """Note that somebody is told of the end of a run; false where somebody was told before."""
    with _opened(file, write=True) as database:
        return _update(database, run, {"told_at": now()}, "coalesce(told_at, '') = ''")


def adopt(file: Path, runs: list[Run]) -> None:
    """Take over runs that began no entry; those that are known stay as they are."""
    with _opened(file, write=True) as database:
        for run in runs:
            if not _read(database, "id = ?", [run.id]):
                _insert(database, run)


def read(file: Path, where: str = "1", values: list[Any] | None = None) -> list[Run]:
    """Return the runs that meet a condition, newest first; none where there is no journal, or none that can be read."""
    if not file.is_file():
        return []
    try:
        with _opened(file) as database:
            return _read(database, where, values or [])
    except (sqlite3.Error, OSError):
        return []


def of_meltano(file: Path, meltano_run: str) -> Run | None:
    """Return the run of which this process is a step; None where the run began no entry."""
    found = read(file, "meltano_run = ?", [meltano_run]) if meltano_run else []
    return found[0] if found else None


@contextmanager
def _opened(file: Path, *, write: bool = False) -> Iterator[sqlite3.Connection]:
    """Open the file; a transaction that writes has it alone from its beginning."""
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
    told = asdict(replace(run, sentence=redacted(run.sentence)))
    marks = ", ".join("?" * len(told))
    database.execute(f"insert into runs ({', '.join(told)}) values ({marks})", list(told.values()))  # noqa: S608 - ours


def _update(database: sqlite3.Connection, run: str, told: dict[str, Any], where: str = "1") -> bool:
    told = {name: redacted(value) if name == "sentence" else value for name, value in told.items() if name != "id"}
    sets = ", ".join(f"{name} = ?" for name in told)
    done = database.execute(f"update runs set {sets} where id = ? and {where}", [*told.values(), run])  # noqa: S608 - ours
    return bool(done.rowcount)


def _lives(pid: int, born: float) -> bool:
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - born) < _SAME and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
