"""An organisation behind a server that keeps to the vendor's contract in its own way, and programs that are renamed."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from tap_coursera.errors import TapError
from tests.tap.conftest import Output

if TYPE_CHECKING:
    from requests_mock import Mocker

    from tests.tap.conftest import Json, ReadTap

API = "https://api.example"
CONFIG: dict[str, Any] = {
    "client_id": "i",
    "client_secret": "s",
    "org_id": "org1",
    "api_url": f"{API}/api",
    "auth_url": f"{API}/token",
    "page_size": 2,
}
PAGED = {"start", "limit"}
SKILLS = {"offset", "limit"}
FILTERS = {"enrollAtAfter": "enrolledAt", "lastActivityAfter": "lastActivityAt", "completedAtAfter": "completedAt"}
T = 1769850900000


class Other:
    """Two programs with three learners each, who are in one course; `manner` says what is unusual.

    Lists that are not known here are empty.
    """

    documented: ClassVar[dict[str, set[str]]] = {
        "org1": set(),
        "users": PAGED,
        "contents": PAGED,
        "memberships": PAGED,
        "invitations": PAGED,
        "programs": PAGED | {"ids", "excludeContent"},
        "curriculumCollections": PAGED,
        "courseGradebookReports": PAGED | {"q", "programId", "courseId", "emailOrExternalId", "includeDeletedMembers"},
        "enrollmentReports": PAGED
        | {"q", "programId", "includeDeletedMembers", "includeS12n", "includeExpiredContracts", *FILTERS},
        "skillsets": SKILLS,
        "skillsetReport": SKILLS | {"latestProgressMadeAfter"},
    }

    def __init__(self, mock: Mocker, manner: str = "") -> None:
        self.manner = manner
        self.programs = ["a/b", "c?d"] if manner == "strange ids" else ["p1", "p2"]
        self.listed = dict.fromkeys(self.programs, "Old")
        self.reported = dict(self.listed)
        self.whole_reads_fail = False
        self.asked: Counter[tuple[str, bool]] = Counter()
        mock.post(CONFIG["auth_url"], json={"access_token": "t"})
        mock.get(re.compile(f"{API}/api/businesses.v1/org1"), json=self.answer)
        mock.get(re.compile(f"{API}/api/rest/v1/enterprise"), json={"elements": [], "pagination": {}})
        mock.get(re.compile(f"{API}/api/rest/v1/enterprise/organizations/org1"), json=self.skills)

    def answer(self, request: Any, context: Any) -> Json:
        parts = urlsplit(request.url)
        kind = parts.path.split("/")[-1]
        if "/courseMaterials/" in parts.path:
            if "/p1/" in parts.path and self.manner in {"COURSE_NOT_IN_PROGRAM", "notFound"}:
                context.status_code = 404
                return {"errorCode": self.manner, "message": "Course c1 ...", "details": None}
            return {"elements": [{"id": kind, "modules": []}], "paging": {}}
        if kind not in self.documented:
            return {"elements": [], "paging": {}}
        pairs = parse_qsl(parts.query)
        params = dict(pairs)
        if len(params) < len(pairs) or params.keys() - self.documented[kind]:
            context.status_code = 400
            return {"msg": "Routing error"}
        filtered = bool(params.keys() & FILTERS)
        self.asked[kind, filtered] += 1
        if kind == "enrollmentReports" and self.whole_reads_fail and not filtered:
            context.status_code = 400
            return {"msg": "Routing error"}
        rows = self.rows(kind, params, unquote(parts.path.split("/")[-2]))
        start, end = int(params.get("start", 0)), int(params.get("start", 0)) + int(params.get("limit", 100))
        following = {"next": end if start else str(end)} if end < len(rows) else {}
        if self.manner == "nulls":
            following.setdefault("next", None)  # type: ignore[arg-type] # that is the point
        paging = None if kind == "org1" else {"total": len(rows), **following}
        return {"elements": [self.mannered(row) for row in rows[start:end]], "paging": paging}

    def skills(self, request: Any, context: Any) -> Json:
        parts = urlsplit(request.url)
        kind = parts.path.split("/")[-1]
        params = dict(parse_qsl(parts.query))
        if params.keys() - self.documented[kind]:
            context.status_code = 400
            return {"error": {"type": "INVALID_ARGUMENT"}}
        if kind == "skillsets":
            return {"elements": [{"skillsetId": "s1", "programs": [{"programId": self.programs[0]}]}], "pagination": {}}
        # As the example of the vendor's description has it, not its schema.
        rows = [{"userEmail": f"{n}@x", "skillId": "s1", "programIds": [" ".join(self.programs)]} for n in range(3)]
        start, limit = int(params.get("offset", 0)), int(params["limit"])
        following = {"nextPage": str(start + limit) if start + limit < len(rows) else ""}
        return {"enterpriseUserSkillsets": rows[start : start + limit], "pagination": {"total": 3, **following}}

    def rows(self, kind: str, params: dict[str, str], program: str) -> list[Json]:
        if kind == "org1":
            return [{"id": "org1", "name": "O", "slug": "o"}]
        if kind == "programs":
            wanted = params.get("ids", ",".join(self.programs)).split(",")
            content = [{"contentId": "c1", "contentType": "Course"}]
            return [
                {"id": one, "name": self.listed[one], "url": "u"}
                | ({} if params["excludeContent"] == "true" else {"contentIds": content})
                for one in self.programs
                if one in wanted or self.manner == "ignores filters"
            ]
        if kind in {"users", "contents"}:
            return [{"id": f"{kind}{n}", "contentId": str(n), "contentType": "Course"} for n in range(3)]
        if kind == "curriculumCollections":
            return [{"id": f"{program}~x", "programId": program, "collectionId": "x", "title": "", "contents": []}]
        if kind in {"memberships", "invitations"}:
            return [{"id": f"{program}~{n}", "programId": program, "externalId": n, "email": "e"} for n in range(3)]
        only = params.get("programId")
        found = [
            self.report(one, n)
            for one in self.programs
            for n in range(3)
            if only in {one, None} or self.manner == "ignores filters"
        ]
        for name, field in FILTERS.items():
            if name in params and self.manner != "ignores filters":
                found = [row for row in found if (row.get(field) or 0) >= int(params[name])]
        return found

    def report(self, program: str, learner: int) -> Json:
        return {
            "id": f"{learner}~Course~c1",
            "externalId": learner,
            "programId": program,
            "programName": self.reported[program],
            "contentId": "c1",
            "contentType": "Course",
            "courseId": "c1",
            "grade": "0.92" if learner else 0.92,
            "riskFlags": [None],
            "enrolledAt": T + learner * 864_000_000,
            "itemGradebooks": [{"itemId": "i1", "itemGrade": None}, {"itemId": "i2", "itemGrade": 50}],
        }

    def mannered(self, row: Json) -> Json:
        if self.manner == "no ids" and "externalId" in row:
            return {key: value for key, value in row.items() if key != "id"}
        if self.manner == "no program ids" and "itemGradebooks" in row:
            return {key: value for key, value in row.items() if key != "programId"}
        if self.manner == "no program ids in reports" and "contentType" in row:
            return {key: value for key, value in row.items() if key != "programId"}
        if self.manner == "no item ids" and "itemGradebooks" in row:
            return row | {"itemGradebooks": [{"itemId": None, "itemGrade": 50}]}
        if self.manner == "nulls":
            return row | dict.fromkeys(("completedAt", "deletedAt", "tagline", "instructors", "extraMetadata"))
        return row


MANNERS = ["", "strange ids", "nulls", "ignores filters", "no ids", "no program ids"]


@pytest.mark.parametrize("manner", MANNERS)
def test_every_row_comes_once_from_a_server_that_refuses_what_is_not_documented(
    requests_mock: Mocker, read_tap: ReadTap, manner: str
) -> None:
    Other(requests_mock, manner)
    first = read_tap(CONFIG)
    again = read_tap(CONFIG, state=first.state)
    counts = Counter(message["stream"] for message in first.of("RECORD"))
    per_program = {"program_contents": 1, "program_memberships": 3, "program_invitations": 3, "enrollments": 3}
    assert counts == {
        "organizations": 1,
        "programs": 2,
        "users": 3,
        "contents": 3,
        "course_materials": 2,
        "curriculum_collections": 2,
        "skillsets": 1,
        "skillset_progress": 3,
        "stream_reads": 6 + 2 * 8,
        **{stream: 2 * number for stream, number in per_program.items()},
        "course_grades": 6,
        "item_grades": 12,
    }
    for output in (first, again):
        for stream in counts:
            (schema,) = output.of("SCHEMA", stream)
            keys = [tuple(row[key] for key in schema["key_properties"]) for row in output.records(stream)]
            assert len(set(keys)) == len(keys)
            assert all(None not in key for key in keys)
    assert [row["grade"] for row in first.records("enrollments")] == [0.92] * 6
    assert all(row["risk_flags"] == [] for row in first.records("course_grades"))


def test_a_row_without_a_part_of_its_key_harms_no_other(requests_mock: Mocker, read_tap: ReadTap) -> None:
    Other(requests_mock, "no item ids")
    output = read_tap(CONFIG)
    assert len(output.records("course_grades")) == 6
    assert output.records("item_grades") == []
    reads = [row for row in output.records("stream_reads") if row["stream"] == "item_grades"]
    assert [(row["rows_left_out"], row["left_out_for"]) for row in reads] == [(3, "item_id")] * 2


def names(output: Output) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in output.records("enrollments"):
        found.setdefault(row["program_id"], set()).add(row["program_name"])
    return found


def test_a_renamed_program_is_read_whole_once_and_only_when_the_report_shows_the_name(
    requests_mock: Mocker, read_tap: ReadTap
) -> None:
    server = Other(requests_mock)
    first = read_tap(CONFIG, select=["enrollments"])
    assert len(first.records("enrollments")) == 6

    def next_run(state: Json) -> tuple[Output, int]:
        server.asked.clear()
        output = read_tap(CONFIG, select=["enrollments"], state=state)
        return output, server.asked["enrollmentReports", False]

    quiet, whole = next_run(first.state)
    assert (len(quiet.records("enrollments")), whole) == (2, 0)
    server.listed["p1"] = "New"
    lagging, whole = next_run(quiet.state)
    assert (names(lagging), whole) == ({"p1": {"Old"}, "p2": {"Old"}}, 0)
    server.reported["p1"] = "New"
    renamed, whole = next_run(lagging.state)
    assert (names(renamed), whole) == ({"p1": {"New"}, "p2": {"Old"}}, 2)
    assert len(renamed.records("enrollments")) == 3 + 1
    settled, whole = next_run(renamed.state)
    assert (len(settled.records("enrollments")), whole) == (2, 0)


def test_the_list_of_programs_tells_a_new_name_where_no_row_does(requests_mock: Mocker, read_tap: ReadTap) -> None:
    server = Other(requests_mock)
    state = read_tap(CONFIG, select=["enrollments"]).state
    for partition in state["bookmarks"]["enrollments"]["partitions"]:
        partition["replication_key_value"] = "2026-03-01T00:00:00Z"
    assert read_tap(CONFIG, select=["enrollments"], state=state).records("enrollments") == []
    server.listed["p1"] = server.reported["p1"] = "New"
    renamed = read_tap(CONFIG, select=["enrollments"], state=state)
    assert names(renamed) == {"p1": {"New"}}
    assert read_tap(CONFIG, select=["enrollments"], state=renamed.state).records("enrollments") == []


def test_a_run_that_fails_does_not_remember_the_new_name(requests_mock: Mocker, read_tap: ReadTap) -> None:
    server = Other(requests_mock)
    state = read_tap(CONFIG, select=["enrollments"]).state
    server.listed["p1"] = server.reported["p1"] = "New"
    server.whole_reads_fail = True
    broken = Output()
    with pytest.raises(TapError):
        read_tap(CONFIG, select=["enrollments"], state=state, into=broken)
    server.whole_reads_fail = False
    resumed = read_tap(CONFIG, select=["enrollments"], state=broken.state or state)
    assert len([row for row in resumed.records("enrollments") if row["program_name"] == "New"]) == 3


def test_state_that_knows_no_name_is_taken_up_without_reading_everything(
    requests_mock: Mocker, read_tap: ReadTap
) -> None:
    server = Other(requests_mock)
    state = read_tap(CONFIG, select=["enrollments"]).state
    for partition in state["bookmarks"]["enrollments"]["partitions"]:
        assert partition.pop("program_name") == "Old"
    server.asked.clear()
    output = read_tap(CONFIG, select=["enrollments"], state=state)
    assert server.asked["enrollmentReports", False] == 0
    assert [one["program_name"] for one in output.state["bookmarks"]["enrollments"]["partitions"]] == ["Old", "Old"]


@pytest.mark.parametrize("value", ["yesterday", 1769850900000, {"changed_at": 1}])
def test_a_bookmark_that_is_no_time_is_one_sentence(requests_mock: Mocker, read_tap: ReadTap, value: object) -> None:
    Other(requests_mock)
    partition = {"context": {"program_id": "p1"}, "replication_key": "changed_at", "replication_key_value": value}
    with pytest.raises(TapError, match="bookmark of enrollments that is not a time"):
        read_tap(CONFIG, state={"bookmarks": {"enrollments": {"partitions": [partition]}}})


def test_a_course_that_left_its_program_has_no_materials_and_that_is_no_error(
    requests_mock: Mocker, read_tap: ReadTap
) -> None:
    Other(requests_mock, "COURSE_NOT_IN_PROGRAM")
    output = read_tap(CONFIG | {"emit_activate_version_messages": True}, select=["course_materials"])
    assert [row["program_id"] for row in output.records("course_materials")] == ["p2"]
    assert output.activated() == {"course_materials"}


def test_any_other_refusal_of_course_materials_is_an_error(requests_mock: Mocker, read_tap: ReadTap) -> None:
    Other(requests_mock, "notFound")
    with pytest.raises(TapError, match="HTTP 404"):
        read_tap(CONFIG, select=["course_materials"])


def test_reports_that_do_not_tell_their_program_are_asked_for_program_by_program(
    requests_mock: Mocker, read_tap: ReadTap
) -> None:
    server = Other(requests_mock, "no program ids in reports")
    first = read_tap(CONFIG, select=["enrollments", "course_grades"])
    server.asked.clear()
    again = read_tap(CONFIG | {"report_lag_hours": 8760}, select=["enrollments", "course_grades"], state=first.state)
    for stream in ("enrollments", "course_grades"):
        assert len(again.records(stream)) == len(first.records(stream)) == 6
