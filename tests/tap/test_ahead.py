"""Pages that are asked for ahead: the reader gets what it would get one after the other, and nobody is overrun."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_coursera.agenda import Agenda
from tap_coursera.ahead import Workers
from tap_coursera.client import Tally
from tap_coursera.errors import TapError
from tap_coursera.paging import Businesses, Listing, read
from tests.tap.conftest import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from coursera_sandbox.testing import RunningSandbox
    from tap_coursera.client import Client
    from tap_coursera.paging import Page
    from tap_coursera.typed import Raw
    from tests.tap.conftest import ReadTap

    Answer = Callable[[str, str], dict[str, Any]]
    """(path, start) to an envelope."""

LIMIT = 3
PATIENCE = 20
"""Seconds after which something that has to happen counts as not happening."""
STAFF = {size: Workers(size) for size in (1, 2, 4, 8)}
"""For the many examples of a property, which would start many threads."""
parallel = pytest.mark.parametrize("size", [2, 4, 8])


class Api:
    """Answers in place of the client, and keeps count of what it is asked."""

    def __init__(self, answer: Answer, workers: Workers) -> None:
        self.answer = answer
        self.workers = workers
        self.agenda = Agenda()
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self.begun: list[tuple[str, str]] = []
        """Path and start of each request, in the order in which they came."""
        self.most = 0
        """Requests that were under way together."""
        self._under_way = 0
        self._changed = threading.Condition()

    def get(self, stream: str, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        assert (stream, params["limit"]) == ("users", str(LIMIT))
        with self._changed:
            self.begun.append((path, params.get("start", "0")))
            self._under_way += 1
            self.most = max(self.most, self._under_way)
            self._changed.notify_all()
        try:
            return self.answer(*self.begun[-1] if self.workers.size == 1 else (path, params.get("start", "0")))
        finally:
            with self._changed:
                self._under_way -= 1

    def listing(self, path: str) -> Listing:
        return Listing(cast("Client", self), "users", path, {}, LIMIT)

    def rows(self, *paths: str) -> Iterator[Raw]:
        return read(self.listing(path) for path in paths)

    def wait_for(self, requests: int) -> None:
        """Until so many requests were begun."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.begun) >= requests, PATIENCE), self.begun

    def settle(self) -> None:
        """Until everything that was asked for is done or given up."""
        together = threading.Barrier(self.workers.size)
        for call in [self.workers.begin(lambda: together.wait(PATIENCE)) for _ in range(2 * self.workers.size)]:
            call.result()


def lists(*pages: int) -> Answer:
    """Lists of so many full pages; the first is `/0`."""

    def answer(path: str, start: str) -> dict[str, Any]:
        total, first = pages[int(path[1:])] * LIMIT, int(start)
        after = first + LIMIT
        following = {"next": str(after)} if after < total else {}
        elements = [{"id": f"{path}-{number}"} for number in range(first, min(after, total))]
        return {"elements": elements, "paging": {"total": total, **following}}

    return answer


def paths(*pages: int) -> list[str]:
    return [f"/{number}" for number in range(len(pages))]


def ids(*pages: int) -> list[str]:
    return [f"/{number}-{row}" for number, many in enumerate(pages) for row in range(many * LIMIT)]


# The same as one after the other


@dataclass(frozen=True)
class Habit:
    """How a page is answered."""

    rows: int = LIMIT
    off: int | None = 0
    """By how much `total` is wrong; None leaves it out."""
    following: str = "text"
    fails: bool = False


