"""A publish that compares only what changed gives the same package as one that compares everything."""

from __future__ import annotations

import csv
import io
import itertools
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from coursera_connect.publish import counts, stages
from oneroster_csv.sql import csv_row, quoted
from tests.connect.college import College

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from coursera_connect.warehouse.warehouse import Warehouse

CELLS = ["", "plain", " ", '"', '""', ",", "a,b", 'say "hi"', "cr\rlf\n", "tab\t", "Zoë 李 🙂", "\ufeff", "'", "\\"]


@pytest.mark.parametrize("quote_all", [False, True])
def test_rows_are_written_as_pythons_csv_module_writes_them(quote_all: bool) -> None:
    rows = sorted(itertools.product(CELLS, CELLS, ["x", "x,y"]))
    expected = io.StringIO(newline="")
    csv.writer(expected, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL).writerows(rows)
    with duckdb.connect() as connection:
        connection.execute("create table t as select unnest(?) as cells", [[list(row) for row in rows]])
        line = csv_row(["cells[1]", "cells[2]", "cells[3]"], quote_all=quote_all)
        found = connection.execute(f"select {line} from t order by cells").fetchall()
    assert "".join(f"{line}\r\n" for (line,) in found) == expected.getvalue()


def plain_changes(database: Warehouse, columns: dict[str, list[str]]) -> dict[str, set[tuple[Any, ...]]]:
    """Compare all present rows with all remembered rows."""
    found = {}
    for file, names in columns.items():
        new, old = (
            {row[0]: row for row in database.rows(f"select {', '.join(map(quoted, stages.cells(names)))} from {one}")}
            for one in (stages.at("now", file), stages.at("memory", file))
        )
        found[file] = {
            (key, "added" if key not in old else "removed" if key not in new else "changed")
            for key in new.keys() | old.keys()
            if new.get(key) != old.get(key)
        }
    return found


def plain_counts(database: Warehouse, file: str) -> list[dict[str, Any]]:
    """Count every row for every school that the row is or was in."""
    after, before = (
        set(database.rows(f"select * from {stages.at(f'schools of {one}', file)}")) for one in ("now", "memory")
    )
    what = dict(database.rows(f"select * from {stages.at('changes', file)}"))
    held = {row[0] for row in database.rows("select sourced_id from held where file = ?", [file])}
    counted = []
    for school in sorted({school for _, school in after | before}):
        ids = [key for key, of in after | before if of == school]
        row = {"file": file, "school": school, "total": sum(of == school for _, of in after)}
        row |= {kind: sum(what.get(key) == kind for key in ids) for kind in ("added", "changed", "removed")}
        counted.append({**row, "held": len(held.intersection(ids))})
    return counted


def test_only_rows_that_are_apart_are_compared_and_counted_and_none_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    college = College(tmp_path)
    seen: set[Any] = set()
    make: Callable[..., None] = stages.changes
    count = counts.per_school

    def compared(database: Warehouse, columns: dict[str, list[str]], conditions: dict[str, str]) -> None:
        make(database, columns, conditions)
        plain = plain_changes(database, columns)
        for file, expected in plain.items():
            assert set(database.rows(f"select * from {stages.at('changes', file)}")) == expected, file
            seen.update((file, what) for _, what in expected)

    def counted(database: Warehouse, files: dict[str, list[str]]) -> list[dict[str, Any]]:
        found = list(count(database, files))
        assert found == [row for file in files for row in plain_counts(database, file)]
        seen.update("held" for row in found if row["held"])
        return found

    monkeypatch.setattr(stages, "changes", compared)
    monkeypatch.setattr(counts, "per_school", counted)
    college.publish()
    college.publish()
    # One day has a vanished class, a score that fell to nothing, a new score, a new name, and another school.
    college.lose("enrollments", "\"sourcedId\" = 'e.kb1.3'")
    college.lose("results", "\"sourcedId\" in ('r.kb1.3', 'r.ka1.4')")
    college.sql(
        "update results set score = '0.00' where \"sourcedId\" = 'r.ka1.5'",
        "update results set score = '99.00', \"scoreDate\" = '2026-02-01' where \"sourcedId\" = 'r.ka1.6'",
        "update results set \"scoreDate\" = '2026-02-01' where \"sourcedId\" = 'r.ka1.7'",
        "update users set \"givenName\" = 'Eve', \"orgSourcedIds\" = 'a,b' where \"sourcedId\" = 'a8'",
    )
    college.newer(3)
    assert college.publish()["held"]
    college.newer(4)
    college.find("results")
    college.find("enrollments")
    college.sql("update results set score = '55.00' where \"sourcedId\" = 'r.ka1.5'")
    college.publish(mode="delta")
    # A reader that refuses what the former one took, and then the former one again.
    college.sql("update results set \"scoreStatus\" = 'partially graded' where \"sourcedId\" = 'r.kb1.9'")
    college.publish()
    assert "r.kb1.9" in college.ids("results")
    college.publish(profile="blackbaud", allow_removals=True)
    assert "r.kb1.9" not in college.ids("results")
    college.publish(allow_removals=True)
    college.lose("classes", "\"sourcedId\" = 'ka2'")
    college.publish()
    assert seen >= {("results", "added"), ("results", "changed"), ("results", "removed"), ("users", "changed"), "held"}


