# ruff: noqa: S608 - every name in a statement is quoted
"""The stages of a file's rows between dbt and the package; each stage is a relation of the connection.

    source    the rows that dbt made, all columns text, null as the empty text
    memory    the rows that the last publish recorded; none if nothing was ever published
    apart     the ids of rows that differ between source and memory; all later stages look only at these
    now       the source, with held rows from memory in place of its own (see `holds.py`)
    changes   sourcedId, and what happened between memory and now: added, changed, removed
    delta     now and the rows that left since a run, with status and the time of each row's own change
    publish   now or the delta, as it is written for the reader

The schools that a row belongs to are the relations `schools of <stage>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coursera_connect.warehouse import ledger
from oneroster_csv import binding as bindings
from oneroster_csv import checks
from oneroster_csv.output import STAMPS
from oneroster_csv.sql import items, literal, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from coursera_connect.warehouse.warehouse import Warehouse
    from oneroster_csv.binding import Binding

CONNECTED = frozenset(
    (
        "orgs",
        "academicSessions",
        "courses",
        "classes",
        "users",
        "roles",
        "enrollments",
        "categories",
        "lineItems",
        "results",
    )
)
"""The files that are needed to find the school of a row, even if they have no rows."""

FILES = frozenset(file for version in bindings.VERSIONS for file in bindings.load(version).files)
"""All files of all versions, for which memory may have tables."""

KEPT_CELLS = {"results": "scoreDate", "classes": "termSourcedIds"}
"""The column of a file whose cell may be kept from memory in a row of the source."""


def at(stage: str, file: str) -> str:
    """Return the name of a file's relation at a stage, quoted."""
    return quoted(f"{stage} {file}")


def cells(columns: list[str]) -> list[str]:
    """Return the columns that hold the row itself."""
    return [name for name in columns if name not in STAMPS]


def sources(database: Warehouse, binding: Binding, schemas: list[str]) -> dict[str, list[str]]:
    """Define the source of every file of the binding, from the first of the schemas that has its table.

    Return file → columns in order, for files that have a table; the sources of other files are empty.
    """
    tables = {schema: database.columns(schema) for schema in schemas}
    present: dict[str, list[str]] = {}
    for file in binding.files:
        schema = next((name for name in schemas if file in tables[name]), None)
        if schema is None:
            database.view(f"source {file}", binding.no_rows(file))
            continue
        present[file] = tables[schema][file]
        database.view(f"source {file}", checks.text_rows(schema, file, present[file]))
    return present


def memory(database: Warehouse, columns: dict[str, list[str]]) -> None:
    """Define the rows that the last publish recorded, with the columns of the source, and all their earlier versions.

    A version has `from_run`, the run that added it, and `until_run`, the run that ended it (null: none).
    """
    tables = database.columns(ledger.SCHEMA)
    for file, names in columns.items():
        known = tables.get(file, [])
        text = ", ".join(
            f"coalesce({quoted(c)}, '') as {quoted(c)}" if c in known else f"'' as {quoted(c)}" for c in cells(names)
        )
        runs = "from_run, until_run" if known else "0 as from_run, 0 as until_run"
        database.view(
            f"versions {file}", f"select {text}, {runs} " + (f"from {ledger.table(file)}" if known else "where false")
        )
        database.view(f"memory {file}", f"select * from {at('versions', file)} where until_run is null")


def apart(database: Warehouse, columns: dict[str, list[str]]) -> None:
    """Compare source and memory row by row, and define the rows that differ: `source apart`, `memory apart`.

    This is the only comparison of all rows; on a usual day few rows differ.
    """
    for file, names in columns.items():
        _compare(database, f"apart {file}", at("source", file), at("memory", file), cells(names))
        for stage in ("source", "memory"):
            apart_rows = f'"sourcedId" in (select "sourcedId" from {at("apart", file)})'
            database.view(f"{stage} apart {file}", f"select * from {at(stage, file)} where {apart_rows}")


def _compare(database: Warehouse, name: str, new: str, old: str, compared: list[str]) -> None:
    same = " and ".join(f"o.{quoted(column)} = n.{quoted(column)}" for column in compared)
    database.table(
        name,
        'select coalesce(n."sourcedId", o."sourcedId") as "sourcedId", '
        "case when o.\"sourcedId\" is null then 'added' when n.\"sourcedId\" is null then 'removed' "
        "else 'changed' end as what "
        f'from {new} as n full outer join {old} as o on o."sourcedId" = n."sourcedId" '
        f'where o."sourcedId" is null or n."sourcedId" is null or not ({same})',
    )


