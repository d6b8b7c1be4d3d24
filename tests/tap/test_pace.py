"""How fast requests start when the vendor is busy: by a clock of our own, a vendor made of numbers, and servers."""

from __future__ import annotations

import heapq
import json
import random
import threading
from collections import deque
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tap_coursera import client as client_module
from tap_coursera import pace as pace_module
from tap_coursera.client import TRIES, Client, pause
from tap_coursera.pace import FIRST_GAP, LONGEST_GAP, NO_GAP, Pace
from tap_coursera.paging import Listing, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from coursera_sandbox.testing import RunningSandbox
    from tests.tap.conftest import Output, ReadTap

WORKERS = 8


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pace = Pace(self.sleep, lambda: self.now)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def starts(self, number: int) -> list[float]:
        return [self.pace.start() for _ in range(number)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_until_the_first_refusal_nobody_waits(clock: Clock) -> None:
    assert clock.starts(100) == [0] * 100
    clock.pace.answered(0)
    assert clock.pace.gap == 0
    assert clock.starts(100) == [0] * 100


def test_after_a_refusal_nobody_starts_before_the_wait_is_over_and_then_they_keep_a_distance(clock: Clock) -> None:
    clock.now = 50
    clock.pace.refused(clock.pace.start(), 7)
    assert clock.starts(4) == pytest.approx([57, 57 + FIRST_GAP, 57 + 2 * FIRST_GAP, 57 + 3 * FIRST_GAP])


def test_the_longest_of_several_waits_counts(clock: Clock) -> None:
    for wait in (3, 9, 1):
        clock.pace.refused(clock.pace.start() if wait == 3 else 0, wait)
    assert clock.pace.start() == 9


def test_requests_that_were_under_way_together_are_refused_as_one(clock: Clock) -> None:
    together = clock.starts(WORKERS)
    for started in together:
        clock.now += 0.01
        clock.pace.refused(started, 1)
    assert clock.pace.gap == FIRST_GAP
    clock.pace.refused(clock.pace.start(), 1)
    assert clock.pace.gap == 2 * FIRST_GAP


def test_the_distance_doubles_with_each_refusal_up_to_a_cap(clock: Clock) -> None:
    gaps = []
    for _ in range(12):
        clock.pace.refused(clock.pace.start(), 0.01)
        gaps.append(clock.pace.gap)
    assert gaps[:3] == [FIRST_GAP, 2 * FIRST_GAP, 4 * FIRST_GAP]
    assert gaps[-1] == max(gaps) == LONGEST_GAP
    before, after = clock.starts(2)
    assert after - before == pytest.approx(LONGEST_GAP)


def test_the_distance_shrinks_with_each_answer_until_there_is_none(clock: Clock) -> None:
    for _ in range(12):
        clock.pace.refused(clock.pace.start(), 0.01)
    gaps = [clock.pace.gap]
    while clock.pace.gap:
        clock.pace.answered(clock.pace.start())
        gaps.append(clock.pace.gap)
    assert gaps == sorted(gaps, reverse=True)
    assert len(set(gaps)) == len(gaps) < 40
    assert gaps[-2] <= NO_GAP
    clock.starts(1)
    assert len(set(clock.starts(100))) == 1


def test_answers_to_what_started_before_a_slow_down_do_not_undo_it(clock: Clock) -> None:
    together = clock.starts(WORKERS)
    clock.now = 1
    clock.pace.refused(together[0], 0.5)
    for started in together[1:]:
        clock.pace.answered(started)
    assert clock.pace.gap == FIRST_GAP
    clock.pace.answered(clock.pace.start())
    assert clock.pace.gap < FIRST_GAP


def test_threads_keep_the_distance_from_each_other_and_none_starts_during_a_wait() -> None:
    pace = Pace()
    refused_at = pace.clock()
    pace.refused(pace.start(), 0.05)
    pace.gap = gap = 0.002
    starts: list[float] = []

    def work() -> None:
        starts.extend(pace.start() for _ in range(10))

    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    starts.sort()
    assert len(starts) == 10 * WORKERS
    assert starts[0] >= refused_at + 0.05
    assert all(after - before >= gap - 1e-9 for before, after in pairwise(starts))


# A vendor made up of numbers: nobody really waits, so that hours and many workers cost nothing


class _LaterError(Exception):
    """Whoever sleeps comes back after so many seconds."""


class Vendor:
    """Requests of some workers to a vendor who answers after `latency` seconds and refuses what `allows` says no to."""

    def __init__(self, workers: int, requests: int, latency: float, allows: Callable[[float], bool]) -> None:
        self.chance = random.Random(1)
        self.latency = latency
        self.allows = allows
        self.now = 0.0
        self.pace = Pace(self._sleep, lambda: self.now)
        self.started = self.refused = self.most_tries = 0
        self._left = requests
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()
        for _ in range(workers):
            self._next()
        while self._events:
            self.now, _, event = heapq.heappop(self._events)
            event()

    def _sleep(self, seconds: float) -> None:
        raise _LaterError(seconds)

    def _after(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._number), event))

    def _next(self) -> None:
        if self._left:
            self._left -= 1
            self._attempt(1)

    def _attempt(self, tries: int) -> None:
        self.most_tries = max(self.most_tries, tries)
        try:
            started = self.pace.start()
        except _LaterError as later:
            self._after(later.args[0], lambda: self._attempt(tries))
            return
        self.started += 1
        if self.allows(self.now):
            self._after(self.latency * self.chance.uniform(0.5, 1.5), lambda: self._answered(started))
        else:
            self.refused += 1
            self._after(self.latency * self.chance.uniform(0.5, 1.5), lambda: self._refused(started, tries))

    def _answered(self, started: float) -> None:
        self.pace.answered(started)
        self._next()

    def _refused(self, started: float, tries: int) -> None:
        self.pace.refused(started, pause(tries, None))
        self._attempt(tries + 1)


