"""What is taught: programs, courses with their gradable items, specializations, clips, and how they change over time.

Everything here is small and made once per seed. Titles are fixed; ids, weights and dates come from the seed. All
institutions and instructors are invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from coursera_sandbox.chance import label, opaque
from coursera_sandbox.moments import DAY, HOUR, NEVER, START, moment
from coursera_sandbox.titles import COURSES, PARTNERS, PROGRAMS, SPECIALIZATIONS

MOST_ITEMS = 12
GRADED_TYPES = (
    "QUIZ",
    "QUIZ",
    "PROGRAMMING_ASSIGNMENT",
    "QUIZ",
    "PEER_REVIEW",
    "STAFF_GRADED_ASSIGNMENT",
    "QUIZ",
    "DISCUSSION_PROMPT",
    "QUIZ",
    "LTI",
)


@dataclass(frozen=True)
class Item:
    """One gradable item of a course."""

    id: str
    name: str
    type: str
    weight: float
    """Percent of the course grade; the weights of a course sum to 100."""


@dataclass(frozen=True)
class Course:
    """A course; without items when nothing in it is graded."""

    id: str
    name: str
    slug: str
    partner: str
    items: tuple[Item, ...]
    domain: tuple[str, str]
    kind: str
    """`courseType` of the enrollment report."""
    language: str
    difficulty: str | None
    touched: tuple[int, ...]
    """When its authors changed it; empty: the API gives no `lastUpdatedAt`."""
    bits: int
    """For choices that do not deserve a field."""

    def module(self, lesson: int) -> tuple[str, str]:
        """Return (id, name) of the module with this lesson, counted from 0."""
        number = lesson // 3 + 1
        return f"m{number}{self.id[:3]}", f"Week {number}"

    def lesson(self, number: int) -> tuple[str, str]:
        """Return (id, name) of this lesson, counted from 0; each gradable item has its own lesson, in order."""
        return f"l{number + 1}{self.id[3:6]}", f"Lesson {number + 1}"


@dataclass(frozen=True)
class Specialization:
    """A series of courses that is enrolled in, and completed, as one."""

    id: str
    name: str
    slug: str
    partner: str
    courses: tuple[int, ...]


@dataclass(frozen=True)
class Clip:
    """A single video of a course, offered on its own (content type `Video`)."""

    id: str
    name: str
    course: int


@dataclass(frozen=True)
class Stay:
    """A content in a program, from when until when."""

    content: Course | Specialization | Clip
    since: int
    until: int = NEVER


@dataclass(frozen=True)
class Program:
    """A learning program; `share` is its part of the learners."""

    id: str
    names: tuple[tuple[int, str], ...]
    """(since, name), oldest first."""
    slug: str
    tagline: str
    share: float
    base: tuple[int, ...]
    """Courses that were always in it."""
    added: tuple[tuple[int, int], ...]
    """(course, since) of courses that came later; learners enroll in them, too."""
    specializations: tuple[int, ...]
    clips: tuple[int, ...]
    collections: tuple[tuple[str, str, tuple[int, ...]], ...]
    """(id, title, courses) of its curriculum collections."""

    def name(self, at: int) -> str:
        """Return its name at a time."""
        return [name for since, name in self.names if since <= at][-1]

    @property
    def url(self) -> str:
        """Its address for learners."""
        return f"https://www.coursera.org/programs/{self.slug}"


def _code(seed: int, what: str) -> str:
    """Return five letters and digits, like the vendor's item and module ids."""
    return opaque(seed, what, 9).translate(str.maketrans("-_", "Zq"))[:5]


