"""One odd row, or one odd moment, in what Coursera answers: it harms itself and nothing else, and it is named."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from tap_coursera import reads
from tap_coursera.errors import TapError
from tap_coursera.records import milliseconds, rfc3339
from tap_coursera.tap import STREAMS, TapCoursera
from tests.tap.altered import Altered, rows_of
from tests.tap.conftest import MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from coursera_sandbox.testing import RunningSandbox
    from tests.tap.altered import Alter
    from tests.tap.conftest import Json, Output, ReadTap

DAY = 86_400_000
FAR = milliseconds("2035-01-01")
REPORTS = ("enrollments", "course_grades", "item_grades")
KEYS = {stream.name: cast("tuple[str, ...]", stream.primary_keys) for stream in STREAMS}


@pytest.fixture
def between(sandbox: RunningSandbox) -> Iterator[Callable[..., Altered]]:
    """Puts a server between tap and sandbox."""
    begun: list[Altered] = []

    def begin(alter: Alter, headers: dict[str, str | None] | None = None, of: RunningSandbox = sandbox) -> Altered:
        begun.append(Altered(of, alter, headers))
        return begun[-1]

    yield begin
    for one in begun:
        one.close()


def rows(output: Output, stream: str) -> list[Json]:
    return output.records(stream)


def marks(output: Output) -> list[str]:
    """All bookmarks of a run."""
    kept = output.state["bookmarks"].values()
    every = [one for state in kept for one in (state, *state.get("partitions", ()))]
    names = ("replication_key_value", "report_updated_at")
    return [one[name] for one in every for name in names if one.get(name)]


# Moments


SOON, SECONDS = -2, -1
IMPOSSIBLE = {"2035": FAR, "a day and a bit ahead": SOON, "1970": 1, "seconds": SECONDS, "long ago": -(10**13)}


@pytest.mark.parametrize("value", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_moment_that_cannot_be_true_moves_nothing(
    sandbox: RunningSandbox, read_tap: ReadTap, between: Callable[..., Altered], value: int
) -> None:
    now = milliseconds(sandbox.status()["now"])
    odd = now + DAY + 1 if value == SOON else now // 1000 if value == SECONDS else value

    def lie(found: list[Json]) -> None:
        for number, field in enumerate(("enrolledAt", "lastActivityAt", "completedAt", "deletedAt", "updatedAt")):
            for row in found[number : number + 1]:
                row[field] = odd

    only = {"program_ids": [sandbox.get("/programs", excludeContent=True)["elements"][0]["id"]]}
    config = between(rows_of("Reports?", lie)).tap_config | only
    plain = read_tap(sandbox.tap_config | only, select=REPORTS)
    lied = read_tap(config, select=REPORTS)
    assert len(marks(lied)) == len(marks(plain))
    assert max(marks(lied)) <= rfc3339(now)
    assert max(marks(read_tap(config, select=REPORTS, state=lied.state))) <= rfc3339(now)
    for stream in REPORTS:
        assert all(row["changed_at"] is None or row["changed_at"] <= rfc3339(now) for row in rows(lied, stream))
        assert all(row["row_problems"] is None for row in rows(lied, stream)), "what was said is kept"
        pairs = zip(rows(plain, stream), rows(lied, stream), strict=True)
        assert stream == "item_grades" or 2 <= sum(was != now for was, now in pairs) <= 5


def test_where_all_times_are_seconds_nothing_moves_and_the_night_after_heals(
    moving_sandbox: RunningSandbox, read_tap: ReadTap, between: Callable[..., Altered]
) -> None:
    before = read_tap(moving_sandbox.tap_config, select=REPORTS)
    moving_sandbox.advance(days=1)

    def in_seconds(found: list[Json]) -> None:
        for row in found:
            row |= {name: value // 1000 for name, value in row.items() if name.endswith("At") and value}

    config = between(rows_of("Reports?", in_seconds), of=moving_sandbox).tap_config
    nights = [
        [before, read_tap(one, select=REPORTS, state=before.state)] for one in (config, moving_sandbox.tap_config)
    ]
    assert marks(nights[0][1]) == marks(before)
    moving_sandbox.advance(days=1)
    kept: list[dict[tuple[Any, ...], str | None]] = []
    for night in nights:
        outputs = [*night, read_tap(moving_sandbox.tap_config, select=REPORTS, state=night[1].state)]
        every = [(stream, row) for one in outputs for stream in REPORTS for row in rows(one, stream)]
        kept.append({(stream, *(row[key] for key in KEYS[stream])): row["changed_at"] for stream, row in every})
    assert kept[0] == kept[1]


@pytest.mark.parametrize("full", [False, True], ids=["incremental", "full"])
def test_a_bookmark_that_an_earlier_release_took_from_a_lie_is_dropped_and_all_is_read_once(
    sandbox: RunningSandbox, read_tap: ReadTap, caplog: pytest.LogCaptureFixture, full: bool
) -> None:
    config = sandbox.tap_config
    first = read_tap(config)
    poisoned = json.loads(json.dumps(first.state))
    for stream in REPORTS:
        poisoned["bookmarks"][stream]["partitions"][0]["replication_key_value"] = "2035-01-01T00:00:00Z"
    poisoned["bookmarks"]["contents"]["replication_key_value"] = "1970-01-21T00:00:00Z"
    poisoned["bookmarks"]["skillset_progress"]["replication_key_value"] = "2083-01-01T00:00:00Z"
    healed = read_tap(config, state=poisoned, full=full)
    told = [record for record in caplog.records if "cannot be true" in record.getMessage()]
    assert len(told) == 1
    assert all(stream in told[0].getMessage() for stream in (*REPORTS, "contents", "skillset_progress"))
    state = healed.state if not full else read_tap(config, state=healed.state).state
    for stream in REPORTS:
        found, expected = (one["bookmarks"][stream]["partitions"][0] for one in (state, first.state))
        assert found["replication_key_value"] == expected["replication_key_value"]
    program = poisoned["bookmarks"]["enrollments"]["partitions"][0]["context"]["program_id"]
    for stream in REPORTS:
        whole = [row for row in rows(first, stream) if row["program_id"] == program]
        assert [row for row in rows(healed, stream) if row["program_id"] == program] == whole


def test_the_time_of_the_run_is_the_api_s_or_this_machine_s_where_it_tells_none(
    sandbox: RunningSandbox, read_tap: ReadTap, between: Callable[..., Altered]
) -> None:
    now = str(sandbox.status()["now"])
    assert {row["read_at"] for row in rows(read_tap(sandbox.tap_config), "stream_reads")} == {now}
    for header in (None, "", "yesterday", "Mon, 02 Feb 1998 06:00:00 GMT", "Mon, 99 Feb 99999 06:00:00 GMT"):
        silent = between(lambda _, body: body, {"Date": header})
        reads = rows(read_tap(silent.tap_config, select=["users", "stream_reads"]), "stream_reads")
        assert abs(milliseconds(reads[0]["read_at"]) - milliseconds_now()) < DAY, header


def milliseconds_now() -> int:
    from tap_coursera.records import milliseconds_now as now  # noqa: PLC0415

    return now()


# Values, texts and keys


def test_a_value_of_the_wrong_type_is_null_and_named_and_nothing_else_changes(
    sandbox: RunningSandbox, read_tap: ReadTap, between: Callable[..., Altered]
) -> None:
    def lie(found: list[Json]) -> None:
        for row in [one for one in found if one["itemGradebooks"]][:1]:
            row |= {"overallCourseGrade": "very good", "isCompleted": 1, "courseName": {"en": "Art"}, "enrolledAt": "x"}
            row["itemGradebooks"][0] |= {"itemGrade": True, "itemWeight": [5], "itemOrder": 1 << 70}

    config = between(rows_of("courseGradebookReports", lie)).tap_config | {"max_parallel_requests": 1}
    plain, lied = read_tap(sandbox.tap_config, select=REPORTS), read_tap(config, select=[*REPORTS, "stream_reads"])
    assert rows(lied, "enrollments") == rows(plain, "enrollments")
    for stream, nulls in (
        ("course_grades", ("course_name", "enrolled_at", "is_completed", "overall_course_grade")),
        ("item_grades", ("item_order", "item_weight", "item_grade")),
    ):
        odd = [row for row in rows(lied, stream) if row["row_problems"]]
        programs = [row for row in rows(lied, "stream_reads") if row["stream"] == stream and row["rows_read"]]
        assert len(odd) == len(programs) == sum(row["rows_repaired"] for row in programs) > 0
        for row in odd:
            assert set(row["row_problems"].split()) == {f"{name}:type" for name in nulls}
            assert all(row[name] is None for name in nulls)
        number = 0
        for was, now in zip(rows(plain, stream), rows(lied, stream), strict=True):
            left = {name for name in was if was[name] != now[name]}
            number += bool(left)
            assert left <= {*nulls, "row_problems", "changed_at"}
        assert number == len(odd) or stream == "item_grades"


PLACES = {
    "item_grades item_id": ("courseGradebookReports", "itemGradebooks", "itemId"),
    "item_grades course_id": ("courseGradebookReports", None, "courseId"),
    "enrollments id": ("enrollmentReports", None, "id"),
    "program_memberships id": ("/memberships", None, "id"),
    "users id": ("/users", None, "id"),
    "programs id": ("/programs?", None, "id"),
    "program_contents content_id": ("ids=", "contentIds", "contentId"),
    "skillset_progress user_email": ("skillsetReport", None, "userEmail"),
    "contents id": ("/contents", None, "id"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_row_without_what_makes_it_unique_is_left_out_and_counted(
    read_tap: ReadTap, between: Callable[..., Altered], caplog: pytest.LogCaptureFixture, place: str
) -> None:
    (stream, column), (path, inner, field) = place.split(), PLACES[place]
    values = iter([None, "", " ", {"a": 1}, True] * 20)

    def lie(found: list[Json]) -> None:
        for row in found[1:2] if len(found) > 1 else found[:1] if inner else []:
            for one in row[inner][:1] if inner else [row]:
                one[field] = next(values)
                if field == "id":
                    one.update(dict.fromkeys({"externalId", "contentId"} & one.keys()))

    server = between(lambda _, body: body)
    config, select = server.tap_config | {"max_parallel_requests": 1}, [stream, "stream_reads"]
    plain = read_tap(config, select=select)
    server.alter = rows_of(path, lie)
    lied = read_tap(config, select=select)
    left_out = sum(row["rows_left_out"] for row in rows(lied, "stream_reads"))
    assert left_out > 0
    assert {row["left_out_for"] for row in rows(lied, "stream_reads") if row["rows_left_out"]} == {column}
    have = [json.dumps(row, sort_keys=True) for row in rows(lied, stream)]
    assert set(have) <= {json.dumps(row, sort_keys=True) for row in rows(plain, stream)}
    assert len(have) + left_out == len(rows(plain, stream))
    told = [one.getMessage() for one in caplog.records if "are left out" in one.getMessage()]
    assert len(told) == 1
    assert told[0].startswith(f"{left_out} rows of {stream} came without a usable {column}")


@pytest.mark.parametrize("full", [False, True], ids=["incremental", "full"])
@pytest.mark.parametrize(
    "place",
    [
        "program_memberships /memberships none",
        "program_memberships /memberships another",
        "program_invitations /invitations none",
        "enrollments enrollmentReports?q= none",
        "course_grades courseGradebookReports none",
    ],
)
def test_a_row_that_names_another_program_is_left_out_and_counted_and_nothing_counts_as_gone(
    read_tap: ReadTap, between: Callable[..., Altered], place: str, full: bool
) -> None:
    stream, path, named = place.split()
    programs: set[str] = set()

    def lie(found: list[Json]) -> None:
        for row in found[:1]:
            row["programId"] = min(programs - {row["programId"]}) if named == "another" else "of no program"

    server = between(lambda _, body: body)
    config = server.tap_config | {"max_parallel_requests": 1, "emit_activate_version_messages": True}
    select = {stream, "stream_reads"} | ({"item_grades"} if stream == "course_grades" else set())
    plain = read_tap(config, select=select, full=full)
    programs |= {row["program_id"] for row in rows(plain, "stream_reads")}
    server.alter = rows_of(path, lie)
    lied = read_tap(config, select=select, full=full)
    left_out = [row for row in rows(lied, "stream_reads") if row["rows_left_out"]]
    assert {(row["stream"], row["left_out_for"]) for row in left_out} == {(stream, "program_id")}
    missing = len(rows(plain, stream)) - len(rows(lied, stream))
    assert sum(row["rows_left_out"] for row in left_out) == missing > 0
    assert not lied.activated()
    server.alter = lambda _, body: body
    healed = read_tap(config, select=select, full=full, state=lied.state)
    assert healed.activated() == plain.activated()


def test_rows_of_something_else_are_still_not_the_api(read_tap: ReadTap, between: Callable[..., Altered]) -> None:
    def elsewhere(found: list[Json]) -> None:
        found[:] = [{"title": "A page", "url": "https://elsewhere.example"}, {"title": "Another one"}]

    with pytest.raises(TapError, match="hold nothing that Coursera documents: check that api_url"):
        read_tap(between(rows_of("/users", elsewhere)).tap_config, select=["users"])


@pytest.mark.parametrize(
    ("odd", "becomes"),
    [
        (b"Ana \\ud83d", "Ana \ufffd"),
        (b"Ana \\u0000\\u202e", "Ana  "),
        (b"Ana \\x", "Ana \ufffdx"),
        (b"Ana \xff", "Ana \ufffd"),
        (b"Ana \x01", "Ana  "),
    ],
)
def test_text_that_is_none_is_mended_in_its_row_at_once(
    sandbox: RunningSandbox,
    read_tap: ReadTap,
    between: Callable[..., Altered],
    odd: bytes,
    becomes: str,
) -> None:
    def alter(path: str, body: bytes) -> bytes:
        if "enrollmentReports" not in path and "/users" not in path:
            return body
        before, mark, after = body.partition(b'"fullName":"')
        return b"\xef\xbb\xbf" + before + mark + odd + after[after.index(b'"') :] if mark else body

    server = between(alter)
    select = ["enrollments", "users", "stream_reads"]
    plain, lied = read_tap(sandbox.tap_config, select=select), read_tap(server.tap_config, select=select)
    assert len(server.requests) == len(set(server.requests)), "nothing was asked for again"
    for stream in ("enrollments", "users"):
        changed = [b for a, b in zip(rows(plain, stream), rows(lied, stream), strict=True) if a != b]
        reads = [row for row in rows(lied, "stream_reads") if row["stream"] == stream]
        assert len(changed) == sum(row["rows_repaired"] for row in reads) == sum(row["rows_read"] > 0 for row in reads)
        assert {(row["full_name"], row["row_problems"]) for row in changed} == {(becomes, "full_name:text")}


@pytest.mark.parametrize("newer_first", [True, False])
def test_of_two_rows_of_one_id_the_newer_one_is_written_last(
    read_tap: ReadTap, between: Callable[..., Altered], newer_first: bool
) -> None:
    def twice(found: list[Json]) -> None:
        if len(found) > 1:
            late = found[0] | {"overallProgress": 77, "membershipState": "MEMBER", "isCompleted": False}
            early = late | {"overallProgress": 11, "membershipState": "DELETED_MEMBER"}
            found[:2] = [late, early] if newer_first else [early, late]

    config = between(rows_of("q=byProgramId", twice)).tap_config
    output = read_tap(config, select=["enrollments"])
    kept = {tuple(row[key] for key in KEYS["enrollments"]): row for row in rows(output, "enrollments")}
    assert [row for row in kept.values() if row["overall_progress"] == 77 and row["membership_state"] == "MEMBER"]
    assert not [
        row for row in kept.values() if row["membership_state"] == "DELETED_MEMBER" and row["overall_progress"] == 11
    ]


# Streams that nobody wants


def test_a_stream_that_others_build_upon_may_be_left_out(sandbox: RunningSandbox, read_tap: ReadTap) -> None:
    program = sandbox.get("/programs", excludeContent=True)["elements"][-1]["id"]
    config = sandbox.tap_config | {"program_ids": [program]}
    for without in ("programs", "enrollments", "course_grades", "stream_reads"):
        wanted = KEYS.keys() - {without}
        output = read_tap(config, select=wanted)
        assert {message["stream"] for message in output.of("SCHEMA")} == wanted
        if without != "stream_reads":
            assert {row["stream"] for row in rows(output, "stream_reads")} == wanted - {"stream_reads"}


# Versions and clocks


def test_versions_grow_whatever_the_clock_says_and_a_clock_that_leapt_is_told(
    sandbox: RunningSandbox,
    read_tap: ReadTap,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = sandbox.tap_config | {"emit_activate_version_messages": True}
    state: Json = {}
    versions: list[int] = []
    told: list[str] = []
    for ahead in (0, 30 * DAY, 0, DAY // 2):
        clock = MACHINE + ahead
        monkeypatch.setattr(reads, "milliseconds_now", lambda clock=clock: clock)
        monkeypatch.setattr(TapCoursera, "initialized_at", clock)
        output = read_tap(config, select=["users", "stream_reads"], state=state)
        state = output.state
        (message,) = output.of("ACTIVATE_VERSION", "users")
        assert {row["version"] for row in output.of("RECORD", "users")} == {message["version"]}
        versions.append(message["version"])
        told += [one.getMessage() for one in caplog.records if "machine's clock" in one.getMessage()]
        caplog.clear()
    assert versions == [MACHINE, MACHINE + 30 * DAY, MACHINE + 30 * DAY + 1, MACHINE + 30 * DAY + 2]
    assert [("ahead" in one, "back" in one) for one in told] == [(True, False), (False, True)]


@pytest.mark.parametrize("case", [(720, "720.0 hours ahead of"), (-30, "30.0 hours behind"), (0.5, None)])
def test_a_clock_that_is_far_from_that_of_the_api_is_told_in_the_first_run(
    sandbox: RunningSandbox,
    read_tap: ReadTap,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    case: tuple[float, str | None],
) -> None:
    hours, word = case
    now = parsedate_to_datetime(sandbox.ask("/programs").headers["Date"]).timestamp()
    monkeypatch.setattr(reads, "milliseconds_now", lambda: round((now + hours * 3600) * 1000))
    # A stand-in on this machine has a clock that somebody chose; this one is to pass for one that is elsewhere.
    assert reads.on_this_machine(sandbox.tap_config["api_url"])
    monkeypatch.setattr(reads, "on_this_machine", lambda _: False)
    read_tap(sandbox.tap_config, select=["users", "stream_reads"])
    told = [one.getMessage() for one in caplog.records if "machine's clock is" in one.getMessage()]
    assert [str(word) in one for one in told] == [True] * (word is not None)


@pytest.mark.parametrize("host", ["127.0.0.1:8737", "[::1]", "localhost", "api.localhost"])
def test_only_an_api_on_this_machine_is_a_stand_in(host: str) -> None:
    assert reads.on_this_machine(f"http://{host}/ent/api")
    assert not reads.on_this_machine("https://api.coursera.com/ent/api")
