"""Lists that are begun before their turn: the run asks for, writes and fails with what it would one after the other."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from coursera_sandbox.testing import RunningSandbox
from tap_coursera.agenda import REACH
from tap_coursera.ahead import Workers
from tap_coursera.client import Client
from tap_coursera.errors import TapError
from tap_coursera.paging import read
from tap_coursera.tap import STREAMS
from tests.tap.conftest import Output
from tests.tap.test_ahead import LIMIT, PATIENCE, Api, lists

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tap_coursera.agenda import Agenda, Turns
    from tests.tap.conftest import Json, ReadTap

ALL = [stream.name for stream in STREAMS if stream.selected_by_default]


@dataclass
class Wire:
    """The requests of a run."""

    requests: list[str] = field(default_factory=list)
    """In the order in which they began."""
    most: int = 0
    """That were under way together."""
    before: Callable[[str], None] = field(default=lambda _: None)
    under_way: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Watches what the tap asks for."""
    wire, plain = Wire(), Client._ask

    def ask(client: Client, stream: str, path: str, params: Mapping[str, str], envelope: Any) -> dict[str, Any]:
        request = f"{stream} {path} {json.dumps(params, sort_keys=True)}"
        with wire.lock:
            wire.requests.append(request)
            wire.under_way += 1
            wire.most = max(wire.most, wire.under_way)
        try:
            wire.before(request)
            return plain(client, stream, path, params, envelope)
        finally:
            with wire.lock:
                wire.under_way -= 1

    monkeypatch.setattr(Client, "_ask", ask)
    return wire


@dataclass
class Told:
    """What a run wrote, asked for and ended with."""

    messages: list[Json]
    requests: Counter[str]
    error: str | None


@dataclass
class Runs:
    """Runs of the tap that differ in nothing but the requests that may be in flight."""

    read_tap: ReadTap
    wire: Wire
    config: Json

    def told(self, size: int, into: Output | None = None, **options: Any) -> Told:
        output, error = into or Output(), None
        self.wire.requests.clear()
        config = self.config | options.pop("config", {}) | {"max_parallel_requests": size}
        try:
            self.read_tap(config, into=output, **options)
        except (TapError, OSError) as failure:
            error = str(failure)
        for message in output.messages:
            message.pop("time_extracted", None)
            if "version" in message:
                message["version"] = 0
        return Told(output.messages, Counter(self.wire.requests), error)


@pytest.fixture(scope="module")
def small_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """A college of 20 learners, since it is read many times."""
    running = RunningSandbox(tmp_path_factory.mktemp("sandbox"), learners=20)
    yield running
    running.stop()


@pytest.fixture
def runs(small_sandbox: RunningSandbox, read_tap: ReadTap, wire: Wire) -> Runs:
    return Runs(read_tap, wire, small_sandbox.tap_config | {"page_size": 20})


@pytest.fixture(scope="module")
def states() -> dict[str, Json]:
    """What runs left for those after them."""
    return {}


