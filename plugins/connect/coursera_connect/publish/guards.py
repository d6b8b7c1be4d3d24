# ruff: noqa: S608 - every name in a statement is quoted
"""Blocks a publish if too many rows of a file and school would leave, fall or change at once without a confirmation.

Each guard compares memory with now (see stages.py), so rows that are held, or that the reader never accepted, do not
count. An administrator confirms a change by an agreement in the ledger or by a changed setting (see agreements.py).
Confirmed changes pass and are recorded in `allowed`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from coursera_connect.publish.blocked import Drop, Findings, given
from coursera_connect.publish.holds import IMPOSSIBLE, running_zero
from coursera_connect.publish.stages import at
from coursera_connect.text import plural
from oneroster_csv.sql import items, literal, number, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from coursera_connect.publish.agreements import Steps
    from coursera_connect.publish.settings import Settings
    from coursera_connect.warehouse.warehouse import Warehouse

_IDS_SHOWN = 1000
_FALL = 5
"""The least fall of a score that counts, in hundredths of the maximum."""

_ADDED_PERCENT, _ADDED_ROWS = 300, 5
"""A school with more than so many percent, and at least so many, new rows in a file gets a warning."""

_SESSIONS = (
    "schoolYearSourcedId",
    "termSourcedIds",
    "gradingPeriodSourcedId",
    "academicSessionSourcedId",
    "parentSourcedId",
)
"""The references to academic sessions, all of which change with a new school year."""


@dataclass(frozen=True)
class Threshold:
    """The limit of a guard: more than `percent` of the rows of a file and school, and at least `rows`, block."""

    percent: float
    rows: int

    def passes(self, rows: int, of: int) -> bool:
        """Return whether `rows` out of `of` may leave or change."""
        return rows < self.rows or rows * 100 <= of * self.percent


def guard(database: Warehouse, columns: dict[str, list[str]], settings: Settings, steps: Steps) -> Findings:
    """Find the rows that would leave, fall or change, and decide what blocks."""
    found = Findings()
    _not_counted(database, steps, found)
    removal = Threshold(settings.removal_threshold, settings.removal_rows)
    removals = given("--allow-removals", settings.allow_removals)
    waits = [setting for setting in steps.named if not setting.is_agreed]
    for setting in waits:
        # The step alone lets them go: `--allow-removals` is given for rows that leave, without a thought of the mode.
        found.drops += _of_setting(database, [file for file in setting.files if file in columns], setting.reason)
    found.used |= {(setting.name, setting.after) for setting in steps.named if setting.is_agreed}
    for file, names in columns.items():
        if any(file in setting.files for setting in waits):
            continue  # all that moves is told above
        moved = dict(database.rows(f"select what, count(*) from {at('changes', file)} group by what"))
        if moved.get("added", 0) >= _ADDED_ROWS:
            found.warnings += _added(database, file, steps)
        # Looked at in any case: a row that stays as it is leaves a school with what it belongs to.
        for drop in _removed(database, file, Threshold(0, 1) if steps.remakes(file) else removal):
            cause = steps.other_settings.removeprefix("; ")
            words = cause if steps.remakes(file) else "; ".join(filter(None, (drop.headline, cause)))
            reasoned = replace(drop, reason=drop.reason + steps.other_settings, headline=words or drop.headline)
            found.decide(reasoned, removals, steps.covering(drop, found.used))
        if "changed" in moved:
            _look_at_changes(database, file, names, settings, steps, found)
    return found


def _look_at_changes(  # noqa: PLR0913, PLR0917 - what is looked at, and by what
    database: Warehouse, file: str, columns: list[str], settings: Settings, steps: Steps, found: Findings
) -> None:
    change = Threshold(settings.change_threshold, settings.change_rows)
    for drop in _changed(database, file, columns, change, steps):
        found.decide(drop, given("--allow-changes", settings.allow_changes), steps.covers_file(file))
    if file == "results":
        score = Threshold(settings.score_threshold, settings.score_rows)
        for drop in _lower(database, score):
            found.decide(drop, given("--allow-lower-scores", settings.allow_lower_scores), steps.covers_file(file))


def _not_counted(database: Warehouse, steps: Steps, found: Findings) -> None:
    """Store the rows that no guard counts, although they leave or change: `not counted` (file, sourced_id)."""
    database.table(
        "not counted",
        f"select 'results' as file, sourced_id from doubtful where reason = {literal(IMPOSSIBLE)} "
        "union all select 'academicSessions', sourced_id from beyond",
    )
    leaving = f"select \"sourcedId\" from {at('changes', 'academicSessions')} where what = 'removed'"
    if next(database.rows(leaving), None):
        beyond = database.row(f"select count(*) from beyond where sourced_id in ({leaving})")[0]
        if beyond:
            found.healed.append(f"{plural(beyond, 'academic session')} beyond the next school year leave, not counted")
        database.do(
            f"insert into \"not counted\" select 'academicSessions', sourced_id from ({_unused_sessions()}) as u"
        )
    if steps.is_new_profile:  # what is there, and not taken by the reader
        for file in steps.files:
            database.do(
                f'insert into "not counted" select {literal(file)}, "sourcedId" from {at("changes", file)} '
                f'where what = \'removed\' and "sourcedId" in (select "sourcedId" from {at("source", file)})'
            )
    if steps.are_new_rules:
        zeros = database.rows(
            f'select m."sourcedId" from {at("memory", "results")} as m inner join {at("changes", "results")} as c '
            f'on c."sourcedId" = m."sourcedId" where c.what = \'removed\' and {running_zero("m")} order by 1'
        )
        why = "would leave: this release makes no running grade before an item is graded"
        _of_the_release(database, found, "results", [row[0] for row in zeros], why)
        why = "would be written otherwise: this release reads `Family, Given` as given and family name"
        _of_the_release(database, found, "users", _turned_round(database), why)


def _unused_sessions() -> str:
    """Return the query for the sessions of memory that only other sessions refer to."""
    used = (
        f"select session from (select {items(quoted('termSourcedIds'))} as session from {at('memory', 'classes')} "
        f"union select \"schoolYearSourcedId\" from {at('memory', 'courses')}) as s where session <> ''"
    )
    sessions = at("memory", "academicSessions")
    family = f'select "parentSourcedId" from {sessions} where "sourcedId" in ({used})'
    return (
        f'select "sourcedId" as sourced_id from {sessions} where "sourcedId" not in ({used}) and "sourcedId" not in '
        f'({family}) and "parentSourcedId" not in ({used})'
    )


def _turned_round(database: Warehouse) -> list[str]:
    """Return the users whose names have the same words as before in another order."""
    names = [f'{row}."{column}"' for row in "mn" for column in ("givenName", "familyName")]
    changed = database.rows(
        f'select m."sourcedId", {", ".join(names)} from {at("memory", "users")} as m '
        f'inner join {at("changes", "users")} as c on c."sourcedId" = m."sourcedId" and c.what = \'changed\' '
        f'inner join {at("now", "users")} as n on n."sourcedId" = m."sourcedId" order by 1'
    )

    def words(*texts: str) -> list[str]:
        return sorted(" ".join(texts).replace(",", " ").split())

    return [
        one
        for one, given, family, new_given, new_family in changed
        if (given, family) != (new_given, new_family) and words(given, family) == words(new_given, new_family)
    ]


def _of_the_release(database: Warehouse, found: Findings, file: str, ids: list[str], why: str) -> None:
    if ids:
        database.do('insert into "not counted" select ?, unnest(?)', [file, ids])
        found.allowed.append(Drop(file, "", len(ids), len(ids), f"{plural(len(ids), 'row')} {why}", tuple(ids)))
        found.warnings.append(f"{file}: {found.allowed[-1].reason}. The report lists them, once.")


def _by_school(database: Warehouse, rows: str) -> list[tuple[str, int]]:
    """Return (school, how many) of a query for rows (sourcedId, school)."""
    return list(database.rows(f"select school, count(*) from ({rows}) as r group by school order by 1"))


def _ids(database: Warehouse, rows: str, school: str) -> tuple[str, ...]:
    query = f'select "sourcedId" from ({rows}) as r where school = ? order by 1 limit {_IDS_SHOWN}'
    return tuple(row[0] for row in database.rows(query, [school]))


def _of_schools(file: str, ids: str) -> str:
    """Return the query (sourcedId, school) for rows of memory, from a query for ids that count."""
    return (
        f'select * from {at("schools of memory", file)} where "sourcedId" in ({ids}) and "sourcedId" not in '
        f'(select sourced_id from "not counted" where file = {literal(file)})'
    )


def _removed(database: Warehouse, file: str, threshold: Threshold) -> Iterator[Drop]:
    """Yield the rows that leave a school beyond the threshold, or all rows of a school, however few."""
    before, after = at("schools of memory", file), at("schools of now", file)
    counted = f'(select sourced_id from "not counted" where file = {literal(file)})'
    left = f'select * from {before} where "sourcedId" not in {counted} except select * from {after}'
    were, are = (dict(_by_school(database, f"select * from {one}")) for one in (before, after))
    for school, rows in _by_school(database, left):
        of, kept = were[school], are.get(school, 0)
        if kept and threshold.passes(rows, of):
            continue
        share = f"{rows / of:.0%}" if kept else "nothing would be left"
        reason = f"{rows:,} of {of:,} rows would leave ({share})"
        ids = _ids(database, left, school)
        yield Drop(file, school, of, rows, reason, ids, "more would leave than the threshold allows")


def _changed(database: Warehouse, file: str, columns: list[str], threshold: Threshold, steps: Steps) -> Iterator[Drop]:
    """Yield the files and schools in which more names, titles or references change than the threshold allows."""
    names = [name for name in columns if _is_name_or_reference(name) and name not in steps.columns(file)]
    if not names:
        return
    differ = " or ".join(f"(m.{quoted(name)} <> '' and m.{quoted(name)} <> n.{quoted(name)})" for name in names)
    leaving = ", ".join(map(literal, sorted(steps.schools))) or "null"
    agreed = f'select "sourcedId" from {at("schools of memory", file)} where school in ({leaving})'
    ids = (
        f'select m."sourcedId" from {at("memory", file)} as m inner join {at("now", file)} as n '
        f'on n."sourcedId" = m."sourcedId" where m."sourcedId" in '
        f"(select \"sourcedId\" from {at('changes', file)} where what = 'changed') and ({differ}) "
        f'and m."sourcedId" not in ({agreed})'
    )
    counted = _by_school(database, _of_schools(file, ids))
    if not counted:
        return
    were = dict(_by_school(database, f"select * from {at('schools of memory', file)}"))
    for school, rows in counted:
        of = were[school]
        if not threshold.passes(rows, of):
            reason = (
                f"{rows:,} of {of:,} rows would have another name, title or reference ({rows / of:.0%}); if that is "
                "right, `connect publish --allow-changes`"
            )
            found = _ids(database, _of_schools(file, ids), school)
            words = "more names, titles or references would change than the threshold allows"
            yield Drop(file, school, of, rows, reason, found, words)


def _is_name_or_reference(column: str) -> bool:
    if column.endswith(("SourcedId", "SourcedIds")):
        return column not in _SESSIONS
    return column in {"name", "title", "username"} or column.endswith("Name")


def _lower(database: Warehouse, threshold: Threshold) -> Iterator[Drop]:
    """Yield the schools in which more final scores fall than the threshold allows."""

    def percent(stage: str) -> str:
        most = f"coalesce(nullif({number('l.' + quoted('resultValueMax'))}, 0), 100)"
        return (
            f'(select r."sourcedId", r."scoreStatus", {number("r.score")} * 100 / {most} as percent '
            f"from {at(stage, 'results')} as r left join {at(stage, 'lineItems')} as l "
            'on l."sourcedId" = r."lineItemSourcedId" where r."sourcedId" in '
            f"(select \"sourcedId\" from {at('changes', 'results')} where what = 'changed'))"
        )

    final = "m.\"scoreStatus\" = 'fully graded'"
    ids = (
        f'select m."sourcedId" from {percent("memory")} as m inner join {percent("now")} as n '
        f'on n."sourcedId" = m."sourcedId" where {final} and round(m.percent - coalesce(n.percent, 0), 6) >= {_FALL}'
    )
    counted = _by_school(database, _of_schools("results", ids))
    if not counted:
        return
    graded = f'select m."sourcedId" from {at("memory", "results")} as m where {final}'
    were = dict(_by_school(database, _of_schools("results", graded)))
    for school, rows in counted:
        of = were[school]
        if not threshold.passes(rows, of):
            reason = (
                f"{rows:,} of {of:,} final scores would fall by {_FALL} points or more ({rows / of:.0%}); if that is "
                "right, `connect publish --allow-lower-scores`"
            )
            found = _ids(database, _of_schools("results", ids), school)
            yield Drop("results", school, of, rows, reason, found, "more scores would fall than the threshold allows")


def _added(database: Warehouse, file: str, steps: Steps) -> Iterator[str]:
    """Yield a warning for each school with far more rows than before."""
    new = (
        f'select * from {at("schools of now", file)} where "sourcedId" in '
        f"(select \"sourcedId\" from {at('changes', file)} where what = 'added')"
    )
    counted = [one for one in _by_school(database, new) if one[1] >= _ADDED_ROWS]
    if not counted or steps.is_new_version or steps.covers_file(file):
        return
    were = dict(_by_school(database, f"select * from {at('schools of memory', file)}"))
    for school, rows in counted:
        of = were.get(school, 0)
        if of and rows * 100 > of * _ADDED_PERCENT:
            where = f"the school {school}" if school else "the district"
            yield f"{file} of {where}: {rows:,} rows are new, where there were {of:,}. Is that right?"


def _of_setting(database: Warehouse, files: list[str], reason: str) -> list[Drop]:
    """Return the changes by a setting without its confirmation; one drop of the run if it changes nothing yet."""
    drops = []
    for file in files:
        moved = f'select "sourcedId" from {at("changes", file)}'
        both = " union ".join(
            f'select * from {at(stage, file)} where "sourcedId" in ({moved})'
            for stage in ("schools of memory", "schools of now")
        )
        were = dict(_by_school(database, f"select * from {at('schools of memory', file)}"))
        drops += [
            Drop(file, school, were.get(school, 0), rows, f"{rows:,} rows would change, since {reason}",
                 _ids(database, both, school), reason)
            for school, rows in _by_school(database, both)
        ]  # fmt: skip
    return drops or [Drop("", "", 0, 0, reason, (), reason)]
