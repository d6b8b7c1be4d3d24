"""Rows sent equal rows loaded, whatever they look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from target_duckdb.errors import LoadError
from target_duckdb.texts import repaired

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.target.conftest import Loader

AWKWARD = [
    *["", " ", "null", "NULL", "true", "0", "-0", "1e5", "007", "NaN", "2026-01-01", "{}", "[1]"],
    *[
        "a,b",
        '"',
        "'",
        '""',
        "\\",
        "\\n",
        "\n",
        "\r\n",
        "\t",
        "\u2028",
        "%s",
        "$1",
        "--",
        ";",
    ],
    *["é", "e\u0301", "\U0001d4b3", "👩‍👩‍👧", "x" * 70_000],
]
TEXT = st.sampled_from(AWKWARD) | st.text(max_size=20).map(repaired)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "integer": INTEGERS,
    "number": NUMBERS,
    "boolean": st.booleans(),
}


@pytest.fixture(scope="module")
def fresh(make_loader: Callable[[Path], Loader], tmp_path_factory: pytest.TempPathFactory) -> Loader:
    """Give a loader whose file a property test may replace for each example."""
    return make_loader(tmp_path_factory.mktemp("rows") / "rows.duckdb")


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Draw columns with awkward names and rows that may lack any of them."""
    names = draw(st.lists(TEXT.filter(lambda name: 0 < len(name) < 99), min_size=1, max_size=4, unique_by=str.lower))
    types = {name: draw(st.sampled_from(sorted(VALUES))) for name in names if "\x00" not in name} or {"only": "string"}
    rows = st.fixed_dictionaries({}, optional={name: st.none() | VALUES[kind] for name, kind in types.items()})
    return types, draw(st.lists(rows, min_size=1, max_size=12))


@settings(max_examples=40, deadline=None)
@given(table=tables(), batch=st.integers(1, 5))
@example(table=({"id": "string", "name": "string"}, [{"id": "id", "name": "name"}, {"id": "1", "name": "a"}]), batch=9)
@example(table=({"id": "integer", "day": "string"}, [{"id": 0, "day": "x"}, {"id": 1, "day": ""}]), batch=1)
@example(table=({"text": "string"}, [{"text": text} for text in AWKWARD]), batch=7)
def test_every_row_of_every_batch_arrives_as_it_was_sent(
    fresh: Loader, table: tuple[dict[str, str], list[dict[str, Any]]], batch: int
) -> None:
    types, rows = table
    fresh.path.unlink(missing_ok=True)
    fresh(fresh.schema("s", dict(types)), *(fresh.record("s", row) for row in rows), batch_size_rows=batch)
    loaded = fresh.rows("SELECT * FROM main.s")
    assert loaded == [tuple(row.get(name) for name in types) for row in rows]


@settings(max_examples=20, deadline=None)
@given(
    keys=st.lists(st.tuples(TEXT | st.none(), st.none() | INTEGERS), min_size=1, max_size=12), batch=st.integers(1, 5)
)
def test_a_table_of_nothing_but_keys_holds_each_key_once(
    fresh: Loader, keys: list[tuple[str | None, int | None]], batch: int
) -> None:
    fresh.path.unlink(missing_ok=True)
    messages = [fresh.schema("k", {"a": "string", "b": "integer"}, ["a", "b"])]
    messages += [fresh.record("k", {"a": a, "b": b}) for a, b in keys]
    fresh(*messages, batch_size_rows=batch)
    fresh(*messages, batch_size_rows=3)
    loaded = fresh.rows("SELECT * FROM main.k")
    assert len(loaded) == len(set(keys))
    assert set(loaded) == set(keys)


def test_of_records_with_the_same_key_the_last_counts_within_and_across_batches(loader: Loader) -> None:
    messages = [loader.record("s", {"id": n % 500, "n": n}) for n in range(20_000)]
    loader(loader.schema("s", {"id": "integer", "n": "integer"}, ["id"]), *messages, batch_size_rows=7_000)
    assert loader.rows("SELECT count(*), count(DISTINCT id), min(n), max(n) FROM s") == [(500, 500, 19_500, 19_999)]


def test_a_record_of_a_former_schema_never_overtakes_a_later_one(loader: Loader) -> None:
    loader(
        loader.schema("s", {"id": "integer", "v": "string"}, ["id"]),
        loader.record("s", {"id": 1, "v": "old"}),
        loader.schema("s", {"id": "integer", "v": "string", "more": "string"}, ["id"]),
        *(loader.record("s", {"id": n, "v": "new"}) for n in (1, 2)),
        batch_size_rows=2,
    )
    assert loader.rows("SELECT id, v FROM s ORDER BY id") == [(1, "new"), (2, "new")]


