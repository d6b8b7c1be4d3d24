"""Thirty days of a college, by seed: a reader that imports every delta holds the rows of a bulk package on every day.

`THIRTY_DAYS_SEED` and `THIRTY_DAYS` choose other lives and longer ones; a failure tells its seed and its day.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from click.testing import CliRunner

from coursera_connect.cli.main import main
from coursera_connect.errors import DeliveryError
from coursera_connect.publish.publish import preview, publish
from coursera_connect.publish.settings import Settings
from coursera_connect.warehouse import ledger
from oneroster_csv import validate
from oneroster_csv.replay import Replay, Table
from tests.transform.compiled import FINISHED, compiled
from tests.transform.life import MODES, Life, plan
from tests.transform.warehouse import RAW_COLUMNS, Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.transform.compiled import Compiled
    from tests.transform.warehouse import Dbt

SEED = int(os.environ.get("THIRTY_DAYS_SEED", "4"))
DAYS = int(os.environ.get("THIRTY_DAYS", "30"))
MODELS = ("+oneroster", "+settings_used")
REMEMBERED = ("connect.person_aliases", "connect.person_keys", "connect.item_scores", "mapping.school_mapping")
FILES = ("orgs", "academicSessions", "courses", "classes", "users", "enrollments", "categories", "lineItems", "results")
# Ids by what they stand for: the query gives an id and the parts it is made of.
STANDS_FOR = {
    "school": "select distinct school_sourced_id, school_id from connect.program_schools "
    "join (select program_id, coalesce(m.school_id, p.program_id) as school_id from staging.stg_coursera__programs p "
    "left join mapping.school_mapping as m using (program_id)) using (program_id)",
    "class": "select class_sourced_id, program_id, course_id from connect.classes",
    "user": "select user_sourced_id, person_key from connect.people",
    "enrollment": "select enrollment_sourced_id, program_id, course_id, person_key from connect.enrollments",
    "lineItem": "select line_item_sourced_id, program_id, course_id, coalesce(item_id, '') from connect.line_items",
    "result": "select result_sourced_id, program_id, course_id, coalesce(item_id, ''), person_key from connect.grades",
}

HAPPENS = {
    "enroll": Life.enroll,
    "leave": Life.leave,
    "return": Life.back,
    "rename": Life.rename,
    "address": Life.address,
    "grade": Life.grade,
    "lost": Life.grade,
    "map again": Life.map_again,
    "twin program": Life.twin_program,
    "twin course": Life.twin_course,
    "twin user": Life.twin_user,
    "twin gone": Life.twin_gone,
    "restore": Life.restore,
    "mass loss": Life.mass_loss,
}
BLOCKED = ("mass loss", "mode")

Tables = dict[str, Table]


def never(_what: str, _rows: int) -> None:
    """Do nothing, in place of the progress of a publish."""


@contextmanager
def told(where: str) -> Iterator[None]:
    """Say where an error happened."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"{where}: {error}") from error