def at_most(number: int, seconds: float = 1.0) -> Callable[[float], bool]:
    """Say yes when no more than so many came in the last seconds, those that were refused included."""
    recent: deque[float] = deque()

    def allows(now: float) -> bool:
        while recent and recent[0] <= now - seconds:
            recent.popleft()
        recent.append(now)
        return len(recent) <= number

    return allows


def in_each_second(number: int) -> Callable[[float], bool]:
    """Say yes to the first so many of each second."""
    seconds: dict[int, int] = {}

    def allows(now: float) -> bool:
        seconds[int(now)] = seconds.get(int(now), 0) + 1
        return seconds[int(now)] <= number

    return allows


@pytest.mark.parametrize("workers", [1, 4, 8])
@pytest.mark.parametrize("allowed", [1, 3, 10, 40])
@pytest.mark.parametrize("latency", [0.02, 0.3])
@pytest.mark.parametrize("quota", [at_most, in_each_second])
def test_a_quota_is_kept_to_with_few_refusals_and_without_dawdling(
    workers: int, allowed: int, latency: float, quota: Callable[[int], Callable[[float], bool]]
) -> None:
    random.seed(1)
    vendor = Vendor(workers, 400, latency, quota(allowed))
    assert vendor.most_tries < TRIES
    assert vendor.started == 400 + vendor.refused
    assert vendor.refused < (0.3 if latency < 0.1 else 0.55) * vendor.started
    assert vendor.now < 400 * max(1 / allowed, latency / workers) * 3


def test_slow_answers_to_many_workers_do_not_end_in_a_crowd_that_nobody_gets_through() -> None:
    random.seed(1)
    vendor = Vendor(16, 400, 2.0, in_each_second(2))
    assert vendor.most_tries < TRIES
    assert vendor.refused < vendor.started / 2


def test_when_the_vendor_has_time_again_requests_start_as_they_come_again() -> None:
    random.seed(1)
    busy = at_most(2)
    vendor = Vendor(WORKERS, 2000, 0.05, lambda now: now > 60 or busy(now))
    assert vendor.pace.gap == 0
    assert 60 < vendor.now < 60 + 2000 * 0.05 / WORKERS + 30


# Servers


class Watched(Pace):
    """A pace that keeps what happened."""

    def __init__(self) -> None:
        super().__init__()
        self.starts: list[float] = []
        self.barred: list[tuple[float, float]] = []
        self.widest = 0.0

    def start(self) -> float:
        self.starts.append(moment := super().start())
        return moment

    def refused(self, started: float, wait: float) -> None:
        end = self.clock() + wait
        super().refused(started, wait)
        self.barred.append((self.clock(), end))
        self.widest = max(self.widest, self.gap)

    def check(self) -> None:
        """Nobody started while all had to wait."""
        assert not [(moment, *one) for moment in self.starts for one in self.barred if one[0] < moment < one[1]]


