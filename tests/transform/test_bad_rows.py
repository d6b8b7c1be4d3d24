"""Impossible moments, numbers, texts and keys: the row is repaired or left out and named, all others go on."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.transform.college import completed, content, item, member, offers, program, running, user

if TYPE_CHECKING:
    from tests.transform.warehouse import Row, Warehouse

READ = "2026-02-02T06:00:00Z"
SECONDS, AHEAD = "1970-01-21T11:00:00Z", "2083-05-01T00:00:00Z"
SCORES: dict[str, Any] = {
    "Good": 0.5,
    "Noise": 1.0000000000000002,
    "Hair": -1e-12,
    "Above": 1.05,
    "Huge": 1e300,
    "Below": -0.1,
    "Nan": "NaN",
    "Inf": "Infinity",
}
MOMENTS: dict[str, Row] = {
    "Seconds": {"completed_at": SECONDS},
    "Ahead": dict.fromkeys(("completed_at", "enrolled_at", "last_activity_at", "updated_at", "changed_at"), AHEAD),
    "Deleted": {"completed_at": SECONDS, "deleted_at": AHEAD},
    "Typed": {"completed_at": None, "row_problems": "completed_at:type"},
    "Border": {"completed_at": "2026-02-03T06:00:00Z"},
    "Over": {"completed_at": "2026-02-03T06:00:01Z"},
}


@pytest.fixture(scope="module")
def college(warehouse: Warehouse) -> Warehouse:
    people = [*SCORES, *MOMENTS]
    warehouse.load(
        AHEAD,  # The clock of the machine is wrong.
        stream_reads=[
            {"stream": "enrollments", "program_id": "ProgA", "read_at": READ, "rows_left_out": 2, "left_out_for": "id"},
            {"stream": "users", "program_id": "", "read_at": READ},
            {"stream": "contents", "program_id": "", "read_at": AHEAD},
        ],
        item_grades=[
            item("ProgA", "sso-Good", "Course1", "q1", 105.0),
            item("ProgA", "sso-Noise", "Course1", "q1", 100.0049),
            item("ProgA", "sso-Below", "Course1", "q1", -3.0),
            item("ProgA", "sso-Hair", "Course1", "q1", 0.0),
        ],
        course_grades=[running("ProgA", "sso-Nan", "Course1", 104.0), running("ProgA", "sso-Inf", "Course1", 3.0)],
    )
    warehouse.load(
        READ,
        organizations=[{"id": "Org_A", "name": "Example College"}],
        programs=[program("ProgA", "Business"), {"id": None, "name": "Nobody's"}, {"id": "", "name": "Nobody's"}],
        program_contents=[offers("ProgA", "Course1")],
        contents=[content("Course1", "Wri\u202eting\ufffe\u0000 ") | {"last_updated_at": AHEAD}],
        users=[
            user(key, f"sso-{key}", f"L {key}", f"{key}@mail.example", row_problems="full_name:text") for key in people
        ],
        program_memberships=[
            member("ProgA", f"sso-{key}", joined_at=AHEAD if key == "Good" else "2025-09-01T08:00:00Z")
            for key in people
        ],
        enrollments=[
            *(completed("ProgA", f"sso-{key}", "Course1", grade) for key, grade in SCORES.items()),
            *(completed("ProgA", f"sso-{key}", "Course1", 0.75, **more) for key, more in MOMENTS.items()),
        ],
    )
    warehouse.build()  # All data tests run, and none of them may stop a night.
    return warehouse


def test_a_score_is_rounded_capped_or_left_out_and_what_cannot_be_dated_waits(college: Warehouse) -> None:
    scores = {row["studentSourcedId"][5:]: (row["score"], row["scoreDate"]) for row in college.file("results").values()}
    assert scores == {
        "Good": ("50.00", "2026-01-15"),
        "Noise": ("100.00", "2026-01-15"),
        "Hair": ("0.00", "2026-01-15"),
        "Above": ("100.00", "2026-01-15"),
        "Huge": ("100.00", "2026-01-15"),
        "Border": ("75.00", "2026-02-03"),
    }
    doubt = {row["result_sourced_id"].rpartition(".")[2]: row for row in college.read("connect.doubtful_results")}
    assert {key: row["reason"] for key, row in doubt.items()} == {
        **dict.fromkeys(("Above", "Huge"), "above maximum"),
        **dict.fromkeys(("Seconds", "Ahead", "Deleted", "Typed", "Over"), "impossible completion"),
    }
    assert (doubt["Above"]["original_percent"], doubt["Above"]["school_sourced_id"]) == (105.0, "school.ProgA")


def test_no_moment_that_cannot_be_moves_anything(college: Warehouse) -> None:
    (used,) = college.read("connect.settings_used")
    (fresh,) = college.read("connect.freshness")
    assert (used["data_as_of"], str(fresh["today"])) == ("2026-02-02T04:00:00Z", "2026-02-02")
    assert set(college.file("academicSessions")) == {"schoolYear.2026", "term.2026", "gradingPeriod.2026"}
    assert {row["dueDate"] for row in college.file("lineItems").values()} == {"2026-07-31"}
    (course,) = college.file("courses").values()
    assert course["title"] == "Writing"
    seen = {str(row["first_seen_at"])[:10] for row in college.read("connect.item_scores")}
    assert seen == {"2026-02-02"}


def test_each_row_is_named_with_its_column_and_nobody_else(college: Warehouse) -> None:
    rows = college.read("connect.quality")
    named = {(row["rule"], row["entity"], row["record_id"], row["field"]) for row in rows}
    reports = "~Course~Course1"
    assert named == {
        *(("unusable-score", "enrollments", f"{key}{reports}", "grade") for key in ("Below", "Nan", "Inf")),
        ("unusable-score", "item_grades", "Below~Course1~q1", "item_grade"),
        *(("grade-above-maximum", "result", f"result.ProgA.Course1.{key}", "score") for key in ("Above", "Huge")),
        *(
            ("impossible-completion", "result", f"result.ProgA.Course1.{key}", "scoreDate")
            for key in ("Seconds", "Ahead", "Deleted", "Typed", "Over")
        ),
        *(
            ("impossible-moment", "enrollments", f"{key}{reports}", name)
            for key, names in {
                "Seconds": "completed_at",
                "Over": "completed_at",
                "Deleted": "completed_at deleted_at",
                "Ahead": "completed_at enrolled_at last_activity_at updated_at",
            }.items()
            for name in names.split()
        ),
        ("impossible-moment", "program_memberships", "Good", "joined_at"),
        ("impossible-moment", "contents", "Course~Course1", "last_updated_at"),
        ("unusable-value", "enrollments", f"Typed{reports}", "completed_at"),
        *(("repaired-text", "users", key, "full_name") for key in (*SCORES, *MOMENTS)),
        ("row-without-key", "programs", None, "id"),
        ("rows-left-out", "enrollments", None, "id"),
    }
    counts = Counter({row["rule"]: row["how_many"] for row in rows})
    assert (counts["row-without-key"], counts["rows-left-out"]) == (2, 2)


def test_a_running_grade_needs_a_graded_item_and_a_score_above_the_maximum_may_be_left_out(college: Warehouse) -> None:
    college.run(grade_sync="final_incremental", above_maximum="leave_out")
    running_now = [row for row in college.file("results").values() if row["scoreStatus"] == "partially graded"]
    assert running_now == []  # no item of Nan's and Inf's is graded
    assert not {"result.ProgA.Course1.Above", "result.ProgA.Course1.Huge"} & set(college.file("results"))
    college.load(READ, item_grades=[item("ProgA", "sso-Inf", "Course1", "q1", 0.0)])
    college.run(grade_sync="final_incremental")
    (now,) = [row for row in college.file("results").values() if row["scoreStatus"] == "partially graded"]
    assert (now["studentSourcedId"], now["score"]) == ("user.Inf", "3.00")
