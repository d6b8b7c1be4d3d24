# ruff: noqa: S608 - every name in a statement is quoted
"""Holds rows: their published version from memory is used in this run, so that a bad day upstream changes nothing.

Coursera re-aggregates its reports, and rows vanish or fall to zero for a while. If a row vanishes while its learner is
still a member, or a score falls to nothing, the published row is kept until the report was refreshed once more, the row
behind it was read again (`connect.last_reads`), and the report still says so. A usual run reads only the learners who
were active lately, so a row that was wrong for one night is perhaps read again only by the next complete reading. A
doubtful result (`connect.doubtful_results`) is kept as long as it is doubtful: its completion has an impossible time,
or so many scores of its school are above the maximum that the scale must be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from coursera_connect import timestamps
from coursera_connect.publish.stages import at
from coursera_connect.text import plural
from coursera_connect.warehouse import ledger
from oneroster_csv.sql import items, literal, number, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from coursera_connect.warehouse.warehouse import Warehouse

VANISHED = "vanished while the learner is still a member"
NEEDED = "belongs to a row that is held"
FELL = "the score fell to nothing"
DOUBTED = "the completion has an impossible moment"
SCALE = "too many scores of its school are above the maximum"
_DIPS = (VANISHED, FELL)
"""The reasons that end with newer data of the row; all others last as long as they apply."""

_LONG_DAYS = 8
"""After so many days a complete reading is overdue, since the job full-reconcile makes one each week."""

IMPOSSIBLE, ABOVE = "impossible completion", "above maximum"
"""The reasons of `connect.doubtful_results`."""

_SCALE_PERCENT, _SCALE_ROWS = 10, 10
"""With more than so many percent, and at least so many, results above the maximum, a school's scale is wrong."""

_OF_ONE_SCHOOL = ("classes", "enrollments", "lineItems", "results")


@dataclass(frozen=True)
class Holding:
    """What a run may hold.

    `data_as_of` is when the data was refreshed (blank: unknown), `run_at` the time of the run, and `last` the number of
    the last publish. `dips` is whether vanished and fallen rows are held, `doubts` whether doubtful results are held,
    which is not so if memory has another scale or version. Rows of the schools `leaving` are not held. `new_rules` is
    whether a new release removes running grades of zero, `above_maximum` whether scores above the maximum are accepted.
    """

    data_as_of: str
    run_at: str
    last: int | None
    leaving: frozenset[str] = frozenset()
    dips: bool = True
    doubts: bool = True
    new_rules: bool = False
    above_maximum: bool = False


@dataclass
class Told:
    """Messages about holding: `healed` are the parts of one sentence about impossible data of an earlier run."""

    healed: list[str]
    warnings: list[str]


def doubts(database: Warehouse) -> None:
    """Store the doubtful results of dbt in the table `doubtful` (sourced_id, school, reason)."""
    wanted = ("result_sourced_id", "school_sourced_id", "reason")
    known = set(wanted) <= set(database.columns("connect").get("doubtful_results", ()))
    cells = ", ".join(f"coalesce(cast({name} as varchar), '')" if known else "''" for name in wanted)
    rows = f"select {cells} " + ("from connect.doubtful_results" if known else "where false")
    database.table("doubtful", f"select * from ({rows}) as d (sourced_id, school, reason)")


def hold_nothing(database: Warehouse) -> None:
    """Define empty tables `held` (file, sourced_id, reason, since, last_read), `kept cells` and `left out`."""
    database.table(
        "held", "select '' as file, '' as sourced_id, '' as reason, '' as since, '' as last_read where false"
    )
    database.table("kept cells", "select '' as file, '' as sourced_id, '' as cell where false")
    database.table("left out", "select '' as file, '' as sourced_id where false")


def keep_dates(database: Warehouse, run_at: str) -> None:
    """Add the dates of results whose score has not changed to `kept cells`.

    For dbt a score that fell to nothing and came back is new, but for the reader it was never away. An impossible date,
    as an earlier release published some, is not kept.
    """
    same = " and ".join(f"s.{quoted(c)} = m.{quoted(c)}" for c in ("sourcedId", "score", "scoreStatus"))
    database.do(
        'insert into "kept cells" select \'results\', m."sourcedId", m."scoreDate" '
        f"from {at('memory apart', 'results')} as m "
        f"inner join {at('source apart', 'results')} as s on {same} "
        'where m."scoreDate" <> s."scoreDate" '
        f'and m."scoreDate" between {literal(timestamps.EARLIEST)} and {literal(timestamps.latest(run_at)[:10])}'
    )


