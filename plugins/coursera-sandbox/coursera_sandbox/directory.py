"""Who and what there is: the organisation, its programs, people, invitations and contents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from coursera_sandbox.catalogue import Clip, Course, Specialization, content_type
from coursera_sandbox.moments import NEVER
from coursera_sandbox.people import person
from coursera_sandbox.shapes import Content, ContentRef, CurriculumCollection, Member, Organization, Program, User
from coursera_sandbox.titles import INSTRUCTORS, ORGANISATION
from coursera_sandbox.tokens import ORG_ID

if TYPE_CHECKING:
    from coursera_sandbox.campus import Campus
    from coursera_sandbox.chance import Ints

PHOTOS = "https://d3njjcbhbojbot.cloudfront.example"


def organization() -> Organization:
    """Return the organisation itself."""
    return Organization(ORG_ID, *ORGANISATION)


def programs(campus: Campus, numbers: list[int], *, contents: bool) -> list[Program]:
    """Return programs with the contents they have now; without contents the member is an empty list."""
    page = []
    for number in numbers:
        program = campus.catalogue.programs[number]
        refs = [
            ContentRef(stay.content.id, content_type(stay.content))
            for stay in campus.catalogue.stays[number]
            if stay.since <= campus.now < stay.until
        ]
        page.append(
            Program(
                program.id, program.name(campus.now), program.url, refs if contents else [], program.tagline or None
            )
        )
    return page


def users(campus: Campus, learners: Ints) -> list[User]:
    """Return members, each with their programs and the programs to which they are invited."""
    roster = campus.roster
    ids = [program.id for program in campus.catalogue.programs]
    page = []
    lows, highs = np.searchsorted(roster.learner, learners), np.searchsorted(roster.learner, learners, side="right")
    for learner, low, high in zip(learners.tolist(), lows.tolist(), highs.tolist(), strict=True):
        who = person(campus.world.seed, learner)
        mine = range(low, high)
        page.append(
            User(
                who.id,
                who.email,
                who.external_id,
                who.full_name,
                [ids[roster.program[row]] for row in mine if roster.member[row]],
                [ids[roster.program[row]] for row in mine if roster.pending[row]],
            )
        )
    return page


def roster_rows(campus: Campus, program: int, *, pending: bool) -> Ints:
    """Return rows of the roster: members of a program, or those invited to it."""
    roster = campus.roster
    return np.flatnonzero((roster.program == program) & (roster.pending if pending else roster.member))


def members(campus: Campus, rows: Ints, *, pending: bool) -> list[Member]:
    """Return memberships or pending invitations."""
    roster = campus.roster
    page = []
    times = (roster.invited if pending else roster.joined)[rows].tolist()
    for learner, program, at in zip(roster.learner[rows].tolist(), roster.program[rows].tolist(), times, strict=True):
        who = person(campus.world.seed, learner)
        program_id = campus.catalogue.programs[program].id
        row = Member(f"{program_id}~{who.external_id}", program_id, who.external_id, who.full_name, who.email)
        if pending:
            row.created_at = at
        else:
            row.joined_at = at
        page.append(row)
    return page


def contents(campus: Campus, kinds: list[str], program_numbers: list[int] | None, since: int | None) -> list[Content]:
    """Return contents of all or some programs; with `since` (epoch ms) those that changed, including removed ones."""
    catalogue = campus.catalogue
    page = []
    wanted = range(len(catalogue.programs)) if program_numbers is None else program_numbers
    for content in catalogue.everything:
        if content_type(content) not in kinds:
            continue
        stays = [
            (number, stay)
            for number in wanted
            for stay in catalogue.stays[number]
            if stay.content is content and stay.since <= campus.now
        ]
        now = [number for number, stay in stays if campus.now < stay.until]
        if since is None:
            if now:
                page.append(_content(campus, content, now))
            continue
        changes = _changes(campus, content, stays, since)
        if changes:
            shown = _content(campus, content, now or [number for number, _ in stays])
            shown.changes = changes
            page.append(shown)
    return page


def _changes(campus: Campus, content: Any, stays: list[tuple[int, Any]], since: int) -> list[dict[str, Any]]:
    ids = [program.id for program in campus.catalogue.programs]
    now = [number for number, stay in stays if campus.now < stay.until]
    touched = last_touched(content, campus.now)
    groups = {
        "ADDED": [number for number, stay in stays if stay.since >= since and number in now],
        "REMOVED": [number for number, stay in stays if stay.until != NEVER and since <= stay.until <= campus.now],
        "MODIFIED": now if touched is not None and touched >= since else [],
    }
    return [
        {"changeType": kind, "programIds": [ids[number] for number in numbers]}
        for kind, numbers in groups.items()
        if numbers
    ]


def last_touched(content: Course | Specialization | Clip, now: int) -> int | None:
    """Return when the authors last changed a content, epoch ms; None if the vendor does not say."""
    past = [at for at in content.touched if at <= now] if isinstance(content, Course) else []
    return past[-1] if past else None


def _content(campus: Campus, content: Course | Specialization | Clip, program_numbers: list[int]) -> Content:
    catalogue = campus.catalogue
    kind = content_type(content)
    course = catalogue.courses[content.course] if isinstance(content, Clip) else content
    product = "s12n" if isinstance(content, Specialization) else "course"
    bits = content.bits if isinstance(content, Course) else len(content.name)
    touched = last_touched(content, campus.now)
    link = f"productId={content.id}&productType={product}&showMiniModal=true&isExternal=true"
    partner: dict[str, str] = {"name": course.partner}
    if bits % 3:
        partner["logoUrl"] = f"{PHOTOS}/logo/{course.partner.split()[0].lower()}.png"
    return Content(
        id=f"{kind}~{content.id}",
        content_id=content.id,
        content_type=kind,
        name=content.name,
        description=f"{content.name}, taught by {course.partner}.",
        slug=course.slug,
        language_code=content.language if isinstance(content, Course) else "en",
        subtitle_language_codes=["en", "es", "fr"][: bits % 4],
        instructors=[_instructor(bits >> shift) for shift in range(0, 4, 2)],
        partners=[partner],
        programs=[
            {
                "contentUrl": f"{catalogue.programs[n].url}?{link}",
                "programId": catalogue.programs[n].id,
            }
            for n in program_numbers
        ],
        extra_metadata=_metadata(catalogue.courses, content),
        difficulty_level=content.difficulty if isinstance(content, Course) else None,
        last_updated_at=None if touched is None else touched // 1000,
    )


def _instructor(bits: int) -> dict[str, str]:
    name = INSTRUCTORS[bits % len(INSTRUCTORS)]
    return {
        "photoUrl": f"{PHOTOS}/people/{name.split()[0].lower()}.jpg",
        "name": name,
        "title": "Lecturer",
        "department": "Continuing Education",
    }


def skill_id(name: str) -> str:
    """Return the slug that identifies a skill."""
    return "-".join(name.lower().replace("&", " ").split())


def _metadata(courses: tuple[Course, ...], content: Course | Specialization | Clip) -> dict[str, Any]:
    photo = f"{PHOTOS}/promo/{content.id}.png"
    definition: dict[str, Any]
    if isinstance(content, Specialization):
        parts = [{"contentId": courses[number].id, "contentType": "Course"} for number in content.courses]
        tagline = f"{len(parts)} courses, one thread"
        definition = {"courseIds": parts, "promoPhoto": photo, "tagline": tagline}
        return {"typeName": "specializationMetadata", "definition": definition}
    if isinstance(content, Clip):
        course = courses[content.course]
        return {
            "typeName": "clipMetadata",
            "definition": {
                "parentLessonName": "Lesson 1",
                "parentLessonObjectUrl": f"https://www.coursera.org/learn/{course.slug}/lecture/{content.id[:5]}",
                "estimatedLearningTime": 208 + len(content.name),
                "skillTags": [{"skillName": course.domain[1], "skillId": skill_id(course.domain[1])}],
                "promoPhoto": photo,
                "parentCourseId": f"course~{course.id}",
            },
        }
    definition = {"promoPhoto": photo}
    if content.bits % 5:
        definition["skills"] = [{"skillName": name, "skillId": skill_id(name)} for name in content.domain]
        definition["estimatedLearningTime"] = 3600 * (2 + len(content.items) * 2)
        domain, subdomain = content.domain
        definition["domainTypes"] = [
            {
                "domain": {"name": domain, "domainId": skill_id(domain)},
                "subdomain": {"name": subdomain, "subdomainId": skill_id(subdomain)},
            }
        ]
    return {"typeName": "courseMetadata", "definition": definition}


def collections(campus: Campus, number: int) -> list[CurriculumCollection]:
    """Return curriculum collections of a program with their content cards."""
    program = campus.catalogue.programs[number]
    page = []
    for identifier, title, courses in program.collections:
        cards = []
        for place in courses:
            full = _content(campus, campus.catalogue.courses[place], [number])
            cards.append(
                {
                    "id": full.content_id,
                    "name": full.name,
                    "description": full.description,
                    "contentType": full.content_type,
                    "slug": full.slug,
                    "partners": [{"name": partner["name"]} for partner in full.partners],
                    "instructors": full.instructors,
                    "extraMetadata": {
                        "typeName": "courseMetadata",
                        "definition": {"promoPhoto": full.extra_metadata["definition"]["promoPhoto"]},
                    },
                }
            )
        page.append(
            CurriculumCollection(
                f"{program.id}~{identifier}",
                program.id,
                identifier,
                title,
                title and f"{title}: chosen by the college",
                cards,
            )
        )
    return page