def test_a_control_character_is_also_found_where_the_kind_of_the_cell_allows_none(tmp_path: Path) -> None:
    college = College(tmp_path)
    college.sql(
        "update results set \"scoreDate\" = '2025-10-01' || chr(10) where \"sourcedId\" = 'r.ka1.5'",
        "update enrollments set role = 'student' || chr(7) where \"sourcedId\" = 'e.ka1.5'",
        "update enrollments set \"sourcedId\" = 'e' || chr(133) where \"sourcedId\" = 'e.ka1.6'",
        "update orgs set status = chr(9) where \"sourcedId\" = 'b'",
    )
    found = {(one["rule"], one["file"], one["field"]) for one in college.publish()["problems"]}
    for where in (("results.csv", "scoreDate"), ("enrollments.csv", "role"), ("enrollments.csv", "sourcedId")):
        assert ("control-character", *where) in found
    assert found >= {("date", "results.csv", "scoreDate"), ("vocabulary", "enrollments.csv", "role")}


def test_rows_with_one_id_are_all_counted_where_they_are_refused_for_it(tmp_path: Path) -> None:
    college = College(tmp_path)
    college.publish()
    college.sql(
        "insert into results select * replace ('r.new' as \"sourcedId\") from results where \"sourcedId\" = 'r.ka1.5'",
        "insert into results select * from results where \"sourcedId\" = 'r.new'",
    )
    report = college.publish()
    assert report["outcome"] == "refused"
    (counted,) = [row for row in report["counts"] if (row["file"], row["school"]) == ("results", "a")]
    assert (counted["total"], counted["added"], counted["errors"]) == (42, 2, 2)


def test_a_run_that_somebody_deleted_from_the_ledger_costs_no_row_and_brings_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    college = College(tmp_path)
    college.publish()
    with monkeypatch.context() as nobody_notes:
        nobody_notes.setattr("coursera_connect.publish.record.settle", lambda *_: None)
        for key in (2, 3):
            college.sql(f"update results set score = '71.00' where \"sourcedId\" = 'r.ka1.{key}'")
            college.publish()
    college.sql("delete from ledger.runs where run = 2", "update results set score = '72.00' where score = '54.00'")
    assert college.publish(mode="delta")["mode"] == "delta"
    rows = college.csv("results")
    assert [row[0] for row in rows[1:]] == ["r.ka1.2", "r.ka1.3", "r.ka1.4", "r.ka2.4", "r.kb1.4"]
    assert {len(row) for row in rows} == {len(rows[0])}
    # The next run has the number of the last one.
    college.sql("delete from ledger.runs where run = 4", "update results set score = '73.00' where score = '72.00'")
    college.publish()
    assert college.ask('select count(*), count(distinct "sourcedId") from ledger.results where until_run is null') == [
        (60, 60)
    ]
