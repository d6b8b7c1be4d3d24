"""What happens to the records of one stream between the tap's line and the table."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import referencing.exceptions
from singer_sdk.exceptions import InvalidRecord, MissingKeyPropertiesError
from singer_sdk.helpers.capabilities import TargetLoadMethods
from singer_sdk.sinks import BatchSink
from singer_sdk.sinks.core import JSONSchemaValidator
from typing_extensions import override

from target_duckdb.bookmarks import bookmark_of, goes_on
from target_duckdb.columns import columns_of
from target_duckdb.errors import LoadError
from target_duckdb.spool import Spool
from target_duckdb.table import DELETED_AT, TABLE_VERSION, VERSIONING, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import msgspec
    from singer_sdk.sinks.core import BaseJSONSchemaValidator

    from target_duckdb.target import TargetDuckDB


class DuckDBSink(BatchSink):
    """Collects a stream's records in a file and merges them into its table, a batch at a time."""

    MAX_SIZE_DEFAULT = 122_880  # a row group of DuckDB, which goes into the file without a detour through its log

    # Always on, so that the SDK hands us each record's message: activating versions needs the message's version
    # also when add_record_metadata is off.
    include_sdc_metadata_properties = True

    def __init__(
        self, target: TargetDuckDB, stream_name: str, schema: dict[str, Any], key_properties: Sequence[str] | None
    ) -> None:
        self._target = target
        self.add_metadata = bool(target.config.get("add_record_metadata", False))
        super().__init__(target, stream_name, schema, key_properties)
        self.columns = columns = columns_of(self.schema["properties"])
        self._known = frozenset(columns)
        self._keys = frozenset(self.key_properties)
        self._renders = [(name, column.render) for name, column in columns.items() if column.render]
        self._table = Table(
            database=target.database,
            schema=target.config["default_target_schema"],
            stream=stream_name,
            columns=columns,
            key=list(self.key_properties),
            method=TargetLoadMethods(target.config["load_method"]),
        )
        new = self._table.prepare(resumed=goes_on(bookmark_of(target.resumed, stream_name)))
        target.bookmarks.begin(stream_name, new=new)
        self._versioned = False
        self._new_spool()

    def _new_spool(self) -> None:
        self._spool = Spool(self._target.database.folder / f"{uuid.uuid4().hex}.ndjson", len(self.columns))

    @property
    @override
    def is_full(self) -> bool:
        return super().is_full or self._spool.is_full

    @override
    def get_validator(self) -> BaseJSONSchemaValidator | None:
        return _DiscreetValidator(self.schema) if self.validate_schema else None

    # The record on its way in, in the order the SDK calls these.

    @override
    def _add_sdc_metadata_to_schema(self) -> None:
        if self.add_metadata:
            super()._add_sdc_metadata_to_schema()
        else:
            self._remove_sdc_metadata_from_schema()

    @override
    def _add_sdc_metadata_to_record(
        self, record: dict[str, Any], message: dict[str, Any], context: dict[str, Any]
    ) -> None:
        if self.add_metadata:
            record.setdefault(DELETED_AT, None)
            record["_sdc_extracted_at"] = message.get("time_extracted")
            record[TABLE_VERSION] = message.get("version")
            record |= self.metadata()
            return
        self._remove_sdc_metadata_from_record(record)
        if (version := message.get("version")) is not None:
            self.add_versioning()
            record[TABLE_VERSION] = version

    def metadata(self) -> dict[str, Any]:
        """Values of the columns that tell when records came which are taken in now."""
        batch, now = self._get_context({}), datetime.now(tz=timezone.utc)
        return {
            "_sdc_received_at": now.isoformat(),
            "_sdc_batched_at": batch["batch_start_time"].isoformat(),
            "_sdc_sequence": round(now.timestamp() * 1000),
            "_sdc_sync_started_at": self.sync_started_at,
        }

    def add_versioning(self) -> None:
        """Make sure that the table has the columns for a record's version, also without metadata."""
        if not self._versioned:
            self._versioned = True
            self._table.add_versioning()
            self._known |= VERSIONING.keys()

    @override
    def _validate_and_parse(self, record: dict[str, Any]) -> dict[str, Any]:
        # DuckDB parses the times, all of a column at once.
        if self._validator is not None:
            self._validator.validate(record)
        if not record.keys() <= self._known:
            for name in record.keys() - self._known - self._warned_missing_fields:
                self._warned_missing_fields.add(name)
                self.logger.warning("Stream %s: field %s is not in the schema and left out", self.stream_name, name)
        return record

    @override
    def _singer_validate_message(self, record: dict[str, Any]) -> None:
        if not record.keys() >= self._keys:
            missing = ", ".join(sorted(self._keys - record.keys()))
            raise MissingKeyPropertiesError(
                f"A record of stream {self.stream_name} lacks its key {missing}: correct the tap or its key_properties."
            )

    @override
    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        for name, render in self._renders:
            if (value := record.get(name)) is not None:
                record[name] = render(value)
        with _room_asked_for():
            self._spool.add(record)
        self._target.count(1)

    @property
    def room(self) -> int:
        """How many records the batch has room for."""
        return max(1, self.max_size - self.current_size)

    def held_as(self, name: str) -> str:
        """Type of the column that a property is stored in, which may be wider than its own."""
        return self._table.stored.get(name, self.columns[name].type)

    def take_in(self, rows: Sequence[msgspec.Struct]) -> None:
        """Do to complete records what the SDK does to each one from `process_record` on."""
        self._get_context({})
        with _room_asked_for():
            self._spool.add_rows(rows)
        self.tally_record_read(len(rows))
        self.record_counter_metric.increment(len(rows))
        self._target.count(len(rows))
        self._target.drain_if_due(self)

    @override
    def _after_process_record(self, context: dict[str, Any]) -> None:
        self._target.drain_if_due(self)  # the SDK would log once per record, and once per full batch

    # The batch.

    @override
    def process_batch(self, context: dict[str, Any]) -> None:
        with _room_asked_for():
            self._spool.flush()
        spool = self._spool
        self._new_spool()
        background = self._target.background
        background.wait()  # no more than one batch on its way, and one that is being filled
        background.start(lambda: self._merge(spool))

    def _merge(self, spool: Spool) -> None:
        self._table.load(spool)
        spool.remove()

    @override
    def activate_version(self, new_version: int) -> None:
        self._target.drain_one(self)
        hard = bool(self.config["hard_delete"])
        if rows := self._table.activate(new_version, hard=hard):
            what = "deleted" if hard else "marked deleted"
            self.logger.info("Stream %s: rows of other versions %s: %d", self.stream_name, what, rows)

    @override
    def clean_up(self) -> None:
        if self._target.sink_is_current(self):
            self._table.finish()
        super().clean_up()


@contextmanager
def _room_asked_for() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LoadError(f"Cannot write beside the database ({error.strerror}): make room there.") from error


class _DiscreetValidator(JSONSchemaValidator):
    """Says which property breaks which rule, and keeps the value to itself."""

    @override
    def validate(self, record: dict[str, Any]) -> None:
        try:
            error = next(self.validator.iter_errors(record), None)
        except (referencing.exceptions.Unresolvable, RecursionError) as unresolvable:
            raise LoadError(
                f"A schema refers to what it does not have, or to itself without end ({type(unresolvable).__name__}): "
                "correct the tap, or load without validate_records."
            ) from unresolvable
        if error is not None:
            where = ".".join(str(part) for part in error.absolute_path) or "the record"
            raise InvalidRecord(f"{where} breaks the rule {error.validator!r} of its schema", {})
