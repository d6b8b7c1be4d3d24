"""The connection test: each failure provoked, its verdict, its sentence, its exit code, and nothing private in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tap_coursera import client, connection
from tap_coursera.connection import ExitCode, Verdict
from tap_coursera.errors import TapError
from tap_coursera.tap import TapCoursera

if TYPE_CHECKING:
    from pathlib import Path

    from requests_mock import Mocker

    from coursera_sandbox.testing import RunningSandbox
    from tap_coursera.connection import Check
    from tests.tap.conftest import Json, ReadTap

NAMES = ["token", "organisation", "programs", "enrollment report", "gradebook"]
OK, FAILED, SKIPPED = Verdict.OK, Verdict.FAILED, Verdict.SKIPPED
STAYING = {
    "429": "HTTP 429",
    "500": "HTTP 500",
    "502": "HTTP 502",
    "503": "HTTP 503",
    "504": "HTTP 504",
    "drop": "keeps closing|cannot be reached|breaking off",
    "truncate": "breaking off|not the Coursera API|closing",
    "html": "not the Coursera API",
    "token-revoked": "brand-new token",
}
PLACES = {
    "oauth2": ([FAILED, SKIPPED, SKIPPED, SKIPPED, SKIPPED], ExitCode.TOKEN),
    "businesses.v1": ([OK, FAILED, SKIPPED, SKIPPED, SKIPPED], ExitCode.ORGANISATION),
    "programs": ([OK, OK, FAILED, SKIPPED, SKIPPED], ExitCode.PROGRAMS),
    "enrollmentReports": ([OK, OK, OK, FAILED, OK], ExitCode.ENROLLMENT_REPORT),
    "courseGradebookReports": ([OK, OK, OK, OK, FAILED], ExitCode.GRADEBOOK),
}
NO_SERVER = "http://127.0.0.1:9"
API = "https://api.example"
MADE_UP: Json = {
    "client_id": "the-id",
    "client_secret": "the-secret",
    "org_id": "org1",
    "api_url": f"{API}/api",
    "auth_url": f"{API}/token",
    "page_size": 2,
}


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "BACKOFF_BASE", 0.001)
    monkeypatch.setattr(connection, "PATIENCE", 0.01)


def made(config: Json) -> list[Check]:
    tap = TapCoursera(config=dict(config), setup_mapper=False)
    return list(connection.checks(tap.client, tap.config))


def command(tmp_path: Path, config: Json, *arguments: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "config.json").write_text(json.dumps(config))
    return subprocess.run(
        [sys.executable, "-m", "tap_coursera", "--config", tmp_path / "config.json", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def private(sandbox: RunningSandbox) -> set[str]:
    users = sandbox.all("/users")
    people = {user[field] for user in users for field in ("id", "email", "fullName", "externalId") if user.get(field)}
    return {sandbox.client_secret, sandbox.token(), *people}


def test_a_connection_that_works_has_five_facts_and_nothing_private(sandbox: RunningSandbox, tmp_path: Path) -> None:
    done = command(tmp_path, sandbox.tap_config, "--test")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [re.split(" {2,}", line) for line in lines] == [
        ["token", "OK", f"Issued by {sandbox.url.removeprefix('http://')}."],
        ["organisation", "OK", f"Found: {sandbox.get('')['elements'][0]['name']}."],
        ["programs", "OK", "8 programs."],
        ["enrollment report", "OK", "Can be read."],
        ["gradebook", "OK", "Can be read."],
    ]
    assert not [text for text in private(sandbox) if text in done.stdout + done.stderr]


def test_a_connection_test_asks_for_one_row_of_each_report(sandbox: RunningSandbox) -> None:
    sandbox.reset_requests()
    made(sandbox.tap_config)
    asked = sandbox.requests()
    assert asked["total"] == 5
    assert asked["rows"] == 1 + 8 + 1 + 1


@pytest.mark.parametrize(
    ("change", "fault", "verdicts", "code", "sentence"),
    [
        (
            {"client_secret": "the-wrong-one"},
            "",
            "FAILED SKIPPED SKIPPED SKIPPED SKIPPED",
            3,
            "refused the credentials",
        ),
        ({"auth_url": "{url}/elsewhere"}, "", "FAILED SKIPPED SKIPPED SKIPPED SKIPPED", 3, "check auth_url"),
        ({"client_id": "sandbox-no-access"}, "", "OK FAILED SKIPPED SKIPPED SKIPPED", 4, "denies access"),
        ({"org_id": "SandboxOrg-BBBBBBBBB_B"}, "", "OK FAILED SKIPPED SKIPPED SKIPPED", 4, "check that org_id"),
        ({"org_id": "northfield-college"}, "", "OK FAILED SKIPPED SKIPPED SKIPPED", 4, "22-character ID"),
        (
            {"program_ids": ["nobody-knows-it"]},
            "",
            "OK OK FAILED SKIPPED SKIPPED",
            5,
            "program nobody-knows-it: program",
        ),
        (
            {},
            "token-revoked:path=enrollmentReports",
            "OK OK OK FAILED OK",
            6,
            "token was refused when reading enrollments",
        ),
        (
            {},
            "token-revoked:path=courseGradebook",
            "OK OK OK OK FAILED",
            7,
            "token was refused when reading course_grad",
        ),
        ({}, "token-revoked:path=Reports,times=9", "OK OK OK FAILED FAILED", 6, "when reading enrollments"),
    ],
)
def test_the_command_tells_what_failed_by_line_and_by_exit_code(
    sandbox: RunningSandbox, tmp_path: Path, *, change: Json, fault: str, verdicts: str, code: int, sentence: str
) -> None:
    secrets = private(sandbox)
    values = {k: v.format(url=sandbox.url) if isinstance(v, str) else v for k, v in change.items()}
    sandbox.faults([fault] if fault else [])
    done = command(tmp_path, sandbox.tap_config | values, "--test")
    assert done.returncode == code
    lines = [re.split(" {2,}", line) for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == NAMES
    assert " ".join(line[1] for line in lines) == verdicts
    first = next(line[2] for line in lines if line[1] == "FAILED")
    assert sentence in first
    assert "Traceback" not in done.stderr
    assert not [text for text in {*secrets, "the-wrong-one"} if text in done.stdout + done.stderr]


@pytest.mark.parametrize(
    ("fault", "path"),
    # While there is no token yet, none can be revoked.
    [(fault, path) for fault in STAYING for path in PLACES if (fault, path) != ("token-revoked", "oauth2")],
)
def test_every_fault_that_stays_is_a_verdict_with_its_sentence(
    sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture, fault: str, path: str
) -> None:
    secrets = private(sandbox)
    sandbox.faults([f"{fault}:path={path}"])
    with caplog.at_level("INFO"):
        found = made(sandbox.tap_config)
    verdicts, code = PLACES[path]
    written: list[str] = []
    assert [check.verdict for check in found] == verdicts
    assert connection.report(found, written.append) == code
    assert re.search(STAYING[fault], next(check.sentence for check in found if check.verdict is FAILED))
    assert len(written) == len(NAMES)
    assert not [text for text in secrets if text in caplog.text + "\n".join(written)]


@pytest.mark.parametrize(("setting", "code"), [("auth_url", ExitCode.TOKEN), ("api_url", ExitCode.ORGANISATION)])
def test_a_host_that_nobody_answers_at_names_the_setting(sandbox: RunningSandbox, setting: str, code: ExitCode) -> None:
    found = made(sandbox.tap_config | {setting: f"{NO_SERVER}/x"})
    assert connection.report(found, print) == code
    failed = [check for check in found if check.verdict is FAILED]
    assert [check.code for check in failed] == [code]
    assert failed[0].sentence.startswith(f"127.0.0.1:9 cannot be reached: check {setting}")


def test_a_passing_fault_is_no_failure(sandbox: RunningSandbox) -> None:
    sandbox.faults(["500:times=2", "html:times=1", "token-revoked:times=1,path=programs"])
    assert [check.verdict for check in made(sandbox.tap_config)] == [OK] * 5


def test_the_reports_of_a_program_that_exists_are_asked_for_although_another_does_not(sandbox: RunningSandbox) -> None:
    program = sandbox.all("/programs", excludeContent=True)[3]["id"]
    found = made(sandbox.tap_config | {"program_ids": ["b-unknown", program, "a-unknown", program]})
    assert [check.verdict for check in found] == [OK, OK, FAILED, OK, OK]
    assert "no active program a-unknown, b-unknown: " in found[2].sentence
    assert program not in found[2].sentence


def test_an_unknown_program_is_refused_in_the_words_of_a_run(sandbox: RunningSandbox, read_tap: ReadTap) -> None:
    config = sandbox.tap_config | {"program_ids": ["x", "learning-program-uzmjj"]}
    with pytest.raises(TapError) as caught:
        read_tap(config, select=["programs"])
    assert made(config)[2].sentence == str(caught.value)


def test_a_program_without_rows_is_readable(sandbox: RunningSandbox) -> None:
    empty = next(
        program["id"]
        for program in sandbox.all("/programs", excludeContent=True)
        if not sandbox.all("/enrollmentReports", q="byProgramId", programId=program["id"], includeDeletedMembers=True)
    )
    found = made(sandbox.tap_config | {"program_ids": [empty]})
    assert [check.verdict for check in found] == [OK] * 5
    assert found[2].sentence == "1 of 8 programs, as program_ids says."
    assert found[3].sentence == found[4].sentence
    assert "no rows in it yet" in found[3].sentence


class Server:
    """An organisation of one page per answer; programs by the `start` that asks for them."""

    def __init__(self, mock: Mocker, programs: dict[str, Json], organisation: Any = None) -> None:
        mock.post(MADE_UP["auth_url"], json={"access_token": "t"})
        self.programs = programs
        self.asked: list[dict[str, list[str]]] = []
        self.organisation = {"elements": [{"id": "org1", "name": "O"}]} if organisation is None else organisation
        mock.get(re.compile(f"{API}/api/businesses.v1/org1"), json=self.answer)

    def answer(self, request: Any, _context: Any) -> Json:
        kind = request.path.split("/")[-1]
        self.asked.append(request.qs)
        if kind == "programs":
            return self.programs[request.qs.get("start", ["0"])[0]]
        found: Json = self.organisation if kind == "org1" else {"elements": [{"id": "x"}]}
        return found


def test_programs_are_counted_over_all_pages_and_each_once(requests_mock: Mocker) -> None:
    server = Server(
        requests_mock,
        {
            "0": {"elements": [{"id": "p1"}, {"id": "p2"}], "paging": {"next": 2, "total": 4}},
            "2": {"elements": [{"id": "p2"}], "paging": {"next": "3"}},
            "3": {"elements": [{"id": "p3"}], "paging": None},
        },
    )
    found = made(MADE_UP | {"program_ids": ["p3", "p2"]})
    assert [check.verdict for check in found] == [OK] * 5
    assert found[2].sentence == "2 of 3 programs, as program_ids says."
    assert [asked["programid"] for asked in server.asked if "programid" in asked] == [["p2"], ["p2"]]
    assert [asked["limit"] for asked in server.asked if "programid" in asked] == [["1"], ["1"]]


@pytest.mark.parametrize("following", ["0", "2", ""])
def test_programs_that_lead_in_a_circle_come_to_an_end(requests_mock: Mocker, following: str) -> None:
    page = {"elements": [{"id": "p1"}], "paging": {"next": following}}
    Server(requests_mock, {"0": page, "2": page})
    assert made(MADE_UP)[2].sentence == "1 program."


def test_an_organisation_without_programs_is_told_what_to_do(requests_mock: Mocker) -> None:
    Server(requests_mock, {"0": {"elements": [], "paging": {"total": 0}}})
    for config in (MADE_UP, MADE_UP | {"program_ids": ["p1"]}):
        found = made(config)
        assert [check.verdict for check in found] == [OK, OK, FAILED, SKIPPED, SKIPPED]
        assert "no active program, so there is nothing to read: make one" in found[2].sentence


@pytest.mark.parametrize("rows", [[], ["org1"], [{"name": "O"}]])
def test_an_answer_without_an_organisation_is_not_the_api(requests_mock: Mocker, rows: list[Any]) -> None:
    Server(requests_mock, {}, {"elements": rows})
    found = made(MADE_UP)
    assert [check.verdict for check in found] == [OK, FAILED, SKIPPED, SKIPPED, SKIPPED]
    assert "not the Coursera API: check api_url" in found[1].sentence


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Ost\n  \x1b[31mfalen\u202e", "Found: Ost [31mfalen."),
        ("Łódź 学院", "Found: Łódź 学院."),
        (None, "Found: it has no name."),
        (7, "Found: it has no name."),
    ],
)
def test_a_name_stays_on_its_line(requests_mock: Mocker, name: object, said: str) -> None:
    Server(requests_mock, {"0": {"elements": [{"id": "p1"}]}}, {"elements": [{"id": "org1", "name": name}]})
    assert made(MADE_UP)[1].sentence == said


def test_lines_are_written_as_the_checks_are_made(requests_mock: Mocker) -> None:
    server = Server(requests_mock, {"0": {"elements": [{"id": "p1"}]}})
    tap = TapCoursera(config=dict(MADE_UP), setup_mapper=False)
    so_far: list[int] = []
    connection.report(connection.checks(tap.client, tap.config), lambda _: so_far.append(len(server.asked)))
    assert so_far == [0, 1, 2, 3, 4]


def test_exit_codes_are_distinct_and_not_the_one_of_a_wrong_call() -> None:
    assert [int(code) for code in ExitCode] == [0, 1, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(("option", "kinds"), [("--test=schema", {"SCHEMA"}), ("--test=all", {"SCHEMA", "RECORD"})])
def test_the_other_tests_are_still_those_of_the_sdk(
    sandbox: RunningSandbox, tmp_path: Path, option: str, kinds: set[str]
) -> None:
    done = command(tmp_path, sandbox.tap_config, option)
    assert done.returncode == 0
    assert {json.loads(line)["type"] for line in done.stdout.splitlines()} - {"STATE"} == kinds


def test_settings_that_are_refused_end_with_their_own_code(tmp_path: Path) -> None:
    done = command(tmp_path, MADE_UP | {"page_size": 0}, "--test")
    assert done.returncode == 1
    assert done.stdout == ""
