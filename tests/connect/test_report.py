# ruff: noqa: E501 - statements as one would type them
"""The report page: what it says in each state, what it must not reveal, and that it never stops a publish."""

from __future__ import annotations

import hashlib
import json
import stat
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from coursera_connect.report import page_data, page_text, render
from coursera_connect.report.page_quality import PrivacyOptions
from coursera_connect.report.project_state import ProjectState
from coursera_connect.warehouse import warehouse
from tests.connect.looked import BITE, NAMES, Looked, Page, script

if TYPE_CHECKING:
    from pathlib import Path

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Looked:
    return Looked(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def made_and_published(made: Looked, tmp_path_factory: pytest.TempPathFactory) -> Looked:
    college = made.copy(tmp_path_factory.mktemp("published"))
    assert college.connect("publish").exit_code == 0
    return college


@pytest.fixture
def college(made: Looked, tmp_path: Path) -> Looked:
    """A college that has not published yet."""
    return made.copy(tmp_path)


@pytest.fixture
def published(made_and_published: Looked, tmp_path: Path) -> Looked:
    """A college that has published once, with a page."""
    return made_and_published.copy(tmp_path)


def lose_school_b(college: Looked) -> None:
    college.sql(
        "delete from results where \"studentSourcedId\" like 'b%'",
        "delete from enrollments where \"userSourcedId\" like 'b%'",
        "delete from users where \"sourcedId\" like 'b%'",
    )


def test_a_publish_leaves_a_page_that_says_how_it_is_and_names_nobody(published: Looked) -> None:
    page = published.seen()
    assert page.headline == "The sync is healthy: the package is new, and nothing was blocked."
    for said in (
        "District", "40 people", "3 classes, 60 enrollments, 60 grades", "oneroster.zip",
        "Map 1 program to a school, or leave it out.", "connect schools map '-p; rm' --save",
        "connect schools leave-out '-p; rm' --save",
        "Take out Old: Coursera does not have the program any more.", "connect schools unmap gone --save",
        "44 of 60 enrollments of current members are completed", "renamed at Coursera",
        "60 enrollments added", "7 not-a-member", "e.ka1.3",
    ):  # fmt: skip
        assert said in page.text, said
    assert not [name for name in NAMES if name in page.whole.replace(script(), "")]


def test_it_loads_nothing_and_lets_nothing_else_run(college: Looked) -> None:
    page = college.look()
    assert set(page.addresses) <= {"data:,", *(f"#{part}" for part in ("main", "to-do", "since", "schools", "learning", "runs", "quality"))}  # fmt: skip
    assert page.tags.count("script") == 3
    assert "default-src 'none'; script-src 'sha256-" in page.whole.replace("&#39;", "'")
    assert "unsafe-eval" not in page.whole
    assert len(page.whole) < 1_200_000


def test_what_coursera_calls_its_things_is_shown_and_does_nothing(published: Looked) -> None:
    published.bite()
    page = published.look()
    assert page.tags.count("script") == 3
    assert "img" not in page.tags
    assert " ".join(BITE.split()) in page.text  # as words
    assert "<img" not in page.whole.replace(script(), "")
    data = page.whole.split('<script id="facts" type="application/json">')[1].split("</script>")[0]
    assert BITE in {row["title"] for row in json.loads(data)["classes"]}


def test_nothing_was_published_and_nothing_was_loaded(tmp_path: Path, college: Looked) -> None:
    empty = tmp_path / "empty.duckdb"
    duckdb.connect(str(empty)).close()
    done = college.connect("report", "--database", str(empty))
    assert done.exit_code == 0
    page = college.seen()
    assert page.headline == "Nothing has been published yet."
    for said in (
        "connect run roster-sync",
        "No programs were loaded yet.",
        "There was no publish yet.",
        "Nothing was found",
    ):
        assert said in page.text
    assert college.connect("report", "--database", str(tmp_path / "none.duckdb")).exit_code == 3


def test_a_blocked_publish_says_what_would_leave_and_what_to_type(published: Looked) -> None:
    lose_school_b(published)
    assert published.connect("publish").exit_code == 6
    page = published.seen()
    assert page.headline.startswith("The last publish was blocked")
    assert "The last good package stays as it is." in page.text
    assert "connect preview" in page.text
    assert "connect publish --allow-removals" in page.text
    assert "20 ids of Enrollments, School B" in page.text
    assert "e.kb1.7" in page.text
    assert "oneroster.zip" in page.text


def test_another_grade_sync_is_blocked_with_the_step_that_agrees_to_it(published: Looked) -> None:
    published.say(grade_sync="granular_all", data_as_of="2026-02-03T04:00:00Z")
    published.sql('update results set "sourcedId" = \'n\' || "sourcedId"')
    assert published.connect("publish").exit_code == 6
    text = published.seen().text
    assert "connect grades change granular_all --save" in text
    assert "connect publish --allow-removals" not in text


def test_a_held_row_is_told_and_needs_nobody(published: Looked) -> None:
    published.lose("results", "\"sourcedId\" in ('r.ka1.3', 'r.ka1.4')")
    assert published.connect("publish").exit_code == 0
    page = published.seen()
    assert "2 rows are held back for now, which needs nobody." in page.text
    assert "r.ka1.3" in page.text


def test_a_refused_package_names_the_rule_and_the_words_of_the_standard(college: Looked) -> None:
    college.sql("update users set \"enabledUser\" = 'True' where \"sourcedId\" = 'a3'")
    assert college.connect("publish").exit_code == 1
    page = college.seen()
    assert page.headline == "The last publish was refused: the data breaks a rule."
    assert "stops the package 1 boolean" in page.text


def test_names_are_there_when_asked_for_as_the_shield_writes_them(college: Looked) -> None:
    masked = ("--names", "--privacy-key", KEY, "--privacy-level")
    assert "Ada Zed" in college.look("--names").text
    text = college.look(*masked, "1").text
    assert "Ada Z-" in text
    assert "Zed" not in text
    assert "Ada" not in college.look(*masked, "2").text
    assert college.connect("report", "--names", "--privacy-level", "1").exit_code == 2  # there is no key


def test_an_id_that_is_an_address_or_another_systems_is_not_shown(college: Looked) -> None:
    text = college.look().text
    assert "not shown: it can tell who it is" in text
    assert "x@mail.example" not in text
    assert "acc-a2" not in text  # the sourcedId stands for it
    assert "00012345" in text
    assert "00012345" not in college.look("--privacy-level", "3", "--privacy-key", KEY).text


def test_ids_of_blocked_and_held_rows_that_are_addresses_are_left_out(published: Looked) -> None:
    published.sql(
        "insert into ledger.held values (1, 'users', 'user.x@mail.example', 'It vanished.', '2026-02-02T04:00:00Z', '')",
        "insert into ledger.blocked values (1, 'users', 'a', 'School A', 9, 9, 'all rows', 'user.y@mail.example user.z')",
    )
    page = published.look()
    assert "mail.example" not in page.whole
    assert "not shown: it can be an address" in page.text
    assert "1 ids of People, School A" in page.text


def test_grades_of_fewer_than_five_learners_are_not_summed_up(college: Looked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytz", None)  # it is not installed beside connect
    with warehouse.opened(college.database) as opened:
        facts = page_data.gather(opened, PrivacyOptions(), ProjectState())
    a, b = facts["programs"]
    assert (a["learners"], a["enrollments"], a["completed"], a["lower"], a["median"], a["upper"]) == (
        20,
        40,
        40,
        64.8,
        69.5,
        74.2,
    )
    assert (b["completed"], b["graded"], b["median"], b["lower"], b["upper"]) == (4, 4, None, None, None)
    assert {row["program_id"] for row in facts["bins"]} == {"pa"}
    assert [row["count"] for row in facts["bins"]] == [20, 20]
    assert sum(row["completed"] for row in facts["months"]) == 44


def test_what_changed_is_counted_from_the_last_publish_of_an_earlier_day(published: Looked) -> None:
    published.sql(
        "update ledger.runs set started_at = '2026-02-02T04:30:00Z'",
        "update users set \"givenName\" = 'New' where \"sourcedId\" = 'a3'",
    )
    published.connect("publish")
    published.sql("update users set \"givenName\" = 'New' where \"sourcedId\" = 'a4'")
    published.connect("publish")
    text = published.seen().text
    assert "What changed since yesterday" in text
    assert "Since run 1 of 2 Feb 2026, 04:30 UTC , summed up over 2 runs" in text
    assert "2 people changed" in text


@pytest.mark.parametrize(
    ("change", "verdict", "said"),
    [
        ({}, "good", "The sync is healthy: the package is new, and nothing was blocked."),
        ({"outcome": "unchanged"}, "good", "The sync is healthy: the package did not change, as nothing had to, and nothing was blocked."),
        ({"outcome": "undelivered", "why": "the server does not answer"}, "stop", "The package was made, but did not reach its receiver."),
        ({"outcome": "failed", "why": "no database"}, "stop", "The last publish failed."),
        ({"outcome": "skipped"}, "look", "The last publish was skipped."),
        ({"last_load": "2026-02-01T04:00:00Z"}, "look", "No load has succeeded for 45 hours."),
        ({"last_load": None}, "look", "It is not known when Coursera's data was last loaded."),
        ({"last_load": "2026-02-01T04:00:00Z", "is_sandbox": True}, "good", "The sync is healthy: the package is new, and nothing was blocked."),
        ({"refreshed_at": "2025-01-20T04:00:00Z", "is_sandbox": True}, "good", "The sync is healthy: the package is new, and nothing was blocked."),
        ({"failed": {"sentence": "The last load failed (grade-sync).", "more": "Why.", "commands": ["connect test"]}}, "stop", "The last load failed (grade-sync)."),
        ({"refreshed_at": "2026-01-20T04:00:00Z"}, "look", "The sync runs, but the data from Coursera is 13 days old."),
        ({"severity": "stop"}, "look", "The sync runs, but something in the data would stop the next package."),
    ],
)  # fmt: skip
def test_one_sentence_says_whether_it_is_healthy(change: dict[str, Any], verdict: str, said: str) -> None:
    run = {"outcome": "published", "why": "", "started_at": "2026-02-03T00:30:00Z"}
    facts: dict[str, Any] = {
        "now": "2026-02-03T01:00:00Z",
        "is_sandbox": change.get("is_sandbox", False),
        "failed": change.get("failed"),
        "unread": "",
        "last_load": change.get("last_load", "2026-02-03T00:20:00Z"),
        "missed_after": timedelta(hours=36),
        "published": None,
        "unfinished": "",
        "runs": [run | {name: value for name, value in change.items() if name in run}],
        "data": {"refreshed_at": change.get("refreshed_at", "2026-02-02T04:00:00Z")},
        "held": {"count": 0, "rows": []},
        "blocked": [],
        "schools": [],
        "since": {"sums": {}},
        "quality": [{"rule": "r", "sentence": "S.", "severity": change.get("severity", "flag"), "count": 1}],
    }
    words = page_text.words(facts)
    assert (words["verdict"], words["sentence"]) == (verdict, said)
    nothing_to_do = verdict == "good" or change in ({"outcome": "skipped"}, {"last_load": None})
    assert bool(words["to_do"]) != nothing_to_do


def test_no_page_that_fails_is_a_publish_that_fails(
    published: Looked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    college = published
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda _snippet: "")
    done = college.connect("publish", "--page", str(in_the_way / "report.html"), "--json")
    assert (done.exit_code, json.loads(done.stdout)["outcome"]) == (0, "unchanged")
    assert done.stderr.startswith("The page was not written: ")
    assert "CONNECT_REPORT" in done.stderr

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a name and a grade")

    before = college.page.read_bytes()
    monkeypatch.setattr(page_data, "gather", broken)
    done = college.connect("publish")
    assert (done.exit_code, done.stderr) == (0, "The page was not written: ZeroDivisionError\n")
    assert college.page.read_bytes() == before
    assert college.report()["outcome"] == "unchanged"
    assert not list(college.page.parent.glob("*partial*"))


def test_a_failed_publish_is_on_the_page_too_and_off_writes_none(published: Looked) -> None:
    assert published.connect("publish", "--consent-until", "2020-01-01").exit_code == 7
    assert published.seen().headline == "The last publish failed."
    published.page.unlink()
    published.connect("publish", "--page", "off")
    assert not published.page.exists()


def test_the_page_can_be_elsewhere_and_is_read_by_whom_the_package_is(published: Looked, tmp_path: Path) -> None:
    college = published
    college.package.chmod(0o640)
    college.look()
    assert stat.S_IMODE(college.page.stat().st_mode) == 0o640
    elsewhere = tmp_path / "new" / "status.html"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(college.page.read_bytes())
    done = college.connect("report", "--page", str(elsewhere), "--json")
    told = json.loads(done.stdout)
    assert (told["page"], told["verdict"], told["bytes"]) == (str(elsewhere), "good", elsewhere.stat().st_size)
    assert "download>" not in elsewhere.read_text()  # the package is not beside it
    assert college.connect("report", "--page", str(tmp_path)).exit_code == 2


def test_the_script_of_the_plots_is_made_once_and_only_ours_is_taken_over(
    college: Looked, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hashlib.sha256(script().encode()).hexdigest() == render._LIBRARY_SHA256
    assert "</script" not in script()
    assert "<!--" not in script()
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda _snippet: "made anew")
    assert script() in college.look().whole
    college.page.write_text(college.page.read_text().replace("window.vegaEmbed=", "window.evil=1;window.vegaEmbed="))
    assert "window.evil" not in college.look().whole
    assert isinstance(college.seen(), Page)
    assert ">made anew</script>" in college.seen().whole
