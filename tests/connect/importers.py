"""Stand-ins of the readers of each profile, which import a package and tell what arrived.

Each does what its reader is known to do (docs/profiles.md names the sources), not only what the reader validates.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oneroster_csv import binding as bindings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Row = dict[str, str]
ROSTER = ("academicSessions", "classes", "courses", "demographics", "enrollments", "orgs", "users")
GRADEBOOK = ("categories", "lineItems", "results")


class Refused(Exception):  # noqa: N818 - what a reader says
    """The reader refuses the whole package."""


@dataclass
class Opened:
    """A package as read from the zip."""

    version: str
    modes: dict[str, str]
    headers: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, list[Row]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, file: str) -> list[Row]:
        return self.files.get(file, [])


@dataclass(frozen=True)
class Arrived:
    """The rows that the reader holds afterwards. `misled` are results that the reader shows in a wrong state."""

    users: int
    courses: int
    enrolments: int
    grades: int = 0
    misled: int = 0


def opened(path: Path) -> Opened:
    with zipfile.ZipFile(path) as archive:
        texts = {name.removesuffix(".csv"): archive.read(name).decode() for name in archive.namelist()}
    _, *properties = csv.reader(io.StringIO(texts.pop("manifest"), newline=""))
    said = {name: value for name, value in properties}  # noqa: C416 - pairs, which a type checker cannot know
    modes = {name[5:]: mode for name, mode in said.items() if name.startswith("file.")}
    package = Opened(said["oneroster.version"], modes, texts=texts)
    if set(texts) != {file for file, mode in modes.items() if mode != "absent"}:
        raise Refused("manifest and zip do not agree")
    for file, text in texts.items():
        header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        package.headers[file] = header
        package.files[file] = [dict(zip(header, row, strict=True)) for row in rows]
    return package


def generic(package: Opened) -> Arrived:
    """A reader that keys everything on sourcedId and drops what refers to nothing."""
    ids = {file: {row["sourcedId"] for row in package[file]} for file in package.files}
    enrolments = [
        row for row in package["enrollments"]
        if row["classSourcedId"] in ids["classes"] and row["userSourcedId"] in ids["users"]
    ]  # fmt: skip
    grades = [
        row for row in package["results"]
        if row["lineItemSourcedId"] in ids["lineItems"] and row["studentSourcedId"] in ids["users"]
    ]  # fmt: skip
    return Arrived(len(ids["users"]), len(ids["classes"]), len(enrolments), len(grades))


def powerschool(package: Opened) -> Arrived:
    """Makes a column of the gradebook if title and category are short enough and the category is named once."""
    titles = Counter(row["title"].lower() for row in package["categories"])
    categories = {
        row["sourcedId"] for row in package["categories"]
        if len(row["title"]) <= 30 and titles[row["title"].lower()] == 1
    }  # fmt: skip
    items = {
        row["sourcedId"] for row in package["lineItems"]
        if len(row["title"]) <= 50 and row["categorySourcedId"] in categories
    }  # fmt: skip
    there = generic(package)
    grades = sum(row["lineItemSourcedId"] in items for row in package["results"])
    return Arrived(there.users, there.courses, there.enrolments, grades)


def great_minds(package: Opened) -> Arrived:
    """Takes bulk files only, plain ids of at most 100 characters, four files that may not be empty, no gradebook."""
    for file in ROSTER:
        if package.modes[file] == "delta" or any(row["status"] or row["dateLastModified"] for row in package[file]):
            raise Refused(f"{file} is no bulk file")
        if not all(re.fullmatch("[A-Za-z0-9._-]{1,100}", row["sourcedId"]) for row in package[file]):
            raise Refused(f"{file} has an id that is not taken")
        if file in {"classes", "enrollments", "orgs", "users"} and not package[file]:
            raise Refused(f"{file} is empty")
    there = generic(package)
    return Arrived(there.users, there.courses, there.enrolments)


def hmh(package: Opened) -> Arrived:
    """Takes the eight files of its template, in quotes; a class of more than 50 people is not made."""
    if set(package.files) != set(ROSTER):
        raise Refused("the files are not those of the template")
    for file, text in package.texts.items():
        if package.headers[file] != [column.name for column in bindings.load("1.1").files[file]]:
            raise Refused(f"{file} has other columns than the template")
        if not all(line.startswith('"') and line.endswith('"') for line in text.split("\r\n") if line):
            raise Refused(f"{file} is not in quotes")
    members = Counter(row["classSourcedId"] for row in package["enrollments"])
    made = {row["sourcedId"] for row in package["classes"] if members[row["sourcedId"]] <= 50}
    enrolments = sum(row["classSourcedId"] in made for row in package["enrollments"])
    return Arrived(len(package["users"]), len(made), enrolments)


def moodle(package: Opened) -> Arrived:
    """enrol_oneroster of October 2025, by CSV.

    Each class becomes the course of which the short name is its classCode or, where that is blank, its sourcedId; each
    user the account of that username, made or written over; an enrollment the course of which the short name is its
    classSourcedId, with the account of which the username is its userSourcedId, and nothing where either is missing.
    """
    for file, rows in package.files.items():
        if file not in {"academicSessions", "classes", "enrollments", "orgs", "users"}:
            raise Refused(f"there may be no {file}")
        if package.headers[file] != [column.name for column in bindings.load("1.1").files[file]]:
            raise Refused(f"{file} has another header")
        for row in rows:
            for column, cell in row.items():
                if cell and not _MOODLE.get(column, _anything)(cell):
                    raise Refused(f"{file} has a {column} that is not taken")
    courses = {row["classCode"] or row["sourcedId"] for row in package["classes"]}
    accounts = {row["username"] for row in package["users"]}
    if any(
        len(row[name]) > 100 for row in package["users"] for name in ("username", "email", "givenName", "familyName")
    ):
        raise Refused("a text is longer than its column")
    enrolments = {
        (row["classSourcedId"], row["userSourcedId"]) for row in package["enrollments"]
        if row["classSourcedId"] in courses and row["userSourcedId"] in accounts
    }  # fmt: skip
    return Arrived(len(accounts), len(courses), len(enrolments))


def blackbaud(package: Opened) -> Arrived:
    """`submitted` and `partially graded` are shown as fully graded, `not submitted` as missing."""
    there = generic(package)
    misled = sum(row["scoreStatus"] not in {"fully graded", "exempt"} for row in package["results"])
    return Arrived(there.users, there.courses, there.enrolments, there.grades, misled)


def _anything(_cell: str) -> bool:
    return True


def _readable(cell: str) -> bool:
    return re.fullmatch(r"([^\W_]|[\s.,-])+", cell.strip()) is not None


def _address(cell: str) -> bool:
    local, _, domain = cell.rpartition("@")
    labels = domain.split(".")
    return (
        cell.isascii()
        and 0 < len(local) <= 64
        and re.fullmatch(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+", local) is not None
        and "" not in local.split(".")
        and len(labels) > 1
        and all(re.fullmatch("[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", label) for label in labels)
    )


def _ids(cell: str) -> bool:
    return all(re.fullmatch(r"[0-9a-zA-Z.\-_/@]{1,255}", one.strip()) for one in cell.split(","))


def _user_ids(cell: str) -> bool:
    return all(re.fullmatch(r"\{[a-zA-Z0-9]+:[a-zA-Z0-9]+\}", one.strip()) for one in cell.split(","))


_MOODLE: dict[str, Callable[[str], bool]] = {
    **dict.fromkeys(
        [
            "title",
            "classCode",
            "location",
            "name",
            "identifier",
            "username",
            "givenName",
            "familyName",
            "middleName",
            "sms",
            "phone",
        ],
        _readable,
    ),
    **dict.fromkeys(
        [
            "sourcedId",
            "classSourcedId",
            "userSourcedId",
            "schoolSourcedId",
            "courseSourcedId",
            "parentSourcedId",
            "orgSourcedIds",
            "termSourcedIds",
        ],
        _ids,
    ),
    "email": _address,
    "userIds": _user_ids,
}
"""What the validator asks of a cell; it makes no use of the result but to refuse the upload."""
IMPORTERS: dict[str, Callable[[Opened], Arrived]] = {
    "generic": generic,
    "powerschool": powerschool,
    "great-minds": great_minds,
    "hmh": hmh,
    "moodle": moodle,
    "moodle-accounts": moodle,
    "blackbaud": blackbaud,
}
