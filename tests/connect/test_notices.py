"""Notices about a run, in Markdown and through a webhook."""

from __future__ import annotations

import copy
import gc
import json
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from coursera_connect.jobs import health, journal
from coursera_connect.notices import announcements, sending, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.connect.warehouse import Place

# apprise imports this module for an old library.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")

REPORT: dict[str, Any] = {
    "run": 12,
    "outcome": "published",
    "why": "",
    "started_at": "2026-11-24T02:30:00Z",
    "finished_at": "2026-11-24T02:34:10Z",
    "mode": "delta",
    "version": "1.1",
    "profile": "passport",
    "package": "output/prod/oneroster.zip",
    "bytes": 24840,
    "sha256": "ab" * 32,
    "data_as_of": "2026-11-23T20:34:10Z",
    "seconds": {"check": 1.24, "write": 0.5},
    "counts": [
        {"file": "users", "school": "s1", "school_name": "North | South", "total": 1200, "added": 3, "changed": 0,
         "removed": 1, "held": 2},
        {"file": "users", "school": "s2", "school_name": "Line\nBreak <!channel> *", "total": 10, "added": 0,
         "changed": 4, "removed": 0, "held": 0},
    ],
    "problems": [
        {"rule": "a", "severity": "warning", "file": "users.csv", "field": "email", "count": 1, "reason": "No e-mail.",
         "remedy": "Ask."},
        {"rule": "b", "severity": "error", "file": "results.csv", "field": "score", "count": 1500,
         "reason": "Above 100.", "remedy": "Look."},
    ],
    "blocked": [],
    "held": [
        {"file": "results", "sourced_id": "r1", "reason": "class is held"},
        {"file": "results", "sourced_id": "r2", "reason": "class is held"},
    ],
    "delivery": {"target_shown": "sftp://college@sftp.example.org/in/oneroster.zip", "attempts": 2,
                 "resumed_bytes": 1000, "already_there": False},
    "warnings": ["The data is old: ask ada@example.org."],
}  # fmt: skip


def report(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(REPORT), **changes}


def table(page: str, title: str) -> list[list[str]]:
    """Return the cells of a table as a Markdown reader finds them: an escaped | does not divide cells."""
    lines = page.split(f"## {title}\n\n")[1].split("\n\n", maxsplit=1)[0].splitlines()
    rows = [line.strip("|").replace("\\|", "\0").split("|") for line in lines if line.startswith("|")]
    return [[cell.strip().replace("\0", "|") for cell in row] for row in rows]


def test_the_outcome_comes_first_and_problems_before_counts() -> None:
    page = texts.markdown(report())
    assert page.startswith("# Run 12: published\n\nPublished a new package. The package was delivered to `sftp://sftp.")
    titles = [line for line in page.splitlines() if line.startswith("## ")]
    assert titles == ["## Problems", "## Warnings", "## Rows", "## Held back", "## About this run"]
    assert page.index("Above 100") < page.index("No e-mail")  # The reason that stopped the publish comes first.
    assert "results.csv score: Above 100. (1,500 times) Look." in page


def test_counts_are_a_table_whatever_a_school_is_called() -> None:
    rows = table(texts.markdown(report()), "Rows")
    assert rows[0] == ["file", "school", "total", "added", "changed", "removed", "held"]
    assert rows[2] == ["users", "North | South", "1,200", "3", "0", "1", "2"]
    assert rows[3][:3] == ["users", r"Line Break \<!channel\> \*", "10"]
    assert rows[4] == ["**all**", "", "**1,210**", "**3**", "**4**", "**1**", "**2**"]
    assert {len(row) for row in rows} == {7}


def test_blocked_says_what_would_go_and_what_to_do() -> None:
    blocked = [{"file": "users", "school": "s1", "school_name": "", "before": 1000, "removed": 990, "reason": "99 %"}]
    page = texts.markdown(report(outcome="blocked", why="Too many would leave.", blocked=blocked, delivery=None))
    assert "Blocked by a guard: the last package stays as it is. Too many would leave." in page
    assert table(page, "Blocked")[2] == ["users", "s1", "1,000", "990", "99 %"]
    assert "agree to it and publish again" in page
    assert "delivered" not in page


