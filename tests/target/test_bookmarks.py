"""A file remembers how far its rows go: a state that is ahead of it is refused, every other one is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_duckdb.bookmarks import Bookmarks
from target_duckdb.errors import LoadError

if TYPE_CHECKING:
    from tests.target.conftest import Loader

AHEAD = (
    r"^The tap goes on from a later bookmark of stream s than .*test\.duckdb was loaded up to.*run --full-refresh\)\.$"
)


def bookmark(value: Any, program: str | None = None) -> dict[str, Any]:
    """A tap's state with a bookmark of the stream s, or of one of its partitions."""
    part = {"replication_key": "at", "replication_key_value": value}
    if program is None:
        return {"bookmarks": {"s": part}}
    return {"bookmarks": {"s": {"partitions": [{"context": {"program_id": program}, **part}]}}}


def run(loader: Loader, given: Any, reached: Any, *ids: int) -> None:
    """A tap that is given a state, sends rows and says how far it got."""
    loader(
        loader.state(given),
        loader.schema("s", {"id": "integer"}, ["id"]),
        *(loader.record("s", {"id": one}) for one in ids),
        loader.state(reached),
    )


def ids(loader: Loader) -> list[int]:
    return [one for (one,) in loader.rows("SELECT id FROM s ORDER BY id")]


@pytest.mark.parametrize(
    ("first", "second", "third"),
    [
        ("2026-03-01T06:00:00Z", "2026-03-02T06:00:00Z", "2026-03-03T06:00:00Z"),
        ("2026-03-02T01:00:00+05:00", "2026-03-01T22:00:00Z", "2026-03-01T23:00:00Z"),  # by time, not by letter
        ("2026-03-01", "2026-03-02", "2026-03-02T00:00:00.000001Z"),
        (9, 10, 11),
        (9.5, 10, 10.5),
        ("a", "b", "c"),
    ],
)
def test_a_file_that_was_left_behind_is_not_gone_on_with(loader: Loader, first: Any, second: Any, third: Any) -> None:
    run(loader, {}, bookmark(first), 1)
    left_behind = loader.path.read_bytes()
    run(loader, bookmark(first), bookmark(second), 2)
    run(loader, bookmark(second), bookmark(third), 3)
    loaded = loader.path.read_bytes()

    loader.path.write_bytes(left_behind)
    with pytest.raises(LoadError, match=AHEAD):
        run(loader, bookmark(third), bookmark(third), 4)
    with pytest.raises(LoadError, match=AHEAD):
        run(loader, bookmark(second), bookmark(third), 3)
    assert ids(loader) == [1]

    loader.path.write_bytes(loaded)
    run(loader, bookmark(third), bookmark(third), 4)
    assert ids(loader) == [1, 2, 3, 4]


SHAPES: dict[str, Any] = {
    "of a report": lambda at: {"bookmarks": {"s": {"replication_key_value": 1, "report_updated_at": at}}},
    "of a report and nothing else": lambda at: {"bookmarks": {"s": {"report_updated_at": at}}},
    "of a report in a partition": lambda at: {
        "bookmarks": {"s": {"partitions": [{"context": {"p": 1}, "replication_key_value": 1, "as_of": at}]}}
    },
    "by repository, as tap-github": lambda at: {"bookmarks": {"org/repository": {"s": {"since": at}}}},
    "of a log, as tap-postgres": lambda at: {"bookmarks": {"s": {"last_replication_method": "LOG_BASED", "lsn": at}}},
    "flat": lambda at: {"s": at},
    "deep inside": lambda at: {"bookmarks": {"s": {"cursor": {"region": {"eu": at}}}}},
}
PLACES = [
    ("2026-03-01T06:00:00Z", "2026-03-02T06:00:00Z", "2026-03-03T06:00:00Z"),
    (7, 8, 9),
]


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_bookmark_of_a_stream_is_compared(loader: Loader, shape: str, places: tuple[Any, ...]) -> None:
    first, second, third = map(SHAPES[shape], places)
    run(loader, {}, first, 1)
    left_behind = loader.path.read_bytes()
    run(loader, first, second, 2)
    loaded = loader.path.read_bytes()
    loader.path.write_bytes(left_behind)
    for ahead in (second, third):
        with pytest.raises(LoadError, match=AHEAD):
            run(loader, ahead, third, 3)
    assert ids(loader) == [1]
    loader.path.write_bytes(loaded)
    run(loader, first, second, 2)
    run(loader, second, third, 3)
    assert ids(loader) == [1, 2, 3]


