"""The benchmark measures what it says, and finds out when a contestant loads other rows than were served."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import msgspec
import pytest

from tests.bench import run
from tests.bench.contestants import Contestant, script
from tests.bench.pages import KINDS, Book
from tests.bench.pages import rows as vendor_rows
from tests.bench.peers import floor
from tests.bench.processes import Stage
from tests.bench.processes import run as run_processes
from tests.bench.verify import differences

if TYPE_CHECKING:
    from tests.bench.contestants import Task
    from tests.bench.environments import Environments

SMALL = ["--here", "--runs", "1", "--enrollments", "1200", "--gradebooks", "250"]


def careless(task: Task, environments: Environments) -> list[Stage]:
    """Loads all rows, and then spoils a single value of one of them."""
    spoil = (
        "import duckdb, sys; duckdb.connect(sys.argv[1]).execute("
        "'UPDATE loaded SET overallProgress = overallProgress + 1 WHERE rowid = 7')"
    )
    load = script("floor.py", "floor")(task, environments)[0]
    both = [sys.executable, "-c", f"import subprocess, sys; subprocess.run({load.command!r}, check=True); {spoil}"]
    return [Stage("script", [*both, str(task.database)])]


def test_floor_naive_and_ours_load_what_was_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--only", "enrollments,items", "--latency", "1", "--contestants", "floor,naive,ours"]
    code = run.main([*SMALL, *words, "--folder", str(tmp_path)])
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert "### 1,200 enrollments, 1 ms per request, first load" in printed
    assert "### 250 gradebooks of 15 items, 1 ms per request, first load" in printed
    assert printed.count("| **") == 6
    results = json.loads(next((tmp_path / "results").glob("*.json")).read_text())
    assert [one["contestant"] for one in results] == ["floor", "naive", "ours"] * 2
    assert [one["requests"] for one in results] == [2, 2, 3] * 2  # The project's tap also asks for the programs.
    assert results[2]["cpu"].keys() == results[2]["peak"].keys() == {"tap", "loader"}
    assert min(results[2]["cpu"].values()) > 0.1
    assert min(results[2]["peak"].values()) > 20


def test_a_contestant_with_wrong_rows_fails_however_quick(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load = script("floor.py", "floor")
    others = {
        "careless": Contestant("careless", "spoils a value", ("floor",), careless, lambda _: "loaded"),
        "forgetful": Contestant("forgetful", "loads twice", ("floor",), load, lambda _: "loaded", replaces=True),
    }
    words = ["--only", "enrollments", "--latency", "0", "--contestants", "floor,careless,forgetful"]
    code = run.main([*SMALL, *words, "--folder", str(tmp_path)], others)
    told = capsys.readouterr()
    assert code == 1
    first, again = told.out.split("re-load")
    assert "| careless: spoils a value | FAILED: sum of overallProgress: " in first
    assert "| floor: pages to a file, DuckDB reads it; appends | **" in first
    assert "| forgetful: loads twice | **" in first
    assert "| forgetful: loads twice | FAILED: rows: 2,400 and not 1,200 |" in again
    assert "WRONG: careless, enrollments, first load: sum of overallProgress: " in told.err


def test_a_contestant_that_dies_fails_with_what_it_said(tmp_path: Path) -> None:
    writer = Stage("tap", [sys.executable, "-c", "while True: print('x' * 9000)"])
    reader = Stage("loader", [sys.executable, "-c", "import sys; sys.exit('no room on the disk')"])
    cost = run_processes([writer, reader], tmp_path / "log")
    assert cost.failure is not None
    assert "loader 1" in cost.failure
    assert "no room on the disk" in cost.failure


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `loaded.duckdb`, the items of twenty gradebooks as they were served, and `truth.json`."""
    folder = tmp_path_factory.mktemp("loaded")
    kind = KINDS["items"]
    book = Book(kind, 20, folder)
    book.write()
    shutil.copy(book.truth, folder / "truth.json")
    rows = folder / "rows.jsonl"
    rows.write_bytes(b"\n".join(msgspec.json.encode(row) for row in vendor_rows(kind.name, book.count)))
    database = str(folder / "loaded.duckdb")
    floor.load({"fields": kind.fields, "nested": kind.nested, "outer": kind.outer, "database": database}, rows)
    return folder


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ("DELETE FROM loaded WHERE rowid = 0", "rows: 299 and not 300"),
        ("UPDATE loaded SET itemId = 'x' WHERE rowid < 2", "different keys: 299 and not 300"),
        ("UPDATE loaded SET itemGrade = itemGrade + 0.01 WHERE rowid = 5", "sum of itemGrade: "),
        ("UPDATE loaded SET itemDeadline = itemDeadline + 1 WHERE rowid = 5", "sum of itemDeadline: "),
        ("UPDATE loaded SET isItemPassed = NOT isItemPassed WHERE rowid = 5", "sum of isItemPassed: "),
        ("UPDATE loaded SET lessonName = 'Ünversehrt' WHERE rowid = 5", "sum of lessonName: "),
        ("UPDATE loaded SET itemRiskFlags = NULL WHERE rowid = 5", "values of itemRiskFlags: "),
    ],
)
def test_every_kind_of_field_is_verified(loaded: Path, tmp_path: Path, spoil: str, told: str) -> None:
    expected = json.loads((loaded / "truth.json").read_text())
    database = Path(shutil.copy(loaded / "loaded.duckdb", tmp_path))
    assert differences(database, "loaded", KINDS["items"], expected, snake_case=False) == []
    with duckdb.connect(str(database)) as connection:
        connection.execute(spoil)
    found = differences(database, "loaded", KINDS["items"], expected, snake_case=False)
    assert any(line.startswith(told) for line in found)