class Nights:
    """The warehouse, its transforms, and the reader that gets every package; `run` runs one day."""

    def __init__(self, warehouse: Warehouse, random: Random) -> None:
        self.warehouse = warehouse
        self.random = random
        self.life = Life(random)
        self.loaded: dict[str, Any] = {}
        self.load(self.life.streams())
        self.warehouse.run("--select", *MODELS, "resource_type:seed", grade_sync=self.life.mode)
        self.transforms: dict[str, Compiled] = {mode: compiled(warehouse, *MODELS, grade_sync=mode) for mode in MODES}
        with duckdb.connect(str(warehouse.path)) as database:
            database.execute(FINISHED)
        package = warehouse.path.parent / "out" / "oneroster.zip"
        self.settings = Settings(warehouse.path, package, mode="delta", wait=0)
        self.reader = Replay()
        self.quiet: set[str] = set()
        self.ids: dict[Any, str] = {}
        self.allow = False
        self.before_dip: Tables | None = None
        self.settled = False
        """Whether the reader got all of the last night, and nothing was held."""
        self.outcomes: list[str] = []

    def load(self, streams: dict[str, Any]) -> None:
        """Load the streams that are not as they were."""
        changed = {name: rows for name, rows in streams.items() if self.loaded.get(name) != rows}
        self.warehouse.load(self.life.read_at(), **changed)
        self.loaded = streams

    def run(self, what: str, *, prove: bool = False) -> None:
        """Run a day with this event, and check the rows of the reader at its end."""
        life = self.life
        life.today += 1
        if what != "idle":
            life.refreshed = life.today
        agreed = self.happens(what)
        if what != "idle":
            self.load(life.streams())
        twin = self.copy() if prove else None
        self.transforms[life.mode].run(self.warehouse.path, life.mapping())
        if twin:
            self.look_at_dbt(twin)
        for school in agreed:
            ledger.agree(self.warehouse.path, 5, "school", school, {})
        if what in {"mode at once", "mode agreed"}:
            self.agree_to_mode()
        self.look_at_ids()
        allowed = self.allow and what != "mode"
        outcome = self.night(what)
        self.outcomes.append(f"{what}: {outcome}")
        if what in BLOCKED and not allowed:
            assert outcome == "blocked"
        elif outcome == "blocked":
            self.allow = True  # The administrator has agreed.
            if self.random.random() < 0.5:
                assert self.night("allowed") in {"published", "unchanged"}

    def agree_to_mode(self) -> None:
        """Agree to the change of the grade sync, as a publish demands."""
        places = ("--database", str(self.warehouse.path), "--mapping", str(self.warehouse.runner.mapping))
        words = ("grades", "change", self.life.mode, "--save", "--json", *places)
        done = CliRunner().invoke(main, words, catch_exceptions=False)
        assert json.loads(done.stdout)["agreed"], done.output

    def happens(self, what: str) -> list[str]:
        """Change life, and return the schools of which the administrator agrees on the way that they leave."""
        life = self.life
        if what in {"merge", "unmap"}:
            rows = self.warehouse.read("connect.program_schools")
            school_of = {row["program_id"]: row["school_sourced_id"] for row in rows}
            moved = life.merge() if what == "merge" else life.unmap()
            return [school_of[moved]] if moved in school_of else []
        if what in {"mode", "mode at once"}:
            life.mode = MODES[(MODES.index(life.mode) + 1) % len(MODES)]
        elif what == "after loss":
            self.allow = not life.found_again()
        elif what in {"vanish", "zero"}:
            life.dip(what)
        elif what not in {"idle", "mode agreed"}:
            HAPPENS[what](life)
        return []

    def night(self, what: str) -> str:
        """Publish, import what arrives, and compare."""
        place = self.settings.package
        settings = replace(self.settings, allow_removals=self.allow)
        settled, self.settled = self.settled, False
        before, bytes_before = self.reader.tables, place.read_bytes() if place.exists() else b""
        if what == "lost":
            nowhere = self.warehouse.path.parent / "nowhere"
            (nowhere / place.name).mkdir(parents=True, exist_ok=True)  # in the way of the file
            try:
                report = publish(replace(settings, delivery=f"{nowhere}/"), never)
            except DeliveryError:
                self.allow = False
                self.look_at_package(place)
                return "undelivered"
        else:
            report = publish(settings, never)
        outcome = str(report["outcome"])
        assert outcome in {"published", "unchanged", "blocked"}, report["findings"][:5]
        if outcome == "blocked":
            assert place.read_bytes() == bytes_before
            return outcome
        self.look_at_package(place)
        self.reader.apply(place)
        assert report["mode"] == ("delta" if before else "bulk")
        fresh = self.truth()
        knows = {file: table for file, table in self.reader.tables.items() if table}
        for file in FILES:
            assert knows.get(file, {}) == fresh.get(file, {}), file
        assert knows == fresh
        self.look_at_scores(before)
        self.look_at_dip(what, before, settled=settled and not self.allow)
        self.settled = not report["held"]
        if all(part["mode"] == "absent" for part in report["files"].values()):
            self.quiet.add(sha256(place.read_bytes()).hexdigest())
            assert len(self.quiet) == 1
        self.allow = False
        return outcome

    def truth(self) -> Tables:
        """Return the rows of a new reader after a bulk package of this moment."""
        preview(replace(self.settings, mode="bulk"), never)
        package = self.settings.package.parent / "preview" / self.settings.package.name
        self.look_at_package(package)
        fresh = Replay()
        fresh.apply(package)
        return fresh.tables

    @staticmethod
    def look_at_package(path: Path) -> None:
        """A package is valid, and no id in it differs from another by case alone."""
        found = validate.package(path)
        assert not found.refused, found.described()
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                rows = list(csv.reader(io.StringIO(archive.read(name).decode())))[1:]
                assert len({row[0].lower() for row in rows}) == len(rows), f"{name} has ids that differ by case"

    def look_at_scores(self, before: Tables) -> None:
        """The date of a score moves only with the score."""
        for sourced_id, now in self.reader.tables.get("results", {}).items():
            was = before.get("results", {}).get(sourced_id, now)
            if (was["score"], was["scoreStatus"]) == (now["score"], now["scoreStatus"]):
                assert was["scoreDate"] == now["scoreDate"], (sourced_id, was, now)

    def look_at_dip(self, what: str, before: Tables, *, settled: bool) -> None:
        """Reports that are wrong for a day change no enrollment and no result, neither then nor afterwards."""
        if what in {"vanish", "zero"}:
            self.before_dip = before if settled else None
        if what in {"vanish", "zero", "restore"} and self.before_dip:
            for file in ("enrollments", "results"):
                assert self.reader.tables.get(file) == self.before_dip.get(file), file

    def look_at_ids(self) -> None:
        """The same thing has the same id for ever, but for ids that are one to some readers."""
        life = self.life
        folded: dict[str, set[str]] = {}
        for key in (*life.people, *life.programs, *life.courses, *life.schools.values()):
            folded.setdefault(key.lower(), set()).add(key)
        with duckdb.connect(str(self.warehouse.path), read_only=True) as database:
            found = {kind: database.execute(query).fetchall() for kind, query in STANDS_FOR.items()}
        for kind, rows in found.items():
            for sourced_id, *parts in rows:
                # Twins count as long as they are there.
                twins = tuple(len(folded.get(str(part).lower(), ())) > 1 for part in parts)
                thing = (kind, *parts, twins)
                assert self.ids.setdefault(thing, sourced_id) == sourced_id, thing

    def copy(self) -> Warehouse:
        """Return a copy of the warehouse in a folder of its own."""
        folder = self.warehouse.path.parent / "twin"
        folder.mkdir()
        return replace(self.warehouse, path=Path(shutil.copy(self.warehouse.path, folder)))

    def look_at_dbt(self, twin: Warehouse) -> None:
        """Check that dbt itself makes the same tables of this day in a copy of the warehouse."""
        life = self.life
        twin.mapping(**life.mapping())
        twin.run("--select", *MODELS, "resource_type:seed", grade_sync=life.mode)
        for table in (*(f'oneroster."{file}"' for file in FILES), *REMEMBERED, "connect.settings_used"):
            assert twin.read(table) == self.warehouse.read(table), table


@pytest.mark.pipeline
@pytest.mark.slow(minutes=3)
def test_a_reader_of_deltas_knows_what_a_bulk_package_says_on_each_of_thirty_days(tmp_path: Path, dbt: Dbt) -> None:
    random = Random(SEED)
    warehouse = Warehouse(tmp_path / "warehouse.duckdb", dbt)
    warehouse.load("2026-07-20T06:00:00Z", **{stream: [] for stream in RAW_COLUMNS})
    nights = Nights(warehouse, random)
    assert nights.night("first") == "published"
    for day, what in enumerate(plan(random, DAYS), 1):
        with told(f"THIRTY_DAYS_SEED={SEED}, day {day}, {what}, after {', '.join(nights.outcomes)}"):
            nights.run(what, prove=day == DAYS)
