"""The place of an administrator who sets up: mapping files, a warehouse made by hand, and a running sandbox."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb
from click.testing import CliRunner

from coursera_connect.cli.main import main
from tests.connect.warehouse import BUILT

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

HEADERS = {
    "school_mapping": "program_id,program_name,school_id,school_name",
    "chosen_items": "program_id,course_id,item",
    "facilitators": "program_id,course_id,facilitator_id,given_name,family_name,email,username",
    "sections": "program_id,course_id,section_id,section_name,learner",
    "excluded_people": "learner,reason",
    "terms": "term_id,title,school_year,starts_on,ends_before",
}
TABLES = {
    "connect.program_schools": "program_id text, school_sourced_id text, school_name text",
    "connect.classes": "program_id text, course_id text, class_sourced_id text",
    "connect.courses": "course_id text, course_name text",
    "connect.memberships": "program_id text, person_key text",
    "connect.line_items": "program_id text, course_id text, item_id text, line_item_sourced_id text",
    "connect.person_names": "name text, person_id text",
    "connect.grades": "program_id text, line_item_sourced_id text, score_status text",
    "connect.settings_used": "grade_sync text",
    "connect.lines_without_effect": "file text, line_number integer, unmatched text",
    "staging.stg_coursera__programs": "program_id text, program_name text",
    "staging.stg_coursera__item_grades": "program_id text, course_id text, item_id text, external_id text,"
    " item_name text, item_type text, module_name text, item_weight_percent double, item_grade_percent double,"
    " item_order bigint, extracted_at timestamptz, changed_at timestamptz",
}


@dataclass
class Desk:
    """The folder of one administrator; `environment` holds the variables that Meltano would pass."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.mapping.mkdir()
        for name in HEADERS:
            self.write(name)
        (self.folder / "dbt_project.yml").write_text("vars: {}")
        self.environment |= {
            "CONNECT_MAPPING": str(self.mapping),
            "CONNECT_DATABASE": str(self.database),
            "CONNECT_PACKAGE": str(self.folder / "out" / "oneroster.zip"),
            "CONNECT_TRANSFORM": str(self.folder),
        }

    @property
    def mapping(self) -> Path:
        return self.folder / "mapping"

    @property
    def database(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def record(self) -> Path:
        return self.folder / "out" / "connection.json"

    def write(self, name: str, *lines: str) -> Path:
        """Write a mapping file: its header and these lines."""
        path = self.mapping / f"{name}.csv"
        path.write_text("\n".join([HEADERS[name], *lines, ""]), "utf-8")
        return path

    def rows(self, name: str = "school_mapping") -> list[list[str]]:
        """Return the rows of a mapping file."""
        with (self.mapping / f"{name}.csv").open(encoding="utf-8", newline="") as handle:
            header, *rows = csv.reader(handle, strict=True)
        assert ",".join(header) == HEADERS[name]
        return rows

    def load(self, **tables: list[tuple[Any, ...]]) -> None:
        """Make the warehouse from tables that are named without their schema; all other tables are empty."""
        self.database.unlink(missing_ok=True)
        with duckdb.connect(str(self.database)) as connection:
            for statement in (*BUILT, "create schema staging"):
                connection.execute(statement)
            for name, columns in TABLES.items():
                connection.execute(f"create table {name} ({columns})")
                if rows := tables.pop(name.partition(".")[2], []):
                    marks = ", ".join("?" * len(rows[0]))
                    connection.executemany(f"insert into {name} values ({marks})", rows)
        assert not tables

    def load_mapping(self) -> None:
        """Load the mapping files into the warehouse, as a build does."""
        with duckdb.connect(str(self.database)) as connection:
            connection.execute("create schema mapping")
            for name in HEADERS:
                file = self.mapping / f"{name}.csv"
                connection.execute(
                    f"create table mapping.{name} as from read_csv('{file}', header = true, all_varchar = true)"
                )

    def run(self, *arguments: str, **environment: str) -> Result:
        """Run a command; an output that is not a sentence, such as a traceback, fails the test."""
        done = CliRunner().invoke(main, arguments, env=self.environment | environment)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    def ask(self, *arguments: str, **environment: str) -> dict[str, Any]:
        """Run a command that has to succeed, and return its JSON."""
        done = self.run(*arguments, "--json", **environment)
        assert done.exit_code == 0, done.output
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def refusal(self, code: int, *arguments: str, **environment: str) -> str:
        """Run a command that has to fail with an exit code, and return its one sentence."""
        done = self.run(*arguments, **environment)
        assert done.exit_code == code, done.output
        assert done.stdout == ""
        lines = done.stderr.splitlines()
        assert len(lines) == 1, done.stderr
        return lines[0].removeprefix("Error: ")
