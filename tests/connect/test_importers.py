"""The rows that the reader of each profile holds after the import, which may be fewer than it accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oneroster_csv import profile as profiles
from tests.connect.college import College
from tests.connect.importers import IMPORTERS, Arrived, Refused, opened

if TYPE_CHECKING:
    from pathlib import Path

USERS, CLASSES, ENROLLMENTS, RESULTS, FINAL = 40, 3, 60, 60, 55
WANTED = {
    "generic": Arrived(USERS, CLASSES, ENROLLMENTS, RESULTS),
    "powerschool": Arrived(USERS, CLASSES, ENROLLMENTS, RESULTS),
    "great-minds": Arrived(USERS, CLASSES, ENROLLMENTS),
    "hmh": Arrived(USERS, CLASSES, ENROLLMENTS),
    "moodle": Arrived(USERS, CLASSES, ENROLLMENTS),
    "moodle-accounts": Arrived(USERS, CLASSES, 0),
    "blackbaud": Arrived(USERS, CLASSES, ENROLLMENTS, FINAL),
}


@pytest.fixture(scope="module")
def college(tmp_path_factory: pytest.TempPathFactory) -> College:
    """Three classes that share a code, as the classes of one course do, and texts as they come from Coursera."""
    college = College(tmp_path_factory.mktemp("college"))
    rename = "replace(replace({}, 'a1', 'user.a_B1'), 'b1', 'user.b-h~1')".replace("~", "")
    college.sql(
        'update users set "sourcedId" = ' + rename.format('"sourcedId"'),
        'update enrollments set "userSourcedId" = ' + rename.format('"userSourcedId"'),
        'update results set "studentSourcedId" = ' + rename.format('"studentSourcedId"'),
        "update users set username = 'Ada.' || username || '@mail.example', identifier = username || '+x@mail.example'",
        "update users set \"familyName\" = 'O''Brien', \"givenName\" = 'Zoë!', \"userIds\" = '{Coursera:a.b}'",
        "update users set email = 'zoë.' || username where username like '%a7@%'",
        "update classes set title = 'C++: Objects & Classes', \"classCode\" = 'c-plus_plus'",
        "update \"lineItems\" set title = 'Week 1: ' || repeat('a long name ', 8)",
        "update categories set title = 'Programming assignment with a long name'",
        'update results set "scoreStatus" = \'partially graded\' where "sourcedId" in '
        "('r.ka1.0', 'r.ka1.2', 'r.ka2.3', 'r.kb1.4', 'r.kb1.5')",
    )
    return college


def test_every_profile_has_a_reader_and_says_what_arrives() -> None:
    assert set(IMPORTERS) == set(WANTED) == set(profiles.names())


@pytest.mark.parametrize("name", profiles.names())
def test_what_arrives_at_the_reader_is_what_its_profile_is_for(name: str, college: College, tmp_path: Path) -> None:
    place = tmp_path / "oneroster.zip"
    report = college.publish(profile=name, package=place, allow_removals=True)
    assert report["published"], report["problems"]
    assert IMPORTERS[name](opened(place)) == WANTED[name]


def test_a_package_for_another_reader_shows_what_a_profile_is_needed_for(college: College, tmp_path: Path) -> None:
    place = tmp_path / "oneroster.zip"
    college.publish(package=place, allow_removals=True)
    package = opened(place)
    for name in ("hmh", "moodle"):
        with pytest.raises(Refused):
            IMPORTERS[name](package)
    assert IMPORTERS["powerschool"](package).grades == 0
    assert IMPORTERS["blackbaud"](package).misled == RESULTS - FINAL
    # In the earlier form a class becomes a course by its code, and an account has the mapped name.
    college.publish(profile="moodle", package=place, allow_removals=True)
    package = opened(place)
    for row in package["classes"]:
        row["classCode"] = "c-plus-plus"
    assert IMPORTERS["moodle"](package) == Arrived(USERS, 1, 0)
    package = opened(place)
    for row in package["users"]:
        row["username"] += ".x"
    assert IMPORTERS["moodle"](package) == Arrived(USERS, CLASSES, 0)