@dataclass
class Moving:
    """A list that is another one each time it is read, and whose pages have habits."""

    versions: Sequence[tuple[Sequence[int], Sequence[Habit]]]
    readings: int = field(default=0)

    def answer(self, start: str) -> dict[str, Any]:
        if start == "0":
            self.readings += 1
        rows, habits = self.versions[min(self.readings, len(self.versions)) - 1]
        first = int(start.removeprefix("cursor"))
        habit = habits[first // LIMIT % len(habits)]
        if habit.fails:
            raise TapError(f"Page {start} of reading {self.readings} failed.")
        after = first + habit.rows
        paging: dict[str, Any] = {} if habit.off is None else {"total": len(rows) + habit.off}
        if after < len(rows) or habit.following == "always":
            following = {"number": after, "cursor": f"cursor{after}", "absent": None}.get(habit.following, str(after))
            paging |= {"next": following}
        return {"elements": [{"id": row} for row in rows[first:after]], "paging": paging}


usual = st.just(Habit())
odd = st.builds(
    Habit,
    st.integers(0, LIMIT),
    st.sampled_from([None, 0, 0, -1, 1, LIMIT, 30]),
    st.sampled_from(["text", "number", "cursor", "absent", "always"]),
)
failing = st.just(Habit(fails=True))
version = st.tuples(
    st.lists(st.integers(0, 40), max_size=36) | st.lists(st.integers(0, 40), min_size=9, max_size=36, unique=True),
    st.lists(usual | usual | usual | odd | failing, min_size=1, max_size=12)
    | st.lists(usual | usual | odd, min_size=1, max_size=12)
    | st.lists(usual, min_size=1, max_size=1),
)
moving = st.lists(version, min_size=1, max_size=3)


def told(versions: Sequence[Any], size: int) -> tuple[list[int], list[int | None], str | None]:
    """Rows in their order, the size of each list that was read to its end, the error."""
    servers = {f"/{number}": Moving(each) for number, each in enumerate(versions)}
    api = Api(lambda path, start: servers[path].answer(start), STAFF[size])
    listings = [api.listing(path) for path in servers]
    rows: list[int] = []
    error = None
    try:
        rows.extend(row["id"] for row in read(listings))
    except TapError as failure:
        error = str(failure)
    return rows, [listing.size for listing in listings], error


@settings(deadline=None, max_examples=200)
@given(st.lists(moving, min_size=1, max_size=4))
def test_rows_order_and_errors_are_those_of_reading_one_after_the_other(versions: list[Any]) -> None:
    expected = told(versions, 1)
    for size in (2, 4, 8):
        assert told(versions, size) == expected


# One after the other


def test_one_at_a_time_means_that_nothing_is_asked_for_before_its_rows_are_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("a thread was started"))
    log: list[str] = []
    full = lists(2, 1, 0, 2)

    def answer(path: str, start: str) -> dict[str, Any]:
        assert threading.current_thread() is threading.main_thread()
        log.append(f"ask {path} {start}")
        return full(path, start)

    def listings() -> Iterator[Listing]:
        for path in paths(2, 1, 0, 2):
            log.append(f"take {path}")
            yield api.listing(path)

    api = Api(answer, Workers(1))
    rows = read(listings())
    assert log == []
    for row in rows:
        log += [row["id"]]
    page = {start: [str(start + number) for number in range(LIMIT)] for start in (0, LIMIT)}
    expected = []
    for path, starts in (("/0", [0, LIMIT]), ("/1", [0]), ("/2", []), ("/3", [0, LIMIT])):
        expected.append(f"take {path}")
        for start in starts or [0]:
            expected.append(f"ask {path} {start}")
            expected += [f"{path}-{number}" for number in page[start] if starts]
    assert log == expected


def test_one_at_a_time_means_that_a_list_that_nobody_reads_on_is_not_asked_for_more() -> None:
    api = Api(lists(5), Workers(1))
    rows = api.rows("/0")
    next(rows)
    next(rows)
    rows.close()  # type: ignore[attr-defined] # it is a generator
    assert api.begun == [("/0", "0")]


# Side by side

SHAPES = [(20,), (1,) * 20, (2,) * 10, (3,) * 7, (1, 9, 1, 1, 7, 0, 1), (2, 1)]