def test_facts_tell_the_age_of_the_data_and_the_durations() -> None:
    page = texts.markdown(report())
    assert "Coursera's data as of 2026-11-23T20:34:10Z (6 hours old at the end)" in page
    assert "old at the end" not in texts.markdown(report(environment="sandbox"))
    assert "- Seconds: check 1.2, write 0.5" in page
    assert "- OneRoster version 1.1, mode delta, profile passport" in page
    assert "24,840 bytes" in page
    assert table(page, "Held back")[2] == ["results", "class is held", "2"]


def test_nobodys_name_or_address_is_on_the_page() -> None:
    for told in (texts.markdown(report()), texts.summary(report())):
        assert "ada@example.org" not in told
        assert "college@" not in told
        assert "r1" not in told


@pytest.mark.parametrize("left", [{}, {"outcome": "failed", "why": "x"}, {"run": 3, "counts": None, "seconds": {}}])
def test_a_run_that_failed_early_can_be_told_too(left: dict[str, Any]) -> None:
    assert texts.markdown(left).startswith("# Run")
    assert texts.summary(left)


@pytest.mark.parametrize("data_as_of", ["yesterday", "2026-11-23", "2026-11-23T20:34:10+00:00", None])
def test_a_strange_time_is_no_reason_to_fail(data_as_of: str | None) -> None:
    assert "# Run 12" in texts.markdown(report(data_as_of=data_as_of))


def test_a_table_of_thousands_is_cut_and_says_so() -> None:
    counts = [{"file": "users", "school": f"s{at}", "total": 1} for at in range(1000)]
    page = texts.markdown(report(counts=counts))
    assert "800 more rows are in the ledger." in page
    assert "**1,000**" in page


# The webhook


