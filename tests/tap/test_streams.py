"""Streams against the sandbox: every row, once; day after day; and what a run says about rows that are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from tap_coursera import streams
from tap_coursera.errors import TapError
from tap_coursera.records import milliseconds
from tap_coursera.tap import STREAMS

if TYPE_CHECKING:
    from coursera_sandbox.testing import RunningSandbox
    from tests.tap.conftest import Json, Output, ReadTap

KEYS = {stream.name: cast("tuple[str, ...]", stream.primary_keys) for stream in STREAMS}
REPORTS = ("enrollments", "course_grades", "item_grades")
GRADES = ("course_grades", "item_grades")


def table(stream: str, rows: list[Json]) -> dict[tuple[Any, ...], Json]:
    """Rows as a loader keeps them; fails on a null key."""
    found = {tuple(row[key] for key in KEYS[stream]): row for row in rows}
    assert all(None not in key for key in found)
    return found


def own_values(rows: dict[tuple[Any, ...], Json]) -> dict[tuple[Any, ...], Json]:
    """Rows without the report's refresh time."""
    return {key: {name: value for name, value in row.items() if name != "updated_at"} for key, row in rows.items()}


def test_every_row_that_is_served_is_written_exactly_once(sandbox: RunningSandbox, read_tap: ReadTap) -> None:
    output = read_tap(sandbox.tap_config | {"page_size": 17})
    programs = sandbox.all("/programs", excludeContent=False)
    members, invited, enrolled, graded = ([] for _ in range(4))
    for program in programs:
        members += sandbox.all(f"/programs/{program['id']}/memberships")
        invited += sandbox.all(f"/programs/{program['id']}/invitations")
        report = {"programId": program["id"], "includeDeletedMembers": True}
        enrolled += sandbox.all("/enrollmentReports", q="byProgramId", **report)
        graded += sandbox.all("/courseGradebookReports", q="search", **report)
    served: dict[str, list[tuple[Any, ...]]] = {
        "organizations": [(sandbox.org_id,)],
        "programs": [(p["id"],) for p in programs],
        "program_contents": [(p["id"], c["contentType"], c["contentId"]) for p in programs for c in p["contentIds"]],
        "users": [(u["id"],) for u in sandbox.all("/users")],
        "contents": [(c["id"],) for c in sandbox.all("/contents")],
        "program_memberships": [(m["id"],) for m in members],
        "program_invitations": [(m["id"],) for m in invited],
        "enrollments": [(e["programId"], e["id"]) for e in enrolled],
        "course_grades": [(g["programId"], g["id"]) for g in graded],
        "item_grades": [
            (g["programId"], g["externalId"], g["courseId"], i["itemId"]) for g in graded for i in g["itemGradebooks"]
        ],
    }
    assert served.keys() == KEYS.keys()
    for stream, keys in served.items():
        rows = output.records(stream)
        assert len(rows) == len(keys) > 0, stream
        assert table(stream, rows).keys() == set(keys), stream


@pytest.mark.parametrize("streams_read", [REPORTS, ("item_grades",), ("course_grades",)])
def test_days_of_incremental_runs_equal_one_full_run_on_the_last_day(
    moving_sandbox: RunningSandbox, read_tap: ReadTap, streams_read: tuple[str, ...]
) -> None:
    kept: dict[str, dict[tuple[Any, ...], Json]] = {stream: {} for stream in streams_read}
    state: Json = {}
    first: Output | None = None
    for _ in range(4):
        output = read_tap(moving_sandbox.tap_config, select=streams_read, state=state)
        state = output.state
        first = first or output
        for stream in streams_read:
            kept[stream] |= table(stream, output.records(stream))
        moving_sandbox.advance(days=1)
    last = read_tap(moving_sandbox.tap_config, select=streams_read, state=state)
    assert first is not None
    full = read_tap(moving_sandbox.tap_config, select=streams_read)
    for stream in streams_read:
        assert len(last.records(stream)) < len(full.records(stream)) / 2, "an incremental run writes only what changed"
        kept[stream] |= table(stream, last.records(stream))
        now = table(stream, full.records(stream))
        alive = {key: row for key, row in now.items() if row.get("membership_state") != "DELETED_MEMBER"}
        have = own_values(kept[stream])
        assert own_values(alive) == {key: have[key] for key in alive}
        assert now.keys() <= kept[stream].keys()


def test_bookmarks_are_the_newest_change_of_each_program_and_no_clock(
    sandbox: RunningSandbox, read_tap: ReadTap
) -> None:
    output = read_tap(sandbox.tap_config, select=REPORTS)
    for stream in REPORTS:
        newest: dict[str, int] = {}
        for row in output.records(stream):
            moment = milliseconds(row["changed_at"])
            newest[row["program_id"]] = max(moment, newest.get(row["program_id"], 0))
        partitions = output.state["bookmarks"][stream]["partitions"]
        marked = {
            one["context"]["program_id"]: milliseconds(one["replication_key_value"])
            for one in partitions
            if "replication_key_value" in one
        }
        assert marked == newest
        known = {"context", "replication_key", "replication_key_value"}
        known |= {"program_name"} if stream == "enrollments" else set()
        assert all(set(one) <= known for one in partitions)


