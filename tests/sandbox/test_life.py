"""The life of the college: what changes with the clock, when the reports show it, and that it is the same each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from coursera_sandbox.campus import Campus, Query
from coursera_sandbox.moments import ABSENT, DAY, HOUR, START, moment
from coursera_sandbox.reports import course_gradebooks, enrollment_reports
from coursera_sandbox.rows import SLOTS, View

if TYPE_CHECKING:
    from coursera_sandbox.testing import RunningSandbox

Rows = list[dict[str, Any]]
EVERYTHING = {"includeS12n": True, "includeDeletedMembers": True, "includeExpiredContracts": True}
ALL = Query(series=True, deleted=True, expired=True)


def campus(seed: int = 7, learners: int = 300, now: int = START) -> Campus:
    return Campus.open(seed, learners, now)


def snapshot(sandbox: RunningSandbox) -> list[str]:
    paths: list[tuple[str, dict[str, Any]]] = [
        ("/users", {}),
        ("/programs", {"excludeContent": False}),
        ("/contents", {}),
        ("/enrollmentReports", EVERYTHING),
        ("/courseGradebookReports", {"q": "search"}),
    ]
    return [sandbox.ask(path, limit=1000, **params).text for path, params in paths]


def test_two_days_are_a_day_and_a_day_in_any_process(start_sandbox: Any) -> None:
    one, two, other = start_sandbox(), start_sandbox(), start_sandbox(seed=8)
    begin = snapshot(one)
    assert one.advance(hours=24) == "2026-02-03T06:00:00Z"
    assert one.advance(days=1) == two.advance(hours=48) == "2026-02-04T06:00:00Z"
    assert snapshot(one) == snapshot(two) != begin
    assert snapshot(other) != begin


def test_a_learner_is_the_same_in_a_college_of_any_size() -> None:
    small, large = campus(learners=50), campus(learners=5000)
    rows = small.find(small.report, ALL)
    assert enrollment_reports(small, rows) == enrollment_reports(large, large.find(large.report, ALL)[: len(rows)])


def state(rows: Any) -> dict[tuple[int, int, int], tuple[int, int, int]]:
    keys = zip(rows.learner.tolist(), rows.slot.tolist(), rows.pick.tolist(), strict=True)
    values = zip(rows.enrolled.tolist(), rows.last.tolist(), rows.completed.tolist(), strict=True)
    return dict(zip(keys, values, strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_reports_show_the_past_and_nothing_that_is_older_than_their_delay(seed: int) -> None:
    college = campus(seed)
    learners, slots = np.repeat(np.arange(300), SLOTS), np.tile(np.arange(SLOTS), 300)

    def seen(view: View) -> dict[tuple[int, int, int], tuple[int, int, int]]:
        return state(college.world.enrollments(learners, slots, view))

    for now in range(START, START + 10 * DAY, 31 * HOUR):
        here = college.at(now)
        truth, report, gradebook = (seen(view) for view in (View("truth", now), here.report, here.gradebook))
        for view, lag in ((report, 24 * HOUR), (gradebook, 2 * HOUR)):
            earlier = seen(View("truth", now - lag))
            assert earlier.keys() <= view.keys() <= truth.keys()
            for key, (enrolled, last, completed) in view.items():
                assert enrolled <= truth[key][0] if key[2] >= 10 else enrolled == truth[key][0]
                assert earlier.get(key, (0, ABSENT, ABSENT))[1] <= last <= truth[key][1]
                assert completed in {ABSENT, truth[key][2]}
                if key in earlier and earlier[key][2] != ABSENT:
                    assert completed == earlier[key][2]


def test_the_report_is_behind_and_the_gradebook_nearly_up_to_date() -> None:
    college = campus(learners=4000)
    now = np.array([college.now])
    learners, slots = np.repeat(np.arange(4000), SLOTS), np.tile(np.arange(SLOTS), 4000)
    views = (View("truth", college.now), college.gradebook, college.report)
    latest = [int(college.world.enrollments(learners, slots, view).last.max()) for view in views]
    counts = [int((college.world.enrollments(learners, slots, view).last > now - DAY).sum()) for view in views]
    assert latest[0] >= latest[1] >= latest[2]
    assert counts[0] > counts[1] > counts[2] > 0


def test_a_few_percent_of_the_learners_are_active_on_a_day() -> None:
    college = campus(learners=4000)
    learners, slots = np.repeat(np.arange(4000), SLOTS), np.tile(np.arange(SLOTS), 4000)
    for day in range(5):
        rows = college.world.enrollments(learners, slots, View("truth", START + day * DAY))
        active = np.unique(rows.learner[rows.last > START + (day - 1) * DAY])
        assert 0.01 < len(active) / 4000 < 0.08


def test_every_day_of_the_default_college_has_news() -> None:
    here = campus(learners=120)
    for _ in range(7):
        before, here = here, here.at(here.now + DAY)
        known, rows = (
            {(r.id, r.program_id): r for r in enrollment_reports(c, c.find(c.report, ALL))} for c in (before, here)
        )
        assert rows.keys() - known.keys()
        assert any(row.is_completed and not known[key].is_completed for key, row in rows.items() if key in known)
        graded = [
            sum(
                i.item_grade is not None
                for r in course_gradebooks(c, c.find(c.gradebook, ALL))
                for i in r.item_gradebooks
            )
            for c in (before, here)
        ]
        assert graded[1] > graded[0]


def test_three_days_bring_a_new_name_a_new_course_a_farewell_and_a_return(sandbox: RunningSandbox) -> None:
    def look() -> tuple[set[str], int, set[tuple[str, str]]]:
        programs = sandbox.all("/programs", excludeContent=False)
        members = {
            (p["id"], row["externalId"]) for p in programs for row in sandbox.all(f"/programs/{p['id']}/memberships")
        }
        return {p["name"] for p in programs}, sum(len(p["contentIds"]) for p in programs), members

    names, contents, members = look()
    sandbox.advance(days=1)
    later_names, _, _ = look()
    assert len(later_names - names) == 1
    sandbox.advance(days=2)
    _, later_contents, later_members = look()
    assert later_contents == contents + 1
    assert members - later_members
    assert later_members - members
    sandbox.advance(days=1)
    rows = sandbox.all("/enrollmentReports", **EVERYTHING)
    state_of = {(row["programId"], row["externalId"]): row for row in rows}
    left = [state_of[key] for key in members - later_members if key in state_of]
    came = [state_of[key] for key in later_members - members if key in state_of]
    assert left
    assert all(row["membershipState"] == "DELETED_MEMBER" and "deletedAt" in row for row in left)
    assert all(row["membershipState"] == "MEMBER" and "deletedAt" not in row for row in came)


def test_peers_grade_later_without_any_activity() -> None:
    before, after = campus(learners=2000), campus(learners=2000, now=START + 12 * HOUR)
    rows = {
        here.now: {
            (r.id, r.program_id): r for r in course_gradebooks(here, here.find(here.gradebook, Query(deleted=True)))
        }
        for here in (before, after)
    }
    silent = [
        item
        for key, row in rows[after.now].items()
        if key in rows[before.now] and row.last_activity_at == rows[before.now][key].last_activity_at
        for item, old in zip(row.item_gradebooks, rows[before.now][key].item_gradebooks, strict=True)
        if item.item_grade != old.item_grade
    ]
    assert silent
    assert {item.item_type for item in silent} == {"PEER_REVIEW"}


def test_the_report_carries_the_time_of_its_refresh(sandbox: RunningSandbox) -> None:
    sandbox.advance(hours=5)
    stamps = {row["updatedAt"] for row in sandbox.all("/enrollmentReports", **EVERYTHING)}
    assert stamps == {moment("2026-02-02T08:00:00Z")}
    page = sandbox.ask("/enrollmentReports").text
    sandbox.advance(hours=0)
    assert sandbox.ask("/enrollmentReports").text == page


@pytest.mark.parametrize("query", ["hours=-1", "hours=x", "days=100000"])
def test_a_clock_that_cannot_go_there_says_so(college: RunningSandbox, query: str) -> None:
    assert college.client.post(f"{college.url}/_sandbox/advance?{query}").status_code == 400
