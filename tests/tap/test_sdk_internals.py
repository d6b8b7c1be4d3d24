"""The parts of the Singer SDK that it does not promise to keep, but that the tap builds upon."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk import Stream, Tap
from singer_sdk.mapper import SameRecordTransform, StreamMap
from singer_sdk.metrics import Counter
from singer_sdk.plugin_base import PluginBase
from singer_sdk.singerlib import RecordMessage

from tap_coursera.tap import TapCoursera

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = {"client_id": "i", "client_secret": "s", "org_id": "o"}


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (Stream._write_schema_message, "self"),
        (Stream._write_activate_version_message, "self, full_table_version"),
        (Stream._write_record_message, "self, record"),
        (Stream._write_state_message, "self"),
        (Stream._increment_stream_state, "self, latest_record, context"),
        (Stream.finalize_state_progress_markers, "self, state"),
        (Tap._validate_config, "self, raise_errors"),
        (Tap._setup_signal_handlers, "self"),
        (Stream.sync, "self, context"),
        (Tap.sync_all, "self"),
    ],
)
def test_a_method_that_the_tap_overrides_or_calls_is_still_there(method: Callable[..., Any], parameters: str) -> None:
    assert ", ".join(inspect.signature(method).parameters) == parameters


@pytest.mark.parametrize(
    ("caller", "called"),
    [
        (Stream.sync, "self._write_schema_message()"),
        (Stream.sync, "self.emit_activate_version_messages"),
        (Stream.sync, "batch_config = self.get_batch_config(self.config)"),
        (Stream._sync_records, "self._write_record_message(record)"),
        (Stream._sync_records, "self._increment_stream_state(record, context=current_context)"),
        (Stream._generate_record_messages, "self._stream_version"),
        (Stream._process_record, "self.generate_child_contexts("),
        (Counter.increment, "self.value += value"),
        (Stream._sync_records, "self.get_record_counter()"),
        (Stream._sync_children, "child_stream.sync(context=child_context)"),
        (Tap.sync_all, "stream.sync()"),
        (Tap.sync_all, ".finalize_state_progress_markers()"),
        (Tap.invoke, "tap.sync_all()"),
        (PluginBase.__init__, "self._setup_signal_handlers()"),
    ],
)
def test_the_sdk_still_calls_it_where_the_tap_expects_it(caller: Callable[..., Any], called: str) -> None:
    assert called in inspect.getsource(inspect.unwrap(caller))


@pytest.mark.parametrize(
    ("method", "steps", "own"),
    [
        (
            Stream._write_record_message,
            [
                "_generate_record_messages(record)",
                "_tap.write_message(record_message)",
                "state_manager.is_flushed = False",
            ],
            3,
        ),
        (
            Stream._generate_record_messages,
            [
                "pop_deselected_record_properties(record, self.schema, self.mask)",
                "level=self.TYPE_CONFORMANCE_LEVEL",
                "stream_map.transform(record)",
                "time_extracted=utc_now()",
            ],
            8,
        ),
        (
            Stream._sync_records,
            [
                "self._check_max_record_limit(current_record_index=record_index)",
                "self.post_process(record, current_context)",
                "self._process_record(",
                "self._write_record_message(record)",
                "self._increment_stream_state(record, context=current_context)",
                "% self.STATE_MSG_FREQUENCY == 0 and write_messages",
                "record_counter.increment()",
            ],
            20,
        ),
        (
            Stream._process_record,
            ["if key not in record:", "self.generate_child_contexts("],
            3,
        ),
        (SameRecordTransform.transform, ["return super().transform(record)"], 0),
        (StreamMap.transform, ["return self.flatten_record(record)"], 1),
        (RecordMessage.to_dict, ['"type": "RECORD"', '"stream": self.stream', '"record": self.record'], 6),
    ],
)
def test_the_way_of_a_row_through_the_sdk_has_no_more_steps_than_the_direct_one_knows(
    method: Callable[..., Any], steps: list[str], own: int
) -> None:
    source = inspect.getsource(method)
    assert [step for step in steps if step in source] == steps
    assert source.count("self.") == own, "look at what is new, and whether direct.py has to know it"


def test_attributes_that_the_tap_reads_are_still_there() -> None:
    tap = TapCoursera(config=CONFIG)
    assert tap._config["org_id"] == "o"
    assert all(isinstance(stream._initialized_at, int) for stream in tap.streams.values())
    assert all(hasattr(stream, "_stream_version") for stream in tap.streams.values())
