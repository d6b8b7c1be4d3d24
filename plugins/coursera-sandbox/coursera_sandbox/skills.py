"""Endpoints of the skills service: other envelope, other errors, seconds in, milliseconds out."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import numpy as np

from coursera_sandbox import abilities
from coursera_sandbox.directory import PHOTOS, skill_id
from coursera_sandbox.errors import skills, skills_plain
from coursera_sandbox.params import ID, MAX_LIMIT
from coursera_sandbox.people import find, person

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from coursera_sandbox.abilities import Skillset
    from coursera_sandbox.errors import ApiError
    from coursera_sandbox.paging import Call

_DEFAULT_LIMIT = 10
_AT_MOST = 10
_LABEL = b"page:"
_NUMBER = "[0-9]{1,15}"


def _path(call: Call) -> str:
    return urlsplit(call.url).path.removeprefix("/ent")


def _invalid(call: Call, message: str) -> ApiError:
    return skills(400, "INVALID_ARGUMENT", message, _path(call))


def _not_found(call: Call, message: str) -> ApiError:
    return skills(404, "NOT_FOUND", message, _path(call))


def _last(call: Call, name: str) -> str | None:
    """Return the last value of a parameter."""
    values = call.params.every(name)
    return values[-1] if values else None


def _integer(call: Call, name: str, default: int) -> int:
    text = _last(call, name)
    if text is None:
        return default
    if not re.fullmatch(_NUMBER, text):
        raise _invalid(call, f"{name} has to be an integer that is not negative")
    return int(text)


def _offset(call: Call) -> int:
    """Return the start of the page: a number, or the label of a `nextPage`, in either of two parameters."""
    text = _last(call, "nextPage") or _last(call, "offset") or "0"
    if re.fullmatch(_NUMBER, text):
        return int(text)
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        plain = b""
    digits = plain.removeprefix(_LABEL)
    if not plain.startswith(_LABEL) or not re.fullmatch(_NUMBER.encode(), digits):
        raise _invalid(call, "offset is neither a number nor the nextPage of a previous answer")
    return int(digits)


def _page(
    call: Call, rows: Sequence[Any], name: str = "elements", show: Callable[[Any], Any] | None = None
) -> dict[str, Any]:
    """Return the requested page with `pagination`; only its rows are shown, so `rows` may be cheap keys."""
    start = _offset(call)
    limit = min(_integer(call, "limit", _DEFAULT_LIMIT) or _DEFAULT_LIMIT, MAX_LIMIT)
    if "short-pages" in call.faults and limit > 1:
        limit = (limit + 1) // 2
    shown = [show(row) if show else row for row in rows[start : start + limit]]
    pagination: dict[str, Any] = {"total": len(rows), "nextPage": ""}
    if start + limit < len(rows):
        label = base64.urlsafe_b64encode(_LABEL + str(start + limit).encode()).decode().rstrip("=")
        kept = [(key, value) for key, value in call.params.pairs() if key not in {"offset", "nextPage", "limit"}]
        query = urlencode([*kept, ("limit", limit), ("nextPage", label)])
        pagination["nextPage"] = label
        pagination["nextPageLink"] = f"{call.url.partition('?')[0]}?{query}"
    if "missing-total" in call.faults:
        del pagination["total"]
    return {name: shown, "pagination": pagination}


def _program(call: Call) -> int:
    identifier = call.path["programId"]
    if not ID.fullmatch(identifier):
        raise _invalid(call, f"program id {identifier} is invalid")
    number = call.campus.catalogue.program_numbers.get(identifier)
    if number is None:
        raise skills_plain(404, "Not Found", _path(call))
    return number


def _skillset(call: Call, program: int) -> Skillset:
    wanted = call.path["skillsetId"]
    for one in abilities.skillsets(call.campus, program):
        if one.id == wanted:
            return one
    raise _not_found(call, f"could not find skillset with id {wanted}")


def _skill(call: Call, program: int) -> str:
    names = abilities.skill_names(call.campus, program)
    wanted = call.path["skillId"]
    if wanted not in names:
        raise _not_found(call, f"could not find skill with id {wanted}")
    return names[wanted]


def _learner(call: Call, *, needed: bool) -> int | None:
    text = _last(call, "externalUserId") or _last(call, "email")
    if text is None:
        if needed:
            raise _invalid(call, "either externalUserId or email is required")
        return None
    number = find(call.campus.world.seed, call.campus.world.learners, text)
    if number is None:
        raise _not_found(call, "could not find the learner")
    return number


def program_skillsets(call: Call) -> dict[str, Any]:
    """Return the answer of `/programs/{programId}/skillsets`."""
    number = _program(call)
    program = call.campus.catalogue.programs[number]
    rows = [
        {
            "skillsetId": one.id,
            "skillsetName": one.name,
            "skillsetDescription": one.description(),
            "programId": program.id,
            "programName": program.name(call.campus.now),
            "deeplink": one.deeplink(number),
            "skills": one.targets(),
        }
        for one in abilities.skillsets(call.campus, number)
    ]
    return _page(call, rows)


def organization_skillsets(call: Call) -> dict[str, Any]:
    """Return the answer of `/organizations/{orgId}/skillsets`."""
    programs = call.campus.catalogue.programs
    rows = []
    for one in abilities.skillsets(call.campus):
        names = {n: programs[n].name(call.campus.now) for n in one.programs}
        places = [
            {"programId": programs[n].id, "programName": name, "skillsetDeeplink": one.deeplink(n)}
            for n, name in names.items()
        ]
        rows.append(
            {
                "skillsetId": one.id,
                "skillsetName": one.name,
                "skillsetDescription": one.description(),
                "programs": places,
                "skills": one.targets(),
            }
        )
    return _page(call, rows)


def _report(call: Call, program: int | None, after: int) -> dict[str, Any]:
    """Return rows of learners with progress after a moment (epoch ms, exclusive), per skillset in order of learner."""
    rows: list[tuple[Skillset, int, int]] = []
    for one in abilities.skillsets(call.campus, program):
        learners, last = one.active(one.programs if program is None else (program,))
        later = np.flatnonzero(last > after)
        rows += [(one, learner, at) for learner, at in zip(learners[later].tolist(), last[later].tolist(), strict=True)]

    def show(row: tuple[Skillset, int, int]) -> dict[str, Any]:
        return abilities.report_row(call.campus, *row)

    return _page(call, rows, "enterpriseUserSkillsets", show)


def organization_report(call: Call) -> dict[str, Any]:
    """Return the answer of `/organizations/{orgId}/skillsetReport`; its time filter is in epoch SECONDS, exclusive."""
    return _report(call, None, _integer(call, "latestProgressMadeAfter", 0) * 1000)


def program_report(call: Call) -> dict[str, Any]:
    """Return the answer of `/program/{programId}/skillsetReport`, singular."""
    return _report(call, _program(call), 0)


def learner_progress(call: Call) -> dict[str, Any]:
    """Return the answer of `/programs/{programId}/skillsets/learner-progress`."""
    program = _program(call)
    wanted = call.params.every("skillsetIds")
    if not wanted:
        raise _invalid(call, "skillsetIds is required")
    learner = _learner(call, needed=True) or 0
    who = person(call.campus.world.seed, learner)
    reached = abilities.scores(call.campus, learner, (program,))
    rows = [
        {"skillsetId": one.id, "skillsetName": one.name, "progressPercent": one.progress(reached)}
        for one in abilities.skillsets(call.campus, program)
        if one.id in wanted
    ]
    header = {"learnerName": who.full_name, "learnerEmail": who.email, "learnerExternalUserId": who.external_id}
    return {**header, **_page(call, rows)}


def _recommended(call: Call, program: int, courses: list[int]) -> list[dict[str, Any]]:
    learner = _learner(call, needed=False)
    catalogue = call.campus.catalogue
    offered = {stay.content.id for stay in catalogue.stays[program] if stay.since <= call.campus.now < stay.until}
    reached = {} if learner is None else abilities.scores(call.campus, learner, (program,))
    plan = catalogue.programs[program]
    return [
        {
            "id": course.id,
            "name": course.name,
            "productType": "COURSE",
            "logo": f"{PHOTOS}/promo/{course.id}.png",
            "deeplink": f"{plan.url}?productId={course.id}&productType=course&showMiniModal=true&isExternal=true",
        }
        for course in (catalogue.courses[number] for number in courses)
        if course.id in offered and reached.get(course.domain[1], 0) < 100 * abilities.PER_PERCENT
    ]


def skillset_recommendations(call: Call) -> dict[str, Any]:
    """Return the answer of `/programs/{programId}/skillsets/{skillsetId}/recommendations`."""
    program = _program(call)
    one = _skillset(call, program)
    header = {"skillsetId": one.id, "skillsetName": one.name, "programId": call.path["programId"]}
    return {**header, **_page(call, _recommended(call, program, one.courses()))}


def skill_recommendations(call: Call) -> dict[str, Any]:
    """Return the answer of `/programs/{programId}/skillsets/{skillsetId}/skills/{skillId}/recommendations`."""
    program = _program(call)
    one, name = _skillset(call, program), _skill(call, program)
    header = {"skillId": call.path["skillId"], "skillName": name, "programId": call.path["programId"]}
    return {**header, **_page(call, _recommended(call, program, one.courses(name)))}


def _described(name: str) -> dict[str, Any]:
    return {"skillId": skill_id(name), "skillName": name, "skillDescription": f"What one can do in {name.lower()}."}


def skill_scores(call: Call) -> dict[str, Any]:
    """Return the answer of `/programs/{programId}/skills/{skillId}/scores`, for at most ten learners."""
    program = _program(call)
    name = _skill(call, program)
    wanted = [*call.params.every("externalUserIds"), *call.params.every("emails")]
    if not 0 < len(wanted) <= _AT_MOST:
        raise _invalid(call, f"between 1 and {_AT_MOST} learners have to be named by emails or externalUserIds")
    rows = []
    for text in wanted:
        learner = find(call.campus.world.seed, call.campus.world.learners, text)
        if learner is None:
            continue
        who = person(call.campus.world.seed, learner)
        score = abilities.scores(call.campus, learner, (program,)).get(name, 0)
        header = {"learnerEmail": who.email, "learnerName": who.full_name, "externalUserId": who.external_id}
        rows.append({**header, "skillScore": score, "skillProficiency": abilities.proficiency(score)})
    return {**_described(name), "elements": rows}


def learner_skill_scores(call: Call) -> dict[str, Any]:
    """Return the answer of `/programs/{programId}/learner-skill-scores`, for at most ten skills."""
    program = _program(call)
    names = abilities.skill_names(call.campus, program)
    wanted = call.params.every("skillIds")
    if not 0 < len(wanted) <= _AT_MOST:
        raise _invalid(call, f"between 1 and {_AT_MOST} skillIds are required")
    learner = _learner(call, needed=True) or 0
    who = person(call.campus.world.seed, learner)
    reached = abilities.scores(call.campus, learner, (program,))
    rows = []
    for name in (names[identifier] for identifier in wanted if identifier in names):
        score = reached.get(name, 0)
        rows.append({**_described(name), "skillScore": score, "skillProficiency": abilities.proficiency(score)})
    header = {"learnerEmail": who.email, "learnerName": who.full_name, "externalUserId": who.external_id}
    return {**header, **_page(call, rows)}


ROUTES: dict[str, Callable[[Call], dict[str, Any]]] = {
    "/programs/{programId}/skillsets": program_skillsets,
    "/programs/{programId}/skillsets/learner-progress": learner_progress,
    "/programs/{programId}/skillsets/{skillsetId}/recommendations": skillset_recommendations,
    "/programs/{programId}/skillsets/{skillsetId}/skills/{skillId}/recommendations": skill_recommendations,
    "/programs/{programId}/skills/{skillId}/scores": skill_scores,
    "/programs/{programId}/learner-skill-scores": learner_skill_scores,
    "/program/{programId}/skillsetReport": program_report,
    "/organizations/{orgId}/skillsets": organization_skillsets,
    "/organizations/{orgId}/skillsetReport": organization_report,
}
"""Path below `/api/rest/v1/enterprise` to endpoint."""
