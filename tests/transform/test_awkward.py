"""Awkward raw rows: nothing crashes, no two people are merged, nothing is invented, the package is right."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.transform.college import completed, content, enrolled, item, member, offers, program, user

if TYPE_CHECKING:
    from tests.transform.warehouse import Row, Warehouse

READ = "2026-02-02T06:00:00Z"
GRADES = {"Ann1": 1.0, "Ben2": 0.0, "Cat3": 1e-9, "Dan4": 0.999999, "Eve5": None}
ODD_IDS = ["a+b~c, d", "{e}", 'f"g', "h i", "a" * 300, "İd", "line\nbreak", "=1+1"]


@pytest.fixture(scope="module")
def college(warehouse: Warehouse) -> Warehouse:
    graded = [user(key, f"sso-{key}", f"Learner {key}", f"{key}@mail.example") for key in GRADES]
    odd = [user(f"Odd{number}", key, "Odd One", f"odd{number}@mail.example") for number, key in enumerate(ODD_IDS)]
    named = [
        user("Blank", "blank", "  \t "),
        user("None", "none", None),
        user("Emoji", "emoji", "🙂 🎓"),
        user("Long", "long", "Ana " * 100 + "Souza"),
        user("Rtl", "rtl", "مريم بنت علي"),
    ]
    others = [
        user("Twin", "twin", "First Twin", "Same@Mail.Example"),
        user("tWIN", "TWIN", "Other Twin", "same@mail.example"),
        user("Unset", None, "No Id", "noid@mail.example"),
        user("Nobody", " ", "No Body") | {"email": ""},
        user("Elsewhere", "elsewhere", "No Member"),
    ]
    warehouse.load(
        READ,
        organizations=[{"id": "Org_A", "name": "Example College", "slug": "example-college"}],
        programs=[program("ProgA", "Business"), program("progA", "Business"), {"id": "ProgN"}],
        program_contents=[
            offers("ProgA", "Course1"),
            offers("progA", "Course2"),
            offers("ProgN", "Long"),
            offers("ProgA", "Movie", "Video"),
            offers("ProgA", "Path", "Specialization"),
        ],
        contents=[
            content("Course1", "Writing"),
            content("Course2", "Writing"),
            content("Long", "Word " * 60),
            content("Movie", "M", "Video"),
        ],
        users=[*graded, *odd, *named, *others],
        program_memberships=[
            *(member("ProgA", f"sso-{key}") for key in GRADES),
            *(member("ProgA", key) for key in ODD_IDS),
            *(member("ProgN", row["external_id"]) for row in named),
            member("ProgA", "twin", email="Same@Mail.Example"),
            member("ProgA", "TWIN", email="same@mail.example"),
            member("ProgA", "noid@mail.example") | {"external_id": None, "email": "noid@mail.example"},
            member("ProgA", "stranger", "Un Known"),
            member("ProgA", "") | {"email": None},
        ],
        enrollments=[
            *(completed("ProgA", f"sso-{key}", "Course1", grade) for key, grade in GRADES.items()),
            *(enrolled("ProgA", key, "Course1") for key in ODD_IDS),
            completed("ProgA", "twin", "Course1", 0.4),
            completed("ProgA", "TWIN", "Course1", 0.8),
            enrolled("ProgA", "noid@mail.example", "Course1"),
            enrolled("ProgA", "stranger", "Course1", enrolled_at="1999-12-31T23:00:00Z"),
            enrolled("ProgA", "elsewhere", "Course1"),
            enrolled("ProgA", "twin", "Movie", content_type="Video"),
            enrolled("ProgA", "", "Course1") | {"email": None},
            enrolled("ProgA", "twin", "Unnamed", content_name="\n", content_slug=None, enrolled_at=None),
            enrolled("ProgN", "blank", "Long", enrolled_at="2031-01-01T00:00:00Z"),
        ],
        item_grades=[
            item("ProgA", "twin", "Course1", "q1", 40.0),
            item("ProgA", "TWIN", "Course1", "Q1", 80.0),
            item("ProgA", ODD_IDS[0], "Course1", "x,{y}", 1e-9, item_name=None, module_name=" ", item_type=None),
        ],
    )
    warehouse.run()
    return warehouse


def by_account(college: Warehouse) -> dict[str, Row]:
    """The rows of users.csv by Coursera account."""
    accounts = {row["user_sourced_id"]: row["person_key"] for row in college.read("connect.people")}
    return {accounts[key]: row for key, row in college.file("users").items()}


def connect(college: Warehouse, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "coursera_connect", *words, "--database", str(college.path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def publish(college: Warehouse) -> subprocess.CompletedProcess[str]:
    return connect(college, "publish", "--package", str(college.path.with_name("oneroster.zip")))


def test_the_package_is_published_with_everybody_in_it(college: Warehouse) -> None:
    done = publish(college)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(college.file("users")) == len(GRADES) + len(ODD_IDS) + 5 + 2 + 1 + 1
    assert len({key.lower() for key in college.file("users")}) == len(college.file("users"))


def test_two_accounts_with_one_address_stay_two_people_with_their_own_grades(college: Warehouse) -> None:
    users = by_account(college)
    assert {users[key]["email"] for key in ("Twin", "tWIN")} == {"Same@Mail.Example", "same@mail.example"}
    assert [users[key]["username"] == users[key]["sourcedId"] for key in ("Twin", "tWIN", "Ann1")] == [
        True,
        True,
        False,
    ]
    results = {row["studentSourcedId"]: row["score"] for row in college.file("results").values()}
    assert [results[users[key]["sourcedId"]] for key in ("Twin", "tWIN")] == ["40.00", "80.00"]


def test_odd_external_ids_stay_as_they_are_or_are_left_blank(college: Warehouse) -> None:
    users = by_account(college)
    seen = [(users[f"Odd{number}"].get("identifier"), users[f"Odd{number}"].get("userIds")) for number in range(8)]
    assert seen == [
        ("a+b~c, d", None),
        ("{e}", None),
        ('f"g', '{Coursera:f"g}'),
        ("h i", "{Coursera:h i}"),
        ("a" * 300, f"{{Coursera:{'a' * 300}}}"),
        ("İd", "{Coursera:İd}"),
        ("line break", "{Coursera:line break}"),
        ("=1+1", "{Coursera:=1+1}"),
    ]
    assert users["Unset"]["identifier"] == "noid@mail.example"


def test_names_are_kept_and_the_last_word_is_the_family_name_however_long(college: Warehouse) -> None:
    names = {key: (row["givenName"], row["familyName"]) for key, row in by_account(college).items()}
    assert names["Blank"] == names["None"] == ("-", "-")
    assert names["Emoji"] == ("🙂", "🎓")
    assert names["Rtl"] == ("مريم بنت", "علي")
    assert (len(names["Long"][0]), names["Long"][1]) == (255, "Souza")


def test_extreme_grades_keep_their_value_and_a_missing_one_gives_no_result(college: Warehouse) -> None:
    results = {row["studentSourcedId"]: row["score"] for row in college.file("results").values()}
    assert {key: results.get(f"user.{key}") for key in GRADES} == {
        "Ann1": "100.00", "Ben2": "0.00", "Cat3": "0.00", "Dan4": "100.00", "Eve5": None
    }  # fmt: skip


def test_no_class_with_learners_vanishes_for_want_of_a_name(college: Warehouse) -> None:
    titles = sorted(row["title"] for row in college.file("classes").values())
    assert titles == ["Unnamed", ("Word " * 51).rstrip(), "Writing", "Writing"]
    assert sorted(row["name"] for row in college.file("orgs").values()) == [
        "Business", "Business", "Example College", "ProgN"
    ]  # fmt: skip


def test_an_enrollment_long_ago_or_far_ahead_has_no_begin_date(college: Warehouse) -> None:
    users = by_account(college)
    dates = {row["userSourcedId"]: row.get("beginDate") for row in college.file("enrollments").values()}
    seen = [dates[users[key]["sourcedId"]] for key in ("Blank", "external~stranger")]
    assert seen == [None, None]


def test_what_belongs_to_nobody_is_in_no_file_and_counted(college: Warehouse) -> None:
    assert "user.Elsewhere" not in {row["userSourcedId"] for row in college.file("enrollments").values()}
    found = Counter(
        (row["rule"], row["entity"]) for row in college.read("connect.quality") for _ in range(row["how_many"])
    )
    assert found["no-id", "enrollment"] == found["no-id", "membership"] == 1
    assert found["shared-username", "user"] == 2
    assert found["not-a-member", "enrollment"] == 1


def test_items_whose_ids_differ_by_case_are_two_columns(college: Warehouse) -> None:
    college.build(grade_sync="granular_all")  # All data tests run, and none of them may stop a night.
    mapping = str(college.runner.mapping)
    assert connect(college, "grades", "change", "granular_all", "--save", "--mapping", mapping).returncode == 0
    assert publish(college).returncode == 0
    items = college.file("lineItems")
    assert len(items) == 3
    assert {row["score"] for row in college.file("results").values()} == {"40.00", "80.00", "0.00"}
