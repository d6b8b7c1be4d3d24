"""A college as Coursera's API would show it, in which every record can be altered alone.

Its programs, courses and learners have nothing in common but one shared course, so whatever stands for one of them is
known by the ids in its sourcedId. Every field that a schema file knows is filled, also within objects and lists.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]
Path_ = tuple[str | int, ...]

SCHEMAS = Path(__file__).resolve().parents[2] / "tap-coursera" / "tap_coursera" / "schemas"
ORG = "OrgA"
SHARED = "CShared"
BEGIN = datetime(2026, 3, 10, 6, tzinfo=timezone.utc)
"""The first night."""
ITEMS = ("i1", "i2")
ANCHORS = 2
"""Learners of each program to whom nothing ever happens: their dates hold the sessions where they are."""
OWN_COLUMNS = {"stream_reads"}
"""Streams that the tap writes of itself, and that no answer holds."""


def ms(moment: datetime) -> int:
    """Epoch milliseconds."""
    return int(moment.timestamp() * 1000)


def schemas() -> dict[str, Json]:
    """The schema of each stream that is made of the vendor's rows."""
    found = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(SCHEMAS.glob("*.json"))}
    return {name: schema for name, schema in found.items() if name not in OWN_COLUMNS}


class Place(NamedTuple):
    """A field of the vendor's in the rows of a stream; `path` is its path within the element of the answer."""

    stream: str
    path: Path_
    spec: Json
    column: str


INNER = {"item_grades": ("itemGradebooks", 0), "program_contents": ("contentIds", 0)}
"""Where the rows of a stream are within the elements of another one."""
LISTS = {"item_grades": "course_grades"}
"""The list that a stream shares with another one."""
MADE_BY_THE_TAP = {("contents", "isRemoved"), ("skillset_progress", "programIds")}
ORGANISATION = ("organizations", "id")
"""Whose data it is: with that of another organisation the warehouse is not published, on purpose."""


def places() -> list[Place]:
    """Every field of every stream, by the schema files."""
    found: list[Place] = []
    for stream, schema in schemas().items():
        known: set[Path_] = set()
        for column, spec in schema["properties"].items():
            base: Path_ = () if "x-of" in spec else INNER.get(stream, ())
            if "x-newest-of" in spec:
                inner = [
                    ((*base, name), {"type": ["string", "null"], "format": "date-time"}) for name in spec["x-newest-of"]
                ]
            elif "x-source" in spec and (stream, spec["x-source"]) not in {*MADE_BY_THE_TAP, ORGANISATION}:
                inner = list(_inside((*base, spec["x-source"]), spec))
            else:
                continue
            for path, one in inner:
                if path not in known:
                    known.add(path)
                    found.append(Place(stream, path, one, column))
    return found


def _inside(path: Path_, spec: Json) -> Iterator[tuple[Path_, Json]]:
    yield path, spec
    if "array" in spec["type"]:
        yield from _inside((*path, 0), spec.get("items", {"type": ["string", "null"]}))
    for inner in spec.get("properties", {}).values():
        if "x-source" in inner:
            yield from _inside((*path, inner["x-source"]), inner)


def filled(stream: str, known: Json) -> Json:
    """Return the row with an ordinary value in each field of the schema that the row lacks."""
    schema, row = schemas_once()[stream], dict(known)
    for spec in schema["properties"].values():
        if "x-newest-of" in spec or "x-of" in spec or "x-source" not in spec:
            continue
        row.setdefault(spec["x-source"], _ordinary(spec))
    return {name: value for name, value in row.items() if value is not None}


_once: dict[str, Json] = {}


def schemas_once() -> dict[str, Json]:
    """As `schemas`, read once."""
    if not _once:
        _once.update(schemas())
    return _once


def _ordinary(spec: Json) -> Any:
    if spec.get("x-unit", "").startswith("epoch"):
        return ms(BEGIN - timedelta(days=40)) // (1000 if spec["x-unit"] == "epoch seconds" else 1)
    kind = next(kind for kind in spec["type"] if kind != "null")
    if kind == "array":
        return [_ordinary(spec["items"])]
    if kind == "object":
        return {inner["x-source"]: _ordinary(inner) for inner in spec.get("properties", {}).values()}
    return {"string": "Text", "integer": 5, "number": 5.5, "boolean": False}[kind]


@dataclass(frozen=True)
class Row:
    """One element of a list, with the values by which the API selects it."""

    list: str
    key: str
    value: Json
    program: str = ""
    course: str = ""
    learner: str = ""
    times: tuple[int, int, int] = (0, 0, 0)
    """Last activity, enrollment, completion."""


