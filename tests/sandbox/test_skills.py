"""The skills service: its paging, its units and its errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from coursera_sandbox.testing import RunningSandbox

ROOT = "/rest/v1/enterprise"


@pytest.fixture
def report(college: RunningSandbox) -> str:
    return f"{ROOT}/organizations/{college.org_id}/skillsetReport"


def rows_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body["enterpriseUserSkillsets"]
    return found


def test_the_next_page_link_leads_to_the_end(college: RunningSandbox, report: str) -> None:
    whole = college.get(report, limit=1000)
    assert whole["pagination"] == {"total": len(rows_of(whole)), "nextPage": ""}
    page = college.get(report)
    found = rows_of(page)
    assert len(found) == 10
    while link := page["pagination"].get("nextPageLink"):
        page = college.client.get(link, headers={"Authorization": f"Bearer {college.token()}"}).json()
        found += rows_of(page)
    assert found == rows_of(whole)


def test_the_label_of_the_next_page_works_as_offset_too(college: RunningSandbox, report: str) -> None:
    label = college.get(report, limit=5)["pagination"]["nextPage"]
    by_label = college.get(report, limit=5, offset=label)
    assert rows_of(by_label) == rows_of(college.get(report, limit=5, offset=5))
    assert rows_of(by_label) == rows_of(college.get(report, limit=5, nextPage=label))


def test_the_filter_is_in_seconds_and_excludes_its_bound(college: RunningSandbox, report: str) -> None:
    rows = rows_of(college.get(report, limit=1000))
    bound = sorted(row["latestProgressMadeAt"] for row in rows)[len(rows) // 2] // 1000
    found = rows_of(college.get(report, limit=1000, latestProgressMadeAfter=bound))
    assert found == [row for row in rows if row["latestProgressMadeAt"] > bound * 1000]
    assert 0 < len(found) < len(rows)


def test_a_learners_progress_is_the_same_everywhere(college: RunningSandbox) -> None:
    program = college.all("/programs", excludeContent=True)[0]["id"]
    row = rows_of(college.get(f"{ROOT}/program/{program}/skillsetReport"))[0]
    progress = college.get(
        f"{ROOT}/programs/{program}/skillsets/learner-progress", skillsetIds=row["skillsetId"], email=row["userEmail"]
    )
    assert progress["learnerEmail"] == row["userEmail"]
    assert [one["skillsetId"] for one in progress["elements"]] == [row["skillsetId"]]
    skill = row["enterpriseUserSkillList"][0]["skillId"]
    scores = college.get(f"{ROOT}/programs/{program}/skills/{skill}/scores", emails=row["userEmail"])
    mine = college.get(f"{ROOT}/programs/{program}/learner-skill-scores", skillIds=skill, email=row["userEmail"])
    assert scores["elements"][0]["skillScore"] == mine["elements"][0]["skillScore"] > 0


@pytest.mark.parametrize(
    ("path", "params", "status", "kind"),
    [
        ("/programs/not-an-id/skillsets", {}, 400, "INVALID_ARGUMENT"),
        ("/programs/{program}/skillsets", {"limit": "x"}, 400, "INVALID_ARGUMENT"),
        ("/programs/{program}/skillsets", {"limit": "9" * 5000}, 400, "INVALID_ARGUMENT"),
        ("/programs/{program}/skillsets", {"offset": "zzzz"}, 400, "INVALID_ARGUMENT"),
        ("/programs/{program}/skillsets/learner-progress", {"email": "x"}, 400, "INVALID_ARGUMENT"),
        ("/programs/{program}/skillsets/nope/recommendations", {}, 404, "NOT_FOUND"),
        ("/programs/{program}/skills/nope/scores", {"emails": "x"}, 404, "NOT_FOUND"),
    ],
)
def test_refusals_name_reason_and_path(
    college: RunningSandbox, path: str, params: dict[str, Any], status: int, kind: str
) -> None:
    program = college.all("/programs", excludeContent=True)[0]["id"]
    answer = college.ask(ROOT + path.format(program=program), **params)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (status, kind)
    assert set(error) == {"timestamp", "message", "type", "path"}
    assert error["path"] == "/api" + ROOT + path.format(program=program)


def test_an_unknown_program_is_not_found_by_the_web_framework(college: RunningSandbox) -> None:
    answer = college.ask(f"{ROOT}/programs/{'A' * 22}/skillsets")
    assert (answer.status_code, answer.json()["error"]) == (404, "Not Found")