def test_a_cursor_that_only_the_tap_understands_has_to_be_one_that_the_file_has_seen(loader: Loader) -> None:
    states = [{"bookmarks": {"s": {"replication_key_value": token}}} for token in ("x9f", "b07", "k11")]
    run(loader, {}, states[0], 1)
    left_behind = loader.path.read_bytes()
    run(loader, states[0], states[1], 2)
    run(loader, states[0], states[1], 2)  # an older state is one that it knows
    run(loader, states[1], states[2], 3)
    loader.path.write_bytes(left_behind)
    with pytest.raises(LoadError, match=AHEAD):
        run(loader, states[2], states[2], 4)


def test_a_backup_from_before_the_first_bookmark_is_told_too(loader: Loader) -> None:
    run(loader, {}, {}, 1)
    left_behind = loader.path.read_bytes()
    run(loader, {}, bookmark(5), 2)
    loader.path.write_bytes(left_behind)
    with pytest.raises(LoadError, match=AHEAD):
        run(loader, bookmark(5), bookmark(6), 3)


def test_a_backup_of_a_release_that_noted_nothing_is_told_by_the_stream_of_reads(loader: Loader) -> None:
    """As tap-coursera's state has it: what the report of a stream goes up to, and the clocks of `stream_reads`."""
    reads = loader.schema("stream_reads", {"stream": "string"}, ["stream"])
    announced = loader.schema("s", {"id": "integer"}, ["id"])
    loader(announced, loader.record("s", {"id": 1}))
    for table in loader.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'target_duckdb'"):
        loader.rows(f"DROP TABLE target_duckdb.{table[0]}")
    backup = loader.path.read_bytes()
    states = [
        loader.state(
            {
                "bookmarks": {
                    "s": {"report_updated_at": f"2026-03-0{day}T06:00:00Z"},
                    "stream_reads": {"clocks": {"machine": day, "api": day}},
                }
            }
        )
        for day in (1, 2)
    ]
    loader(announced, reads, loader.record("stream_reads", {"stream": "s"}), states[0])
    loader(states[0], announced, reads, states[1])
    loader.path.write_bytes(backup)
    for _ in range(2):
        with pytest.raises(LoadError, match=r"stream_reads, but .* has no table with what came before it"):
            loader(states[1], announced, reads, states[1])


def test_versions_of_full_reads_are_no_bookmarks(loader: Loader) -> None:
    run(loader, {}, {"bookmarks": {"s": {"version": 5}}}, 1)
    run(loader, {"bookmarks": {"s": {"version": 9, "last_version": 9}}}, {}, 2)
    assert ids(loader) == [1, 2]


def test_a_stream_that_moves_without_being_announced_is_followed(loader: Loader) -> None:
    other = (loader.schema("other", {"id": "integer"}, ["id"]), loader.record("other", {"id": 1}))
    run(loader, {}, bookmark(1), 1)
    loader(loader.state(bookmark(1)), *other, loader.state(bookmark(3)))
    run(loader, bookmark(3), bookmark(4), 2)
    assert ids(loader) == [1, 2]


def test_what_an_earlier_release_remembered_is_taken_over(loader: Loader) -> None:
    run(loader, {}, {}, 1)
    loader.rows("DROP TABLE target_duckdb.states")
    loader.rows(
        "CREATE TABLE target_duckdb.bookmarks "
        "(target_schema VARCHAR, stream VARCHAR, partition VARCHAR, replication_key_value JSON)"
    )
    context = '{"program_id": "P1"}'
    loader.rows("INSERT INTO target_duckdb.bookmarks VALUES ('main', 's', ?, '5')", context)
    now = bookmark(5, "P1")
    now["bookmarks"]["s"]["partitions"][0]["report_updated_at"] = "2026-03-01T06:00:00Z"
    taken = loader.path.read_bytes()
    with pytest.raises(LoadError, match=AHEAD):
        run(loader, bookmark(6, "P1"), {}, 2)
    loader.path.write_bytes(taken)
    run(loader, now, now, 2)
    now["bookmarks"]["s"]["partitions"][0]["report_updated_at"] = "2026-03-02T06:00:00Z"
    with pytest.raises(LoadError, match=AHEAD):
        run(loader, now, now, 3)