def test_bookmarks_never_move_backwards(sandbox: RunningSandbox, read_tap: ReadTap) -> None:
    program = sandbox.all("/programs", excludeContent=True)[0]["id"]
    mark = {"replication_key": "changed_at", "replication_key_value": "2031-01-01T00:00:00Z"}
    state = {"bookmarks": {name: {"partitions": [{"context": {"program_id": program}, **mark}]} for name in REPORTS}}
    output = read_tap(
        sandbox.tap_config | {"grade_sync": "full", "program_ids": [program]}, select=REPORTS, state=state
    )
    assert output.records("course_grades")
    for name in REPORTS:
        (partition,) = output.state["bookmarks"][name]["partitions"]
        assert {key: partition[key] for key in mark} == mark


def test_no_bookmark_is_ahead_of_what_was_written(sandbox: RunningSandbox, read_tap: ReadTap) -> None:
    output = read_tap(sandbox.tap_config | {"page_size": 20}, select=REPORTS)
    written = dict.fromkeys(REPORTS, 0)
    for message in output.messages:
        if message["type"] == "RECORD":
            written[message["stream"]] = max(written[message["stream"]], milliseconds(message["record"]["changed_at"]))
        for name, bookmark in message.get("value", {}).get("bookmarks", {}).items():
            for partition in bookmark.get("partitions", []):
                if name in REPORTS and "replication_key_value" in partition:
                    assert milliseconds(partition["replication_key_value"]) <= written[name]


def test_the_look_back_reads_again_what_may_have_come_late(sandbox: RunningSandbox, read_tap: ReadTap) -> None:
    state = read_tap(sandbox.tap_config, select=REPORTS).state
    counts = []
    for hours in (0, 72, 24 * 30):
        output = read_tap(sandbox.tap_config | {"report_lag_hours": hours}, select=REPORTS, state=state)
        counts.append([len(output.records(name)) for name in REPORTS])
    assert counts[0] < counts[1] < counts[2]
    assert all(count > 0 for count in counts[0]), "rows of the bookmark's own moment are always read again"


def test_an_incremental_run_shows_a_row_that_several_filters_find_once(
    sandbox: RunningSandbox, read_tap: ReadTap
) -> None:
    state = read_tap(sandbox.tap_config, select=["enrollments"]).state
    rows = read_tap(sandbox.tap_config | {"report_lag_hours": 8760}, select=["enrollments"], state=state).records(
        "enrollments"
    )
    assert len(rows) == len(table("enrollments", rows)) > 0


def test_start_date_limits_the_first_read_only(moving_sandbox: RunningSandbox, read_tap: ReadTap) -> None:
    config = moving_sandbox.tap_config | {"start_date": "2026-01-15"}
    output = read_tap(config, select=REPORTS)
    everything = read_tap(moving_sandbox.tap_config, select=REPORTS)
    for stream in GRADES:
        start = milliseconds("2026-01-15")
        expected = [row for row in everything.records(stream) if milliseconds(row["changed_at"]) >= start]
        assert table(stream, output.records(stream)) == table(stream, expected)
        assert 0 < len(expected) < len(everything.records(stream))
    # Coursera's filters do not see deletions, so a row that only was deleted since then stays out.
    found = table("enrollments", output.records("enrollments"))
    for key, row in table("enrollments", everything.records("enrollments")).items():
        times = [row["enrolled_at"], row["last_activity_at"], row["completed_at"]]
        assert (key in found) == any(time and milliseconds(time) >= start for time in times)
    moving_sandbox.advance(days=1)
    later = read_tap(config | {"start_date": "2030-01-01"}, select=REPORTS, state=output.state)
    assert all(later.records(stream) for stream in REPORTS)


def test_grade_sync_full_writes_all_grades_again(sandbox: RunningSandbox, read_tap: ReadTap) -> None:
    first = read_tap(sandbox.tap_config, select=GRADES)
    again = read_tap(sandbox.tap_config | {"grade_sync": "full"}, select=GRADES, state=first.state)
    changed = read_tap(sandbox.tap_config, select=GRADES, state=first.state)
    for stream in GRADES:
        assert len(again.records(stream)) == len(first.records(stream)) > len(changed.records(stream))


def test_both_grade_streams_come_from_the_same_requests(sandbox: RunningSandbox, read_tap: ReadTap) -> None:
    cost = []
    for chosen in (["course_grades"], ["item_grades"], GRADES):
        sandbox.reset_requests()
        output = read_tap(sandbox.tap_config, select=chosen)
        assert all(output.records(stream) for stream in chosen)
        cost.append(sandbox.requests()["routes"])
    assert cost[0] == cost[1] == cost[2]


