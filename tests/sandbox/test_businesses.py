"""The endpoints of businesses.v1 over HTTP."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from coursera_sandbox.testing import RunningSandbox

Rows = list[dict[str, Any]]
EVERYTHING = {"includeS12n": True, "includeDeletedMembers": True, "includeExpiredContracts": True}
LISTS: list[tuple[str, dict[str, Any]]] = [
    ("/users", {}),
    ("/programs", {"excludeContent": True}),
    ("/contents", {}),
    ("/enrollmentReports", EVERYTHING),
    ("/courseGradebookReports", {"q": "search", "includeDeletedMembers": True}),
]


def keys(rows: Rows) -> list[tuple[str, str]]:
    return [(row["id"], row.get("programId", "")) for row in rows]


@pytest.mark.parametrize(("path", "params"), LISTS)
def test_pages_of_any_size_add_up_to_the_same_list(college: RunningSandbox, path: str, params: dict[str, Any]) -> None:
    whole = college.all(path, **params)
    total = college.get(path, limit=1, **params)["paging"]["total"]
    assert total == len(whole) > 5
    assert len(set(keys(whole))) == len(whole)
    assert college.all(path, limit=37, **params) == whole
    if "Reports" in path:
        assert college.all(path, limit=37, useCursorPagination=True, **params) == whole


def test_members_and_invitations_page_by_program(college: RunningSandbox) -> None:
    users = {user["id"]: user for user in college.all("/users")}
    members = invited = 0
    for program in college.all("/programs", excludeContent=True):
        for kind, stamp in (("memberships", "joinedAt"), ("invitations", "createdAt")):
            path = f"/programs/{program['id']}/{kind}"
            rows = college.all(path)
            assert college.all(path, limit=5) == rows
            assert all(row["id"] == f"{program['id']}~{row['externalId']}" and stamp in row for row in rows)
            members += len(rows) if kind == "memberships" else 0
            invited += len(rows) if kind == "invitations" else 0
    assert members == sum(len(user["membershipProgramIds"]) for user in users.values())
    assert invited > 1


def test_next_is_a_string_and_absent_at_the_end(college: RunningSandbox) -> None:
    first = college.get("/users", limit=2)
    assert first["paging"]["next"] == "2"
    assert first["linked"] == {}
    assert college.get("/users", limit=1000)["paging"] == {"total": first["paging"]["total"]}
    total = first["paging"]["total"]
    assert college.get("/users", limit=total)["paging"] == {"total": total}
    assert college.get("/users", limit=total - 1)["paging"]["next"] == str(total - 1)
    assert college.get("/users", start="999999")["elements"] == []
    assert college.get("")["paging"] == {}


def test_a_cursor_is_opaque_and_leads_on(college: RunningSandbox) -> None:
    page = college.get("/enrollmentReports", limit=10, useCursorPagination=True)
    cursor = page["paging"]["next"]
    assert not cursor.isdigit()
    assert base64.urlsafe_b64decode(cursor + "==") == b"row:10"
    second = college.get("/enrollmentReports", limit=10, useCursorPagination=True, start=cursor)
    assert second["elements"] == college.get("/enrollmentReports", limit=10, start=10)["elements"]


def test_limit_has_a_default_and_a_maximum(start_sandbox: Any) -> None:
    sandbox = start_sandbox(learners=400)
    assert len(sandbox.get("/enrollmentReports")["elements"]) == 100
    for limit, rows in (("2", 2), ("abc", 100), ("0", 100), ("-3", 100), ("100000", 1000), ("9" * 5000, 1000)):
        assert len(sandbox.get("/enrollmentReports", limit=limit)["elements"]) == rows


@pytest.mark.parametrize(
    ("name", "field", "keeps"),
    [
        ("enrollAtAfter", "enrolledAt", lambda value, bound: value >= bound),
        ("enrollAtBefore", "enrolledAt", lambda value, bound: value <= bound),
        ("completedAtAfter", "completedAt", lambda value, bound: value >= bound),
        ("completedAtBefore", "completedAt", lambda value, bound: value <= bound),
        ("lastActivityAfter", "lastActivityAt", lambda value, bound: value > bound),
        ("lastActivityBefore", "lastActivityAt", lambda value, bound: value < bound),
    ],
)
def test_time_filters_include_or_exclude_their_bound(
    college: RunningSandbox, name: str, field: str, keeps: Any
) -> None:
    rows = college.all("/enrollmentReports")
    times = sorted(row[field] for row in rows if field in row)
    bound = times[len(times) // 2]
    found = college.all("/enrollmentReports", **{name: bound})
    assert keys(found) == keys([row for row in rows if field in row and keeps(row[field], bound)])
    assert 0 < len(found) < len(rows)


def test_switches_add_rows_and_nothing_else(college: RunningSandbox) -> None:
    plain = college.all("/enrollmentReports")
    assert {row["contentType"] for row in plain} == {"Course"}
    assert "DELETED_MEMBER" not in {row["membershipState"] for row in plain}
    switches: list[tuple[str, Callable[[dict[str, Any]], bool]]] = [
        ("includeS12n", lambda row: row["contentType"] == "Specialization"),
        ("includeDeletedMembers", lambda row: row["membershipState"] == "DELETED_MEMBER" and "deletedAt" in row),
        ("includeExpiredContracts", lambda row: row["contractName"] == "Campus 2023-24"),
    ]
    for switch, differs in switches:
        more = [row for row in college.all("/enrollmentReports", **{switch: True}) if row not in plain]
        assert more
        assert all(differs(row) for row in more)
        assert [row for row in college.all("/enrollmentReports", **{switch: True}) if row in plain] == plain


def test_finders_select_by_program_and_learner(college: RunningSandbox) -> None:
    rows = college.all("/enrollmentReports")
    one = next(row for row in rows if "@" in row["externalId"])
    mine = college.all("/enrollmentReports", q="byProgramId", programId=one["programId"])
    assert mine == [row for row in rows if row["programId"] == one["programId"]]
    found = college.all(
        "/enrollmentReports", q="byUserProgramId", programId=one["programId"], externalId=one["externalId"]
    )
    assert found == [row for row in mine if row["externalId"] == one["externalId"]]
    known = next(row for row in rows if "@" not in row["externalId"])
    for name, count in (("externalId", 1), ("email", 0)):  # The e-mail is the external id only if no other one is set.
        asked = {"q": "byUserProgramId", "programId": known["programId"], "externalId": known[name]}
        assert bool(college.all("/enrollmentReports", **asked)) == bool(count)
    nobody = college.get("/enrollmentReports", q="byProgramId", programId="A" * 22)
    assert (nobody["elements"], nobody["paging"]) == ([], {"total": 0})


def test_the_gradebook_selects_by_program_course_and_learner(college: RunningSandbox) -> None:
    rows = college.all("/courseGradebookReports", q="search")
    one = rows[len(rows) // 2]
    for filters in (
        {"programId": one["programId"]},
        {"courseId": one["courseId"]},
        {"emailOrExternalId": one["externalId"]},
        {"programId": one["programId"], "courseId": one["courseId"]},
    ):
        renamed = {"emailOrExternalId": "externalId"}
        wanted = [row for row in rows if all(row[renamed.get(k, k)] == v for k, v in filters.items())]
        assert college.all("/courseGradebookReports", q="search", **filters) == wanted
    email = next(row["email"] for row in college.all("/users") if row["externalId"] == one["externalId"])
    assert college.all("/courseGradebookReports", q="search", emailOrExternalId=email) == [
        row for row in rows if row["externalId"] == one["externalId"]
    ]


def routing(message: str) -> dict[str, Any]:
    return {"msg": f"Routing error: {message}"}


def refusal(message: str) -> dict[str, Any]:
    return {"errorCode": None, "message": message, "details": None}


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        (
            "includeS12n=True",
            400,
            routing(
                "Improperly formatted value for parameter 'includeS12n'. Expected 'true' or 'false' but found 'True'."
            ),
        ),
        ("q=byProgramId", 400, routing("Missing required parameter 'programId'")),
        (
            "q=byProgramId&programId=career-academy",
            400,
            routing("Improperly formatted value for parameter 'programId'"),
        ),
        ("limit=1&limit=2", 400, routing("Too many query parameters for 'limit")),
        ("enrollAtAfter=2026-01-01", 400, routing("Improperly formatted value for parameter 'enrollAtAfter'")),
        ("q=foo", 405, routing("finder 'foo' not implemented")),
        ("q=", 405, routing("Must provide a finder name.")),
        ("start=abc", 400, refusal("Paging start should be an integer, was Some(abc)")),
        ("start=-1", 400, refusal("Paging start should be an integer, was Some(-1)")),
    ],
)
def test_bad_parameters_are_refused_in_the_frameworks_words(
    college: RunningSandbox, query: str, status: int, body: dict[str, Any]
) -> None:
    url = f"{college.api_url}/businesses.v1/{college.org_id}/enrollmentReports?{query}"
    answer = college.client.get(url, headers={"Authorization": f"Bearer {college.token()}"})
    assert (answer.status_code, answer.json()) == (status, body)


def test_the_gradebook_needs_its_finder_and_unknown_parameters_are_ignored(college: RunningSandbox) -> None:
    answer = college.ask("/courseGradebookReports")
    assert (answer.status_code, answer.json()) == (405, routing("'get-all' not implemented"))
    assert college.get("/users", fields="id", whatever=1) == college.get("/users")


def test_what_does_not_exist_is_not_found_in_the_right_words(college: RunningSandbox) -> None:
    programs = college.all("/programs", excludeContent=False)
    program, course = programs[0]["id"], programs[0]["contentIds"][0]["contentId"]
    other = next(p["id"] for p in programs if course not in str(p["contentIds"]))
    member = college.get(f"/programs/{program}/memberships")["elements"][0]["externalId"]
    for path, status, code in (
        ("/contents/Course~" + "A" * 22, 404, "CONTENT_ID_NOT_IN_ORG"),
        (f"/programs/{other}/courseMaterials/{course}", 404, "COURSE_NOT_IN_PROGRAM"),
        (f"/programs/{program}/programEnrollments/nobody~Course~{course}", 404, "USER_NOT_FOUND_IN_PROGRAM"),
        (f"/programs/{program}/memberships/{program}~nobody", 404, "notFound"),
    ):
        answer = college.ask(path)
        assert (answer.status_code, answer.json()["errorCode"], answer.json()["details"]) == (status, code, None)
    assert college.ask("/programs/career-academy/memberships").status_code == 400
    for path in ("/nonsense", "/", "/users/", f"/programs/{program}"):
        assert college.ask(path).json() == {"message": "Not Found", "statusCode": 404}
    state = college.get(f"/programs/{program}/programEnrollments/{member}~Course~{course}")["elements"][0]["state"]
    assert state in {"AVAILABLE", "ENROLLED", "COMPLETED"}


def test_the_api_is_read_only(college: RunningSandbox) -> None:
    url = f"{college.api_url}/businesses.v1/{college.org_id}/users"
    answer = college.client.post(url, headers={"Authorization": f"Bearer {college.token()}"}, json={})
    assert (answer.status_code, answer.json()) == (405, routing("'create' not implemented"))


def test_an_unchanged_page_need_not_be_sent_again(college: RunningSandbox) -> None:
    first = college.ask("/users")
    again = college.ask("/users", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_contents_tell_what_changed_since_a_second(sandbox: RunningSandbox) -> None:
    assert all("changes" not in row for row in sandbox.all("/contents"))
    clips = {row["id"] for row in sandbox.all("/contents", contentTypes="Video")}
    since = 1769990400  # 2026-02-02
    sandbox.advance(days=5)
    changed = sandbox.all("/contents", modifiedSinceTimestamp=since)
    kinds = {change["changeType"] for row in changed for change in row["changes"]}
    assert {"ADDED", "REMOVED"} <= kinds
    removed = {row["id"] for row in changed if row["changes"][0]["changeType"] == "REMOVED"}
    assert removed < clips
    assert not removed & {row["id"] for row in sandbox.all("/contents")}
    programs = sandbox.all("/programs", excludeContent=False)
    assert not removed & {f"Video~{content['contentId']}" for p in programs for content in p["contentIds"]}


def test_the_organisation_has_what_trips_up_software(college: RunningSandbox) -> None:
    programs = college.all("/programs", excludeContent=False)
    sizes = {p["name"]: len(college.all(f"/programs/{p['id']}/memberships")) for p in programs}
    assert 0 in sizes.values()
    assert 0 in [len(p["contentIds"]) for p in programs]
    assert 1 in [len(p["contentIds"]) for p in programs]
    ids = [p["id"] for p in programs] + [row["contentId"] for row in college.all("/contents")]
    assert {"-", "_"} <= {identifier[0] for identifier in ids}
    assert len({identifier.lower() for identifier in ids}) < len(set(ids))
    assert any(re.fullmatch(r"[\w-]{22}-\w{5}", identifier) for identifier in ids)
    users = college.all("/users")
    names = [user["fullName"] for user in users]
    assert any(not name.isascii() for name in names)
    assert any(" " not in name for name in names)
    assert any(len(name) > 100 for name in names)
    assert any('"' in name for name in names)
    assert any("," in name for name in names)
    assert any("+" in user["email"] for user in users)
    assert 0 < sum(user["externalId"] == user["email"] for user in users) < len(users) / 2
    rows = college.all("/enrollmentReports", **EVERYTHING)
    assert {row["membershipState"] for row in rows} == {"MEMBER", "DELETED_MEMBER", "WHITELISTED", "INVITED"}
    assert len({row["id"] for row in rows}) < len(rows)  # The same learner takes the same course in two programs.
