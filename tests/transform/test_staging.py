"""Raw tables at schools that chose other streams or upgraded from an earlier release."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import datetime, timezone
from typing import TYPE_CHECKING, cast

import duckdb
import yaml

from tap_coursera.tap import STREAMS
from tests.transform.warehouse import PROJECT, RAW_COLUMNS, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.transform.warehouse import Row, Warehouse

READ = "2026-02-02T06:00:00Z"
# The tap ranks by the same cases: tests/tap/test_paging.py.
RIVALS = json.loads((REPOSITORY / "tests" / "rivals.json").read_text("utf-8"))
SOURCES = yaml.safe_load((PROJECT / "models/staging/sources.yml").read_text())["sources"][0]["tables"]


def test_a_table_that_an_earlier_release_loaded_may_lack_any_column_but_the_key(warehouse: Warehouse) -> None:
    keys = {stream.name: tuple(cast("Iterable[str]", stream.primary_keys)) for stream in STREAMS}
    assert keys.keys() == RAW_COLUMNS.keys() == {table["name"] for table in SOURCES}
    warehouse.load(READ, **{stream: [dict.fromkeys(key, "x")] for stream, key in keys.items()})
    with duckdb.connect(str(warehouse.path)) as database:
        for table in SOURCES:
            for name in {column["name"] for column in table["columns"]} - set(keys[table["name"]]):
                database.execute(f"ALTER TABLE coursera.{table['name']} DROP COLUMN {name}")
    warehouse.run("--select", "staging")
    for stream in RAW_COLUMNS:
        (row,) = warehouse.read(f"staging.stg_coursera__{stream}")
        assert {value for name, value in row.items() if value and name != "sequence"} <= {
            "x",
            datetime(2026, 2, 2, 6, tzinfo=timezone.utc),
        }


def test_streams_that_no_file_is_made_of_are_there_to_be_asked(warehouse: Warehouse) -> None:
    lesson = {"id": "l1", "items": [{"id": "q1", "item_type": "QUIZ", "weight_percentage": 15.5}]}
    warehouse.load(
        READ,
        course_materials=[{"program_id": "ProgA", "id": "Course1", "modules": [{"id": "m1", "lessons": [lesson]}]}],
        curriculum_collections=[{"id": "ProgA~c1", "program_id": "ProgA", "collection_id": "c1", "title": "Start"}],
        skillsets=[{"skillset_id": "Set1", "skills": [{"skill_id": "sql", "target_score": 250}]}],
        skillset_progress=[{"user_email": "ana@mail.example", "skillset_id": "Set1", "progress_percentage": 38}],
    )
    warehouse.run("--select", "staging")
    (materials,) = warehouse.read("staging.stg_coursera__course_materials")
    (collection,) = warehouse.read("staging.stg_coursera__curriculum_collections")
    (skillset,) = warehouse.read("staging.stg_coursera__skillsets")
    (progress,) = warehouse.read("staging.stg_coursera__skillset_progress")
    assert json.loads(materials["modules"])[0]["lessons"][0]["items"][0]["weight_percentage"] == 15.5
    assert (collection["collection_key"], collection["collection_name"]) == ("ProgA~c1", "Start")
    assert json.loads(skillset["skills"]) == [{"skill_id": "sql", "target_score": 250}]
    assert (progress["email"], progress["progress_percent"]) == ("ana@mail.example", 38)


def test_ranking_only_the_keys_that_occur_twice_finds_the_rows_that_ranking_all_of_them_finds(
    warehouse: Warehouse,
) -> None:
    asked = "'nasty', ['a', 'b'], 'n desc, m'"
    done = warehouse.dbt(
        "compile", "--inline", f"{{{{ duckdb__ranked({asked}, '') }}}};{{{{ default__ranked({asked}, '') }}}};"
    )
    assert done.returncode == 0, done.output
    quick, plain, _ = done.output[done.output.index("select *") :].split(";")
    assert "hash(" in quick
    assert "hash(" not in plain
    keys = ["", "x", "X", " x", "x,", "\x1f", "Zoë", None]
    rows = [
        (a, b, n, m)
        for a in keys
        for b in keys
        for n in range((keys.index(a) + keys.index(b)) % 4)
        for m in range(1 + bool(n))
    ]
    with duckdb.connect() as database:
        database.execute("create table nasty (a text, b text, n integer, m integer)")
        database.executemany("insert into nasty values (?, ?, ?, ?)", rows)
        found = [
            sorted(database.execute(f"select a, b, n, m from ({one}) as r where newest = 1").fetchall(), key=repr)
            for one in (quick, plain)
        ]
    assert found[0] == found[1]
    assert 0 < len(found[0]) < len(rows)


def test_a_text_loses_what_is_no_text_and_is_one_line(warehouse: Warehouse) -> None:
    done = warehouse.dbt("compile", "--inline", "select {{ whole_line('said') }} as line;")
    assert done.returncode == 0, done.output
    line = done.output[done.output.index("select nullif") + len("select ") :].split(" as line;")[0]
    vectors = json.loads((REPOSITORY / "tests" / "awkward_text.json").read_text("utf-8"))
    with duckdb.connect() as database:
        for vector in vectors:
            expected = " ".join(re.split(r"[\s\ufeff]+", vector["out"])).strip()
            for said in (json.loads(vector["in"]), vector["out"]):
                if not re.search("[\ud800-\udfff]", said):  # No database can hold a lone surrogate.
                    (found,) = database.execute(f"select {line} from (select ? as said)", [said]).fetchone() or ()
                    assert found == (unicodedata.normalize("NFC", expected) or None), vector["why"]


def test_of_two_rows_of_one_id_that_a_loader_kept_the_one_counts_that_the_tap_writes_last(warehouse: Warehouse) -> None:
    def told(case: int, turned: bool) -> Iterator[Row]:
        for number, name in enumerate(("other", "newer") if turned else ("newer", "other")):
            row = {re.sub("([A-Z])", r"_\1", key).lower(): value for key, value in RIVALS[case][name].items()}
            yield row | {
                "program_id": f"{case} {turned}",
                "id": "a~Course~C",
                "content_name": name,
                # The value that a tap would send that accepts every moment.
                "changed_at": max((value for key, value in row.items() if key.endswith("_at")), default=None),
                "_sdc_sync_started_at": 1,
                "_sdc_sequence": number,
            }

    cases = [(case, turned) for case in range(len(RIVALS)) for turned in (False, True)]
    reports = [row for one in cases for row in told(*one)]
    warehouse.load(
        READ,
        enrollments=reports,
        course_grades=[
            {key: value for key, value in row.items() if key in RAW_COLUMNS["course_grades"] or key.startswith("_sdc")}
            | {"course_name": row["content_name"]}
            for row in reports
            if row["membership_state"] == "MEMBER" and "DELETED" not in str(RIVALS[int(row["program_id"].split()[0])])
        ],
    )
    warehouse.run("--select", "+stg_coursera__enrollments", "+stg_coursera__course_grades")
    shown = {row["program_id"]: row["content_name"] for row in warehouse.read("staging.stg_coursera__enrollments")}
    assert shown == {f"{case} {turned}": "newer" for case, turned in cases}
    shown = {row["program_id"]: row["course_name"] for row in warehouse.read("staging.stg_coursera__course_grades")}
    assert len(shown) == 10
    assert set(shown.values()) == {"newer"}
