"""The streams that are read whole: what each is called, where it comes from, what makes its rows unique."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from tap_coursera.base import SECOND, CourseraStream, IncrementalStream
from tap_coursera.programs import Programs
from tap_coursera.records import objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from singer_sdk.helpers.types import Context

    from tap_coursera.paging import Listing
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