CASES: dict[str, Json] = {
    "all": {"select": ALL},
    "incremental": {"select": ALL, "state": "all"},
    "a full table": {"select": ALL, "state": "all", "full": True},
    "marked": {"select": ["users", "enrollments"], "config": {"emit_activate_version_messages": True}},
    "materials": {"select": ["course_materials", "program_memberships", "users"]},
    "materials after enrollments": {"select": ["course_materials", "enrollments", "curriculum_collections"]},
    "materials after an incremental run": {"select": ["course_materials", "enrollments"], "state": "all"},
    "items alone": {"select": ["item_grades", "program_invitations"]},
    "a new stream": {"select": ["course_grades", "item_grades"], "state": "course_grades"},
    "since a date": {"select": ALL, "config": {"start_date": "2026-01-20"}},
    "all grades": {"select": ["course_grades", "skillsets"], "state": "all", "config": {"grade_sync": "full"}},
    "few pages of each": {"select": ["program_contents", "users", "enrollments"], "config": {"page_size": 5}},
    "a program less": {
        "select": ["programs", "program_memberships", "enrollments", "users"],
        "config": {"stream_maps": {"programs": {"__filter__": "not name.startswith('A')"}}},
    },
    "no programs": {
        "select": ["programs", "program_memberships", "users"],
        "config": {"stream_maps": {"programs": {"__filter__": "False"}}},
    },
    "children alone": {"select": ["program_memberships", "curriculum_collections", "skillset_progress"]},
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_asks_for_and_writes_the_same_however_many_requests_are_in_flight(
    runs: Runs, case: str, states: dict[str, Json]
) -> None:
    options = dict(CASES[case])
    if (name := options.pop("state", None)) is not None:
        if name not in states:
            states[name] = runs.read_tap(runs.config, select=ALL if name == "all" else [name]).state
        options["state"] = states[name]
    expected = runs.told(1, **options)
    assert expected.error is None
    assert expected.messages
    for size in (4, 8):
        found = runs.told(size, **options)
        assert found.requests == expected.requests
        assert found.messages == expected.messages
        assert found.error is None


def test_lists_of_one_page_in_several_streams_and_programs_are_asked_for_side_by_side(runs: Runs, wire: Wire) -> None:
    select = ["program_contents", "program_memberships", "program_invitations", "curriculum_collections"]
    programs = len(runs.read_tap(runs.config, select=["programs"]).records("programs"))
    together = threading.Barrier(4)

    def before(request: str) -> None:
        if not request.startswith("programs"):
            together.wait(PATIENCE)

    wire.before = before
    told = runs.told(4, select=select, config={"page_size": 1000})
    assert told.error is None
    assert told.requests.total() == 1 + 4 * programs
    assert wire.most == 4


def test_they_begin_in_the_order_in_which_they_are_read(runs: Runs) -> None:
    runs.told(1, select=ALL, config={"page_size": 1000})
    one_after_the_other = list(runs.wire.requests)
    runs.told(2, select=ALL, config={"page_size": 1000})
    for place, request in enumerate(runs.wire.requests):
        assert abs(one_after_the_other.index(request) - place) <= 2


@pytest.mark.parametrize(
    ("stream", "size"), [("program_memberships", 8), ("course_grades", 4), ("skillsets", 8), ("users", 2)]
)
def test_an_error_of_a_list_comes_in_its_turn(runs: Runs, wire: Wire, stream: str, size: int) -> None:
    runs.told(1, select=[stream])
    last = runs.wire.requests[-1]

    def before(request: str) -> None:
        if request == last:
            raise TapError("That list.")

    wire.before = before
    expected, found = runs.told(1, select=ALL), runs.told(size, select=ALL)
    assert found.error == expected.error == "That list."
    assert found.messages == expected.messages
    assert expected.requests <= found.requests
    assert (found.requests - expected.requests).total() <= 3 * size


def test_a_state_that_is_not_one_is_told_in_its_turn(runs: Runs, states: dict[str, Json]) -> None:
    select = ["program_memberships", "enrollments", "users"]
    state = json.loads(json.dumps(states.get("all") or runs.read_tap(runs.config, select=ALL).state))
    state["bookmarks"]["enrollments"]["partitions"][2]["replication_key_value"] = "soon"
    expected, found = (runs.told(size, select=select, state=state) for size in (1, 8))
    assert "not a time" in str(expected.error)
    assert (found.error, found.messages) == (expected.error, expected.messages)


@pytest.mark.parametrize("rows", [1, 50, 150])
def test_a_run_that_ends_early_gives_up_what_it_has_begun(runs: Runs, wire: Wire, rows: int) -> None:
    class Full(Output):
        def write_message(self, message: Any) -> None:
            if len(self.messages) == rows:
                raise OSError("The disk is full.")
            super().write_message(message)

    expected = runs.told(1, Full(), select=ALL)
    found = runs.told(4, Full(), select=ALL)
    assert found.error == expected.error == "The disk is full."
    assert found.messages == expected.messages
    assert (found.requests - expected.requests).total() <= 12
    deadline = time.monotonic() + PATIENCE
    while wire.under_way and time.monotonic() < deadline:
        time.sleep(0.001)
    begun = len(wire.requests)
    assert begun - expected.requests.total() <= 12
    time.sleep(0.05)
    assert (wire.under_way, len(wire.requests)) == (0, begun)


# The agenda by itself


def planned(api: Api, *turns: tuple[str, int]) -> Iterator[Any]:
    for name, number in turns:
        yield (name, None), lambda number=number: [api.listing(f"/{number}")]


def agenda(api: Api, turns: Iterator[Any]) -> Agenda:
    api.agenda.plan(cast("Turns", turns))
    return api.agenda


def test_a_list_that_is_not_asked_for_in_its_turn_is_given_up() -> None:
    api = Api(lists(1, 1, 1), Workers(4))
    plan = agenda(api, planned(api, ("a", 0), ("b", 1), ("c", 2)))
    plan.turn(("a", None))
    assert len(list(api.rows("/0"))) == LIMIT
    assert plan.waiting == 2
    plan.turn(("c", None))
    assert plan.waiting == 1
    assert plan.take(api.listing("/1")) is None
    assert len(list(api.rows("/2"))) == LIMIT
    assert plan.waiting == 0
    assert sorted(api.begun) == [("/0", "0"), ("/1", "0"), ("/2", "0")]


def test_another_list_than_was_named_is_asked_for_by_itself() -> None:
    api = Api(lists(1, 2, 1), Workers(4))
    plan = agenda(api, planned(api, ("a", 0), ("b", 1)))
    plan.turn(("a", None))
    assert [row["id"] for row in api.rows("/2", "/0")][:1] == ["/2-0"]
    plan.turn(("nobody", None))
    assert plan.waiting == 0
    assert len(list(api.rows("/1"))) == 2 * LIMIT


def test_nothing_is_begun_beyond_what_is_known() -> None:
    api, known = Api(lists(*[1] * 9), Workers(4)), threading.Event()

    def turns() -> Iterator[Any]:
        yield from planned(api, ("a", 0))
        while not known.is_set():
            yield None
        yield from planned(api, ("b", 1))

    plan = agenda(api, turns())
    plan.turn(("a", None))
    rows = api.rows("/0")
    next(rows)
    assert plan.waiting == 0
    known.set()
    assert len(list(rows)) == LIMIT - 1
    plan.turn(("b", None))
    assert len(list(api.rows("/1"))) == LIMIT


def test_what_is_far_off_is_not_begun() -> None:
    api = Api(lists(1, 1), Workers(4))

    def turns() -> Iterator[Any]:
        yield from planned(api, ("a", 0))
        for number in range(REACH):
            yield (str(number), None), list
        yield from planned(api, ("b", 1))

    plan = agenda(api, turns())
    plan.turn(("a", None))
    assert len(list(api.rows("/0"))) == LIMIT
    assert plan.waiting == 0
    plan.turn(("0", None))
    plan.turn(("1", None))
    assert plan.begin()


def test_lists_that_nobody_foresaw_are_read_side_by_side_although_others_wait() -> None:
    full, together = lists(*[1] * 17), threading.Barrier(4)

    def answer(path: str, start: str) -> dict[str, Any]:
        if int(path[1:]) > 4:
            together.wait(PATIENCE)
        return full(path, start)

    api = Api(answer, Workers(4))

    def turns() -> Iterator[Any]:
        yield from planned(api, ("a", 0))
        yield ("unknown", None), list
        yield from planned(api, *((str(number), number) for number in range(1, 5)))

    plan = agenda(api, turns())
    plan.turn(("a", None))
    assert len(list(api.rows("/0"))) == LIMIT
    plan.turn(("unknown", None))
    assert plan.waiting == 4
    assert len(list(api.rows(*(f"/{number}" for number in range(5, 17))))) == 12 * LIMIT


def test_the_reader_gets_its_own_listing_back() -> None:
    api = Api(lists(1, 1), Workers(2))
    plan = agenda(api, planned(api, ("a", 0), ("b", 1)))
    plan.turn(("a", None))
    list(api.rows("/0"))
    plan.turn(("b", None))
    mine = api.listing("/1")
    assert len(list(read([mine]))) == mine.size == LIMIT
    assert len(api.begun) == 2


def test_with_one_request_at_a_time_nothing_is_begun() -> None:
    api = Api(lists(1, 1), Workers(1))
    plan = agenda(api, planned(api, ("a", 0), ("b", 1)))
    plan.turn(("a", None))
    assert len(list(api.rows("/0"))) == LIMIT
    assert api.begun == [("/0", "0")]
    assert plan.waiting == 0