def hold(database: Warehouse, columns: dict[str, list[str]], holding: Holding) -> Told:
    """Define the table `held` (file, sourced_id, reason, since, last_read) with the rows that come from memory.

    A row that was held for a dip is released when the data is newer than when it was first held, or of unknown age, and
    the row behind it was read again since the last publish. If it is not known when that was, newer data is enough. The
    rows to which a held row refers are held with it. The table `left out` (file, sourced_id) has new rows that are not
    published yet.
    """
    hold_nothing(database)
    _sessions_beyond(database, holding.run_at)
    told = Told([], _suspect_schools(database, holding))
    if holding.last is None or not (holding.dips or holding.doubts):
        _leave_out(database)
        return told
    columns_before = database.columns(ledger.SCHEMA).get("held", [])
    recorded = f"{ledger.table('held')} where run = {holding.last}" if columns_before else "held"
    last_read = "coalesce(last_read, '')" if "last_read" in columns_before else "''"
    wrong = f"since < {literal(timestamps.EARLIEST)} or since > {literal(timestamps.latest(holding.run_at))}"
    database.table(
        "held before",
        f"select file, sourced_id, case when {wrong} then '' else coalesce(since, '') end as since, "
        f"reason in ({', '.join(map(literal, _DIPS))}) as is_dip, since <> '' and ({wrong}) as is_wrong, "
        f"{last_read} as last_read "
        f"from {recorded}",
    )
    poisoned = database.row('select count(*) from "held before" where is_wrong')[0]
    if poisoned:
        told.healed.append(f"{plural(poisoned, 'row')} held since then can go again")
    newer = f"(h.since < {literal(holding.data_as_of)})" if holding.data_as_of else "true"
    agreed = f"school in ({', '.join(map(literal, sorted(holding.leaving))) or 'null'})"
    doubted = 'select sourced_id from "held for doubt"'

    def keep(name: str, file: str, where: str, reason: str) -> None:
        is_dip = reason in _DIPS  # what others need goes with them, however long it was held for something else
        if is_dip and not holding.dips:
            where += " and false"
        if is_dip and file == "results":
            where += f' and m."sourcedId" not in ({doubted})'
        if file in _OF_ONE_SCHOOL:
            left = f'select "sourcedId" from {at("schools of memory", file)} where {agreed}'
            where += f' and m."sourcedId" not in ({left})'
        # Only a row that is not in the source, or not as it was, is ever kept.
        remembered = at("memory apart", file)
        rows = f"select m.*, {literal(reason)} as reason from {remembered} as m where {where}"
        if not is_dip:
            database.table(name, f"select r.*, '' as last_read from ({rows}) as r")
            return
        database.table("dips", rows)
        _read_dips(database, file)
        database.table(
            name,
            "select d.*, coalesce(nullif(r.last_read, ''), h.last_read, '') as last_read from dips as d "
            'left join "read dips" as r on r.sourced_id = d."sourcedId" '
            f'left join "held before" as h on h.file = {literal(file)} and h.sourced_id = d."sourcedId" and h.is_dip '
            f"where h.sourced_id is null or not {newer} or (h.last_read <> '' and r.last_read in ('', h.last_read))",
        )

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
    kept += _keep_results(database, columns, holding, keep)
    database.table(
        "held",
        " union all ".join(
            f'select {literal(file)} as file, k."sourcedId" as sourced_id, k.reason, '
            f"coalesce(nullif(h.since, ''), {literal(holding.data_as_of)}) as since, k.last_read "
            f"from {quoted(name)} as k "
            f'left join "held before" as h on h.file = {literal(file)} and h.sourced_id = k."sourcedId"'
            for file, name in kept
        ),
    )
    told.warnings += _held_long(database, holding)
    _leave_out(database)
    return told


