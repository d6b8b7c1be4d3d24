"""What an operator reads when something is wrong: one sentence, exit code 1, nothing of a record."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from target_duckdb.errors import LoadError
from target_duckdb.target import TargetDuckDB

if TYPE_CHECKING:
    from pathlib import Path

    from tests.target.conftest import Loader

HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


def failure(result: tuple[int, str, str]) -> str:
    """Return the sentence of a failed run."""
    code, out, err = result
    assert (code, out) == (1, ""), err
    assert "Traceback" not in err
    assert "secret" not in err
    sentences = [line.split("|", 3)[3].strip() for line in err.splitlines() if "| ERROR" in line]
    assert len(sentences) == 1, err
    return sentences[0]


def holder(path: Path) -> subprocess.Popen[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_file_another_process_holds_is_named_together_with_that_process(loader: Loader) -> None:
    with holder(loader.path) as process:
        sentence = failure(loader.command(loader.schema("s", {"id": "integer"}), lock_timeout=0.3))
        process.communicate("")
    assert sentence.startswith(f"{loader.path} is in use by python")
    assert f"(process {process.pid})" in sentence
    assert sentence.endswith("or raise lock_timeout (now 0.3 seconds) to wait longer.")


def test_a_file_that_becomes_free_in_time_is_loaded(loader: Loader) -> None:
    with holder(loader.path) as process:
        timer = threading.Timer(1, process.communicate, [""])
        timer.start()
        code, _, err = loader.command(loader.schema("s", {"id": "integer"}), loader.record("s", {"id": 1}))
        timer.join()
    assert code == 0, err
    assert loader.rows("SELECT * FROM s") == [(1,)]


SCHEMA = {
    "type": "SCHEMA",
    "stream": "s",
    "schema": {"properties": {"id": {"type": "integer"}}},
    "key_properties": ["id"],
}
NO_OBJECT = "Line 2 of the input: record of the RECORD message of stream s is no object: the tap does not follow"


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        ([SCHEMA, b'{"type": "RECORD", "secret'], "Line 2 of the input is not valid JSON: run the tap alone"),
        ([b'"secret"'], "Line 1 of the input is not a JSON object"),
        ([b'\xff{"secret"}'], "Line 1 of the input is not valid JSON"),
        ([{"secret": 1}], "A Singer message lacks type: the tap does not follow the Singer spec."),
        ([{"type": "SECRET"}], "Line 1 of the input is a message of a type that is not RECORD, SCHEMA"),
        ([{"type": "RECORD", "record": {"a": "secret"}}], "A message of type RECORD lacks stream"),
        (
            [{"type": "RECORD", "stream": "s", "record": {"a": "secret"}}],
            "A record for stream 's' was encountered before",
        ),
        ([{"type": "ACTIVATE_VERSION", "stream": "s", "version": 1}], "A version of stream s came before its schema"),
        (
            [SCHEMA, {"type": "RECORD", "stream": "s", "record": {"a": "secret"}}],
            "A record of stream s lacks its key id",
        ),
        (
            [SCHEMA, {"type": "RECORD", "stream": "s", "record": {"id": "secret"}}],
            "Stream s: 1 value of id in this batch",
        ),
        ([{**SCHEMA, "key_properties": ["no"]}], "Stream s names the key no, which its schema does not have"),
        ([SCHEMA, {"type": "RECORD", "stream": "s", "record": ["secret"]}], NO_OBJECT),
        ([SCHEMA, {"type": "RECORD", "stream": "s", "record": None}], NO_OBJECT),
    ],
)
def test_input_that_breaks_the_rules_is_one_sentence(loader: Loader, messages: list[Any], sentence: str) -> None:
    assert failure(loader.command(*messages)).startswith(sentence)
    assert [path.name for path in loader.path.parent.glob("*loading*")] == []


BATCH = {"type": "BATCH", "stream": "s", "encoding": {"format": "jsonl"}, "manifest": []}


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ({**SCHEMA, "schema": []}, "schema of the SCHEMA message of stream s is no object"),
        ({**SCHEMA, "key_properties": "id"}, "key_properties of the SCHEMA message of stream s is no list of texts"),
        ({**SCHEMA, "key_properties": [["id"]]}, "key_properties of the SCHEMA message of stream s is no list of text"),
        ({**SCHEMA, "stream": 5}, "stream of the SCHEMA message is no text"),
        ({"type": "STATE", "value": []}, "value of the STATE message is no object"),
        ({"type": "ACTIVATE_VERSION", "stream": "s", "version": "x"}, "version of the ACTIVATE_VERSION message of str"),
        ({"type": "RECORD", "stream": [], "record": {}}, "stream of the RECORD message is no text"),
        ({**BATCH, "encoding": "jsonl"}, "encoding of the BATCH message of stream s is no object"),
        ({**BATCH, "manifest": [1]}, "manifest of the BATCH message of stream s is no list of texts"),
        ({**BATCH, "manifest": ["x"], "encoding": {"odd": 1}}, "BATCH files of format None with compression None cann"),
        ({"type": []}, "Line 2 of the input is a message of a type that is not RECORD, SCHEMA"),
    ],
)
def test_a_member_of_another_type_than_the_spec_says_is_a_sentence_with_line_and_stream(
    loader: Loader, message: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(LoadError) as caught:
        loader(SCHEMA, message)
    assert str(caught.value).removeprefix("Line 2 of the input: ").startswith(sentence)


ANYTHING_OF = {"anyOf": [{"$ref": "#/definitions/x"}]}
FLAT = {"flattening_enabled": True, "flattening_max_depth": 2}
NESTED = {"type": "object", "properties": {"b": {"type": "string"}}}


@pytest.mark.parametrize(
    ("message", "config", "sentence"),
    [
        ({"a": NESTED, "a__b": {"type": "string"}}, FLAT, "Stream s: its schema cannot be flattened or mapped (Dupl"),
        ({"id": {"type": "integer"}, "a": ANYTHING_OF}, FLAT, "Stream s: the property a cannot be flattened or mapped"),
        ({"n" * 999: {}, "n" * 1000: {}}, FLAT, "Stream s: its schema cannot be flattened or mapped (Duplicate column"),
        ({"a\0b": {"type": "string"}}, {}, "Stream s has the property 'a\\x00b': DuckDB has no names with NUL"),
        ({"": {"type": "string"}}, {}, "Stream 's' has a property without a name"),
        ({"Id": {}, "id": {}}, {}, "Stream s has the properties Id and id, which are the same column to DuckDB"),
        (["a"], {}, "Stream s has a schema without properties"),
        (None, {}, "Stream s has a schema without properties"),
    ],
)
def test_a_schema_that_can_be_no_table_is_a_sentence_with_stream_and_property(
    loader: Loader, message: Any, config: dict[str, Any], sentence: str
) -> None:
    announced = {"type": "SCHEMA", "stream": "s", "schema": {"properties": message}, "key_properties": []}
    with pytest.raises(LoadError) as caught:
        loader(announced, **config)
    assert str(caught.value).startswith(sentence)


ODD = {
    "ref": ({"$ref": "#/definitions/x"}, 5, "5"),
    "recursive": ({"$ref": "#/definitions/r"}, [1, [2]], "[1,[2]]"),
    "all": ({"allOf": [{"type": "string"}, {"maxLength": 9}]}, "x", '"x"'),
    "any": (ANYTHING_OF, 5, "5"),
    "one": ({"oneOf": [{"type": "integer"}, {"type": ["string", "null"]}]}, "x", '"x"'),
    "enum": ({"enum": ["x", 1, None]}, "x", '"x"'),
    "const": ({"const": 5}, 5, "5"),
    "nothing": ({}, {"a": 1}, '{"a":1}'),
    "always": (True, 7, "7"),
    "unknown": ({"type": "decimal"}, 1.5, "1.5"),
    "select": ({"type": ["null", "string"]}, "x", "x"),
    "raw select": ({"type": ["null", "string"]}, "y", "y"),
    "rowid": ({"type": ["null", "string"]}, "z", "z"),
    "day": ({"type": "string", "format": "time"}, "24:00:00", "24:00:00"),
    "midnight": ({"type": "string", "format": "date-time"}, "2025-12-31T24:00:00Z", "2026-01-01 00:00:00+00"),
    "n" * 1000: ({"type": "string"}, "long", "long"),
    "n" * 1001: ({"type": "string"}, "longer", "longer"),
}


def test_schemas_as_taps_write_them_become_columns_that_hold_every_value(loader: Loader) -> None:
    recursive = {"type": ["null", "integer", "array"], "items": {"$ref": "#/definitions/r"}}
    schema = {
        "definitions": {"x": {"type": "integer"}, "r": recursive},
        "patternProperties": {"^x": {"type": "string"}},
        "properties": {name: kind for name, (kind, _, _) in ODD.items()},
    }
    announced = {"type": "SCHEMA", "stream": "s", "schema": schema, "key_properties": ["select", "ref", "select"]}
    for _ in range(2):
        loader(announced, loader.record("s", {name: value for name, (_, value, _) in ODD.items()}))
    assert loader.rows("SELECT columns(*)::VARCHAR FROM s") == [tuple(stored for _, _, stored in ODD.values())]


@pytest.mark.parametrize("reference", ["#/nowhere", "#/properties/a"])
def test_a_reference_that_leads_nowhere_is_one_sentence_where_records_are_validated(
    loader: Loader, reference: str
) -> None:
    announced = loader.schema("s", {"a": {"$ref": reference}})
    with pytest.raises(LoadError, match="refers to what it does not have, or to itself without end"):
        loader(announced, loader.record("s", {"a": 1}), validate_records=True)


def test_validation_on_request_names_the_rule_and_not_the_value(loader: Loader) -> None:
    email = {"type": "string", "maxLength": 3}
    messages = [
        loader.schema("s", {"id": "integer", "mail": email}, ["id"]),
        loader.record("s", {"id": 1, "mail": "secret"}),
    ]
    assert loader.command(*messages)[0] == 0
    sentence = failure(loader.command(*messages, validate_records=True))
    assert sentence == "Record Message Validation Error: mail breaks the rule 'maxLength' of its schema"


def test_a_folder_that_cannot_be_made_is_one_sentence(loader: Loader, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sentence = failure(
        loader.command(loader.schema("s", {"id": "integer"}), filepath=str(tmp_path / "file" / "x.duckdb"))
    )
    assert sentence.startswith(f"Cannot write in the folder {tmp_path / 'file'} (")


def test_a_file_that_is_not_a_database_is_left_alone(loader: Loader, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("not a database " * 1000)
    sentence = failure(loader.command(loader.schema("s", {"id": "integer"}), filepath=str(other)))
    assert sentence.startswith(f"Cannot open {other}: ")
    assert other.read_text() == "not a database " * 1000


def test_a_view_in_the_way_is_one_sentence(loader: Loader) -> None:
    loader.path.parent.mkdir()
    with duckdb.connect(str(loader.path)) as connection:
        connection.execute("CREATE VIEW s AS SELECT 1 AS id")
    assert "main.s is a view" in failure(loader.command(loader.schema("s", {"id": "integer"})))


def at_work(loader: Loader) -> subprocess.Popen[bytes]:
    """A loader that has taken some rows and waits for more."""
    process = loader.start()
    assert process.stdin is not None
    process.stdin.write(loader.lines(loader.schema("s", {"id": "integer"}), *[loader.record("s", {"id": 1})] * 5000))
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while not list(loader.path.parent.glob("*loading*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    return process


def test_a_terminated_run_stops_at_once_and_cleans_up(loader: Loader) -> None:
    process = at_work(loader)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert out == b""
    assert "Traceback" not in loader.log.read_text()
    assert [path.name for path in loader.path.parent.iterdir() if "loading" in path.name] == []
    assert loader.rows("SELECT count(*) FROM s") == [(0,)]


def test_a_second_signal_does_not_disturb_the_end(loader: Loader) -> None:
    process = at_work(loader)
    for _ in range(200):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.001)
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in loader.log.read_text()
    assert [path.name for path in loader.path.parent.iterdir() if "loading" in path.name] == []


def test_an_input_of_a_byte_order_mark_alone_is_empty(loader: Loader) -> None:
    process = loader.start()
    out, _ = process.communicate(b"\xef\xbb\xbf", timeout=60)
    assert (process.returncode, out) == (0, b"")


def test_the_settings_are_described() -> None:
    about = TargetDuckDB._get_about_info()
    assert about.name == "target-duckdb"
    assert about.settings["required"] == ["filepath"]
    assert all(setting.get("description") for setting in about.settings["properties"].values())


@pytest.mark.parametrize(
    "bookmark",
    [
        {"replication_key": "at", "replication_key_value": "2026-01-01"},
        {"partitions": [{"context": {"p": 1}}, {"context": {"p": 2}, "replication_key_value": "2026-01-01"}]},
    ],
)
def test_a_tap_that_resumes_into_a_file_without_the_earlier_rows_is_stopped(
    loader: Loader, bookmark: dict[str, Any]
) -> None:
    resumed = (
        loader.state({"bookmarks": {"s": bookmark, "whole": {}}}),
        loader.schema("whole", {"id": "integer"}, ["id"]),
        loader.schema("s", {"id": "integer"}, ["id"]),
        loader.record("s", {"id": 2}),
    )
    sentence = failure(loader.command(*resumed))
    assert sentence.startswith("The tap goes on from a bookmark of stream s, but ")
    assert sentence.endswith("(Meltano: run --full-refresh).")
    loader(loader.schema("s", {"id": "integer"}, ["id"]), loader.record("s", {"id": 1}), resumed[0])
    loader(*resumed)
    assert loader.rows("SELECT id FROM s ORDER BY id") == [(1,), (2,)]


def test_a_first_run_may_pass_states_of_streams_that_come_later(loader: Loader) -> None:
    loader(
        loader.state({}),
        loader.schema("a", {"id": "integer"}, ["id"]),
        loader.record("a", {"id": 1}),
        loader.state({"bookmarks": {"a": {"replication_key_value": 1}, "b": {"replication_key_value": 1}}}),
        loader.schema("b", {"id": "integer"}, ["id"]),
        loader.record("b", {"id": 1}),
    )
    assert loader.rows("SELECT count(*) FROM b") == [(1,)]