class Served:
    """What a client got from a server, and what the server saw."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.pace = client._pace = Watched()
        self.refused = 0
        self.answered = 0

    def ids(self, *names: str) -> list[str]:
        listings = [Listing(self.client, "users", f"/{name}", {}, 5) for name in names]
        return [row["id"] for row in read(listings)]


@contextmanager
def served(refuses: Callable[[], str | None], rows: int) -> Iterator[Served]:
    """A server of lists with so many rows, which refuses a request with this `Retry-After` unless it is None."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(200, {"access_token": "t", "expires_in": 1799})

        def do_GET(self) -> None:
            retry_after = refuses()
            with lock:
                if retry_after is None:
                    found.answered += 1
                else:
                    found.refused += 1
            if retry_after is not None:
                self.answer(429, {}, {"Retry-After": retry_after} if retry_after else {})
                return
            address = urlsplit(self.path)
            query = parse_qs(address.query)
            start, limit = int(query.get("start", ["0"])[0]), int(query["limit"][0])
            name = address.path.rpartition("/")[2]
            following = {"next": str(start + limit)} if start + limit < rows else {}
            elements = [{"id": f"{name}-{n}"} for n in range(start, min(rows, start + limit))]
            self.answer(200, {"elements": elements, "paging": {"total": rows, **following}})

        def answer(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    found = Served(
        Client(
            {
                "client_id": "id",
                "client_secret": "secret",
                "org_id": "SandboxOrg-AAAAAAAAA_A",
                "api_url": url,
                "auth_url": f"{url}/token",
                "request_timeout": 20,
                "max_answer_megabytes": 256,
                "max_busy_minutes": 15,
                "max_parallel_requests": WORKERS,
            }
        )
    )
    try:
        yield found
    finally:
        found.client._session.close()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds of the vendor are one of ours."""
    for name in ("FIRST_GAP", "LONGEST_GAP", "NO_GAP"):
        monkeypatch.setattr(pace_module, name, getattr(pace_module, name) / 10)
    monkeypatch.setattr(client_module, "BACKOFF_BASE", client_module.BACKOFF_BASE / 10)


@pytest.mark.usefixtures("hurry")
def test_a_server_that_allows_few_requests_at_a_time_is_read_to_the_end_with_few_refusals() -> None:
    allows = at_most(10, 0.1)
    lock = threading.Lock()

    def refuses() -> str | None:
        with lock:
            return None if allows(found.pace.clock()) else ""

    with served(refuses, 400) as found:
        assert found.ids("users", "others") == [f"{name}-{n}" for name in ("users", "others") for n in range(400)]
        assert 0 < found.refused < 0.45 * (found.answered + found.refused)
        assert found.client.tallies["users"].retries == found.refused
        assert len(found.pace.barred) == found.refused
        found.pace.check()


def test_retry_after_holds_for_all_requests() -> None:
    number = count(1)
    with served(lambda: "1" if next(number) == 12 else None, 400) as found:
        assert found.ids("users") == [f"users-{n}" for n in range(400)]
        ((since, until),) = found.pace.barred
        assert until - since > 1
        assert max(found.pace.starts) >= until
        assert found.pace.gap == 0
        found.pace.check()


@pytest.mark.usefixtures("hurry")
def test_a_crowd_that_is_refused_at_once_slows_down_once() -> None:
    number, together = count(), threading.Barrier(WORKERS)

    def refuses() -> str | None:
        if next(number) < WORKERS:
            together.wait(20)
            return "0"
        return None

    names = [f"list{n}" for n in range(2 * WORKERS)]
    with served(refuses, 3) as found:
        assert found.ids(*names) == [f"{name}-{n}" for name in names for n in range(3)]
        assert found.refused == WORKERS
        assert found.pace.widest == pace_module.FIRST_GAP
        found.pace.check()


@pytest.mark.usefixtures("hurry")
def test_a_vendor_that_refuses_at_random_is_read_to_the_end(
    sandbox: RunningSandbox, read_tap: ReadTap, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What comes at random does not become less by waiting, so the distance would grow to its cap.
    monkeypatch.setattr(pace_module, "LONGEST_GAP", 0.02)
    config = sandbox.tap_config | {"page_size": 20}
    select = ["users", "enrollments", "course_grades"]
    expected = read_tap(config | {"max_parallel_requests": 1}, select=select)
    sandbox.faults(["429:rate=0.3,retry-after=0"])
    sandbox.reset_requests()
    assert records(read_tap(config | {"max_parallel_requests": WORKERS}, select=select)) == records(expected)
    assert sandbox.requests()["statuses"]["429"] > 5


def records(output: Output) -> list[Any]:
    return [[message["stream"], message["record"]] for message in output.of("RECORD")]
