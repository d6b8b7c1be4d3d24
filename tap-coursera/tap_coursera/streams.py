"""The streams that are read whole: what each is called, where it comes from, what makes its rows unique."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, cast

from typing_extensions import override

from tap_coursera.base import SECOND, CourseraStream, IncrementalStream
from tap_coursera.errors import RefusedError, TapError, unknown_programs
from tap_coursera.records import objects
from tap_coursera.texts import OddRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from singer_sdk.helpers.types import Context, Record

    from tap_coursera.paging import Listing
    from tap_coursera.tap import TapCoursera
    from tap_coursera.typed import Raw


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


KNOWN = "program_ids"
"""In the state of the programs: those of the last run."""


class Programs(CourseraStream):
    """Active learning programs; only those of the setting `program_ids` where it names some.

    A program whose row has an odd `id` for a night is asked for under the id that the run before has read.
    """

    name = "programs"
    path = "/programs"
    params: ClassVar[Mapping[str, str]] = {"excludeContent": "true"}
    primary_keys = ("id",)
    known_elsewhere = frozenset({"contentIds"})

    def __init__(self, tap: TapCoursera) -> None:
        super().__init__(tap)
        self.names: dict[str, str | None] = {}
        """Of the programs of this run, by id."""
        self.shown_as: dict[str, object] = {}
        """Programs whose rows have another id in this run, and which."""

    @override
    def raw_rows(self, context: Context | None) -> Iterator[Raw]:
        wanted = set(self.config.get("program_ids") or [])
        state = self.get_context_state(None)
        listed = self._recognised(list(super().raw_rows(context)), state.get(KNOWN), wanted)
        names = {raw["id"]: self.reader.read(raw)["name"] for raw in listed if raw["id"]}
        if missing := wanted - names.keys():
            raise TapError(unknown_programs(missing))
        self.names = {program: name for program, name in names.items() if not wanted or program in wanted}
        self._coursera.forget_other_programs(self.names.keys())
        state[KNOWN] = list(self.names)
        yield from (raw for raw in listed if not raw["id"] or raw["id"] in self.names)

    def _recognised(self, listed: list[Raw], before: list[str] | None, wanted: set[str]) -> list[Raw]:
        """The rows, each with an id to ask with: of before where it is odd now, and null where nobody knows it.

        A program of before that is not listed is asked for alone: the row that answers is its own, whatever id it has.
        """
        known = dict.fromkeys([*(before or ()), *sorted(wanted)])
        strange = [raw for raw in listed if not _id(raw) or (before is not None and _id(raw) not in known)]
        shown = set(map(_id, listed))
        found: list[Raw] = []
        for program in [one for one in known if one not in shown] if strange else ():
            answer: list[Raw] = []
            with suppress(RefusedError):  # a program that is gone need not be an empty list
                answer = list(self.listing(None, {"ids": program}).rows())
            # A server that ignores `ids` answers an only program, too, which with an id of its own is another one.
            is_told_apart = len(listed) > 1 or not _id(next(iter(answer), {}))
            if len(answer) == 1 and _id(answer[0]) not in known and is_told_apart:
                found.append(_with_id(answer[0], program))
                self.shown_as[program] = answer[0].get("id")
                strange.remove(next((raw for raw in strange if _id(raw) == _id(answer[0])), strange[0]))
            if not strange:
                break
        nameless = [raw for raw in strange if not _id(raw)]
        if nameless and before is None:
            for stream in (self, *self.child_streams):
                if isinstance(stream, CourseraStream):
                    stream.is_unsure = True
        usual = [raw for raw in listed if _id(raw) in known or (_id(raw) and (before is None or raw in strange))]
        return [*usual, *found, *(_with_id(raw, None) for raw in nameless)]

    def contexts(self) -> list[Context]:
        """Of the programs of this run, in their order, once they are known."""
        return [{"program_id": program} for program in self.names]

    @override
    def get_child_context(self, record: Record, context: Context | None) -> Context:
        return {"program_id": record["id"]}


def _id(raw: Raw) -> str:
    """The id of a row as it can be asked with; blank where it cannot."""
    program = raw.get("id")
    is_text = isinstance(program, str) and not program.isspace() and "id" not in getattr(raw, "repaired", ())
    return str(program) if is_text else ""


def _with_id(raw: Raw, program: str | None) -> Raw:
    """The row with this id in place of one that cannot be used."""
    row = OddRow(cast("dict[str, Any]", raw), id=program)
    row.repaired, row.replaced = getattr(raw, "repaired", row.repaired) - {"id"}, frozenset({"id"})
    return row


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
    def read(self, listings: Iterable[Listing], context: Context | None) -> Iterator[Raw]:
        shown_as = cast("Programs", self._coursera.streams[Programs.name]).shown_as
        program = dict(context or {}).get("program_id", "")
        return super().read(listings, {"program_id": shown_as.get(program, program)})

    @override
    def rows(self, raw: Raw, context: Context | None) -> Iterator[Record]:
        for content in objects(raw.get("contentIds")):
            yield from self.placed(self.reader.read(content, raw), context)


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


class CurriculumCollections(CourseraStream):
    """Learning paths that the organisation has put together, with the contents in them."""

    name = "curriculum_collections"
    path = "/programs/{program_id}/curriculumCollections"
    parent_stream_type = Programs
    primary_keys = ("id",)
    id_parts = ("programId", "collectionId")


class Contents(IncrementalStream):
    """Courses, specializations and clips that the organisation may use; later on, only what changed or was removed.

    The bookmark is the newest `lastUpdatedAt`, which is the authors' time and never ahead of Coursera's: what an
    incremental run asks for begins before the run that set it. Where no content has one, all are read each time.
    """

    name = "contents"
    path = "/contents"
    primary_keys = ("id",)
    replication_key = "last_updated_at"
    state_partitioning_keys = None
    id_parts = ("contentType", "contentId")

    @property
    @override
    def start(self) -> None:
        # A content that nobody has touched since `start_date` is still offered, and referred to.
        return None

    @override
    def foreseen(self, context: Context | None) -> Iterable[Listing]:
        since = self.since(context)
        changed = {} if since is None else {"modifiedSinceTimestamp": str(max(1, since // SECOND))}
        return [self.listing(context, changed)]

    @override
    def raw_rows(self, context: Context | None) -> Iterator[Raw]:
        for raw in super().raw_rows(context):
            raw["isRemoved"] = _is_removed(raw)
            yield raw


def _is_removed(content: Raw) -> bool:
    """Whether a content left every program that it is shown with; in doubt it did not."""
    changes = objects(content.get("changes"))
    left, came = (
        {
            str(program)
            for change in changes
            if change.get("changeType") == kind and isinstance(change.get("programIds"), list)
            for program in change["programIds"]
        }
        for kind in ("REMOVED", "ADDED")
    )
    shown = {str(program.get("programId")) for program in objects(content.get("programs"))}
    return bool(left) and shown <= left - came
