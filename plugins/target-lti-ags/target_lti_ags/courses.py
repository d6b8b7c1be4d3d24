"""Where the courses of the LMS are: which class goes into which course, and what of it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from target_lti_ags import addresses
from target_lti_ags.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

GRADE_SYNCS = ("final", "incremental", "chosen", "all")
"""The final total; the total also while it is running; chosen line items; all line items."""

COLUMNS = ("class", "section", "lineitems_url", "memberships_url", "grade_sync", "line_items")
_REQUIRED = ("class", "lineitems_url")


@dataclass(frozen=True)
class Course:
    """A class in a course of the LMS. A class may be in several courses, and a course may have several classes."""

    class_id: str
    lineitems_url: str
    memberships_url: str = ""
    section: str = ""
    """Only the scores of this section; blank for all."""
    grade_sync: str = "all"
    line_items: frozenset[str] = frozenset()
    """The ids or labels of the chosen line items."""

    def takes(self, line_item_id: str, label: str | None, *, is_total: bool) -> bool:
        """Return whether a line item of the class is a column of this course."""
        if self.grade_sync in {"final", "incremental"}:
            return is_total
        return self.grade_sync == "all" or bool({line_item_id, label} & self.line_items)


def configured(entries: list[dict[str, Any]], file: Path | None) -> list[Course]:
    """Return the courses of the setting `courses` and of a file.

    Raises:
        SettingError: the file cannot be read, or a course has no class, an unsafe address or an unknown value.
    """
    named = [(f"courses, entry {place}", entry) for place, entry in enumerate(entries, 1)]
    if file is not None:
        named += _rows(file)
    courses = [_course(where, entry) for where, entry in named]
    keys = [(course.class_id, course.section, course.lineitems_url) for course in courses]
    for (where, _), key in zip(named, keys, strict=True):
        if keys.count(key) > 1:
            raise SettingError(f"{where}: the same class and section is twice in the same course; leave one out.")
    return courses


def _rows(file: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text, strict=True)
            header = reader.fieldnames or []
            if missing := [name for name in _REQUIRED if name not in header]:
                raise SettingError(f"{file} has no column {missing[0]}: its columns are {', '.join(COLUMNS)}.")
            return [(f"{file}, line {reader.line_num}", row) for row in reader if any(row.values())]
    except OSError as error:
        raise SettingError(f"{file} cannot be read ({error.strerror}): see courses_file.") from None
    except (UnicodeDecodeError, csv.Error):
        raise SettingError(f"{file} is no CSV in UTF-8: save it again as such.") from None


def _course(where: str, entry: dict[str, Any]) -> Course:
    unknown = [name for name in entry if name not in COLUMNS]
    if unknown:
        raise SettingError(f"{where}: an unknown or superfluous column; the columns are {', '.join(COLUMNS)}.")
    texts = {name: str(entry.get(name) or "").strip() for name in COLUMNS if name != "line_items"}
    chosen = entry.get("line_items") or []
    chosen = chosen.split("|") if isinstance(chosen, str) else chosen
    if missing := [name for name in _REQUIRED if not texts[name]]:
        raise SettingError(f"{where}: {missing[0]} is blank; fill it.")
    for name in ("lineitems_url", "memberships_url"):
        if texts[name] and not addresses.is_safe(texts[name]):
            raise SettingError(f"{where}: {name} is no https address; give the one that the platform shows.")
    course = Course(
        texts["class"],
        texts["lineitems_url"],
        texts["memberships_url"],
        texts["section"],
        texts["grade_sync"] or "all",
        frozenset(filter(None, (str(one).strip() for one in chosen))),
    )
    if course.grade_sync not in GRADE_SYNCS:
        raise SettingError(f"{where}: grade_sync is one of {', '.join(GRADE_SYNCS)}.")
    if bool(course.line_items) != (course.grade_sync == "chosen"):
        raise SettingError(f"{where}: line_items names the chosen ones exactly if grade_sync is chosen.")
    return course
