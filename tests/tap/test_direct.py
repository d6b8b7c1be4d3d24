"""Rows that go straight to the writer: the same messages as on the SDK's way, in the same order, and as soon."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, cast

import pytest
from singer_sdk.singerlib import Catalog, RecordMessage
from singer_sdk.streams import Stream

from tap_coursera import client, direct, reads, streams, writing
from tap_coursera.ahead import Workers
from tap_coursera.errors import TapError
from tap_coursera.records import RowReader
from tap_coursera.tap import TapCoursera
from tap_coursera.writing import MessageWriter
from tests.tap.conftest import MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from coursera_sandbox.testing import RunningSandbox
    from tests.tap.conftest import Json

    Change = Callable[[Json], None]
    """Of a catalog entry."""

CONFIG = {"client_id": "i", "client_secret": "s", "org_id": "o"}


class Written(MessageWriter):
    """Keeps what would go to standard output, by write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def _put(self, rest: bytearray) -> None:
        self.writes.append(bytes(rest))

    def messages(self) -> list[Json]:
        return [json.loads(line) for line in b"".join(self.writes).splitlines()]


def as_it_is(_: Json) -> None:
    pass


def deselected(entry: Json) -> None:
    for item in entry["metadata"]:
        if item["breadcrumb"] and item["breadcrumb"][-1] in {"full_name", "email", "job_title", "photo_url"}:
            item["metadata"]["selected"] = False
    entry["schema"]["properties"].pop("course_name", None)


def unnamed(entry: Json) -> None:
    if entry["tap_stream_id"] == "enrollments":
        del entry["schema"]["properties"]["program_id"]


def enrollments(entry: Json) -> None:
    entry["metadata"][-1]["metadata"]["selected"] = entry["tap_stream_id"] == "enrollments"


def versions(entry: Json) -> None:
    entry["replication_method"] = "FULL_TABLE"
    for item in entry["metadata"]:
        if not item["breadcrumb"]:
            item["metadata"]["forced-replication-method"] = "FULL_TABLE"


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's clock, which the state remembers, stands still."""
    monkeypatch.setattr(reads, "milliseconds_now", lambda: MACHINE)


def run(config: Json, change: Change = as_it_is, state: Json | None = None) -> tuple[list[Json], str | None]:
    """All messages, without the times of their rows; and the error that a run ended with."""
    catalog = TapCoursera(config=dict(config)).catalog_dict
    for entry in catalog["streams"]:
        change(entry)
    written = Written()
    tap = TapCoursera(config=dict(config), catalog=Catalog.from_dict(catalog), state=state, message_writer=written)
    for stream in tap.streams.values():
        stream._initialized_at = 1
    error = None
    try:
        tap.sync_all()
    except TapError as failure:
        error = str(failure)
    messages = written.messages()
    times = [
        datetime.fromisoformat(m.pop("time_extracted").replace("Z", "+00:00"))
        for m in messages
        if m["type"] == "RECORD"
    ]
    assert times
    assert max(times) <= datetime.now(timezone.utc)
    return messages, error


@pytest.mark.parametrize(
    ("change", "faults", "fails"),
    [
        (as_it_is, [], False),
        (deselected, [], False),
        (unnamed, [], False),
        (versions, ["short-pages", "extra-fields", "missing-total"], False),
        (as_it_is, ["500:path=courseGradebookReports"], True),
    ],
    ids=["plain", "deselected", "unnamed", "awkward", "failing"],
)
def test_messages_are_those_of_the_sdk(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, change: Change, faults: list[str], fails: bool
) -> None:
    monkeypatch.setattr(client, "BACKOFF_BASE", 0.001)
    monkeypatch.setattr(Stream, "STATE_MSG_FREQUENCY", 7)
    config = sandbox.tap_config | {
        "page_size": 50,
        "max_parallel_requests": 1,
        "emit_activate_version_messages": change is versions,
    }
    sandbox.faults(faults)
    found = run(config, change)
    taken: list[str] = []
    monkeypatch.setattr(direct, "writer", lambda stream, _: taken.append(stream.name))
    assert found == run(config, change)
    assert bool(found[1]) == fails
    assert taken
    if change is deselected:
        assert not any("email" in m["record"] for m in found[0] if m["type"] == "RECORD" and m["stream"] == "users")


@pytest.mark.parametrize("faults", [[], ["short-pages", "extra-fields", "missing-total"]], ids=["plain", "awkward"])
def test_messages_are_the_same_where_every_row_is_a_dict(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, faults: list[str]
) -> None:
    sandbox.faults(faults)
    config = sandbox.tap_config | {"page_size": 50, "include_specializations": True}

    def both_runs() -> list[Json]:
        messages, _ = run(config, enrollments)
        return messages + run(config, enrollments, json.loads(json.dumps(messages[-1]["value"])))[0]

    found = both_runs()
    monkeypatch.setattr(RowReader, "typed", None)
    assert found == both_runs()