def _read_dips(database: Warehouse, file: str) -> None:
    """Store when the rows behind the table `dips` were last read: `read dips` (sourced_id, last_read).

    A row of which `connect.last_reads` says nothing is absent; the time is blank if the reading is not known.
    """
    database.table("read dips", "select '' as sourced_id, '' as last_read where false")
    known = "last_reads" in database.columns("connect")
    if not known or not database.row("select count(*) from dips")[0]:
        return
    wanted = (
        'select d."sourcedId" as sourced_id, d."classSourcedId" as class, d."userSourcedId" as learner, '
        "'enrollment' as kind from dips as d"
    )
    if file == "results":  # a score of a held enrollment waits for the enrollment
        is_there = f'd."lineItemSourcedId" in (select "sourcedId" from {at("source", "lineItems")})'
        is_kept = (
            '(l."classSourcedId", d."studentSourcedId") in '
            '(select "classSourcedId", "userSourcedId" from "kept enrollments")'
        )
        wanted = (
            'select d."sourcedId" as sourced_id, l."classSourcedId" as class, '
            f'case when {is_there} then d."studentSourcedId" end as learner, '
            f"case when not {is_there} then 'item' when {is_kept} then 'enrollment' else d.\"scoreStatus\" end as kind "
            'from dips as d inner join "class of lineItem" as l on l."sourcedId" = d."lineItemSourcedId"'
        )
    database.do(
        'insert into "read dips" select w.sourced_id, max(r.last_read) '
        f"from ({wanted}) as w inner join connect.last_reads as r on r.class_sourced_id = w.class "
        "and r.user_sourced_id is not distinct from w.learner and r.kind = w.kind group by w.sourced_id"
    )


def _held_long(database: Warehouse, holding: Holding) -> list[str]:
    """Return a warning if rows are held that nothing has read again for more than a week."""
    read = timestamps.parsed(holding.data_as_of)
    if read is None:
        return []
    since = literal(timestamps.written(read - timedelta(days=_LONG_DAYS)))
    dips = ", ".join(map(literal, _DIPS))
    rows = database.row(f"select count(*) from held where reason in ({dips}) and since <> '' and since < {since}")[0]
    if not rows:
        return []
    told = (
        f"{plural(rows, 'row has', 'rows have')} been held for more than {_LONG_DAYS} days, because no run has read "
        "Coursera's data on such rows again. The job full-reconcile reads everything; to let the rows leave at once, "
        "`connect publish --allow-removals`."
    )
    return [told]


def _sessions_beyond(database: Warehouse, run_at: str) -> None:
    """Store the sessions of memory after the school year that follows the run: `beyond` (sourced_id).

    Only a run that accepted an impossible time has made such sessions.
    """
    day = run_at[:10]
    ends = database.row(
        f'select max("endDate") from {at("source", "academicSessions")} where "startDate" <= {literal(day)}'
    )[0]
    year, rest = max(ends or "", day)[:4], max(ends or "", day)[4:]
    beyond = f"{int(year) + 1:04}{rest}" if year.isdecimal() else "9999"
    database.table(
        "beyond",
        f'select "sourcedId" as sourced_id from {at("memory", "academicSessions")} '
        f'where "startDate" >= {literal(beyond)}',
    )


def _suspect_schools(database: Warehouse, holding: Holding) -> list[str]:
    """Store the schools whose scale must be wrong: `suspect schools` (school); return a warning for each."""
    database.table("suspect schools", "select '' as school where false")
    above = f"(select sourced_id, school from doubtful where reason = {literal(ABOVE)})"
    few = f"select count(*) from {above} as a group by school having count(*) >= {_SCALE_ROWS} limit 1"
    if holding.above_maximum or next(database.rows(few), None) is None:
        return []
    database.table(
        "results of schools",
        f'select r."sourcedId" as sourced_id, c."schoolSourcedId" as school from {at("source", "results")} as r '
        f'inner join {at("source", "lineItems")} as l on l."sourcedId" = r."lineItemSourcedId" '
        f'inner join {at("source", "classes")} as c on c."sourcedId" = l."classSourcedId" '
        f'where c."schoolSourcedId" in (select school from {above} as a) union select * from {above} as a',
    )
    counted = database.rows(
        f"select s.school, count(a.sourced_id), count(*) "
        f'from "results of schools" as s left join {above} as a on a.sourced_id = s.sourced_id '
        f"group by s.school having count(a.sourced_id) >= {_SCALE_ROWS} "
        f"and count(a.sourced_id) * 100 > count(*) * {_SCALE_PERCENT} order by 1"
    )
    warnings = []
    for school, rows, of in list(counted):
        database.do('insert into "suspect schools" values (?)', [school])
        warnings.append(
            f"results of the school {school}: {rows:,} of {of:,} scores are above the maximum, so the scale of the "
            "grades must be wrong. Published scores stay as they were and new ones wait: see `connect quality`; if the "
            "scores are right, `connect publish --allow-above-maximum`."
        )
    return warnings


