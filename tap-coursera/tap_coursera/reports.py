"""The reports, which are read incrementally: how they are asked for what changed, and what they remember."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tap_coursera.errors import TapError
from tap_coursera.records import milliseconds, rfc3339
from tap_coursera.streams import CourseraStream, Programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from singer_sdk.helpers.types import Context, Record

    from tap_coursera.paging import Seen
    from tap_coursera.tap import TapCoursera

    Raw = dict[str, Any]

HOUR = 3_600_000
"""Milliseconds."""


class IncrementalStream(CourseraStream):
    """A report with a bookmark per program: the newest `changed_at` among the rows that were written."""

    parent_stream_type = Programs
    replication_key = "changed_at"
    state_partitioning_keys = ("program_id",)

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        since = self.since(context)
        latest = 0
        for raw in self.raw_rows(context):
            changed = self.reader.moment(raw)
            if self.wants(changed, since):
                for row in self.rows(raw, context):
                    yield row
                    latest = max(latest, changed or 0)
        self.tell_unknown_fields()
        self.advance(context, latest)

    def since(self, context: Context | None) -> int | None:
        """Epoch milliseconds from which on rows are wanted: bookmark less look-back, or `start_date`, or None."""
        if self.replication_method == "FULL_TABLE":
            return None
        if bookmark := self._bookmark(context):
            return max(1, bookmark - int(self.config["report_lag_hours"]) * HOUR)
        return self.start

    @property
    def start(self) -> int | None:
        """`start_date` in epoch milliseconds."""
        start: str | None = self.config.get("start_date")
        return milliseconds(start) if start else None

    def wants(self, changed: int | None, since: int | None) -> bool:  # noqa: ARG002 - Coursera has filtered already
        """Whether a row that changed then is to be written."""
        return True

    def advance(self, context: Context | None, latest: int) -> None:
        """Move the program's bookmark once all of its rows are written; never backwards."""
        if self.replication_method != "FULL_TABLE" and latest > self._bookmark(context):
            state = self.get_context_state(context)
            state |= {"replication_key": self.replication_key, "replication_key_value": rfc3339(latest)}

    def _bookmark(self, context: Context | None) -> int:
        value = self.get_context_state(context).get("replication_key_value")
        try:
            return milliseconds(value) if value else 0
        except (AttributeError, TypeError, ValueError):
            raise TapError(
                f"The state holds a bookmark of {self.name} that is not a time: give the state that a run of this tap "
                "wrote, or none to read everything again."
            ) from None

    @override
    def _increment_stream_state(self, latest_record: Record, *, context: Context | None = None) -> None:
        # `advance` does it, when the program is complete: the SDK compares times as text and may step backwards.
        pass

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        # The SDK would cap bookmarks at the local clock, which no report keeps to.
        return None


class Enrollments(IncrementalStream):
    """Progress of each learner in each content of each program."""

    name = "enrollments"
    path = "/enrollmentReports"
    params: ClassVar[Mapping[str, str]] = {
        "q": "byProgramId",
        "programId": "{program_id}",
        "includeDeletedMembers": "true",
        "includeS12n": "false",
    }
    primary_keys = ("program_id", "id")
    id_parts = ("externalId", "contentType", "contentId")

    def __init__(self, tap: TapCoursera) -> None:
        super().__init__(tap)
        self._program_name: str | None = None

    @override
    def raw_rows(self, context: Context | None) -> Iterator[Raw]:
        # A new name of the program is no activity of anybody: no filter finds the rows that bear it.
        seen: Seen = {}
        shown: set[str] = set()
        elsewhere: set[str] = set()
        yield from _noting(shown, self.listed(context, _since(self.since(context)), seen))
        # The report bears the new name up to a day later than the list of programs, so what it shows counts first.
        listed = self._listed_names(context)
        remembered = self._remembered_name(context)
        if remembered and (shown or listed or {remembered}) != {remembered}:
            yield from _noting(elsewhere, self.listed(context, _since(self.start), seen))
        names = shown or elsewhere or listed
        self._program_name = names.pop() if len(names) == 1 else None

    def _listed_names(self, context: Context | None) -> set[str]:
        programs = self._coursera.streams[Programs.name]
        name = programs.names.get(context["program_id"]) if context and isinstance(programs, Programs) else None
        return {name} if name else set()

    def _remembered_name(self, context: Context | None) -> str | None:
        name = self.get_context_state(context).get("program_name")
        return name if isinstance(name, str) and self.replication_method != "FULL_TABLE" else None

    @override
    def advance(self, context: Context | None, latest: int) -> None:
        super().advance(context, latest)
        if self.replication_method != "FULL_TABLE" and self._program_name:
            self.get_context_state(context)["program_name"] = self._program_name


