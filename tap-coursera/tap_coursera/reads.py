"""What the other streams brought in this run: the last stream, and the only one that is the tap's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from tap_coursera.base import CourseraStream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from singer_sdk.helpers.types import Context, Record

    from tap_coursera.paging import Listing


class StreamReads(CourseraStream):
    """One row for each stream and program that this run has read to the end."""

    name = "stream_reads"
    path = ""
    primary_keys = ("stream", "program_id")

    @override
    def foreseen(self, context: Context | None) -> Iterable[Listing]:
        return ()

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        for row in self._coursera.reads:
            for name in self._unwanted:
                del row[name]
            yield row

    @property
    @override
    def _activates(self) -> bool:
        # What an earlier run read still holds.
        return False
