"""Names, times and types of rows."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_coursera.errors import TapError
from tap_coursera.records import RowReader, milliseconds, rfc3339
from tap_coursera.tap import TapCoursera

if TYPE_CHECKING:
    from collections.abc import Callable

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


def test_changed_at_is_the_newest_time_of_the_row_or_null() -> None:
    rows = reader(changed_at={**TEXT, "x-newest-of": ["enrolledAt", "deletedAt"]})
    assert rows.read({"enrolledAt": 1000, "deletedAt": 61000})["changed_at"] == "1970-01-01T00:01:01Z"
    assert rows.read({"deletedAt": None})["changed_at"] is None


LIST = {"type": ["array", "null"], "items": TEXT}


@pytest.mark.parametrize(
    ("spec", "value"),
    [(TIME, "yesterday"), (TIME, [1]), (TIME, 1e300), (TEXT, {"a": 1}), (LIST, "yesterday"), (LIST, {"a": 1})],
)
def test_a_value_that_cannot_be_is_an_error_that_names_the_field_and_not_the_value(
    spec: dict[str, Any], value: Any
) -> None:
    with pytest.raises(TapError, match="field x of things") as caught:
        reader(x={**spec, "x-source": "x"}).read({"x": value})
    assert str(value) not in str(caught.value)


@pytest.mark.parametrize("value", ["2026-01-31T09:15:00Z", [1], float("inf")])
def test_a_time_that_is_none_is_an_error_also_when_the_newest_is_looked_for(value: object) -> None:
    rows = reader(changed_at={**TEXT, "x-newest-of": ["enrolledAt"]})
    with pytest.raises(TapError, match="field enrolledAt of things"):
        rows.moment({"enrolledAt": value})


NASTY = [
    *(None, "a", "", "12", "0.5", "1769850900000", 1, 0, -1, 1.5, 87.0, True, False, 10**30, 1e300, float("inf")),
    *([], ["a", None, 3], [[1]], {}, {"managerName": 3}, [{"skillId": 1}], 1769850900007),
    *(-62135596800001, -62135596800000, 253402300799999, 253402300800000),
]
"""Values of every kind, and the first and the last moments that have a date."""


STREAMS = list(TapCoursera(config={"client_id": "i", "client_secret": "s", "org_id": "o"}).streams.values())


def read_either_way(read: Callable[[Any, Any], Any], raw: Any, outer: Any) -> tuple[str, str]:
    try:
        return "row", repr(read(raw, outer))
    except TapError as error:
        return "error", str(error)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_what_is_written_down_once_does_what_the_loop_does(stream: CourseraStream) -> None:
    chance = Random(stream.name)
    outcomes: set[str] = set()
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
            for raw, outer in ((row, around), (row, None), (around, row), ("row", around), (row, "row")):
                outcome = read_either_way(rows._by_loop, raw, outer)
                assert read_either_way(rows.read, raw, outer) == outcome
                outcomes.add(outcome[0])
    assert outcomes == {"row", "error"}


@given(st.integers() | st.integers(-(10**14), 3 * 10**14))
def test_a_time_is_what_datetime_says(moment: int) -> None:
    try:
        expected = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=moment)
    except OverflowError:
        with pytest.raises(OverflowError):
            rfc3339(moment)
    else:
        assert rfc3339(moment) == expected.isoformat(timespec="milliseconds").replace(".000", "").replace("+00:00", "Z")