@parallel
@pytest.mark.parametrize("one_list", [True, False])
def test_as_many_requests_are_under_way_as_may_be_and_never_more(size: int, one_list: bool) -> None:
    shape = (1 + 3 * size,) if one_list else (1,) * 3 * size
    full, together = lists(*shape), threading.Barrier(size)

    def answer(path: str, start: str) -> dict[str, Any]:
        if (path, start) != ("/0", "0") or not one_list:
            together.wait(PATIENCE)
        return full(path, start)

    api = Api(answer, Workers(size))
    assert [row["id"] for row in api.rows(*paths(*shape))] == ids(*shape)
    assert api.most == size


@parallel
@pytest.mark.parametrize("shape", SHAPES)
def test_no_more_pages_wait_to_be_read_than_twice_as_many_as_requests_may_be_under_way(
    size: int, shape: tuple[int, ...]
) -> None:
    api = Api(lists(*shape), Workers(size))
    requests = [max(1, pages) for pages in shape]
    for row in api.rows(*paths(*shape)):
        path, number = map(int, row["id"].removeprefix("/").split("-"))
        handed_over = sum(requests[:path]) + number // LIMIT + 1
        if len(set(shape)) == 1 and 1 in {len(shape), *shape}:
            # It is known all the time what comes next.
            api.wait_for(min(sum(requests), handed_over + size))
        api.settle()
        assert len(api.begun) <= handed_over + 2 * size
    assert len(api.begun) == sum(requests)


