"""The fast lane of a stream: usual records go from the line to the batch without becoming dictionaries on the way.

A line is decoded by a type made for its stream, which accepts what the plain path would pass on unchanged: a RECORD
message with the key, no property that the schema lacks, values of the schema's types, and no text to repair. Every
other line is left to the plain path, and so are all records of a stream with stream maps, flattening or validation, so
that there is one outcome whichever way a record takes. On the lane records count in chunks, which share the time they
were received.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from singer_sdk.mapper import SameRecordTransform

from target_duckdb.columns import BIGINT, BOOLEAN, DATE, DOUBLE, HUGEINT, TIME, TIMESTAMPTZ, VARCHAR
from target_duckdb.table import TABLE_VERSION, VERSIONING
from target_duckdb.texts import may_be_odd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from singer_sdk.mapper import StreamMap

    from target_duckdb.columns import Column
    from target_duckdb.sinks import DuckDBSink

METADATA = frozenset(
    {
        *VERSIONING,
        *(f"_sdc_{name}" for name in ("extracted_at", "received_at", "batched_at", "sequence", "sync_started_at")),
    }
)
_CHUNK_BYTES = 256 << 10
_NOT_FOR_THE_LANE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# A value of another type than these may be written in a way of its own, which the plain path takes care of.
_TYPES: dict[str, Any] = {
    BIGINT: int,
    HUGEINT: int,
    BOOLEAN: bool,
    DOUBLE: int | float,
    **dict.fromkeys((VARCHAR, DATE, TIME, TIMESTAMPTZ), str),
}


class _Peek(msgspec.Struct):
    type: str = ""
    stream: str = ""


class _OfEveryRecord(msgspec.Struct):
    version: int | None = None
    time_extracted: str | None = None


_peek = msgspec.json.Decoder(_Peek).decode


def stream_of_record(line: bytes | str) -> str | None:
    """Name the stream of a RECORD message; None for every other line."""
    try:
        message = _peek(line)
    except _NOT_FOR_THE_LANE:
        return None
    return message.stream if message.type == "RECORD" else None


def open_lane(sink: DuckDBSink, maps: Sequence[StreamMap]) -> Lane | None:
    """Make a lane into a sink, or None where records are to be changed or looked at on their way.

    Args:
        sink: Where the stream's records go.
        maps: What the SDK would do to the records before.
    """
    (only, *others) = maps
    unchanged = type(only) is SameRecordTransform and not only.flattening_enabled and not others
    if not unchanged or only.stream_alias != sink.stream_name or sink.validate_schema:
        return None
    try:
        return Lane(sink)
    except ValueError:  # a name that msgspec cannot decode fast
        return None


class Lane:
    """Takes the usual records of a stream, which are in the sink's batch after a full chunk or `flush`."""

    def __init__(self, sink: DuckDBSink) -> None:
        self.sink = sink
        record, self._renders = _record_type(sink)
        self._message = msgspec.defstruct(
            "Message",
            [("type", Literal["RECORD"]), ("stream", Literal[sink.stream_name]), ("record", record)],
            bases=(_OfEveryRecord,),
            kw_only=True,
            forbid_unknown_fields=True,
            gc=False,
        )
        self._decode_message = msgspec.json.Decoder(self._message, float_hook=Decimal).decode
        self._decode_record = msgspec.json.Decoder(record, float_hook=Decimal).decode
        self._messages: list[Any] = []
        self._bytes = 0
        self._room = sink.room

    def take(self, line: bytes | str) -> bool:
        """Take a line if it is a usual RECORD message of the stream, and tell whether it is."""
        if may_be_odd(line):
            return False
        try:
            message = self._decode_message(line)
        except _NOT_FOR_THE_LANE:
            return False
        self._add(message, len(line))
        return True

    def batch_taker(self, version: Any, time_extracted: Any) -> Callable[[bytes], bool] | None:
        """Give what takes the lines of a BATCH message's files in the same way, or None for an unusual message."""
        try:
            same = msgspec.convert({"version": version, "time_extracted": time_extracted}, _OfEveryRecord)
        except msgspec.ValidationError:
            return None

        def take(line: bytes) -> bool:
            if may_be_odd(line):
                return False
            try:
                record = self._decode_record(line)
            except _NOT_FOR_THE_LANE:
                return False
            self._add(
                self._message(
                    type="RECORD",
                    stream=self.sink.stream_name,
                    record=record,
                    version=same.version,
                    time_extracted=same.time_extracted,
                ),
                len(line),
            )
            return True

        return take

    def _add(self, message: Any, size: int) -> None:
        self._messages.append(message)
        self._bytes += size
        if self._bytes >= _CHUNK_BYTES or len(self._messages) >= self._room:
            self.flush()

    def flush(self) -> None:
        """Hand over what was taken so far; to be called before anything else happens to the stream."""
        messages, self._messages, self._bytes = self._messages, [], 0
        if messages:
            rows = [message.record for message in messages]
            for name, render in self._renders:
                for row in rows:
                    if (value := getattr(row, name)) is not None:
                        setattr(row, name, render(value))
            self._add_metadata(messages)
            self.sink.take_in(rows)
        self._room = self.sink.room

    def _add_metadata(self, messages: list[Any]) -> None:
        if not self.sink.add_metadata:
            for message in messages:
                message.record._sdc_table_version = message.version  # noqa: SLF001 - the name of a column
            if any(message.version is not None for message in messages):
                self.sink.add_versioning()
            return
        same = list(self.sink.metadata().items())
        for message in messages:
            row = message.record
            row._sdc_extracted_at = message.time_extracted  # noqa: SLF001
            row._sdc_table_version = message.version  # noqa: SLF001
            for name, value in same:
                setattr(row, name, value)


def _record_type(sink: DuckDBSink) -> tuple[type[msgspec.Struct], list[tuple[str, Callable[[Any], str]]]]:
    """Make the type of a stream's records, and say which of its attributes are rendered, and how."""
    columns = sink.columns if sink.add_metadata else {n: c for n, c in sink.columns.items() if n not in VERSIONING}
    attributes = {name: name if name in METADATA else f"p{number}" for number, name in enumerate(columns)}
    fields: list[Any] = []
    for name, column in columns.items():
        kind = _accepted(column, sink.held_as(name))
        fields.append((attributes[name], kind) if name in sink.key_properties else (attributes[name], kind, None))
    if TABLE_VERSION not in columns:
        fields.append((TABLE_VERSION, int | None, None))
    record = msgspec.defstruct(
        "Record",
        fields,
        rename={attribute: name for name, attribute in attributes.items()},
        kw_only=True,
        forbid_unknown_fields=True,
        omit_defaults=True,
        gc=False,
    )
    return record, [(attributes[name], column.render) for name, column in columns.items() if column.render]


def _accepted(column: Column, held_as: str) -> Any:
    if column.type == DOUBLE and held_as != DOUBLE:
        return int | None  # a fraction would be kept as its text
    return _TYPES[column.type] | None if column.type in _TYPES else Any
