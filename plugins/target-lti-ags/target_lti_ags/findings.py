"""What the operator has to know about single rows: findings as data, and as sentences without people."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {
    "class-not-mapped": "Classes have scores and no course in the LMS: add them to the courses.",
    "course-refused": "The platform does not let this tool into a course: add the tool there, with its grade services.",
    "course-failed": "A course could not be finished: the platform failed or could not be reached; run it again.",
    "members-refused": "The list of members of a course could not be read: allow the membership service to the tool.",
    "address-refused": "The platform gave an address that is not safe, so it was not used.",
    "no-total": "A class has no line item for its total grade, which its course asks for: choose another grade_sync.",
    "line-item-unknown": "Scores belong to line items that were never sent: send the stream line_items once.",
    "line-item-incomplete": "Line items have no label or no maximum above 0, so they cannot be columns.",
    "line-item-refused": "The platform refused line items: see the HTTP status.",
    "line-item-twice": "The platform has several line items with our tag and the same id: remove all but one there.",
    "score-out-of-range": "Scores lie below 0 or above the maximum, and are not sent: correct them at their source.",
    "person-unknown": "People are no active members of the course, or lack what they are matched by.",
    "person-ambiguous": "People match several members, or several people one member, so nothing is sent for them.",
    "score-refused": "The platform refused scores; each is tried again in every run.",
    "score-later": "The platform holds scores with a later time than this run's, and refuses ours.",
}
"""The kinds of findings, each with what it means and what to do."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found. Ids are those of the streams; a blank is not about one of them."""

    kind: str
    class_id: str = ""
    lineitems_url: str = ""
    line_item_id: str = ""
    person_id: str = ""
    status: int = 0
    """The HTTP status of the answer; 0 where nothing was sent."""
    attempts: int = 0
    since: str = ""
    """When the score was refused first."""


COUNTED = ("sent", "final", "running", "already_there", "unchanged", "refused", "pending", "columns_made")
"""What is counted for each course, in this order."""


@dataclass
class CourseReport:
    """What happened in one course; `counts` by the names of `COUNTED` and others."""

    class_id: str
    lineitems_url: str
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def find(self, kind: str, **about: Any) -> None:
        """Add a finding about this course."""
        self.findings.append(Finding(kind, self.class_id, self.lineitems_url, **about))


def write(path: Path, run: dict[str, Any], reports: list[CourseReport], findings: list[Finding]) -> None:
    """Write a file of JSON lines, in the place of the one before: the run, each course, each finding."""
    lines: list[dict[str, Any]] = [{"type": "run", **run}]
    lines += [
        {"type": "course", "class_id": one.class_id, "lineitems_url": one.lineitems_url, **one.counts}
        for one in reports
    ]
    lines += [{"type": "finding", **asdict(one), "sentence": KINDS[one.kind]} for one in findings]
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as text:
        text.writelines(json.dumps(line) + "\n" for line in lines)
    temporary.replace(path)


def sentences(findings: list[Finding]) -> list[str]:
    """Return a line for each kind of finding and class, with how many there are and the HTTP statuses; no people."""
    counted = Counter((one.kind, one.class_id, one.status) for one in findings)
    return [
        f"{KINDS[kind]} ({count:,}"
        + (f", class {class_id}" if class_id else "")
        + (f", HTTP {status}" if status else "")
        + ")"
        for (kind, class_id, status), count in sorted(counted.items())
    ]
