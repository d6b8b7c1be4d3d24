"""Throttling, failures, expired tokens, and answers that were lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from target_lti_ags import platform
from target_lti_ags.errors import PushError
from tests.target_lti_ags.lms import item, score

if TYPE_CHECKING:
    from tests.target_lti_ags.lms import Lms, Push

SOON = {"Retry-After": "0"}


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the target was told to wait, without waiting."""
    held: list[float] = []
    monkeypatch.setattr(platform.Platform, "_hold", lambda _self, seconds: held.append(seconds))
    return held


def trouble(status: int, *, times: int = 1, **more: Any) -> list[dict[str, Any]]:
    return [{"status": status, **more} for _ in range(times)]


@pytest.mark.parametrize(
    ("answers", "waited"),
    [
        (trouble(429, headers={"Retry-After": "17"}), [17]),
        (trouble(503, headers={"Retry-After": "3"}, times=2), [3, 3]),
        (trouble(403, body="403 Forbidden (Rate Limit Exceeded)", headers=SOON), [0]),
        (trouble(500, times=3), None),
        (trouble(0, times=2), None),
    ],
)
def test_the_target_waits_as_it_is_told_and_goes_on(
    push: Push, lms: Lms, waits: list[float], answers: list[dict[str, Any]], waited: list[float] | None
) -> None:
    course = lms.course(f"busy.{answers[0]['status']}")
    push.courses = [course.entry()]
    push.run([item("i1")], [])
    waits.clear()
    lms.control(trouble=[{**one, "only": "/scores"} for one in answers])
    push.run([item("i1")], [score(0, 80), score(1, 70)])
    assert course.gradebook == {("i1", "u0"): 80, ("i1", "u1"): 70}
    assert waits == waited if waited is not None else len(waits) == len(answers)
    assert push.found == []


@pytest.mark.parametrize("style", ["moodle", "canvas"])
def test_a_score_whose_answer_was_lost_is_repeated_with_its_time_and_counts_as_delivered(
    push: Push, lms: Lms, style: str
) -> None:
    course = lms.course(f"{style}.unheard", style=style)
    push.courses = [course.entry()]
    lms.control(trouble=trouble(0, after=True, only="/scores"))
    push.run([item("i1")], [score(0, 80), score(1, 70)])
    assert [one["userId"] for one in course.log] == ["u0", "u1"]  # taken once
    assert (push.found, push.counts("already_there"), push.counts("sent")) == ([], 1, 1)


@pytest.mark.parametrize("status", [0, 502])
def test_a_line_item_whose_answer_was_lost_is_found_and_not_made_twice(push: Push, lms: Lms, status: int) -> None:
    course = lms.course(f"twice.{status}")
    push.courses = [course.entry()]
    lms.control(trouble=trouble(status, after=True, only=f"POST /c/twice.{status}/items"))
    push.run([item("i1")], [score(0, 80)])
    assert [one["resourceId"] for one in course.state["items"]] == ["i1"]
    assert course.gradebook == {("i1", "u0"): 80}


def test_a_token_that_expired_or_was_revoked_is_renewed_once(push: Push, lms: Lms) -> None:
    course = lms.course("expiring")
    push.courses = [course.entry()]
    given = lms.control()["tokens_given"]
    lms.control(trouble=trouble(401, only="/scores"))
    push.run([item("i1")], [score(0, 80), score(1, 70)])
    assert lms.control()["tokens_given"] - given == 2
    assert course.gradebook == {("i1", "u0"): 80, ("i1", "u1"): 70}
    lms.control(trouble=trouble(401, times=2, only="/scores"))
    with pytest.raises(PushError, match="refuses a token that it gave a moment ago"):
        push.run([item("i1")], [score(0, 81), score(1, 71)])
    push.feed()
    assert course.gradebook == {("i1", "u0"): 81, ("i1", "u1"): 71}


def test_a_course_that_is_forbidden_is_skipped_with_a_sentence_and_the_others_go_on(
    push: Push, lms: Lms, caplog: pytest.LogCaptureFixture
) -> None:
    closed, free = lms.course("closed", forbidden=True), lms.course("free")
    push.courses = [closed.entry(), free.entry()]
    push.run([item("i1")], [score(0, 80)])
    assert (closed.gradebook, free.gradebook) == ({}, {("i1", "u0"): 80})
    assert push.found == [("course-refused", "")]
    assert "The platform does not let this tool into a course" in caplog.text
    lms.control(course={"id": "closed", "forbidden": False})
    push.feed()
    assert (closed.gradebook, push.found) == ({("i1", "u0"): 80}, [])


def test_an_outage_of_one_course_ends_the_run_with_an_error_after_the_others(push: Push, lms: Lms) -> None:
    down, free = lms.course("down"), lms.course("up")
    push.courses = [down.entry(), free.entry()]
    lms.control(trouble=trouble(500, times=6, only="/c/down/"))
    with pytest.raises(PushError, match="the platform failed or did not answer"):
        push.run([item("i1")], [score(0, 80)])
    assert (down.gradebook, free.gradebook) == ({}, {("i1", "u0"): 80})
    assert push.found == [("course-failed", "")]
    push.feed()
    assert down.gradebook == {("i1", "u0"): 80}


def test_a_wait_that_is_too_long_is_not_waited_for(push: Push, lms: Lms, waits: list[float]) -> None:
    push.courses = [lms.course("tomorrow").entry()]
    lms.control(trouble=trouble(429, headers={"Retry-After": "86400"}, only="/c/tomorrow/"))
    with pytest.raises(PushError):
        push.run([item("i1")], [score(0, 80)])
    assert waits == []


@pytest.mark.parametrize("link", ["http://attacker.example/members", "https://127.0.0.1:1/members", "/c/loop/members"])
def test_a_next_page_leads_to_no_other_host_and_not_in_circles(push: Push, lms: Lms, link: str) -> None:
    course = lms.course("loop", next_link=link)
    push.courses = [course.entry()]
    push.run([item("i1")], [score(0, 80)])
    assert course.gradebook == {}
    assert [kind for kind, _ in push.found] in (["address-refused"], ["course-failed"])


def test_requests_keep_their_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("target_lti_ags.platform.time.sleep", slept.append)
    monkeypatch.setattr("target_lti_ags.platform.time.monotonic", lambda: 100.0)
    made = platform.Platform(
        client_id="c",
        token_url="",
        audience="",
        key=cast("Any", None),
        scopes=[],
        requests_per_second=4,
    )
    for _ in range(4):
        made._await_turn()
    assert slept == [0, 0.25, 0.5, 0.75]
