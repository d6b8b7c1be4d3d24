"""Made-up rows of the two reports as the vendor sends them, written once as JSON, and what a loader must make of them.

Rows follow from their number alone, so the same command writes the same bytes anywhere. They are kept as one file of
JSON objects with commas between them and an index of where each begins: any page of any size is a slice of that file.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from array import array
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Row = dict[str, Any]

PROGRAM = "Pr0gram-AAAAAAAAAAAAAA"
ITEMS = 15
"""Of a course."""
MINUTE, DAY = 60_000, 86_400_000
"""Milliseconds."""
OPENING, NOW = 1_756_684_800_000, 1_793_577_600_000
"""Epoch milliseconds: the first day of the first term, and the time of the reports."""
COURSES = 400
COURSES_OF_A_LEARNER = 8

TEXT, INTEGER, NUMBER, FLAG, MOMENT, NESTED = "text", "integer", "number", "flag", "moment", "nested"

ENROLLMENT: Mapping[str, str] = {
    "id": TEXT,
    "externalId": TEXT,
    "programId": TEXT,
    "contentId": TEXT,
    "contentType": TEXT,
    "contentName": TEXT,
    "contentSlug": TEXT,
    "programName": TEXT,
    "programSlug": TEXT,
    "fullName": TEXT,
    "email": TEXT,
    "partnerNames": NESTED,
    "isCompleted": FLAG,
    "completedAt": MOMENT,
    "grade": NUMBER,
    "overallProgress": INTEGER,
    "approxTotalCourseHrs": NUMBER,
    "lastActivityAt": MOMENT,
    "enrolledAt": MOMENT,
    "membershipState": TEXT,
    "updatedAt": MOMENT,
    "collectionId": TEXT,
    "collectionName": TEXT,
    "contentCertificateUrl": TEXT,
    "contractId": TEXT,
    "contractName": TEXT,
    "courseType": TEXT,
}
"""The 27 fields of a row and what they hold; numbers have two decimals, moments are epoch milliseconds."""
ITEM: Mapping[str, str] = {
    "programId": TEXT,
    "externalId": TEXT,
    "courseId": TEXT,
    "itemId": TEXT,
    "itemName": TEXT,
    "itemType": TEXT,
    "itemOrder": INTEGER,
    "itemWeight": NUMBER,
    "itemGrade": NUMBER,
    "isItemPassed": FLAG,
    "itemDeadline": MOMENT,
    "moduleId": TEXT,
    "moduleName": TEXT,
    "lessonId": TEXT,
    "lessonName": TEXT,
    "itemRiskFlags": NESTED,
}
"""An item, after the three fields of the gradebook row around it that are part of its key."""


@dataclass(frozen=True)
class Kind:
    """One report: how its rows are asked for, and the table that a contestant makes of it."""

    name: str
    endpoint: str
    params: Mapping[str, str]
    page_size: int
    fields: Mapping[str, str]
    key: tuple[str, ...]
    stream: str
    """What tap-coursera calls the table."""
    nested: str | None = None
    """Where the vendor's row holds the rows of the table; None when it is one itself."""
    outer: tuple[str, ...] = ()
    """Fields that such a row takes from the one around it."""


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "enrollments",
            "enrollmentReports",
            {"q": "byProgramId", "programId": PROGRAM, "includeDeletedMembers": "true"},
            1000,
            ENROLLMENT,
            ("programId", "id"),
            "enrollments",
        ),
        Kind(
            "items",
            "courseGradebookReports",
            {"q": "search", "programId": PROGRAM, "includeDeletedMembers": "true"},
            200,
            ITEM,
            ("programId", "externalId", "courseId", "itemId"),
            "item_grades",
            "itemGradebooks",
            ("programId", "externalId", "courseId"),
        ),
    )
}


def snake(name: str) -> str:
    """`external_id` for `externalId`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


# Rows


def rows(kind: str, count: int) -> Iterator[Row]:
    """The vendor's rows of a report, in the order of its pages."""
    make = _enrollment if kind == "enrollments" else _gradebook
    chance = random.Random(kind)
    courses = [_course(number) for number in range(COURSES)]
    for number in range(count):
        learner, place = divmod(number, COURSES_OF_A_LEARNER)
        yield make(chance, courses[(learner * 7 + place) % COURSES], learner)


