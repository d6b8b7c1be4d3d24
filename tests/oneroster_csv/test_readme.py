"""The README of the library: its examples run as they stand, and its table lists every rule."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
from click.testing import CliRunner

from oneroster_csv import profile as profiles
from oneroster_csv import validate
from oneroster_csv.cli import main
from oneroster_csv.replay import Replay
from oneroster_csv.rules import RULES
from tests.oneroster_csv.packages import Package

if TYPE_CHECKING:
    from collections.abc import Mapping

README = (Path(__file__).resolve().parents[2] / "plugins/oneroster-csv/README.md").read_text("utf-8")
CORE = ("academicSessions", "categories", "classes", "courses", "enrollments", "lineItems", "orgs", "results", "users")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def core(mode: str = "bulk") -> Package:
    package = Package("1.1", mode)
    package.absent(*(file for file in package.rows if file not in CORE))
    return package


def example(about: str, **variables: str) -> str:
    """Return the output of a Python example in the current folder."""
    (code,) = (one for one in blocks("python") if about in one)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=variables)
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_the_command_prints_is_what_it_says() -> None:
    package = core()
    package.put("enrollments", "e1", userSourcedId="u9")
    package.put("enrollments", "e2", userSourcedId="u1")
    package.put("results", "r1", score="101")
    package.delete("results", "r2")
    package.copy("results", "r1", sourcedId="r3", score="2", studentSourcedId="u1")
    package.write(Path("roster.zip"))
    typed, *lines = blocks("console")[0].splitlines()
    assert typed == "$ oneroster-csv check roster.zip"
    done = CliRunner().invoke(main, ["check", "roster.zip"])
    assert (done.exit_code, done.output.splitlines()) == (1, lines)
    assert example("validate.package").splitlines() == lines


def test_the_profile_is_one_and_all_that_come_along_are_named() -> None:
    (text,) = blocks("json")
    mine = profiles.parse("riverside", text)
    assert [rule.id for rule in mine.rules] == ["reader-code"]
    assert all(f"`{name}`" in README for name in profiles.names())
    assert json.loads(text)["files"] == list(mine.files)


def filled(package: Package, tables: Mapping[str, str]) -> None:
    with duckdb.connect("sis.duckdb") as connection:
        for file in CORE:
            names = package.headers[file]
            declared = ", ".join(f'"{name}" {tables.get(name, "text")}' for name in names)
            connection.execute(f'create or replace table "{file}" ({declared})')
            marks = ", ".join("?" * len(names))
            rows = [[row.get(name) or None for name in names] for row in package.rows[file]]
            connection.executemany(f'insert into "{file}" values ({marks})', rows)


def test_tables_of_any_type_become_a_valid_package_with_masked_people() -> None:
    filled(core(), {"startDate": "date", "score": "decimal(5, 2)", "enabledUser": "boolean"})
    assert example("from_tables", ROSTER_KEY="a key that only this test knows") == "written\n"
    assert validate.package(Path("masked.zip")).counts == {}
    held = Replay()
    held.apply(Path("masked.zip"))
    ada = held.tables["users"]["u1"]
    assert re.fullmatch(
        "A-[a-z]{7} Z-[a-z]{7} [a-z]{16}@d1[.]invalid",
        " ".join(ada[name] for name in ("givenName", "familyName", "email")),
    )
    assert (len(held.tables["users"]), held.tables["results"]["r1"]["score"]) == (3, "92.50")
    Path("first.zip").write_bytes(Path("masked.zip").read_bytes())
    Path("masked.zip").unlink()
    example("from_tables", ROSTER_KEY="a key that only this test knows")
    assert Path("masked.zip").read_bytes() == Path("first.zip").read_bytes()


def test_rows_that_a_rule_refuses_are_not_written() -> None:
    package = core()
    package.put("enrollments", "e1", userSourcedId="u9")
    filled(package, {})
    assert example("from_tables", ROSTER_KEY="a key that only this test knows") == "refused\n"
    assert not Path("masked.zip").exists()


def test_packages_are_replayed() -> None:
    core().write(Path("monday.zip"))
    delta = core("delta")
    delta.absent("users", "results")
    delta.put("enrollments", "e1", status="tobedeleted")
    delta.write(Path("tuesday.zip"))
    assert example("Replay") == "2\n"
    for day in ("monday", "tuesday"):
        users = core()
        users.absent(*(file for file in CORE if file != "users"))
        users.write(Path(f"{day}.zip"))
    assert example("Replay") == "0\n"


def test_every_rule_is_listed() -> None:
    listed = re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", README.split("## Rules")[1], flags=re.MULTILINE)
    told = {
        rule.id: rule.sentence + ("" if rule.refuses else " A warning.") + ("" if len(rule.versions) > 1 else " (1.2)")
        for rule in RULES.values()
    }
    assert dict(listed) == told


def test_no_link_leads_to_a_file_that_a_package_index_does_not_have() -> None:
    assert re.findall(r"\]\((?!https://)", README) == []
