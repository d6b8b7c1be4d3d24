"""What a day costs: requests, counted at the other end, for the reports of a college of 20,000 learners."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from singer_sdk.singerlib import RecordMessage, SchemaMessage, StateMessage

from tests.tap.conftest import Output

if TYPE_CHECKING:
    from singer_sdk.singerlib import Message

    from coursera_sandbox.testing import RunningSandbox
    from tests.conftest import StartSandbox
    from tests.tap.conftest import Json, ReadTap

REPORTS = ("enrollments", "course_grades", "item_grades")
QUIET, CLASS_DAY = "2028-10-10T06:00:00Z", "2028-10-12"
"""By then nothing happens of itself any more, in a college of this seed."""


class Kept(Output):
    """Keeps rows as a loader does, as JSON, since there are close to a million of them."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, list[str]] = {}
        self.rows: dict[str, dict[tuple[Any, ...], bytes]] = {stream: {} for stream in REPORTS}
        self.last: Json = {}

    def write_message(self, message: Message) -> None:
        if isinstance(message, RecordMessage):
            row = message.record
            key = tuple(row[name] for name in self.keys[message.stream])
            self.rows[message.stream][key] = msgspec.json.encode(row)
        elif isinstance(message, SchemaMessage):
            self.keys[message.stream] = list(message.key_properties or ())
        elif isinstance(message, StateMessage):
            self.last = copy.deepcopy(dict(message.value))


def cost(sandbox: RunningSandbox) -> int:
    total: int = sandbox.requests()["total"]
    sandbox.reset_requests()
    return total


@dataclass
class Week:
    """A first run, some days in the middle of which a class hands in, and a run of the last day that knows nothing."""

    kept: Kept
    again: Kept
    full: int
    """Requests of the first run."""
    days: list[int]
    """Requests of each day."""
    moved: set[str]
    """Learners with a new row."""


def week(sandbox: RunningSandbox, read_tap: ReadTap, config: Json, select: tuple[str, ...]) -> Week:
    kept, again, days, moved = Kept(), Kept(), [], set()
    sandbox.reset_requests()
    read_tap(config, select=select, into=kept)
    full = cost(sandbox)
    for _ in range(5):
        sandbox.advance(days=1)
        day = Kept()
        read_tap(config, select=select, state=kept.last, into=day)
        days.append(cost(sandbox))
        kept.last = day.last
        for stream in select:
            kept.rows[stream] |= day.rows[stream]
        moved |= {msgspec.json.decode(row)["external_id"] for row in day.rows["enrollments"].values()}
    read_tap(config, select=select[1:], into=again)
    return Week(kept, again, full, days, moved)


@pytest.mark.slow
def test_a_day_on_which_two_percent_moved_costs_a_twentieth_of_a_full_run_and_ends_with_the_same_grades(
    start_sandbox: StartSandbox, read_tap: ReadTap
) -> None:
    sandbox = start_sandbox(learners=20_000, now=QUIET, class_day=CLASS_DAY)
    # Grades of items come from the same requests (test_streams.py); without them this takes a quarter of the time.
    found = week(sandbox, read_tap, sandbox.tap_config, ("enrollments", "course_grades"))
    assert 0.015 * 20_000 < len(found.moved) < 0.025 * 20_000
    assert max(found.days[1:]) <= 0.05 * found.full, "a first day has no age of the report to go by"
    assert found.kept.rows["course_grades"] == found.again.rows["course_grades"]
    programs = len(found.kept.last["bookmarks"]["course_grades"]["partitions"])
    assert len(json.dumps(found.kept.last)) < 1000 * programs


def test_after_such_a_week_the_grades_of_all_items_are_those_of_a_full_run(
    start_sandbox: StartSandbox, read_tap: ReadTap
) -> None:
    sandbox = start_sandbox(learners=2_000, now=QUIET, class_day=CLASS_DAY)
    found = week(sandbox, read_tap, sandbox.tap_config | {"page_size": 100}, REPORTS)
    assert len(found.moved) > 20
    assert max(found.days[1:]) <= 0.05 * found.full
    for stream in ("course_grades", "item_grades"):
        assert found.kept.rows[stream] == found.again.rows[stream]


def test_where_everybody_moves_a_little_no_more_is_asked_than_the_gradebook_has_pages(
    start_sandbox: StartSandbox, read_tap: ReadTap
) -> None:
    sandbox = start_sandbox(learners=2_000)
    config = sandbox.tap_config | {"page_size": 100}
    sandbox.reset_requests()
    first = Kept()
    read_tap(config, select=["course_grades"], into=first)
    whole = sandbox.requests()["routes"]["courseGradebookReports"]
    sandbox.advance(days=1)
    sandbox.reset_requests()
    read_tap(config, select=["course_grades"], state=first.last, into=Kept())
    assert 0 < sandbox.requests()["routes"]["courseGradebookReports"] <= whole + 1, "but for rows that are new"
