"""The skills service: its two ways of paging, its units, and an organisation that does not have it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tap_coursera.errors import TapError

if TYPE_CHECKING:
    from requests_mock import Mocker

    from coursera_sandbox.testing import RunningSandbox
    from tests.tap.conftest import Json, Output, ReadTap

API = "https://api.example"
CONFIG: Json = {
    "client_id": "i",
    "client_secret": "s",
    "org_id": "org1",
    "api_url": f"{API}/ent/api",
    "auth_url": f"{API}/token",
}
ROWS = [{"userEmail": f"{n}@x", "skillsetId": "s1", "latestProgressMadeAt": 1_700_000_000_000 + n} for n in range(25)]
LABELS = {0: 0, 10: "e3f5s9jf", 20: "k8"}


class Service:
    """Pages of ten rows; `way` is how it says what comes next, and all that it takes to go on."""

    def __init__(self, mock: Mocker, way: str) -> None:
        self.way = way
        self.asked: list[dict[str, str]] = []
        mock.post(CONFIG["auth_url"], json={"access_token": "t"})
        mock.get(re.compile(f"{API}/ent/api/rest/v1/enterprise/organizations/org1/"), json=self.answer)

    def answer(self, request: Any, context: Any) -> Any:
        params = {name: values[-1] for name, values in parse_qs(urlsplit(request.url).query).items()}
        self.asked.append(params)
        start = self.start(params)
        if start is None:
            context.status_code = 400
            return {"error": {"type": "INVALID_ARGUMENT"}}
        rows = ROWS[start : start + 10]
        if self.way == "bare list":
            return ROWS
        pagination: Json = {"total": len(ROWS), "nextPage": "", **self.following(start + 10)}
        return {"enterpriseUserSkillsets": rows, "pagination": pagination}

    def start(self, params: dict[str, str]) -> int | None:
        labels = {label: start for start, label in LABELS.items()}
        if self.way in {"index", "nothing"}:
            return int(params.get("offset", 0))
        if self.way == "label as offset":
            return labels.get(params.get("offset", 0))
        return labels.get(params.get("nextPage", 0))

    def following(self, start: int) -> Json:
        if start >= len(ROWS) or self.way == "nothing":
            return {}
        label = LABELS[start]
        path = "/ent/api/rest/v1/enterprise/organizations/org1/skillsetReport"
        link = {
            "link": f"{API}{path}",
            "relative link": path,
            "link to another host": f"https://elsewhere.example{path}",
        }
        if self.way in link:
            return {"nextPageLink": f"{link[self.way]}?limit=10&nextPage={label}"}
        return {"nextPage": str(start) if self.way == "index" else label}


@pytest.mark.parametrize(
    "way", ["link", "relative link", "link to another host", "label as nextPage", "index", "nothing", "bare list"]
)
def test_the_report_comes_whole_however_the_service_pages(requests_mock: Mocker, read_tap: ReadTap, way: str) -> None:
    service = Service(requests_mock, way)
    rows = read_tap(CONFIG, select=["skillset_progress"]).records("skillset_progress")
    assert [row["user_email"] for row in rows] == [row["userEmail"] for row in ROWS]
    assert len(service.asked) == (1 if way == "bare list" else 3)
    assert {urlsplit(request.url).hostname for request in requests_mock.request_history} == {"api.example"}


def test_a_label_is_sent_back_as_offset_where_the_vendor_describes_it_so(
    requests_mock: Mocker, read_tap: ReadTap
) -> None:
    Service(requests_mock, "label as offset")
    rows = read_tap(CONFIG, select=["skillsets"]).records("skillsets")
    assert [row["skillset_id"] for row in rows] == ["s1"]


@pytest.mark.parametrize("status", [403, 404])
def test_an_organisation_without_skills_gets_a_warning_and_all_else(
    sandbox: RunningSandbox,
    requests_mock: Mocker,
    read_tap: ReadTap,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    requests_mock.get(re.compile("/rest/v1/"), status_code=status, json={})
    requests_mock.register_uri("GET", re.compile("businesses"), real_http=True)
    requests_mock.register_uri("POST", sandbox.auth_url, real_http=True)
    config = sandbox.tap_config | {"emit_activate_version_messages": True}
    output = read_tap(config, select=["users", "skillsets", "skillset_progress"], full=True)
    assert output.records("users")
    assert output.records("skillsets") == output.records("skillset_progress") == []
    assert output.activated() == {"users"}
    assert f"gives no skillsets to this app (HTTP {status})" in caplog.text


def test_a_skills_service_that_fails_in_another_way_is_an_error(requests_mock: Mocker, read_tap: ReadTap) -> None:
    Service(requests_mock, "label as nextPage")
    requests_mock.get(re.compile("/rest/v1/"), status_code=400, json={"error": {"type": "INVALID_ARGUMENT"}})
    with pytest.raises(TapError, match="HTTP 400"):
        read_tap(CONFIG, select=["skillsets"])


def test_the_filter_is_in_seconds_and_low_enough_for_a_row_of_the_moment_itself(
    requests_mock: Mocker, read_tap: ReadTap
) -> None:
    service = Service(requests_mock, "label as nextPage")
    config = CONFIG | {"report_lag_hours": 1}
    first = read_tap(config, select=["skillset_progress"])
    assert "latestProgressMadeAfter" not in service.asked[0]
    service.asked.clear()
    read_tap(config, select=["skillset_progress"], state=first.state)
    assert {params["latestProgressMadeAfter"] for params in service.asked} == {str(1_700_000_000 - 3600 - 1)}


def test_with_program_ids_only_their_skillsets_and_progress_are_written(
    sandbox: RunningSandbox, read_tap: ReadTap
) -> None:
    streams = ["skillsets", "skillset_progress"]
    everything = read_tap(sandbox.tap_config, select=streams)
    programs = {row["program_id"] for skillset in everything.records("skillsets") for row in skillset["programs"]}
    chosen = min(programs)
    some = read_tap(sandbox.tap_config | {"program_ids": [chosen]}, select=streams)
    for stream in streams:
        assert 0 < len(some.records(stream)) < len(everything.records(stream))
    assert all(chosen in row["program_ids"] for row in some.records("skillset_progress"))


def test_a_bookmark_speaks_only_for_the_programs_that_were_read(sandbox: RunningSandbox, read_tap: ReadTap) -> None:
    config = sandbox.tap_config | {"report_lag_hours": 0}
    everything = read_tap(config, select=["skillset_progress"])
    programs = sorted({one for row in everything.records("skillset_progress") for one in row["program_ids"]})

    def rows(ids: list[str], state: Json) -> Output:
        return read_tap(config | {"program_ids": ids}, select=["skillset_progress"], state=state)

    fewer = rows(programs[:1], everything.state)
    assert len(fewer.records("skillset_progress")) <= 2, "all were read before"
    again = rows(programs[:1], fewer.state)
    assert len(again.records("skillset_progress")) <= 2
    more = rows(programs[:2], again.state)
    assert len(more.records("skillset_progress")) > 2, "a program came that the bookmark does not speak for"
    back = read_tap(config, select=["skillset_progress"], state=more.state)
    assert len(back.records("skillset_progress")) == len(everything.records("skillset_progress"))
