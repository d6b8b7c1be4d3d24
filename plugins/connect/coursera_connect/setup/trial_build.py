"""Provides the tables that a build would make now: the present ones if up to date, else those of a trial build.

A trial build runs in a private copy of the DuckDB file, or in schemas of its own in PostgreSQL, and is removed
afterwards. What it shows takes effect only with the next real build.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from coursera_connect import command_text
from coursera_connect.errors import DatabaseError
from coursera_connect.meltano import processes
from coursera_connect.setup import outdated
from coursera_connect.text import listed
from coursera_connect.warehouse import build as builds
from coursera_connect.warehouse import duckdb_file, warehouse
from coursera_connect.warehouse.scratch_folder import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from coursera_connect.warehouse.warehouse import Location


def caution(location: Location, wait: float, folder: Path | None, transform: Path | None) -> str:
    """Return why the tables are not of one finished build, or what they do not follow yet; blank if all is well."""
    if not warehouse.exists(location):
        return ""
    with warehouse.opened(location, wait) as opened:
        wrong = builds.unfinished(opened, location)
        if wrong or not opened.columns(builds.SCHEMA):
            return wrong
        changed = outdated.changed(opened, builds.finished(opened, location), folder, transform)
    return f"{_since(changed)} {_remedy()}" if changed else ""


def _since(changed: list[str]) -> str:
    return f"Changed since the last dbt:build: {listed(changed)}."


def _remedy() -> str:
    return f"To bring that into effect: {command_text.printed('meltano run dbt:build')}"


@contextmanager
def known(
    location: Location, wait: float, folder: Path | None, transform: Path | None
) -> Iterator[tuple[Location, str]]:
    """Do as :func:`up_to_date`; without a finished build, yield the present tables and why they may be old."""
    with warehouse.opened(location, wait) as opened:
        wrong = builds.unfinished(opened, location)
        is_built = bool(opened.columns(builds.SCHEMA)) and not wrong
    if is_built:
        with up_to_date(location, wait, folder, transform) as found:
            yield found
    else:
        yield location, f"What follows may be of another night. {wrong}" if wrong else ""


@contextmanager
def up_to_date(
    location: Location, wait: float, folder: Path | None, transform: Path | None
) -> Iterator[tuple[Location, str]]:
    """Yield the place of the tables to show, and a sentence about them, which is blank for the present tables.

    Raises:
        DatabaseError: There is no finished build, or one of now would fail.
    """
    with warehouse.opened(location, wait) as opened:
        changed = outdated.changed(opened, builds.finished(opened, location), folder, transform)
    if not changed:
        yield location, ""
        return
    as_built = f"{_since(changed)} This shows the tables of that build, without the changes. {_remedy()}"
    with scratch_folder() as private, _room(location, private, wait) as place:
        where = place.aside if isinstance(place, warehouse.Server) else str(place)
        target, logs = (str(private / name) for name in ("target", "logs"))
        done = processes.started(
            "invoke", "dbt:build", CONNECT_BUILD_ASIDE=where, DBT_TARGET_PATH=target, DBT_LOG_PATH=logs
        )
        if done is None:
            yield location, as_built
        elif done.returncode:
            see = command_text.printed("meltano run dbt:build")
            raise DatabaseError(f"{_since(changed)} A dbt:build with that fails; to see why: {see}")
        else:
            yield place, f"{_since(changed)} This shows what a build of now would make, from a copy. {_remedy()}"


@contextmanager
def _room(location: Location, private: Path, wait: float) -> Iterator[Location]:
    """Yield the place of a copy in which dbt can build."""
    if isinstance(location, warehouse.Server):
        from coursera_connect.warehouse import postgres  # noqa: PLC0415 - who has a file does without the client

        with postgres.room_aside(location, wait) as room:
            yield room
        return
    copy = private / "warehouse.duckdb"
    duckdb_file.copy(location, copy, wait)
    yield copy
