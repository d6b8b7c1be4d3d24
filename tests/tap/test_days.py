"""A month of runs, one after the other: what is kept in the end is what a full run of the last day would show."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import StartSandbox
    from tests.tap.conftest import Json, Output, ReadTap

    Table = dict[tuple[Any, ...], Json]

INCREMENTAL = ("enrollments", "course_grades", "item_grades", "contents", "skillset_progress")
MONTH = 30 * 24


def tables(output: Output) -> dict[str, Table]:
    """Rows as a loader keeps them."""
    keys = {message["stream"]: message["key_properties"] for message in output.of("SCHEMA")}
    return {
        stream: {tuple(row[key] for key in keys[stream]): row for row in output.records(stream)}
        for stream in INCREMENTAL
    }


def without(table: Table, *names: str) -> Table:
    return {key: {name: value for name, value in row.items() if name not in names} for key, row in table.items()}


def ahead_of_the_report(full: dict[str, Table]) -> set[tuple[str, str, str]]:
    """Program, learner and course of those who did something that the enrollment report does not show yet."""
    told = {(row["program_id"], row["external_id"], row["content_id"]): row for row in full["enrollments"].values()}
    times = ("enrolled_at", "last_activity_at", "completed_at")
    return {
        pair
        for row in full["course_grades"].values()
        if (pair := (row["program_id"], row["external_id"], row["course_id"])) not in told
        or any(row[time] != told[pair][time] for time in times)
    }


@pytest.mark.parametrize(
    ("seed", "rhythm", "page_size"),
    [
        (7, "daily", 15),  # so small that single learners and courses are worth asking for
        (11, "irregular", 15),
        (2026, "irregular", 1000),
        (40, "daily", 1000),
    ],
)
def test_a_month_of_runs_equals_a_full_run_of_its_last_day(
    start_sandbox: StartSandbox, read_tap: ReadTap, seed: int, rhythm: str, page_size: int
) -> None:
    sandbox = start_sandbox(seed=seed, learners=60)
    chance = random.Random(seed)
    config = sandbox.tap_config | {"page_size": page_size}
    first = read_tap(config, select=INCREMENTAL)
    kept, state, hours = tables(first), first.state, 0
    while hours < MONTH:
        step = 24 if rhythm == "daily" else chance.randint(3, 60)
        hours += step
        sandbox.advance(hours=step)
        output = read_tap(config, select=INCREMENTAL, state=state)
        state = output.state
        for stream, table in tables(output).items():
            kept[stream] |= table
    full = tables(read_tap(sandbox.tap_config, select=INCREMENTAL))

    # The report, which tells whom to ask for, is up to a day behind the gradebook: so are grades, where parts are read.
    ahead = ahead_of_the_report(full) if page_size < 1000 else set()
    assert len(ahead) < len(full["course_grades"]) / 20
    for stream in ("course_grades", "item_grades"):
        mine, theirs = (
            {
                key: row
                for key, row in one[stream].items()
                if (row["program_id"], row["external_id"], row["course_id"]) not in ahead
            }
            for one in (kept, full)
        )
        assert mine == theirs

    # The skills report takes rows away without a word when learners leave, and who joins a program makes no progress.
    gone = {row["email"] for row in full["enrollments"].values() if row["membership_state"] != "MEMBER"}
    still, now = (
        without({key: row for key, row in one["skillset_progress"].items() if key[0] not in gone}, "program_ids")
        for one in (kept, full)
    )
    assert still == now

    # Only an incremental answer tells what changed, and only it has tombstones.
    assert any(row["is_removed"] for row in kept["contents"].values()), "a month sees a content go"
    alive = {key: row for key, row in kept["contents"].items() if not row["is_removed"]}
    assert without(alive, "changes") == without(full["contents"], "changes")

    # Coursera's filters find no deletion, and `updatedAt` is the time of the whole report.
    deletion = ("updated_at", "membership_state", "deleted_at", "changed_at")
    assert without(kept["enrollments"], *deletion) == without(full["enrollments"], *deletion)
    for key, row in full["enrollments"].items():
        known = kept["enrollments"][key]
        assert row["deleted_at"] or {name: row[name] for name in deletion[1:]} == {
            name: known[name] for name in deletion[1:]
        }
