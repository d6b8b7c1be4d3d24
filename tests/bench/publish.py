"""What `connect publish` costs: in full, without a change, with some results changed, and as a delta.

    python -m tests.bench.publish --users 20000 --enrollments 100000 --results 1500000

The OneRoster tables are made by SQL, in the shapes that the transforms give them, in a folder of their own. Every
publish is a process of its own, as a job runs it; peak memory is that of this process.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from tests.bench.steps import run, table
from tests.connect.warehouse import BUILT

if TYPE_CHECKING:
    from tests.bench.steps import Step

PROGRAMS = 20
PHASES = ("compare", "check", "write")


@dataclass(frozen=True)
class Size:
    """A college: `results` are spread evenly over the enrollments, and those over users and classes."""

    users: int
    enrollments: int
    results: int

    @property
    def classes(self) -> int:
        """As many as give a class a hundred learners, but no fewer than a learner is in; the same number per school."""
        of_a_learner = -(-self.enrollments // self.users)
        return PROGRAMS * max(of_a_learner, self.enrollments // (100 * PROGRAMS))

    @property
    def items(self) -> int:
        """Line items of a class."""
        return max(1, self.results // self.enrollments)


@dataclass(frozen=True)
class Published:
    """What a publish cost, and what its report says."""

    step: Step
    report: dict[str, Any]


def fill(database: Path, size: Size) -> None:
    """Make the tables of the transforms."""
    blank = "cast(null as varchar)"
    stamps = f'{blank} as "status", {blank} as "dateLastModified"'
    user = "'user.' || left(md5('u' || i), 22)"
    one = f"select i, {user} as id, i % {PROGRAMS} as school from range({size.users}) as t(i)"
    # Every learner is in classes of the own school: class c belongs to school c % PROGRAMS.
    per_school = size.classes // PROGRAMS
    enrolled = f"""
        select i, i % {size.users} as learner, (i // {size.users}) as nth from range({size.enrollments}) as t(i)"""
    taken = f"""
        select i, learner,
            learner % {PROGRAMS} + {PROGRAMS} * ((learner // {PROGRAMS} * 7 + nth) % {per_school}) as class
        from ({enrolled})"""
    tables = {
        "orgs": f"""
            select 'district.' || 'org' as "sourcedId", {stamps}, 'University' as "name", 'district' as "type",
                'university' as "identifier", {blank} as "parentSourcedId"
            union all
            select 'school.p' || i, null, null, 'School ' || i, 'school', 'school-' || i, 'district.org'
            from range({PROGRAMS}) as t(i)""",
        "academicSessions": """
            select * from (values
                ('schoolYear.2026', 'schoolYear', null), ('term.2026', 'term', 'schoolYear.2026'),
                ('gradingPeriod.2026', 'gradingPeriod', 'term.2026')) as t("sourcedId", "type", "parentSourcedId")""",
        "courses": f"""
            select 'course.c' || i as "sourcedId", {stamps}, 'schoolYear.2026' as "schoolYearSourcedId",
                'Course ' || i as "title", 'course-' || i as "courseCode", {blank} as "grades",
                'district.org' as "orgSourcedId", {blank} as "subjects", {blank} as "subjectCodes"
            from range({size.classes}) as t(i)""",
        "classes": f"""
            select 'class.p' || i % {PROGRAMS} || '.c' || i as "sourcedId", {stamps}, 'Course ' || i as "title",
                {blank} as "grades", 'course.c' || i as "courseSourcedId", 'course-' || i as "classCode",
                'scheduled' as "classType", {blank} as "location", 'school.p' || i % {PROGRAMS} as "schoolSourcedId",
                'term.2026' as "termSourcedIds", {blank} as "subjects", {blank} as "subjectCodes", {blank} as "periods"
            from range({size.classes}) as t(i)""",
        "users": f"""
            select id as "sourcedId", {stamps}, 'true' as "enabledUser", 'school.p' || school as "orgSourcedIds",
                'student' as "role", 'learner' || i || '@college.example' as "username",
                '{{Coursera:SSO-' || i || '}}' as "userIds",
                'Ada' || i % 97 as "givenName", 'Zöe' || i % 89 as "familyName",
                {blank} as "middleName", 'SSO-' || i as "identifier", 'learner' || i || '@college.example' as "email",
                {blank} as "sms", {blank} as "phone", {blank} as "agentSourcedIds", {blank} as "grades",
                {blank} as "password"
            from ({one})""",
        "enrollments": f"""
            select
                'enrollment.p' || class % {PROGRAMS} || '.c' || class || '.' || left(md5('u' || learner), 22)
                    as "sourcedId",
                {stamps}, 'class.p' || class % {PROGRAMS} || '.c' || class as "classSourcedId",
                'school.p' || class % {PROGRAMS} as "schoolSourcedId",
                'user.' || left(md5('u' || learner), 22) as "userSourcedId", 'student' as "role", {blank} as "primary",
                '2025-09-01' as "beginDate", {blank} as "endDate"
            from ({taken})""",
        "categories": f"""
            select 'category.quiz' as "sourcedId", {stamps}, 'Quiz' as "title" """,
        "lineItems": f"""
            select 'lineItem.p' || c % {PROGRAMS} || '.c' || c || '.i' || k as "sourcedId", {stamps},
                'Quiz, week ' || k as "title", 'Module ' || k || ' / Lesson / Quiz' as "description",
                '2025-08-01' as "assignDate", '2026-07-31' as "dueDate",
                'class.p' || c % {PROGRAMS} || '.c' || c as "classSourcedId", 'category.quiz' as "categorySourcedId",
                'gradingPeriod.2026' as "gradingPeriodSourcedId", '0' as "resultValueMin", '100' as "resultValueMax"
            from range({size.classes}) as t(c), range({size.items}) as s(k)""",
        "results": f"""
            select
                'result.p' || class % {PROGRAMS} || '.c' || class || '.' || left(md5('u' || learner), 22) || '.i' || k
                    as "sourcedId",
                {stamps}, 'lineItem.p' || class % {PROGRAMS} || '.c' || class || '.i' || k as "lineItemSourcedId",
                'user.' || left(md5('u' || learner), 22) as "studentSourcedId", 'fully graded' as "scoreStatus",
                (40 + hash(i, k) % 60) || '.' || lpad(cast(hash(k, i) % 100 as varchar), 2, '0') as "score",
                cast(date '2025-09-01' + cast(hash(i, k) % 80 as integer) as varchar) as "scoreDate",
                {blank} as "comment"
            from ({taken}), range({size.items}) as s(k)""",
    }
    tables["academicSessions"] = f"""
        select "sourcedId", {stamps}, '2025-26' as "title", "type", '2025-08-01' as "startDate",
            '2026-08-01' as "endDate", "parentSourcedId", '2026' as "schoolYear" from ({tables["academicSessions"]})"""
    with duckdb.connect(str(database)) as connection:
        for statement in (*BUILT, "create schema oneroster"):
            connection.execute(statement)
        for name, query in tables.items():
            connection.execute(f'create table oneroster."{name}" as {query}')
        connection.execute("create table connect.settings_used (grade_sync text, data_as_of text)")
        connection.execute("insert into connect.settings_used values ('granular_all', '2026-02-02T04:00:00Z')")


def move(database: Path, percent: float) -> None:
    """Give some results another score, as a day does."""
    with duckdb.connect(str(database)) as connection:
        connection.execute(
            "update oneroster.results set score = '99.99', \"scoreDate\" = '2026-02-02' "
            f'where hash("sourcedId") % 10000 < {int(percent * 100)}'
        )
        connection.execute("update connect.settings_used set data_as_of = '2026-02-03T04:00:00Z'")


def publish(name: str, folder: Path, *options: str) -> Published:
    """Run `connect publish` as a process."""
    command = [sys.executable, "-m", "coursera_connect", "publish", "--database", str(folder / "warehouse.duckdb")]
    step = run(name, [*command, "--package", str(folder / "oneroster.zip"), *options], folder=folder)
    return Published(step, json.loads((folder / "publish-report.json").read_text("utf-8")))


def measure(folder: Path, size: Size, percent: float) -> list[Published]:
    """Publish a college four times."""
    database = folder / "warehouse.duckdb"
    fill(database, size)
    done = [publish("first bulk", folder), publish("bulk, nothing changed", folder)]
    move(database, percent)
    done.append(publish(f"bulk, {percent:g} % of results changed", folder))
    move(database, percent * 2)
    done.append(publish(f"delta, {percent:g} % of results changed", folder, "--mode", "delta"))
    return done


def shown(size: Size, done: list[Published]) -> str:
    """Return what was measured as Markdown."""
    title = f"{size.users:,} users, {size.enrollments:,} enrollments, {size.results:,} results"
    rows = []
    for one in done:
        seconds = one.report["seconds"]
        phases = [f"{seconds[phase]:.1f}" if phase in seconds else "" for phase in PHASES]
        rows.append([*one.step.cells, *phases, f"{one.report['bytes'] / 1e6:.1f}"])
    return f"{title}\n\n{table(['publish', 'wall s', 'CPU s', 'peak MB', *PHASES, 'zip MB'], rows)}\n"


def main() -> None:
    """Measure what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--enrollments", type=int, default=100_000)
    parser.add_argument("--results", type=int, action="append", help="(1,500,000; several times for several sizes)")
    parser.add_argument("--percent", type=float, default=2.0, help="of the results that change (2)")
    parser.add_argument("--folder", type=Path, help="where to work; by default a temporary folder")
    options = parser.parse_args()
    for results in options.results or [1_500_000]:
        size = Size(options.users, options.enrollments, results)
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            sys.stdout.write(f"{shown(size, measure(Path(folder), size, options.percent))}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
