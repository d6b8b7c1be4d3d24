"""Runs that were killed are marked as ended in Meltano's own record, and running ones are left alone."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from meltano.core.job.job import Job, State
from meltano.core.models import SystemModel
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from coursera_connect.meltano import meltano_runs
from tests.package import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["sqlite", "postgresql"])
def record(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv(meltano_runs.FOLDER, str(tmp_path))
    monkeypatch.delenv(meltano_runs.DATABASE, raising=False)
    url = f"sqlite:///{tmp_path}/meltano.db"
    with ExitStack() as stack:
        if request.param == "postgresql":
            url = stack.enter_context(postgres.running()).url
            monkeypatch.setenv(meltano_runs.DATABASE, url)
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        SystemModel.metadata.create_all(engine)
        yield stack.enter_context(Session(engine))


def begin(record: Session, state_id: str, *, silent_for: timedelta = timedelta()) -> Job:
    job = Job(job_name=state_id)
    job.start()
    assert job.last_heartbeat_at is not None
    job.last_heartbeat_at -= silent_for
    return job.save(record)


def end_dead(record: Session) -> list[str]:
    said: list[str] = []
    meltano_runs.end_dead("prod", said.append)
    record.expire_all()
    return said


def test_a_run_whose_heart_stands_still_is_noted_as_failed(record: Session) -> None:
    long_ago = begin(record, "prod:tap-to-target", silent_for=timedelta(seconds=6))
    just_now = begin(record, "prod:tap-to-target:suffix", silent_for=timedelta(seconds=4))
    other = begin(record, "production:tap-to-target", silent_for=timedelta(hours=1))
    done = begin(record, "prod:tap-to-target")
    done.success()
    done.save(record)
    assert end_dead(record) == [
        "A run of prod:tap-to-target that was killed is noted as failed.",
        "A run of prod:tap-to-target:suffix that was killed is noted as failed.",
    ]
    for job in (long_ago, just_now):
        assert job.has_error()
        assert job.payload == {"error": "The process was killed."}
        assert job.ended_at is not None
        assert abs(datetime.now(timezone.utc) - job.ended_at) < timedelta(minutes=1)
    assert other.is_running()
    assert done.state is State.SUCCESS


def test_a_run_that_is_alive_stays(record: Session) -> None:
    job = begin(record, "prod:tap-to-target", silent_for=timedelta(seconds=1))
    stop = threading.Event()

    def live() -> None:
        with Session(record.get_bind()) as session:
            mine = session.get_one(Job, 1)
            while not stop.wait(0.5):
                mine._heartbeat()
                mine.save(session)

    heart = threading.Thread(target=live)
    heart.start()
    try:
        assert end_dead(record) == []
    finally:
        stop.set()
        heart.join()
    record.expire_all()
    assert job.is_running()


@pytest.mark.parametrize("record", ["sqlite"], indirect=True)
def test_a_record_that_is_not_there_or_is_another_is_left_alone(
    record: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(record, "prod:tap-to-target", silent_for=timedelta(minutes=1))
    monkeypatch.setenv(meltano_runs.DATABASE, "sqlite:///$MELTANO_SYS_DIR_ROOT/other.db")
    assert end_dead(record) == []
    assert not (tmp_path / "other.db").exists()
    monkeypatch.setenv(meltano_runs.DATABASE, "mysql://127.0.0.1:1/meltano")
    assert end_dead(record) == []
    (tmp_path / "other.db").write_bytes(b"no database at all" * 100)
    monkeypatch.setenv(meltano_runs.DATABASE, "sqlite:///$MELTANO_SYS_DIR_ROOT/other.db")
    assert end_dead(record) == [
        "Meltano's runs could not be looked at (DatabaseError): it may refuse to run for 5 minutes."
    ]
    monkeypatch.setenv(meltano_runs.DATABASE, "postgresql+psycopg://127.0.0.1:1/meltano")
    assert end_dead(record) == [
        "Meltano's runs could not be looked at (OperationalError): it may refuse to run for 5 minutes."
    ]


def test_settings_that_a_run_of_long_ago_left_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(meltano_runs.FOLDER, str(tmp_path))
    folder = tmp_path / "run" / "tap-coursera"
    folder.mkdir(parents=True)
    old, new, other = (folder / name for name in ("tap.1.config.json", "tap.2.config.json", "tap.properties.json"))
    for file in (old, new, other):
        file.write_text("{}")
    for file in (old, other):
        os.utime(file, (0, 0))
    meltano_runs.remove_settings()
    assert sorted(folder.iterdir()) == [new, other]
