"""The fast lane: whatever a tap writes, the outcome is that of the plain path."""

from __future__ import annotations

import ast
import gzip
import inspect
import io
import json
import textwrap
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from singer_sdk import Target
from singer_sdk.mapper import PluginMapper, SameRecordTransform
from singer_sdk.singerlib.encoding import GenericSingerReader
from singer_sdk.sinks import BatchSink

import target_duckdb.target
from target_duckdb.errors import LoadError
from target_duckdb.sql import quote
from target_duckdb.table import Table
from target_duckdb.target import TargetDuckDB

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.target.conftest import Loader

KINDS: dict[str, Any] = {
    "i": "integer",
    "big": {"type": ["integer", "null"], "maximum": 2**90},
    "n": "number",
    "b": "boolean",
    "s": "string",
    "at": {"type": ["string", "null"], "format": "date-time"},
    "day": {"type": ["string", "null"], "format": "date"},
    "time": {"type": ["string", "null"], "format": "time"},
    "d": {"type": ["string", "null"], "format": "singer.decimal"},
    "cents": {"type": ["number", "null"], "multipleOf": 0.01},
    "j": {},
    "a": {"type": ["array", "null"]},
    'odd "name"\\': "string",
    "p0": "string",
}
FAST = {name: kind for name, kind in KINDS.items() if '"' not in name}
TEXTS = [
    b'""',
    b'"null"',
    b'"a\\u0000b"',
    b'"\\ud83d\\ude00"',
    b'"\\u00e9\\/\\b\\u001f"',
    '"é\u2028\U0001d4b3"'.encode(),
]
NUMBERS = [
    *[b"0", b"-0", b"-0.0", b"1.10", b"5e0", b"12345678901234567e0", b"1E5", b"1e-7", b"1e22", b"1e400", b"1e-400"],
    *[b"9007199254740993", b"9223372036854775807", b"9223372036854775808", b"1234567890123456789012345678901", b"5.00"],
    *[b"0.1234567890123456789", b"1.7976931348623157e308", b"100000000000000000000.0"],
]
OTHERS = [
    *[b"null", b"true", b'"7"', b'"nan"', b'"1.10"', b'"2026-01-31T09:15:00+02:00"', b'"2026-01-31"', b'"09:15:00"'],
    *[
        b"[]",
        b"{}",
        b'[1.10, 1e5 , {"a":1,"b":2.50,"a":3}]',
        b'{"x": "\\u0001\\"", "y": -0.0, "z": 1e400}',
        b'["a","b"]',
    ],
]


WHEN = {f"_sdc_{name}" for name in ("received_at", "batched_at", "sync_started_at", "deleted_at", "sequence")}


def row(values: bytes, *, stream: str = "s", more: bytes = b"") -> bytes:
    return b'{"type":"RECORD","stream":"' + stream.encode() + b'","record":{' + values + b"}" + more + b"}"


