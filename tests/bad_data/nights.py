"""A night without Meltano: the real tap, loader, models and publish in this process, and the resulting package."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import zipfile
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb
from singer_sdk.singerlib import Catalog

from coursera_connect.publish.publish import publish
from coursera_connect.publish.settings import Settings
from tap_coursera.tap import TapCoursera
from target_duckdb.target import TargetDuckDB

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.bad_data.college import College, Json
    from tests.bad_data.upstream import Alter, Upstream
    from tests.transform.compiled import Compiled

_TIME = re.compile(rb'"(time_extracted|began_at)":"[^"]*"')
"""What the clock of this machine says."""


@dataclass
class Files:
    """A package: header and rows of each file."""

    headers: dict[str, list[str]] = field(default_factory=dict)
    rows: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)

    @classmethod
    def of(cls, package: Path) -> Files:
        found = cls()
        with zipfile.ZipFile(package) as archive:
            for name in archive.namelist():
                if name.endswith(".csv"):
                    header, *rows = csv.reader(io.StringIO(archive.read(name).decode(), newline=""), strict=True)
                    found.headers[name[:-4]], found.rows[name[:-4]] = header, [tuple(row) for row in rows]
        return found


@dataclass
class Site:
    """A folder with a warehouse, its package and the state of the tap."""

    folder: Path
    state: Json = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    """Data tests that failed."""

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def package(self) -> Path:
        return self.folder / "out" / "oneroster.zip"

    def copy(self, folder: Path) -> Site:
        """Return a copy in another folder."""
        shutil.copytree(self.folder, folder)
        return Site(folder, self.state)

    def findings(self) -> list[dict[str, Any]]:
        """The rows of connect.quality."""
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            cursor = connection.execute("select * from connect.quality")
            columns = [column[0] for column in cursor.description or []]
            return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            return connection.execute(sql).fetchall()


def extract(
    upstream: Upstream, state: Json, *, skip: frozenset[str] = frozenset(), full: bool = False
) -> tuple[list[bytes], Json]:
    """Run the tap; its messages, and the last state. `full` reads everything, as the job full-reconcile does."""
    config = upstream.config | ({"grade_sync": "full"} if full else {})
    plain = TapCoursera(config=config).catalog_dict
    for entry in plain["streams"]:
        root = next(item["metadata"] for item in entry["metadata"] if not item["breadcrumb"])
        root["selected"] = entry["tap_stream_id"] not in skip
        if full:
            root["forced-replication-method"] = entry["replication_method"] = "FULL_TABLE"
    tap = TapCoursera(config=config, catalog=Catalog.from_dict(plain), state=json.loads(json.dumps(state)) or None)
    taken = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(taken):
        tap.sync_all()
        taken.flush()
    stamp = rb'"\1":"' + upstream.college.now.isoformat().encode() + b'"'
    lines = [_TIME.sub(stamp, line) for line in taken.buffer.getvalue().splitlines(keepends=True)]
    states = [json.loads(line)["value"] for line in lines if line.startswith(b'{"type":"STATE"')]
    return lines, states[-1]


def load(place: Site, lines: list[bytes]) -> None:
    """Run the loader."""
    place.folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "filepath": str(place.warehouse),
        "default_target_schema": "coursera",
        "add_record_metadata": True,
        "remove_batch_files": True,
    }
    target = TargetDuckDB(config=settings)
    with redirect_stdout(io.StringIO()):
        try:
            target.process_lines(io.BytesIO(b"".join(lines)))  # type: ignore[arg-type] # The reader of messages takes bytes.
            target.process_endofpipe()
        finally:
            target.database.close()


@dataclass
class Nights:
    """The parts of a night: the server, the models as dbt compiled them, and their tests."""

    upstream: Upstream
    models: Mapping[str, Compiled]
    """By grade sync."""
    mode: str
    checks: dict[str, str]
    """Data tests with severity error: name → query of what fails."""
    empty: Path
    """A folder with a warehouse in which the models are, and nothing was loaded."""

    def live(
        self,
        place: Site,
        college: College,
        altered: Mapping[tuple[str, str], Alter] | None = None,
        mode: str = "",
        *,
        full: bool = False,
    ) -> Files:
        """Read, load, transform and publish; a night that reads everything has bookmarks of its own."""
        self.upstream.show(college, altered)
        lines, state = extract(self.upstream, {} if full else place.state, full=full)
        if not full:
            place.state = state
        load(place, lines)
        return self.transform(place, mode)

    def transform(self, place: Site, mode: str = "") -> Files:
        """Run the steps after the load."""
        self.models[mode or self.mode].run(place.warehouse, {})
        with duckdb.connect(str(place.warehouse), read_only=True, config={"threads": 1}) as connection:
            for name, query in self.checks.items():
                if found := connection.execute(query).fetchmany(3):
                    place.stopped.append(f"the data test {name} would stop the build: {found}")
        # The schools are so small that a share of their learners means nothing.
        settings = Settings(place.warehouse, place.package, removal_threshold=100)
        report = publish(settings, lambda _what, _rows: None)
        assert report["outcome"] in {"published", "unchanged"}, (report["outcome"], report["why"], report["blocked"])
        return Files.of(place.package)
