# ruff: noqa: S608 - every name in a statement is quoted
"""What keeps a bad day upstream from becoming a bad file: rows held for one run, and drops that block a publish.

Coursera re-aggregates its reports, and rows vanish or fall to zero for a while. A row that vanishes while its learner
is still a member, or a score that falls to nothing, is kept as it was published until the report was refreshed once
more and still says so. Everything else that leaves is counted per file and school; too much of it blocks the publish.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coursera_connect.database import ledger
from coursera_connect.database.warehouse import items, literal, number, quoted
from coursera_connect.publishing.stages import at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from coursera_connect.database.warehouse import Warehouse

VANISHED = "vanished while the learner is still a member"
NEEDED = "belongs to a row that is held"
FELL = "the score fell to nothing"
_IDS_SHOWN = 1000
_OF_ONE_SCHOOL = ("classes", "enrollments", "lineItems", "results")


@dataclass(frozen=True)
class Threshold:
    """A drop of more than `percent`, and of at least `rows` rows, blocks; a drop to nothing always does."""

    percent: float = 15.0
    rows: int = 5


@dataclass(frozen=True)
class Drop:
    """Rows of a file that leave a school (its sourcedId, blank for the district): `before`, `after`, and whose ids."""

    file: str
    school: str
    before: int
    after: int
    removed: int
    sourced_ids: tuple[str, ...]
    because: str = ""

    @property
    def reason(self) -> str:
        """What is wrong, in words."""
        if self.because:
            return self.because
        return "nothing would be left" if not self.after else f"{self.removed / self.before:.0%} would leave"


def hold_nothing(database: Warehouse) -> None:
    """Define `held` (file, sourced_id, reason, since) and `kept cells` (file, sourced_id, cell) without a row."""
    database.table("held", "select '' as file, '' as sourced_id, '' as reason, '' as since where false")
    database.table("kept cells", "select '' as file, '' as sourced_id, '' as cell where false")


def keep_dates(database: Warehouse) -> None:
    """Add to `kept cells` the dates of results whose score is as published.

    A score that fell to nothing and came back is a new one to the transforms, and was never away for the reader.
    """
    same = " and ".join(f"s.{quoted(c)} = m.{quoted(c)}" for c in ("sourcedId", "score", "scoreStatus"))
    database.do(
        'insert into "kept cells" select \'results\', m."sourcedId", m."scoreDate" '
        f"from {at('memory apart', 'results')} as m "
        f"inner join {at('source apart', 'results')} as s on {same} "
        'where m."scoreDate" <> s."scoreDate" and m."scoreDate" <> \'\''
    )


def hold(
    database: Warehouse, columns: dict[str, list[str]], data_as_of: str, last: int, leaving: Iterable[str] = ()
) -> None:
    """Define the table `held` (file, sourced_id, reason, since): the rows that memory stands in for in this run.

    What was held in the run `last` is let go when the data is newer than when it was first held, or of unknown age.
    What a row that is kept needs is kept with it, however long. Rows of the schools `leaving` are not kept.
    """
    hold_nothing(database)
    known = "held" in database.columns(ledger.SCHEMA)
    recorded = f"{ledger.table('held')} where run = {last}" if known else "held"
    database.table("held before", f"select file, sourced_id, since from {recorded}")
    newer = "true" if not data_as_of else f"h.since < {literal(data_as_of)}"

    agreed = f"school in ({', '.join(map(literal, leaving)) or 'null'})"

    def keep(name: str, file: str, where: str, reason: str) -> None:
        again = f'select h.sourced_id from "held before" as h where h.file = {literal(file)} and {newer}'
        left = f'select "sourcedId" from {at("schools of memory", file)} where {agreed}'
        if reason != NEEDED:  # what others need goes with them, however long it was held for something else
            where += f' and m."sourcedId" not in ({again})'
        if file in _OF_ONE_SCHOOL:
            where += f' and m."sourcedId" not in ({left})'
        # Only a row that is not in the source, or not as it was, is ever kept.
        remembered = at("memory apart", file)
        database.table(name, f"select m.*, {literal(reason)} as reason from {remembered} as m where {where}")

    keep(
        "keepable classes",
        "classes",
        f"{gone('classes')} and {there('orgs', 'schoolSourcedId')} "
        f'and m."courseSourcedId" in (select "sourcedId" from {at("source", "courses")} union all '
        f'select m."sourcedId" from {at("memory", "courses")} as m where {there("orgs", "orgSourcedId")} '
        f"and (m.\"schoolYearSourcedId\" = '' or {there('academicSessions', 'schoolYearSourcedId')}))",
        NEEDED,
    )
    keep(
        "kept enrollments",
        "enrollments",
        f"{gone('enrollments')} and m.role = 'student' "
        f'and (m."userSourcedId", m."schoolSourcedId") in (select * from {at("schools of source", "users")}) '
        f'and (m."classSourcedId", m."userSourcedId") not in '
        f'(select "classSourcedId", "userSourcedId" from {at("source", "enrollments")}) '
        f'and ((m."classSourcedId", m."schoolSourcedId") in '
        f'(select "sourcedId", "schoolSourcedId" from {at("source", "classes")}) '
        'or m."classSourcedId" in (select "sourcedId" from "keepable classes"))',
        VANISHED,
    )
    database.table(
        "kept classes",
        'select * from "keepable classes" where "sourcedId" in (select "classSourcedId" from "kept enrollments")',
    )
    kept = [("enrollments", "kept enrollments"), ("classes", "kept classes")]
    _keep_terms(database)
    sessions, terms = at("memory", "academicSessions"), 'select term from "kept terms"'
    keep(
        "kept academicSessions",
        "academicSessions",
        f'{gone("academicSessions")} and (m."sourcedId" in ({terms}) or m."sourcedId" in '
        f'(select "parentSourcedId" from {sessions} where "sourcedId" in ({terms})))',
        NEEDED,
    )
    kept.append(("academicSessions", "kept academicSessions"))
    keep(
        "kept courses",
        "courses",
        f'{gone("courses")} and m."sourcedId" in (select "courseSourcedId" from "kept classes")',
        NEEDED,
    )
    kept.append(("courses", "kept courses"))
    kept += _keep_results(database, columns, keep)
    database.table(
        "held",
        " union all ".join(
            f'select {literal(file)} as file, k."sourcedId" as sourced_id, k.reason, '
            f"coalesce(h.since, {literal(data_as_of)}) as since from {quoted(name)} as k "
            f'left join "held before" as h on h.file = {literal(file)} and h.sourced_id = k."sourcedId"'
            for file, name in kept
        ),
    )


def _keep_terms(database: Warehouse) -> None:
    """Define `kept terms` (class, term): what the classes of held enrollments had, which those still there keep.

    With its only learner of a term a class loses the term, and an enrollment must begin in a term of its class.
    """
    terms = items(quoted("termSourcedIds"))
    database.table(
        "kept terms",
        f'select "sourcedId" as class, {terms} as term from {at("memory", "classes")} '
        'where "sourcedId" in (select "classSourcedId" from "kept enrollments")',
    )
    database.do(
        "insert into \"kept cells\" select 'classes', class, string_agg(distinct term, ',' order by term) from "
        f'(select class, term from "kept terms" union select "sourcedId", {terms} from {at("source", "classes")}) as t '
        'where class in (select class from "kept terms") group by class'
    )


def _keep_results(
    database: Warehouse, columns: dict[str, list[str]], keep: Callable[..., None]
) -> list[tuple[str, str]]:
    """Keep scores, and the line items and categories they need; returns (file, relation) of each kind."""
    session = next(
        name for name in columns["lineItems"] if name.endswith("SessionSourcedId") or name.startswith("gradingP")
    )
    classes = f'(select "sourcedId" from {at("source", "classes")} union select "sourcedId" from "kept classes")'
    keep(
        "keepable lineItems",
        "lineItems",
        f'{gone("lineItems")} and m."classSourcedId" in {classes} and {there("academicSessions", session)}',
        NEEDED,
    )
    database.table(
        "class of lineItem",
        f'select "sourcedId", "classSourcedId" from {at("source", "lineItems")} '
        'union all select "sourcedId", "classSourcedId" from "keepable lineItems"',
    )
    enrolled = (
        f'(select "classSourcedId", "userSourcedId" from {at("source", "enrollments")} '
        'union all select "classSourcedId", "userSourcedId" from "kept enrollments")'
    )
    of_members = (
        'exists (select 1 from "class of lineItem" as c where c."sourcedId" = m."lineItemSourcedId" '
        f'and (c."classSourcedId", m."studentSourcedId") in {enrolled})'
    )
    pair = '"lineItemSourcedId", "studentSourcedId"'
    database.table("gone results", f"select {pair} from {at('memory apart', 'results')} as m where {gone('results')}")
    database.table(  # from the gone to all there are: the other way round, all of them would have to fit into memory
        "scored otherwise",
        f'select {pair} from {at("source", "results")} where ({pair}) in (select {pair} from "gone results")',
    )
    scored_otherwise = f'(m."lineItemSourcedId", m."studentSourcedId") in (select {pair} from "scored otherwise")'
    keep("vanished results", "results", f"{gone('results')} and not {scored_otherwise} and {of_members}", VANISHED)
    keep(
        "fallen results",
        "results",
        f'{number("m.score")} > 0 and m."sourcedId" in (select "sourcedId" from {at("source apart", "results")} as s '
        f"where s.score = '' or {number('s.score')} = 0) and {of_members}",
        FELL,
    )
    database.table(
        "kept lineItems",
        'select * from "keepable lineItems" where "sourcedId" in (select "lineItemSourcedId" from "vanished results")',
    )
    keep(
        "kept categories",
        "categories",
        f'{gone("categories")} and m."sourcedId" in (select "categorySourcedId" from "kept lineItems")',
        NEEDED,
    )
    return [
        ("results", "vanished results"),
        ("results", "fallen results"),
        ("lineItems", "kept lineItems"),
        ("categories", "kept categories"),
    ]


def gone(file: str) -> str:
    """Return the condition that a row `m` of `memory apart` is not in the source."""
    return f'm."sourcedId" not in (select "sourcedId" from {at("source apart", file)})'


def there(file: str, column: str) -> str:
    """Return the condition that what a row `m` of memory refers to is in the source."""
    return f'm.{quoted(column)} in (select "sourcedId" from {at("source", file)})'


def drops(database: Warehouse, files: Iterable[str], threshold: Threshold) -> list[Drop]:
    """Return what leaves a school beyond the threshold, between memory and now."""
    found = []
    for file in files:
        before, after = at("schools of memory", file), at("schools of now", file)
        left = f"(select * from {before} except select * from {after})"
        counted = database.rows(
            f"select b.school, b.n, coalesce(a.n, 0), coalesce(l.n, 0) "
            f"from (select school, count(*) as n from {before} group by school) as b "
            f"left join (select school, count(*) as n from {after} group by school) as a on a.school = b.school "
            f"left join (select school, count(*) as n from {left} as l group by school) as l on l.school = b.school "
            f"order by 1"
        )
        for school, rows, kept, removed in list(counted):
            if kept and (removed < threshold.rows or removed * 100 <= rows * threshold.percent):
                continue
            ids = database.rows(
                f'select "sourcedId" from {left} as l where school = ? order by 1 limit {_IDS_SHOWN}', [school]
            )
            found.append(Drop(file, school, rows, kept, removed, tuple(row[0] for row in ids)))
    return found


def counts(database: Warehouse, files: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield per file and school: total, and what was added, changed, removed and held."""
    for file in files:
        before, after = at("schools of memory", file), at("schools of now", file)
        held = f"(select distinct sourced_id from held where file = {literal(file)})"
        moved = f'(select "sourcedId" from {at("changes", file)} union select sourced_id from {held} as h)'
        # Which schools the few that moved are in, or were; of all others only how many there are.
        whose = " union ".join(f'select * from {one} where "sourcedId" in {moved}' for one in (after, before))
        query = (
            f"select school, sum(total), sum(added), sum(changed), sum(removed), sum(held) from ("
            f"select school, count(*) as total, 0 as added, 0 as changed, 0 as removed, 0 as held "
            f"from {after} group by school "
            f"union all select school, 0, 0, 0, 0, 0 from {before} group by school "
            # An id that the source has twice counts as often as it changed; once it was counted above.
            f'union all select s.school, count(a."sourcedId") - count(distinct a."sourcedId"), '
            f"count(case when c.what = 'added' then 1 end), "
            f"count(case when c.what = 'changed' then 1 end), count(case when c.what = 'removed' then 1 end), "
            f"count(h.sourced_id) from ({whose}) as s "
            f'left join {after} as a on a."sourcedId" = s."sourcedId" and a.school = s.school '
            f'left join {at("changes", file)} as c on c."sourcedId" = s."sourcedId" '
            f'left join {held} as h on h.sourced_id = s."sourcedId" group by s.school'
            f") as counted group by school order by school"
        )
        for row in list(database.rows(query)):
            names = ("school", "total", "added", "changed", "removed", "held")
            yield {"file": file, **dict(zip(names, (row[0], *map(int, row[1:])), strict=True))}