def test_streams_that_are_not_selected_cost_no_request(sandbox: RunningSandbox, read_tap: ReadTap) -> None:
    sandbox.reset_requests()
    read_tap(sandbox.tap_config, select=["users"])
    assert set(sandbox.requests()["routes"]) == {"token", "users"}
    sandbox.reset_requests()
    assert read_tap(sandbox.tap_config, select=[]).of("RECORD") == []
    assert sandbox.requests()["total"] == 0


def test_program_ids_limit_everything_below_programs(sandbox: RunningSandbox, read_tap: ReadTap) -> None:
    chosen = [row["id"] for row in sandbox.all("/programs", excludeContent=True)[:2]]
    output = read_tap(sandbox.tap_config | {"program_ids": chosen})
    assert {row["id"] for row in output.records("programs")} == set(chosen)
    for stream in ("program_contents", "program_memberships", *REPORTS):
        assert {row["program_id"] for row in output.records(stream)} == set(chosen)


def test_a_slug_among_program_ids_is_an_error_that_says_so(sandbox: RunningSandbox, read_tap: ReadTap) -> None:
    output = type(read_tap(sandbox.tap_config, select=[]))()
    with pytest.raises(TapError, match="learning-program-uzmjj: program_ids takes program ids, not names or slugs"):
        read_tap(
            sandbox.tap_config | {"program_ids": ["learning-program-uzmjj"], "emit_activate_version_messages": True},
            select=["programs"],
            into=output,
        )
    assert output.activated() == set()


def test_a_version_is_activated_after_the_last_row_of_a_complete_stream(
    sandbox: RunningSandbox, read_tap: ReadTap
) -> None:
    output = read_tap(sandbox.tap_config | {"emit_activate_version_messages": True})
    assert output.activated() == KEYS.keys() - set(REPORTS)
    for stream in output.activated():
        kinds = [message["type"] for message in output.messages if message.get("stream") == stream]
        assert kinds[0] == "SCHEMA"
        assert kinds.count("SCHEMA") == kinds.count("ACTIVATE_VERSION") == 1
        assert kinds[-1] == "ACTIVATE_VERSION"
        versions = {m["version"] for m in output.messages if m.get("stream") == stream and m["type"] != "SCHEMA"}
        assert len(versions) == 1
    assert all("version" not in message for stream in REPORTS for message in output.of("RECORD", stream))


def test_a_full_reconcile_run_activates_reports_too_and_reads_all_of_them(
    moving_sandbox: RunningSandbox, read_tap: ReadTap
) -> None:
    state = read_tap(moving_sandbox.tap_config, select=REPORTS).state
    moving_sandbox.advance(days=2)
    config = moving_sandbox.tap_config | {"emit_activate_version_messages": True}
    output = read_tap(config, state=state, full=True)
    assert output.activated() == set(KEYS)
    fresh = read_tap(moving_sandbox.tap_config, select=REPORTS)
    for stream in REPORTS:
        assert len(output.records(stream)) == len(fresh.records(stream))
        assert all(message["version"] for message in output.of("RECORD", stream))


def test_nothing_is_activated_unless_asked_for(sandbox: RunningSandbox, read_tap: ReadTap) -> None:
    output = read_tap(sandbox.tap_config, select=["users"])
    assert output.activated() == set()
    assert all("version" not in message for message in output.of("RECORD"))


def test_a_stream_that_came_back_empty_is_activated_after_its_schema(
    sandbox: RunningSandbox, read_tap: ReadTap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams.Programs, "raw_rows", lambda *_: iter(()))
    output = read_tap(
        sandbox.tap_config | {"emit_activate_version_messages": True}, select=["programs", *REPORTS], full=True
    )
    assert output.of("RECORD") == []
    for stream in ("programs", *REPORTS):
        kinds = [message["type"] for message in output.messages if message.get("stream") == stream]
        assert kinds == ["SCHEMA", "ACTIVATE_VERSION"]


def test_unknown_fields_are_left_out_and_named_once_per_stream(
    sandbox: RunningSandbox, read_tap: ReadTap, caplog: pytest.LogCaptureFixture
) -> None:
    plain = read_tap(sandbox.tap_config)
    sandbox.faults(["extra-fields"])
    with caplog.at_level("INFO"):
        strange = read_tap(sandbox.tap_config)
    assert [m["record"] for m in plain.of("RECORD")] == [m["record"] for m in strange.of("RECORD")]
    told = [record.name for record in caplog.records if "left out" in record.getMessage()]
    assert len(told) == len(set(told)) >= len(KEYS) - 2


def test_state_has_a_bookmark_per_program_for_reports_only_and_tells_of_nobody(
    sandbox: RunningSandbox, read_tap: ReadTap
) -> None:
    output = read_tap(sandbox.tap_config)
    bookmarks = output.state["bookmarks"]
    assert {name for name, bookmark in bookmarks.items() if bookmark} == set(REPORTS)
    assert {len(bookmarks[name]["partitions"]) for name in REPORTS} == {len(output.records("programs"))}
    text = str(output.state)
    assert not [user for user in output.records("users") if user["email"] in text or user["external_id"] in text]
