"""Decides which differences one odd value may make in a package, and whether a finding names the value."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.bad_data.college import BEGIN, LISTS, ms
from tests.bad_data.values import MISSING, TWICE, TWICE_OTHERWISE, kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bad_data.college import Row
    from tests.bad_data.nights import Files
    from tests.bad_data.values import Odd

# Fields that identify the person or thing of a row: with another value it is another row.
IDENTIFY = {"id", "externalId", "contentId", "contentType", "courseId", "itemId", "programId", "email", "skillsetId"}
HASHED = re.compile(r"\.h[0-9a-f]{40}$")
NO_TEXT = (r"\ud83d\"", r"\udc00", r"\u00", r"\u202e", r"\u2066", r"\ufffe", r"\uffff", r"\ufdd0", r"\udffe", r"\u200f")
TEXT = (r"\u00a0", r"\u00ad")
"""What no text holds, as JSON writes it; the other two \\u00 among the values are a blank and a soft hyphen."""
DONE = {
    "enrolled_at",
    "last_activity_at",
    "completed_at",
    "deleted_at",
    "updated_at",
    "joined_at",
    "created_at",
    "latest_progress_made_at",
}
"""Columns that tell when something was done."""
LEFT_OUT = {"rows-left-out", "row-without-key"}
"""Rules that count rows of which nobody can tell whose they are."""
CHANGED = "changed_at"
"""The newest of several fields, some of which have no column of their own."""
MODE = os.environ.get("ODD_MODE", "final_incremental")
"""The grade sync of the nights."""

GRADES = {"grade", "overall_course_grade", "item_grade"}
BEGINNING, LATEST = 1325376000000, ms(BEGIN + timedelta(days=1, hours=23))
AROUND_ITEMS = {"externalId", "programId", "courseId", "enrolledAt", "lastActivityAt", "completedAt", "deletedAt"}
"""Fields of the row around the items of a gradebook."""
OF_A_PERSON = ("users", "enrollments", "results")


@dataclass(frozen=True)
class Difference:
    """A row that differs from the package without odd values; `before` or `after` is None if the row is absent."""

    file: str
    sourced_id: str
    before: tuple[str, ...] | None
    after: tuple[str, ...] | None

    @property
    def parts(self) -> set[str]:
        """The ids from which the sourcedId is made."""
        return set(self.sourced_id.split("."))

    @property
    def stays(self) -> bool:
        """Whether the row is in the package with the odd value."""
        return self.after is not None

    def has(self, *ids: str) -> bool:
        """Return whether all of these ids are in the sourcedId."""
        return self.parts >= set(ids)


def differences(plain: Files, odd: Files) -> Iterator[Difference]:
    """Return the rows that differ; the headers must be equal, and common rows must have the same order."""
    assert plain.headers == odd.headers
    for file, rows in plain.rows.items():
        before, after = {row[0]: row for row in rows}, {row[0]: row for row in odd.rows[file]}
        assert len(after) == len(odd.rows[file]), f"{file} has an id twice"
        assert [one for one in before if one in after] == [one for one in after if one in before], f"order of {file}"
        for sourced_id in before | after:
            if before.get(sourced_id) != after.get(sourced_id):
                yield Difference(file, sourced_id, before.get(sourced_id), after.get(sourced_id))


def may(odd: Odd, seen: Difference) -> bool:
    """Return whether the odd value may cause this difference."""
    stream, name = odd.place.stream, str(odd.place.path[-1])
    if stream == "item_grades" and odd.place.path[0] in AROUND_ITEMS:
        stream = "course_grades"
    judge = MAY.get(stream)
    return judge is not None and judge(odd.row, seen, name in IDENTIFY or name == "_sdc_deleted_at")


# Whether a row of a stream may make a difference, whose other values stay (or do not, where the field identifies it).


def _organization(_row: Row, seen: Difference, identifies: bool) -> bool:
    return seen.file == "orgs" or (identifies and seen.file == "courses")


def _user(row: Row, seen: Difference, identifies: bool) -> bool:
    files = OF_A_PERSON if identifies else ("users",)
    return seen.file in files and seen.has(row.learner) and (identifies or seen.stays)


def _membership(row: Row, seen: Difference, identifies: bool) -> bool:
    return identifies and seen.file in OF_A_PERSON and seen.has(row.learner)


def _enrollment(row: Row, seen: Difference, identifies: bool) -> bool:
    may_go = seen.file == "results" or (seen.file == "enrollments" and (identifies or seen.stays))
    return may_go and seen.has(row.learner, row.course)


def _course_grade(row: Row, seen: Difference, _identifies: bool) -> bool:
    return seen.file == "results" and seen.has(row.learner, row.course)


def _item_grade(row: Row, seen: Difference, identifies: bool) -> bool:
    item = row.value.get("item_id", f"{row.course}i1")
    if seen.file == "lineItems":  # The row that was read last gives the item its name.
        return seen.has(row.program, item) and seen.stays
    return seen.file == "results" and seen.has(row.learner, row.course) and (identifies or seen.has(item))


def _program(row: Row, seen: Difference, identifies: bool) -> bool:
    if identifies:
        return seen.has(row.program) or any(part.startswith(f"U{row.program[1:]}x") for part in seen.parts)
    return seen.file in {"orgs", "classes", "lineItems"} and seen.has(row.program) and seen.stays


def _offered(row: Row, seen: Difference, _identifies: bool) -> bool:
    return seen.file in {"classes", "lineItems"} and seen.has(row.program)


def _content(row: Row, seen: Difference, _identifies: bool) -> bool:
    return seen.file in {"courses", "classes", "lineItems"} and seen.has(row.course) and seen.stays


MAY = {
    "organizations": _organization,
    "users": _user,
    "program_memberships": _membership,
    "enrollments": _enrollment,
    "course_grades": _course_grade,
    "item_grades": _item_grade,
    "programs": _program,
    "program_contents": _offered,
    "contents": _content,
}
"""No file is made of the other streams."""


def makes_new(odd: Odd, seen: Difference) -> bool:
    """Return whether the odd value may add a row, because the value names another person or thing."""
    if seen.before is not None:
        return False
    if seen.file == "categories":
        return odd.place.stream == "item_grades"
    return str(odd.place.path[-1]) in IDENTIFY


def names(odd: Odd, finding: dict[str, Any]) -> bool:
    """Return whether connect.quality names the odd value by stream, row and column, or as a row that is left out."""
    entity, column = finding["entity"], odd.place.column
    if entity == "result":
        return column in GRADES | {"completed_at"} and odd.row.learner in str(finding["record_id"])
    if entity not in {odd.place.stream, LISTS.get(odd.place.stream)}:
        return False
    # Skills identify learners by e-mail address alone, which no finding shows.
    ids = (odd.row.course,) if entity == "skillset_progress" else (odd.row.learner, odd.row.program, odd.row.course)
    record = finding["record_id"]
    # A finding names an odd id as it is stored.
    of_row = (
        record is None or odd.place.path[-1] in IDENTIFY or any(one and one in record for one in (*ids, odd.row.key))
    )
    return finding["rule"] in LEFT_OUT or (of_row and column in str(finding.get("field")).split())


def has_to_be_named(odd: Odd) -> bool:
    """Return whether the value breaks the schema, is a text that no text can be, or an impossible moment."""
    column, value = odd.place.column, odd.value
    if column == CHANGED or column.startswith("_sdc_") or value in {TWICE, TWICE_OTHERWISE}:
        return False
    if value in {MISSING, "null"}:
        # A row without a program is one of the program that was asked for, and most ids follow from other fields.
        composed = odd.place.path[-1] == "id" and odd.place.stream not in {"users", "programs"}
        return odd.place.spec["type"] == ["string"] and not composed and odd.place.path[-1] != "programId"
    if odd.place.path[-1] == "programId" and kind(odd.place.spec) == "text":
        return False  # The row belongs to another program, which was not asked for.
    is_completed = odd.row.value.get("is_completed", odd.row.value.get("isCompleted"))
    # No grade is published before a course is completed, and no item grade in a mode without item grades.
    is_above = column == "grade" and not is_completed and _is_number(value) and float(value) > 1
    if is_above or (column == "item_grade" and _is_number(value.strip("\"'")) and MODE.startswith("final")):
        return False
    if "rowid" in odd.row.value:
        return _raw_has_to_be_named(column, value)
    return CANNOT_BE[kind(odd.place.spec)](value, column)


def _raw_has_to_be_named(column: str, value: str) -> bool:
    # A raw table may hold any text and any JSON; characters that no text can hold are removed there without a finding.
    if value.endswith("+00'") or value in {"'infinity'", "'-infinity'"}:
        return column in DONE
    return column in GRADES and not _is_grade(value, column)


def _no_text(value: str, _column: str) -> bool:
    if not value.startswith('"'):
        return not _is_number(value)
    return any(one in value for one in NO_TEXT) and not any(one in value for one in TEXT)


def _no_moment(value: str, column: str) -> bool:
    value = value.strip('"')
    return not _is_number(value) or (column in DONE and not BEGINNING <= float(value) <= LATEST)


def _no_number(value: str, column: str) -> bool:
    if not _is_number(value.strip('"')):
        return True
    return column in GRADES and not _is_grade(value, column)


def _is_grade(value: str, column: str) -> bool:
    return 0 <= float(value.strip("\"'")) <= (1.00005 if column == "grade" else 100.005)


def _no_boolean(value: str, _column: str) -> bool:
    return value not in {"true", "false"}


def _no_list(value: str, _column: str) -> bool:
    return not value.startswith("[")


def _no_object(value: str, _column: str) -> bool:
    return not value.startswith("{")


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*-?[0-9]+([.][0-9]+)?(e[0-9]{1,2}|e-[0-9]+)?\s*", text) is not None


CANNOT_BE = {
    "text": _no_text,
    "moment": _no_moment,
    "number": _no_number,
    "integer": _no_number,
    "boolean": _no_boolean,
    "array": _no_list,
    "object": _no_object,
}
