"""Endpoints of `businesses.v1`, one function each: from a call to the body of its 200 answer, or an ApiError."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from coursera_sandbox import directory, materials
from coursera_sandbox.campus import Bound, Query
from coursera_sandbox.errors import edge, naptime, routing
from coursera_sandbox.paging import Listing, single
from coursera_sandbox.params import ID
from coursera_sandbox.people import find, person
from coursera_sandbox.reports import course_gradebooks, enrollment_reports

if TYPE_CHECKING:
    from coursera_sandbox.campus import Campus
    from coursera_sandbox.paging import Call

_BOUNDS: dict[str, tuple[Literal["enrolled", "last", "completed"], Literal["<=", ">=", "<", ">"]]] = {
    "enrollAtBefore": ("enrolled", "<="),
    "enrollAtAfter": ("enrolled", ">="),
    "completedAtBefore": ("completed", "<="),
    "completedAtAfter": ("completed", ">="),
    "lastActivityBefore": ("last", "<"),
    "lastActivityAfter": ("last", ">"),
}
"""Time filters of the enrollment report: those on activity exclude their bound, the others include it."""
_KINDS = ["Course", "Specialization", "Video"]


def organization(_call: Call) -> dict[str, Any]:
    """Return the answer of `/{orgId}`."""
    return single(directory.organization())


def users(call: Call) -> dict[str, Any]:
    """Return the answer of `/{orgId}/users`: members of at least one program."""
    campus = call.campus
    return Listing("users", campus.users, lambda rows: directory.users(campus, rows)).page(call)


def programs(call: Call) -> dict[str, Any]:
    """Return the answer of `/{orgId}/programs`: all, or those with the given ids."""
    campus, params = call.campus, call.params
    ids = params.identifiers("ids")
    numbers = list(range(len(campus.catalogue.programs)))
    if ids is not None:
        known = campus.catalogue.program_numbers
        numbers = [known[identifier] for identifier in dict.fromkeys(ids) if identifier in known]
    with_contents = not params.flag("excludeContent")
    return Listing("programs", numbers, lambda rows: directory.programs(campus, rows, contents=with_contents)).page(
        call
    )


def contents(call: Call) -> dict[str, Any]:
    """Return the answer of `/{orgId}/contents`."""
    params = call.params
    kinds = (params.text("contentTypes") or ",".join(_KINDS)).split(",")
    if not set(kinds) <= set(_KINDS):
        raise routing(400, "Improperly formatted value for parameter 'contentTypes'")
    chosen = None
    if params.finder("byProgramIds", without=True):
        params.required("programIds")
        known = call.campus.catalogue.program_numbers
        chosen = [known[identifier] for identifier in params.identifiers("programIds") or [] if identifier in known]
    since = params.number("modifiedSinceTimestamp")
    rows = directory.contents(call.campus, kinds, chosen, since * 1000 if since else None)
    return Listing(f"contents {kinds} {chosen} {since}", rows, lambda page: page).page(call)


def content(call: Call) -> dict[str, Any]:
    """Return the answer of `/{orgId}/contents/{ContentType~contentId}`."""
    kind, _, identifier = call.path["id"].partition("~")
    if kind not in _KINDS or not ID.fullmatch(identifier):
        raise edge(400, f"Invalid id {call.path['id']}")
    for found in directory.contents(call.campus, [kind], None, None):
        if found.content_id == identifier:
            return single(found)
    raise naptime(404, "CONTENT_ID_NOT_IN_ORG", "The requested content ID is not in any programs of this organization.")


def enrollment_report(call: Call) -> dict[str, Any]:
    """Return the answer of `/{orgId}/enrollmentReports`."""
    campus, params = call.campus, call.params
    finder = params.finder("byProgramId", "byUserProgramId", without=True)
    query = Query(
        program=_program(campus, params.identifier("programId")) if finder else None,
        learner=_called(campus, params.required("externalId")) if finder == "byUserProgramId" else None,
        series=params.flag("includeS12n"),
        deleted=params.flag("includeDeletedMembers"),
        expired=params.flag("includeExpiredContracts"),
        bounds=tuple(
            Bound(column, compare, value)
            for name, (column, compare) in _BOUNDS.items()
            if (value := params.number(name)) is not None
        ),
    )
    rows = campus.find(campus.report, query)
    return Listing(f"enrollmentReports {query}", rows, lambda page: enrollment_reports(campus, page)).page(call)


def gradebook_report(call: Call) -> dict[str, Any]:
    """Return the answer of `/{orgId}/courseGradebookReports`; all three filters are optional."""
    campus, params = call.campus, call.params
    params.finder("search", without=False)
    program = params.identifier("programId") if params.text("programId") is not None else None
    course = params.identifier("courseId") if params.text("courseId") is not None else None
    learner = params.text("emailOrExternalId")
    query = Query(
        program=None if program is None else _program(campus, program),
        course=None if course is None else campus.catalogue.course_numbers.get(course, -1),
        learner=None if learner is None else _learner(campus, learner),
        deleted=params.flag("includeDeletedMembers"),
    )
    rows = campus.find(campus.gradebook, query)
    return Listing(f"courseGradebookReports {query}", rows, lambda page: course_gradebooks(campus, page)).page(call)


def _program(campus: Campus, identifier: str) -> int:
    """Return the number of a program for a filter; an unknown program has no rows."""
    return campus.catalogue.program_numbers.get(identifier, -1)


def _learner(campus: Campus, text: str) -> int:
    """Return the number of a learner for a filter, by e-mail or external id; an unknown learner has no rows."""
    found = find(campus.world.seed, campus.world.learners, text)
    return -1 if found is None else found


def _called(campus: Campus, external_id: str) -> int:
    """Return the number of a learner for a filter, by external id only."""
    learner = _learner(campus, external_id)
    return learner if learner >= 0 and person(campus.world.seed, learner).external_id == external_id else -1


def program_number(call: Call) -> int:
    """Return the program in the path; 400 for what cannot be an id, 404 for an unknown program."""
    identifier = call.path["programId"]
    if not ID.fullmatch(identifier):
        raise edge(400, f"Invalid id {identifier}")
    number = call.campus.catalogue.program_numbers.get(identifier)
    if number is None:
        raise naptime(404, "notFound", "not found")
    return number


def _roster(call: Call, *, pending: bool) -> dict[str, Any]:
    campus, number = call.campus, program_number(call)
    rows = directory.roster_rows(campus, number, pending=pending)
    return Listing(
        f"roster {number} {pending}", rows, lambda page: directory.members(campus, page, pending=pending)
    ).page(call)


def memberships(call: Call) -> dict[str, Any]:
    """Return the answer of `/{orgId}/programs/{programId}/memberships`."""
    return _roster(call, pending=False)


def invitations(call: Call) -> dict[str, Any]:
    """Return the answer of `/{orgId}/programs/{programId}/invitations`: those that nobody has answered yet."""
    return _roster(call, pending=True)


def membership(call: Call) -> dict[str, Any]:
    """Return the answer of `/{orgId}/programs/{programId}/memberships/{programId~externalId}`, without `joinedAt`."""
    number = program_number(call)
    program, _, external_id = call.path["id"].partition("~")
    for found in _members_called(call.campus, number, external_id):
        if program == call.path["programId"]:
            found.joined_at = None
            return single(found)
    raise naptime(404, "notFound", "not found")


def _members_called(campus: Campus, program: int, external_id: str) -> list[Any]:
    rows = directory.roster_rows(campus, program, pending=False)
    mine = rows[campus.roster.learner[rows] == _called(campus, external_id)]
    return directory.members(campus, mine, pending=False)


def curriculum_collections(call: Call) -> dict[str, Any]:
    """Return the answer of `/{orgId}/programs/{programId}/curriculumCollections`."""
    number = program_number(call)
    return Listing(f"collections {number}", directory.collections(call.campus, number), lambda page: page).page(call)


def course_materials(call: Call) -> dict[str, Any]:
    """Return the answer of `/{orgId}/programs/{programId}/courseMaterials/{courseId}`."""
    campus, number = call.campus, program_number(call)
    course = campus.catalogue.course_numbers.get(call.path["courseId"])
    offered = {stay.content.id for stay in campus.catalogue.stays[number] if stay.since <= campus.now < stay.until}
    if course is None or call.path["courseId"] not in offered:
        raise naptime(
            404,
            "COURSE_NOT_IN_PROGRAM",
            f"Course {call.path['courseId']} is not available in program {call.path['programId']}.",
        )
    return single(materials.course_materials(campus, number, course))


def program_enrollment(call: Call) -> dict[str, Any]:
    """Return the answer of `/{orgId}/programs/{programId}/programEnrollments/{externalId~contentType~contentId}`."""
    number = program_number(call)
    external_id, _, rest = call.path["id"].partition("~")
    kind, _, identifier = rest.partition("~")
    if kind not in _KINDS or not ID.fullmatch(identifier):
        raise edge(400, f"Invalid id {call.path['id']}")
    if not _members_called(call.campus, number, external_id):
        raise naptime(
            404, "USER_NOT_FOUND_IN_PROGRAM", f"User {external_id} not found in program {call.path['programId']}"
        )
    return single(materials.enrollment_state(call.campus, number, (external_id, kind, identifier)))


ROUTES = {
    "": organization,
    "/users": users,
    "/programs": programs,
    "/contents": contents,
    "/contents/{id}": content,
    "/enrollmentReports": enrollment_report,
    "/courseGradebookReports": gradebook_report,
    "/programs/{programId}/memberships": memberships,
    "/programs/{programId}/memberships/{id:path}": membership,
    "/programs/{programId}/invitations": invitations,
    "/programs/{programId}/curriculumCollections": curriculum_collections,
    "/programs/{programId}/courseMaterials/{courseId}": course_materials,
    "/programs/{programId}/programEnrollments/{id:path}": program_enrollment,
}
"""Path below `/api/businesses.v1/{orgId}` to endpoint."""
