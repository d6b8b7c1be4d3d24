"""The gradebook: grades of courses and of items.

The gradebook has no filter by time. An incremental run therefore asks the enrollment report which learners moved in
which courses, and the planner how to ask for their grades with the fewest requests.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from tap_coursera import plan
from tap_coursera.records import objects
from tap_coursera.reports import COURSE, TOUCHES, EnrollmentReport, ProgramReportStream, newer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from singer_sdk.helpers.types import Context, Record

    from tap_coursera.paging import Listing
    from tap_coursera.tap import TapCoursera
    from tap_coursera.typed import Raw

LARGE_COURSES = 50
"""Courses of a program whose size is remembered at most, so that state stays small."""


class GradebookStream(ProgramReportStream):
    """A part of the gradebook."""

    path = "/courseGradebookReports"
    params: ClassVar[Mapping[str, str]] = {"q": "search", "programId": "{program_id}", "includeDeletedMembers": "true"}
    replication_key = "changed_at"
    id_parts = ("externalId", "courseId")
    rank = newer

    def __init__(self, tap: TapCoursera) -> None:
        super().__init__(tap)
        self.moved: set[plan.Pair] = set()
        """Who moved in the program that is being read, as far as that was asked."""
        self._shown: set[tuple[str, str]] = set()
        """Items (course, item) that somebody's row has shown in the program that is being read."""
        self._size: plan.Size | None = None

    @cached_property
    def _report(self) -> EnrollmentReport:
        # The gradebook has no switch for expired contracts, so whatever it may hold is looked for.
        flags = {"includeDeletedMembers": "true", "includeExpiredContracts": "true"}
        client = self._coursera.client
        return EnrollmentReport(client, self.name, self.config["page_size"], flags, self.marks, _who_moved)

    @override
    def raw_rows(self, context: Context | None) -> Iterator[Raw]:
        self.moved, self.as_of, self.newest = set(), None, None
        self.covering, self._shown = frozenset(), set()
        self._size = known = self._remembered_size(context)
        since = self.planned_since(context)
        if since is None or known is None:
            yield from self._whole(context)
            return
        self.moved = {
            (str(raw.get("externalId")), str(raw.get("contentId")))
            for raw in self._report.touched((context or {})["program_id"], since)
            if raw.get("contentType") == COURSE and None not in (raw.get("externalId"), raw.get("contentId"))
        }
        self.as_of, self.newest = self._report.as_of, self._report.newest
        asked = plan.plan(self.moved, known, self.config["page_size"])
        if asked.program:
            yield from self._whole(context)
        else:
            yield from self._parts(context, asked, known)

    @override
    def foreseen(self, context: Context | None) -> Iterable[Listing]:
        # Where there is something to plan with, the plan decides.
        return () if self._plans(context) else super().foreseen(context)

    def _plans(self, context: Context | None) -> bool:
        return self.planned_since(context) is not None and self._remembered_size(context) is not None

    def planned_since(self, context: Context | None) -> int | None:
        """Since when (epoch milliseconds) it matters who moved; None when the whole program is to be read."""
        if self.config["grade_sync"] == "full" or not self.mark(context):
            return None
        return self.since(context)

    @override
    def marks(self) -> list[int]:
        return [since for one in self.programs() if (since := self.planned_since(one)) is not None]

    def _whole(self, context: Context | None) -> Iterator[Raw]:
        courses: Counter[str] = Counter()
        self.covering = frozenset("*")
        for raw in self.read([self.listing(context, {})], context):
            courses[str(raw.get("courseId"))] += 1
            yield raw
        self._size = plan.Size(courses.total(), courses)

    def _parts(self, context: Context | None, asked: plan.Plan, known: plan.Size) -> Iterator[Raw]:
        by_course = {course: self.listing(context, {"courseId": course}) for course in sorted(asked.courses)}
        self.covering = frozenset(by_course)
        learners = (self.listing(context, {"emailOrExternalId": learner}) for learner in sorted(asked.learners))
        yield from self.read((*by_course.values(), *learners), context)
        sizes = {course: listing.size or 0 for course, listing in by_course.items()}
        self._size = plan.Size(known.program, {**known.courses, **sizes})

    @override
    def wants(self, raw: Raw, changed: int | None, since: int | None) -> bool:
        if since is None or self.config["grade_sync"] == "full":
            return True
        if changed >= since if changed else not self.reader.is_dated(raw):
            return True
        return (str(raw.get("externalId")), str(raw.get("courseId"))) in self.moved

    def _remembered_size(self, context: Context | None) -> plan.Size | None:
        rows = self.remembered(context).get("gradebook_rows")
        if not isinstance(rows, dict) or not isinstance(rows.get("program"), int):
            return None
        courses = rows.get("courses")
        return plan.Size(rows["program"], courses if isinstance(courses, dict) else {})

    @override
    def advance(self, context: Context | None, latest: int) -> None:
        super().advance(context, latest)
        if self.remembers and self._size is not None:
            page = self.config["page_size"]
            large = sorted(self._size.courses.items(), key=lambda course: -course[1])[:LARGE_COURSES]
            courses = {course: rows for course, rows in large if rows > page}
            self.get_context_state(context)["gradebook_rows"] = {"program": self._size.program, "courses": courses}


