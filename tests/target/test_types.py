"""Types: chosen from the schema, exact in the table, changed only without loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_duckdb.columns import column_type
from target_duckdb.errors import LoadError

if TYPE_CHECKING:
    from tests.target.conftest import Loader

TIMES = {"type": ["string", "null"], "format": "date-time"}
DECIMAL = {"type": ["string", "null"], "format": "singer.decimal"}
CENTS = {"type": ["number", "null"], "multipleOf": 0.01}


@pytest.mark.parametrize(
    ("property_schema", "expected"),
    [
        ({"type": "integer"}, "BIGINT"),
        ({"type": "integer", "maximum": 2**64}, "HUGEINT"),
        ({"type": ["null", "number"]}, "DOUBLE"),
        ({"type": ["integer", "number", "null"]}, "DOUBLE"),
        (DECIMAL, "DECIMAL(38,9)"),
        ({**DECIMAL, "precision": 12, "scale": 2}, "DECIMAL(12,2)"),
        (CENTS, "DECIMAL(38,2)"),
        ({"type": "boolean"}, "BOOLEAN"),
        (TIMES, "TIMESTAMP WITH TIME ZONE"),
        ({"anyOf": [TIMES, {"type": "null"}]}, "TIMESTAMP WITH TIME ZONE"),
        ({"anyOf": [TIMES, {"type": "string"}]}, "VARCHAR"),
        ({"type": "string", "format": "date"}, "DATE"),
        ({"type": "string", "format": "time"}, "TIME"),
        ({"type": "string", "format": "email"}, "VARCHAR"),
        ({"type": ["string", "integer"]}, "JSON"),
        ({"type": "object"}, "JSON"),
        ({"type": ["array", "null"]}, "JSON"),
        ({}, "JSON"),
        ({"$ref": "#/x"}, "JSON"),
        (True, "JSON"),
        ({"type": "null"}, "JSON"),
    ],
)
def test_the_type_is_the_narrowest_that_holds_all_the_schema_allows(property_schema: Any, expected: str) -> None:
    assert column_type(property_schema) == expected


@pytest.mark.parametrize(
    ("kind", "sent", "stored"),
    [
        ("integer", b"9223372036854775807", "9223372036854775807"),
        ("integer", b"-9223372036854775808", "-9223372036854775808"),
        ("integer", b"5.0", "5"),
        ({"type": "integer", "minimum": -(2**70)}, b"-170141183460469231731", "-170141183460469231731"),
        ("number", b"0.1", "0.1"),
        ("number", b"1e300", "1e+300"),
        ("number", b"3", "3.0"),
        (DECIMAL, b'"12345678901234567890123456789.123456789"', "12345678901234567890123456789.123456789"),
        (DECIMAL, b"12345678901234567.123456789", "12345678901234567.123456789"),
        (DECIMAL, b'"1E+3"', "1000.000000000"),
        (DECIMAL, b'"0.10000000000000"', "0.100000000"),
        (CENTS, b"1234567890123456789.25", "1234567890123456789.25"),
        (CENTS, b"-7", "-7.00"),
        ("boolean", b"false", "false"),
        (TIMES, b'"2026-01-31T09:15:00+02:00"', "2026-01-31 07:15:00+00"),
        (TIMES, b'"2026-01-31T09:15:00.123456-0330"', "2026-01-31 12:45:00.123456+00"),
        (TIMES, b'"2026-01-31t09:15:00z"', "2026-01-31 09:15:00+00"),
        (TIMES, b'"2026-01-31T09:15:00+23:59"', "2026-01-30 09:16:00+00"),
        (TIMES, b'"2026-01-31T09:15:00+01:00 "', "2026-01-31 08:15:00+00"),
        (TIMES, b'"2026-01-31T09:15:00+01:00:30"', "2026-01-31 08:14:30+00"),
        (TIMES, b'"2026-01-31T09:15:00 America/Port-au-Prince"', "2026-01-31 14:15:00+00"),
        (TIMES, b'"2026-01-31"', "2026-01-31 00:00:00+00"),
        (TIMES, b'"2026-01-31T09:15:00"', "2026-01-31 09:15:00+00"),
        (TIMES, b'"0001-01-01T00:00:00Z"', "0001-01-01 00:00:00+00"),
        (TIMES, b'"9999-12-31T23:59:59.999999Z"', "9999-12-31 23:59:59.999999+00"),
        ({"type": "string", "format": "date"}, b'"2024-02-29"', "2024-02-29"),
        ({"type": "string", "format": "date"}, b'"2024-02-29T00:00:00Z"', "2024-02-29"),
        ({"type": "string", "format": "time"}, b'"23:59:59.5"', "23:59:59.5"),
        ("object", b'{"n": 12345678901234567.123456789, "s": "a\\u0000\\"", "z": null}',
         '{"n":12345678901234567.123456789,"s":"a \\"","z":null}'),
        ("array", b"[1, [true], {}]", "[1,[true],{}]"),
        ({}, b'"text"', '"text"'),
        ({}, b"7", "7"),
        ("string", b"7", "7"),
        ("string", b"9" * 5000, "9" * 5000),
        ({}, b"-" + b"9" * 5000, "-" + "9" * 5000),
        ("string", b'{"a": [1]}', '{"a":[1]}'),
    ],
)  # fmt: skip
def test_a_value_is_stored_exactly(loader: Loader, kind: Any, sent: bytes, stored: str) -> None:
    raw = b'{"type": "RECORD", "stream": "s", "record": {"v": ' + sent + b"}}"
    loader(loader.schema("s", {"v": kind}), raw, loader.record("s", {"v": None}), loader.record("s", {}))
    assert loader.rows("SELECT v::VARCHAR FROM s") == [(stored,), (None,), (None,)]


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("integer", 2**63),
        ("integer", 1.5),
        ("integer", 10**4000),
        ("integer", "secret"),
        ("integer", True),
        ("number", "secret"),
        ("number", "nan"),
        (DECIMAL, "0.1234567891"),
        (DECIMAL, "1" * 30),
        (DECIMAL, "1E+1000000"),
        (DECIMAL, "secret"),
        (CENTS, 0.001),
        ("boolean", "yes"),
        (TIMES, "secret"),
        (TIMES, ""),
        (TIMES, "2026-01-31T00:00:00+25:00 "),
        (TIMES, "2026-01-31T00:00:00+01:02:75"),
        (TIMES, "epoch"),
        (TIMES, " Epoch "),
        (TIMES, "now"),
        (TIMES, "today"),
        (TIMES, "-infinity"),
        (TIMES, "2026-02-30T00:00:00Z"),
        (TIMES, "2026-01-31T09:15:00+99:00"),
        (TIMES, "2026-01-31T09:15:00.5-2400"),
        (TIMES, "2026-01-31T09:15:00+05:60"),
        ({"type": "string", "format": "date"}, "2026-01-31T10:00:00Z"),
        ({"type": "string", "format": "time"}, "10:00:00+02:00"),
    ],
)
def test_a_value_its_column_cannot_hold_stops_the_load_and_stays_private(loader: Loader, kind: Any, sent: Any) -> None:
    announced = loader.schema("s", {"id": "integer", "v": kind}, ["id"])
    with pytest.raises(
        LoadError, match=r"^Stream s: 1 value of v in this batch cannot be stored exactly as "
    ) as caught:
        loader(announced, loader.record("s", {"id": 1, "v": None}), loader.record("s", {"id": 2, "v": sent}))
    assert str(sent) not in str(caught.value) or len(str(sent)) < 2
    assert "secret" not in str(caught.value)
    assert loader.rows("SELECT count(*) FROM s") == [(0,)]


@pytest.mark.parametrize(
    ("before", "value", "after", "outcome"),
    [
        ("integer", 7, "number", ("DOUBLE", "7.0")),
        ("integer", 7, "string", ("VARCHAR", "7")),
        ("number", 0.1, "string", ("VARCHAR", "0.1")),
        (TIMES, "2026-01-31T09:15:00Z", "string", ("VARCHAR", "2026-01-31T09:15:00.000000Z")),
        ("string", 'a"b', "object", ("JSON", '"a\\"b"')),
        ("boolean", True, {}, ("JSON", "true")),
        ({**DECIMAL, "precision": 9, "scale": 2}, "1.25", DECIMAL, ("DECIMAL(38,9)", "1.250000000")),
        (CENTS, 1.25, DECIMAL, ("DECIMAL(38,9)", "1.250000000")),
        (CENTS, 1.25, "number", ("DOUBLE", "1.25")),
        ("number", 0.1, CENTS, ("DECIMAL(38,2)", "0.10")),
        ("integer", 7, CENTS, ("DECIMAL(38,2)", "7.00")),
        ({"type": ["integer", "null"], "maximum": 2**64}, 7, "number", ("DOUBLE", "7.0")),
        (
            {"type": ["string", "null"], "format": "date"},
            "2024-02-29",
            TIMES,
            ("TIMESTAMP WITH TIME ZONE", "2024-02-29 00:00:00+00"),
        ),
        ("string", "a", "integer", ("VARCHAR", "a")),
        ("number", 1.5, "integer", ("DOUBLE", "1.5")),
        ("object", {"a": 1}, "string", ("JSON", '{"a":1}')),
    ],
)
def test_a_column_changes_its_type_only_where_nothing_is_lost(
    loader: Loader, before: Any, value: Any, after: Any, outcome: tuple[str, str]
) -> None:
    loader(loader.schema("s", {"v": before}), loader.record("s", {"v": value}), loader.record("s", {"v": None}))
    loader(loader.schema("s", {"v": after}), loader.record("s", {"v": None}))
    assert loader.types("s") == {"v": outcome[0]}
    assert loader.rows("SELECT v::VARCHAR FROM s") == [(outcome[1],), (None,), (None,)]


def test_values_of_a_narrower_schema_still_fit_a_wider_column(loader: Loader) -> None:
    loader(loader.schema("s", {"v": {}}), loader.record("s", {"v": [1]}))
    loader(loader.schema("s", {"v": "string"}), loader.record("s", {"v": "7"}))
    loader(loader.schema("s", {"v": "integer"}), loader.record("s", {"v": 7}))
    loader(loader.schema("s", {"v": TIMES}), loader.record("s", {"v": "2026-01-31T09:15:00Z"}))
    assert [v for (v,) in loader.rows("SELECT v::VARCHAR FROM s")] == ["[1]", '"7"', "7", '"2026-01-31T09:15:00Z"']


@pytest.mark.parametrize(
    ("before", "value", "after", "types"),
    [
        ("integer", 2**53 + 1, "number", "BIGINT and the stream now sends DOUBLE"),
        ("integer", 2**63 - 1, "number", "BIGINT and the stream now sends DOUBLE"),
        ({**DECIMAL, "scale": 2}, "1" * 30, DECIMAL, r"DECIMAL\(38,2\) and the stream now sends DECIMAL\(38,9\)"),
        (CENTS, 12345678901234567.25, "number", r"DECIMAL\(38,2\) and the stream now sends DOUBLE"),
        ("number", 0.125, CENTS, r"DOUBLE and the stream now sends DECIMAL\(38,2\)"),
        ("number", 1e300, CENTS, r"DOUBLE and the stream now sends DECIMAL\(38,2\)"),
    ],
)
def test_a_number_is_not_given_a_type_in_which_a_stored_value_would_change(
    loader: Loader, before: Any, value: Any, after: Any, types: str
) -> None:
    loader(loader.schema("s", {"v": before}), loader.record("s", {"v": value}), loader.record("s", {"v": 1}))
    stored = loader.rows("SELECT v::VARCHAR FROM s")
    with pytest.raises(LoadError, match=f"the column v is {types}"):
        loader(loader.schema("s", {"v": after}))
    assert loader.rows("SELECT v::VARCHAR FROM s") == stored


def test_an_impossible_change_names_stream_column_both_types_and_the_remedy(loader: Loader) -> None:
    loader(loader.schema("s", {"v": "number"}), loader.record("s", {"v": 1}))
    with pytest.raises(LoadError) as caught:
        loader(loader.schema("s", {"v": TIMES}))
    assert str(caught.value) == (
        "Stream s: the column v is DOUBLE and the stream now sends TIMESTAMP WITH TIME ZONE, which cannot be converted "
        "without loss: rename or drop the column in main.s, or load into another default_target_schema."
    )


def test_a_new_property_becomes_a_new_column_also_in_the_middle_of_a_run(loader: Loader) -> None:
    loader(
        loader.schema("s", {"id": "integer"}, ["id"]),
        loader.record("s", {"id": 1}),
        loader.record("s", {"id": 2}),
        loader.schema("s", {"new": "string", "id": "integer"}, ["id"]),
        loader.record("s", {"id": 2, "new": "x"}),
    )
    assert loader.rows("SELECT id, new FROM s ORDER BY id") == [(1, None), (2, "x")]


def test_a_new_column_is_there_and_a_wider_type_too_when_no_record_comes(loader: Loader) -> None:
    loader(loader.schema("s", {"id": "integer", "n": "integer"}, ["id"]), loader.record("s", {"id": 1, "n": 2}))
    loader(loader.schema("s", {"id": "integer", "n": "number", "new": TIMES}, ["id"]))
    assert loader.types("s") == {"id": "BIGINT", "n": "DOUBLE", "new": "TIMESTAMP WITH TIME ZONE"}
    assert loader.rows("SELECT id, n, new FROM s") == [(1, 2.0, None)]


def test_a_changed_key_is_refused_unless_the_table_is_empty(loader: Loader) -> None:
    columns = {"a": "integer", "b": "integer"}
    loader(loader.schema("s", columns, ["a"]))
    loader(loader.schema("s", columns, ["a", "b"]), loader.record("s", {"a": 1, "b": 1}))
    loader(loader.schema("s", columns, ["b", "a"]))
    with pytest.raises(LoadError, match=r"^Stream s changed its key from a, b to b, so rows that are in main\.s could"):
        loader(loader.schema("s", columns, ["b"]))


@pytest.mark.parametrize(
    ("properties", "sentence"),
    [
        ({"id": "integer", "ID": "integer"}, "the properties id and ID"),
        ({}, "schema without properties"),
        ({"": "string"}, "no empty names"),
    ],
)
def test_names_duckdb_cannot_keep_apart_are_refused(loader: Loader, properties: dict[str, Any], sentence: str) -> None:
    with pytest.raises(LoadError, match=sentence):
        loader(loader.schema("s", properties))


def test_streams_and_columns_differing_only_in_case_are_refused(loader: Loader) -> None:
    loader(loader.schema("s", {"id": "integer"}))
    with pytest.raises(LoadError, match="Stream S and the table s in schema main differ only in case"):
        loader(loader.schema("S", {"id": "integer"}))
    with pytest.raises(LoadError, match="the property Id and the column id differ only in case"):
        loader(loader.schema("s", {"Id": "integer"}))
