"""The inside of courses: modules, lessons and items."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from singer_sdk.mapper import SameRecordTransform
from typing_extensions import override

from tap_coursera.base import CourseraStream
from tap_coursera.errors import RefusedError
from tap_coursera.paging import Businesses, Page
from tap_coursera.programs import Programs
from tap_coursera.reports import COURSE, EnrollmentReport, Enrollments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from singer_sdk.helpers.types import Context
    from singer_sdk.mapper import StreamMap

    from tap_coursera.paging import Dialect, Listing
    from tap_coursera.typed import Raw

NOT_IN_PROGRAM = "COURSE_NOT_IN_PROGRAM"


class _OfferedCourse(Businesses):
    """One course; no row when it has left the program, although learners are still enrolled."""

    def page(self, listing: Listing, position: str, received: int) -> Page:
        try:
            return super().page(listing, position, received)
        except RefusedError as error:
            if error.code != NOT_IN_PROGRAM:
                raise
            return Page([], None, None)


class CourseMaterials(CourseraStream):
    """Modules, lessons and items of each course in which somebody of the program is enrolled; a request for each."""

    name = "course_materials"
    path = "/programs/{program_id}/courseMaterials/{course_id}"
    parent_stream_type = Programs
    primary_keys = ("program_id", "id")
    selected_by_default = False
    page_size = None
    dialect: ClassVar[Dialect] = _OfferedCourse()

    @property
    @override
    def stream_maps(self) -> list[StreamMap]:
        # Of what is not selected the SDK's map knows no property, and the SDK's own tests select it later on.
        if self.selected:
            return super().stream_maps
        keys = self.primary_keys
        return [SameRecordTransform(self.name, raw_schema=self.schema, key_properties=keys, flattening_options=None)]

    @override
    def foreseen(self, context: Context | None) -> Iterable[Listing]:
        # `enrollments` tells the courses when it was read.
        return ()

    @override
    def raw_rows(self, context: Context | None) -> Iterator[Raw]:
        place = dict(context or {})
        courses = sorted(self._courses(place["program_id"]))
        listings = (self.listing({**place, "course_id": course}, {}) for course in courses)
        return self.read(listings, context)

    def _courses(self, program: str) -> set[str]:
        """Courses with enrollments, from the report that `enrollments` has just read whole, or from one more."""
        enrollments = self._coursera.streams[Enrollments.name]
        if isinstance(enrollments, Enrollments) and (known := enrollments.courses(program)) is not None:
            return known
        report = EnrollmentReport(
            self._coursera.client, self.name, self.config["page_size"], {"includeDeletedMembers": "true"}
        )
        rows = (raw for raw in report.rows(program) if raw.get("contentType") == COURSE)
        return {str(course) for raw in rows if (course := raw.get("contentId"))}