@parallel
def test_lists_are_taken_when_there_is_room_for_them(size: int) -> None:
    taken: list[int] = []

    def listings() -> Iterator[Listing]:
        for number in range(20):
            taken.append(number)
            yield api.listing(f"/{number}")

    api = Api(lists(*[1] * 20), Workers(size))
    for count, _ in enumerate(read(listings())):
        assert len(taken) == min(20, count // LIMIT + 1 + size)


class Rows(list[dict[str, str]]):
    """Rows that can be watched."""


@parallel
@pytest.mark.parametrize("shape", SHAPES)
def test_a_page_that_was_read_is_not_kept(size: int, shape: tuple[int, ...]) -> None:
    kept: weakref.WeakValueDictionary[tuple[str, str], Rows] = weakref.WeakValueDictionary()
    full = lists(*shape)

    def answer(path: str, start: str) -> dict[str, Any]:
        envelope = full(path, start)
        kept[path, start] = envelope["elements"] = Rows(envelope["elements"])
        return envelope

    api = Api(answer, Workers(size))
    for _ in api.rows(*paths(*shape)):
        assert len(kept) <= 2 * size + 1
    deadline = time.monotonic() + PATIENCE
    while kept and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not kept


@parallel
def test_a_list_that_does_not_keep_to_its_page_size_is_read_one_page_after_the_other(size: int) -> None:
    def answer(_: str, start: str) -> dict[str, Any]:
        after = int(start) + LIMIT - 1
        following = {"next": str(after)} if after < 20 else {}
        return {"elements": [{"id": n} for n in range(int(start), after)], "paging": {"total": 20, **following}}

    api = Api(answer, Workers(size))
    for number, row in enumerate(api.rows("/0")):
        assert row["id"] == number
        api.settle()
        assert [int(start) for _, start in api.begun] == list(range(0, number + 1, LIMIT - 1))
    assert number == 19


@parallel
def test_a_page_that_is_short_costs_no_row_and_no_more_requests_than_were_under_way(size: int) -> None:
    def answer(_: str, start: str) -> dict[str, Any]:
        first = int(start)
        after = first + (2 if first == 12 else LIMIT)
        following = {"next": str(after)} if after < 60 else {}
        return {"elements": [{"id": n} for n in range(first, min(60, after))], "paging": {"total": 60, **following}}

    api = Api(answer, Workers(size))
    assert [row["id"] for row in api.rows("/0")] == list(range(60))
    api.settle()
    needed = {*range(0, 13, LIMIT), *range(14, 60, LIMIT)}
    asked = [int(start) for _, start in api.begun]
    assert needed <= set(asked)
    assert len(set(asked)) == len(asked) <= len(needed) + size


@parallel
def test_pages_of_a_list_that_ended_earlier_are_no_pages_of_the_next(size: int) -> None:
    def answer(_: str, start: str) -> dict[str, Any]:
        after = {"0": 3, "3": 12}.get(start, 12)
        following = {"next": "3"} if start == "0" else {}
        return {"elements": [{"id": n} for n in range(int(start), after)], "paging": {"total": 12, **following}}

    api = Api(answer, Workers(size))
    assert [row["id"] for row in api.rows("/0", "/1")] == list(range(12))
    assert api.begun.count(("/0", "0")) == api.begun.count(("/1", "0")) == 1


# Endings


@pytest.mark.parametrize("size", [1, 2, 4, 8])
@pytest.mark.parametrize("failing_page", [0, 1, 2, 7, 19])
@pytest.mark.parametrize("one_list", [True, False])
def test_an_error_comes_after_the_rows_before_it_and_ends_the_asking(
    size: int, failing_page: int, one_list: bool
) -> None:
    shape = (20,) if one_list else (1,) * 20
    full = lists(*shape)
    bad = ("/0", str(failing_page * LIMIT)) if one_list else (f"/{failing_page}", "0")

    def answer(path: str, start: str) -> dict[str, Any]:
        if (path, start) == bad:
            raise TapError("That page.")
        return full(path, start)

    api = Api(answer, Workers(size))
    found: list[str] = []
    with pytest.raises(TapError, match="That page"):
        # A list keeps what came before an error.
        found.extend(row["id"] for row in api.rows(*paths(*shape)))
    assert found == ids(*shape)[: failing_page * LIMIT]
    api.settle()
    begun = len(api.begun)
    assert failing_page + 1 <= begun <= failing_page + (2 * size if size > 1 else 1)
    api.settle()
    assert len(api.begun) == begun


@parallel
def test_an_error_beyond_the_end_of_a_list_is_nobodys(size: int) -> None:
    gone = threading.Event()

    def answer(_: str, start: str) -> dict[str, Any]:
        # Four pages were announced; once they were asked for, it turns out that there are two.
        if start in {"6", "9"}:
            gone.set()
            raise TapError("There is no such page.")
        total = 12 if start == "0" and not gone.is_set() else 6
        if start == "3" and size > 2:
            assert gone.wait(PATIENCE)
        following = {"next": "3"} if start == "0" else {}
        return {
            "elements": [{"id": n} for n in range(int(start), int(start) + 3)],
            "paging": {"total": total, **following},
        }

    api = Api(answer, Workers(size))
    if size == 2:
        gone.set()
    assert [row["id"] for row in api.rows("/0")] == list(range(6))


@pytest.mark.parametrize("ending", ["left", "error"])
@pytest.mark.parametrize("one_list", [True, False])
def test_what_was_not_begun_when_the_reader_ended_is_given_up(ending: str, one_list: bool) -> None:
    shape = (20,) if one_list else (1,) * 20
    full = lists(*shape)
    places = [("/0", str(number * LIMIT)) if one_list else (f"/{number}", "0") for number in range(20)]
    free, over = threading.Event(), threading.Event()

    def answer(path: str, start: str) -> dict[str, Any]:
        if (path, start) == places[1] and ending == "error":
            raise TapError("That page.")
        if (path, start) != places[0]:
            assert over.wait(PATIENCE)
        return full(path, start)

    api = Api(answer, Workers(4))
    for _ in range(3):
        api.workers.begin(free.wait)
    # A single worker is left, so that all pages but two wait for it.
    rows = api.rows(*paths(*shape))
    for _ in range(LIMIT):
        next(rows)
    api.wait_for(2)
    if ending == "error":
        with pytest.raises(TapError, match="That page"):
            next(rows)
        begun = places[:3]
    else:
        rows.close()  # type: ignore[attr-defined] # it is a generator
        begun = places[:2]
    over.set()
    free.set()
    api.settle()
    assert api.begun in (begun, begun[:2])


# Workers


@parallel
def test_calls_begin_in_their_order_and_never_more_than_so_many_at_a_time(size: int) -> None:
    workers, lock, together = Workers(size), threading.Lock(), threading.Barrier(size)
    order: list[int] = []
    under_way: list[int] = [0, 0]

    def call(number: int) -> int:
        with lock:
            order.append(number)
            under_way[0] += 1
            under_way[1] = max(under_way)
        together.wait(PATIENCE)
        with lock:
            under_way[0] -= 1
        together.wait(PATIENCE)
        return number

    begun = [workers.begin(lambda number=number: call(number)) for number in range(5 * size)]  # type: ignore[misc]
    assert [one.result() for one in begun] == list(range(5 * size))
    assert under_way[1] == size
    assert [sorted(order[n : n + size]) for n in range(0, 5 * size, size)] == [
        list(range(n, n + size)) for n in range(0, 5 * size, size)
    ]


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("error", [TapError("x"), SystemExit(3), KeyboardInterrupt()])
def test_an_error_is_raised_where_the_result_is_asked_for_and_costs_no_worker(size: int, error: BaseException) -> None:
    def fail() -> None:
        raise error

    workers = Workers(size)
    begun = [workers.begin(fail) for _ in range(2 * size)]
    for one in begun:
        with pytest.raises(type(error)) as caught:
            one.result()
        assert caught.value is error
    assert [workers.begin(lambda: 7).result() for _ in range(3 * size)] == [7] * 3 * size


def names_of_threads() -> set[int]:
    return {thread.ident or 0 for thread in threading.enumerate() if thread.name.startswith("request-")}


def test_threads_are_daemons_and_as_few_as_needed_and_end_with_their_workers() -> None:
    before = names_of_threads()
    workers = Workers(4)
    assert names_of_threads() == before
    workers.begin(lambda: None).result()
    assert len(names_of_threads() - before) == 1
    for _ in range(9):
        workers.begin(lambda: None).result()
    mine = [thread for thread in threading.enumerate() if thread.ident in names_of_threads() - before]
    assert len(mine) == 4
    assert all(thread.daemon for thread in mine)
    del workers
    gc.collect()
    for thread in mine:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in mine)