def _who_moved(raw: Raw) -> Raw:
    return {name: raw.get(name) for name in ("externalId", "contentId", "contentType", *TOUCHES)}


class CourseGrades(GradebookStream):
    """Grade of each learner in each course of each program; hands what it reads on to `item_grades`."""

    name = "course_grades"
    primary_keys = ("program_id", "id")
    known_elsewhere = frozenset({"itemGradebooks"})

    @override
    def raw_rows(self, context: Context | None) -> Iterator[Raw]:
        if (items := self._fed_stream()) is None:
            yield from super().raw_rows(context)
            return
        with items.fed(context) as take:
            for raw in super().raw_rows(context):
                items.covering = self.covering
                take(raw, self.moved)
                yield raw
            items.as_of, items.newest = self.as_of, self.newest
            items.is_unsure |= self.is_unsure
            items.covering = self.covering

    @override
    def planned_since(self, context: Context | None) -> int | None:
        both = [super().planned_since(context)]
        if items := self._fed_stream():
            both.append(items.planned_since(context))
        return None if None in both else min(since for since in both if since is not None)

    def _fed_stream(self) -> ItemGrades | None:
        """The stream of items, unless it is not wanted."""
        items = self._coursera.streams[ItemGrades.name]
        return items if isinstance(items, ItemGrades) and items.selected else None


class ItemGrades(GradebookStream):
    """Grade of each learner in each graded item; reads the gradebook only where `course_grades` has not done so."""

    name = "item_grades"
    primary_keys = ("program_id", "external_id", "course_id", "item_id")

    def __init__(self, tap: TapCoursera) -> None:
        super().__init__(tap)
        self._fed: tuple[Context | None, int] | None = None

    @contextmanager
    def fed(self, context: Context | None) -> Iterator[Callable[[Raw, set[plan.Pair]], None]]:
        """Write the items of gradebook rows that another stream reads; counts once that stream has read all of them."""
        since = self.since(context)
        self._shown = set()
        self.begin_reading()
        latest = 0
        self._write_schema_message()
        self._coursera.progress.of(self.name).read_with = CourseGrades.name
        with self.get_record_counter() as counter:
            counter.with_context(dict(context or {}))

            def take(raw: Raw, moved: set[plan.Pair]) -> None:
                nonlocal latest
                self.moved = moved
                changed = self.reader.moment(raw)
                if self.wants(raw, changed, since):
                    for row in self.rows(raw, context):
                        self._write_record_message(row)
                        counter.increment()
                        latest = max(latest, changed or 0)

            yield take
        self._fed = (context, latest)

    @property
    @override
    def read_with(self) -> str:
        return CourseGrades.name if self._coursera.streams[CourseGrades.name].selected else self.name

    @override
    def foreseen(self, context: Context | None) -> Iterable[Listing]:
        return () if self._coursera.streams[CourseGrades.name].selected else super().foreseen(context)

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        if self._fed is None or self._fed[0] != context:
            yield from super().get_records(context)
            return
        _, latest = self._fed
        self._fed = None
        self.tell_unknown_fields()
        self.advance(context, latest)

    @override
    def wants(self, raw: Raw, changed: int | None, since: int | None) -> bool:
        # Where every learner is read, a row of each item is written: an item without one is in no gradebook any more.
        course = str(raw.get("courseId"))
        if not self.covering & {"*", course}:
            return super().wants(raw, changed, since)
        items = raw.get("itemGradebooks")
        ids = (item.get("itemId") for item in (items if isinstance(items, list) else ()) if isinstance(item, dict))
        shown = {(course, str(item)) for item in ids}
        is_news = not shown <= self._shown
        self._shown |= shown
        return super().wants(raw, changed, since) or is_news

    @override
    def rows(self, raw: Raw, context: Context | None) -> Iterator[Record]:
        for item in objects(raw.get("itemGradebooks")):
            yield from self.placed(self.reader.read(item, raw), context)
