"""Names, times and types of rows."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from tap_coursera import envelopes
from tap_coursera.records import RowReader, milliseconds, rfc3339
from tap_coursera.tap import TapCoursera
from tap_coursera.texts import OddRow
from tap_coursera.typed import TypedRow

if TYPE_CHECKING:
    from singer_sdk.streams import Stream

    from tap_coursera.base import CourseraStream

TEXT = {"type": ["string", "null"]}
TIME = TEXT | {"x-unit": "epoch milliseconds"}


def reader(**properties: dict[str, Any]) -> RowReader:
    return RowReader("things", {"properties": properties})


def test_times_are_rfc_3339_in_utc_and_keep_milliseconds_only_when_there_are_some() -> None:
    assert rfc3339(1769850900000) == "2026-01-31T09:15:00Z"
    assert rfc3339(1769850900007) == "2026-01-31T09:15:00.007Z"
    assert rfc3339(0) == "1970-01-01T00:00:00Z"
    assert rfc3339(-1) == "1969-12-31T23:59:59.999Z"


@pytest.mark.parametrize("moment", [0, 1, 999, 1769850900000, 1769850900070, 4102444800000])
def test_times_survive_the_way_there_and_back(moment: int) -> None:
    assert milliseconds(rfc3339(moment)) == moment


def test_a_date_means_midnight_utc() -> None:
    assert (
        milliseconds("2026-01-31") == milliseconds("2026-01-31T01:00:00+01:00") == milliseconds("2026-01-31T00:00:00Z")
    )


def test_seconds_and_milliseconds_are_told_apart_by_the_schema() -> None:
    seconds = {**TEXT, "x-source": "s", "x-unit": "epoch seconds"}
    row = reader(s=seconds, m={**TIME, "x-source": "m"}).read({"s": 1733368795, "m": 1733368795000})
    assert row == {"s": "2024-12-05T03:19:55Z", "m": "2024-12-05T03:19:55Z"}


def test_every_property_is_there_and_null_when_absent() -> None:
    assert reader(a={**TEXT, "x-source": "theA"}, b={**TEXT, "x-source": "theB"}).read({"theB": "x"}) == {
        "a": None,
        "b": "x",
    }


def test_what_the_schema_does_not_know_is_left_out_and_noted_by_name() -> None:
    rows = reader(a={**TEXT, "x-source": "a"})
    assert rows.read({"a": "1", "shoeSize": "secret"}) == {"a": "1"}
    assert rows.unknown == {"shoeSize"}


def test_values_take_the_type_of_their_schema() -> None:
    rows = reader(
        who={**TEXT, "x-source": "who"},
        grade={"type": ["number", "null"], "x-source": "grade"},
        share={"type": ["integer", "null"], "x-source": "share"},
        done={"type": ["boolean", "null"], "x-source": "done"},
        flags={"type": ["array", "null"], "x-source": "flags", "items": TEXT},
    )
    raw = {"who": 413861904646, "grade": "0.922300033569336", "share": 87.0, "done": False, "flags": [None, "INACTIVE"]}
    assert rows.read(raw) == {
        "who": "413861904646",
        "grade": 0.922300033569336,
        "share": 87,
        "done": False,
        "flags": ["INACTIVE"],
    }


def test_nested_names_are_translated_too() -> None:
    inner = {"photo_url": {**TEXT, "x-source": "photoUrl"}}
    people = {"type": ["array", "null"], "x-source": "people", "items": {"type": ["object"], "properties": inner}}
    assert reader(people=people).read({"people": [{"photoUrl": "u", "more": 1}, {}]}) == {
        "people": [{"photo_url": "u"}, {}]
    }


DAY = 86_400_000
NOW, FOUNDED = milliseconds("2026-02-02T06:00:00Z"), milliseconds("2012-01-01")


@pytest.mark.parametrize(
    ("enrolled", "deleted", "newest"),
    [
        (NOW - DAY, NOW, "2026-02-02T06:00:00Z"),
        (NOW, None, "2026-02-02T06:00:00Z"),
        (NOW, NOW + DAY, "2026-02-03T06:00:00Z"),
        (NOW, NOW + DAY + 1, "2026-02-02T06:00:00Z"),
        (FOUNDED, FOUNDED - 1, "2012-01-01T00:00:00Z"),
        (FOUNDED - 1, None, None),
        (NOW // 1000, NOW // 1000, None),
        (NOW + DAY + 1, 10**300, None),
        (NOW, "2083-01-01T00:00:00Z", "2026-02-02T06:00:00Z"),
        (NOW, True, "2026-02-02T06:00:00Z"),
        (NOW, [1], "2026-02-02T06:00:00Z"),
        (None, None, None),
    ],
)
def test_changed_at_is_the_newest_time_of_the_row_that_can_be_true(
    enrolled: object, deleted: object, newest: str | None
) -> None:
    rows = reader(changed_at={**TEXT, "x-newest-of": ["enrolledAt", "deletedAt"]})
    rows.now = NOW
    assert rows.read({"enrolledAt": enrolled, "deletedAt": deleted}) == {"changed_at": newest}
    assert rows.undated == (newest is None and enrolled is not None)


LIST = {"type": ["array", "null"], "items": TEXT}
NUMBER, INTEGER, BOOLEAN = ({"type": [kind, "null"]} for kind in ("number", "integer", "boolean"))
OBJECT = {"type": ["object", "null"], "properties": {"g": {**NUMBER, "x-source": "g"}, "t": {**TEXT, "x-source": "t"}}}
OBJECTS = {"type": ["array", "null"], "items": OBJECT}
CANNOT_BE: list[tuple[dict[str, Any], list[Any]]] = [
    (TIME, ["yesterday", "2026-01-31T09:15:00Z", [1], 1e300, True, 253402300800000]),
    (TEXT, [{"a": 1}, ["a"], True, False]),
    (LIST, ["yesterday", {"a": 1}, 1, True]),
    (NUMBER, [True, "abc", "", "nan", "1e400", "1_0", [1], {"a": 1}, 10**400, float("nan")]),
    (INTEGER, [True, "abc", 1 << 63, 1e300, "9" * 400, [], float("inf")]),
    (BOOLEAN, [0, 1, "true", [True]]),
    (OBJECT, [[], "x", 1]),
]
NULL = [(spec, value) for spec, values in CANNOT_BE for value in values]


@pytest.mark.parametrize(("spec", "value"), NULL)
def test_a_value_that_cannot_be_is_null_and_named(spec: dict[str, Any], value: Any) -> None:
    own = {"x": {**spec, "x-source": "x"}, "y": {**TEXT, "x-source": "y"}, "row_problems": {"x-tap": True}}
    row = {"x": value, "y": "stays"}
    # What a strict reader of JSON makes never holds NaN.
    for raw in (OddRow(row), *([row] if value == value else [])):  # noqa: PLR0124
        assert reader(**own).read(raw) == {"x": None, "y": "stays", "row_problems": "x:type"}


def test_of_what_is_nested_only_the_value_that_cannot_be_is_lost() -> None:
    rows = reader(m={**OBJECTS, "x-source": "m"}, row_problems={"x-tap": True})
    raw = {"m": [{"g": True, "t": "a"}, 5, {"g": 1, "t": {}}, None]}
    assert rows.read(raw) == {"m": [{"t": "a"}, {"g": 1}], "row_problems": "m:type"}


def test_texts_are_cleaned_by_the_rule_that_all_parts_share_and_named() -> None:
    vectors = json.loads((Path(__file__).parents[1] / "awkward_text.json").read_text())
    rows = reader(n={**TEXT, "x-source": "n"}, p={**LIST, "x-source": "p"}, row_problems={"x-tap": True})
    for one in vectors:
        page = f'{{"elements": [{{"n": {one["in"]}, "p": [{one["in"]}]}}]}}'.encode()
        envelope = envelopes.listing(page)
        assert envelope is not None
        (row,) = [rows.read(raw) for raw in envelope["elements"]]
        told = None if json.loads(one["in"]) == one["out"] else "n:text p:text"
        assert row == {"n": one["out"], "p": [one["out"]], "row_problems": told}, one["why"]
        assert rows.unknown == set()


NASTY = [
    *(None, "a", "", "12", "0.5", "1769850900000", 1, 0, -1, 1.5, 87.0, True, False, 10**30, 1e300, 1 << 63),
    *([], ["a", None, 3], [[1]], {}, {"managerName": 3}, [{"skillId": 1}], 1769850900007),
    *(-62135596800001, -62135596800000, 253402300799999, 253402300800000),
]
"""Values of every kind, and the first and the last moments that have a date."""


OWN = TapCoursera(config={"client_id": "i", "client_secret": "s", "org_id": "o"}).streams
STREAMS = [stream for stream in OWN.values() if stream.name != "stream_reads"]


def properties(stream: Stream) -> list[dict[str, Any]]:
    return list(stream.schema["properties"].values())


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_what_is_written_down_once_does_what_the_loop_does(stream: CourseraStream) -> None:
    chance = Random(stream.name)
    outcomes: set[bool] = set()
    for _ in range(100):
        rows = RowReader(stream.name, stream.schema, frozenset(), stream.replication_key)
        specs = stream.schema["properties"].values()
        fields = sorted({field for spec in specs for field in spec.get("x-newest-of", [spec.get("x-source")]) if field})
        for odd in (0.0, 0.03, 0.3):
            values = ["a", 1769850900000, None]
            row, around = (
                {field: chance.choice(NASTY if chance.random() < odd else values) for field in chance.sample(fields, n)}
                for n in (len(fields), chance.randint(0, len(fields)))
            )
            for raw, outer in ((row, around), (row, None), (around, row)):
                expected = rows._by_loop(raw, outer)
                assert repr(rows.read(raw, outer)) == repr(expected)
                outcomes.add(expected["row_problems"] is None)
    assert outcomes == {True, False}


KINDS = {stream.name: stream for stream in STREAMS if not any("x-of" in spec for spec in properties(stream))}
AS_IT_SHOULD_BE = {"string": '"a"', "integer": "1769850900007", "number": "0.5", "boolean": "true"}
AS_IT_MAY_BE = [
    *(
        '"a"',
        '"caf\\u00e9"',
        '""',
        '"12"',
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-0.0",
        "1",
        "1.0",
        "1e3",
        "0.1",
        "87.5",
    ),
    *("1769850900007", "1.7698509e12", "-62135596800001", "253402300800000", "9223372036854775808", "1e300", "1e400"),
    *("123456789012345678901234567890", "[]", '["a", "b"]', '["a", null]', "[1]", "{}", '{"managerName": "m", "x": 1}'),
    *('{"managerName": null}', '{"managerName": [1]}', "NaN", '"half \\ud83d"', '"nul \\u0000"', '["\\uffff"]'),
]


def one_by_one(rows: RowReader, content: bytes, *, typed: bool) -> tuple[list[object], set[str], set[str]]:
    """What becomes of the rows of a page: rows with their moments, unknown fields, and which classes they had."""
    envelope = envelopes.listing(content)
    assert envelope is not None
    if typed:
        envelope["elements"].typed(rows.typed)
    found: list[object] = []
    classes = set()
    for raw in envelope["elements"]:
        classes.add("typed" if isinstance(raw, TypedRow) else "dict")
        if isinstance(raw, (dict, TypedRow)):
            found += [rows.moment(raw), repr(rows.read(raw))]
    return found, rows.unknown, classes


@pytest.mark.parametrize("name", KINDS)
def test_a_row_that_is_decoded_into_the_types_of_its_schema_becomes_the_row_that_a_dict_becomes(name: str) -> None:
    stream = KINDS[name]
    chance = Random(name)
    fields = {spec["x-source"]: spec for spec in properties(stream) if "x-source" in spec}
    usual = {
        field: AS_IT_SHOULD_BE["integer" if spec.get("x-unit", "").startswith("epoch") else kind]
        for field, spec in fields.items()
        if (kind := spec["type"][0]) in AS_IT_SHOULD_BE
    }
    classes: set[str] = set()
    for _ in range(200):
        page = []
        for _ in range(chance.randint(1, 3)):
            row = [(field, value) for field, value in usual.items() if chance.random() < 0.8]
            for _ in range(chance.choice((0, 0, 1, 1, 3))):
                row.insert(
                    chance.randint(0, len(row)), (chance.choice([*fields] * 3 + ["more"]), chance.choice(AS_IT_MAY_BE))
                )
            page.append("{" + ",".join(f'"{field}":{value}' for field, value in row) + "}")
            page += chance.choices(["[]", "null", '"a"'], k=chance.random() < 0.05)
        content = f'{{"elements":[{",".join(page)}]}}'.encode()
        plain, typed = (RowReader(name, stream.schema, frozenset(), stream.replication_key) for _ in range(2))
        *expected, _ = one_by_one(plain, content, typed=False)
        *found, now = one_by_one(typed, content, typed=True)
        assert found == expected
        classes |= now
    assert classes == {"dict", "typed"}


def test_a_typed_row_is_asked_for_its_fields_like_the_dict_that_it_would_be() -> None:
    rows = reader(a={**TEXT, "x-source": "theA"}, b={**TEXT, "x-source": "theB"})
    raw = rows.typed(Raw(b'{"theA": null, "theB": "x"}'))
    assert (raw.get("theA"), raw.get("theA", "None"), raw.get("theC"), raw.get("theB", "None")) == (
        None,
        "None",
        None,
        "x",
    )
    raw["theA"] = "y"
    assert raw["theA"] == "y"
    assert rows.read(raw) == {"a": "y", "b": "x"}


@given(st.integers() | st.integers(-(10**14), 3 * 10**14))
def test_a_time_is_what_datetime_says(moment: int) -> None:
    try:
        expected = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=moment)
    except OverflowError:
        with pytest.raises(OverflowError):
            rfc3339(moment)
    else:
        assert rfc3339(moment) == expected.isoformat(timespec="milliseconds").replace(".000", "").replace("+00:00", "Z")