@dataclass(frozen=True)
class College:
    """`programs` programs with a course and `learners` learners each, on the night with this number."""

    programs: int
    learners: int
    night: int = 0
    rows: dict[str, list[Row]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for row in self._rows():
            self.rows.setdefault(row.list, []).append(row)

    @property
    def now(self) -> datetime:
        """The time of the API."""
        return BEGIN + timedelta(days=self.night)

    def learners_of(self, program: str) -> list[str]:
        """Ids of the learners of a program."""
        return [f"U{program[1:]}x{number:02}" for number in range(self.learners)]

    def program_ids(self) -> list[str]:
        """Ids of the programs."""
        return [f"P{number:02}" for number in range(self.programs)]

    def _rows(self) -> Iterator[Row]:
        yield Row("organizations", ORG, filled("organizations", {"id": ORG, "name": "A College", "slug": "a-college"}))
        yield self._content(SHARED, self.program_ids())
        for program in self.program_ids():
            yield from self._program(program)

    def _content(self, course: str, offering: list[str]) -> Row:
        touched = ms(self.now - timedelta(hours=5)) // 1000
        row = {
            "id": f"Course~{course}",
            "contentId": course,
            "contentType": "Course",
            "name": f"Course {course}",
            "slug": f"course-{course.lower()}",
            "lastUpdatedAt": touched,
            "programs": [{"programId": one, "contentUrl": "https://c.example/x"} for one in offering],
            "changes": [{"changeType": "MODIFIED", "programIds": offering}],
            "isRemoved": None,
        }
        return Row("contents", course, filled("contents", row), course=course, times=(touched, 0, 0))

    def _program(self, program: str) -> Iterator[Row]:
        course = f"C{program[1:]}"
        offered = [{"contentId": one, "contentType": "Course"} for one in (course, SHARED)]
        known = {
            "id": program,
            "name": f"Program {program}",
            "url": f"https://www.coursera.org/programs/{program.lower()}-x",
            "contentIds": [],
        }
        yield Row("programs", program, filled("programs", known), program)
        # The same element in an answer that includes its contents.
        yield Row("program_contents", program, filled("programs", known | {"contentIds": offered}), program, course)
        yield self._content(course, [program])
        collection = {"id": f"{program}~K{program}", "programId": program, "collectionId": f"K{program}"}
        yield Row("curriculum_collections", program, filled("curriculum_collections", collection), program)
        for one in (course, SHARED):
            material = {"id": one, "programId": program}
            yield Row("course_materials", f"{program}~{one}", filled("course_materials", material), program, one)
        yield Row(
            "skillsets",
            program,
            filled("skillsets", {"skillsetId": f"S{program}", "programs": [{"programId": program}]}),
        )
        invited = {
            "id": f"{program}~new{program}@mail.example",
            "programId": program,
            "externalId": f"new{program}@mail.example",
            "fullName": "Invited Person",
            "email": f"new{program}@mail.example",
        }
        yield Row("program_invitations", program, filled("program_invitations", invited), program)
        for number, learner in enumerate(self.learners_of(program)):
            yield from self._learner(program, course, learner, number)

    def _learner(self, program: str, course: str, learner: str, number: int) -> Iterator[Row]:
        external, email, name = f"sso{learner}", f"{learner.lower()}@mail.example", f"Given{number} Family{learner}"
        account = {
            "id": learner,
            "email": email,
            "externalId": external,
            "fullName": name,
            "membershipProgramIds": [program],
            "invitationProgramIds": [],
        }
        yield Row("users", learner, filled("users", account), learner=learner)
        person = {"programId": program, "externalId": external, "fullName": name, "email": email}
        membership = {"id": f"{program}~{external}", **person, "joinedAt": ms(BEGIN - timedelta(days=300))}
        yield Row("program_memberships", learner, filled("program_memberships", membership), program, learner=learner)
        made = ms(self.now - timedelta(hours=3))
        progress = {
            "userName": name,
            "userEmail": email,
            "skillsetId": f"S{program}",
            "programIds": [{"programId": program}],
            "latestProgressMadeAt": made,
        }
        row = filled("skillset_progress", progress)
        yield Row("skillset_progress", learner, row, "", f"S{program}", learner, (made, 0, 0))
        for one in (course, SHARED):
            yield from self._study(program, one, learner, number, person)

    def _study(self, program: str, course: str, learner: str, number: int, person: Json) -> Iterator[Row]:
        # Two learners have enrollments in earlier school years; all others began recently.
        enrolled = BEGIN - (timedelta(days=500) if number < ANCHORS else timedelta(days=2))
        active = self.now - timedelta(hours=4)
        done = number % 2 == 0
        completed = self.now - timedelta(hours=5) if done else None
        times = {"enrolledAt": ms(enrolled), "lastActivityAt": ms(active), "completedAt": completed and ms(completed)}
        found = (ms(active), ms(enrolled), ms(completed) if completed else 0)
        grade = (60 + (number * 7 + self.night * 3) % 40) / 100
        report = {
            **person,
            **times,
            "id": f"{person['externalId']}~Course~{course}",
            "contentId": course,
            "contentType": "Course",
            "contentName": f"Course {course}",
            "contentSlug": f"course-{course.lower()}",
            "programName": f"Program {program}",
            "programSlug": program.lower(),
            "isCompleted": done,
            "grade": grade if done else None,
            "membershipState": "MEMBER",
            "updatedAt": ms(self.now - timedelta(hours=2)),
            "deletedAt": None,
        }
        key = f"{learner}~{course}"
        yield Row("enrollments", key, _without_nulls("enrollments", report), program, course, learner, found)
        items = [
            filled(
                "item_grades",
                {
                    "itemId": f"{course}{item}",
                    "itemName": f"Quiz {item}",
                    "itemType": "QUIZ",
                    "itemOrder": place,
                    "itemWeight": 50.0,
                    "itemGrade": round(grade * 100, 2),
                    "itemDeadline": ms(self.now + timedelta(days=30)),
                },
            )
            for place, item in enumerate(ITEMS)
        ]
        book = {
            **{name: person[name] for name in ("programId", "externalId", "fullName")},
            **times,
            "id": f"{person['externalId']}~{course}",
            "courseId": course,
            "courseName": f"Course {course}",
            "isCompleted": done,
            "overallCourseGrade": round(grade * 100, 2),
            "itemGradebooks": items,
        }
        yield Row("course_grades", key, _without_nulls("course_grades", book), program, course, learner, found)


def _without_nulls(stream: str, row: Json) -> Json:
    """As `filled`, but what is null on purpose stays absent."""
    absent = {name for name, value in row.items() if value is None}
    return {name: value for name, value in filled(stream, row).items() if name not in absent}