def _noting(names: set[str], rows: Iterator[Raw]) -> Iterator[Raw]:
    """The rows; adds the program names that they bear to `names`."""
    for raw in rows:
        name = raw.get("programName")
        if name and isinstance(name, str):
            names.add(name)
        yield raw


def _since(moment: int | None) -> list[dict[str, str]]:
    """Filters for rows that were touched at or after this time (epoch milliseconds)."""
    if moment is None:
        return [{}]
    # lastActivityAfter excludes the moment itself, the other two include it. None of them sees deletions.
    return [
        {"lastActivityAfter": str(moment - 1)},
        {"enrollAtAfter": str(moment)},
        {"completedAtAfter": str(moment)},
    ]


class GradebookStream(IncrementalStream):
    """A part of the gradebook, which has no filter by time: all of a program is read, and what changed is written."""

    path = "/courseGradebookReports"
    params: ClassVar[Mapping[str, str]] = {"q": "search", "programId": "{program_id}", "includeDeletedMembers": "true"}
    id_parts = ("externalId", "courseId")

    @override
    def wants(self, changed: int | None, since: int | None) -> bool:
        return self.config["grade_sync"] == "full" or since is None or changed is None or changed >= since


class CourseGrades(GradebookStream):
    """Grade of each learner in each course of each program; hands what it reads on to `item_grades`."""

    name = "course_grades"
    primary_keys = ("program_id", "id")
    known_elsewhere = frozenset({"itemGradebooks"})

    @override
    def raw_rows(self, context: Context | None) -> Iterator[Raw]:
        items = self._coursera.streams[ItemGrades.name]
        # Batch files are written by each stream alone, so there item_grades reads for itself.
        if not isinstance(items, ItemGrades) or not items.selected or self.config.get("batch_config"):
            yield from super().raw_rows(context)
            return
        with items.fed(context) as take:
            for raw in super().raw_rows(context):
                take(raw)
                yield raw


class ItemGrades(GradebookStream):
    """Grade of each learner in each graded item; reads the gradebook only where `course_grades` has not done so."""

    name = "item_grades"
    primary_keys = ("program_id", "external_id", "course_id", "item_id")

    def __init__(self, tap: TapCoursera) -> None:
        super().__init__(tap)
        self._fed: tuple[Context | None, int] | None = None

    @contextmanager
    def fed(self, context: Context | None) -> Iterator[Callable[[Raw], None]]:
        """Write the items of gradebook rows that another stream reads; counts once that stream has read all of them."""
        since = self.since(context)
        latest = 0
        self._write_schema_message()
        with self.get_record_counter() as counter:
            counter.with_context(dict(context or {}))

            def take(raw: Raw) -> None:
                nonlocal latest
                changed = self.reader.moment(raw)
                if self.wants(changed, since):
                    for row in self.rows(raw, context):
                        self._write_record_message(row)
                        counter.increment()
                        latest = max(latest, changed or 0)

            yield take
        self._fed = (context, latest)

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
    def rows(self, raw: Raw, context: Context | None) -> Iterator[Record]:
        for item in raw.get("itemGradebooks") or []:
            yield self.placed(self.reader.read(item, raw), context)
