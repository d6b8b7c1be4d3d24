"""What can be chosen for the gradebook, and what leaves when grades are synced in another way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from coursera_connect.setup.items import Choice, Item, chooses
from coursera_connect.warehouse import ledger
from tests.connect.desk import Desk

if TYPE_CHECKING:
    from pathlib import Path

Line = tuple[str, str, "str | None", int, int]
WHEN, LATER = "2026-01-31T05:00:00Z", "2026-02-01T05:00:00Z"


def gradebook(program: str, course: str, item: str, name: str | None, **more: Any) -> tuple[Any, ...]:
    known = {"learner": "ann", "kind": "QUIZ", "module": "Week 1", "weight": 10.0, "grade": None, "order": 1}
    cell = known | {"read": WHEN} | more
    return (
        program, course, item, cell["learner"], name, cell["kind"], cell["module"], cell["weight"], cell["grade"],
        cell["order"], cell["read"], None,
    )  # fmt: skip


ITEMS = [
    gradebook("p1", "c1", "q1", "Old name", grade=80.0),
    gradebook("p1", "c1", "q1", 'Final exam, part "A"', learner="bob", grade=90.0, read=LATER),
    gradebook("p1", "c1", "q2", "Essay", kind="PEER_REVIEW", weight=0.0, grade=0.0, order=0),
    gradebook("p1", "c1", "q3", "Practice", weight=0.0),
    gradebook("p1", "c2", "Q1", "final EXAM 100%"),
    gradebook("p2", "c1", "q1", None, weight=None, grade=50.0),
]
NAMES = {
    "stg_coursera__programs": [("p1", "Data Science"), ("p2", "Statistics")],
    "courses": [("c1", "Machine Learning"), ("c2", "Writing")],
    "stg_coursera__item_grades": ITEMS,
}


def school_rows(lines: list[Line], mode: str | None) -> dict[str, list[Any]]:
    """Line items as (program, course, item, results, running results among them)."""
    numbered = list(enumerate(lines))
    return {
        "program_schools": [("p1", "school.s", "South"), ("p2", "school.s", "South"), ("p3", "school.n", "north")],
        "line_items": [(one, course, item, f"l{n}") for n, (one, course, item, _all, _running) in numbered],
        "grades": [
            (one, f"l{n}", "partially graded" if number < running else "fully graded")
            for n, (one, _course, _item, number_of, running) in numbered
            for number in range(number_of)
        ],
        "settings_used": [(mode,)] if mode else [],
    }


WHOLE: list[Line] = [("p1", "c1", None, 5, 2), ("p2", "c1", None, 3, 0), ("p3", "c1", None, 4, 4)]
PARTS: list[Line] = [
    ("p1", "c1", "q1", 2, 0),
    ("p1", "c1", "q2", 1, 0),
    ("p1", "c2", "Q1", 3, 0),
    ("p3", "c9", "unknown", 4, 0),
]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, {"MELTANO_ENVIRONMENT": "prod"})


@pytest.fixture
def agreed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr(ledger, "agree", lambda _path, _wait, *what: told.append(what))
    return told


def items(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(item["program_id"], item["course_id"], item["item_id"]) for item in answer["items"]]


# Items


def test_items_with_a_weight_or_a_grade_are_listed_in_the_order_of_their_course(desk: Desk) -> None:
    desk.load(**NAMES)
    desk.write("chosen_items", "p1,,final*")
    answer = desk.ask("items", "list")
    assert items(answer) == [("p1", "c1", "q2"), ("p1", "c1", "q1"), ("p1", "c2", "Q1"), ("p2", "c1", "q1")]
    assert answer["items"][1] == {
        "program_id": "p1",
        "program_name": "Data Science",
        "course_id": "c1",
        "course_name": "Machine Learning",
        "module": "Week 1",
        "item_id": "q1",
        "name": 'Final exam, part "A"',
        "type": "QUIZ",
        "weight": 10.0,
        "graded": 2,
        "chosen_by_line": 2,
    }
    assert answer["items"][3]["name"] == "q1"
    assert answer["chosen"] == 2
    assert items(desk.ask("items", "list", "--chosen")) == [("p1", "c1", "q1"), ("p1", "c2", "Q1")]
    assert items(desk.ask("items", "list", "--program", "statistics")) == [("p2", "c1", "q1")]
    assert items(desk.ask("items", "list", "--program", "p1", "--course", "Writing")) == [("p1", "c2", "Q1")]
    shown = desk.run("items", "list").stdout
    assert "4 items, 2 chosen." in shown
    assert "10 %" in shown


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("q1", ["p1/c1/q1", "p1/c2/Q1", "p2/c1/q1"]),
        ("ESSAY", ["p1/c1/q2"]),
        ("essa", []),
        ("*exam*", ["p1/c1/q1", "p1/c2/Q1"]),
        ("*100%", ["p1/c2/Q1"]),
        ("final_exam*", []),
        ("f.nal*", []),
        ("*", ["p1/c1/q2", "p1/c1/q1", "p1/c2/Q1", "p2/c1/q1"]),
    ],
)
def test_a_pattern_is_an_id_or_a_name_in_any_case_with_a_star_for_anything(
    desk: Desk, pattern: str, expected: list[str]
) -> None:
    desk.load(**NAMES)
    answer = desk.ask("items", "choose", pattern)
    assert ["/".join(parts) for parts in items(answer)] == expected
    assert bool(answer["warnings"]) == (not expected)
    assert (answer["saved"], answer["changed"]) == (False, True)
    assert desk.rows("chosen_items") == []


def test_choices_are_written_once_and_taken_back(desk: Desk) -> None:
    desk.load(**NAMES)
    pattern = 'Final exam, part "A"'
    desk.ask("items", "choose", pattern, "--program", "Data Science", "--course", "machine learning", "--save")
    desk.ask("items", "choose", "*", "--course", "c2", "--save")
    rows = [["", "c2", "*"], ["p1", "c1", pattern]]
    assert desk.rows("chosen_items") == rows
    again = desk.ask("items", "choose", pattern.upper(), "--program", "p1", "--course", "c1", "--save")
    assert (again["saved"], again["changed"]) == (False, False)
    assert desk.rows("chosen_items") == rows
    assert "Chosen already" in desk.run("items", "choose", "*", "--course", "c2").stdout

    dry = desk.run("items", "unchoose", "*", "--course", "Writing").stdout
    assert "final EXAM 100%" in dry
    assert desk.rows("chosen_items") == rows
    assert items(desk.ask("items", "unchoose", "*", "--course", "Writing", "--save")) == [("p1", "c2", "Q1")]
    last = desk.ask("items", "unchoose", pattern, "--program", "p1", "--course", "c1", "--save")
    assert "Nothing is chosen any more" in last["warnings"][0]
    assert desk.rows("chosen_items") == []


def test_an_item_that_another_line_still_chooses_does_not_leave(desk: Desk) -> None:
    desk.load(**NAMES)
    desk.write("chosen_items", ",,*exam*", ",,Q1")
    assert items(desk.ask("items", "unchoose", "q1")) == [("p2", "c1", "q1")]
    assert "is chosen by *exam* (line 2): name that one" in desk.refusal(2, "items", "unchoose", "*100%")
    assert "connect --environment=prod items list --chosen" in desk.refusal(2, "items", "unchoose", "essay")


def test_names_that_are_wrong_and_a_warehouse_without_a_gradebook_are_one_sentence(desk: Desk) -> None:
    assert "no database" in desk.refusal(3, "items", "list")
    desk.load(**NAMES)
    assert "did you mean Data Science (p1)?" in desk.refusal(2, "items", "list", "--program", "Data Scence")
    assert "no course zzz" in desk.refusal(2, "items", "choose", "q1", "--course", "zzz")
    assert "The pattern is blank" in desk.refusal(2, "items", "choose", " ")
    desk.write("chosen_items", "a,b")
    assert "line 2: 2 cells instead of 3" in desk.refusal(2, "items", "list")
    with duckdb.connect(str(desk.database)) as connection:
        connection.execute("drop schema staging cascade")
    desk.write("chosen_items")
    assert "no gradebook yet" in desk.refusal(3, "items", "list")


def test_a_choice_that_has_no_effect_in_the_mode_of_now_says_so(desk: Desk) -> None:
    desk.load(**NAMES, settings_used=[("final",)])
    assert "The grade sync is final, so the choice has no effect yet" in desk.run("items", "choose", "q1").stdout
    desk.load(**NAMES, settings_used=[("granular_selected",)])
    assert "no effect" not in desk.run("items", "choose", "q1").stdout


def test_a_choice_may_hold_what_means_something_elsewhere() -> None:
    item = Item("p", "P", "c", "C", "", "i", "a+b (c) [d] \\ 50% _x?", "", None, 0)
    assert chooses(Choice("", "", "A+B (C) [D] \\ 50% _X?"), item)
    assert chooses(Choice("p", "c", "*(c)*_x?"), item)
    assert not chooses(Choice("p", "c", "a.b*"), item)
    assert not chooses(Choice("P", "", "*"), item)


# The grade sync


def test_the_mode_and_its_rows_are_shown_per_school(desk: Desk) -> None:
    desk.load(**school_rows(WHOLE, "final_incremental"))
    answer = desk.ask("grades", "show")
    assert answer == {
        "grade_sync": "final_incremental",
        "schools": [
            {"school_sourced_id": "school.n", "school_name": "north", "line_items": 1, "results": 4},
            {"school_sourced_id": "school.s", "school_name": "South", "line_items": 2, "results": 8},
        ],
        "caution": "",
    }
    assert "final_incremental: one grade per course" in desk.run("grades", "show").stdout


@pytest.mark.parametrize(
    ("lines", "before", "after", "line_items", "results"),
    [
        (WHOLE, "final", "final_incremental", 0, 0),
        (WHOLE, "final_incremental", "final", 0, 6),
        (WHOLE, "final", "granular_all", 3, 12),
        (WHOLE, "final_incremental", "granular_selected", 3, 12),
        (PARTS, "granular_all", "final", 4, 10),
        (PARTS, "granular_selected", "granular_all", 0, 0),
        (PARTS, "granular_all", "granular_selected", 2, 5),
        (PARTS, None, "final_incremental", 4, 10),
    ],
)
def test_what_leaves_is_what_the_new_mode_has_no_place_for(  # noqa: PLR0917 - one per column
    desk: Desk,
    agreed: list[tuple[Any, ...]],
    lines: list[Line],
    before: str | None,
    after: str,
    line_items: int,
    results: int,
) -> None:
    desk.load(**NAMES, **school_rows(lines, before))
    desk.write("chosen_items", "p1,,final*")
    dry = desk.ask("grades", "change", after)
    assert (dry["from"], dry["to"], dry["line_items"], dry["results"]) == (before, after, line_items, results)
    assert dry["agreed"] is False
    assert agreed == []
    assert sum(school["results"] for school in dry["schools"]) == results
    saved = desk.ask("grades", "change", after, "--save")
    assert saved == dry | {"agreed": True}
    assert saved["command"] == f"connect --environment=prod settings set grade_sync {after}"
    assert agreed == [("grade_sync", after, {"from": before, "line_items": line_items, "results": results})]


def test_without_an_environment_the_command_names_none(desk: Desk, agreed: list[tuple[Any, ...]]) -> None:
    desk.load(**school_rows(WHOLE, "final"))
    done = desk.run("grades", "change", "granular_all", "--save", MELTANO_ENVIRONMENT="")
    assert "3 line items and 12 results would leave." in done.stdout
    assert "Agreed. To set it: connect settings set grade_sync granular_all\n" in done.stdout
    assert len(agreed) == 1


def test_the_mode_of_now_needs_no_agreement(desk: Desk, agreed: list[tuple[Any, ...]]) -> None:
    desk.load(**school_rows(WHOLE, "final"))
    assert "already" in desk.run("grades", "change", "final", "--save").stdout
    assert agreed == []


def test_before_the_first_run_nothing_leaves_and_nothing_is_agreed(desk: Desk, agreed: list[tuple[Any, ...]]) -> None:
    assert desk.ask("grades", "change", "granular_all", "--save")["schools"] is None
    desk.load()
    with duckdb.connect(str(desk.database)) as connection:
        connection.execute("drop schema connect cascade")
    done = desk.run("grades", "change", "granular_all", "--save")
    assert "Not loaded yet, so nothing would leave." in done.stdout
    assert "connect --environment=prod settings set grade_sync granular_all" in done.stdout
    assert agreed == []
    assert desk.refusal(3, "grades", "show").endswith("run meltano --environment=prod run dbt:build")


def test_selected_without_a_choice_warns(desk: Desk) -> None:
    desk.load(**NAMES, **school_rows(PARTS, "granular_all"))
    answer = desk.ask("grades", "change", "granular_selected")
    assert "no item is chosen yet" in answer["warnings"][0]
    assert answer["line_items"] == len(PARTS)


def test_a_mode_that_does_not_exist_names_the_four(desk: Desk) -> None:
    sentence = desk.refusal(2, "grades", "change", "granular-all")
    assert all(mode in sentence for mode in ("final", "final_incremental", "granular_selected", "granular_all"))
    assert sentence.endswith("did you mean granular_all?")
    assert json.dumps(sentence)


def test_after_a_build_that_did_not_end_every_screen_says_so_in_a_sentence(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda _snippet: "")
    desk.load(**NAMES, **school_rows(WHOLE, "final"))
    with duckdb.connect(str(desk.database)) as built:
        built.execute("update connect.build set is_complete = false")
    unfinished = "failed, or made a part of the tables only: run meltano --environment=prod run dbt:build"
    assert desk.refusal(3, "grades", "show").endswith(unfinished)
    for line in ("items list", "grades change granular_all", "summary", "quality"):
        assert unfinished in " ".join(desk.run(*line.split()).output.split())
    report = desk.ask("report", "--page", str(desk.folder / "page.html"))
    assert report["verdict"] == "look"
    assert unfinished in (desk.folder / "page.html").read_text()


def test_what_changed_since_the_build_is_said_where_items_and_modes_are_shown(desk: Desk) -> None:
    desk.load(**NAMES, **school_rows(WHOLE, "final"))
    with duckdb.connect(str(desk.database)) as built:
        built.execute('update connect.build set settings = \'{"grade_sync": "final"}\'')
    (desk.folder / "dbt_project.yml").write_text("vars: {grade_sync: final_incremental}")
    desk.write("chosen_items", "p1,,q1")
    told = "Changed since the last dbt:build: chosen_items.csv and grade_sync (was final, is final_incremental)."
    assert desk.ask("items", "list")["caution"].startswith(told)
    assert desk.ask("grades", "show")["caution"].startswith(told)
    assert told in desk.run("items", "list").stdout
    assert desk.ask("grades", "change", "granular_all")["warnings"][0].startswith(told)