def test_a_state_that_is_behind_the_file_brings_some_rows_again(loader: Loader) -> None:
    run(loader, {}, bookmark(5), 1, 2)
    run(loader, bookmark(3), bookmark(4), 2)
    run(loader, bookmark(5), bookmark(6), 3)  # the file knows still that it went to 5
    assert ids(loader) == [1, 2, 3]


def test_reading_everything_again_mends_a_file_that_was_left_behind(loader: Loader) -> None:
    run(loader, {}, bookmark(1), 1)
    with pytest.raises(LoadError, match=AHEAD):
        run(loader, bookmark(3), bookmark(3), 4)
    run(loader, {}, bookmark(4), 1, 2, 3, 4)
    run(loader, bookmark(4), bookmark(5), 5)
    assert ids(loader) == [1, 2, 3, 4, 5]


def test_each_partition_counts_by_itself_and_one_that_the_file_never_saw_is_ahead_of_it(loader: Loader) -> None:
    run(loader, {}, bookmark(5, "P1"), 1)
    run(loader, bookmark(5, "P1"), bookmark(3, "P2"), 2)
    run(loader, bookmark(3, "P2"), bookmark(4, "P2"), 3)
    with pytest.raises(LoadError, match=AHEAD):
        run(loader, bookmark(5, "P2"), bookmark(5, "P2"), 4)
    with pytest.raises(LoadError, match=AHEAD):
        run(loader, bookmark(1, "P3"), bookmark(1, "P3"), 4)


def test_a_file_of_an_earlier_release_is_taken_as_it_is_and_remembers_from_then_on(loader: Loader) -> None:
    run(loader, {}, bookmark(1), 1)
    loader.rows("DROP SCHEMA target_duckdb CASCADE")
    run(loader, bookmark(3), bookmark(4), 2)
    with pytest.raises(LoadError, match=AHEAD):
        run(loader, bookmark(5), bookmark(5), 3)


def test_a_state_passed_on_for_another_stream_tells_nothing_of_a_stream_that_is_not_loaded(loader: Loader) -> None:
    run(loader, {}, bookmark(1), 1)
    left_behind = bookmark(3)
    loader(
        loader.state(left_behind),
        loader.schema("other", {"id": "integer"}, ["id"]),
        loader.record("other", {"id": 1}),
        loader.state({"bookmarks": {**left_behind["bookmarks"], "other": {"replication_key_value": 1}}}),
    )
    with pytest.raises(LoadError, match=AHEAD):
        run(loader, left_behind, left_behind, 4)


def test_a_table_that_was_dropped_takes_its_bookmarks_with_it(loader: Loader) -> None:
    run(loader, {}, bookmark(9, "P1"), 1)
    loader.rows("DROP TABLE s")
    run(loader, {}, bookmark(2, "P2"), 2)
    with pytest.raises(LoadError, match=AHEAD):
        run(loader, bookmark(9, "P1"), bookmark(9, "P1"), 3)


def test_a_key_of_another_kind_is_not_compared(loader: Loader) -> None:
    run(loader, {}, bookmark(9), 1)
    run(loader, bookmark("2026-03-01"), bookmark("2026-03-02"), 2)
    with pytest.raises(LoadError, match=AHEAD):
        run(loader, bookmark("2026-03-03"), bookmark("2026-03-03"), 3)


def test_each_schema_of_a_file_has_bookmarks_of_its_own(loader: Loader) -> None:
    run(loader, {}, bookmark(9), 1)
    loader.config = {"default_target_schema": "other"}
    run(loader, {}, bookmark(2), 1)
    with pytest.raises(LoadError, match=AHEAD):
        run(loader, bookmark(9), bookmark(9), 2)


def test_a_state_that_the_file_could_not_note_is_not_passed_on(
    loader: Loader, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_self: Bookmarks, _state: Any) -> None:
        raise LoadError("There is no room.")

    monkeypatch.setattr(Bookmarks, "remember", fails)
    with pytest.raises(LoadError, match="There is no room"):
        run(loader, {}, bookmark(1), 1)
    assert capsys.readouterr().out == ""
