"""Packages of the sandbox on two days for every reader, version and mode: our validator and a plain reader agree.

The real tap and the real loader fill one file, without Meltano; dbt makes the tables of every grade mode from it.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from coursera_connect.errors import UsageError
from coursera_connect.publish.publish import publish
from coursera_connect.publish.settings import Settings
from coursera_sandbox.testing import RunningSandbox
from oneroster_csv import profile as profiles
from oneroster_csv import validate
from oneroster_csv.replay import Replay
from tests.transform.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.transform.warehouse import Dbt

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

MODES = ("final", "final_incremental", "granular_selected", "granular_all")
# The models that depend on the grade mode; all others are built once a day.
BY_MODE = "settings_used quality grades+ line_items+"
DELTAS = (
    ("generic", "1.1", "final"),
    ("generic", "1.2", "final_incremental"),
    ("generic", "1.1", "granular_selected"),
    ("blackbaud", "1.2", "granular_selected"),
    ("powerschool", "1.1", "granular_all"),
    ("generic", "1.2", "granular_all"),
)
"""Each version and mode, since a profile is the same in all."""
OLD_READERS = ("great-minds", "hmh", "moodle")
METADATA = {"add_record_metadata": True}
QUIZZES = [{"program_id": "", "course_id": "", "item": "*quiz*"}]
KNOWN = {("moodle", "reader-filled", "users.csv", "password")}
"""Warnings: no password is ever made up, so Moodle has to make the accounts another way."""


def never(_what: str, _rows: int) -> None:
    """Do nothing, in place of the progress of a publish."""


def load(sandbox: RunningSandbox, folder: Path, database: Path) -> None:
    """Load as `meltano run tap-coursera target-duckdb` does, from the bookmarks of the day before."""
    state, config, target = (folder / f"{name}.json" for name in ("state", "tap", "target"))
    config.write_text(json.dumps({**sandbox.tap_config, "emit_activate_version_messages": True}))
    target.write_text(json.dumps({"filepath": str(database), "default_target_schema": "coursera", **METADATA}))
    programs = Path(sys.executable)
    words = ["--config", str(config), *(["--state", str(state)] if state.exists() else [])]
    with (
        (folder / "tap.log").open("w") as log,
        subprocess.Popen([programs.with_name("tap-coursera"), *words], stdout=subprocess.PIPE, stderr=log) as tap,
    ):
        loaded = subprocess.run(
            [programs.with_name("target-duckdb"), "--config", target],
            stdin=tap.stdout, capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
    assert tap.returncode == 0, (folder / "tap.log").read_text()
    state.write_text(loaded.stdout.splitlines()[-1])


@dataclass(frozen=True)
class Days:
    """The folder with a warehouse for each grade mode and day."""

    folder: Path

    def warehouse(self, mode: str, day: int) -> Path:
        return self.folder / f"{mode}-{day}" / "warehouse.duckdb"


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory, dbt: Dbt) -> Iterator[Days]:
    folder = tmp_path_factory.mktemp("days")
    made = Days(folder)
    sandbox = RunningSandbox(folder / "sandbox")
    try:
        here = Warehouse(folder / "warehouse.duckdb", dbt)
        here.mapping(chosen_items=QUIZZES)
        for day in (1, 2):
            load(sandbox, folder, here.path)
            for mode in MODES:
                here.run(*(["--select", BY_MODE] if mode != MODES[0] else []), grade_sync=mode)
                with duckdb.connect(str(here.path)) as built:  # Closing the file merges the write-ahead log.
                    # The models that are not selected are the same.
                    built.execute("update connect.build set is_complete = true")
                made.warehouse(mode, day).parent.mkdir()
                shutil.copy(here.path, made.warehouse(mode, day))
            sandbox.advance(days=1)
        yield made
    finally:
        sandbox.stop()


class Site:
    """One organisation with one reader: its own warehouse, package and memory."""

    def __init__(self, days: Days, mode: str, folder: Path, **settings: Any) -> None:
        self.days = days
        self.mode = mode
        self.database = folder / "warehouse.duckdb"
        self.settings = Settings(self.database, folder / "oneroster.zip", **settings)
        shutil.copy(days.warehouse(mode, 1), self.database)

    def publish(self, **settings: Any) -> dict[str, Any]:
        """Publish, and check the package with our validator."""
        report = publish(replace(self.settings, **settings), never)
        assert (report["outcome"], report["warnings"]) == ("published", [])
        reader = profiles.load(self.settings.profile)
        checked = validate.package(self.settings.package, profile=reader)
        for problem in [*report["problems"], *checked.described()["problems"]]:
            assert (reader.name, problem["rule"], problem["file"], problem["field"]) in KNOWN, problem
            assert problem["severity"] == "warning"
        return report

    def night(self) -> None:
        """Replace the tables by those of the second day, and keep the ledger."""
        database = self.database
        old = database.rename(database.with_name("old.duckdb"))
        shutil.copy(self.days.warehouse(self.mode, 2), database)
        with duckdb.connect(str(database)) as connection:
            connection.execute(f"attach '{old}' as old (read_only)")
            connection.execute("create schema ledger")
            names = "select table_name from duckdb_tables() where database_name = 'old' and schema_name = 'ledger'"
            for (name,) in connection.execute(names).fetchall():
                connection.execute(f'create table ledger."{name}" as from old.ledger."{name}"')
        old.unlink()

    def files(self) -> dict[str, list[dict[str, str]]]:
        """Return the package as a plain CSV reader reads it."""
        with zipfile.ZipFile(self.settings.package) as archive:
            return {
                name.removesuffix(".csv"): list(csv.DictReader(io.StringIO(archive.read(name).decode(), newline="")))
                for name in archive.namelist()
            }

    def tables(self) -> dict[str, dict[str, dict[str, str]]]:
        """Return the rows of the models for this reader, in the form in which a reader holds them."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        schemas = ["oneroster", *(["oneroster_1_2"] if self.settings.oneroster_version == "1.2" else [])]
        with duckdb.connect(str(self.settings.database), read_only=True) as connection:
            for schema in schemas:
                names = "select table_name from information_schema.tables where table_schema = ?"
                for (file,) in connection.execute(names, [schema]).fetchall():
                    cursor = connection.execute(
                        f'select * exclude ("status", "dateLastModified") from {schema}."{file}"'
                    )
                    columns = [column[0] for column in cursor.description or []][1:]
                    found[file] = {
                        sourced_id: {name: str(cell or "") for name, cell in zip(columns, cells, strict=True)}
                        for sourced_id, *cells in cursor.fetchall()
                    }
        if self.settings.profile == "blackbaud":
            final = {"exempt", "fully graded"}
            found["results"] = {one: row for one, row in found["results"].items() if row["scoreStatus"] in final}
        return {file: rows for file, rows in found.items() if rows}

    def raw(self, file: str) -> str:
        with zipfile.ZipFile(self.settings.package) as archive:
            return archive.read(f"{file}.csv").decode()


