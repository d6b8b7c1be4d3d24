"""Listings over pages that misbehave."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest

from tap_coursera.agenda import Agenda
from tap_coursera.ahead import Workers
from tap_coursera.client import Tally
from tap_coursera.errors import TapError
from tap_coursera.paging import READS, Listing
from tap_coursera.reports import newer
from tap_coursera.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_coursera.client import Client
    from tap_coursera.typed import Raw

    Answer = Callable[[int, int, int], tuple[list[str], Any, Any]]
    """(request number, start, limit) to (ids, next, total)."""


class Api:
    """Answers in place of the client; `None` leaves next or total out."""

    parallel: ClassVar = 1

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.workers = Workers(self.parallel)
        self.agenda = Agenda()
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self.starts: list[str] = []
        self._lock = threading.Lock()

    def get(self, stream: str, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        assert (stream, path) == ("users", "/users")
        start = params.get("start", "0")
        with self._lock:
            self.starts.append(start)
            number = len(self.starts)
        ids, following, total = self.answer(number, int(start) if start.isdecimal() else -1, int(params["limit"]))
        paging = {"next": following, "total": total}
        return {"elements": [{"id": i} for i in ids], "paging": {k: v for k, v in paging.items() if v is not None}}


@pytest.fixture(autouse=True, params=[1, 4, 8])
def parallel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether pages are asked for ahead changes nothing for the reader, so each test is made with and without that."""
    monkeypatch.setattr(Api, "parallel", request.param)


def read(answer: Answer, limit: int = 4) -> tuple[str, Api]:
    api = Api(answer)
    rows = Listing(cast("Client", api), "users", "/users", {}, limit).rows()
    return "".join(row["id"] for row in rows), api


def cut(letters: str, start: int, limit: int, *, text: bool = True) -> tuple[list[str], Any, Any]:
    end = start + limit
    following = (str(end) if text else end) if end < len(letters) else None
    return list(letters[start:end]), following, len(letters)


@pytest.mark.parametrize("text", [True, False])
def test_next_may_be_text_or_a_number(text: bool) -> None:
    got, api = read(lambda _, start, limit: cut("abcdefghij", start, limit, text=text))
    assert got == "abcdefghij"
    assert sorted(api.starts) == ["0", "4", "8"]


def test_short_pages_do_not_end_a_list() -> None:
    assert read(lambda _, start, limit: cut("abcdefghij", start, limit - 3))[0] == "abcdefghij"


def test_an_empty_page_with_next_does_not_end_a_list() -> None:
    pages = [(["a"], "1", 2), ([], "2", 2), (["b"], None, 2)]
    assert read(lambda number, _, __: pages[number - 1])[0] == "ab"


def test_without_next_the_total_tells_that_there_is_more() -> None:
    got, api = read(lambda _, start, limit: (list("abcdefghij"[start : start + limit]), None, 10))
    assert got == "abcdefghij"
    assert sorted(api.starts) == ["0", "4", "8"]


def test_a_missing_total_is_no_reason_to_read_again() -> None:
    got, api = read(lambda _, start, limit: (*cut("abcdefghij", start, limit)[:2], None))
    assert got == "abcdefghij"
    assert len(api.starts) == 3


def test_an_opaque_cursor_is_sent_back_as_start() -> None:
    pages = [(["a"], "cur~sor", 2), (["b"], None, 2)]
    got, api = read(lambda number, _, __: pages[number - 1])
    assert got == "ab"
    assert api.starts == ["0", "cur~sor"]


def test_an_empty_list_is_a_list() -> None:
    assert read(lambda _, __, ___: ([], None, 0))[0] == ""
    assert read(lambda _, __, ___: ([], None, None))[0] == ""


@pytest.mark.parametrize(
    "answer",
    [
        lambda *_: (["a", "b"], "2", 1000),
        lambda number, _, __: ([str(number)], "0", 1000),
        lambda number, _, __: ([str(number)], ["x", "y", "x"][number % 3], None),
        lambda _, start, limit: (["a", "b"], str(start + limit), 10**9),
        lambda _, start, limit: (list("abcd"), str(start + limit), 10**9),
        lambda _, start, limit: ([], str(start + limit), None),
        lambda number, _, __: ([str(number)], str(10 - number), None),
    ],
)
def test_pages_that_lead_in_a_circle_are_an_error(answer: Answer) -> None:
    with pytest.raises(TapError, match="circle"):
        read(answer)


def test_a_row_that_slips_in_ahead_is_read_with_all_others_once() -> None:
    got, api = read(lambda number, start, limit: cut("abcdefgh" if number == 1 else "xabcdefgh", start, limit))
    assert sorted(got) == list("abcdefghx")
    assert len(api.starts) == 6


def test_a_row_that_vanishes_ahead_costs_no_other_row() -> None:
    got, _ = read(lambda number, start, limit: cut("abcdefgh" if number == 1 else "bcdefgh", start, limit))
    assert sorted(got) == list("abcdefgh")


def test_a_list_that_really_holds_a_row_twice_is_read_twice_and_then_believed() -> None:
    got, api = read(lambda _, start, limit: cut("aabcdef", start, limit))
    assert got == "abcdef"
    assert len(api.starts) == 4


