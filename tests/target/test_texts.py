"""What cannot be text is made text by one rule, whichever way a record comes, and counted per stream."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_duckdb.errors import LoadError
from target_duckdb.texts import may_be_odd, repaired

if TYPE_CHECKING:
    from tests.target.conftest import Loader

VECTORS = json.loads((Path(__file__).parents[1] / "awkward_text.json").read_text())
ODD = sum(json.loads(one["in"]) != one["out"] for one in VECTORS)
COLUMNS = {"id": "integer", "t": "string", "j": "object"}
BOM = b"\xef\xbb\xbf"


def rows() -> list[bytes]:
    """A record for each example: in a text, in a value and in a name inside of JSON."""
    return [b'{"id":%d,"t":%s,"j":{"a":[%s],%s:1}}' % (n, *[one["in"].encode()] * 3) for n, one in enumerate(VECTORS)]


def loaded(loader: Loader) -> list[tuple[str, Any]]:
    return [(text, json.loads(nested)) for text, nested in loader.rows("SELECT t, j FROM s ORDER BY id")]


WANTED = [(one["out"], {"a": [one["out"]], one["out"]: 1}) for one in VECTORS]


@pytest.mark.parametrize("way", ["record", "plain", "escaped file", "file"])
def test_each_example_has_its_outcome_and_repairs_are_counted(
    loader: Loader, tmp_path: Path, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    announced = loader.schema("s", COLUMNS, ["id"])
    if way in {"record", "plain"}:
        records = [b'{"type":"RECORD","stream":"s","record":' + row + b"}" for row in rows()]
        loader(announced, *records, validate_records=way == "plain")
    else:
        file = tmp_path / "rows.jsonl"
        file.write_bytes(b"\n".join(rows()) if way == "escaped file" else BOM + b"\n".join(map(raw, rows())))
        manifest = {"type": "BATCH", "stream": "s", "encoding": {"format": "jsonl"}, "manifest": [str(file)]}
        loader(announced, manifest)
    assert loaded(loader) == WANTED
    assert (
        f"Stream s: texts repaired, since they had control characters, lone surrogates or the like: {3 * ODD}"
        in caplog.text
    )


def raw(row: bytes) -> bytes:
    """Write what is no control character as itself, halves of characters too, as some programs do."""
    text = json.dumps(json.loads(row), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


ODD_VALUES = [
    (b'{"id":1,"t":"a\xffb","n":1.5}', ("a\ufffdb", 1.5, None)),
    (b'{"id":2,"t":"\xe2\x82 half, \xc3\xa9 whole","n":NaN}', ("\ufffd\ufffd half, \u00e9 whole", None, None)),
    (b'{"id":3,"t":"NaN","n":-Infinity,"j":[Infinity,1.50,{"a":NaN}]}', ("NaN", None, '[null,1.50,{"a":null}]')),
    (b'{"id":4,"t":"x","n":2}', ("x", 2.0, None)),
]


@pytest.mark.parametrize("way", ["record", "plain", "file"])
def test_a_byte_that_is_no_text_and_a_number_that_is_none_harm_only_their_value(
    loader: Loader, tmp_path: Path, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    announced = loader.schema("s", {"id": "integer", "t": "string", "n": "number", "j": {}}, ["id"])
    if way == "file":
        file = tmp_path / "rows.jsonl"
        file.write_bytes(b"\n".join(row for row, _ in ODD_VALUES))
        manifest = {"type": "BATCH", "stream": "s", "encoding": {"format": "jsonl"}, "manifest": [str(file)]}
        loader(announced, manifest)
    else:
        records = [b'{"type":"RECORD","stream":"s","record":' + row + b"}" for row, _ in ODD_VALUES]
        loader(announced, *records, validate_records=way == "plain")
    assert loader.rows("SELECT t, n, j FROM s ORDER BY id") == [values for _, values in ODD_VALUES]
    assert (
        "Stream s: texts repaired, since they had control characters, lone surrogates or the like: 2\n" in caplog.text
    )
    assert caplog.text.count("Stream s: values that are no number (NaN, Infinity), so they are null: 4\n") == 1


def test_a_parquet_file_is_held_to_the_same_rule(loader: Loader, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 1 AS id, 'A' || chr(8238) || chr(1) AS t) TO '{file}'")
    manifest = {"type": "BATCH", "stream": "s", "encoding": {"format": "parquet"}, "manifest": [str(file)]}
    loader(loader.schema("s", {"id": "integer", "t": "string"}, ["id"]), manifest)
    assert loader.rows("SELECT t FROM s") == [("A ",)]


@pytest.mark.parametrize("compressed", [True, False])
def test_a_byte_order_mark_before_the_input_or_a_file_is_skipped(
    loader: Loader, tmp_path: Path, *, compressed: bool
) -> None:
    file = tmp_path / "rows.jsonl"
    text = BOM + b'{"id": 2}\n'
    file.write_bytes(gzip.compress(text) if compressed else text)
    manifest = {"type": "BATCH", "stream": "s", "encoding": {"format": "jsonl"}, "manifest": [str(file)]}
    announced = BOM + loader.lines(loader.schema("s", COLUMNS, ["id"])).rstrip()
    loader(announced, loader.record("s", {"id": 1}), manifest)
    assert loader.rows("SELECT id FROM s ORDER BY id") == [(1,), (2,)]


def test_half_a_character_in_a_schema_or_a_state_is_replaced_too(
    loader: Loader, capsys: pytest.CaptureFixture[str]
) -> None:
    announced = loader.schema("s", {"id": "integer", "n\ud800": "string"}, ["id"])
    loader(announced, loader.record("s", {"id": 1, "n\ud800": "x"}), loader.state({"at": "\udc00", "kept": "\x01"}))
    assert loader.rows('SELECT "n\ufffd" FROM s') == [("x",)]
    assert json.loads(capsys.readouterr().out) == {"at": "\ufffd", "kept": "\x01"}


def test_two_names_inside_of_json_that_become_one_are_still_two(loader: Loader) -> None:
    loader(loader.schema("s", {"j": "object"}), loader.record("s", {"j": {"a\x01": 1, "a ": 2, "a\x02": 3}}))
    assert json.loads(loader.rows("SELECT j FROM s")[0][0]) == {"a \ufffd": 1, "a ": 2, "a \ufffd\ufffd": 3}


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"RECORD","record":{"t":"\\ud800"',
        b'{"t":"\\ud800",}',
        b'{"t":"\\ud800","n":nan}',
        b'{"t":"x"}\xff',
    ],
)
def test_a_line_that_is_no_json_stays_one_sentence_whatever_texts_it_has(loader: Loader, line: bytes) -> None:
    with pytest.raises(LoadError, match=r"^Line 2 of the input is not valid JSON: run the tap alone and check"):
        loader(loader.schema("s", COLUMNS, ["id"]), line)


def test_a_line_that_is_nested_without_end_is_one_sentence(loader: Loader) -> None:
    deep = b'{"type":"RECORD","stream":"s","record":{"id":1,"j":' + b'{"a":' * 90_000 + b"1" + b"}" * 90_002
    with pytest.raises(LoadError, match=r"^Line 2 of the input is nested too deeply to be read"):
        loader(loader.schema("s", COLUMNS, ["id"]), deep)


@given(st.text(st.characters() | st.sampled_from("\ud800\udc00\x00\x7f\x85\u061c\u202e\ufdd0\ufffe\U0001ffff\\ud")))
def test_no_text_that_is_to_be_repaired_is_taken_for_an_ordinary_one(text: str) -> None:
    if repaired(text) != text:
        assert may_be_odd(json.dumps(text).encode())
        assert may_be_odd(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    assert repaired(repaired(text)) == repaired(text)
