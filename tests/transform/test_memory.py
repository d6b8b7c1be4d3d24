"""The tables that remember from one day to the next: whose an external id was, and since when a score has its value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.transform.college import content, enrolled, item, member, offers, program, user

if TYPE_CHECKING:
    from tests.transform.warehouse import Row, Warehouse

FILES = ("--select", "+oneroster__results", "+oneroster__enrollments")
FIRST, SECOND, THIRD = "2026-02-02T06:00:00Z", "2026-02-03T06:00:00Z", "2026-02-04T06:00:00Z"


def everyone(external_id: str, **item_grades: float | None) -> dict[str, list[Row]]:
    return {
        "users": [user("Ana1", external_id, "Ana Maria"), user("Away4", "sso4", "Gone Away")],
        "program_memberships": [member("ProgA", external_id), member("ProgA", "sso4")],
        "enrollments": [enrolled("ProgA", external_id, "Course1"), enrolled("ProgA", "sso4", "Course1")],
        "item_grades": [item("ProgA", external_id, "Course1", key, grade) for key, grade in item_grades.items()],
    }


@pytest.fixture(scope="module")
def three_days(warehouse: Warehouse) -> list[dict[str, Row]]:
    """The results of three days. On the second the SSO id changes; on the third Away4 is in no users list any more."""
    warehouse.load(
        FIRST,
        organizations=[{"id": "Org_A", "name": "Example College", "slug": "example-college"}],
        programs=[program("ProgA", "Business")],
        program_contents=[offers("ProgA", "Course1")],
        contents=[content("Course1", "Writing")],
    )
    warehouse.load(FIRST, **everyone("ana@mail.example", same=70.0, better=50.0, reset=40.0))
    warehouse.run(*FILES, grade_sync="granular_all")
    days = [warehouse.file("results")]

    second = everyone("sso1", same=70.0, better=60.0, reset=None, late=90.0)
    # The tap reads changes only, so the rows under the old external id stay as they were.
    second["enrollments"] += [enrolled("ProgA", "ana@mail.example", "Course1", updated_at="2026-02-01T04:00:00Z")]
    warehouse.load(SECOND, **second)
    warehouse.run(*FILES, grade_sync="granular_all")
    days.append(warehouse.file("results"))

    third = everyone("sso1", same=70.0, better=60.0, late=90.0)
    third["users"].pop()
    third["item_grades"] += [item("ProgA", "sso4", "Course1", "same", 33.0)]
    warehouse.load(THIRD, **third)
    warehouse.run(*FILES, "--full-refresh", grade_sync="granular_all")  # This run must not forget anything either.
    days.append(warehouse.file("results"))
    return days


def dates(results: dict[str, Row], learner: str) -> dict[str, str]:
    return {key.rpartition(".")[2]: row["scoreDate"] for key, row in results.items() if f".{learner}." in key}


def test_the_date_of_a_score_is_the_day_it_was_first_seen_and_moves_only_with_the_score(
    three_days: list[dict[str, Row]],
) -> None:
    first, second, third = (dates(day, "Ana1") for day in three_days)
    assert first == {"same": "2026-02-02", "better": "2026-02-02", "reset": "2026-02-02"}
    assert second == {"same": "2026-02-02", "better": "2026-02-03", "late": "2026-02-03"}
    assert third == second


def test_a_changed_external_id_is_the_same_person_with_one_enrollment(
    three_days: list[dict[str, Row]], warehouse: Warehouse
) -> None:
    assert len(three_days) == 3
    assert set(warehouse.file("enrollments")) == {"enrollment.ProgA.Course1.Ana1", "enrollment.ProgA.Course1.Away4"}


def test_somebody_who_left_the_users_list_is_remembered(three_days: list[dict[str, Row]], warehouse: Warehouse) -> None:
    assert three_days[2]["result.ProgA.Course1.Away4.same"]["score"] == "33.00"
    resolved = {row["external_id"]: row["resolved_by"] for row in warehouse.read("connect.identities")}
    assert resolved == {"sso1": "users_list", "sso4": "remembered"}