def test_pages_in_a_new_order_each_time_are_an_error_and_not_a_short_list() -> None:
    # Nothing new in the second reading, and yet a row may be missing.
    pages = [list("abc"), list("aad"), list("dcb"), list("dda")] * 4
    with pytest.raises(TapError, match="rows may be missing"):
        read(lambda number, start, _: (pages[number - 1], "3" if start == 0 else None, 6))


@pytest.mark.parametrize("end", ["10", 10, "0", 0])
def test_a_next_that_leads_nowhere_after_the_last_row_ends_the_list(end: object) -> None:
    got, api = read(lambda _, start, __: (list("abcdefghij")[start:], end, 10))
    assert got == "abcdefghij"
    assert len(api.starts) <= 2


def test_a_list_that_never_stands_still_is_an_error_and_not_a_short_list() -> None:
    with pytest.raises(TapError, match="changed during each"):
        read(lambda number, start, limit: cut("abcdefghijkl"[: 8 + number % 2], start, limit))


def test_a_total_that_is_never_reached_is_an_error_after_few_readings() -> None:
    api = Api(lambda _, start, __: (["a"], None, 3) if start == 0 else ([], None, 3))
    with pytest.raises(TapError, match="rows may be missing"):
        list(Listing(cast("Client", api), "users", "/users", {}, 4).rows())
    assert len(api.starts) == 2 * READS


def test_overlapping_listings_share_what_they_have_shown() -> None:
    seen = Seen()
    found = [
        [row["id"] for row in Listing(cast("Client", Api(one)), "users", "/users", {}, 10).rows(seen)]
        for one in (
            lambda _, start, limit: cut("abc", start, limit),
            lambda _, start, limit: cut("bcd", start, limit),
            lambda _, start, limit: cut("abcd", start, limit),
        )
    ]
    assert found == [["a", "b", "c"], ["d"], []]


def test_rows_without_id_come_once_each_and_what_is_no_row_at_all_is_an_error() -> None:
    class Nameless(Api):
        elements: ClassVar[list[Any]] = [{"name": "x"}, {"name": "x"}, {"name": "y"}, 5]

        def get(self, *_: Any) -> dict[str, Any]:
            return {"elements": self.elements, "paging": {}}

    api = Nameless(lambda *_: ([], None, None))

    def found() -> list[Any]:
        return list(Listing(cast("Client", api), "users", "/users", {}, 4, fields=frozenset({"name"})).rows())

    assert found() == [{"name": "x"}, {"name": "y"}, {}]
    for Nameless.elements in ([5, "x"], [{"title": 1}, {"title": 2}]):
        with pytest.raises(TapError, match="hold nothing that Coursera documents"):
            found()


def listing(*elements: dict[str, Any], parts: tuple[str, ...] = ()) -> list[Raw]:
    class One(Api):
        def get(self, stream: str, path: str, params: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG002
            assert "limit" not in params
            return {"elements": [dict(element) for element in elements], "paging": None}

    api = cast("Client", One(lambda *_: ([], None, None)))
    return list(Listing(api, "users", "/users", {}, None, parts).rows())


def test_the_id_of_a_row_that_came_without_is_made_of_its_parts() -> None:
    rows = listing({"externalId": 7, "courseId": "c"}, {"id": "own", "courseId": "c"}, parts=("externalId", "courseId"))
    assert [row["id"] for row in rows] == ["7~c", "own"]
    (row,) = listing({"externalId": None, "courseId": "c"}, parts=("externalId", "courseId"))
    assert row["id"] is None


def test_the_same_id_in_two_programs_is_two_rows() -> None:
    assert len(listing({"id": "a", "programId": "p"}, {"id": "a", "programId": "q"})) == 2


# The models rank by the same cases: tests/transform/test_staging.py.
RIVALS = json.loads((Path(__file__).parents[1] / "rivals.json").read_text("utf-8"))
ENDLESS = {"deletedAt": 10**30, "lastActivityAt": "soon"}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("case", RIVALS, ids=lambda case: case["case"])
def test_of_two_rows_of_one_id_the_newer_comes_last_whatever_their_order(case: dict[str, Any], turned: bool) -> None:
    def told(name: str, number: int) -> dict[str, Any]:
        row = {key: epoch_of(value) if key.endswith("At") else value for key, value in case[name].items()}
        return {"id": "a", "n": number, **row}

    rivals = [told("newer", 1), told("other", 2), told("other", 3) | ENDLESS]

    class One(Api):
        def get(self, *_: Any) -> dict[str, Any]:
            others = [{"id": other, "membershipState": "MEMBER"} for other in "xyz"]
            first, *more = reversed(rivals) if turned else rivals
            elements = [others[0], first, others[1], *more, others[2]]
            return {"elements": [dict(one) for one in elements], "paging": {"total": len(elements)}}

    api, seen = cast("Client", One(lambda *_: ([], None, None))), Seen()
    found = list(Listing(api, "users", "/users", {}, None, rank=newer).rows(seen))
    assert [row["n"] for row in found if row["id"] == "a"][-1] == 1
    assert sorted(row["id"] for row in found if row["id"] != "a") == ["x", "y", "z"]
    assert len(seen.rivals) == 1


def epoch_of(text: str) -> int:
    """Epoch milliseconds."""
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)