def _leave_out(database: Warehouse) -> None:
    """Leave out new results of schools whose scale must be wrong."""
    if database.row('select count(*) from "suspect schools"')[0]:
        apart = f'select "sourcedId" from {at("apart", "results")}'
        database.do(
            'insert into "left out" select \'results\', sourced_id from "results of schools" '
            'where school in (select school from "suspect schools") and sourced_id not in '
            "(select sourced_id from held where file = 'results') and sourced_id not in "
            f'(select "sourcedId" from {at("memory", "results")} except {apart})'
        )


def _keep_terms(database: Warehouse) -> None:
    """Define `kept terms` (class, term): the terms of classes with held enrollments.

    A class loses a term with its only learner of that term, but an enrollment must begin in a term of its class.
    """
    terms = items(quoted("termSourcedIds"))
    database.table(
        "kept terms",
        f'select "sourcedId" as class, {terms} as term from {at("memory", "classes")} '
        'where "sourcedId" in (select "classSourcedId" from "kept enrollments")',
    )
    database.do('delete from "kept terms" where term in (select sourced_id from beyond)')
    database.do(
        "insert into \"kept cells\" select 'classes', class, string_agg(distinct term, ',' order by term) from "
        f'(select class, term from "kept terms" union select "sourcedId", {terms} from {at("source", "classes")}) as t '
        'where class in (select class from "kept terms") group by class'
    )


def _keep_results(
    database: Warehouse, columns: dict[str, list[str]], holding: Holding, keep: Callable[..., None]
) -> list[tuple[str, str]]:
    """Hold scores with their line items and categories; return (file, relation) of each kind."""
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
    database.table("held for doubt", "select '' as sourced_id where false")
    if holding.doubts:
        in_suspect = 'select school from "suspect schools"'
        for name, reason, whose in (
            ("doubted results", DOUBTED, f"select sourced_id from doubtful where reason = {literal(IMPOSSIBLE)}"),
            (
                "scaled results",
                SCALE,
                f'select "sourcedId" from {at("schools of memory", "results")} where school in ({in_suspect})',
            ),
        ):
            held = 'select sourced_id from "held for doubt"'
            keep(
                name,
                "results",
                f'm."sourcedId" in ({whose}) and m."sourcedId" not in ({held}) and {of_members}',
                reason,
            )
            database.do(f'insert into "held for doubt" select "sourcedId" from {quoted(name)}')
    else:
        for name in ("doubted results", "scaled results"):
            keep(name, "results", "false", NEEDED)
    vanished = f"{gone('results')} and not {scored_otherwise} and {of_members}"
    if holding.new_rules:
        vanished += f" and not {running_zero('m')}"
    left_out = f"select sourced_id from doubtful where reason = {literal(ABOVE)}"
    keep("vanished results", "results", f'{vanished} and m."sourcedId" not in ({left_out})', VANISHED)
    keep(
        "fallen results",
        "results",
        f'{number("m.score")} > 0 and m."sourcedId" in (select "sourcedId" from {at("source apart", "results")} as s '
        f"where s.score = '' or {number('s.score')} = 0) and {of_members}",
        FELL,
    )
    database.table(
        "kept lineItems",
        'select * from "keepable lineItems" where "sourcedId" in (select "lineItemSourcedId" from "vanished results" '
        'union all select "lineItemSourcedId" from "doubted results" '
        'union all select "lineItemSourcedId" from "scaled results")',
    )
    keep(
        "kept categories",
        "categories",
        f'{gone("categories")} and m."sourcedId" in (select "categorySourcedId" from "kept lineItems")',
        NEEDED,
    )
    return [
        ("results", "doubted results"),
        ("results", "scaled results"),
        ("results", "vanished results"),
        ("results", "fallen results"),
        ("lineItems", "kept lineItems"),
        ("categories", "kept categories"),
    ]


def gone(file: str) -> str:
    """Return the condition that a row `m` of `memory apart` is not in the source."""
    return f'm."sourcedId" not in (select "sourcedId" from {at("source apart", file)})'


def there(file: str, column: str) -> str:
    """Return the condition that the row to which a row `m` of memory refers is in the source."""
    return f'm.{quoted(column)} in (select "sourcedId" from {at("source", file)})'


def running_zero(row: str) -> str:
    """Return the condition that a result is a running grade of zero, as earlier releases made early ones."""
    return f"({row}.\"scoreStatus\" = 'partially graded' and {number(f'{row}.score')} = 0)"
