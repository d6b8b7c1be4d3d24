"""JSONL, PostgreSQL, DuckDB: the tap's output arrives there unchanged, and by the commands that its README shows."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

import duckdb
import pytest

from coursera_sandbox.testing import RunningSandbox
from tap_coursera.tap import STREAMS
from tests.package.commands import blocks, run
from tests.package.singer import decoded, read_tap, stored

if TYPE_CHECKING:
    from pathlib import Path

    from tests.package.conftest import Installed
    from tests.package.postgres import Postgres
    from tests.package.singer import Json, Output

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Output]:
    """The output for all streams of a college, the changes of three days later, and the first day as batch files."""
    folder = tmp_path_factory.mktemp("days")
    tap = (sys.executable, "-m", "tap_coursera")
    files = {"encoding": {"format": "jsonl", "compression": "gzip"}, "storage": {"root": str(folder / "batches")}}
    sandbox = RunningSandbox(folder / "sandbox", learners=40)
    try:
        first = read_tap(folder / "first", *tap, config=sandbox.tap_config)
        filed = read_tap(folder / "filed", *tap, config=sandbox.tap_config | {"batch_config": files})
        sandbox.advance(days=3)
        return [first, read_tap(folder / "later", *tap, config=sandbox.tap_config, state=first.states[-1]), filed]
    finally:
        sandbox.stop()


class Loader(Protocol):
    """A program that takes Singer messages, with a function that reads its tables."""

    command: str
    appends: bool

    @property
    def config(self) -> Json: ...

    def rows(self, stream: str) -> list[Json]: ...


@dataclass
class Jsonl:
    folder: Path
    command = "target-jsonl"
    appends = True

    @property
    def config(self) -> Json:
        return {"destination_path": str(self.folder), "do_timestamp_file": False}

    def rows(self, stream: str) -> list[Json]:
        file = self.folder / f"{stream}.jsonl"  # No table is made for a stream without rows.
        return [decoded(line) for line in file.read_text().splitlines()] if file.exists() else []


@dataclass
class PostgreSQL:
    server: Postgres
    schema: str
    command = "target-postgres"
    appends = False

    @property
    def config(self) -> Json:
        return {"sqlalchemy_url": self.server.url, "default_target_schema": self.schema}

    def rows(self, stream: str) -> list[Json]:
        return self.server.rows(f'{self.schema}."{stream}"')


@dataclass
class DuckDB:
    file: Path
    command = "target-duckdb"
    appends = False

    @property
    def config(self) -> Json:
        return {"filepath": str(self.file), "default_target_schema": "loaders"}

    def rows(self, stream: str) -> list[Json]:
        with duckdb.connect(str(self.file), read_only=True) as connection:
            found = connection.execute(f'select * from loaders."{stream}"')
            columns = [column[0] for column in found.description or []]
            return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


@pytest.fixture(params=["jsonl", "postgres", "duckdb"])
def loader(request: pytest.FixtureRequest, tmp_path: Path) -> Loader:
    if request.param == "jsonl":
        return Jsonl(tmp_path / "rows")
    if request.param.startswith("postgres"):
        return PostgreSQL(request.getfixturevalue("database"), request.param.replace(" ", "_"))
    return DuckDB(tmp_path / "warehouse.duckdb")


def load(loader: Loader, output: Output, installed: Installed, config: Path) -> Json:
    """Send a file of messages to a loader, and return the last state that the loader passes on."""
    with output.path.open() as messages:
        said = run(installed.commands / loader.command, "--config", stored(config, loader.config), stdin=messages)
    state: Json = decoded(said.splitlines()[-1])
    return state


def by_key(output: Output, stream: str) -> dict[tuple[Any, ...], Json]:
    """The last row of each key."""
    return {tuple(record[name] for name in output.keys[stream]): record for record in output.records[stream]}


def expected(days: list[Output], stream: str, *, appends: bool) -> list[Json]:
    """The rows that a loader ought to have after these runs: all of them, or the last one of each key."""
    if appends:
        return [record for day in days for record in day.records[stream]]
    return list({key: record for day in days for key, record in by_key(day, stream).items()}.values())


def plain(found: Any) -> Any:
    """A value in one notation, since each loader has its own type for numbers and times."""
    if isinstance(found, dict):
        return {name: plain(value) for name, value in found.items()}
    if isinstance(found, list):
        return [plain(value) for value in found]
    if isinstance(found, datetime):
        return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).astimezone(timezone.utc).isoformat()
    if isinstance(found, int | float | Decimal) and not isinstance(found, bool):
        return str(Decimal(str(found)).normalize())
    return found


def comparable(row: Json, schema: Json) -> str:
    """The properties of a row in one line; what is stored as text is read the way its schema says."""

    def read(found: Any, spec: Json) -> Any:
        if isinstance(found, str) and spec.get("format") == "date-time":
            padded = re.sub(r"\.(\d+)", lambda fraction: "." + fraction[1].ljust(6, "0"), found.replace("Z", "+00:00"))
            return datetime.fromisoformat(padded)
        if isinstance(found, str) and {"object", "array"} & set(spec["type"]):
            return decoded(found)
        return found

    return json.dumps(
        {name: plain(read(row.get(name), spec)) for name, spec in schema["properties"].items()}, sort_keys=True
    )


def test_the_later_day_brings_new_rows_and_others_for_known_keys(days: list[Output]) -> None:
    first, later, filed = days
    before, after = (by_key(day, "item_grades") for day in (first, later))
    assert after.keys() - before.keys()
    assert [key for key in after.keys() & before.keys() if after[key] != before[key]]
    assert [len(day.records) for day in days] == [len(day.schemas) for day in days] == [len(STREAMS)] * 3
    assert not any(filed.records.values())
    assert marks(filed) == marks(first)


def marks(day: Output) -> Json:
    """The last bookmarks, without those of `stream_reads`, which say when the run was."""
    found: Json = day.states[-1]["bookmarks"]
    return {stream: mark for stream, mark in found.items() if stream != "stream_reads"}


def compare(loader: Loader, runs: list[Output], without: str = "") -> None:
    """Fail unless the loader has what these runs brought, value by value; a stream `without` is not looked at."""
    for stream, schema in runs[0].schemas.items():
        if stream == without:
            continue
        found = loader.rows(stream)
        wanted = expected(runs, stream, appends=loader.appends)
        assert len(found) == len(wanted), stream
        assert sorted(comparable(row, schema) for row in found) == sorted(comparable(row, schema) for row in wanted), (
            stream
        )


def test_two_days_of_all_streams_arrive_unchanged(
    loader: Loader, days: list[Output], installed: Installed, tmp_path: Path
) -> None:
    first, later, _ = days
    assert load(loader, first, installed, tmp_path / "config.json") == first.states[-1]
    compare(loader, [first])
    assert load(loader, later, installed, tmp_path / "config.json") == later.states[-1]
    compare(loader, [first, later])


@pytest.mark.parametrize("loader", ["postgres by file", "duckdb"], indirect=True)
def test_a_day_that_comes_by_file_arrives_unchanged(
    loader: Loader, days: list[Output], installed: Installed, tmp_path: Path
) -> None:
    first, _, filed = days
    assert load(loader, filed, installed, tmp_path / "config.json") == filed.states[-1]
    compare(loader, [first], without="stream_reads")  # which says when a run was


def test_the_commands_of_the_readme_fill_all_three(
    installed: Installed, database: Postgres, standing_sandbox: RunningSandbox
) -> None:
    sections = ("Configure", "Discover", "Run with JSONL", "Run with PostgreSQL", "Run with DuckDB")
    commands = "\n".join(map(blocks, sections))
    for shown, own in {
        "your Client ID": standing_sandbox.client_id,
        "your Secret Key": standing_sandbox.client_secret,
        "your organisation ID": standing_sandbox.org_id,
        "postgresql+psycopg://loader:password@localhost:5432/warehouse": database.url,
    }.items():
        assert commands.count(f"'{shown}'") == 1
        commands = commands.replace(shown, own)
    where = {"TAP_COURSERA_API_URL": standing_sandbox.api_url, "TAP_COURSERA_AUTH_URL": standing_sandbox.auth_url}
    run("bash", "-euc", commands, cwd=installed.folder, env=installed.environment(**where))

    catalog = json.loads((installed.folder / "catalog.json").read_text())
    keys = {stream["stream"]: stream["key_properties"] for stream in catalog["streams"]}
    files = sorted((installed.folder / "jsonl").glob("*.jsonl"))
    assert {"programs", "enrollments", "item_grades"} <= {file.stem for file in files}
    assert "program_invitations" not in {file.stem for file in files}
    with duckdb.connect(str(installed.folder / "warehouse.duckdb"), read_only=True) as connection:
        for file in files:
            lines = map(json.loads, file.read_text().splitlines())  # of two runs
            rows = len({tuple(line[name] for name in keys[file.stem]) for line in lines})
            assert len(database.rows(f"coursera.{file.stem}")) == rows > 0
            assert connection.execute(f"select count(*) from coursera.{file.stem}").fetchall() == [(rows,)]