def imported(package: Path) -> dict[str, Any]:
    """Return the rows of a new reader after a package."""
    reader = Replay()
    reader.apply(package)
    return reader.tables


@pytest.mark.parametrize(("profile", "version", "mode"), DELTAS)
def test_deltas_bring_a_reader_to_where_a_bulk_file_does(
    days: Days, tmp_path: Path, profile: str, version: str, mode: str
) -> None:
    site = Site(days, mode, tmp_path, oneroster_version=version, profile=profile)
    first = site.publish()
    assert {part["mode"] for part in first["files"].values()} == {"bulk", "absent"}
    assert first["files"]["results"]["rows"] > 0
    reader = Replay()
    reader.apply(site.settings.package)
    site.night()
    second = site.publish(mode="delta")
    changed = {file: part["rows"] for file, part in second["files"].items() if part["mode"] == "delta"}
    assert changed.keys() >= {"enrollments", "results", "users"}
    assert sum(changed.values()) < sum(part["rows"] for part in first["files"].values()) / 4
    reader.apply(site.settings.package)
    assert reader.tables == site.tables()
    if (profile, mode) == ("powerschool", "granular_all"):
        site.publish()
        assert reader.tables == imported(site.settings.package)
    files = {file: list(rows.values()) for file, rows in reader.tables.items()}
    if profile == "blackbaud":
        assert {row["scoreStatus"] for row in files["results"]} <= {"exempt", "fully graded"}
    if profile == "powerschool":
        titles = [row["title"] for row in files["categories"]]
        assert len({title.lower() for title in titles}) == len(titles)
        assert max(map(len, titles)) <= 30
        assert max(len(row["title"]) for row in files["lineItems"]) <= 50