def _items(seed: int, number: int, count: int, topic: str) -> tuple[Item, ...]:
    tenths = [1000 // count] * count
    tenths[-1] += 1000 - sum(tenths)
    if count > 4:  # noqa: PLR2004 - a longer course has an exam that counts more
        moved = tenths[0] // 3
        tenths[0] -= moved
        tenths[-1] += moved
    items = []
    for order, tenth in enumerate(tenths):
        kind = GRADED_TYPES[(number + order) % len(GRADED_TYPES)]
        title = f"{topic}: {kind.replace('_', ' ').capitalize()} {order + 1}"
        items.append(Item(_code(seed, f"item {number} {order}"), title, kind, tenth / 10))
    return tuple(items)


def _slug(name: str) -> str:
    return "-".join("".join(c if c.isalnum() and c.isascii() else " " for c in name.lower()).split())


class Catalogue:
    """All contents and programs of the college with this seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.courses = tuple(self._course(number) for number in range(len(COURSES)))
        self.specializations = tuple(
            Specialization(opaque(seed, f"s12n {name}"), name, _slug(name), PARTNERS[partner], courses)
            for name, partner, courses in SPECIALIZATIONS
        )
        self.clips = tuple(
            Clip(opaque(seed, f"clip {k}"), f"{self.courses[c].name}, in five minutes", c)
            for k, c in enumerate((0, 7, 19))
        )
        self.programs = tuple(self._program(number) for number in range(len(PROGRAMS)))

    def _course(self, number: int) -> Course:
        name, partner, item_count, domain, subdomain = COURSES[number]
        identifier = opaque(self.seed, f"course {number}")
        if number == 5:  # noqa: PLR2004 - two ids that differ in the case of their letters only
            identifier = opaque(self.seed, "course 4").swapcase()
        if number % 11 == 6:  # noqa: PLR2004 - some of the vendor's course ids have such a tail
            identifier += f"-{_code(self.seed, f'tail {number}')}"
        bits = label(self.seed, f"course bits {number}")
        first = START - (30 + bits % 400) * DAY - bits % DAY // 1000 * 1000
        touched = tuple(first + k * (35 + (bits >> 8) % 60) * DAY for k in range(20)) if number % 9 != 8 else ()  # noqa: PLR2004
        return Course(
            id=identifier,
            name=name,
            slug=_slug(name),
            partner=PARTNERS[partner],
            items=_items(self.seed, number, item_count, name.split(" ")[0]) if item_count else (),
            domain=(domain, subdomain),
            kind=("Course", "Guided Project")[item_count == 0 and number % 2],
            language="es" if number % 13 == 12 else "en",  # noqa: PLR2004
            difficulty=(None, "BEGINNER", "INTERMEDIATE", "BEGINNER", "ADVANCED")[(bits >> 20) % 5],
            touched=touched,
            bits=bits,
        )

    def _program(self, number: int) -> Program:
        plan = PROGRAMS[number]
        identifier = opaque(self.seed, f"program {number}")
        if number in {1, 2}:
            identifier = "-_"[number - 1] + identifier[1:]
        long_ago = moment("2024-08-01T00:00:00Z")
        return Program(
            id=identifier,
            names=((long_ago, plan.name), *((START + hours * HOUR, name) for hours, name in plan.renames)),
            slug=f"{_slug(plan.name)}-{_code(self.seed, f'slug {number}').lower()}",
            tagline=plan.tagline,
            share=plan.share,
            base=plan.courses,
            added=tuple((course, START + hours * HOUR) for course, hours in plan.added),
            specializations=plan.specializations,
            clips=plan.clips,
            collections=tuple(
                (_code(self.seed, f"collection {number} {title}"), title, courses)
                for title, courses in plan.collections
            ),
        )

    @cached_property
    def stays(self) -> tuple[tuple[Stay, ...], ...]:
        """Per program: its contents with their time in it, in the order the API lists them."""
        opened = moment("2024-08-01T00:00:00Z")
        return tuple(
            (
                *(Stay(self.courses[c], opened) for c in program.base),
                *(Stay(self.courses[c], since) for c, since in program.added),
                *(Stay(self.specializations[s], opened) for s in program.specializations),
                # The last clip of a program is taken out again, four days after the start of the simulation.
                *(
                    Stay(self.clips[v], opened, START + 4 * DAY if v == program.clips[-1] else NEVER)
                    for v in program.clips
                ),
            )
            for program in self.programs
        )

    @property
    def everything(self) -> tuple[Course | Specialization | Clip, ...]:
        """All contents, whether in a program or not."""
        return (*self.courses, *self.specializations, *self.clips)

    @cached_property
    def program_numbers(self) -> dict[str, int]:
        """Program id to its number."""
        return {program.id: number for number, program in enumerate(self.programs)}

    @cached_property
    def course_numbers(self) -> dict[str, int]:
        """Course id to its number."""
        return {course.id: number for number, course in enumerate(self.courses)}


def content_type(content: Course | Specialization | Clip) -> str:
    """Return `Course`, `Specialization` or `Video`."""
    return {Course: "Course", Specialization: "Specialization", Clip: "Video"}[type(content)]