def flat(kind: Kind, row: Row) -> Iterator[Row]:
    """The rows of the table in one of the vendor's."""
    if kind.nested is None:
        yield row
    else:
        outer = {name: row[name] for name in kind.outer}
        for inner in row[kind.nested]:
            yield outer | inner


def _course(number: int) -> Row:
    chance = random.Random(f"course {number}")
    subject = chance.choice(("Café Management", "Applied Statistics", "Español for Health Care", "Machine Learning"))
    name = f"{subject} {number}: Foundations, Practice and a Capstone"
    modules = [(_id(chance, 5), f"Module {module}: From the first steps to “advanced” use") for module in range(1, 6)]
    kinds = ("QUIZ", "PEER_REVIEW", "STAFF_GRADED_ASSIGNMENT", "PROGRAMMING_ASSIGNMENT")
    return {
        "id": _id(chance, 22),
        "name": name,
        "slug": name.lower().replace(" ", "-").replace(":", "").replace(",", ""),
        "partner": f"University of {chance.choice(('Northfield', 'São Tiro', 'Eastmere'))}",
        "items": [
            {
                "itemId": _id(chance, 5),
                "itemName": f"Graded work {order}: show what this lesson has taught",
                "itemType": kinds[order % len(kinds)],
                "itemOrder": order,
                "itemWeight": 6.25 if order < ITEMS else 12.5,
                "moduleId": modules[order // 4][0],
                "moduleName": modules[order // 4][1],
                "lessonId": _id(chance, 5),
                "lessonName": f"Lesson {order}: Reading, watching, trying it out",
            }
            for order in range(1, ITEMS + 1)
        ],
    }


def _id(chance: random.Random, size: int) -> str:
    return "".join(chance.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", k=size))


def _names(learner: int) -> tuple[str, str]:
    first = ("Zoë", "Ana María", "Jörg", "Nguyễn", "Robert", "李", "Fatima", "O'Neil")[learner % 8]
    return f"{first} Learner-{learner}", f"learner.{learner:07d}@students.example.edu"


def _enrollment(chance: random.Random, course: Row, learner: int) -> Row:
    name, email = _names(learner)
    draw = chance.random()
    enrolled = OPENING + int(draw * 300) * DAY + learner % 1440 * MINUTE
    done = chance.random() < 0.4
    row: Row = {
        "id": f"{email}~Course~{course['id']}",
        "externalId": email,
        "programId": PROGRAM,
        "contentId": course["id"],
        "contentType": "Course",
        "contentName": course["name"],
        "contentSlug": course["slug"],
        "programName": "College of Applied Learning",
        "programSlug": "college-of-applied-learning",
        "fullName": name,
        "email": email,
        "partnerNames": [course["partner"]],
        "isCompleted": done,
        "enrolledAt": enrolled,
        "membershipState": "MEMBER" if draw < 0.97 else "DELETED_MEMBER",
        "updatedAt": NOW,
        "overallProgress": 100 if done else int(draw * 97),
        "approxTotalCourseHrs": int(draw * 6400) / 100,
        "lastActivityAt": enrolled + int(draw * 60 * DAY),
        "contractId": "C0ntract-AAAAAAAAAAAAA",
        "contractName": "Campus 2025-26",
        "courseType": "Course",
        "collectionId": "fac3r",
        "collectionName": "First year: what everybody takes",
    }
    if done:
        row["completedAt"] = enrolled + int(draw * 60 * DAY)
        row["grade"] = (60 + int(draw * 41)) / 100
        row["contentCertificateUrl"] = (
            f"https://www.coursera.org/account/accomplishments/certificate/{_code(learner, course)}"
        )
    return row


def _code(learner: int, course: Row) -> str:
    return f"{learner:08X}{course['id'][:4].upper()}"


def _gradebook(chance: random.Random, course: Row, learner: int) -> Row:
    name, email = _names(learner)
    draw = chance.random()
    enrolled = OPENING + int(draw * 300) * DAY + learner % 1440 * MINUTE
    items = []
    for frame in course["items"]:
        grade = int(chance.random() * 13000) / 100
        item = {**frame, "itemRiskFlags": [], "itemDeadline": enrolled + frame["itemOrder"] * 7 * DAY}
        if grade <= 100:
            item |= {"itemGrade": grade, "isItemPassed": grade >= 80}
            if grade < 50:
                item["itemRiskFlags"] = ["FAILED_ASSIGNMENT"]
        items.append(item)
    return {
        "id": f"{email}~{course['id']}",
        "externalId": email,
        "fullName": name,
        "programId": PROGRAM,
        "courseId": course["id"],
        "courseName": course["name"],
        "enrolledAt": enrolled,
        "isCompleted": False,
        "overallProgress": int(draw * 100),
        "approxTotalLearningHrs": int(draw * 6400) / 100,
        "overallCourseGrade": int(draw * 10000) / 100,
        "riskFlags": [],
        "itemGradebooks": items,
        "lastActivityAt": enrolled + int(draw * 60 * DAY),
    }


# What a loader must make of them


@dataclass
class Truth:
    """Sums over all rows of a table: per field the number of values, and the sum of what `measure` says of each."""

    rows: int = 0
    keys: int = 0
    sums: dict[str, list[int]] = field(default_factory=dict)


def measure(kind: str, value: Any) -> int:
    """What one value adds to the second of the sums."""
    if kind == TEXT:
        return len(value)
    if kind == NESTED:
        return 1
    return int(round(value * 100) if kind == NUMBER else value)


def truth(kind: Kind, count: int) -> Truth:
    """The sums over the first `count` of the vendor's rows; rows of a table differ in their keys, by construction."""
    found = Truth(sums={name: [0, 0] for name in kind.fields})
    for raw in rows(kind.name, count):
        for row in flat(kind, raw):
            found.rows += 1
            for name, value in row.items():
                if name in kind.fields:
                    sums = found.sums[name]
                    sums[0] += 1
                    sums[1] += measure(kind.fields[name], value)
    found.keys = found.rows
    return found


# Files


@dataclass(frozen=True)
class Book:
    """The files of one report of one length."""

    kind: Kind
    count: int
    """Rows of the vendor's."""
    folder: Path

    @property
    def rows(self) -> Path:
        """JSON objects with commas between them."""
        return self._file("rows")

    @property
    def index(self) -> Path:
        """Where each row begins, and where the row after the last one would: 8 bytes each."""
        return self._file("index")

    @property
    def truth(self) -> Path:
        """A `Truth` as JSON; there once the others are complete."""
        return self._file("truth.json")

    def _file(self, ending: str) -> Path:
        # Named for this module's text, too: other rows are other files.
        version = sha256(Path(__file__).read_bytes()).hexdigest()[:8]
        return self.folder / f"{self.kind.name}-{self.count}-{version}.{ending}"

    def write(self) -> None:
        """Write the files, unless they are there."""
        if self.truth.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        starts = array("Q")
        place = 0
        with self.rows.open("wb") as file:
            for raw in rows(self.kind.name, self.count):
                starts.append(place)
                place += file.write(msgspec.json.encode(raw) + b",")
        starts.append(place)
        self.index.write_bytes(starts.tobytes())
        found = truth(self.kind, self.count)
        unfinished = self.truth.with_suffix(".new")
        unfinished.write_text(json.dumps({"rows": found.rows, "keys": found.keys, "sums": found.sums}))
        unfinished.replace(self.truth)

    def starts(self) -> array[int]:
        """Where each row begins in `rows`, with the end as the last."""
        starts = array("Q")
        starts.frombytes(self.index.read_bytes())
        return starts


def main() -> None:
    """Write the pages of one report."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("count", type=int, help="rows of the vendor's")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    Book(KINDS[given.kind], given.count, given.folder).write()


if __name__ == "__main__":
    main()
