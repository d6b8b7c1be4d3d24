"""Line items and scores as a gradebook needs them."""

from __future__ import annotations

import json
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from oneroster_csv import binding
from tests.tap_oneroster.reading import core, read

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tap_oneroster.reading import Sent


def valid(sent: Sent) -> Sent:
    """Check each record against the schema that it was announced with."""
    for stream in ("line_items", "scores"):
        schema = json.loads((files("tap_oneroster") / f"schemas/{stream}.json").read_text("utf-8"))
        for record in sent.records(stream):
            jsonschema.validate(json.loads(json.dumps(record, default=float)), schema)
            assert record.keys() <= schema["properties"].keys()
    return sent


def scores(sent: Sent) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in valid(sent).records("scores")}


@pytest.mark.parametrize("version", binding.VERSIONS)
def test_a_result_is_a_score_with_its_person_its_maximum_and_its_state(tmp_path: Path, version: str) -> None:
    made = core(version)
    made.put("results", "r2", scoreStatus="partially graded", comment="well, well")
    made.put("users", "u1", identifier="17", userIds="{SIS:17},{LMS:a}")
    found = scores(read(made.write(tmp_path / "p.zip")))
    assert found["r1"] == {
        "id": "r1",
        "line_item_id": "l1",
        "person_id": "u1",
        "email": "u1@example.org",
        "username": "u1@example.org",
        "identifiers": ["17", "a"],
        "class_id": "k1",
        "score": Decimal("92.5"),
        "score_maximum": 100,
        "comment": None,
        "is_final": True,
        "changed_at": None,
        "deleted": False,
    }
    assert (found["r2"]["is_final"], found["r2"]["comment"]) == (False, "well, well")


def test_no_name_of_a_person_is_in_these_streams(tmp_path: Path) -> None:
    made = core("1.2")
    made.put("users", "u1", givenName="Grizelda", familyName="Quackenbush", preferredGivenName="Zelda")
    sent = read(made.write(tmp_path / "p.zip"))
    told = json.dumps([*sent.records("scores"), *sent.records("line_items")], default=str)
    assert not any(name in told for name in ("Grizelda", "Quackenbush", "Zelda"))
    assert "u1@example.org" in told


def test_only_what_has_a_score_and_is_graded_is_a_score(tmp_path: Path) -> None:
    made = core("1.2")
    made.put("results", "r1", scoreStatus="submitted")
    made.put("results", "r2", inProgress="true")
    found = scores(read(made.write(tmp_path / "p.zip")))
    assert {key: row["is_final"] for key, row in found.items()} == {"r2": False}
    made.put("results", "r2", score="")
    assert scores(read(made.write(tmp_path / "p.zip"))) == {}


def test_a_line_item_has_class_label_maximum_category_and_dates(tmp_path: Path) -> None:
    made = core("1.1")
    made.put("categories", "cat", title="Course total")
    path = made.write(tmp_path / "p.zip")
    sent = valid(read(path, total_category="Course total"))
    (item,) = (row for row in sent.records("line_items") if row["id"] == "l1")
    row = made.row("lineItems", "l1")
    assert (item["class_id"], item["class_title"]) == ("k1", made.row("classes", "k1")["title"])
    assert (item["label"], item["score_maximum"], item["category"]) == (row["title"], 100, "Course total")
    assert (item["assigned_on"], item["due_on"]) == (row["assignDate"], row["dueDate"])
    assert (item["is_total"], item["deleted"]) == (True, False)
    assert valid(read(path)).records("line_items")[0]["is_total"] is False


def test_what_a_delta_alone_does_not_know_is_left_out_and_what_left_says_so(tmp_path: Path) -> None:
    made = core("1.1", "delta", only=("results",))
    made.put("results", "r2", status="tobedeleted")
    sent = read(made.write(tmp_path / "p.zip"))
    found = scores(sent)
    assert not found["r1"].keys() & {"email", "username", "identifiers", "class_id", "score_maximum"}
    assert {key: row["deleted"] for key, row in found.items()} == {"r1": False, "r2": True}
    assert sent.kinds("scores") == ["SCHEMA", "RECORD"]  # nothing is known about all others
