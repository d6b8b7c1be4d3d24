"""The token endpoint, and the answers of the gateway to invalid tokens."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import httpx

    from coursera_sandbox.testing import RunningSandbox

GRANT = {"grant_type": "client_credentials"}


def ask(college: RunningSandbox, token: str | None, organization: str | None = None) -> httpx.Response:
    headers = {} if token is None else {"Authorization": token}
    url = f"{college.api_url}/businesses.v1/{organization or college.org_id}"
    return college.client.get(url, headers=headers)


def bearer(college: RunningSandbox, client_id: str = "sandbox-client-id") -> str:
    answer = college.client.post(college.auth_url, auth=(client_id, college.client_secret), data=GRANT)
    return f"Bearer {answer.raise_for_status().json()['access_token']}"


def test_a_token_has_five_members_and_a_truthful_time_of_issue(college: RunningSandbox) -> None:
    before = int(time.time())
    answer = college.client.post(college.auth_url, auth=(college.client_id, college.client_secret), data=GRANT)
    token = answer.json()
    assert answer.status_code == 200
    assert set(token) == {"token_type", "access_token", "grant_type", "issued_at", "expires_in"}
    assert (token["token_type"], token["grant_type"], token["expires_in"]) == ("Bearer", "client_credentials", 1799)
    assert before <= token["issued_at"] <= time.time()
    assert len(token["access_token"]) == 28
    assert ask(college, f"Bearer {token['access_token']}").status_code == 200


def test_credentials_may_come_in_the_form_and_extra_headers_are_ignored(college: RunningSandbox) -> None:
    form = {**GRANT, "client_id": college.client_id, "client_secret": college.client_secret}
    answer = college.client.post(college.auth_url, data=form, headers={"X-Coursera-Org-Id": "anything"})
    assert answer.status_code == 200


def test_the_token_endpoint_is_one_path_and_one_method(college: RunningSandbox) -> None:
    auth = (college.client_id, college.client_secret)
    assert college.client.post(f"{college.auth_url}/", auth=auth, data=GRANT).status_code == 404
    assert college.client.get(college.auth_url, auth=auth).status_code == 405


@pytest.mark.parametrize("auth", [("sandbox-client-id", "wrong"), ("nobody", "sandbox-client-secret"), ("", "")])
def test_a_wrong_client_is_an_invalid_client(college: RunningSandbox, auth: tuple[str, str]) -> None:
    answer = college.client.post(college.auth_url, auth=auth, data=GRANT)
    assert answer.status_code == 401
    assert answer.json()["ErrorCode"] == "invalid_client"


def test_another_grant_type_is_refused(college: RunningSandbox) -> None:
    auth = (college.client_id, college.client_secret)
    assert college.client.post(college.auth_url, auth=auth, data={"grant_type": "password"}).status_code == 400
    assert college.client.post(college.auth_url, auth=auth).status_code == 400


@pytest.mark.parametrize(
    ("header", "text", "code"),
    [
        (None, "Invalid access token", "oauth.v2.InvalidAccessToken"),
        ("Bearer", "Invalid access token", "oauth.v2.InvalidAccessToken"),
        ("Token abc", "Invalid access token", "oauth.v2.InvalidAccessToken"),
        ("Bearer garbage", "Invalid Access Token", "keymanagement.service.invalid_access_token"),
    ],
)
def test_a_request_without_a_good_token_gets_the_gateways_fault(
    college: RunningSandbox, header: str | None, text: str, code: str
) -> None:
    answer = ask(college, header)
    assert answer.status_code == 401
    assert answer.json() == {"fault": {"faultstring": text, "detail": {"errorcode": code}}}


DENIED = {"errorCode": "Not Authorized", "message": "Access is denied", "details": None}


def test_an_app_without_access_and_another_organisation_are_denied(college: RunningSandbox) -> None:
    for answer in (
        ask(college, bearer(college, "sandbox-no-access")),
        ask(college, bearer(college), "AnotherOrg-BBBBBBBBBBB"),
    ):
        assert (answer.status_code, answer.json()) == (403, DENIED)


def test_a_slug_is_no_organisation_id(college: RunningSandbox) -> None:
    slug = college.get("")["elements"][0]["slug"]
    answer = ask(college, bearer(college), slug)
    assert (answer.status_code, answer.json()) == (404, {"message": "Not Found", "statusCode": 404})
    answer = ask(college, bearer(college), "123~ABC")
    assert (answer.status_code, answer.json()) == (400, {"message": "Invalid id 123~ABC", "statusCode": 400})


def test_the_skills_service_denies_in_its_own_words(college: RunningSandbox) -> None:
    url = f"{college.api_url}/rest/v1/enterprise/organizations/{college.org_id}/skillsets"
    answer = college.client.get(url, headers={"Authorization": bearer(college, "sandbox-no-access")})
    body = answer.json()
    assert answer.status_code == 403
    assert (body["status"], body["error"]) == (403, "Forbidden")
    assert body["path"].startswith("/api/rest/v1/enterprise/organizations/")


def test_basic_credentials_that_are_no_base64_are_an_invalid_client(college: RunningSandbox) -> None:
    for value in ("Basic ???", "Basic " + base64.b64encode(b"no-colon").decode()):
        answer = college.client.post(college.auth_url, data=GRANT, headers={"Authorization": value})
        assert answer.status_code == 401
