"""Streams against the sandbox: every row, once; day after day; and what a run says about rows that are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from tap_coursera import programs, reports, streams
from tap_coursera.errors import TapError
from tap_coursera.records import milliseconds
from tap_coursera.tap import STREAMS, TapCoursera

if TYPE_CHECKING:
    from coursera_sandbox.testing import RunningSandbox
    from tests.tap.conftest import Json, Output, ReadTap

KEYS = {stream.name: cast("tuple[str, ...]", stream.primary_keys) for stream in STREAMS}
REPORTS = ("enrollments", "course_grades", "item_grades")
INCREMENTAL = (*REPORTS, "contents", "skillset_progress")
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
    members, invited, enrolled, graded, collected = ([] for _ in range(5))
    for program in programs:
        members += sandbox.all(f"/programs/{program['id']}/memberships")
        invited += sandbox.all(f"/programs/{program['id']}/invitations")
        report = {"programId": program["id"], "includeDeletedMembers": True}
        enrolled += sandbox.all("/enrollmentReports", q="byProgramId", **report)
        graded += sandbox.all("/courseGradebookReports", q="search", **report)
        collected += sandbox.all(f"/programs/{program['id']}/curriculumCollections")
    skills = f"/rest/v1/enterprise/organizations/{sandbox.org_id}"
    skillsets = sandbox.get(f"{skills}/skillsets", limit=1000)["elements"]
    progress = sandbox.get(f"{skills}/skillsetReport", limit=1000)
    assert progress["pagination"]["nextPage"] == "", "one page holds all"
    courses = {(e["programId"], e["contentId"]) for e in enrolled if e["contentType"] == "Course"}
    offered = {(p["id"], c["contentId"]) for p in programs for c in p["contentIds"]}
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
        "course_materials": list(courses & offered),
        "curriculum_collections": [(c["id"],) for c in collected],
        "skillsets": [(s["skillsetId"],) for s in skillsets],
        "skillset_progress": [(p["userEmail"], p["skillsetId"]) for p in progress["enterpriseUserSkillsets"]],
    }
    reads = table("stream_reads", output.records("stream_reads"))
    assert served.keys() | {"stream_reads"} == KEYS.keys()
    assert {stream for stream, _ in reads} == served.keys()
    for stream, keys in served.items():
        assert sum(row["rows_read"] for (name, _), row in reads.items() if name == stream) == len(keys)
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
        known |= {"program_name", "report_updated_at"} if stream == "enrollments" else {"gradebook_rows"}
        assert all(set(one) <= known for one in partitions)


def test_bookmarks_never_move_backwards(sandbox: RunningSandbox, read_tap: ReadTap) -> None:
    program = sandbox.all("/programs", excludeContent=True)[0]["id"]
    mark = {"replication_key": "changed_at", "replication_key_value": "2026-02-02T12:00:00Z"}
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
        wanted, written = table(stream, expected), table(stream, output.records(stream))
        assert {key: row for key, row in written.items() if key in wanted} == wanted
        # Of an item that nobody has touched since, one row shows that it is still there.
        assert stream == "item_grades" or written.keys() == wanted.keys()
        assert 0 < len(expected) < len(everything.records(stream))
    # Coursera's filters do not see deletions, so a row that only was deleted since then stays out.
    found = table("enrollments", output.records("enrollments"))
    for key, row in table("enrollments", everything.records("enrollments")).items():
        times = [row["enrolled_at"], row["last_activity_at"], row["completed_at"]]
        assert (key in found) == any(time and milliseconds(time) >= start for time in times)
    moving_sandbox.advance(days=1)
    later = read_tap(config | {"start_date": "2030-01-01"}, select=REPORTS, state=output.state)
    assert all(later.records(stream) for stream in REPORTS)


def test_start_date_does_not_limit_a_full_table_whose_missing_rows_count_as_gone(
    sandbox: RunningSandbox, read_tap: ReadTap
) -> None:
    streams_read = (*REPORTS, "skillset_progress")
    programs = [row["id"] for row in sandbox.all("/programs", excludeContent=True)]
    config = sandbox.tap_config | {"include_specializations": True, "program_ids": programs}
    output = read_tap(config | {"start_date": "2026-01-15"}, select=streams_read, full=True)
    everything = read_tap(config, select=streams_read)
    for stream in streams_read:
        assert table(stream, output.records(stream)) == table(stream, everything.records(stream))


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
    assert output.activated() == KEYS.keys() - {*INCREMENTAL, "stream_reads"}
    for stream in output.activated():
        kinds = [message["type"] for message in output.messages if message.get("stream") == stream]
        assert kinds[0] == "SCHEMA"
        assert kinds.count("SCHEMA") == kinds.count("ACTIVATE_VERSION") == 1
        assert kinds[-1] == "ACTIVATE_VERSION"
        versions = {m["version"] for m in output.messages if m.get("stream") == stream and m["type"] != "SCHEMA"}
        assert len(versions) == 1
    assert all("version" not in message for stream in INCREMENTAL for message in output.of("RECORD", stream))


def test_a_full_reconcile_run_activates_reports_too_and_reads_all_of_them(
    moving_sandbox: RunningSandbox, read_tap: ReadTap
) -> None:
    state = read_tap(moving_sandbox.tap_config, select=REPORTS).state
    moving_sandbox.advance(days=2)
    config = moving_sandbox.tap_config | {"emit_activate_version_messages": True}
    output = read_tap(config, state=state, full=True)
    assert output.activated() == KEYS.keys() - {"stream_reads"}
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
    monkeypatch.setattr(programs.Programs, "raw_rows", lambda *_: iter(()))
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
    # The sandbox adds fields to elements: not to contents of programs, items of gradebooks, rows of the skills report.
    assert len(told) == len(set(told)) >= len(KEYS.keys() - {"stream_reads"}) - 3


def test_state_has_bookmarks_for_incremental_streams_only_and_tells_of_nobody(
    sandbox: RunningSandbox, read_tap: ReadTap
) -> None:
    output = read_tap(sandbox.tap_config)
    bookmarks = output.state["bookmarks"]
    assert {name for name, bookmark in bookmarks.items() if bookmark} == {*INCREMENTAL, "programs", "stream_reads"}
    assert set(bookmarks["programs"]["program_ids"]) == {program["id"] for program in output.records("programs")}
    assert bookmarks["stream_reads"].keys() == {"clocks"}
    assert {len(bookmarks[name]["partitions"]) for name in REPORTS} == {len(output.records("programs"))}
    text = str(output.state)
    assert not [user for user in output.records("users") if user["email"] in text or user["external_id"] in text]


def partitions(output: Output, stream: str) -> set[str]:
    return {one["context"]["program_id"] for one in output.state["bookmarks"][stream]["partitions"]}


def test_a_program_that_is_newly_listed_is_read_from_its_beginning_and_a_removed_one_leaves_no_trace(
    sandbox: RunningSandbox, read_tap: ReadTap
) -> None:
    everything = read_tap(sandbox.tap_config, select=REPORTS)
    counts = {p["id"]: 0 for p in sandbox.all("/programs", excludeContent=True)}
    for row in everything.records("enrollments"):
        counts[row["program_id"]] += 1
    first, second, third = sorted(counts, key=lambda program: -counts[program])[:3]

    def run(programs: list[str], state: Json | None = None) -> Output:
        return read_tap(sandbox.tap_config | {"program_ids": programs}, select=REPORTS, state=state)

    one = run([first, second])
    assert all(partitions(one, stream) == {first, second} for stream in REPORTS)
    other = run([second, third], one.state)
    for stream in REPORTS:
        assert partitions(other, stream) == {second, third}
        expected = [row for row in everything.records(stream) if row["program_id"] == third]
        assert [row for row in other.records(stream) if row["program_id"] == third] == expected
        assert {row["program_id"] for row in other.records(stream)} <= {second, third}
    back = run([first, second], other.state)
    for stream in REPORTS:
        assert len([row for row in back.records(stream) if row["program_id"] == first]) == len(
            [row for row in everything.records(stream) if row["program_id"] == first]
        )


def test_one_list_for_the_organisation_brings_what_a_list_for_each_program_would(
    moving_sandbox: RunningSandbox, read_tap: ReadTap, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_tap(moving_sandbox.tap_config, select=REPORTS)
    moving_sandbox.advance(days=1)
    found, asked = [], []
    for few in (reports.FEW, 1):
        monkeypatch.setattr(reports, "FEW", few)
        moving_sandbox.reset_requests()
        found.append(read_tap(moving_sandbox.tap_config, select=REPORTS, state=first.state))
        asked.append(moving_sandbox.requests()["routes"]["enrollmentReports"])
    assert asked[0] < 10 < asked[1]
    for stream in REPORTS:
        rows = [table(stream, output.records(stream)) for output in found]
        assert rows[0] == rows[1]
        assert rows[0]


@pytest.mark.parametrize(
    ("setting", "parameter"),
    [("include_specializations", "includeS12n"), ("include_expired_contracts", "includeExpiredContracts")],
)
def test_more_kinds_of_enrollments_are_read_when_asked_for_and_all_of_them_although_there_are_bookmarks(
    sandbox: RunningSandbox, read_tap: ReadTap, setting: str, parameter: str
) -> None:
    served: set[tuple[Any, ...]] = set()
    for program in sandbox.all("/programs", excludeContent=True):
        flags = {"includeDeletedMembers": True, parameter: True}
        rows = sandbox.all("/enrollmentReports", q="byProgramId", programId=program["id"], **flags)
        served |= {(row["programId"], row["id"]) for row in rows}
    plain = read_tap(sandbox.tap_config, select=["enrollments"])
    config = sandbox.tap_config | {setting: True}
    more = read_tap(config, select=["enrollments"], state=plain.state)
    assert table("enrollments", more.records("enrollments")).keys() == served
    assert len(served) > len(plain.records("enrollments"))
    settled = read_tap(config, select=["enrollments"], state=more.state)
    assert len(settled.records("enrollments")) < len(served) / 2
    fewer = read_tap(sandbox.tap_config, select=["enrollments"], state=settled.state)
    assert len(fewer.records("enrollments")) < len(plain.records("enrollments")) / 2


def test_a_gradebook_stream_that_is_newly_selected_is_read_whole_although_the_other_has_a_bookmark(
    sandbox: RunningSandbox, read_tap: ReadTap
) -> None:
    config = sandbox.tap_config | {"page_size": 15}  # so small that parts of a program are worth asking for
    everything = read_tap(config, select=GRADES)
    first = read_tap(config, select=["course_grades"])
    both = read_tap(config, select=GRADES, state=first.state)
    assert both.records("item_grades") == everything.records("item_grades")
    assert len(both.records("course_grades")) < len(everything.records("course_grades")) / 2


def test_course_materials_are_those_of_courses_with_enrollments_whatever_else_is_read(
    sandbox: RunningSandbox, read_tap: ReadTap
) -> None:
    output = read_tap(sandbox.tap_config, select=["course_materials", "enrollments"])
    enrolled = {(row["program_id"], row["content_id"]) for row in output.records("enrollments")}
    assert {(row["program_id"], row["id"]) for row in output.records("course_materials")} == enrolled
    alone = read_tap(sandbox.tap_config, select=["course_materials"])
    assert alone.records("course_materials") == output.records("course_materials")
    later = read_tap(sandbox.tap_config, select=["course_materials", "enrollments"], state=output.state)
    assert later.records("course_materials") == output.records("course_materials")


def test_course_materials_are_read_only_when_selected_by_name() -> None:
    catalog = TapCoursera(config=None, validate_config=False).catalog_dict
    selected = {
        entry["tap_stream_id"]: item["metadata"]["selected-by-default"]
        for entry in catalog["streams"]
        for item in entry["metadata"]
        if not item["breadcrumb"]
    }
    assert {stream for stream, by_default in selected.items() if not by_default} == {"course_materials"}


REMOVED, ADDED, MODIFIED = ("REMOVED", "ADDED", "MODIFIED")


@pytest.mark.parametrize(
    ("shown", "changes", "removed"),
    [
        (["p"], [], False),
        (["p"], [(MODIFIED, ["p"])], False),
        (["p"], [(REMOVED, ["p"])], True),
        ([], [(REMOVED, ["p"])], True),
        (["p", "q"], [(REMOVED, ["p", "q"])], True),
        (["p", "q"], [(REMOVED, ["p"]), (REMOVED, ["q"])], True),
        (["q"], [(REMOVED, ["p"])], False),
        (["p", "q"], [(REMOVED, ["p"])], False),
        (["p"], [(REMOVED, ["p"]), (ADDED, ["p"])], False),
        ([], [], False),
    ],
)
def test_a_content_counts_as_removed_only_when_it_left_every_program_that_it_is_shown_with(
    shown: list[str], changes: list[tuple[str, list[str]]], removed: bool
) -> None:
    content = {
        "programs": [{"programId": program} for program in shown],
        "changes": [{"changeType": kind, "programIds": programs} for kind, programs in changes],
    }
    assert streams._is_removed(content) is removed