def now(database: Warehouse, columns: dict[str, list[str]], conditions: dict[str, str]) -> None:
    """Define the rows to publish: those of the source, except rows of the table `held`, which come from memory.

    Rows of the table `left out` are not published yet. A row of the source gets its cell from the table `kept cells`,
    if there is one. `conditions` holds, by file, the SQL condition on a row `r` under which the reader accepts it.
    """
    for file, names in columns.items():
        listed = ", ".join(f"r.{quoted(name)}" for name in cells(names))
        held = f"select sourced_id from held where file = {literal(file)}"
        waits = f'select sourced_id from "left out" where file = {literal(file)}'
        taken = f"({conditions.get(file, 'true')})"
        source = at("source", file)
        if file in KEPT_CELLS:
            cell = f"coalesce(k.cell, s.{quoted(KEPT_CELLS[file])}) as {quoted(KEPT_CELLS[file])}"
            source = (
                f"(select s.* replace ({cell}) from {source} as s "
                f'left join "kept cells" as k on k.sourced_id = s."sourcedId" and k.file = {literal(file)})'
            )
        database.define(
            f"now {file}",
            f'select {listed} from {source} as r where r."sourcedId" not in ({held} union all {waits}) and {taken} '
            f'union all select {listed} from {at("memory", file)} as r where r."sourcedId" in ({held}) and {taken}',
        )


def changes(database: Warehouse, columns: dict[str, list[str]], conditions: dict[str, str]) -> None:
    """Compare memory with now, for rows that differ, that keep a cell, or that the reader does not accept.

    All other rows are unchanged; held rows always differ. `conditions` are those of `now`.
    """
    for file, names in columns.items():
        database.table(
            f"suspects {file}",
            f'select "sourcedId" from {at("apart", file)} '
            f'union select sourced_id from "kept cells" where file = {literal(file)} '
            f'union select sourced_id from "left out" where file = {literal(file)} '
            f'union select r."sourcedId" from {at("source", file)} as r where not ({conditions.get(file, "true")})',
        )
        suspect = f'"sourcedId" in (select "sourcedId" from {at("suspects", file)})'
        new, old = (f"(select * from {at(stage, file)} where {suspect})" for stage in ("now", "memory"))
        _compare(database, f"changes {file}", new, old, cells(names))


def users_of(database: Warehouse, version: str) -> str:
    """Return the query for (sourcedId, school) of the users in memory, in the columns of `version`."""
    file, person, school = "users", "sourcedId", items("coalesce(\"orgSourcedIds\", '')")
    if version != "1.1":
        file, person, school = "roles", "userSourcedId", '"orgSourcedId"'
    if file not in database.columns(ledger.SCHEMA):
        return ""
    return (
        f'select {quoted(person)} as "sourcedId", {school} as school from {ledger.table(file)} where until_run is null'
    )


def schools(
    database: Warehouse, stage: str, columns: dict[str, list[str]], users: str = "", files: Iterable[str] = ()
) -> None:
    """Store the schools of each row of a stage as (sourcedId, school); blank means the district.

    `users` is a query for the schools of users that the stage does not contain; `files` are the files to include, by
    default all.
    """
    of_class = f'select "sourcedId", "schoolSourcedId" as school from {at(stage, "classes")}'
    of_user = f'select "sourcedId", {items(quoted("orgSourcedIds"))} as school from {at(stage, "users")}'
    if "roles" in columns:
        of_user = f'select "userSourcedId" as "sourcedId", "orgSourcedId" as school from {at(stage, "roles")}'
    of_user = users or of_user
    line_items = (
        f'select i."sourcedId", i."categorySourcedId", c.school from {at(stage, "lineItems")} as i '
        f'inner join ({of_class}) as c on c."sourcedId" = i."classSourcedId"'
    )
    known = {
        "orgs": f"select \"sourcedId\", case when type = 'school' then \"sourcedId\" else '' end as school "
        f"from {at(stage, 'orgs')}",
        "courses": f'select "courseSourcedId" as "sourcedId", "schoolSourcedId" as school from {at(stage, "classes")}',
        "classes": of_class,
        "users": of_user,
        "roles": f'select "sourcedId", "orgSourcedId" as school from {at(stage, "roles")}',
        "enrollments": f'select "sourcedId", "schoolSourcedId" as school from {at(stage, "enrollments")}',
        "lineItems": f'select "sourcedId", school from ({line_items}) as i',
        "categories": f'select "categorySourcedId" as "sourcedId", school from ({line_items}) as i',
        "results": f'select r."sourcedId", i.school from {at(stage, "results")} as r '
        f'inner join ({line_items}) as i on i."sourcedId" = r."lineItemSourcedId"',
    }
    for file in files or columns:
        own = known.get(file, f"select \"sourcedId\", '' as school from {at(stage, file)}")
        database.table(
            f"schools of {stage} {file}",
            f"select distinct f.\"sourcedId\", coalesce(s.school, '') as school from {at(stage, file)} as f "
            f'left join ({own}) as s on s."sourcedId" = f."sourcedId"',
        )


