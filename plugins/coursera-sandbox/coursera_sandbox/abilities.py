"""What learners can do: scores in skills, which grow with the progress in the courses that teach them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from coursera_sandbox.campus import Query
from coursera_sandbox.chance import opaque
from coursera_sandbox.directory import skill_id
from coursera_sandbox.moments import ABSENT
from coursera_sandbox.people import person
from coursera_sandbox.rows import SERIES
from coursera_sandbox.titles import SKILLSETS
from coursera_sandbox.tokens import ORG_ID

if TYPE_CHECKING:
    from coursera_sandbox.campus import Campus
    from coursera_sandbox.catalogue import Course
    from coursera_sandbox.chance import Ints

PER_PERCENT = 1.5
"""Points for each percent of progress in a course that teaches the skill; scores can pass 100."""
PROFICIENCY = ((50, "CONVERSANT"), (125, "BEGINNER"), (250, "INTERMEDIATE"), (1 << 30, "ADVANCED"))


@dataclass(frozen=True)
class Skillset:
    """A skillset of this college."""

    campus: Campus
    number: int

    @cached_property
    def id(self) -> str:
        """Opaque, as the vendor's."""
        return opaque(self.campus.world.seed, f"skillset {self.number}")

    @property
    def name(self) -> str:
        """Its title."""
        return SKILLSETS[self.number].name

    @property
    def programs(self) -> tuple[int, ...]:
        """Numbers of the programs that aim at it."""
        return SKILLSETS[self.number].programs

    @property
    def skills(self) -> tuple[tuple[str, int], ...]:
        """(name, score to reach)."""
        return SKILLSETS[self.number].skills

    def courses(self, skill: str | None = None) -> list[int]:
        """Return the numbers of the courses that teach one of its skills, or all of them."""
        names = {name for name, _ in self.skills} if skill is None else {skill}
        return [number for number, course in enumerate(self.campus.catalogue.courses) if course.domain[1] in names]

    def description(self) -> str:
        """Return a sentence for people."""
        return f"{self.name} aims at {len(self.skills)} skills, through courses that teach them."

    def deeplink(self, program: int) -> str:
        """Return the address at which learners of a program see it."""
        slug = f"{skill_id(self.name)}-{self.id[:5]}"
        source = "apiSource=enterprise_external_api_skillsets&isExternal=true"
        return f"{self.campus.catalogue.programs[program].url}/skillsets/{slug}?{source}"

    def targets(self) -> list[dict[str, Any]]:
        """Return its skills, as both lists of skillsets show them."""
        return [{"skillName": name, "skillId": skill_id(name), "targetScore": target} for name, target in self.skills]

    def progress(self, scores: dict[str, int]) -> int:
        """Return the progress to all targets, in percent."""
        return int(sum(min(100, scores.get(name, 0) * 100 / target) for name, target in self.skills) / len(self.skills))

    def active(self, programs: tuple[int, ...]) -> tuple[Ints, Ints]:
        """Return the learners with progress in these programs, and when that was (epoch ms), in order of learner."""
        index = self.campus.gradebook_index
        keep = np.isin(index.program, programs) & np.isin(index.content, self.courses())
        keep &= (index.pick < SERIES) & (index.last != ABSENT) & (index.state == 0)
        learners, first = np.unique(index.learner[keep], return_index=True)
        last = np.maximum.reduceat(index.last[keep], first) if len(first) else first
        return learners, last


def skillsets(campus: Campus, program: int | None = None) -> list[Skillset]:
    """Return all skillsets, or those of one program."""
    found = [Skillset(campus, number) for number in range(len(SKILLSETS))]
    return [one for one in found if program is None or program in one.programs]


def skill_names(campus: Campus, program: int) -> dict[str, str]:
    """Return the names of skills by id, for the skills of a program's skillsets."""
    return {skill_id(name): name for one in skillsets(campus, program) for name, _ in one.skills}


def scores(campus: Campus, learner: int, programs: tuple[int, ...]) -> dict[str, int]:
    """Return a learner's score per skill, from the courses in these programs."""
    found: dict[str, int] = {}
    for program in programs:
        rows = campus.enrollments(
            campus.gradebook, campus.find(campus.gradebook, Query(program=program, learner=learner))
        )
        for content, percent in zip(rows.content.tolist(), rows.percent.tolist(), strict=True):
            course: Course = campus.catalogue.courses[content]
            found[course.domain[1]] = found.get(course.domain[1], 0) + int(percent * PER_PERCENT)
    return found


def proficiency(score: int) -> str:
    """Return the word for a score."""
    return next(word for limit, word in PROFICIENCY if score < limit)


def report_row(campus: Campus, skillset: Skillset, learner: int, at: int) -> dict[str, Any]:
    """Return one row of the skillset report."""
    who = person(campus.world.seed, learner)
    reached = scores(campus, learner, skillset.programs)
    listed = [(name, reached[name]) for name, _ in skillset.skills if reached.get(name)]
    member = [p for p in skillset.programs if len(campus.find(campus.gradebook, Query(program=p, learner=learner)))]
    return {
        "userName": who.full_name,
        "userEmail": who.email,
        "organizationId": ORG_ID,
        "skillsetId": skillset.id,
        "progressPercentage": skillset.progress(reached),
        "latestProgressMadeAt": at,
        "programIds": [campus.catalogue.programs[p].id for p in member],
        "enterpriseUserSkillList": [
            {"skillId": skill_id(name), "skillName": name, "score": score, "proficiency": proficiency(score)}
            for name, score in listed
        ],
        "skillsetTargetSkillScores": [
            {"skillId": skill_id(name), "targetProficiencyScore": target} for name, target in skillset.skills
        ],
    }
