"""The short way of a row to the loader.

The SDK looks for something to leave out, to convert or to map in each row, wraps it into a message, and writes that at
once. Where there is nothing to leave out, to convert or to map, the row may go straight to the writer, which makes the
same bytes of it; anywhere else the SDK's way is taken. `_write_record_message` is where the two part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform

from tap_coursera.writing import MessageWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from singer_sdk.streams import Stream

    Breadcrumb = tuple[str, ...]


def writer(stream: Stream, messages: object) -> MessageWriter | None:
    """The writer that may take the rows of a stream as they are; None where they have to go the SDK's way.

    Args:
        stream: with its catalog and its stream maps.
        messages: what the tap writes its messages with.
    """
    (first, *more) = stream.stream_maps
    as_it_is = (
        stream.TYPE_CONFORMANCE_LEVEL is TypeConformanceLevel.NONE
        and not more
        and type(first) is SameRecordTransform
        and first.stream_alias == stream.name
        and not first.flattening_enabled
        and all(stream.mask[breadcrumb] for breadcrumb in _breadcrumbs(stream.schema))
    )
    return messages if as_it_is and isinstance(messages, MessageWriter) else None


def is_alone(stream: Stream) -> bool:
    """Whether the SDK would do nothing else with a row of the stream than have it written, and count it."""
    return stream.selected and not stream.child_streams and stream.ABORT_AT_RECORD_COUNT is None


def _breadcrumbs(schema: Mapping[str, Any], outer: Breadcrumb = ()) -> Iterator[Breadcrumb]:
    """Of all properties that a catalog can deselect, also within objects."""
    for name, spec in schema.get("properties", {}).items():
        breadcrumb = (*outer, "properties", name)
        yield breadcrumb
        yield from _breadcrumbs(spec, breadcrumb)
