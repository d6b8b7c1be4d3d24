"""A batch is merged while the next lines are read, and nobody can tell from the outcome."""

from __future__ import annotations

import io
import sys
import threading
import time
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import pytest

from target_duckdb.background import Background
from target_duckdb.database import Database
from target_duckdb.errors import LoadError
from target_duckdb.table import Table
from target_duckdb.target import TargetDuckDB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from target_duckdb.spool import Spool
    from tests.target.conftest import Loader

LONG = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Batches are merged only once this is set."""
    go = threading.Event()
    load = Table.load

    def hold(table: Table, spool: Spool) -> None:
        assert go.wait(20), "the lines after a full batch were not read while it was merged"
        load(table, spool)

    monkeypatch.setattr(Table, "load", hold)
    return go


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Merging takes longer than reading on, so that what does not wait for it comes too early."""
    load = Table.load

    def slowly(table: Table, spool: Spool) -> None:
        time.sleep(0.1)
        load(table, spool)

    monkeypatch.setattr(Table, "load", slowly)


def rows(loader: Loader, *ids: int, v: str = "x") -> list[dict[str, Any]]:
    return [loader.record("s", {"id": n, "v": v}) for n in ids]


def announced(loader: Loader) -> dict[str, Any]:
    return loader.schema("s", {"id": "integer", "v": "string"}, ["id"])


def fed(loader: Loader, lines: Callable[[], Iterator[bytes]], **config: Any) -> str:
    """Load lines as they come, and return what is passed on."""
    target = TargetDuckDB(config={"filepath": str(loader.path), **config})
    with redirect_stdout(io.StringIO()) as out:
        try:
            target.process_lines(lines())  # type: ignore[arg-type]  # it only iterates
            target.process_endofpipe()
        finally:
            target.database.close()
    return out.getvalue()


@pytest.mark.parametrize("usual", [True, False])
def test_lines_are_read_while_a_batch_is_merged_and_no_state_overtakes_it(
    loader: Loader, held: threading.Event, *, usual: bool
) -> None:
    seen: list[Any] = []

    def lines() -> Iterator[bytes]:
        yield loader.lines(announced(loader))
        for message in [*rows(loader, 1, 2), loader.state({"n": 2}), *rows(loader, 3)]:
            yield loader.lines(message)
        assert isinstance(sys.stdout, io.StringIO)
        seen.append(sys.stdout.getvalue())
        seen.append([path.suffix for path in loader.path.parent.glob("*loading*/*")])
        held.set()
        yield loader.lines(loader.state({"n": 3}))

    out = fed(loader, lines, batch_size_rows=2, validate_records=not usual)
    assert seen == ["", [".ndjson"]]
    assert out == '{"n":2}\n{"n":3}\n'
    assert loader.rows("SELECT id FROM s ORDER BY id") == [(1,), (2,), (3,)]


