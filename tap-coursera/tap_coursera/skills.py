"""The streams of the skills service: another envelope and other paging than the rest, one list for the organisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from tap_coursera.base import SECOND, CourseraStream, IncrementalStream
from tap_coursera.errors import FORBIDDEN, NOT_FOUND, RefusedError
from tap_coursera.paging import Skills
from tap_coursera.records import objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from singer_sdk.helpers.types import Context, Record

    from tap_coursera.paging import Dialect, Listing, Page
    from tap_coursera.typed import Raw

LARGEST_PAGE = 100
"""Rows; the vendor names 10 and 100 as the usual number and says nothing of a larger one."""


class SkillsStream(CourseraStream):
    """A list of the skills service for the whole organisation; with `program_ids` only what belongs to one of them.

    Not every organisation has the product, and one without it shall get its grades all the same: a refusal only warns.
    """

    known_elsewhere = frozenset({"id"})  # composed by the tap, to tell rows apart

    @property
    @override
    def page_size(self) -> int | None:
        size: int = self.config["page_size"]
        return min(size, LARGEST_PAGE)

    @override
    def foreseen(self, context: Context | None) -> Iterable[Listing]:
        return [self.listing(context, self.filter(context))]

    @override
    def raw_rows(self, context: Context | None) -> Iterator[Raw]:
        wanted = set(self.config.get("program_ids") or [])
        for raw in super().raw_rows(context):
            if not wanted or wanted & programs(raw):
                yield raw

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        try:
            yield from super().get_records(context)
        except RefusedError as error:
            if error.status not in {FORBIDDEN, NOT_FOUND}:
                raise
            self.incomplete = True
            self.logger.warning(
                "Coursera gives no %s to this app (HTTP %d), so none are written: deselect the stream, or have the "
                "skills product enabled for the app on dev.coursera.com.",
                self.name,
                error.status,
            )

    def filter(self, context: Context | None) -> dict[str, str]:  # noqa: ARG002 - for those that have one
        """Parameters that narrow the list."""
        return {}


class Skillsets(SkillsStream):
    """Sets of skills that programs aim at, with the score to reach in each."""

    name = "skillsets"
    path = "/organizations/{org_id}/skillsets"
    primary_keys = ("skillset_id",)
    id_parts = ("skillsetId",)
    dialect: ClassVar[Dialect] = Skills(offset_is_index=False)


class _Report(Skills):
    """The vendor's schema calls a field of the report `skillsetId` that its example calls `skillId`."""

    def page(self, listing: Listing, position: str, received: int) -> Page:
        page = super().page(listing, position, received)
        for row in page.rows:
            if isinstance(row, dict) and row.get("skillsetId") is None:
                row["skillsetId"] = row.pop("skillId", None)
        return page


class SkillsetProgress(SkillsStream, IncrementalStream):
    """How far each learner came in each skillset, and the score in each of its skills.

    The vendor's filter is in seconds and excludes its bound, the field is in milliseconds: the filter is set so low
    that a row of the moment itself comes, whichever of the two the vendor compares.
    """

    name = "skillset_progress"
    path = "/organizations/{org_id}/skillsetReport"
    primary_keys = ("user_email", "skillset_id")
    replication_key = "latest_progress_made_at"
    state_partitioning_keys = None
    id_parts = ("userEmail", "skillsetId")
    dialect: ClassVar[Dialect] = _Report(offset_is_index=True)

    @override
    def covers(self, context: Context | None) -> bool:
        known = set(self.remembered(context).get("program_ids") or [])
        wanted = set(self.config.get("program_ids") or [])
        return not known or (bool(wanted) and wanted <= known)

    @override
    def filter(self, context: Context | None) -> dict[str, str]:
        since = self.since(context)
        return {} if since is None else {"latestProgressMadeAfter": str(max(0, since // SECOND - 1))}

    @override
    def raw_rows(self, context: Context | None) -> Iterator[Raw]:
        for raw in super().raw_rows(context):
            if raw.get("programIds") is None or isinstance(raw["programIds"], (list, str)):
                raw["programIds"] = sorted(programs(raw))
            yield raw

    @override
    def advance(self, context: Context | None, latest: int) -> None:
        super().advance(context, latest)
        if self.remembers:
            state = self.get_context_state(context)
            state.pop("program_ids", None)
            if wanted := self.config.get("program_ids"):
                state["program_ids"] = sorted(set(wanted))


def programs(raw: Raw) -> set[str]:
    """Ids of the programs that a row names; the vendor's example shows several in one text, with spaces in between."""
    named = [one.get("programId") for one in objects(raw.get("programs"))]
    texts = raw.get("programIds")
    listed = [one for text in (texts if isinstance(texts, list) else [texts]) for one in str(text or "").split()]
    return {str(one) for one in [raw.get("programId"), *named, *listed] if one}