def test_an_append_keeps_the_order_and_the_duplicates(loader: Loader) -> None:
    messages = [loader.record("s", {"n": n // 2}) for n in range(30_000)]
    loader(loader.schema("s", {"n": "integer"}), *messages)
    assert [n for (n,) in loader.rows("SELECT n FROM s")] == [n // 2 for n in range(30_000)]


def test_a_property_that_an_update_leaves_out_becomes_null(loader: Loader) -> None:
    announced = loader.schema("s", {"id": "integer", "a": "string", "b": "string"}, ["id"])
    loader(announced, loader.record("s", {"id": 1, "a": "x", "b": "y"}))
    loader(announced, loader.record("s", {"id": 1, "a": ""}))
    assert loader.rows("SELECT * FROM s") == [(1, "", None)]


def test_a_column_the_schema_no_longer_has_keeps_its_values(loader: Loader) -> None:
    loader(loader.schema("s", {"id": "integer", "a": "string"}, ["id"]), loader.record("s", {"id": 1, "a": "x"}))
    loader(loader.schema("s", {"id": "integer"}, ["id"]), loader.record("s", {"id": 1}), loader.record("s", {"id": 2}))
    assert loader.rows("SELECT * FROM s ORDER BY id") == [(1, "x"), (2, None)]


def test_a_value_of_sixty_megabytes_arrives(loader: Loader) -> None:
    loader(
        loader.schema("s", {"a": "string"}), loader.record("s", {"a": "ä" * 30_000_000}), loader.record("s", {"a": ""})
    )
    assert loader.rows("SELECT length(a) FROM s") == [(30_000_000,), (0,)]


def test_a_stream_without_records_still_has_its_table(loader: Loader) -> None:
    loader(loader.schema("s", {"id": "integer"}, ["id"]), default_target_schema="raw")
    assert loader.rows("SELECT * FROM raw.s") == []


@pytest.mark.parametrize("stream", ["A-B", "a.b", "Mixed Case", 'qu"ote', "select", "é"])
def test_the_name_of_a_stream_is_the_name_of_its_table(loader: Loader, stream: str) -> None:
    loader(loader.schema(stream, {"Id": "integer"}, ["Id"]), loader.record(stream, {"Id": 1, "ID": 2, "other": 3}))
    assert loader.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'") == [(stream,)]
    assert loader.rows("SELECT column_name FROM duckdb_columns() WHERE NOT internal AND schema_name = 'main'") == [
        ("Id",)
    ]


def test_a_schema_named_like_the_file_is_not_mistaken_for_it(loader: Loader) -> None:
    for _ in range(2):
        loader(loader.schema("s", {"i": "integer"}), loader.record("s", {"i": 1}), default_target_schema="test")
    assert loader.rows("SELECT count(*) FROM test.test.s") == [(2,)]


def test_a_property_may_be_called_like_a_pseudo_column_of_duckdb(loader: Loader) -> None:
    announced = loader.schema("s", {"rowid": "integer", "v": "integer"}, ["v"])
    for _ in range(2):
        loader(announced, *(loader.record("s", {"rowid": 9 - n, "v": n % 2}) for n in range(6)))
    assert loader.rows("SELECT v, s.rowid FROM s ORDER BY v") == [(0, 5), (1, 4)]


def test_the_path_of_the_file_may_look_like_a_pattern_and_a_setting_may_be_null(loader: Loader) -> None:
    loader.path = loader.path.parent / "a [1] *" / "it's.v2.duckdb"
    loader(loader.schema("s", {"i": "integer"}), loader.record("s", {"i": 1}), batch_size_rows=None, lock_timeout=None)
    assert loader.rows("SELECT i FROM s") == [(1,)]


def test_an_overwritten_stream_may_change_its_schema_before_its_first_record(loader: Loader) -> None:
    loader(loader.schema("s", {"id": "integer"}), loader.record("s", {"id": 1}))
    changed = loader.schema("s", {"id": "string", "new": "string"})
    loader(loader.schema("s", {"id": "number"}), changed, loader.record("s", {"id": "a"}), load_method="overwrite")
    assert loader.rows("SELECT id, new FROM s") == [("a", None)]


def test_a_schema_in_another_case_is_the_same_schema(loader: Loader) -> None:
    for name in ("raw", "RAW"):
        loader(loader.schema("s", {"i": "integer"}), loader.record("s", {"i": 1}), default_target_schema=name)
    assert loader.rows("SELECT count(*) FROM raw.s") == [(2,)]


def test_append_only_keeps_every_record_and_overwrite_only_this_run(loader: Loader) -> None:
    messages = [loader.schema("s", {"id": "integer"}, ["id"]), *(loader.record("s", {"id": n % 3}) for n in range(6))]
    loader(*messages, load_method="append-only", batch_size_rows=2)
    loader(*messages, load_method="append-only")
    assert loader.rows("SELECT count(*) FROM s") == [(12,)]
    loader(*messages, load_method="overwrite", batch_size_rows=2)
    assert loader.rows("SELECT * FROM s ORDER BY id") == [(0,), (1,), (2,)]
    loader(loader.schema("s", {"id": "string"}), load_method="overwrite")
    assert loader.rows("SELECT * FROM s") == []
    assert loader.types("s") == {"id": "VARCHAR"}


def test_stream_maps_and_flattening_of_the_sdk_still_work(loader: Loader) -> None:
    nested = {"type": "object", "properties": {"city": {"type": ["string", "null"]}}}
    loader(
        loader.schema("s", {"id": "integer", "at": nested, "secret": "string"}, ["id"]),
        *(loader.record("s", {"id": n, "at": {"city": f"c{n}"}, "secret": "x"}) for n in range(3)),
        stream_maps={"s": {"secret": "__NULL__", "double": "int(id * 2)", "__filter__": "id > 0"}},
        flattening_enabled=True,
        flattening_max_depth=1,
    )
    assert loader.rows("SELECT id, at__city, double FROM s") == [(1, "c1", 2), (2, "c2", 4)]


@pytest.mark.parametrize("indexed", [False, True])
def test_what_a_row_holds_in_columns_that_the_schema_lost_stays_when_it_is_replaced(
    loader: Loader, *, indexed: bool
) -> None:
    wide = loader.schema("s", {"a": "integer", "b": "string", "old": "string", "v": "integer"}, ["a", "b"])
    keys = [(1, "x"), (2, None), (3, "z")]
    loader(wide, *(loader.record("s", {"a": a, "b": b, "old": f"old {a}", "v": 0}) for a, b in keys))
    loader.rows("ALTER TABLE s ADD COLUMN mine VARCHAR DEFAULT 'given'")
    if indexed:
        loader.rows("CREATE UNIQUE INDEX one ON s (a, v)")
    narrow = loader.schema("s", {"a": "integer", "b": "string", "v": "integer"}, ["a", "b"])
    sent = [(2, None, 1), (4, "new", 1), (1, "x", 0), (2, None, 5)]
    loader(narrow, *(loader.record("s", {"a": a, "b": b, "v": v}) for a, b, v in sent), batch_size_rows=9)
    assert loader.rows("SELECT a, b, v, old, mine FROM s ORDER BY a") == [
        (1, "x", 0, "old 1", "given"),
        (2, None, 5, "old 2", "given"),
        (3, "z", 0, "old 3", "given"),
        (4, "new", 1, None, "given"),
    ]


def test_a_misfit_counts_even_in_a_record_that_a_later_one_supersedes(loader: Loader) -> None:
    announced = loader.schema("s", {"id": "integer", "v": "integer"}, ["id"])
    records = [loader.record("s", {"id": 1, "v": value}) for value in ("x", "y", 7)]
    with pytest.raises(LoadError, match=r"^Stream s: 2 values of v in this batch"):
        loader(announced, *records)
    assert loader.rows("SELECT * FROM s") == []


def test_a_batch_larger_than_one_of_duckdbs_row_groups_keeps_order_and_the_last_of_a_key(loader: Loader) -> None:
    rows = (b'{"type":"RECORD","stream":"s","record":{"id":%d,"v":%d}}' % (n % 130_000, n) for n in range(250_000))
    loader(loader.schema("s", {"id": "integer", "v": "integer"}, ["id"]), *rows, batch_size_rows=250_000)
    assert loader.rows("SELECT count(*), count(DISTINCT id), min(v), max(v), sum(v) FROM s") == [
        (130_000, 130_000, 120_000, 249_999, sum(range(120_000, 250_000)))
    ]


def test_blank_lines_between_messages_count_for_nothing(loader: Loader) -> None:
    loader(b"", loader.schema("s", {"id": "integer"}), b"  ", loader.record("s", {"id": 1}), b"\r", b"")
    assert loader.rows("SELECT id FROM s") == [(1,)]
