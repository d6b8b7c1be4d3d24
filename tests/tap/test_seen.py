"""The table of rows that were met, against a dict."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tap_coursera import seen
from tap_coursera.seen import Met, Seen

# Keys that all want the same place, those at the edges of 64 bits, and others.
keys = st.integers(-4, 4).map(lambda n: n * seen.SMALLEST) | st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9)
steps = st.lists(st.lists(keys, max_size=60), max_size=5)


def by_dict(met: dict[int, int], key: int, reading: int) -> Met:
    key = key or 1  # 0 is a free place
    before = met.get(key)
    met[key] = reading
    return Met.NOWHERE if before is None else Met.NOW if before == reading else Met.EARLIER


@given(steps, st.sampled_from([0, 1, 40, 10**12]))
def test_it_tells_what_a_dict_tells(readings: list[list[int]], expected: int) -> None:
    table, met = Seen(), dict[int, int]()
    for number, reading in enumerate(readings):
        table.begin()
        table.expect(expected)
        for key in reading:
            assert table.meet(key) is by_dict(met, key, number)


def test_it_grows_and_keeps_what_it_knows() -> None:
    chance = Random(1)
    table, met = Seen(), dict[int, int]()
    known = [chance.randrange(-(2**63), 2**63) for _ in range(4 * seen.SMALLEST)]
    for number in range(3):
        table.begin()
        for key in chance.choices(known, k=len(known)):
            assert table.meet(key) is by_dict(met, key, number)
    assert len(met) > 3 * seen.SMALLEST


def test_a_row_takes_a_dozen_bytes_when_it_was_announced_how_many_come() -> None:
    table = Seen()
    table.begin()
    table.expect(60_000)
    for key in range(1, 60_001):
        assert table.meet(hash((key, "row"))) is Met.NOWHERE
    assert table.size == 9 * (60_000 * 4 // 3 + 2)
    table.expect(1_000_000)
    assert table.meet(hash((7, "row"))) is Met.NOW
