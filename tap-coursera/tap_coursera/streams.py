"""The streams: what each is called, where it comes from, what makes its rows unique.

`CourseraStream` holds what they share. Programs lead to the streams that exist once per program.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import SchemaDirectory, StreamSchema
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.streams import Stream
from typing_extensions import override

from tap_coursera import schemas
from tap_coursera.errors import TapError
from tap_coursera.paging import Listing
from tap_coursera.records import RowReader, milliseconds, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from singer_sdk.helpers.types import Context, Record

    from tap_coursera.paging import Seen
    from tap_coursera.tap import TapCoursera

    Raw = dict[str, Any]

HOUR = 3_600_000
"""Milliseconds."""


class CourseraStream(Stream):
    """A list endpoint of `businesses.v1`; `path` and `params` may refer to `{program_id}`."""

    path: str
    params: ClassVar[Mapping[str, str]] = {}
    schema: ClassVar[StreamSchema] = StreamSchema(SchemaDirectory(resources.files(schemas)))
    known_elsewhere: ClassVar[frozenset[str]] = frozenset()
    """Fields of the vendor's rows that belong to another stream."""

    # RowReader has given every value its type, at a tenth of the price.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: TapCoursera) -> None:
        super().__init__(tap)
        self._coursera = tap
        self._announced = False
        self._told: set[str] = set()
        self.reader = RowReader(self.name, self.schema, self.known_elsewhere)

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        for raw in self.raw_rows(context):
            yield from self.rows(raw, context)
        self.tell_unknown_fields()

    def raw_rows(self, context: Context | None) -> Iterator[Raw]:
        """The vendor's rows, each once."""
        seen: Seen = {}
        program = {} if context is None else dict(context)
        for extra in self.passes(context):
            listing = Listing(
                self._coursera.client,
                self.name,
                self.path.format(**program),
                {name: value.format(**program) for name, value in self.params.items()} | dict(extra),
                self.config["page_size"],
            )
            yield from listing.rows(seen)

    def passes(self, context: Context | None) -> Sequence[Mapping[str, str]]:  # noqa: ARG002 - reports look at it
        """Parameters of each listing that it takes to get all rows."""
        return [{}]

    def rows(self, raw: Raw, context: Context | None) -> Iterator[Record]:
        """The stream's rows in one row of the vendor's."""
        yield self.placed(self.reader.read(raw), context)

    def placed(self, row: Record, context: Context | None) -> Record:
        """The row with its program, which Coursera documents but does not promise to repeat in every row."""
        if context is not None and row["program_id"] is None:
            row["program_id"] = context["program_id"]
        return row

    def tell_unknown_fields(self) -> None:
        """Say once what Coursera sent and the schema does not know; names only."""
        if new := self.reader.unknown - self._told:
            self._told |= new
            self.log("Coursera sends fields that are left out: %s", ", ".join(sorted(new)))

    # What the SDK writes before the records, and what only after the last of them

    @property
    @override
    def emit_activate_version_messages(self) -> bool:
        # The SDK would write ACTIVATE_VERSION ahead of the records: a run that dies would leave rows marked as gone.
        return False

    @property
    def _activates(self) -> bool:
        return bool(self.config.get("emit_activate_version_messages")) and self.replication_method == "FULL_TABLE"

    @override
    def _write_schema_message(self) -> None:
        # The SDK would repeat it for every program.
        if not self._announced:
            self._announced = True
            self._stream_version = self._initialized_at if self._activates else None
            super()._write_schema_message()

    @override
    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        # The tap calls this without a state once a stream and all its programs have been read to the end.
        super().finalize_state_progress_markers(state)
        if not state and self.selected and self._activates:
            self._write_schema_message()
            self._write_activate_version_message(self._initialized_at)

    @override
    def log(self, message: str, *args: Any, **options: Any) -> None:
        # The error itself follows, and says more.
        if not message.startswith("An unhandled error occurred"):
            super().log(message, *args, **options)


class Organizations(CourseraStream):
    """The organisation itself."""

    name = "organizations"
    path = ""
    primary_keys = ("id",)


class Users(CourseraStream):
    """Everybody in the organisation."""

    name = "users"
    path = "/users"
    primary_keys = ("id",)


class Contents(CourseraStream):
    """Courses, specializations and clips that the organisation may use."""

    name = "contents"
    path = "/contents"
    primary_keys = ("id",)
    known_elsewhere = frozenset({"changes"})


class Programs(CourseraStream):
    """Active learning programs; only those of the setting `program_ids` where it names some."""

    name = "programs"
    path = "/programs"
    params: ClassVar[Mapping[str, str]] = {"excludeContent": "true"}
    primary_keys = ("id",)
    known_elsewhere = frozenset({"contentIds"})

    @override
    def raw_rows(self, context: Context | None) -> Iterator[Raw]:
        wanted = set(self.config.get("program_ids") or [])
        missing = set(wanted)
        for raw in super().raw_rows(context):
            if not wanted or raw["id"] in wanted:
                missing.discard(raw["id"])
                yield raw
        if missing:
            raise TapError(
                f"The organisation has no active program {', '.join(sorted(missing))}: program_ids takes program "
                "ids, not names or slugs; remove what no longer exists."
            )

    @override
    def get_child_context(self, record: Record, context: Context | None) -> Context:
        return {"program_id": record["id"]}


class ProgramContents(CourseraStream):
    """Which contents are in which program."""

    name = "program_contents"
    path = "/programs"
    params: ClassVar[Mapping[str, str]] = {"ids": "{program_id}", "excludeContent": "false"}
    parent_stream_type = Programs
    primary_keys = ("program_id", "content_type", "content_id")
    known_elsewhere = frozenset({"id"})

    @override
    def rows(self, raw: Raw, context: Context | None) -> Iterator[Record]:
        for content in raw.get("contentIds") or []:
            yield self.reader.read(content, raw)


class ProgramMemberships(CourseraStream):
    """Who has joined which program."""

    name = "program_memberships"
    path = "/programs/{program_id}/memberships"
    parent_stream_type = Programs
    primary_keys = ("id",)


class ProgramInvitations(CourseraStream):
    """Who has been invited to which program and has not answered yet."""

    name = "program_invitations"
    path = "/programs/{program_id}/invitations"
    parent_stream_type = Programs
    primary_keys = ("id",)


class IncrementalStream(CourseraStream):
    """A report with a bookmark per program: the newest `changed_at` among the rows that were written."""

    parent_stream_type = Programs
    replication_key = "changed_at"

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
        value: str | None = self.get_context_state(context).get("replication_key_value")
        return milliseconds(value) if value else 0

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

    @override
    def passes(self, context: Context | None) -> Sequence[Mapping[str, str]]:
        since = self.since(context)
        if since is None:
            return [{}]
        # lastActivityAfter excludes the moment itself, the other two include it. None of them sees deletions.
        return [
            {"lastActivityAfter": str(since - 1)},
            {"enrollAtAfter": str(since)},
            {"completedAtAfter": str(since)},
        ]


class GradebookStream(IncrementalStream):
    """A part of the gradebook, which has no filter by time: all of a program is read, and what changed is written."""

    path = "/courseGradebookReports"
    params: ClassVar[Mapping[str, str]] = {"q": "search", "programId": "{program_id}", "includeDeletedMembers": "true"}

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
