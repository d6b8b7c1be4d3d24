"""The Singer target: settings, the order of things, and what the operator reads when one goes wrong."""

from __future__ import annotations

import copy
import logging
import signal
import sys
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.exceptions import ConfigValidationError, RecordsWithoutSchemaException, SingerSDKError
from singer_sdk.helpers._batch import BaseBatchFileEncoding
from singer_sdk.helpers._flattening import flatten_schema
from singer_sdk.helpers.capabilities import PluginCapabilities, TargetCapabilities, TargetLoadMethods
from singer_sdk.singerlib.json import serialize_json
from typing_extensions import override

from target_duckdb.background import Background
from target_duckdb.batches import batch_records, local_files
from target_duckdb.bookmarks import Bookmarks
from target_duckdb.database import Database
from target_duckdb.errors import LoadError
from target_duckdb.lane import open_lane, stream_of_record
from target_duckdb.messages import MessageReader
from target_duckdb.sinks import DuckDBSink
from target_duckdb.texts import Repairs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.sinks import Sink

    from target_duckdb.lane import Lane


class TargetDuckDB(Target):
    """Loads Singer streams into one DuckDB file: every record, typed, in transactions."""

    name = "target-duckdb"
    default_sink_class = DuckDBSink
    message_reader_class = MessageReader
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.ACTIVATE_VERSION,
        PluginCapabilities.BATCH,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.STRUCTURED_LOGGING,
        TargetCapabilities.HARD_DELETE,
        TargetCapabilities.TARGET_SCHEMA,
        TargetCapabilities.VALIDATE_RECORDS,
    ]
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property(
            "filepath",
            th.StringType(min_length=1),
            required=True,
            title="File path",
            description="The DuckDB file; it and its folder are created when missing.",
        ),
        th.Property(
            "default_target_schema",
            th.StringType(min_length=1),
            default="main",
            title="Default target schema",
            description="Schema of the database the tables are in; created when missing.",
        ),
        th.Property(
            "load_method",
            th.StringType,
            allowed_values=[method.value for method in TargetLoadMethods],
            default=TargetLoadMethods.UPSERT.value,
            title="Load method",
            description=(
                "upsert: a record replaces the row with its key, and is appended when the stream has no key; "
                "append-only: every record becomes a row; overwrite: like upsert into a table emptied first."
            ),
        ),
        th.Property(
            "batch_size_rows",
            th.IntegerType(minimum=1),
            default=DuckDBSink.MAX_SIZE_DEFAULT,
            title="Batch size in rows",
            description="How many records of a stream are merged in one transaction.",
        ),
        th.Property(
            "lock_timeout",
            th.NumberType(minimum=0),
            default=10,
            title="Lock timeout",
            description="Seconds to wait while another process has the file open.",
        ),
        th.Property(
            "hard_delete",
            th.BooleanType,
            default=False,
            title="Hard delete",
            description="Whether ACTIVATE_VERSION deletes the rows of other versions instead of marking them.",
        ),
        th.Property(
            "remove_batch_files",
            th.BooleanType,
            default=False,
            title="Remove batch files",
            description="Whether local files of BATCH messages are deleted once all their rows are committed.",
        ),
        th.Property(
            "validate_records",
            th.BooleanType,
            default=False,
            title="Validate records",
            description=(
                "Whether each record is checked against the whole JSON Schema of its stream, several times slower; "
                "that values fit the types of their columns is checked anyway."
            ),
        ),
    ).to_dict()

    rows_since_state = 0
    """Records taken in since it was last arranged that a state is passed on."""

    def __init__(self, *, config: dict[str, Any] | None = None, **options: Any) -> None:
        # A setting given as null means its default.
        super().__init__(config={k: v for k, v in (config or {}).items() if v is not None}, **options)
        self.max_parallelism = 1  # one file, one connection, one transaction at a time
        self.background = Background()
        self.resumed: Any = None
        """The state that the tap goes on from, where it tells that before all."""
        self._done_with: list[Path] = []
        self._promised: Any = None
        self._rows_after_latest = self._rows_after_promised = 0
        self._lanes: dict[str, tuple[Sink, Lane | None]] = {}
        self.repairs = Repairs()
        if isinstance(self.message_reader, MessageReader):
            self.message_reader.repairs = self.repairs
            self.message_reader.before_failing = self.background.wait
            self.message_reader.find_lane = lambda line: self.lane(stream_of_record(line))

    @cached_property
    def database(self) -> Database:
        """The file, opened when the first stream announces itself."""
        return Database(Path(self.config["filepath"]).expanduser(), float(self.config["lock_timeout"]), self.background)

    @cached_property
    def bookmarks(self) -> Bookmarks:
        """How far the rows in the file go."""
        return Bookmarks(self.database, self.config["default_target_schema"], self.resumed)

    @override
    def get_sink(
        self,
        stream_name: str,
        *,
        record: dict[str, Any] | None = None,
        schema: dict[str, Any] | None = None,
        key_properties: Sequence[str] | None = None,
    ) -> Sink:
        # What came under the former schema goes in first, or it would overwrite later records of the same key.
        if schema is not None and self.sink_exists(stream_name):
            self.drain_one(self._sinks_active[stream_name])
        known = self.sink_exists(stream_name)
        sink = super().get_sink(stream_name, record=record, schema=schema, key_properties=key_properties)
        if not known:
            # Most taps finish a stream before the next: what is left of it need not wait for the end.
            self._hand_over_all(last=sink)
        return sink

    def sink_is_current(self, sink: Sink) -> bool:
        """Tell whether no later schema of the stream has taken the sink's place."""
        return self._sinks_active.get(sink.stream_name) is sink

    def lane(self, stream: str | None) -> Lane | None:
        """Give the fast lane of a stream that has one, as long as its schema stays."""
        sink = self._sinks_active.get(stream or "")
        if stream is None or not isinstance(sink, DuckDBSink) or stream not in self.mapper.stream_maps:
            return None
        known = self._lanes.get(stream)
        if known is None or known[0] is not sink:
            known = self._lanes[stream] = (sink, open_lane(sink, self.mapper.stream_maps[stream]))
        return known[1]

    def drain_if_due(self, sink: Sink) -> None:
        """Do what the SDK does after each record: load a full batch, and all batches now and then."""
        self.background.check()
        if sink.is_full:
            if self._latest_state and self._latest_state is not self._promised:
                self._hand_over_all(last=sink)
                self._write_state_message(copy.deepcopy(self._latest_state))
            else:
                self.drain_one(sink)
        self._handle_max_record_age()

    def count(self, rows: int) -> None:
        """Count records taken in."""
        self.rows_since_state += rows
        self._rows_after_latest += rows

    def _hand_over_all(self, last: Sink) -> None:
        """Load the batches of all streams, and do not wait for the one that is named."""
        for sink in (*self._sinks_active.values(), last):
            if sink is not last:
                self.drain_one(sink)
        self.drain_one(last)

    @override
    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        self._assert_line_requires(message_dict, requires={"stream", "schema"})
        stream, schema = message_dict["stream"], message_dict["schema"]
        if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
            raise LoadError(f"Stream {stream} has a schema without properties: there is nothing to load.")
        try:
            super()._process_schema_message(message_dict)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            # The SDK's flattening and stream maps expect schemas of a certain shape, and fail in any way at others.
            names = [name for name, part in schema["properties"].items() if self._fails_to_flatten({name: part})]
            which = f"the property {', '.join(names)}" if names else "its schema"
            raise LoadError(
                f"Stream {stream}: {which} cannot be flattened or mapped ({error}): leave it out of the tap's catalog, "
                "or rename it with stream_maps, or lower flattening_max_depth."
            ) from error

    def _fails_to_flatten(self, properties: dict[str, Any]) -> bool:
        options = self.mapper.flattening_options
        try:
            flatten_schema(copy.deepcopy({"properties": properties}), options.max_level, options.separator)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            return options.enabled
        return False

    @override
    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        if not self._sinks_active:
            # What comes ahead of any schema is the state that the tap was given.
            self.resumed = message_dict.get("value")
        # Passing the state on at every batch, not only at the end, is what lets a killed run resume.
        super()._process_state_message(message_dict)
        self._rows_after_latest = 0
        if self.rows_since_state >= self.config["batch_size_rows"]:
            self.drain_all()
        elif (
            (self.rows_since_state or self._rows_after_promised)
            and self._latest_state
            and self._latest_state is not self._promised
            and not any(sink.current_size for sink in self._sinks_active.values())
        ):
            self._write_state_message(copy.deepcopy(self._latest_state))  # all before it is handed over

    @override
    def _write_state_message(self, state: dict[str, Any]) -> None:
        files, self._done_with = self._done_with, []
        self.background.start(lambda: self._pass_on(state, files))
        self._promised = self._latest_state
        self._rows_after_promised = self._rows_after_latest
        self.rows_since_state = 0

    def _pass_on(self, state: dict[str, Any], files: list[Path]) -> None:
        """Tell that all rows before a state are committed, those of these files among them."""
        if "database" in self.__dict__:
            self.bookmarks.remember(state)
        self._remove_batch_files(files)
        sys.stdout.write(f"{serialize_json(state)}\n")
        sys.stdout.flush()

    @override
    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        self._assert_line_requires(message_dict, requires={"stream", "version"})
        self._assert_announced(message_dict["stream"], "version")
        super()._process_activate_version_message(message_dict)

    @override
    def _process_batch_message(self, message_dict: dict[str, Any]) -> None:
        # Record by record, so that stream maps, metadata, exact decimals and the batch size hold here as well.
        self._assert_line_requires(message_dict, requires={"stream", "encoding", "manifest"})
        self._assert_announced(message_dict["stream"], "batch")
        message = {name: message_dict.get(name) for name in ("stream", "version", "time_extracted")}
        form, compression = (message_dict["encoding"].get(name) for name in ("format", "compression"))
        encoding = BaseBatchFileEncoding(str(form), compression and str(compression))
        lane = self.lane(message_dict["stream"])
        take = lane.batch_taker(message["version"], message["time_extracted"]) if lane is not None else None
        repair = partial(self.repairs.record, message["stream"])
        for record in batch_records(encoding, message_dict["manifest"], repair, take):
            if lane is not None:
                lane.flush()
            self._process_record_message(message | {"record": record})
        if lane is not None:
            lane.flush()
        if self.config["remove_batch_files"]:
            self._done_with += local_files(message_dict["manifest"])

    def _remove_batch_files(self, files: list[Path]) -> None:
        """Remove files of BATCH messages; to be called when all their rows are committed."""
        try:
            for file in files:
                file.unlink(missing_ok=True)
        except OSError as error:
            self.logger.warning("A batch file that is loaded cannot be removed (%s)", error.strerror)

    def _assert_announced(self, stream_name: str, what: str) -> None:
        if stream_name not in self.mapper.stream_maps:
            raise RecordsWithoutSchemaException(
                f"A {what} of stream {stream_name} came before its schema: the tap does not follow the Singer spec."
            )

    @override
    def process_endofpipe(self) -> None:
        super().process_endofpipe()
        self.background.wait()
        self._remove_batch_files(self._done_with)
        for stream, texts in self.repairs.counted.items():
            if texts:
                self.logger.warning(
                    "Stream %s: texts repaired, since they had control characters, lone surrogates or the like: %d",
                    stream,
                    texts,
                )
        for stream, numbers in self.repairs.no_numbers.items():
            if numbers:
                self.logger.warning(
                    "Stream %s: values that are no number (NaN, Infinity), so they are null: %d", stream, numbers
                )
        if "database" in self.__dict__:
            self.database.close()

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        # A second signal would interrupt what is done at the end, such as removing the folder.
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.SIG_IGN)
        # The SDK would start loading inside whatever the signal interrupted. Stopping is safe at any point: what was
        # not committed was not promised by a state either.
        if "database" in self.__dict__:
            self.database.stop()
        sys.exit(128 + signum)

    @classmethod
    @override
    def invoke(cls, *, about: bool = False, about_format: str | None = None, **options: Any) -> None:
        try:
            super().invoke(about=about, about_format=about_format, **options)
        except ConfigValidationError:
            raise  # the SDK lists what is wrong with the settings
        except (LoadError, SingerSDKError) as error:
            sentence = " ".join(str(error.args[0] if error.args else type(error).__name__).split())
            cls.logger.error(sentence, exc_info=cls.logger.isEnabledFor(logging.DEBUG))  # noqa: TRY400
            sys.exit(1)
