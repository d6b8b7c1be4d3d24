"""Single answers of the API and what the client makes of them."""

from __future__ import annotations

import email.utils
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tap_coursera import client as module
from tap_coursera.client import Client, pause, retry_after
from tap_coursera.errors import TapError

if TYPE_CHECKING:
    from requests_mock import Mocker

CONFIG: dict[str, Any] = {
    "client_id": "the-id",
    "client_secret": "the-secret",
    "org_id": "SandboxOrg-AAAAAAAAA_A",
    "api_url": "https://api.example/ent/api/",
    "auth_url": "https://api.example/token",
    "request_timeout": 5,
    "max_answer_megabytes": 1,
    "max_busy_minutes": 15,
    "user_agent": "tests",
    "max_parallel_requests": 1,
}
ORG = "https://api.example/ent/api/businesses.v1/SandboxOrg-AAAAAAAAA_A"
TOKEN = {"access_token": "secret-token", "expires_in": 1799, "issued_at": 1}
PAGE: dict[str, Any] = {"elements": [{"id": "a"}], "paging": {}}


class Waits(list[float]):
    """Sleeps that did not happen, and a clock that believes in them."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)

    def clock(self) -> float:
        return sum(self)


def make(**settings: Any) -> tuple[Client, Waits]:
    waits = Waits()
    return Client(CONFIG | settings, sleep=waits, clock=waits.clock), waits


def page_of(client: Client) -> dict[str, Any]:
    envelope = client.get("users", "/users", {"limit": "10"})
    return envelope | {"elements": list(envelope["elements"])}


def test_the_token_is_asked_for_once_with_basic_auth_and_sent_as_bearer(requests_mock: Mocker) -> None:
    token = requests_mock.post(CONFIG["auth_url"], json=TOKEN)
    page = requests_mock.get(f"{ORG}/users", json=PAGE)
    client, _ = make()
    for _ in range(3):
        assert page_of(client) == PAGE
    assert token.call_count == 1
    assert token.last_request is not None
    assert page.last_request is not None
    assert token.last_request.headers["Authorization"] == requests.auth._basic_auth_str("the-id", "the-secret")
    assert token.last_request.text == "grant_type=client_credentials"
    assert page.last_request.headers["Authorization"] == "Bearer secret-token"
    assert page.last_request.headers["User-Agent"] == "tests"


def test_credentials_may_hold_any_character(requests_mock: Mocker) -> None:
    token = requests_mock.post(CONFIG["auth_url"], json=TOKEN)
    requests_mock.get(f"{ORG}/users", json=PAGE)
    client, _ = make(client_secret="geheim-ü")
    client.get("users", "/users", {})
    assert token.call_count == 1


@pytest.mark.parametrize(
    "trouble",
    [
        {"status_code": 408},
        {"status_code": 429},
        {"status_code": 500},
        {"status_code": 503, "text": "<html>"},
        {"exc": requests.exceptions.ConnectTimeout},
        {"exc": requests.exceptions.ReadTimeout},
        {"exc": requests.exceptions.ConnectionError},
        {"exc": requests.exceptions.ChunkedEncodingError},
        {"text": "<html>welcome</html>"},
        {"text": '{"elements": [{"id": "a"'},
        {"text": ""},
        {"json": []},
        {"json": {"paging": {}}},
        {"json": {"elements": {}, "paging": {}}},
    ],
)
def test_a_passing_trouble_is_met_with_another_try(requests_mock: Mocker, trouble: dict[str, Any]) -> None:
    requests_mock.post(CONFIG["auth_url"], [trouble, {"json": TOKEN}] if "json" not in trouble else [{"json": TOKEN}])
    requests_mock.get(f"{ORG}/users", [trouble, trouble, {"json": PAGE}])
    client, waits = make()
    assert page_of(client) == PAGE
    assert len(waits) >= 2
    assert all(0 < wait < 5 for wait in waits)


def test_a_trouble_that_stays_ends_in_one_sentence_after_few_tries(requests_mock: Mocker) -> None:
    requests_mock.post(CONFIG["auth_url"], json=TOKEN)
    page = requests_mock.get(f"{ORG}/users", status_code=503, text="Ada Lovelace <ada@example.org>")
    client, waits = make()
    with pytest.raises(TapError, match="503") as caught:
        client.get("users", "/users", {"emailOrExternalId": "ada@example.org"})
    assert page.call_count == module.TRIES
    assert sum(waits) < 60
    assert "ada" not in str(caught.value).lower()


def test_retry_after_is_honoured_and_capped(requests_mock: Mocker) -> None:
    requests_mock.post(CONFIG["auth_url"], json=TOKEN)
    answers = [{"status_code": 429, "headers": {"Retry-After": value}} for value in ("7", "86400")]
    requests_mock.get(f"{ORG}/users", [*answers, {"json": PAGE}])
    client, waits = make()
    client.get("users", "/users", {})
    assert 7 <= waits[0] < 8
    assert module.RETRY_AFTER_CAP <= waits[1] < module.RETRY_AFTER_CAP + 5


def test_retry_after_may_be_a_date_and_is_ignored_when_unreadable() -> None:
    ahead = retry_after(email.utils.formatdate(time.time() + 90, usegmt=True))
    assert ahead is not None
    assert 85 < ahead <= 90
    assert retry_after(email.utils.formatdate(time.time() - 90, usegmt=True)) == 0
    assert retry_after("soon") is retry_after("nan") is retry_after("-1") is retry_after(None) is None


def test_pauses_grow_and_are_jittered() -> None:
    assert 0.25 <= pause(1, None) <= 0.5
    assert 4 <= pause(5, None) <= 8
    assert pause(60, None) <= module.BACKOFF_CAP
    assert len({pause(3, None) for _ in range(20)}) > 1


def test_a_token_that_is_refused_again_and_again_is_given_up(requests_mock: Mocker) -> None:
    token = requests_mock.post(CONFIG["auth_url"], json=TOKEN)
    page = requests_mock.get(f"{ORG}/users", status_code=401)
    client, _ = make()
    with pytest.raises(TapError, match="brand-new token"):
        client.get("users", "/users", {})
    assert token.call_count == page.call_count == 1 + module.NEW_TOKENS


def test_a_revoked_token_is_replaced_once_and_the_request_repeated(requests_mock: Mocker) -> None:
    token = requests_mock.post(CONFIG["auth_url"], json=TOKEN)
    requests_mock.get(f"{ORG}/users", [{"json": PAGE}, {"status_code": 401}, {"json": PAGE}])
    client, waits = make()
    assert page_of(client) == page_of(client) == PAGE
    assert token.call_count == 2
    assert waits == []


FAULT = {"fault": {"faultstring": "secret-token ada@example.org", "detail": {"errorcode": "x"}}}
NAPTIME = {"errorCode": "Not Authorized", "message": "ada@example.org", "details": None}
EDGE = {"message": "Not Found ada@example.org", "statusCode": 404}
REFUSALS = [
    ({}, 401, FAULT, "auth_url and api_url belong together"),
    ({}, 403, FAULT, "enable the API products"),
    ({}, 403, NAPTIME, "check that org_id"),
    ({"org_id": "northfield-college"}, 403, NAPTIME, "22-character ID"),
    ({"org_id": "northfield-college"}, 404, EDGE, "22-character ID"),
    ({}, 404, EDGE, "path of api_url"),
    ({}, 400, {"message": "Invalid id", "statusCode": 400}, "not slugs"),
    ({}, 405, {"msg": "Routing error"}, "HTTP 405"),
    ({"api_url": "https://api.coursera.org/api"}, 403, NAPTIME, "set api_url to https://api.coursera.com"),
]


@pytest.mark.parametrize(("settings", "status", "body", "sentence"), REFUSALS)
def test_each_refusal_has_its_sentence_and_repeats_nothing(
    requests_mock: Mocker, settings: dict[str, str], status: int, body: dict[str, Any], sentence: str
) -> None:
    requests_mock.post(CONFIG["auth_url"], json=TOKEN)
    requests_mock.get(re.compile("businesses"), status_code=status, json=body)
    client, waits = make(**settings)
    with pytest.raises(TapError, match=sentence) as caught:
        client.get("users", "/users", {})
    text = str(caught.value)
    assert bool(waits) == (status == 401), "only a token may be refused by mistake"
    assert text.count(". ") == 0
    assert text.endswith(".")
    for private in ("ada@", "secret-token", "the-secret", "the-id"):
        assert private not in text


def test_every_refusal_reads_differently() -> None:
    assert len({sentence for _, _, _, sentence in REFUSALS}) == len(REFUSALS) - 1


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"status_code": 401, "json": {"ErrorCode": "invalid_client"}}, "client_id and client_secret"),
        ({"status_code": 400, "text": "no"}, "client_id and client_secret"),
        ({"status_code": 403}, "approved"),
        ({"status_code": 404}, "check auth_url"),
        ({"status_code": 302, "headers": {"Location": "https://login.example"}}, "check auth_url"),
        ({"text": "<html>"}, "check auth_url"),
        ({"json": {"token": "x"}}, "check auth_url"),
        ({"exc": requests.exceptions.ConnectionError}, "cannot be reached: check auth_url"),
        ({"exc": requests.exceptions.SSLError}, "secure connection"),
        ({"exc": requests.exceptions.ReadTimeout}, "request_timeout"),
    ],
)
def test_each_trouble_with_the_token_names_the_setting(
    requests_mock: Mocker, answer: dict[str, Any], sentence: str
) -> None:
    requests_mock.post(CONFIG["auth_url"], [answer])
    client, _ = make()
    with pytest.raises(TapError, match=sentence):
        client.get("users", "/users", {})


def test_a_web_page_in_place_of_the_api_names_api_url(requests_mock: Mocker) -> None:
    requests_mock.post(CONFIG["auth_url"], json=TOKEN)
    requests_mock.get(f"{ORG}/users", status_code=404, text="<html>nothing here</html>")
    client, _ = make()
    with pytest.raises(TapError, match="not the Coursera API: check api_url"):
        client.get("users", "/users", {})


def test_a_url_without_scheme_is_called_that(requests_mock: Mocker) -> None:
    requests_mock.post(CONFIG["auth_url"], exc=requests.exceptions.MissingSchema)
    client, _ = make()
    with pytest.raises(TapError, match="auth_url is not a web address"):
        client.get("users", "/users", {})