def contents(loader: Loader) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables as texts, but for the times, with the columns' types on top."""
    with duckdb.connect(str(loader.path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        columns: dict[str, dict[str, str]] = {}
        for table, column, kind in connection.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE NOT internal AND schema_name = 'main' ORDER BY table_name, column_index"
        ).fetchall():
            columns.setdefault(table, {})[column] = kind
        found = {}
        for table, kinds in columns.items():
            values = ", ".join(
                f"{quote(name)} IS NULL" if name in WHEN else f"{quote(name)}::VARCHAR" for name in kinds
            )
            rows = connection.execute(f"SELECT {values} FROM {quote(table)} ORDER BY rowid").fetchall()
            found[table] = [tuple(kinds.items()), *rows]
        return found


def both_ways(
    loader: Loader, monkeypatch: pytest.MonkeyPatch, *messages: dict[str, Any] | bytes, **config: Any
) -> tuple[list[Any], int]:
    """Load by the lane and without it, insist that the outcome is the same, and return it with the lane's records."""
    outcomes, taken = [], 0
    for use in (True, False):
        loader.path.unlink(missing_ok=True)
        out, error = io.StringIO(), None
        with monkeypatch.context() as patch, redirect_stdout(out):
            if not use:
                patch.setattr(target_duckdb.target, "open_lane", lambda *_: None)
            target = TargetDuckDB(config={"filepath": str(loader.path), **config})
            try:
                target.process_lines(io.BytesIO(loader.lines(*messages)))  # type: ignore[arg-type]  # bytes
                target.process_endofpipe()
            except Exception as caught:  # noqa: BLE001 - whatever it is, it is to be the same
                error = (type(caught), str(caught))
            finally:
                target.database.close()
        taken = max(taken, target.message_reader._on_the_lane)  # type: ignore[attr-defined]
        outcomes.append([error, out.getvalue(), contents(loader)])
    assert outcomes[0] == outcomes[1]
    return outcomes[0], taken


@pytest.fixture
def same(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[Any], int]]:
    return lambda *messages, **config: both_ways(loader, monkeypatch, *messages, **config)


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_of_any_sort_ends_in_a_column_of_any_kind_as_on_the_plain_path(
    loader: Loader, same: Callable[..., tuple[list[Any], int]], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """As many values are refused, and those that are not are stored alike."""
    values = [*TEXTS, *NUMBERS, *OTHERS]
    name = json.dumps(kind).encode()
    lines = [row(b'"k":%d,%s:%s' % (number, name, value)) for number, value in enumerate(values)]
    announced = loader.schema("s", {"k": "integer", kind: KINDS[kind]}, ["k"])
    (error, _, found), taken = same(announced, *lines, add_record_metadata=True)
    assert error is None or error[0] is LoadError
    assert (taken > 0) == (kind in FAST)
    monkeypatch.setattr(Table, "_misfits", lambda _: {})
    (error, _, found), _ = same(announced, *lines, add_record_metadata=True)
    assert error is None
    assert len(found["s"]) == 1 + len(values)
    assert len({line[1] for line in found["s"][1:]}) > 1


USUAL = row(b'"i":1,"s":"x","j":[1.50],"d":"1.5"', more=b',"version":3,"time_extracted":"2026-01-31T09:15:00Z"')
UNUSUAL = [
    row(b'"s":"no key"'),
    row(b'"i":null'),
    row(b'"i":1,"i":2'),
    row(b'"i":1,"s":"a","s":"b"'),
    row(b'"i":1,"unknown":1'),
    row(b'"i":1,"_sdc_deleted_at":"2026-01-31T09:15:00Z","_sdc_table_version":9,"_sdc_sequence":"x"'),
    row(b'"i":1', more=b',"version":null,"time_extracted":null'),
    row(b'"i":1', more=b',"version":"x"'),
    row(b'"i":1', more=b',"version":1.5'),
    row(b'"i":1', more=b',"version":123456789012345678901234567890'),
    row(b'"i":1', more=b',"time_extracted":"secret"'),
    row(b'"i":1', more=b',"time_extracted":7'),
    row(b'"i":1', more=b',"version":1,"version":2'),
    row(b'"i":1', more=b',"note":{"any":[1.0]}'),
    row(b'"i":1', more=b',"stream":"t"'),
    row(b'"i":1', stream="t"),
    row(b'"i":1', stream="nobody"),
    b'{"record": {"s" : "turned round", "i": 5 } , "stream":"s", "type":"RECORD"}  ',
    b'{"type":"RECORD","stream":"s","record":{"i":1},"record":{"i":2}}',
    b'{"type":"RECORD","type":"STATE","value":1,"stream":"s","record":{"i":1}}',
    b'{"stream":"s","record":{"i":1}}',
    b'{"type":"RECORD","stream":"s"}',
    b'{"type":"RECORD","record":{"i":1}}',
    b'{"type":"RECORD","stream":"s","record":null}',
    b'{"type":"RECORD","stream":"s","record":[]}',
    b'{"type":"RECORD","stream":7,"record":{"i":1}}',
    row(b'"i":1,"s":"\\ud800"'),
    row(b'"i":1,"s":"\xff"'),
    row(b'"i":1,"s":"\t"'),
    row(b'"i":1,"n":NaN'),
    row(b'"i":01'),
    USUAL[:-1],
    USUAL + b"{}",
    b"",
    b"[]",
    b"\xef\xbb\xbf" + USUAL,
]


def test_an_unusual_line_among_usual_ones_has_its_usual_end(
    loader: Loader, same: Callable[..., tuple[list[Any], int]]
) -> None:
    announced = [loader.schema(stream, FAST, ["i"]) for stream in ("s", "t")]
    errors = set()
    for number, line in enumerate(UNUSUAL):
        around = [USUAL, loader.state({"n": 1}), row(b'"i":2'), line, USUAL.replace(b'"x"', b'"y"'), loader.state({})]
        for metadata in (True, False)[: 1 + (b"version" in line or number % 9 == 0)]:
            (error, _, found), taken = same(*announced, *around, batch_size_rows=2, add_record_metadata=metadata)
            assert taken >= 2
            assert error or ("3" in found["s"][-1]) is True
            errors.add(error and error[1].split(":")[0])
    assert len(errors) > 5


def test_a_field_that_the_schema_lacks_is_reported_once(loader: Loader, caplog: pytest.LogCaptureFixture) -> None:
    loader(loader.schema("s", FAST, ["i"]), USUAL, *[row(b'"i":2,"unknown":1')] * 2, USUAL)
    assert caplog.text.count("Stream s: field unknown is not in the schema and left out") == 1


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_batches_end_at_the_same_record_and_the_last_of_a_key_wins(
    loader: Loader, same: Callable[..., tuple[list[Any], int]], size: int
) -> None:
    messages: list[Any] = [loader.schema(stream, {"i": "integer", "s": "string"}, ["i"]) for stream in ("s", "t")]
    for number in range(12):
        messages.append(row(b'"i":%d,"s":"%d"' % (number % 5, number), stream="st"[number % 3 == 0]))
        messages += [loader.state({"n": number})] * (number % 4 == 3)
    messages.append(loader.schema("s", {"i": "integer", "more": "number"}, ["i"]))
    messages += [row(b'"i":%d,"more":%d.5' % (number, number)) for number in range(3, 8)]
    _, taken = same(*messages, loader.activate("s", 1), batch_size_rows=size)
    assert taken == 17


def test_records_that_are_mapped_flattened_or_validated_keep_off_the_lane(
    loader: Loader, same: Callable[..., tuple[list[Any], int]]
) -> None:
    messages: list[Any] = [
        loader.schema("s", {"i": "integer", "o": {"type": "object", "properties": {"x": {}}}}, ["i"])
    ]
    messages += [row(b'"i":1,"o":{"x":1}'), row(b'"i":2,"o":null')]
    for config in (
        {"stream_maps": {"s": {"i": "i + 1"}}},
        {"stream_maps": {"s": None}},
        {"stream_maps": {"u": {"__source__": "s"}}},
        {"stream_maps": {"s": {"__alias__": "u"}}},
        {"flattening_enabled": True, "flattening_max_depth": 1},
        {"validate_records": True},
    ):
        assert same(*messages, **config)[1] == 0
    assert same(*messages, stream_maps={"other": {"i": "i"}})[1] == 2


def test_a_column_wider_than_the_schema_gets_the_text_that_was_sent(loader: Loader) -> None:
    kinds: list[Any] = ["string", {}]
    for kind in kinds:
        loader(loader.schema("s", {"k": "integer", "v": kind}, ["k"]), default_target_schema="x" + str(kind)[:1])
        announced = loader.schema("s", {"k": "integer", "v": "number"}, ["k"])
        rows = [row(b'"k":%d,"v":%s' % (n, v)) for n, v in enumerate([b"5e0", b"1.10", b"7", b"1e22"])]
        loader(announced, *rows, default_target_schema="x" + str(kind)[:1])
    assert loader.rows("SELECT v FROM xs.s ORDER BY k") == [("5",), ("1.1",), ("7",), ("1e+22",)]
    assert loader.rows('SELECT v FROM "x{".s ORDER BY k') == [("5",), ("1.1",), ("7",), ("1e+22",)]


@pytest.mark.parametrize("compressed", [True, False])
def test_the_lines_of_a_batch_file_take_the_lane_too(
    loader: Loader, same: Callable[..., tuple[list[Any], int]], tmp_path: Path, *, compressed: bool
) -> None:
    announced = loader.schema("s", FAST, ["i"])
    lines = [json.dumps({"i": n, "n": n / 4, "j": [n, 0.5], "s": "x"}).encode() for n in range(5)]
    lines += [b"", b'{"i": 9, "unknown": 1}', b'{"i":10,"s":7}', b'{"i": 1, "n": 1e2}']
    file = tmp_path / "file.jsonl"
    for last in (b'{"i": 11}', b'{"s": "no key"}', b"{", b'{"i": "secret"}'):
        text = b"\n".join([*lines, last])
        file.write_bytes(gzip.compress(text) if compressed else text)
        for more in ({"version": 3, "time_extracted": "2026-01-31T09:15:00Z"}, {"version": "x"}, {}):
            message = {"type": "BATCH", "stream": "s", "encoding": {"format": "jsonl"}, "manifest": [str(file)], **more}
            (error, _, found), _ = same(announced, row(b'"i":2'), message, row(b'"i":3'), add_record_metadata=True)
            assert error or len(found["s"]) == 1 + 8
            if error is None and "time_extracted" in more:
                assert {("2026-01-31 09:15:00+00", "3"), (None, None)} == {(r[-7], r[-2]) for r in found["s"][1:]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.dictionaries(st.sampled_from([*FAST, "other"]), JSON, min_size=1, max_size=4), max_size=5))
