"""The parts of the Singer SDK that it does not promise to keep, but that the tap builds upon."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk import Stream, Tap
from singer_sdk.plugin_base import PluginBase

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
        (Stream._sync_records, "self._write_record_message(record)"),
        (Stream._sync_records, "self._increment_stream_state(record, context=current_context)"),
        (Stream._generate_record_messages, "self._stream_version"),
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


def test_attributes_that_the_tap_reads_are_still_there() -> None:
    tap = TapCoursera(config=CONFIG)
    assert tap._config["org_id"] == "o"
    assert all(isinstance(stream._initialized_at, int) for stream in tap.streams.values())
    assert all(hasattr(stream, "_stream_version") for stream in tap.streams.values())
