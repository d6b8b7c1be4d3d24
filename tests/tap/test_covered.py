"""Which courses a run reads for every learner, so that an item that nobody's row shows is known to be gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from coursera_sandbox.testing import RunningSandbox
    from tests.tap.conftest import Output, ReadTap

SELECTED = ("course_grades", "item_grades", "stream_reads")


def covered(output: Output) -> dict[str, set[str]]:
    """Program → courses that `stream_reads` says were read for every learner."""
    reads = [row for row in output.records("stream_reads") if row["stream"] == "item_grades"]
    return {row["program_id"]: set((row["covered"] or "").split()) for row in reads}


def items(output: Output) -> set[tuple[str, str, str]]:
    return {(row["program_id"], row["course_id"], row["item_id"]) for row in output.records("item_grades")}


@pytest.mark.parametrize("page_size", [15, 1000])
def test_of_a_course_that_is_read_for_everybody_a_row_of_each_item_is_written(
    moving_sandbox: RunningSandbox, read_tap: ReadTap, page_size: int
) -> None:
    config = moving_sandbox.tap_config | {"page_size": page_size}
    first = read_tap(config, select=SELECTED)
    assert set(map(frozenset, covered(first).values())) == {frozenset("*")}
    moving_sandbox.advance(days=1)
    second = read_tap(config, select=SELECTED, state=first.state)
    said = covered(second)
    assert any(said.values())
    whole = {one for one in items(first) if said[one[0]] & {"*", one[1]}}
    assert whole <= items(second)
    assert 0 < len(second.records("item_grades")) < len(first.records("item_grades"))
    began = {row["began_at"] for row in second.records("stream_reads")}
    assert len(began) == 1
