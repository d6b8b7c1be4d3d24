"""The streams that are read whole: what each is called, where it comes from, what makes its rows unique.

`CourseraStream` holds what they share with the reports. Programs lead to the streams that exist once per program.

The SDK offers no hook for some of what happens here, so these of its internals are relied upon, and
`test_sdk_internals.py` fails when one of them changes: `_write_schema_message`, `_write_activate_version_message`,
`_write_record_message`, `_increment_stream_state`, `finalize_state_progress_markers`, `_stream_version` and
`_initialized_at` of a stream; `_validate_config`, `_config` and `_handle_termination` of a tap.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from singer_sdk import SchemaDirectory, StreamSchema
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.streams import Stream
from typing_extensions import override

from tap_coursera import schemas
from tap_coursera.errors import TapError
from tap_coursera.paging import Listing
from tap_coursera.records import RowReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog

    from tap_coursera.paging import Seen
    from tap_coursera.tap import TapCoursera

    Raw = dict[str, Any]


class CourseraStream(Stream):
    """A list endpoint of `businesses.v1`; `path` and `params` may refer to `{program_id}`."""

    path: str
    params: ClassVar[Mapping[str, str]] = {}
    schema: ClassVar[StreamSchema] = StreamSchema(SchemaDirectory(resources.files(schemas)))
    known_elsewhere: ClassVar[frozenset[str]] = frozenset()
    """Fields of the vendor's rows that belong to another stream."""
    id_parts: ClassVar[tuple[str, ...]] = ()
    """Fields that make up the vendor's `id`, joined by `~`; used for rows that come without one."""
    program_field: ClassVar[str] = "programId"
    """Field of the vendor's rows that holds the program."""

    # What is read whole needs no bookmark, so the state stays small however many programs there are.
    state_partitioning_keys: Sequence[str] | None = ()

    # RowReader has given every value its type, at a tenth of the price.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: TapCoursera) -> None:
        super().__init__(tap)
        self._coursera = tap
        self._announced = False
        self._told: set[str] = set()
        self._own = tuple(self.schema["properties"])
        self._unwanted: list[str] = []
        self.reader = RowReader(self.name, self.schema, self.known_elsewhere)

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        super().apply_catalog(catalog)
        if entry := catalog.get_stream(self.name):
            # The SDK drops what a catalog deselects from messages, but not from batch files, nor what it does not name.
            named = entry.schema.to_dict().get("properties", {})
            batches = self.selected and bool(self.config.get("batch_config"))
            self._unwanted = [
                name for name in self._own if name not in named or (batches and not self.mask["properties", name])
            ]

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        for raw in self.raw_rows(context):
            yield from self.rows(raw, context)
        self.tell_unknown_fields()

    def raw_rows(self, context: Context | None) -> Iterator[Raw]:
        """The vendor's rows, each once."""
        return self.listed(context, [{}], {})

    def listed(self, context: Context | None, filters: Sequence[Mapping[str, str]], seen: Seen) -> Iterator[Raw]:
        """The vendor's rows that at least one of the filters finds and that are not in `seen`."""
        program = {} if context is None else dict(context)
        address = {name: quote(value, safe="") for name, value in program.items()}
        for one in filters:
            listing = Listing(
                self._coursera.client,
                self.name,
                self.path.format(**address),
                {name: value.format(**program) for name, value in self.params.items()} | dict(one),
                self.page_size,
                self.id_parts,
            )
            for raw in listing.rows(seen):
                # A server that ignores the filter shows rows of other programs, too.
                if not program or str(raw.get(self.program_field) or program["program_id"]) == program["program_id"]:
                    yield raw

    @property
    def page_size(self) -> int | None:
        """Rows per request; None for an address that takes no `limit`."""
        size: int = self.config["page_size"]
        return size

    def rows(self, raw: Raw, context: Context | None) -> Iterator[Record]:
        """The stream's rows in one row of the vendor's."""
        yield self.placed(self.reader.read(raw), context)

    def placed(self, row: Record, context: Context | None) -> Record:
        """The row with its program, which Coursera documents but does not promise to repeat in every row.

        Raises:
            TapError: when a part of the key is missing.
        """
        if context is not None and row["program_id"] is None:
            row["program_id"] = context["program_id"]
        for key in self.primary_keys:
            if row.get(key) is None:
                raise TapError(
                    f"A row of {self.name} came without {key}, so it cannot be told from others: check that api_url "
                    "is the Coursera API, and report it if it is."
                )
        for name in self._unwanted:
            del row[name]
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
    page_size = None


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
    id_parts = ("contentType", "contentId")


class Programs(CourseraStream):
    """Active learning programs; only those of the setting `program_ids` where it names some."""

    name = "programs"
    path = "/programs"
    params: ClassVar[Mapping[str, str]] = {"excludeContent": "true"}
    primary_keys = ("id",)
    known_elsewhere = frozenset({"contentIds"})

    def __init__(self, tap: TapCoursera) -> None:
        super().__init__(tap)
        self.names: dict[str, str | None] = {}
        """Of the programs read so far."""

    @override
    def raw_rows(self, context: Context | None) -> Iterator[Raw]:
        wanted = set(self.config.get("program_ids") or [])
        missing = set(wanted)
        for raw in super().raw_rows(context):
            if not wanted or str(raw["id"]) in wanted:
                missing.discard(str(raw["id"]))
                yield raw
        if missing:
            raise TapError(
                f"The organisation has no active program {', '.join(sorted(missing))}: program_ids takes program "
                "ids, not names or slugs; remove what no longer exists."
            )

    @override
    def get_child_context(self, record: Record, context: Context | None) -> Context:
        self.names[record["id"]] = record.get("name")
        return {"program_id": record["id"]}


class ProgramContents(CourseraStream):
    """Which contents are in which program."""

    name = "program_contents"
    path = "/programs"
    params: ClassVar[Mapping[str, str]] = {"ids": "{program_id}", "excludeContent": "false"}
    parent_stream_type = Programs
    primary_keys = ("program_id", "content_type", "content_id")
    known_elsewhere = frozenset({"id"})
    program_field = "id"

    @override
    def rows(self, raw: Raw, context: Context | None) -> Iterator[Record]:
        for content in raw.get("contentIds") or []:
            yield self.placed(self.reader.read(content, raw), context)


class ProgramMemberships(CourseraStream):
    """Who has joined which program."""

    name = "program_memberships"
    path = "/programs/{program_id}/memberships"
    parent_stream_type = Programs
    primary_keys = ("id",)
    id_parts = ("programId", "externalId")


class ProgramInvitations(CourseraStream):
    """Who has been invited to which program and has not answered yet."""

    name = "program_invitations"
    path = "/programs/{program_id}/invitations"
    parent_stream_type = Programs
    primary_keys = ("id",)
    id_parts = ("programId", "externalId")
