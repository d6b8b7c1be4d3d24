"""The planner against the cheapest of all plans there are."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_coursera.plan import Pair, Plan, Size, cost, pages, plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Case = tuple[set[Pair], Size, int]

ENDLESS = 10**9
"""Rows of a program that is never worth reading whole."""


def cases(learners: int, courses: int, most: int) -> st.SearchStrategy[Case]:
    """Who moved, what is known of sizes (also nonsense, since it may be old), rows of a page."""
    pair = st.tuples(
        st.integers(0, learners - 1).map("learner{}".format), st.integers(0, courses - 1).map("course{}".format)
    )
    rows = st.dictionaries(st.integers(0, courses).map("course{}".format), st.integers(0, 12))
    size = st.builds(Size, st.sampled_from([0, 1, 5, 10, 20, 40, ENDLESS]) | st.integers(0, 60), rows)
    return st.tuples(st.sets(pair, max_size=most), size, st.integers(1, 5))


SMALL, LARGE = cases(6, 5, 20), cases(40, 12, 150)


def price(courses: Iterable[str], learners: Iterable[str], size: Size, page_size: int) -> int:
    """What the model says that these cost, told a second time."""
    return sum(max(1, math.ceil(size.courses.get(one, 1) / page_size)) for one in courses) + len(set(learners))


def whole(size: Size, page_size: int) -> int:
    return max(1, math.ceil(size.program / page_size))


def subsets(names: set[str]) -> Iterator[tuple[str, ...]]:
    for number in range(len(names) + 1):
        yield from combinations(sorted(names), number)


def optimum(moved: set[Pair], size: Size, page_size: int) -> int:
    """Requests of the cheapest of all plans: whichever courses are read, the learners in others have to be."""
    return min(
        whole(size, page_size) if moved else 0,
        *(
            price(read, {learner for learner, course in moved if course not in read}, size, page_size)
            for read in subsets({course for _, course in moved})
        ),
    )


@settings(deadline=None)
@given(LARGE)
def test_every_pair_that_moved_is_covered_and_nothing_else_is_asked_for(case: Case) -> None:
    moved, size, page_size = case
    made = plan(moved, size, page_size)
    assert all(made.covers(pair) for pair in moved)
    assert made.learners <= {learner for learner, _ in moved}
    assert made.courses <= {course for _, course in moved}
    assert not made.program or not made.courses | made.learners
    for learner in made.learners:
        fewer = Plan(courses=made.courses, learners=made.learners - {learner})
        assert not all(fewer.covers(pair) for pair in moved)


@settings(deadline=None)
@given(LARGE)
def test_no_uniform_strategy_is_cheaper(case: Case) -> None:
    moved, size, page_size = case
    if moved:
        made = cost(plan(moved, size, page_size), size, page_size)
        assert made <= whole(size, page_size)
        assert made <= price({course for _, course in moved}, (), size, page_size)
        assert made <= price((), (learner for learner, _ in moved), size, page_size)


@settings(deadline=None, max_examples=250)
@given(SMALL)
def test_no_plan_at_all_is_cheaper(case: Case) -> None:
    assert cost(plan(*case), *case[1:]) == optimum(*case)


@settings(deadline=None)
@given(SMALL)
def test_the_whole_program_is_read_exactly_where_nothing_is_cheaper(case: Case) -> None:
    moved, size, page_size = case
    parts = optimum(moved, Size(ENDLESS, size.courses), page_size)
    assert plan(moved, size, page_size).program == (bool(moved) and parts >= whole(size, page_size))


@settings(deadline=None)
@given(LARGE, st.randoms(use_true_random=False))
def test_a_plan_depends_neither_on_the_order_of_the_pairs_nor_on_names(case: Case, chance: random.Random) -> None:
    moved, size, page_size = case
    made = plan(moved, size, page_size)
    mixed = [*moved, *moved]
    chance.shuffle(mixed)
    assert plan(mixed, size, page_size) == made
    names = sorted({name for pair in moved for name in pair} | set(size.courses))
    other = dict(zip(names, chance.sample([f"x{number}" for number in range(len(names))], len(names)), strict=True))
    renamed = plan(
        {(other[learner], other[course]) for learner, course in moved},
        Size(size.program, {other[course]: rows for course, rows in size.courses.items()}),
        page_size,
    )
    assert renamed == Plan(
        made.program, frozenset(other[one] for one in made.courses), frozenset(other[one] for one in made.learners)
    )


def test_two_processes_make_the_same_plan() -> None:
    # Sets of texts have another order in each process.
    script = (
        "import random; from tap_coursera.plan import Size, plan; chance = random.Random(7);"
        "moved = {(f'l{chance.randrange(60)}', f'c{chance.randrange(20)}') for _ in range(90)};"
        "made = plan(moved, Size(10**6, {f'c{n}': n % 7 for n in range(20)}), 2);"
        "assert made.courses and made.learners; print(sorted(made.courses), sorted(made.learners))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1


@pytest.mark.parametrize("rows", [0, 1, ENDLESS])
def test_where_nobody_moved_nothing_is_asked_for(rows: int) -> None:
    assert plan(set(), Size(rows), 1000) == Plan()
    assert cost(Plan(), Size(rows), 1000) == 0


def test_few_learners_are_asked_for_one_by_one_and_many_by_their_course() -> None:
    size = Size(50_000, {"large": 2_500})
    few = {("a", "small"), ("b", "large"), ("c", "large")}
    assert plan(few, size, 1000) == Plan(learners=frozenset("abc"))
    assert plan({("a", "small")}, size, 1000) == Plan(learners=frozenset("a"))
    assert plan({("a", "small"), ("b", "small")}, size, 1000) == Plan(courses=frozenset({"small"}))
    crowd = {(f"learner{number}", "large") for number in range(4)}
    assert plan(crowd | {("a", "small")}, size, 1000) == Plan(courses=frozenset({"large"}), learners=frozenset("a"))


def test_the_whole_program_wins_a_tie() -> None:
    moved = {(f"learner{number}", f"course{number}") for number in range(3)}
    assert plan(moved, Size(3000), 1000) == Plan(program=True)
    assert plan(moved, Size(3001), 1000).learners == {learner for learner, _ in moved}
    assert plan(set(list(moved)[:1]), Size(0), 1000) == Plan(program=True)


def test_a_list_costs_a_request_for_each_page_begun_and_an_empty_one_costs_one() -> None:
    assert [pages(rows, 10) for rows in (0, 1, 9, 10, 11, 20, 21)] == [1, 1, 1, 1, 2, 2, 3]


def in_courses(each: int) -> set[Pair]:
    """20,000 learners, each in some of 50 courses."""
    chance = random.Random(1)
    return {
        (f"learner{number}", f"course{course}") for number in range(20_000) for course in chance.sample(range(50), each)
    }


def large(places: int = 1) -> Size:
    """A program never worth reading whole; the pages of each of its 50 courses, of which 1 is not remembered."""
    return Size(ENDLESS, {f"course{number}": places for number in range(50)} if places > 1 else {})


def way(courses: int, each: int, late: int) -> tuple[set[Pair], Size]:
    """All courses but the last are full; for each of the late ones somebody has to move on in every course."""
    moved = {
        (f"early{course:05}-{number}", f"course{course + at:05}")
        for course in range(courses - 1)
        for number in range(each)
        for at in (0, 1)
    }
    moved |= {(f"late{number}", "course00000") for number in range(late)}
    size = dict.fromkeys((f"course{course:05}" for course in range(courses)), each)
    return moved, Size(ENDLESS, size | {f"course{courses - 1:05}": ENDLESS // 2})


@pytest.mark.parametrize(("each", "places"), [(10, 1), (10, 400), (10, 1000), (2, 390), (2, 400)])
def test_a_large_college_is_planned_for(each: int, places: int) -> None:
    moved, size = in_courses(each), large(places)
    made = plan(moved, size, 1)
    assert all(made.covers(pair) for pair in moved)
    assert cost(made, size, 1) == min(50 * places, 20_000)


def test_two_hundred_thousand_learners_of_one_course_each_are_planned_for() -> None:
    moved = {(f"learner{number}", f"course{number % 50}") for number in range(200_000)}
    assert plan(moved, Size(200_000), 1000) == Plan(courses=frozenset(course for _, course in moved))


@pytest.mark.parametrize(("courses", "each", "late"), [(50, 100, 100), (5_000, 1, 1)])
def test_a_place_is_found_at_the_end_of_a_long_way(courses: int, each: int, late: int) -> None:
    # A search that calls itself would be too deep.
    moved, size = way(courses, each, late)
    learners = {learner for learner, _ in moved}
    assert plan(moved, size, 1) == Plan(learners=frozenset(learners))
    fuller = plan(moved | {(f"more{number}", "course00000") for number in range(each)}, size, 1)
    assert cost(fuller, size, 1) == each + len(learners - {one for one in learners if one.startswith("late")})
