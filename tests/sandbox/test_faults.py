"""The sandbox shows the faults that were ordered, and no others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from coursera_sandbox.faults import FAULTS, Fault

if TYPE_CHECKING:
    from coursera_sandbox.testing import RunningSandbox


def struck(sandbox: RunningSandbox, spec: str, path: str = "/users", **params: Any) -> httpx.Response:
    return sandbox.ask(path, headers={"X-Sandbox-Fault": spec}, **params)


@pytest.mark.parametrize(
    ("spec", "status", "retry_after", "text"),
    [
        ("429", 429, None, "policies.ratelimit.QuotaViolation"),
        ("429:retry-after=2", 429, "2", "policies.ratelimit.QuotaViolation"),
        ("429:spike=1", 429, None, "policies.ratelimit.SpikeArrestViolation"),
        ("500", 500, None, "Internal server error"),
        ("502", 502, None, "<html>"),
        ("503:retry-after=7", 503, "7", "Service Unavailable"),
        ("504", 504, None, "Gateway Timeout"),
        ("html", 200, None, "<html>"),
    ],
)
def test_a_fault_of_a_call_has_its_status_and_body(
    college: RunningSandbox, spec: str, status: int, retry_after: str | None, text: str
) -> None:
    answer = struck(college, spec)
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, retry_after)
    assert text in answer.text
    assert college.ask("/users").status_code == 200


def test_latency_waits(college: RunningSandbox) -> None:
    begin = time.monotonic()
    assert struck(college, "latency:ms=300").status_code == 200
    assert time.monotonic() - begin >= 0.3


def test_a_dropped_connection_has_no_answer_and_a_truncated_one_half(college: RunningSandbox) -> None:
    college.token()
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        struck(college, "drop")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        struck(college, "truncate")
    assert college.ask("/users").status_code == 200


def test_a_token_can_be_revoked_or_expire_early(start_sandbox: Any) -> None:
    sandbox = start_sandbox()
    sandbox.token()
    assert struck(sandbox, "token-revoked").json()["fault"]["detail"]["errorcode"] == (
        "keymanagement.service.invalid_access_token"
    )
    assert sandbox.ask("/users").status_code == 401
    sandbox._token = None
    assert sandbox.ask("/users").status_code == 200
    answer = struck(sandbox, "token-expires:seconds=0")
    assert answer.status_code == 401
    assert answer.json()["fault"]["faultstring"] == "Access Token expired"


def test_short_pages_lose_nothing_when_next_is_followed(sandbox: RunningSandbox) -> None:
    whole = sandbox.all("/enrollmentReports")
    sandbox.faults(["short-pages"])
    page = sandbox.get("/enrollmentReports", limit=100)
    assert 0 < len(page["elements"]) < 100
    assert page["paging"]["next"] == str(len(page["elements"]))
    assert sandbox.all("/enrollmentReports", limit=100) == whole


def test_an_inserted_row_makes_a_naive_reader_see_one_row_twice(sandbox: RunningSandbox) -> None:
    whole = sandbox.all("/enrollmentReports")
    sandbox.faults(["shifting-rows"])
    first = sandbox.get("/enrollmentReports", limit=100)
    second = sandbox.get("/enrollmentReports", limit=100, start=100)
    assert first["elements"] == whole[:100]
    assert second["elements"] == whole[99:199]
    assert second["paging"]["total"] == len(whole) + 1
    sandbox.clear_faults()
    sandbox.faults(["shifting-rows"])
    assert sandbox.all("/enrollmentReports", limit=100) != whole
    assert {str(row) for row in sandbox.all("/enrollmentReports", limit=100)} == {str(row) for row in whole}


@pytest.mark.parametrize("spec", ["shifting-rows:times=1", "shifting-rows:rate=0.3"])
def test_rows_that_shifted_once_stay_shifted(sandbox: RunningSandbox, spec: str) -> None:
    whole = {str(row) for row in sandbox.all("/enrollmentReports")}
    sandbox.faults([spec])
    seen = [str(row) for row in sandbox.all("/enrollmentReports", limit=20)]
    assert (set(seen), len(seen)) == (whole, len(whole) + 1)


def test_a_removed_row_makes_a_naive_reader_miss_one(sandbox: RunningSandbox) -> None:
    whole = sandbox.all("/enrollmentReports")
    sandbox.faults(["shifting-rows:lose=1"])
    naive = sandbox.all("/enrollmentReports", limit=100)
    assert [row for row in whole if row not in naive] == [whole[100]]
    assert sandbox.get("/enrollmentReports", limit=1)["paging"]["total"] == len(whole) - 1


def test_totals_go_missing_and_fields_turn_up(college: RunningSandbox) -> None:
    assert struck(college, "missing-total", limit=1).json()["paging"] == {"next": "1"}
    strange = struck(college, "extra-fields").json()
    plain = college.get("/users")
    assert set(strange) - set(plain)
    assert set(strange["elements"][0]) > set(plain["elements"][0])


def statuses(sandbox: RunningSandbox) -> list[int]:
    sandbox.reset_requests()
    sandbox.faults(["503:rate=0.3,path=users"])
    return [sandbox.ask("/users", limit=1).status_code for _ in range(60)]


def test_a_rate_strikes_the_same_requests_again(sandbox: RunningSandbox) -> None:
    sandbox.token()
    first = statuses(sandbox)
    assert 8 <= first.count(503) <= 30
    assert statuses(sandbox) == first
    assert sandbox.ask("/programs", excludeContent=True).status_code == 200


def test_times_and_path_limit_a_fault(sandbox: RunningSandbox) -> None:
    sandbox.faults(["500:times=2,path=users"])
    assert sandbox.ask("/programs", excludeContent=True).status_code == 200
    assert [sandbox.ask("/users").status_code for _ in range(3)] == [500, 500, 200]
    assert sandbox.requests()["statuses"]["500"] == 2


def test_faults_of_a_process_strike_the_token_endpoint_too(start_sandbox: Any) -> None:
    sandbox = start_sandbox(faults=["503:times=1"])
    with pytest.raises(httpx.HTTPStatusError):
        sandbox.token()
    assert sandbox.token()


@pytest.mark.parametrize("spec", ["nonsense", "429:often=1", "503:rate=much", "latency:ms"])
def test_a_wrong_spec_is_refused_with_a_reason(college: RunningSandbox, spec: str) -> None:
    with pytest.raises(ValueError, match=r"fault|Fault"):
        Fault.parse(spec)
    assert struck(college, spec).status_code == 400
    assert college.client.put(f"{college.url}/_sandbox/faults", json=[spec]).status_code == 400
    assert college.status()["faults"] == []


def test_every_fault_is_documented() -> None:
    assert all(FAULTS.values())
    assert {Fault.parse(name).name for name in FAULTS} == set(FAULTS)