class Hook:
    """A web server that answers with the given statuses, one after the other; 0 hangs up, -1 does not answer."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.release = threading.Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                hook.headers.append(dict(self.headers))
                status = hook.answers.pop(0)
                if status == -1:
                    hook.release.wait(20)
                if status <= 0:
                    return
                self.send_response(status)
                if status in {301, 302, 307}:
                    self.send_header("Location", hook.url)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hook/TOKEN-1?key=TOKEN-2"


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.release.set()
    hook.server.shutdown()
    hook.server.server_close()


def post(url: str, told: dict[str, Any] | None = None, **more: Any) -> str | None:
    return sending.post(url, told or report(), **{"pause": lambda _seconds: None, **more})


def test_a_webhook_gets_a_text_and_the_report(hook: Hook) -> None:
    hook.answers = [200]
    assert post(hook.url) is None
    body = hook.bodies[0]
    assert sorted(body) == ["report", "text"]
    assert body["report"] == report()
    assert body["text"].splitlines()[0] == "Run 12: published"
    assert "1,210 total, 3 added, 4 changed, 1 removed, 2 held rows" in body["text"]
    assert hook.headers[0]["Content-Type"] == "application/json"


def test_a_school_cannot_call_the_whole_channel(hook: Hook) -> None:
    hook.answers = [204]
    blocked = [{"file": "users", "school_name": "<!channel> & co", "before": 1, "removed": 1, "reason": "all"}]
    assert post(hook.url, report(outcome="blocked", blocked=blocked)) is None
    assert "&lt;!channel&gt; &amp; co" in hook.bodies[0]["text"]


def test_long_lists_are_cut_and_odd_values_do_not_stop_a_notice(hook: Hook) -> None:
    hook.answers = [200]
    assert post(hook.url, report(held=[{"file": "results", "reason": "x"}] * 5000, odd=object())) is None
    sent = hook.bodies[0]["report"]
    assert (len(sent["held"]), sent["held_in_all"]) == (200, 5000)


def test_a_server_that_fails_twice_is_asked_a_third_time(hook: Hook) -> None:
    hook.answers = [500, 0, 200]
    pauses: list[float] = []
    assert post(hook.url, pause=pauses.append) is None
    assert pauses == [2, 4]
    assert len(hook.bodies) == 3


@pytest.mark.parametrize(
    ("answers", "why"),
    [([500, 503, 500], "HTTP 500"), ([404], "HTTP 404"), ([302], "HTTP 302"), ([429, 429, 429], "HTTP 429")],
)
def test_a_hook_that_refuses_is_a_warning_without_its_secrets(hook: Hook, answers: list[int], why: str) -> None:
    hook.answers = list(answers)
    warning = post(hook.url)
    assert warning is not None
    assert why in warning
    assert warning.startswith("The webhook at 127.0.0.1 ")
    assert "TOKEN" not in warning
    assert len(hook.bodies) == len(answers)


def test_a_hook_that_hangs_is_given_up(hook: Hook) -> None:
    hook.answers = [-1, -1]
    started = time.monotonic()
    warning = post(hook.url, timeout=0.2, attempts=2)
    assert time.monotonic() - started < 5
    assert warning == "The webhook at 127.0.0.1 could not be told (no answer in time): the run itself is not affected."


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # urllib3 leaves a broken TLS line open
@pytest.mark.parametrize("answer", ["headers", "status", "body", "tls", "reads nothing"])
def test_a_hook_that_trickles_is_given_up_as_a_whole(answer: str) -> None:
    """Each byte comes well before the silence of one attempt is too long."""
    stop = threading.Event()

    def serve(listening: socket.socket) -> None:
        with listening.accept()[0] as line:
            if answer not in {"tls", "reads nothing"}:
                line.recv(100_000)
            line.sendall(
                {"headers": b"HTTP/1.1 200 OK\r\nX-A: ", "body": b"HTTP/1.1 302 Found\r\nX-A: "}.get(answer, b"")
            )
            while not stop.wait(0.05):
                with suppress(OSError):
                    if answer != "reads nothing":
                        line.send(b"\x16" if answer == "tls" else b"H")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        scheme = "https" if answer == "tls" else "http"
        started = time.monotonic()
        warning = post(f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/TOKEN", timeout=60, deadline=0.5)
        took = time.monotonic() - started
        stop.set()
    for thread in threading.enumerate():
        if thread.name == "webhook":
            thread.join(20)
    gc.collect()
    assert 0.5 <= took < 5
    assert warning is not None
    assert warning.startswith("The webhook at 127.0.0.1 could not be told (no answer within 0 seconds in all)")
    assert "TOKEN" not in warning


def test_a_hook_whose_name_is_looked_up_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()

    def look_up(*_: Any, **__: Any) -> list[Any]:
        stop.wait(20)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    started = time.monotonic()
    warning = post("https://hooks.example.org/TOKEN", timeout=60, deadline=0.5)
    took = time.monotonic() - started
    stop.set()
    for thread in threading.enumerate():
        if thread.name == "webhook":
            thread.join(20)
    assert took < 5
    assert warning is not None
    assert warning.startswith("The webhook at hooks.example.org could not be told (no answer within")


def test_a_publish_and_its_lock_wait_no_longer_for_a_hook_than_the_deadline(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "DEADLINE", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as listening:  # which takes the line, and never answers
        hook = f"http://127.0.0.1:{listening.getsockname()[1]}/TOKEN"
        began = time.monotonic()
        done = place.call("publish", "--webhook", hook)
        assert (done.returncode, time.monotonic() - began < 30) == (0, True)
    assert any("could not be told (no answer within 1 seconds in all)" in line for line in place.report()["warnings"])


def test_a_hook_that_is_not_there_is_a_warning() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    warning = post(f"http://127.0.0.1:{port}/TOKEN")
    assert warning == "The webhook at 127.0.0.1 could not be told (no connection): the run itself is not affected."


def test_only_https_leaves_this_machine_unless_it_is_allowed(hook: Hook) -> None:
    warning = post("http://hooks.example.org/TOKEN")
    assert warning is not None
    assert "is not encrypted" in warning
    assert "TOKEN" not in warning
    for strange in ("", "TOKEN", "ftp://host/TOKEN", "https://[TOKEN", "https:///TOKEN"):
        assert post(strange) == "The webhook is no web address, so nobody was told: correct CONNECT_WEBHOOK."
    hook.answers = [200]
    elsewhere = hook.url.replace("127.0.0.1", "127.0.0.2")  # another name for this machine that is not on the list
    assert "is not encrypted" in str(post(elsewhere))
    assert "could not be told" in str(post(elsewhere, allow_http=True, attempts=1))


def test_a_run_that_failed_before_it_came_to_publish_is_told_once(hook: Hook, place: Place) -> None:
    hook.answers = [200, 200]
    told = {"id": "r1", "environment": "prod", "job": "grade-sync", "started_by": "schedule:grade-sync",
            "started_at": "2026-11-30T01:00:00Z", "ended_at": "2026-11-30T01:00:09Z", "outcome": "failed",
            "step": "tap-coursera", "sentence": "Coursera refused the credentials (HTTP 401): check client_secret.",
            "exit_code": 1, "extractor": "tap-coursera", "loaded": "failed"}  # fmt: skip
    for _ in range(2):
        done = place.call("ended", "r1", "--told", json.dumps(told), "--webhook", hook.url)
        assert (done.returncode, done.stderr) == (0, "")
    (body,) = hook.bodies
    assert body["text"].splitlines() == [
        "grade-sync of prod: failed",
        f"Failed: the last package stays as it is. The last load failed (grade-sync). tap-coursera: {told['sentence']}",
        "To do: connect --environment=prod test",
        "To do: connect --environment=prod run grade-sync",
    ]
    assert (body["report"]["step"], body["report"]["started_by"]) == ("tap-coursera", "schedule:grade-sync")


def people(hook: Hook, *, more: str = "") -> str:
    return f"json{hook.url.removeprefix('http')}{more}"


def test_people_are_told_of_a_failure_once_and_once_that_it_is_over(hook: Hook, place: Place) -> None:
    hook.answers = [200] * 9
    file = journal.place(place.package)

    def night(number: int, outcome: str, sentence: str = "") -> None:
        run = journal.Run(
            f"r{number}", job="grade-sync", started_at=f"2026-11-0{number}T01:00:00Z", extractor="tap-coursera"
        )
        journal.begin(file, run)
        loaded = "done" if outcome == "done" else "failed"
        journal.end(file, run.id, outcome=outcome, step="tap-coursera", sentence=sentence, loaded=loaded)
        (ended,) = journal.read(file, "id = ?", [run.id])
        report = {"outcome": "published"} if outcome == "done" else health.report(ended)
        assert announcements.announce(file, ended, report, "", people(hook)) == []
        assert announcements.announce(file, ended, report, "", people(hook)) == []

    night(1, "done")
    night(2, "failed", "The secret was refused.")
    night(3, "failed", "The secret was refused.")
    night(4, "failed", "The disk is full.")
    night(5, "done")
    night(6, "done")
    told = [body["message"] for body in hook.bodies]
    assert ["refused" in text for text in told] == [True, False, False]
    assert "The disk is full." in told[1]
    assert "This is over: The last load failed (grade-sync). tap-coursera: The disk is full." in told[2]


def test_an_address_of_people_that_is_wrong_is_a_warning_without_its_secret(hook: Hook) -> None:
    hook.answers = [404, 404, 404]
    warnings = sending.send(report(), "", f"nonsense://TOKEN-1, {people(hook)}")
    assert warnings == [
        "CONNECT_NOTIFY: the address (nonsense) is none that apprise knows: correct it.",
        "CONNECT_NOTIFY: the notice to json was not taken: check the address.",
    ]


def test_webhook_and_people_together_take_no_longer_than_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "DEADLINE", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as listening:  # which takes the line, and never answers
        address = f"127.0.0.1:{listening.getsockname()[1]}/TOKEN"
        began = time.monotonic()
        warnings = sending.send(report(), f"http://{address}", f"json://{address}")
        assert time.monotonic() - began < 20
    assert [warning.partition(" ")[0] for warning in warnings] == ["The", "CONNECT_NOTIFY:"]
    assert all("within 1 seconds in all" in warning and "TOKEN" not in warning for warning in warnings)