def test_any_record_has_the_outcome_of_the_plain_path(
    make_loader: Callable[[Path], Loader], tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    loader = make_loader(tmp_path_factory.mktemp("lane") / "lane.duckdb")
    texts = {name: {} if kind == "number" else kind for name, kind in FAST.items()}
    messages = [loader.record("s", {"i": n} | values) for n, values in enumerate(rows)]
    with pytest.MonkeyPatch.context() as patch:
        both_ways(loader, patch, loader.schema("s", texts, ["i"]), *messages)


def calls(function: Callable[..., Any]) -> list[str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [ast.unparse(node.func) for node in sorted(found, key=lambda node: (node.lineno, node.col_offset))]


def test_the_sdk_still_does_to_a_record_what_the_lane_does_in_its_place() -> None:
    assert calls(Target._process_record_message) == [
        "self._assert_line_requires",
        "self._assert_sink_exists",
        "copy.copy",
        "stream_map.transform",
        "self._assert_sink_exists",
        "self.get_sink",
        "sink._get_context",
        "sink._add_sdc_metadata_to_record",
        "sink._remove_sdc_metadata_from_record",
        "sink._validate_and_parse",
        "sink.preprocess_record",
        "sink._singer_validate_message",
        "sink.tally_record_read",
        "sink.process_record",
        "sink.record_counter_metric.increment",
        "sink._after_process_record",
        "self.logger.info",
        "self.drain_one",
        "self._handle_max_record_age",
    ]
    assert calls(SameRecordTransform.transform) == ["super().transform", "super"]
    assert calls(GenericSingerReader.process_lines) == [
        "defaultdict",
        "self.deserialize_json",
        "self.assert_line_requires",
        "callbacks.get",
        "callback",
        "self._process_unknown_message",
        "Counter",
    ]
    assert calls(Target.drain_all)[-3:] == ["self._write_state_message", "copy.deepcopy", "self._reset_max_record_age"]
    assert "self._pending_batch" in inspect.getsource(BatchSink._get_context)
    assert "self.default_mapper_type" in inspect.getsource(PluginMapper.register_raw_stream_schema)