def test_never_are_two_batches_merged_at_a_time_and_no_more_than_two_wait(
    loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, running, most = Table.load, 0, [0, 0]

    def watched(table: Table, spool: Spool) -> None:
        nonlocal running
        running += 1
        time.sleep(0.02)
        most[0] = max(most[0], running)
        most[1] = max(most[1], len(list(spool.path.parent.glob("*.ndjson"))))
        load(table, spool)
        running -= 1

    monkeypatch.setattr(Table, "load", watched)
    loader(announced(loader), *rows(loader, *range(200)), batch_size_rows=10)
    assert most[0] == 1
    assert most[1] <= 2
    assert loader.rows("SELECT count(*) FROM s") == [(200,)]


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("turns", ["c", "abc"])
@pytest.mark.parametrize("method", ["upsert", "overwrite"])
def test_batches_of_a_stream_go_in_in_their_order(loader: Loader, method: str, turns: str) -> None:
    loader(announced(loader), *rows(loader, 7))
    batches = [row for turn in turns for row in rows(loader, 1, 2, v=turn)]
    loader(announced(loader), *batches, batch_size_rows=2, load_method=method)
    assert loader.rows("SELECT id, v FROM s WHERE id < 7 ORDER BY id") == [(1, "c"), (2, "c")]
    assert loader.rows("SELECT count(*) FROM s") == [(3 if method == "upsert" else 2,)]


@pytest.mark.usefixtures("slow")
def test_a_schema_right_after_a_full_batch_finds_its_rows(loader: Loader) -> None:
    wider = loader.schema("s", {"id": "number", "v": "string", "more": "string"}, ["id"])
    late = loader.record("s", {"id": 1.5, "v": "y", "more": "z"})
    loader(announced(loader), *rows(loader, 1, 2), wider, late, *rows(loader, 2, v="new"), batch_size_rows=2)
    assert loader.rows("SELECT * FROM s ORDER BY id") == [(1.0, "x", None), (1.5, "y", "z"), (2.0, "new", None)]


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("hard", [True, False])
def test_a_version_right_after_a_full_batch_finds_its_rows(loader: Loader, *, hard: bool) -> None:
    first = [loader.record("s", {"id": n, "v": "x"}) for n in (1, 2)]
    second = [loader.record("s", {"id": n, "v": "x"}, version=5) for n in (2, 3)]
    loader(announced(loader), *first, *second, loader.activate("s", 5), batch_size_rows=2, hard_delete=hard)
    kept = "SELECT id FROM s WHERE _sdc_deleted_at IS NULL ORDER BY id"
    assert loader.rows(kept) == [(2,), (3,)]
    assert loader.rows("SELECT count(*) FROM s") == [(2 if hard else 3,)]


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize(
    "after",
    [
        [],
        [b"{"],
        [b'{"type":"STATE","value":{"n":2}}'],
        [b'{"type":"RECORD","stream":"s","record":{"id":5,"v":"x"}}'] * 4,
        [b'{"type":"SCHEMA","stream":"t","schema":{"properties":{"id":{"type":"integer"}}},"key_properties":[]}'],
        [b'{"type":"ACTIVATE_VERSION","stream":"s","version":3}'],
    ],
)
def test_what_fails_in_the_background_is_told_whatever_comes_next(loader: Loader, after: list[bytes]) -> None:
    out = io.StringIO()
    bad = [*rows(loader, 3), loader.record("s", {"id": "secret", "v": "x"})]
    messages: list[Any] = [announced(loader), *rows(loader, 1, 2), loader.state({"n": 1}), *bad, *after]
    with (
        redirect_stdout(out),
        pytest.raises(LoadError, match=r"^Stream s: 1 value of id in this batch cannot be stored exactly as BIGINT: "),
    ):
        loader(*messages, batch_size_rows=2)
    assert out.getvalue() == '{"n":1}\n'
    assert loader.rows("SELECT id FROM s ORDER BY id") == [(1,), (2,)]
    assert loader.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'") == [("s",)]


@pytest.mark.usefixtures("slow")
def test_a_line_that_breaks_the_rules_takes_nothing_from_the_batch_before_it(loader: Loader) -> None:
    out = io.StringIO()
    with redirect_stdout(out), pytest.raises(LoadError, match=r"^Line 5 of the input is not valid JSON"):
        loader(announced(loader), *rows(loader, 1, 2), loader.state({"n": 1}), b"{", batch_size_rows=2)
    assert out.getvalue() == '{"n":1}\n'
    assert loader.rows("SELECT id FROM s ORDER BY id") == [(1,), (2,)]


def test_what_is_left_of_a_stream_is_merged_when_the_next_begins(loader: Loader, held: threading.Event) -> None:
    def lines() -> Iterator[bytes]:
        yield loader.lines(announced(loader))
        yield loader.lines(*rows(loader, 1))
        yield loader.lines(loader.schema("t", {"id": "integer"}))
        yield loader.lines(loader.record("t", {"id": 1}))
        held.set()
        yield loader.lines(loader.state({"n": 1}))

    assert fed(loader, lines) == '{"n":1}\n'
    assert loader.rows("SELECT (SELECT count(*) FROM s), (SELECT count(*) FROM t)") == [(1, 1)]


def test_a_merge_that_is_stopped_ends_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    background = Background()
    database = Database(tmp_path / "x.duckdb", 0, background)
    begun = threading.Event()

    def job() -> None:
        with database.transaction("load"):
            database.fetch("CREATE TABLE half AS SELECT 1")
            begun.set()
            database.fetch(LONG)

    background.start(job)
    background.start(lambda: pytest.fail("a job went on after one that failed"))
    assert begun.wait(20)
    time.sleep(0.05)
    database.stop()
    begun_at = time.monotonic()
    with pytest.raises(LoadError):
        background.wait()
    assert time.monotonic() - begun_at < 20
    database.close()
    database.stop()  # a signal that comes late
    assert not list(tmp_path.glob("*loading*"))
    with pytest.raises(LoadError):
        database.take_turn()
    other = Database(tmp_path / "x.duckdb", 0, Background())
    assert other.fetch("SELECT * FROM duckdb_tables()") == []
    other.close()
