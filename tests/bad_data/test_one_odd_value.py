"""An odd value in a row harms that row: the rest of the package stays byte for byte, and the row is named.

Many values are tried at once, each in a row of its own, since rows that have nothing in common cannot harm each other;
where they do, that is the fault to find. `ODD_SEED` chooses other values, `ODD_ROUNDS` the number of rounds, `ODD_MODE`
the grade sync; with `ODD_BATCH` the tap hands its rows over by file.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.bad_data import raw
from tests.bad_data.college import ANCHORS, ITEMS, LISTS, ORG, SHARED, College, places
from tests.bad_data.conftest import GRANULAR
from tests.bad_data.nights import Site
from tests.bad_data.values import Odd, thrown_at
from tests.bad_data.verdict import IDENTIFY, differences, has_to_be_named, makes_new, may, names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bad_data.college import Place, Row
    from tests.bad_data.nights import Files, Nights
    from tests.bad_data.upstream import Alter
    from tests.bad_data.verdict import Difference

    Thrown = tuple[Place, str]

AS_OF = "report_updated_at"
SEED = int(os.environ.get("ODD_SEED", "12"))
ROUNDS = int(os.environ.get("ODD_ROUNDS", "6"))
TAKEN = 120
"""Values that `make test` tries to find a row for."""
LEARNERS, PER_PROGRAM, PROGRAMS = 8, 4, 10
"""Learners of a program, and how many of them may have something odd: more would be a bad night of the program."""


class Rounds:
    """Nights of a college without odd values, and the same nights with odd values."""

    def __init__(self, folder: Path, nights: Nights, programs: int, days: int) -> None:
        self.folder, self.nights = folder, nights
        self.days = [College(programs, LEARNERS, night) for night in range(days)]
        self.places: list[Site] = []
        """As they were after each night."""
        self.plain: list[Files] = []
        self.number = 0
        here = self.begin(folder / "plain")
        for number, college in enumerate(self.days):
            self.plain.append(nights.live(here, college))
            self.places.append(here.copy(folder / f"night{number}"))

    def run_raw(self, odds: list[Odd]) -> list[str]:
        """Build and publish again with these values in the raw tables, and return the complaints."""
        place = self.new(1)
        with duckdb.connect(str(place.warehouse)) as database:
            for odd in odds:
                for statement in raw.statements(odd):
                    database.execute(statement)
        return self._told(odds, place, self.nights.transform(place), 0)

    def _told(self, odds: list[Odd], place: Site, files: Files, night: int) -> list[str]:
        explained = _unexplained(odds, differences(self.plain[night], files))
        return place.stopped + explained + _unnamed(odds, place, self.places[night])

    def new(self, night: int) -> Site:
        """Return a site in which everything was ordinary before this night."""
        self.number += 1
        where = self.folder / f"round{self.number}"
        return self.places[night - 1].copy(where) if night else self.begin(where)

    def begin(self, folder: Path) -> Site:
        """Return a site into which nothing was loaded yet."""
        return Site(self.nights.empty).copy(folder)

    def run(self, odds: list[Odd], night: int) -> list[str]:
        """Run this night with these values and the next one without, and return the complaints."""
        wrong: list[str] = []
        place = self.new(night)
        altered = {(odd.row.list, odd.row.key): odd.texts for odd in odds}
        files = self.nights.live(place, self.days[night], altered)
        wrong += self._told(odds, place, files, night)
        wrong += _bookmarks(self.places[night].state, place.state)
        files = self.nights.live(place, self.days[night + 1])
        # A learner whose account was unknown on the first night keeps the id of that night, on purpose.
        late = [odd for odd in odds if not night and odd.place.stream == "users" and odd.place.path[-1] in IDENTIFY]
        left = [
            seen
            for seen in differences(self.plain[night + 1], files)
            if seen.before is not None and not any(may(odd, seen) for odd in late)
        ]
        wrong += [
            f"after the next night still: {seen} by {[str(odd) for odd in odds if may(odd, seen)]}" for seen in left
        ]
        return wrong


def _unexplained(odds: list[Odd], found: Iterator[Difference]) -> list[str]:
    return [
        f"not of any odd row: {seen}"
        for seen in found
        if not any(may(odd, seen) or makes_new(odd, seen) for odd in odds)
    ]


def _unnamed(odds: list[Odd], place: Site, plain: Site) -> list[str]:
    before = plain.findings()
    told = [row for row in place.findings() if row not in before]
    tells = [f"tells of a person: {row}" for row in told if "@mail" in str(row)]
    return tells + [
        f"not named: {odd}" for odd in odds if has_to_be_named(odd) and not any(names(odd, row) for row in told)
    ]


def _bookmarks(plain: Any, odd: Any) -> list[str]:
    """Return the bookmarks that moved; the time of a report may be earlier, since its oldest row decides that."""
    before, after = _times(plain), _times(odd)
    return [
        f"bookmark {name}: {before.get(name)} became {value}"
        for name, value in after.items()
        if value != before.get(name) and not (name.endswith(AS_OF) and value < before.get(name, ""))
    ]


def _times(state: Any) -> dict[str, str]:
    found = {}
    for stream, bookmark in state["bookmarks"].items():
        for one in bookmark.get("partitions", [bookmark]):
            for name in ("replication_key_value", AS_OF):
                if name in one:
                    found[f"{stream} {json.dumps(one.get('context', {}))} {name}"] = one[name]
    return found


def chosen(random: Random, supply: dict[str, list[Row]], wanted: list[Thrown]) -> tuple[list[Odd], list[Thrown]]:
    """Return the values that get a row of their own, and those for which no row was left."""
    taken: set[Any] = set()
    counts: Counter[str] = Counter()
    odds, left = [], []
    free = {stream: random.sample(rows, len(rows)) for stream, rows in supply.items()}
    for place, value in wanted:
        # Two rows with the same id would be one thing.
        same = (str(place.path[-1]), value) if str(place.path[-1]) in IDENTIFY else None
        row = next((row for row in free[place.stream] if _fits(row, counts, taken)), None)
        if row is None or same in taken:
            left.append((place, value))
            continue
        odds.append(Odd(place, row, value))
        taken |= {key for key in (same, row.learner or row.program or row.course or row.key) if key}
        if row.learner:
            counts[row.learner[1:3]] += 1
    return odds, left


def makes_a_school(wanted: Thrown) -> bool:
    """Return whether the value would remove a published school, which the guard blocks on purpose."""
    return wanted[0].stream == "programs" and wanted[0].column in {"id", "_sdc_deleted_at"}


def _fits(row: Row, counts: Counter[str], taken: set[Any]) -> bool:
    if row.learner:
        program = row.learner[1:3]
        return (
            not {row.learner, f"P{program}", f"C{program}"} & taken
            and int(row.learner[-2:]) >= ANCHORS
            and counts[program] < PER_PROGRAM
        )
    own = row.program or row.course or row.key
    return own != SHARED and not {own, f"P{own[1:3]}", f"C{own[1:3]}"} & taken and not counts[own[1:3]]


def supply(college: College) -> dict[str, list[Row]]:
    """Return the rows from which each stream is made."""
    return {place.stream: college.rows[LISTS.get(place.stream, place.stream)] for place in places()}


def thrown(random: Random) -> list[Thrown]:
    """Every value for every field of every stream, in an order that has each field early."""
    rounds = [random.sample(values, len(values)) for values in map(thrown_at, places())]
    fields = random.sample(list(zip(places(), rounds, strict=True)), len(rounds))
    return [
        (place, values[turn]) for turn in range(max(map(len, rounds))) for place, values in fields if turn < len(values)
    ]


def none(wrong: list[str]) -> None:
    """Fail the test if there is a complaint, and show all of them."""
    if wrong:
        pytest.fail("\n".join(wrong))


@pytest.fixture(scope="module")
def rounds(nights: Nights, tmp_path_factory: pytest.TempPathFactory) -> Rounds:
    """Two nights of a small college."""
    return Rounds(tmp_path_factory.mktemp("rounds"), nights, PROGRAMS, days=2)


def test_odd_values_of_the_api_harm_no_other_row_and_are_named(rounds: Rounds) -> None:
    random, rows = Random(SEED), supply(rounds.days[0])
    of_learners: list[Thrown] = []
    others: list[Thrown] = []
    for one in thrown(random)[: 3 * TAKEN]:
        (of_learners if rows[one[0].stream][0].learner else others).append(one)
    # A value in a program or course takes up the rows of all its learners, so there are few such values.
    odds, _ = chosen(random, rows, others[: PROGRAMS // 2] + of_learners)
    assert len(odds) > 20
    none(rounds.run(odds, 0))


def test_odd_cells_of_raw_tables_harm_no_other_row_and_are_named(rounds: Rounds) -> None:
    random = Random(SEED)
    cells = raw.cells(rounds.places[0])
    odds, _ = chosen(random, raw.rows(rounds.places[0]), random.sample(cells, TAKEN))
    assert len(odds) > 20
    none(rounds.run_raw(odds))


def test_an_item_that_a_whole_course_does_not_show_any_more_leaves_after_one_held_run(rounds: Rounds) -> None:
    place, course, (gone, _) = rounds.begin(rounds.folder / "gone"), "C00", ITEMS

    def without(value: Any) -> list[str]:
        items = [item for item in value["itemGradebooks"] if item["itemId"] != f"{course}{gone}"]
        return [json.dumps(value | {"itemGradebooks": items})]

    altered = {(row.list, row.key): without for row in rounds.days[0].rows["course_grades"] if row.course == course}
    live = rounds.nights.live
    first = ids(live(place, rounds.days[0], mode=GRANULAR))
    assert len(first["lineItems"]) == 4 * PROGRAMS
    assert ids(live(place, rounds.days[1], altered, mode=GRANULAR)) == first
    left = ids(live(place, College(len(rounds.days[0].program_ids()), LEARNERS, 2), altered, mode=GRANULAR))
    item = f"lineItem.P00.{course}.{course}{gone}"
    assert first["lineItems"] - left["lineItems"] == {item}
    assert len(first["results"] - left["results"]) == LEARNERS
    assert all(one.startswith(f"result.P00.{course}.") for one in first["results"] - left["results"])


def test_an_organisation_that_the_list_does_not_show_any_more_is_kept(rounds: Rounds) -> None:
    place = rounds.new(1)
    gone: dict[tuple[str, str], Alter] = {("organizations", ORG): lambda _value: []}
    assert not list(differences(rounds.plain[1], rounds.nights.live(place, rounds.days[1], gone)))
    assert ("organization-not-listed", ORG) in {(row["rule"], row["record_id"]) for row in place.findings()}


@pytest.mark.parametrize("odd", [7, None, "half \ud83d"], ids=ascii)
def test_a_program_whose_id_is_odd_for_a_night_is_published_as_it_would_be(rounds: Rounds, odd: Any) -> None:
    place, program = rounds.new(1), "P00"
    altered: dict[tuple[str, str], Alter] = {
        (stream, program): lambda value: [json.dumps(value | {"id": odd})]
        for stream in ("programs", "program_contents")
    }
    assert not list(differences(rounds.plain[1], rounds.nights.live(place, rounds.days[1], altered)))
    told = {(row["rule"], row["record_id"], row["field"]) for row in place.findings()}
    assert ("unusable-value", program, "id") in told


def ids(files: Files) -> dict[str, set[str]]:
    """The sourcedIds of each file."""
    return {name: {row[0] for row in rows} for name, rows in files.rows.items()}


@pytest.mark.slow(minutes=4)
@pytest.mark.pipeline
def test_many_more_odd_values_harm_no_other_row_and_are_named(nights: Nights, tmp_path: Path) -> None:
    random = Random(SEED)
    rounds = Rounds(tmp_path, nights, programs=30, days=3)
    of_api, of_tables = thrown(random), raw.cells(rounds.places[0])
    random.shuffle(of_tables)
    wrong: list[str] = []
    of_tables = [one for one in of_tables if not makes_a_school(one)]
    for number in range(ROUNDS):
        night = number % 2
        odds, of_api = chosen(random, supply(rounds.days[0]), of_api)
        wrong += rounds.run(odds, night)
        odds, of_tables = chosen(random, raw.rows(rounds.places[0]), of_tables)
        wrong += rounds.run_raw(odds)
    none(wrong)