def test_a_request_that_never_ends_keeps_no_process_alive() -> None:
    script = (
        "import threading; from tap_coursera.ahead import Workers; workers = Workers(4); began = threading.Event()\n"
        "def call(): began.set(); threading.Event().wait()\n"
        "[workers.begin(call) for _ in range(9)]; began.wait(); raise SystemExit(5)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=PATIENCE).returncode == 5


# All of the tap


def test_state_never_runs_ahead_of_what_was_written(
    sandbox: RunningSandbox, read_tap: ReadTap, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Businesses.page
    _, program, *_ = [one["id"] for one in sandbox.all("/programs")]
    asked: list[str] = []

    def page(self: Businesses, listing: Listing, position: str, received: int) -> Page:
        if listing.path == "/courseGradebookReports" and listing.params["programId"] == program:
            asked.append(position)
            if position == "30":
                raise TapError("That page.")
        return whole(self, listing, position, received)

    monkeypatch.setattr(Businesses, "page", page)
    output = Output()
    config = sandbox.tap_config | {"page_size": 10, "max_parallel_requests": 8}
    with pytest.raises(TapError, match="That page"):
        read_tap(config, select=["enrollments", "course_grades", "item_grades"], into=output)
    assert {"0", "10", "20", "30", "40"} <= set(asked)
    written: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    moved = set()
    for message in output.messages:
        if message["type"] == "RECORD":
            row = message["record"]
            written[message["stream"], row["program_id"]].append(row["changed_at"] or "")
        if message["type"] == "STATE":
            for stream, bookmark in message["value"].get("bookmarks", {}).items():
                for one in bookmark.get("partitions", []):
                    if "replication_key_value" in one:
                        moved.add((stream, one["context"]["program_id"]))
                        assert one["replication_key_value"] == max(written[stream, one["context"]["program_id"]])
    assert ("enrollments", program) in moved
    assert moved.isdisjoint({("course_grades", program), ("item_grades", program)})
    assert len(written["course_grades", program]) == 30
