"""What a server can do to the tap: a bound on the size, the time and the number of answers, and one sentence each."""

from __future__ import annotations

import gzip
import json
import threading
import time
import tracemalloc
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from tap_coursera.client import Client
from tap_coursera.errors import TapError
from tap_coursera.paging import Listing
from tests.tap.test_client import CONFIG, ORG, PAGE, TOKEN, make, page_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from requests_mock import Mocker

    Answer = Callable[[BaseHTTPRequestHandler], None]


class Hostile:
    """A server whose data endpoint answers as it likes."""

    def __init__(self, answer: Answer) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                send(self, json.dumps(TOKEN).encode())

            def do_GET(self) -> None:
                try:
                    answer(self)
                except OSError:  # nobody listens any more
                    self.close_connection = True

            @override
            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{self._server.server_port}"
        self.config = CONFIG | {"api_url": url, "auth_url": f"{url}/token", "request_timeout": 1}

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


def send(to: BaseHTTPRequestHandler, body: bytes, **headers: str) -> None:
    to.send_response(200)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        to.send_header(name.replace("_", "-"), value)
    to.end_headers()
    to.wfile.write(body)


@pytest.fixture
def hostile() -> Iterator[Callable[[Answer], dict[str, Any]]]:
    """Starts such a server; settings of a client for it."""
    begun: list[Hostile] = []

    def begin(answer: Answer) -> dict[str, Any]:
        begun.append(Hostile(answer))
        return begun[-1].config

    yield begin
    for one in begun:
        one.close()


def ask(config: dict[str, Any]) -> str:
    client = Client(config, lambda _: None)
    try:
        with pytest.raises(TapError) as caught:
            client.get("users", "/users", {})
    finally:
        client._session.close()
    return str(caught.value)


def test_a_small_answer_that_expands_a_thousandfold_is_not_unpacked(
    hostile: Callable[[Answer], dict[str, Any]],
) -> None:
    bomb = gzip.compress(b'{"elements": [' + b" " * (200 << 20) + b"]}")
    config = hostile(lambda to: send(to, bomb, Content_Encoding="gzip"))
    tracemalloc.start()
    try:
        said = ask(config | {"max_answer_megabytes": 4, "request_timeout": 60})
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "sent an answer of more than 4 MB: check api_url, lower page_size, or raise max_answer_megabytes" in said
    assert most < 40 << 20


@pytest.mark.parametrize("part", ["headers", "body", "chunks"])
def test_a_server_that_trickles_is_too_late_all_the_same(
    hostile: Callable[[Answer], dict[str, Any]], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tap_coursera.client.TRIES", 1)
    ended = threading.Event()

    def trickle(to: BaseHTTPRequestHandler) -> None:
        if part == "headers":
            to.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        elif part == "body":
            to.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        else:
            to.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n")
        while not ended.wait(0.1):
            to.wfile.write(b" ")

    began = time.monotonic()
    said = ask(hostile(trickle))
    ended.set()
    assert "did not answer in time: check api_url, or raise request_timeout" in said
    assert time.monotonic() - began < 20


ENDLESS = {
    "the same page again": lambda _: ([0, 1], "2", None),
    "next leads nowhere new": lambda start: ([start, start + 1], "7", None),
    "the total grows": lambda start: (range(start, start + 1000), str(start + 1000), start + 2000),
    "always another page": lambda start: ([start], str(start + 1), None),
}


@pytest.mark.parametrize("pages", ENDLESS.values(), ids=ENDLESS)
def test_a_list_that_never_ends_is_given_up(
    requests_mock: Mocker, pages: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tap_coursera.paging.MOST_PAGES", 300)

    def answer(request: Any, _context: object) -> dict[str, Any]:
        rows, following, total = pages(int(request.qs.get("start", ["0"])[0]))
        paging = {"next": following} | ({} if total is None else {"total": total})
        return {"elements": [{"id": str(one)} for one in rows], "paging": paging}

    requests_mock.post(CONFIG["auth_url"], json=TOKEN)
    requests_mock.get(f"{ORG}/users", json=answer)
    client, _ = make()
    with pytest.raises(TapError, match="so the list has no end"):
        list(Listing(client, "users", "/users", {}, 1000).rows())
    assert requests_mock.call_count < 400


@pytest.mark.parametrize(("minutes", "least"), [(15, 14 * 60), (1, 30)])
def test_too_many_requests_are_waited_for_as_long_as_was_set(requests_mock: Mocker, minutes: int, least: float) -> None:
    requests_mock.post(CONFIG["auth_url"], json=TOKEN)
    requests_mock.get(f"{ORG}/users", status_code=429)
    client, waits = make(max_busy_minutes=minutes)
    with pytest.raises(TapError, match="too many requests"):
        page_of(client)
    assert least < waits.clock() < minutes * 60 + 1
    requests_mock.get(f"{ORG}/users", [{"status_code": 429}] * 20 + [{"json": PAGE}])
    client, waits = make(max_busy_minutes=15)
    assert page_of(client) == PAGE


@pytest.mark.parametrize(
    "token",
    [
        {"expires_in": "9" * 400},
        {"expires_in": 10**400},
        {"expires_in": -5},
        {"expires_in": float("nan")},
        {"expires_in": float("inf")},
        {"expires_in": [1]},
        {"issued_at": 10**400},
        {"token_type": "\u0442\u0438\u043f"},
    ],
    ids=str,
)
def test_an_odd_token_works_as_long_as_it_can_be_sent(requests_mock: Mocker, token: dict[str, Any]) -> None:
    requests_mock.post(CONFIG["auth_url"], text=json.dumps(TOKEN | token))
    requests_mock.get(f"{ORG}/users", json=PAGE)
    client, _ = make()
    assert page_of(client) == PAGE


@pytest.mark.parametrize("text", ["\u0442\u043e\u043a\u0435\u043d", "a b", "a\nb", "\ud83d", "caf\u00e9"], ids=ascii)
def test_a_token_that_no_request_can_bear_is_one_sentence(requests_mock: Mocker, text: str) -> None:
    requests_mock.post(CONFIG["auth_url"], text=json.dumps({"access_token": text}))
    client, _ = make()
    with pytest.raises(TapError, match=r"a token that no request can bear.*check auth_url") as caught:
        page_of(client)
    assert text not in str(caught.value)


def test_a_refusal_of_the_gradebook_alone_does_not_blame_the_organisation(requests_mock: Mocker) -> None:
    denied = {"errorCode": "Not Authorized", "message": "Access is denied", "details": None}
    requests_mock.post(CONFIG["auth_url"], json=TOKEN)
    requests_mock.get(f"{ORG}/courseGradebookReports", status_code=403, json=denied)
    requests_mock.get(f"{ORG}/users", json=PAGE)
    client, _ = make()
    with pytest.raises(TapError, match="check that org_id"):
        client.get("course_grades", "/courseGradebookReports", {})
    page_of(client)
    with pytest.raises(TapError, match="access to course_grades alone") as caught:
        client.get("course_grades", "/courseGradebookReports", {})
    assert "org_id" not in str(caught.value)