def test_the_runs_after_the_first_are_those_of_the_sdk_too(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages, _ = run(sandbox.tap_config)
    state = json.dumps([m["value"] for m in messages if m["type"] == "STATE"][-1])
    found = run(sandbox.tap_config, state=json.loads(state))
    monkeypatch.setattr(direct, "writer", lambda *_: None)
    assert found == run(sandbox.tap_config, state=json.loads(state))


def test_no_row_waits_while_an_answer_is_waited_for(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    written = Written()
    seen: list[int] = []
    get = client.Client.get

    def watched(self: client.Client, stream: str, path: str, params: Mapping[str, str]) -> Json:
        seen.append(len(written._waiting))
        return get(self, stream, path, params)

    monkeypatch.setattr(client.Client, "get", watched)
    config = sandbox.tap_config | {"page_size": 20, "max_parallel_requests": 1}
    TapCoursera(config=config, message_writer=written).sync_all()
    assert len(seen) > 40
    assert not any(seen)
    assert any(write.count(b"\n") > 10 for write in written.writes), "they did wait for one another"


def test_an_error_that_nobody_waited_for_comes_after_the_rows_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def raw_rows(*_: object) -> Iterator[Json]:
        yield from [{"id": "a"}, {"id": "b"}]
        raise TapError("That row.")

    monkeypatch.setattr(streams.Users, "raw_rows", raw_rows)
    catalog = TapCoursera(config=dict(CONFIG)).catalog_dict
    for entry in catalog["streams"]:
        entry["metadata"][-1]["metadata"]["selected"] = entry["tap_stream_id"] == "users"
    written = Written()
    with pytest.raises(TapError, match="That row"):
        TapCoursera(config=dict(CONFIG), catalog=Catalog.from_dict(catalog), message_writer=written).sync_all()
    assert [m["record"]["id"] for m in written.messages() if m["type"] == "RECORD"] == ["a", "b"]


def test_rows_are_out_before_a_wait_and_not_before_what_is_there_already() -> None:
    workers = Workers(2)
    said: list[str] = []
    workers.before_waiting = lambda: said.append("waits")
    ready = workers.begin(lambda: 7)
    ready.result()
    assert workers.wait_for(ready) == 7
    assert said == []
    assert workers.wait_for(Workers(1).begin(lambda: 8)) == 8
    assert said == ["waits"]


@pytest.mark.parametrize("microsecond", [0, 5, 120000])
@pytest.mark.parametrize("version", [None, 0, 1700000000000])
def test_a_row_is_written_in_the_bytes_of_a_record_message(
    monkeypatch: pytest.MonkeyPatch, microsecond: int, version: int | None
) -> None:
    now = datetime(2026, 1, 31, 9, 15, 0, microsecond, tzinfo=timezone.utc)
    monkeypatch.setattr(writing, "utc_now", lambda: now)
    written = Written()
    rows: list[dict[str, Any]] = [{}, {"": 0}, {"id": 'caf\u00e9 "\\\u2028', "n": 0.1, "in": [{"a": None}]}]
    for stream in ("users", 'quo"ted', "caf\u00e9"):
        for row in rows:
            written.write_row(stream, row, version)
            expected = bytes(written.format_message(RecordMessage(stream, row, version, now)))
            written.flush()
            assert written.writes.pop() == expected


def test_rows_that_wait_together_share_the_time_of_the_first_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(60))
    monkeypatch.setattr(writing, "utc_now", lambda: datetime(2026, 1, 31, 9, 15, next(seconds), tzinfo=timezone.utc))
    written = Written()
    for stream in ("users", "users", "programs", "users"):
        written.write_row(stream, {}, None)
    written.flush()
    written.write_row("users", {}, None)
    written.flush()
    assert [m["time_extracted"][-3:] for m in written.messages()] == ["00Z", "00Z", "01Z", "00Z", "02Z"]


def test_rows_are_written_when_there_are_enough_and_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "ENOUGH", 1000)
    written = Written()
    for number in range(103):
        written.write_row("users", {"id": number}, None)
    assert all(1000 <= len(write) < 1200 for write in written.writes)
    assert [m["record"]["id"] for m in written.messages()] == list(range(len(written.messages())))
    assert 0 < 103 - len(written.messages()) < 20
    written.write_message(RecordMessage("users", {"id": 103}))
    assert [m["record"]["id"] for m in written.messages()] == list(range(104))


@pytest.mark.parametrize(
    "settings",
    [
        {"stream_maps": {"users": {"email": "record['email']"}}},
        {"stream_maps": {"users": {"__alias__": "people"}}},
        {"stream_maps": {"users": {"__filter__": "True"}}},
        {"flattening_enabled": True, "flattening_max_depth": 1},
    ],
)
def test_where_rows_are_mapped_they_go_the_way_of_the_sdk(settings: Json) -> None:
    tap = TapCoursera(config=CONFIG | settings)
    assert direct.writer(tap.streams["users"], MessageWriter()) is None


def test_they_go_the_way_of_the_sdk_also_where_a_part_of_an_object_is_deselected_or_another_writer_writes() -> None:
    catalog = TapCoursera(config=dict(CONFIG)).catalog_dict
    for entry in catalog["streams"]:
        if entry["tap_stream_id"] == "enrollments":
            inner = ("properties", "learner_profile_standard_fields", "properties", "job_title")
            entry["metadata"].append({"breadcrumb": list(inner), "metadata": {"selected": False}})
    tap = TapCoursera(config=dict(CONFIG), catalog=Catalog.from_dict(catalog))
    assert direct.writer(tap.streams["enrollments"], MessageWriter()) is None
    assert direct.writer(tap.streams["course_grades"], MessageWriter()) is not None
    assert direct.writer(tap.streams["course_grades"], cast("Any", object())) is None