def delta(database: Warehouse, columns: dict[str, list[str]], since: int, moment: str) -> None:
    """Define what changed after the run `since`, the last whose package reached the reader; `moment` is this run's.

    A row that came and left in between has a tombstone, too: a package of that time may have reached the reader without
    a record of it. A tombstone has the last cells of its row.
    """
    runs = f"(select run, {_milliseconds('stamp')} as at from ({ledger.stamps(database)}) as s)"
    this = _milliseconds(literal(moment))
    for file, names in columns.items():
        listed = ", ".join(f"r.{quoted(name)}" for name in cells(names))
        versions = at("versions", file)
        database.table(
            f"moved {file}",
            f'select "sourcedId" from {at("changes", file)} '
            f'union select "sourcedId" from {versions} where from_run > {since} or until_run > {since}',
        )
        moved = f'"sourcedId" in (select "sourcedId" from {at("moved", file)})'
        database.view(
            f"delta {file}",
            f"select {listed}, 'active' as status, "
            f'case when c."sourcedId" is not null then {this} else w.at end as "dateLastModified" '
            f"from {at('now', file)} as r "
            f'left join {at("changes", file)} as c on c."sourcedId" = r."sourcedId" '
            f'left join {at("memory", file)} as m on m."sourcedId" = r."sourcedId" '
            f"left join {runs} as w on w.run = m.from_run "
            f'where r.{moved} and (c."sourcedId" is not null or m.from_run > {since}) '
            f"union all "
            f"select {listed}, 'tobedeleted', coalesce(w.at, {this}) "
            f'from (select *, row_number() over (partition by "sourcedId" order by from_run desc) as newest '
            f"from {versions} where {moved}) as r "
            f"left join {runs} as w on w.run = r.until_run "
            f'where r.newest = 1 and r."sourcedId" not in (select "sourcedId" from {at("now", file)}) '
            f"and (r.until_run is null or r.until_run > {since})",
        )


def _milliseconds(moment: str) -> str:
    """Return a time of the ledger in milliseconds, as strict readers need it."""
    return f"replace({moment}, 'Z', '.000Z')"


def remember(database: Warehouse, columns: dict[str, list[str]], run: int) -> None:
    """Write the changes into memory within a transaction: end old versions of rows, and add new ones.

    All rows of files that this version of OneRoster does not have are ended.
    """
    known = database.columns(ledger.SCHEMA)
    for file in (FILES & known.keys()) - columns.keys():
        database.store(f"update {ledger.table(file)} set until_run = {run} where until_run is null")
    for file, names in columns.items():
        table = ledger.table(file)
        declared = ", ".join(f"{quoted(name)} varchar" for name in cells(names))
        database.store(f"create table if not exists {table} ({declared}, from_run integer, until_run integer)")
        for name in set(cells(names)) - set(known.get(file, names)):
            database.store(f"alter table {table} add column {quoted(name)} varchar")
        changed = f'select "sourcedId" from {at("changes", file)}'
        listed = ", ".join(quoted(name) for name in cells(names))
        # No new version is read from memory: a row that is held is as it was, or the reader leaves it out.
        database.store(
            f"update {table} set until_run = {run} where until_run is null "
            'and "sourcedId" in (select "sourcedId" from "ended")',
            needs={"ended": f"{changed} where what <> 'added'"},
        )
        begun = f"select {listed} from {at('now', file)} where \"sourcedId\" in ({changed} where what <> 'removed')"
        database.store(
            f'insert into {table} ({listed}, from_run) select {listed}, {run} from "begun" order by "sourcedId"',
            needs={"begun": begun},
        )
