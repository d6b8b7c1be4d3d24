"""Three days of the same college in a DuckDB file and in PostgreSQL: each file has the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest
from click.testing import CliRunner

from coursera_connect.cli.main import main
from coursera_connect.meltano.project_files import RUN
from coursera_sandbox.testing import RunningSandbox
from tests.package.singer import read_tap
from tests.transform.warehouse import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.package.singer import Output
    from tests.transform.warehouse import Dbt

pytestmark = [pytest.mark.pipeline, pytest.mark.slow(minutes=2)]

DAYS = 3
KINDS = ("duckdb", "postgres")
MODELS = ("connect", "oneroster", "oneroster_1_2")
LOADERS = REPOSITORY / ".meltano" / "loaders" / "target-duckdb" / "venv" / "bin"
NAMES = (
    "  Zoe\u0308 \u00a0 O\u2019Neil\u3000",  # A combining accent, and three kinds of blanks.
    "\u0130pek \u00d6ZT\u00dcRK\u2028",
    "\ufeffAna\tMar\u00eda\r\n de la  Cruz",
    "\u5c71\u7530 \u592a\u90ce \U0001f600",
    "x" * 300 + " y",
    "null",
    "\u2003",
    "Ana\u2003\u0085\u1680Luz A\u030a",
    'Quote "Q", \\N, 100%?',
    "A\u202en\ufffea \u2066L\ufdd0u\u061cz\U0001fffe \u200fX",  # Characters that no text can hold.
    "de la Cruz ,Mar\u00eda, Jr.",
    "\u674e\uff0c\u660e",
    "John van Smith, PhD, M.D.",
    "Acme Learning, Inc.",
)
MODE = "final_incremental"  # Final grades, running grades, and the days on which these were first seen.
COLLEGE = {"org_id": "SandboxOrg-AAAAAAAAA_A", "api_url": "http://127.0.0.1/ent/api"}
MAPPING = {
    # A mapping file as a spreadsheet saves it, with a name that is the text NULL.
    "facilitators": "\ufefffacilitator_id,program_id,course_id,given_name,family_name,email,username\r\n"
    "f1,,,Nora,Null,nora@college.example,\r\n\r\n f2 ,,,\u00a0Émile, ,,null\r\n",
}


@dataclass(frozen=True)
class Side:
    """The college in one of the two warehouses."""

    kind: str
    folder: Path
    dbt: Dbt

    @property
    def file(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def package(self) -> Path:
        return self.folder / "oneroster.zip"

    def load(self, day: Output) -> None:
        config = self.folder / "config.json"
        chosen = {"default_target_schema": "coursera", "add_record_metadata": True, "filepath": str(self.file)}
        config.write_text(json.dumps(chosen))
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        with day.path.open() as messages:
            done = subprocess.run(
                [LOADERS / "target-warehouse", "--config", config],
                stdin=messages,
                capture_output=True,
                text=True,
                env={**environment, "CONNECT_WAREHOUSE": self.kind},
                check=False,
            )
        assert done.returncode == 0, done.stderr[-4000:]

    def transform(self, mode: str, *, tests: bool) -> None:
        without = ["--exclude-resource-type", "unit_test", *([] if tests else ["--exclude-resource-type", "test"])]
        files = {name: text.encode() for name, text in MAPPING.items()}
        # What dbt has parsed is for one database; with another one it would parse everything anew.
        parsed = {"DBT_TARGET_PATH": str(self.dbt.home / self.kind)}
        kind = {"CONNECT_WAREHOUSE": self.kind, "CONNECT_GRADE_SYNC": mode, RUN: "one", **parsed, **_server()}
        done = self.dbt.run(("build", *without), self.file, files, kind)
        assert done.returncode == 0, done.output[-6000:]

    def connect(self, *words: str, code: int = 0, **more: str) -> str:
        environment = {
            "CONNECT_WAREHOUSE": self.kind,
            "CONNECT_DATABASE": str(self.file),
            "CONNECT_PACKAGE": str(self.package),
            "CONNECT_TRANSFORM": str(REPOSITORY / "transform"),
            "CONNECT_MAPPING": str(self.dbt.mapping),
            RUN: "one",  # With this variable, connect need not ask Meltano for the mode.
            "CONNECT_REPORT": "off",
            "MELTANO_PROJECT_ROOT": str(REPOSITORY),
            **{f"TAP_COURSERA_{name.upper()}": value for name, value in COLLEGE.items()},
        }
        done = CliRunner().invoke(main, words, env=environment | more)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code == code, done.output
        return done.output

    def rows(self, schema: str, table: str) -> list[str]:
        """Return the sorted rows of a model, in the same notation for both databases."""
        query = f'select * from {schema}."{table}"'
        if self.kind == "duckdb":
            with duckdb.connect(str(self.file), read_only=True) as connection:
                rows = connection.execute(query).fetchall()
        else:
            with psycopg.connect() as server:
                rows = server.execute(query).fetchall()
        return sorted(repr([_plain(cell) for cell in row]) for row in rows)

    def models(self) -> list[tuple[str, str]]:
        assert self.kind == "duckdb"
        with duckdb.connect(str(self.file), read_only=True) as connection:
            query = "select table_schema, table_name from information_schema.tables order by all"
            return [(schema, table) for schema, table in connection.execute(query).fetchall() if schema in MODELS]


def _server() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("PG")}


def _plain(cell: Any) -> str:
    return str(round(float(cell), 9)) if isinstance(cell, float | Decimal) else str(cell)


def files(package: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(package) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def awkward(day: Output) -> None:
    """Give some learners names and addresses that the two databases might compare, fold or order differently."""
    lines = []
    for line in day.path.read_text("utf-8").splitlines():
        message = json.loads(line)
        record = message.get("record", {})
        if message.get("stream") in {"users", "program_memberships", "program_invitations"} and record.get("email"):
            number = sum(record["email"].encode())
            record["full_name"] = NAMES[number % len(NAMES)]
            if number % 3 == 0:
                record["email"] = f"\u00c9.{record['email'].upper()}"
        if message.get("stream") in {"contents", "course_grades", "enrollments"} and "Course" in str(record):
            for name in ("name", "course_name", "content_name"):
                if record.get(name):
                    record[name] += " \u00e9\u00c9\u00df\u01c5"
        lines.append(json.dumps(message))
    day.path.write_text("\n".join(lines) + "\n", "utf-8")


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Output]:
    """What the tap reads on three days of a college."""
    folder = tmp_path_factory.mktemp("days")
    sandbox = RunningSandbox(folder / "sandbox", learners=60)
    found: list[Output] = []
    try:
        for number in range(DAYS):
            config = sandbox.tap_config | {"emit_activate_version_messages": True}
            state = found[-1].states[-1] if found else None
            day = read_tap(
                folder / str(number), sys.executable, "-m", "tap_coursera", config=config, streams=None, state=state
            )
            if number:
                awkward(day)
            found.append(day)
            sandbox.advance(days=1)
    finally:
        sandbox.stop()
    return found


@pytest.fixture(scope="module")
def sides(database: dict[str, str], dbt: Dbt, tmp_path_factory: pytest.TempPathFactory) -> list[Side]:
    assert database
    return [Side(kind, tmp_path_factory.mktemp(kind), dbt) for kind in KINDS]


@dataclass
class College:
    """The packages so far, day by day: those from DuckDB, and those from PostgreSQL."""

    days: list[Output]
    sides: list[Side]
    published: list[list[dict[str, bytes]]] = field(default_factory=list)

    def until(self, days: int) -> College:
        """Run the days up to this number that have not run yet."""
        while len(self.published) < days:
            number = len(self.published)
            for side in self.sides:
                side.load(self.days[number])
                side.transform(MODE, tests=number == DAYS - 1 and side.kind == "postgres")
                side.connect("publish", CONNECT_REMOVAL_THRESHOLD="100", CONNECT_REMOVAL_ROWS="1000")
            self.published.append([files(side.package) for side in self.sides])
        return self


@pytest.fixture(scope="module")
def college(days: list[Output], sides: list[Side]) -> College:
    return College(days, sides)


@pytest.mark.parametrize("number", range(DAYS))
def test_every_file_of_a_day_is_the_same_byte_for_byte(college: College, number: int) -> None:
    file, postgres = college.until(number + 1).published[number]
    assert postgres.keys() == file.keys() >= {"manifest.csv", "users.csv", "results.csv", "enrollments.csv"}
    for name, content in file.items():
        assert postgres[name] == content, name


def test_the_days_differ_and_the_awkward_names_are_in_the_files(college: College) -> None:
    first, _, last = (day[0] for day in college.until(DAYS).published)
    assert all(first[name] != last[name] for name in ("users.csv", "results.csv", "enrollments.csv"))
    users = last["users.csv"].decode()
    assert "Null" in users
    assert "\u00e9." in users


def test_every_model_has_the_same_rows(college: College) -> None:
    file, postgres = college.until(DAYS).sides
    models = [one for one in file.models() if one != ("connect", "build")]
    assert len(models) > 30
    for schema, table in models:
        mine, theirs = (side.rows(schema, table) for side in (file, postgres))
        assert theirs == mine, f"{schema}.{table}"


VERBS = (
    "summary --json",
    "history --json",
    "history show 2 --json",
    "history record {user} --json",
    "history record {class} --json",
    "quality --json",
    "quality",
    "preview --json",
    "preview --json --oneroster-version 1.2 --profile generic",
    "grades show --json",
    "grades change granular_all --json",
    "items list --json",
    "schools list --loaded --json",
    "schools auto --loaded --json",
    "schedule check --json",
    "report --json",
)
OF_THE_MOMENT = {
    *("started_at", "finished_at", "seconds", "seal", "ledger", "checked_until", "minutes_before", "at", "package"),
    *("path", "report", "database", "page", "why", "bytes", "published", "build", "stamp"),
}


def timeless(found: Any) -> Any:
    """Return a report without the values that differ between any two runs."""
    if isinstance(found, dict):
        return {name: timeless(value) for name, value in found.items() if name not in OF_THE_MOMENT}
    return [timeless(value) for value in found] if isinstance(found, list) else found


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_reads_the_tables_says_the_same_of_both(college: College, verb: str) -> None:
    sides = college.until(DAYS).sides
    users, classes = (sides[0].rows("oneroster", name) for name in ("users", "classes"))
    words = verb.format(**{"user": _first_id(users), "class": _first_id(classes)}).split()
    for side in sides:  # The result of `connect test`, without which no program can be mapped.
        (side.folder / "connection.json").write_text(json.dumps({"passed_at": "2026-02-02T06:00:00Z", **COLLEGE}))
    said = [side.connect(*words) for side in sides]
    if "--json" not in words:
        assert said[0] == said[1]
        return
    mine, theirs = (timeless(json.loads(text)) for text in said)
    if words[0] != "schedule":  # The output says how many minutes ago that was.
        assert theirs == mine
    assert theirs.keys() == mine.keys()
    assert mine


def _first_id(rows: list[str]) -> str:
    return rows[0].split("'")[1]
