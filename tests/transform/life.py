"""The life of a small college at Coursera, by seed: people come, go and are renamed, and reports have bad days."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from tests.transform.college import completed, content, enrolled, item, member, offers, program, user

if TYPE_CHECKING:
    from random import Random

    from tests.transform.warehouse import Row

BEGIN = datetime(2026, 7, 20, tzinfo=timezone.utc)  # A school year ends within the days.
MODES = ("final", "granular_all", "final_incremental")
GIVEN, FAMILY = ("Ana", "Bo", "Cy", "Dee", "Eli", "Fay"), ("Lima", "Berg", "Conti", "Okoye", "Zed")

# Events of consecutive nights: those of one row follow each other, with no other event in between.
TOGETHER = {
    "idle": ("idle", "idle"),
    "vanish": ("vanish", "restore"),
    "zero": ("zero", "restore"),
    "mass loss": ("mass loss", "after loss"),
    "mode": ("mode", "mode agreed"),
}
# The rows are shuffled into each other, and each row keeps its order.
STORIES = (
    ("leave", "return"),
    ("merge", "unmap", "map again"),
    ("mode", "vanish", "mode at once", "zero", "mode at once"),
    ("twin program", "twin gone"),
    ("twin course", "twin gone"),
    ("twin user",),
    ("enroll", "idle"),
    ("rename", "address"),
    ("lost", "mass loss", "idle"),
)
SMALL = (
    *("enroll", "leave", "return", "rename", "address", "lost", "grade", "vanish", "zero"),
    *("merge", "unmap", "map again", "mode at once"),
)


def plan(random: Random, days: int) -> list[str]:
    """Return what happens on each day: every story once, if there are days enough, and then anything."""
    stories = [list(story) for story in STORIES]
    nights: list[str] = []
    while len(nights) < days:
        story = random.choice([story for story in stories if story] or [[random.choice(SMALL)]])
        what = story.pop(0)
        nights += TOGETHER.get(what, (what,))
    return nights[:days]


@dataclass
class Person:
    external_id: str
    name: str
    email: str
    former: list[tuple[str, str]] = field(default_factory=list)
    """External ids of before, and when the reports last had them."""


@dataclass
class Study:
    """What somebody does in a course of a program; `items` by id, in percent."""

    since: str
    items: dict[str, float | None] = field(default_factory=dict)
    running: float | None = None
    final: float | None = None


class Life:
    """The state of the college, the events that change it, and its raw rows. `today` is the number of the day."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.today = 0
        self.refreshed = 0
        self.programs = {key: f"Program {key}" for key in ("Arts", "Biz", "Code", "Data")}
        self.courses = {key: f"Course {key}" for key in ("write", "read", "count")}
        self.offers = {(key, course) for key in self.programs for course in self.courses if random.random() < 0.7}
        self.people: dict[str, Person] = {}
        self.gone: set[str] = set()
        self.members: set[tuple[str, str]] = set()
        self.left: list[tuple[str, str]] = []
        self.studies: dict[tuple[str, str, str], Study] = {}
        self.schools: dict[str, str] = {}
        """Program → school, as school_mapping.csv has it."""
        self.unmapped: list[tuple[str, str]] = []
        self.mode = MODES[0]
        self.hidden: dict[tuple[str, str], str] = {}
        """(program, learner) → how the reports of this day get it wrong: vanish or zero."""
        self.twins: list[tuple[str, str]] = []
        self.lost: set[tuple[str, str]] = set()
        for _ in range(26):
            self.enroll()
        for _ in range(60):
            self.grade()

    # Events

    def enroll(self) -> None:
        """Let a new or known learner join a program."""
        known = sorted(self.people.keys() - self.gone)
        if known and self.random.random() < 0.3:
            person = self.random.choice(known)
        else:
            number = len(self.people)
            person = f"U{self.random.choice('abcdefgh')}{number}"
            name = f"{self.random.choice(GIVEN)} {self.random.choice(FAMILY)}"
            self.people[person] = Person(f"sso{number}", name, f"p{number}@mail.example")
        self._join(self.random.choice(sorted(self.programs)), person)

    def _join(self, where: str, person: str) -> None:
        self.members.add((where, person))
        self.gone.discard(person)
        for course in self.random.sample(sorted(self.courses), 2):
            since = BEGIN + timedelta(days=self.today - self.random.randrange(200), hours=8)
            self.studies.setdefault((where, person, course), Study(_text(since)))

    def leave(self) -> None:
        """End a membership; the reports may go on naming it."""
        chosen = self.random.choice(sorted(self.members))
        self.members.discard(chosen)
        self.left.append(chosen)
        if self.random.random() < 0.5:
            self.studies = {key: study for key, study in self.studies.items() if key[:2] != chosen}
        if all(person != chosen[1] for _, person in self.members):
            self.gone.add(chosen[1])

    def back(self) -> None:
        """Let a learner who left come back."""
        back = [pair for pair in self.left if pair not in self.members and pair[0] in self.programs]
        if back:
            chosen = self.random.choice(back)
            self.left.remove(chosen)
            self._join(*chosen)

    def rename(self) -> None:
        """Rename a learner, a program and a course."""
        person = self.people[self.random.choice(sorted(self.people))]
        person.name = f"{self.random.choice(GIVEN)} {self.random.choice(FAMILY)}-{self.today}"
        self.programs[self.random.choice(sorted(self.programs))] = f"Program of day {self.today}"
        self.courses[self.random.choice(sorted(self.courses))] = f"Course of day {self.today}"

    def address(self) -> None:
        """Give learners another e-mail address, and some of them another external id, which the reports then use."""
        for key in self.random.sample(sorted(self.people), 3):
            person = self.people[key]
            person.email = f"{key.lower()}.{self.today}@mail.example"
            if self.random.random() < 0.7:
                person.former.append((person.external_id, self._refreshed()))
                person.external_id = f"sso{key}day{self.today}"

    def grade(self) -> None:
        """Let a learner make progress in a course."""
        study = self.studies[self.random.choice(sorted(self.studies))]
        study.items[f"quiz{self.random.randrange(3)}"] = self.random.choice([0.0, 55.0, 66.667, 80.5, 100.0])
        study.running = round(self.random.uniform(1, 99), 2)
        if self.random.random() < 0.4:
            study.final = study.running / 100

    def merge(self) -> str:
        """Move a program to the school of another one, and return the program."""
        if not self.schools:
            self.schools = {key: key for key in self.programs}
        to, moved = self.random.sample(sorted(self.schools), 2)
        self.schools[moved] = self.schools[to]
        return moved

    def unmap(self) -> str:
        """Leave a program out of the mapping, and return the program."""
        if not self.schools:
            self.schools = {key: key for key in self.programs}
        if len(self.schools) < 3:
            return ""
        out = self.random.choice(sorted(self.schools))
        self.unmapped.append((out, self.schools.pop(out)))
        return out

    def map_again(self) -> None:
        """Map the programs again that were left out."""
        if self.unmapped:
            key, school = self.unmapped.pop()
            self.schools[key] = school

    # Add an id that differs from another one only in letter case.

    def twin_program(self) -> None:
        key = self.random.choice([key for key in self.programs if key.lower() not in self.programs])
        twin = key.lower()
        self.programs[twin] = f"Twin of {key}"
        self.offers.add((twin, "read"))
        if self.schools:
            self.schools[twin] = self.random.choice([twin, *self.schools.values()])
        for person in self.random.sample(sorted(self.people.keys() - self.gone), 4):
            self._join(twin, person)
        self.twins.append(("program", twin))

    def twin_course(self) -> None:
        key = self.random.choice([key for key in self.courses if key.upper() not in self.courses])
        self.courses[key.upper()] = f"Twin of {key}"
        self.offers.add((self.random.choice(sorted(self.programs)), key.upper()))
        self.twins.append(("course", key.upper()))

    def twin_user(self) -> None:
        key = self.random.choice([key for key in sorted(self.people) if key.lower() not in self.people])
        self.people[key.lower()] = Person(f"twin-of-{key}", "Twin Zed", f"twin.{key}@mail.example")
        self._join(self.random.choice(sorted(self.programs)), key.lower())

    def twin_gone(self) -> None:
        """Remove a program or a course whose name another one has, too."""
        if self.twins:
            kind, key = self.twins.pop()
            at = 0 if kind == "program" else 2
            (self.programs if kind == "program" else self.courses).pop(key)
            self.schools.pop(key, None)
            self.unmapped = [pair for pair in self.unmapped if pair[0] != key]
            self.studies = {names: study for names, study in self.studies.items() if names[at] != key}
            self.offers = {pair for pair in self.offers if key not in pair}
            self.members = {pair for pair in self.members if pair[0] != key}
            self.left = [pair for pair in self.left if pair[0] != key]
            self.gone |= self.people.keys() - {person for _, person in self.members}

    def dip(self, how: str) -> None:
        """Make the reports wrong for some learners, until `restore`."""
        among = sorted({key[:2] for key, study in self.studies.items() if study.items and key[:2] in self.members})
        self.hidden = dict.fromkeys(self.random.sample(among, min(len(among), 4)), how)

    def restore(self) -> None:
        """Make the reports right again."""
        self.hidden = {}

    def found_again(self) -> bool:
        """Return whether the lost learners come back."""
        found = self.random.random() < 0.5
        if found:
            self.members |= self.lost
        return found

    def mass_loss(self) -> None:
        """Remove everybody from the largest program that is in the files."""
        sizes = {key: sum(pair[0] == key for pair in self.members) for key in (self.schools or self.programs)}
        largest = max(sorted(sizes), key=lambda key: sizes[key])
        self.lost = {pair for pair in self.members if pair[0] == largest}
        self.members -= self.lost

    # Raw rows, as the loader stores them

    def read_at(self) -> str:
        return _text(BEGIN + timedelta(days=self.today, hours=6))

    def _refreshed(self) -> str:
        return _text(BEGIN + timedelta(days=self.refreshed, hours=4))

    def mapping(self) -> dict[str, list[Row]]:
        """The rows of the mapping files."""
        names = {school: f"School {school}" for school in self.schools.values()}
        return {
            "school_mapping": [
                {"program_id": key, "program_name": key, "school_id": school, "school_name": names[school]}
                for key, school in sorted(self.schools.items())
            ]
        }

    def streams(self) -> dict[str, list[Row]]:
        """All raw rows of this day."""
        people = self.people
        rows: dict[str, list[Row]] = {
            "organizations": [{"id": "Org_A", "name": "Example College", "slug": "example-college"}],
            "programs": [program(key, name.replace(" ", "-")) | {"name": name} for key, name in self.programs.items()],
            "contents": [content(key, name) for key, name in self.courses.items()],
            "program_contents": [offers(*pair) for pair in sorted(self.offers)],
            "users": [
                user(key, person.external_id, person.name, person.email, removed=key in self.gone)
                for key, person in people.items()
            ],
            "program_memberships": [
                member(where, people[key].external_id, people[key].name, email=people[key].email)
                for where, key in sorted(self.members)
            ],
            "enrollments": [],
            "course_grades": [],
            "item_grades": [],
        }
        for (where, key, course), study in sorted(self.studies.items()):
            how = self.hidden.get((where, key), "")
            for name, seen in people[key].former:
                self._report(rows, (where, name, course), study, seen)
            if how != "vanish":
                self._report(
                    rows, (where, people[key].external_id, course), study, self._refreshed(), zero=how == "zero"
                )
        return rows

    @staticmethod
    def _report(
        rows: dict[str, list[Row]], names: tuple[str, str, str], study: Study, seen: str, *, zero: bool = False
    ) -> None:
        where, external_id, course = names
        times = {"updated_at": seen, "changed_at": seen, "enrolled_at": study.since}
        if study.final is None:
            rows["enrollments"].append(enrolled(where, external_id, course, **times))
        else:
            final = 0.0 if zero else study.final
            rows["enrollments"].append(completed(where, external_id, course, final, **times))
        if study.running is not None:
            rows["course_grades"].append(
                {
                    "id": f"{external_id}~{course}",
                    "external_id": external_id,
                    "program_id": where,
                    "course_id": course,
                    "last_activity_at": study.since,
                    "overall_course_grade": 0.0 if zero else study.running,
                    "changed_at": seen,
                }
            )
        for key, grade in study.items.items():
            shown = 0.0 if zero else grade
            rows["item_grades"].append(item(where, external_id, course, key, shown, changed_at=seen))


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
