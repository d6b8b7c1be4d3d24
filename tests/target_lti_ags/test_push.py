"""What is sent, once, and what becomes of what a platform refuses."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from target_lti_ags.errors import PushError
from tests.target_lti_ags.lms import TAG, item, messages, score

if TYPE_CHECKING:
    from tests.target_lti_ags.lms import Lms, Push

STYLES = ["moodle", "canvas"]


def moment(sent: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(sent["timestamp"].replace("Z", "+00:00"))


@pytest.mark.parametrize("style", STYLES)
def test_line_items_are_made_and_scores_arrive_once_with_their_state(push: Push, lms: Lms, style: str) -> None:
    course = lms.course(f"{style}.first", style=style)
    push.courses = [course.entry()]
    rows = [score(0, 92.5, comment="Well done"), score(1, 0), score(2, 50, "i2", is_final=False)]
    push.run([item("i1"), item("i2", "Essay", 50.5)], rows)
    made = {one["resourceId"]: one for one in course.state["items"]}
    assert {key: (one["label"], one["scoreMaximum"], one["tag"]) for key, one in made.items()} == {
        "i1": ("Quiz", 100, TAG),
        "i2": ("Essay", 50.5, TAG),
    }
    assert course.gradebook == {("i1", "u0"): 92.5, ("i1", "u1"): 0, ("i2", "u2"): 50}
    by_user = {one["userId"]: one for one in course.log}
    assert (by_user["u0"]["activityProgress"], by_user["u2"]["activityProgress"]) == ("Completed", "InProgress")
    assert {one["gradingProgress"] for one in course.log} == {"FullyGraded"}
    assert (by_user["u0"]["comment"], by_user["u2"]["scoreMaximum"]) == ("Well done", 50.5)
    assert all(len(one["timestamp"]) == len("2026-01-01T00:00:00.000Z") for one in course.log)

    before = lms.asked()
    push.run([item("i1"), item("i2", "Essay", 50.5)], rows)
    assert lms.asked() == before  # not even a token
    assert (push.counts("unchanged"), push.counts("sent")) == (3, 0)

    changed = [score(0, 92.50, comment="Well done"), score(1, 1), score(2, 50, "i2")]
    push.run([item("i1"), item("i2", "Essay", 50.5)], changed)
    assert [(one["userId"], one["scoreGiven"], one["activityProgress"]) for one in course.log[3:]] == [
        ("u1", 1, "Completed"),
        ("u2", 50, "Completed"),
    ]
    assert moment(course.log[3]) - moment(by_user["u1"]) >= timedelta(seconds=1)


def test_label_and_maximum_follow_and_no_line_item_of_others_is_touched(push: Push, lms: Lms) -> None:
    course = lms.course("follow")
    others = {
        "901": {"id": "x", "label": "Theirs", "scoreMaximum": 10, "resourceId": "i1", "tag": "other"},
        "902": {"id": "y", "label": "By hand", "scoreMaximum": 10, "resourceId": "i1"},
    }
    lms.control(course={"id": "follow", "items": dict(others)})
    push.courses = [course.entry()]
    push.run([item("i1")], [score(0, 80)])
    push.run([item("i1", "Final quiz", 200)], [score(0, 160)])
    items = course.state["items"]
    assert items[:2] == list(others.values())
    assert [(one["label"], one["scoreMaximum"]) for one in items[2:]] == [("Final quiz", 200)]
    assert [(one["scoreGiven"], one["scoreMaximum"]) for one in course.log] == [(80, 100), (160, 200)]


def test_a_line_item_that_left_goes_only_with_the_option_for_it(push: Push, lms: Lms) -> None:
    course = lms.course("leaving")
    push.courses = [course.entry()]
    push.run([item("i1"), item("i2")], [score(0, 80), score(0, 70, "i2")])
    push.run([item("i1")], [score(0, 81)])
    assert [one["resourceId"] for one in course.state["items"]] == ["i1", "i2"]
    push.settings = {"remove_line_items": True}
    push.run([item("i1")], [score(0, 81)])
    assert [one["resourceId"] for one in course.state["items"]] == ["i1"]


def test_a_column_that_a_teacher_deleted_is_made_again_with_all_its_scores(push: Push, lms: Lms) -> None:
    course = lms.course("deleted")
    push.courses = [course.entry()]
    push.run([item("i1")], [score(0, 80), score(1, 70)])
    lms.control(course={"id": "deleted", "items": {}, "scores": {}})
    push.run([item("i1")], [score(0, 80), score(1, 71)])
    assert course.gradebook == {("i1", "u0"): 80, ("i1", "u1"): 71}


@pytest.mark.parametrize("style", STYLES)
def test_a_person_who_cannot_be_graded_is_a_finding_until_it_succeeds(push: Push, lms: Lms, style: str) -> None:
    course = lms.course(f"{style}.refused", style=style, gradable=["u0"])
    push.courses = [course.entry()]
    push.run([item("i1")], [score(1, 70), score(0, 80)])
    assert course.gradebook == {("i1", "u0"): 80}
    assert push.found == [("score-refused", "p1")]
    (first,) = push.lines("finding")
    push.feed()  # a tap that has nothing new
    (second,) = push.lines("finding")
    assert (second["attempts"], second["since"], second["status"]) == (2, first["since"], first["status"])
    lms.control(course={"id": course.name, "gradable": None})
    push.feed()
    assert (course.gradebook[("i1", "u1")], push.found) == (70, [])
    assert len(course.log) == 2


def test_who_is_no_member_or_ambiguous_gets_nothing(push: Push, lms: Lms) -> None:
    course = lms.course("ambiguous", people=3)
    members = [
        {"user_id": "u0", "email": "p0@example.org"},
        {"user_id": "u1", "email": "p1@example.org"},
        {"user_id": "u2", "email": "P1@example.org"},
        {"user_id": "u3", "email": "shared@example.org"},
        {"user_id": "u6", "email": "p6@example.org", "status": "Inactive"},
    ]
    lms.control(course={"id": "ambiguous", "members": members, "gradable": None})
    push.courses = [course.entry()]
    rows = [score(person, 80) for person in (0, 1, 5, 6)]
    rows += [score(person, 80, email="shared@example.org") for person in (3, 4)]
    push.run([item("i1")], rows)
    assert course.gradebook == {("i1", "u0"): 80}
    assert sorted(push.found) == [
        *(("person-ambiguous", person) for person in ("p1", "p3", "p4")),
        *(("person-unknown", person) for person in ("p5", "p6")),
    ]


@pytest.mark.parametrize(
    ("match", "member", "person"),
    [
        ("username", {"ext_user_username": "ada"}, {"username": "Ada"}),
        ("lis_person_sourcedid", {"lis_person_sourcedid": "p0"}, {}),
        ("lis_person_sourcedid", {"lis_person_sourcedid": "S17"}, {"identifiers": ["x", "S17"]}),
        ("sourced_id", {}, {}),
    ],
)
def test_people_are_matched_as_the_setting_says(
    push: Push, lms: Lms, match: str, member: dict[str, Any], person: dict[str, Any]
) -> None:
    course = lms.course(f"match.{match}.{len(person)}", gradable=None)
    lms.control(course={"id": course.name, "members": [{"user_id": "u0", **member}], "gradable": None})
    push.courses, push.settings = [course.entry()], {"user_match": match}
    push.run([item("i1")], [score(0, 80, **person)])
    assert course.gradebook == {("i1", "p0" if match == "sourced_id" else "u0"): 80}
    assert lms.asked(f"{course.name}/members") == (match != "sourced_id")


def test_a_score_out_of_range_a_line_item_without_maximum_and_one_that_is_unknown_are_findings(
    push: Push, lms: Lms
) -> None:
    course = lms.course("range")
    push.courses = [course.entry()]
    items = [item("i1"), {**item("i2"), "score_maximum": None}, item("i3", "refuse me")]
    rows = [score(0, 100.01), score(1, -1), score(2, 100), score(0, 5, "i2"), score(0, 5, "i3"), score(0, 5, "i9")]
    push.run(items, rows)
    assert course.gradebook == {("i1", "u2"): 100}
    assert sorted({kind for kind, _ in push.found}) == [
        "line-item-incomplete",
        "line-item-refused",
        "line-item-unknown",
        "score-out-of-range",
    ]


def test_what_left_is_sent_no_more_and_what_a_record_leaves_out_stays(push: Push, lms: Lms) -> None:
    course = lms.course("left", gradable=["u0"])
    push.courses = [course.entry()]
    push.run([item("i1")], [score(0, 80), score(1, 70)])
    assert push.found == [("score-refused", "p1")]
    push.run([item("i1")], [score(0, 80)])
    assert push.found == []
    partial = {"id": "i1.0", "line_item_id": "i1", "person_id": "p0", "score": 85, "is_final": True}
    push.feed(messages([], [partial], version=None))
    assert course.gradebook == {("i1", "u0"): 85}
    push.feed(messages([], [partial | {"deleted": True, "score": 1}], version=None))
    assert course.gradebook == {("i1", "u0"): 85}


def test_each_shell_of_a_class_has_its_own_grade_sync(push: Push, lms: Lms) -> None:
    shells = {sync: lms.course(f"shell.{sync}") for sync in ("final", "incremental", "chosen", "all")}
    push.courses = [
        course.entry(grade_sync=sync, line_items=["Essay"] if sync == "chosen" else [])
        for sync, course in shells.items()
    ]
    items = [item("i1", "Total", is_total=True), item("i2", "Essay"), item("i3")]
    rows = [score(0, 90), score(1, 40, is_final=False), score(0, 80, "i2"), score(0, 70, "i3")]
    push.run(items, rows)
    assert {sync: set(course.gradebook) for sync, course in shells.items()} == {
        "final": {("i1", "u0")},
        "incremental": {("i1", "u0"), ("i1", "u1")},
        "chosen": {("i2", "u0")},
        "all": {("i1", "u0"), ("i1", "u1"), ("i2", "u0"), ("i3", "u0")},
    }
    assert push.found == []


def test_a_person_who_is_in_another_shell_of_the_class_is_no_finding(push: Push, lms: Lms) -> None:
    one, two = lms.course("half.1"), lms.course("half.2")
    for course, people in ((one, (0, 1)), (two, (2,))):
        members = [{"user_id": f"u{i}", "email": f"p{i}@example.org"} for i in people]
        lms.control(course={"id": course.name, "members": members})
    push.courses = [one.entry(), two.entry()]
    push.run([item("i1")], [score(person, 80) for person in range(4)])
    assert set(one.gradebook) | set(two.gradebook) == {("i1", f"u{i}") for i in range(3)}
    assert set(push.found) == {("person-unknown", "p3")}


def test_two_classes_may_share_a_course_and_a_section_takes_its_own_people(push: Push, lms: Lms) -> None:
    course = lms.course("shared")
    push.courses = [course.entry("k1"), course.entry("k2", section="A")]
    rows = [score(0, 80), score(1, 70, "i2", section="A"), score(2, 60, "i2", section="B")]
    push.run([item("i1"), item("i2", class_id="k2"), item("i3", class_id="k3")], [*rows, score(0, 1, "i3")])
    assert course.gradebook == {("i1", "u0"): 80, ("i2", "u1"): 70}
    assert [(one["kind"], one["class_id"]) for one in push.lines("finding")] == [("class-not-mapped", "k3")]


def test_a_time_that_the_tap_tells_is_the_time_of_the_score_but_never_in_the_future(push: Push, lms: Lms) -> None:
    course = lms.course("times")
    push.courses = [course.entry()]
    rows = [
        score(0, 80, changed_at="2026-01-05T10:00:00.123Z"),
        score(1, 80, changed_at="2999-01-01T00:00:00Z"),
        score(2, 80, changed_at="soon"),
    ]
    push.run([item("i1")], rows)
    times = {one["userId"]: moment(one) for one in course.log}
    assert times["u0"] == datetime(2026, 1, 5, 10, 0, 0, 123000, timezone.utc)
    now = datetime.now(timezone.utc)
    assert all(now - timedelta(minutes=5) < times[user] <= now for user in ("u1", "u2"))
    # Two changes within a second of each other still lie a whole second apart.
    push.run([item("i1")], [score(0, 81, changed_at="2026-01-05T10:00:00.500Z"), *rows[1:]])
    assert course.log[-1]["timestamp"] == "2026-01-05T10:00:01.123Z"


@pytest.mark.parametrize("style", STYLES)
def test_after_the_ledger_was_lost_every_score_still_arrives(push: Push, lms: Lms, style: str) -> None:
    course = lms.course(f"{style}.lost", style=style)
    push.courses = [course.entry()]
    old = {"changed_at": "2026-01-05T10:00:00Z"}
    push.run([item("i1")], [score(0, 80, changed_at="2026-03-05T10:00:00Z")])
    (push.folder / "ledger.sqlite").unlink()
    push.run([item("i1")], [score(0, 85, **old), score(1, 70, **old)])
    assert course.gradebook == {("i1", "u0"): 85, ("i1", "u1"): 70}
    assert len(course.state["items"]) == 1
    assert push.found == []


def test_a_dry_run_writes_nothing_and_says_what_it_would_do(
    push: Push, lms: Lms, capsys: pytest.CaptureFixture[str]
) -> None:
    course = lms.course("dry")
    push.courses, push.settings = [course.entry()], {"dry_run": True}
    push.run([item("i1")], [score(0, 80), score(1, 70, is_final=False), score(9, 60)])
    assert (course.state["items"], course.log) == ([], [])
    assert not (push.folder / "ledger.sqlite").exists()
    assert capsys.readouterr().out == ""  # no state is passed on
    assert (push.counts("columns_made"), push.counts("final"), push.counts("running")) == (1, 1, 1)
    assert push.found == [("person-unknown", "p9")]
    assert not [line for line in lms.control()["requests"] if "/c/dry/" in line and not line.startswith("GET")]
    push.settings = {}
    push.run([item("i1")], [score(0, 80)])
    push.settings = {"dry_run": True}
    ledger = (push.folder / "ledger.sqlite").read_bytes()
    push.run([item("i1")], [score(0, 90)])
    assert ((push.folder / "ledger.sqlite").read_bytes(), len(course.log)) == (ledger, 1)
    assert push.counts("pending") == 1


def test_state_is_passed_on_and_files_are_private(push: Push, lms: Lms, capsys: pytest.CaptureFixture[str]) -> None:
    push.courses = [lms.course("state").entry()]
    push.run([item("i1")], [score(0, 80)])
    assert json.loads(capsys.readouterr().out) == {"read": 1}
    for name in ("ledger.sqlite", "findings.jsonl"):
        assert (push.folder / name).stat().st_mode & 0o077 == 0


def test_a_platform_that_gives_no_token_ends_the_run_and_nothing_is_forgotten(push: Push, lms: Lms) -> None:
    course = lms.course("revoked")
    push.courses = [course.entry()]
    lms.control(refuse_client=True)
    try:
        with pytest.raises(PushError, match="gives no token"):
            push.run([item("i1")], [score(0, 80)])
    finally:
        lms.control(refuse_client=False)
    push.feed()
    assert course.gradebook == {("i1", "u0"): 80}