def test_the_grade_modes_differ_in_what_they_promise(days: Days) -> None:
    found = {}
    for mode in MODES:
        with duckdb.connect(str(days.warehouse(mode, 1)), read_only=True) as connection:
            found[mode] = connection.execute(
                'select count(*), count(distinct "scoreStatus"), '
                "count(distinct c.title) filter (c.title = 'Final grade') from oneroster.results as r "
                'join oneroster."lineItems" as i on i."sourcedId" = r."lineItemSourcedId" '
                'join oneroster.categories as c on c."sourcedId" = i."categorySourcedId"'
            ).fetchall()[0]
    assert [found[mode][2] for mode in MODES] == [1, 1, 0, 0]
    assert found["final"][0] < found["final_incremental"][0]
    assert found["granular_selected"][0] < found["granular_all"][0]
    assert found["final_incremental"][1] == 2


def test_readers_of_bulk_and_1_1_alone_refuse_the_rest_in_words(days: Days, tmp_path: Path) -> None:
    site = Site(days, "final", tmp_path)
    for profile in OLD_READERS:
        refused: list[tuple[dict[str, Any], str]] = [
            ({"oneroster_version": "1.2"}, f"The profile {profile} is not made for OneRoster 1.2: choose 1.1."),
            ({"mode": "delta"}, f"The profile {profile} is not made for delta: choose bulk."),
        ]
        for settings, sentence in refused:
            with pytest.raises(UsageError, match=re.escape(sentence)):
                publish(replace(site.settings, profile=profile, **settings), never)
    assert not site.settings.package.exists()


def test_the_roster_is_the_same_whatever_the_grade_mode_is_so_one_package_of_it_tells_of_all(days: Days) -> None:
    for file in sorted({file for name in OLD_READERS for file in profiles.load(name).files} - {"demographics"}):
        seen = []
        for mode in MODES:
            with duckdb.connect(str(days.warehouse(mode, 1)), read_only=True) as connection:
                seen.append(connection.execute(f'select * from oneroster."{file}" order by 1').fetchall())
        assert seen[0]
        assert all(rows == seen[0] for rows in seen), file


@pytest.mark.parametrize("profile", OLD_READERS)
def test_readers_of_rosters_get_what_they_can_read(days: Days, tmp_path: Path, profile: str) -> None:
    site = Site(days, "granular_all", tmp_path, profile=profile)
    site.publish()
    files = site.files()
    if profile == "great-minds":
        assert files.keys() == {"manifest", "academicSessions", "classes", "courses", "enrollments", "orgs", "users"}
        ids = [row["sourcedId"] for name, rows in files.items() if name != "manifest" for row in rows]
        assert not [one for one in ids if not re.fullmatch("[A-Za-z0-9._-]{1,100}", one)]
    if profile == "hmh":
        assert len(files) == 8
        assert files["demographics"] == []
        for file in files:
            for line in site.raw(file).splitlines():
                assert re.fullmatch(r'"(?:[^"]|"")*"(?:,"(?:[^"]|"")*")*', line)
    if profile == "moodle":
        assert files.keys() == {"manifest", "academicSessions", "classes", "enrollments", "orgs", "users"}
        texts = {"academicSessions": "title", "classes": "title classCode", "orgs": "name identifier"}
        texts["users"] = "username identifier givenName familyName"
        for file, names in texts.items():
            for row in files[file]:
                assert not [
                    row[name] for name in names.split() if not re.fullmatch(r"[^\W_.,-]*(?:[^\W_]|[ .,-])*", row[name])
                ]
                assert not [name for name in row if name.startswith("metadata.")]
        assert all(row["identifier"] and row["username"] for row in files["users"])
        assert {row["password"] for row in files["users"]} == {""}


def test_the_highest_privacy_level_and_excluded_attributes_keep_every_rule(days: Days, tmp_path: Path) -> None:
    site = Site(
        days, "granular_all", tmp_path, privacy_level=3, privacy_key="of-the-sandbox-and-long", exclude=("users.phone",)
    )
    site.publish(exclude=("users.identifier", "users.userIds"))
    users = site.files()["users"]
    assert {(row["identifier"], row["userIds"]) for row in users} == {("", "")}
    with duckdb.connect(str(site.settings.database), read_only=True) as connection:
        people = connection.execute('select "givenName", "familyName", email, username from oneroster.users').fetchall()
    for column, names in enumerate(("givenName", "familyName", "email", "username")):
        real = {person[column] for person in people if person[column] not in {None, "-"}}
        assert not real & {row[names] for row in users}
