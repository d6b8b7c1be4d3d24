"""Incremental runs over several days end with the tables of one full run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.pipeline.project import tables

if TYPE_CHECKING:
    from tests.pipeline.project import Project

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

LOAD = ("tap-coursera", "target-duckdb")


def differences(daily: list[str], full: list[str]) -> set[str]:
    """Return the rows that differ, except for values that an incremental run cannot know.

    The report stamps every row with the time of its own last refresh; and that a learner left or came back without
    doing anything shows in memberships the same day, in enrollments with the next `full-reconcile`. The skills report
    just drops the rows of learners who left.
    """

    def comparable(rows: list[str]) -> dict[tuple[str, ...], str]:
        found: dict[tuple[str, ...], str] = {}
        for number, record in enumerate(map(json.loads, rows)):
            record.pop("updated_at", None)
            key = (record["program_id"], record["id"]) if "membership_state" in record else (str(number),)
            if {"user_email", "skillset_id"} <= record.keys():
                key = (record["user_email"], record["skillset_id"])
                record.pop("program_ids")
            found[key] = json.dumps(record)
        return found

    mine, theirs = comparable(daily), comparable(full)
    members = [
        key
        for key in mine.keys() | theirs.keys()
        if not (key not in theirs and "user_email" in mine[key])
        and all(
            json.loads(side.get(key, "{}")).get("membership_state", "MEMBER") == "MEMBER" for side in (mine, theirs)
        )
    ]
    return {mine.get(key, theirs.get(key, "")) for key in members if mine.get(key) != theirs.get(key)}


def test_three_days_of_incremental_runs_end_like_one_full_run_and_reconcile_settles_the_rest(project: Project) -> None:
    project.start()
    project.meltano("run", *LOAD)
    for _ in range(3):
        project.advance(days=1)
        project.meltano("run", *LOAD)
    project.meltano("run", "dbt:build")
    daily = tables(project)

    project.meltano("run", "full-reconcile")
    reconciled = tables(project)

    project.fresh_warehouse()
    project.meltano("run", *LOAD, "dbt:build")
    full = tables(project)

    assert reconciled == full
    for name in full:
        assert not differences(daily[name], full[name]), f"{name} differs"
