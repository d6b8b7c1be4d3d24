"""One class in all grade modes, calendars and scales, on the day on which the clocks of its zone go forward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.transform.college import completed, content, enrolled, item, member, offers, program, running, user

if TYPE_CHECKING:
    from tests.transform.warehouse import Row, Warehouse

Day = dict[str, dict[str, "Row"]]
LEARNERS = {"Ana1": "sso1", "Bo_2": "sso2", "Cy-3": "sso3", "Di_4": "sso4", "Eve5": "sso5"}
FILES = ("academicSessions", "classes", "enrollments", "lineItems", "results")
MODELS = (
    "--select",
    "+oneroster__academicSessions",
    "+oneroster__enrollments",
    "+oneroster_1_2__lineItems",
    "+oneroster_1_2__results",
    "settings_used",
)
TERMS = [
    {"term_id": "fall", "title": "Fall", "school_year": "2026", "starts_on": "2025-08-20", "ends_before": "2025-12-20"},
    {"term_id": "quick", "title": "J", "school_year": "2026", "starts_on": "2026-01-02", "ends_before": "2026-01-20"},
    {"term_id": "next", "title": "Fall", "school_year": "2027", "starts_on": "2026-08-20", "ends_before": "2026-12-20"},
]
# In Amsterdam: the last second of 28 March, and the first one after a day of 23 hours.
FIRST, SECOND = "2026-03-28T22:59:59Z", "2026-03-29T22:00:00Z"


def grades(ana: float | None, cy: float) -> list[Row]:
    return [
        running("ProgA", "sso1", "Course1", ana),
        running("ProgA", "sso2", "Course1", 0.0, last_activity_at=None),
        running("ProgA", "sso3", "Course1", cy),
        running("ProgA", "sso4", "Course1", None),
        running("ProgA", "sso5", "Course1", 90.0, is_completed=True),
    ]


@pytest.fixture(scope="module")
def days(warehouse: Warehouse) -> dict[str, Day]:
    """The files of each day, by the settings of that day."""
    seen: dict[str, Day] = {}

    def run(name: str, **settings: Any) -> None:
        warehouse.run(*MODELS, time_zone="Europe/Amsterdam", **settings)
        seen[name] = {file: warehouse.file(file) for file in FILES}
        rows = warehouse.read("oneroster_1_2.results")
        seen[name]["results_1_2"] = {row["sourcedId"]: row for row in rows}

    report = [enrolled("ProgA", external_id, "Course1") for external_id in list(LEARNERS.values())[:4]]
    eve = completed("ProgA", "sso5", "Course1", 0.9, enrolled_at="2025-12-22T08:00:00Z")
    ana = completed("ProgA", "sso1", "Course1", 0.455, completed_at="2026-03-29T23:30:00Z")
    warehouse.load(
        FIRST,
        organizations=[{"id": "Org_A", "name": "Example College", "slug": "example-college"}],
        programs=[program("ProgA", "Business")],
        program_contents=[offers("ProgA", "Course1")],
        contents=[content("Course1", "Writing")],
        users=[user(key, external_id, key) for key, external_id in LEARNERS.items()],
        program_memberships=[member("ProgA", external_id) for external_id in LEARNERS.values()],
        enrollments=[*report, eve],
        course_grades=grades(45.5, 0.0),
        item_grades=[
            item("ProgA", "sso1", "Course1", "q1", 80.0, item_name="Final exam"),
            item("ProgA", "sso1", "Course1", "q2", 70.0, item_name="Practice"),
            item("ProgA", "sso3", "Course1", "q2", 0.0, item_name="Practice"),
        ],
    )
    run("running", grade_sync="final_incremental")
    warehouse.load(SECOND, course_grades=grades(45.5, 12.5))
    run("second day", grade_sync="final_incremental")
    warehouse.load(SECOND, course_grades=grades(45.5, 12.504), enrollments=[*report[1:], ana, eve])
    run("final", grade_sync="final")
    warehouse.load("2026-04-01T06:00:00Z", course_grades=grades(45.5, 12.504))
    run("out of one", grade_sync="final_incremental", score_scale=1, calendar="evergreen")
    warehouse.mapping(terms=TERMS, chosen_items=[{"program_id": "ProgA", "item": "final*"}])
    run("terms", grade_sync="granular_selected", calendar="terms")
    return seen


def told(day: Day) -> dict[str, tuple[str, str, str]]:
    return {
        key.rpartition(".")[2]: (row["scoreStatus"], row["score"], row["scoreDate"])
        for key, row in day["results"].items()
    }


def test_a_running_grade_is_partial_and_that_of_somebody_who_never_began_is_none(days: dict[str, Day]) -> None:
    assert told(days["running"]) == {
        "Ana1": ("partially graded", "45.50", "2026-03-28"),
        "Cy-3": ("partially graded", "0.00", "2026-03-28"),
        "Eve5": ("fully graded", "90.00", "2026-01-15"),
    }
    progress = {row["studentSourcedId"]: row["inProgress"] for row in days["running"]["results_1_2"].values()}
    assert progress == {"user.Ana1": "true", "user.Cy-3": "true", "user.Eve5": None}


def test_a_running_grade_keeps_its_day_until_the_file_says_another(days: dict[str, Day]) -> None:
    assert told(days["second day"])["Ana1"] == ("partially graded", "45.50", "2026-03-28")
    assert told(days["second day"])["Cy-3"] == ("partially graded", "12.50", "2026-03-30")
    # 12.504 is the same to two decimals, and a day in another mode is no reason to forget.
    assert told(days["out of one"])["Cy-3"] == ("partially graded", "0.1250", "2026-03-30")


def test_the_final_grade_takes_the_place_of_the_running_one_under_the_same_ids(days: dict[str, Day]) -> None:
    assert told(days["final"]) == {
        "Ana1": ("fully graded", "45.50", "2026-03-30"),
        "Eve5": ("fully graded", "90.00", "2026-01-15"),
    }
    assert set(days["final"]["results"]) < set(days["running"]["results"]) == set(days["out of one"]["results"])
    kept = [days[name]["lineItems"].keys() for name in ("running", "second day", "final", "out of one")]
    assert kept == [{"lineItem.ProgA.Course1"}] * 4


def test_out_of_one_scores_have_four_decimals_and_the_line_item_says_so(days: dict[str, Day]) -> None:
    assert [row["resultValueMax"] for row in days["out of one"]["lineItems"].values()] == ["1"]
    assert told(days["out of one"])["Ana1"] == ("fully graded", "0.4550", "2026-03-30")


def test_an_evergreen_calendar_has_one_session_of_each_kind_for_all_time(days: dict[str, Day]) -> None:
    sessions = days["out of one"]["academicSessions"]
    assert set(sessions) == {"schoolYear.evergreen", "term.evergreen", "gradingPeriod.evergreen"}
    said = {tuple(row[key] for key in ("title", "startDate", "endDate", "schoolYear")) for row in sessions.values()}
    assert said == {("1970-2099", "1970-01-01", "2099-12-31", "2099")}
    (line_item,) = days["out of one"]["lineItems"].values()
    assert line_item["gradingPeriodSourcedId"] == "gradingPeriod.evergreen"
    assert days["out of one"]["classes"]["class.ProgA.Course1"]["termSourcedIds"] == "term.evergreen"
    assert {row["beginDate"] for row in days["out of one"]["enrollments"].values()} == {"2025-10-01", "2025-12-22"}


def test_terms_make_school_years_and_a_class_has_those_it_was_active_in_and_the_current_one(
    days: dict[str, Day],
) -> None:
    sessions = days["terms"]["academicSessions"]
    assert len(sessions) == 2 + 3 + 3
    assert (sessions["schoolYear.2026"]["startDate"], sessions["schoolYear.2026"]["endDate"]) == (
        "2025-08-20",
        "2026-01-20",
    )
    assert sessions["gradingPeriod.fall"]["parentSourcedId"] == "term.fall"
    assert sessions["term.next"]["parentSourcedId"] == "schoolYear.2027"
    assert days["terms"]["classes"]["class.ProgA.Course1"]["termSourcedIds"] == "term.fall,term.quick"
    (line_item,) = days["terms"]["lineItems"].values()
    # The last term is over, and no term has begun since.
    assert line_item["gradingPeriodSourcedId"] == "gradingPeriod.quick"
    assert (line_item["assignDate"], line_item["dueDate"]) == ("2026-01-02", "2026-01-19")


def test_a_begin_date_between_the_terms_of_the_class_is_blank(days: dict[str, Day]) -> None:
    begun = {key.rpartition(".")[2]: row.get("beginDate") for key, row in days["terms"]["enrollments"].items()}
    assert begun == dict.fromkeys(LEARNERS, "2025-10-01") | {"Eve5": None}


def test_only_chosen_items_have_a_column_and_results_and_there_is_no_final_grade(days: dict[str, Day]) -> None:
    assert set(days["terms"]["lineItems"]) == {"lineItem.ProgA.Course1.q1"}
    assert {key: row["score"] for key, row in days["terms"]["results"].items()} == {
        "result.ProgA.Course1.Ana1.q1": "80.00"
    }


def test_the_settings_of_the_last_run_are_told(days: dict[str, Day], warehouse: Warehouse) -> None:
    assert days
    (used,) = warehouse.read("connect.settings_used")
    assert used | {"grade_sync": "granular_selected", "calendar": "terms", "score_scale": "100"} == used
    assert (used["data_as_of"], used["time_zone"]) == ("2026-02-02T04:00:00Z", "Europe/Amsterdam")
