# ruff: noqa: S608 - every name in a statement is a constant or quoted
"""Queries the warehouse for everything that the report page shows: the ledger, and the tables that dbt has made.

If a schema, a table or a column does not exist yet, its part stays empty: an empty warehouse has a page, too. Values
are texts, numbers, None, and lists and dicts of these. People are shown by id; an id with an @ may be an e-mail address
and is left out. Names are included only on request, as the Privacy Shield writes them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from coursera_connect import timestamps
from coursera_connect.jobs import health
from coursera_connect.publish import oneroster, quality
from coursera_connect.report.project_state import schedules
from coursera_connect.setup import programs, schools
from coursera_connect.warehouse import build as builds
from coursera_connect.warehouse import ledger
from oneroster_csv.rules import RULES
from oneroster_csv.sql import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from coursera_connect.report.project_state import Around
    from coursera_connect.warehouse.warehouse import Warehouse

RUNS = 60
"""How many runs the page shows."""

ROWS = 200
"""How many rows of a rule, and how many held rows, are listed; the others are only counted."""

CLASSES = 1000
"""How many classes are listed: those with the most learners."""

FEWEST = 5
"""The fewest learners whose grades are summarised: the median of one learner is that learner's grade."""

_MOVES = ("added", "changed", "removed")
_IDENTIFIERS_LEVEL = 3  # of the Privacy Shield, from which what names a person in other systems is masked


@dataclass(frozen=True)
class Shield:
    """How names are written, by the settings of `connect publish`. Without `names` no name is read."""

    names: bool = False
    schema: str = "oneroster"
    version: str = "1.1"
    profile: str = "generic"
    level: int = 0
    key: str = ""
    exclude: tuple[str, ...] = ()


def gather(database: Warehouse, shield: Shield, around: Around) -> dict[str, Any]:
    """Return the data of the page, from the warehouse, the journal and the schedules."""
    tables = _Tables(database, shield.schema)
    runs = _runs(tables)
    last = runs[0] if runs else None
    facts: dict[str, Any] = {
        "now": ledger.now(),
        "environment": around.environment,
        "is_sandbox": around.is_sandbox,
        "unread": "",
        "organisation": tables.one(
            shield.schema, "orgs", "min(name)", where="type = 'district'", needs=("name", "type")
        ),
        "unfinished": builds.unfinished(database, "The warehouse"),
        "data": _data(tables),
        "runs": runs,
        "published": next((run for run in runs if run["outcome"] in {"published", "unchanged"}), None),
        "blocked": _of_run(tables, "blocked", last),
        "held": _held(tables, last),
        "problems": _of_run(tables, "problems", last),
        "since": _since(tables, runs),
        "files": {},
        "schools": _schools(tables),
        "quality": _quality(tables, shield, last),
        "shield": {"names": shield.names, "level": shield.level},
    }
    if facts["published"]:
        facts["files"] = {file: row["total"] for file, row in facts["published"]["files"].items() if row["total"]}
    return facts | _jobs(tables, around, facts) | schedules(around) | _learning(tables)


def _jobs(tables: _Tables, around: Around, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the newest runs of jobs, the failure that is not made up for, the last load and the last delivery.

    If a publish is the last run in the ledger, its failure is described by the ledger.
    """
    runs = ledger.job_runs(tables.database, around.journal)
    published = facts["published"]
    failed = health.failure(runs, published["finished_at"] if published else "")
    last = facts["runs"][0]["run"] if facts["runs"] else None
    if failed is not None and failed.published and failed.ledger_run == last and not health.loads_in_vain(failed):
        failed = None
    loaded = health.last_load(runs)
    delivered = [run for run in facts["runs"] if run["delivered_to"] and run["placed"]]
    return {
        "jobs": [{**asdict(run), "seconds": run.seconds, "schedule": run.schedule} for run in runs[:RUNS]],
        "failed": health.told(failed) if failed else None,
        "last_load": (loaded.ended_at or facts["now"]) if loaded else facts["data"]["read_at"],
        "last_load_of": loaded.job if loaded else "",
        "delivered": delivered[0] if delivered else None,
    }


class _Tables:
    """The warehouse with queries that leave out missing tables and columns."""

    def __init__(self, database: Warehouse, oneroster: str) -> None:
        self.database = database
        schemas = ("coursera", "mapping", "connect", oneroster, ledger.SCHEMA)
        self.columns = {schema: database.columns(schema) for schema in schemas}

    def has(self, schema: str, table: str, needs: Iterable[str] = ()) -> bool:
        """Return whether a table with these columns exists."""
        columns = self.columns[schema].get(table)
        return columns is not None and set(needs) <= set(columns)

    def one(self, schema: str, table: str, what: str, *, where: str = "true", needs: Iterable[str] = ()) -> Any:
        """Return one value of a table; None if there is none."""
        if not self.has(schema, table, needs):
            return None
        return self.database.row(f"select {what} from {quoted(schema)}.{quoted(table)} where {where}")[0]

    def dicts(self, query: str, names: Sequence[str], values: Iterable[Any] = ()) -> list[dict[str, Any]]:
        """Return the rows of a query by the names given for its columns."""
        return [dict(zip(names, map(_plain, row), strict=True)) for row in self.database.rows(query, list(values))]


def _plain(value: Any) -> Any:
    """Return a value of the database as text or number."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    return float(value) if hasattr(value, "as_tuple") else str(value)


def _id(text: Any) -> str:
    """Return an id; blank if it may be an e-mail address."""
    return "" if text is None or "@" in str(text) else str(text)


# The ledger


def _runs(tables: _Tables) -> list[dict[str, Any]]:
    """Return the newest publishes, newest first, each with its sums."""
    found = ledger.read(tables.database, "runs", order="run desc", limit=RUNS)
    if not found:
        return []
    names = ("total", *_MOVES, "held")
    sums = ledger.sums(tables.database, found[-1]["run"])
    first = tables.one("ledger", "runs", "min(run)", where=ledger.PUBLISHED)
    for run in found:
        run["files"] = sums.get(run["run"], {})
        run.update({name: sum(row[name] for row in run["files"].values()) for name in names})
        if run["outcome"] in {"published", "unchanged"} and not run["placed"]:
            run["outcome"] = "undelivered"
        run["seconds"] = json.loads(run["seconds"] or "{}").get("all")
        run["is_first"] = run["run"] == first
        del run["settings"], run["versions"], run["shape"]
    return found


def _of_run(tables: _Tables, name: str, run: dict[str, Any] | None) -> list[dict[str, Any]]:
    rows = ledger.read(tables.database, name, "run = ?", [run["run"]], order="all") if run else []
    for row in rows:
        if "sourced_ids" in row:
            row["sourced_ids"] = [one for one in map(_id, (row["sourced_ids"] or "").split()) if one][:ROWS]
    return rows


def _held(tables: _Tables, run: dict[str, Any] | None) -> dict[str, Any]:
    rows = _of_run(tables, "held", run)
    for row in rows:
        row["sourced_id"] = _id(row["sourced_id"])
    return {"count": len(rows), "rows": rows[:ROWS]}


def _since(tables: _Tables, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the changes since the last publish of an earlier day, or without one since the publish before the last.

    `base` is that publish, None if there is none; `yesterday` is whether it was on an earlier day. There is a row per
    file and school in which something changed; a row of a file that changed in two runs counts twice.
    """
    done = [run for run in runs if run["outcome"] in {"published", "unchanged", "undelivered"}]
    if not done:
        return {"base": None, "yesterday": False, "runs": 0, "rows": [], "sums": {}}
    today = done[0]["started_at"][:10]
    earlier = [run for run in done if run["started_at"][:10] != today]  # by the order of runs: a clock may go back
    base = earlier[0] if earlier else done[1] if len(done) > 1 else None
    among = [run["run"] for run in done if base is None or run["run"] > base["run"]]
    rows = tables.dicts(
        f"select file, school, max(school_name), sum(added), sum(changed), sum(removed), max(held) "
        f"from {ledger.table('counts')} where run in ({', '.join('?' * len(among))}) group by file, school "
        "having sum(added) + sum(changed) + sum(removed) + max(held) > 0 order by file, max(school_name), school",
        ("file", "school", "school_name", *_MOVES, "held"),
        among,
    )
    for row in rows:
        row |= {name: int(row[name]) for name in (*_MOVES, "held")}
    sums: dict[str, dict[str, int]] = {}
    for run in done:
        for file, told in run["files"].items() if run["run"] in among else ():
            of_file = sums.setdefault(file, dict.fromkeys(_MOVES, 0))
            for name in _MOVES:
                of_file[name] += told[name]
    return {"base": base, "yesterday": bool(earlier), "runs": len(among), "rows": rows, "sums": sums}


# What the transforms made


def _data(tables: _Tables) -> dict[str, Any]:
    """Return when Coursera's reports were refreshed, and when they were read."""
    refreshed, read = (
        _of_epoch(tables.one("connect", "freshness", f"max(extract(epoch from {name}))", needs=(name,)))
        for name in ("report_refreshed_at", "read_at")
    )
    as_of = tables.one("connect", "settings_used", "max(data_as_of)", needs=("data_as_of",))
    return {"refreshed_at": refreshed or as_of, "read_at": read}


def _of_epoch(seconds: Any) -> str | None:
    # A number, since DuckDB's client cannot give a moment with its zone unless pytz is installed.
    if seconds is None:
        return None
    return timestamps.of_epoch(seconds)


def _schools(tables: _Tables) -> list[dict[str, Any]]:
    """Return every program of Coursera or of the mapping, with its school and state, members and classes."""
    mapped: schools.Mapped = {}
    columns = ("program_id", "program_name", "school_id", "school_name")
    if tables.has("mapping", "school_mapping", columns):
        for row in tables.dicts(f"select {', '.join(columns)} from mapping.school_mapping", columns):
            cells = [str(row[name] or "") for name in columns]
            mapped[cells[0]] = schools.School(*cells[1:])
    source = programs.newest(tables.database)
    sourced: dict[str, dict[str, Any]] = {}
    if tables.has("connect", "program_schools", ("program_id", "school_sourced_id", "school_name")):
        query = "select program_id, school_sourced_id, school_name from connect.program_schools"
        sourced = {row["program_id"]: row for row in tables.dicts(query, ("program_id", "school", "school_name"))}
    match: dict[str, dict[str, Any]] = {}
    if tables.has("connect", "match", ("program_id", "members", "matched")):
        query = "select program_id, members, matched from connect.match"
        match = {row["program_id"]: row for row in tables.dicts(query, ("program_id", "members", "matched"))}
    classes: dict[str, int] = {}
    if tables.has("connect", "classes", ("program_id",)):
        classes = dict(tables.database.rows("select program_id, count(*) from connect.classes group by program_id"))
    found = []
    everything = not schools.chooses(mapped)
    for entry in schools.listed(source, mapped):
        one = entry.program_id
        in_files = sourced.get(one, {})
        found.append(
            {
                "program_id": one,
                "program": entry.program_name,
                "school": in_files.get("school", ""),
                "school_name": in_files.get("school_name", "") if everything else entry.school_name,
                "state": "unmapped-all" if everything and entry.state == schools.MISSING else entry.state,
                "renamed": entry.renamed,
                "members": int(match.get(one, {}).get("members") or 0),
                "matched": int(match.get(one, {}).get("matched") or 0),
                "classes": classes.get(one, 0),
            }
        )
    return found


_CONNECTED = {
    "enrollments": ("program_id", "class_sourced_id", "user_sourced_id", "is_completed", "grade_0_to_1", "enrolled_on"),
    "classes": ("program_id", "class_sourced_id", "class_title", "school_sourced_id"),
}
_GRADE = "case when e.is_completed then cast(e.grade_0_to_1 as double precision) * 100 end"
_SUMS = f"""
    count(e.user_sourced_id), count(distinct e.user_sourced_id),
    sum(case when e.is_completed then 1 else 0 end), count({_GRADE}),
    percentile_cont(0.25) within group (order by {_GRADE}),
    percentile_cont(0.5) within group (order by {_GRADE}),
    percentile_cont(0.75) within group (order by {_GRADE})
"""
_SUM_NAMES = ("enrollments", "learners", "completed", "graded", "lower", "median", "upper")


def _learning(tables: _Tables) -> dict[str, Any]:
    """Return enrollments, completions and final grades per program, class and month, and by tens of percent."""
    if not all(tables.has("connect", name, columns) for name, columns in _CONNECTED.items()):
        return {"programs": [], "classes": [], "months": [], "bins": []}
    of_programs = tables.dicts(
        f"select e.program_id, {_SUMS} from connect.enrollments as e group by e.program_id order by e.program_id",
        ("program_id", *_SUM_NAMES),
    )
    classes = tables.dicts(
        "select c.program_id, c.class_sourced_id, c.class_title, c.school_sourced_id, "
        f"{_SUMS} from connect.classes as c "
        "left join connect.enrollments as e on c.class_sourced_id = e.class_sourced_id "
        "group by c.program_id, c.class_sourced_id, c.class_title, c.school_sourced_id "
        f"order by count(e.user_sourced_id) desc, c.class_sourced_id limit {CLASSES}",
        ("program_id", "class", "title", "school", *_SUM_NAMES),
    )
    classes.sort(key=lambda row: ((row["title"] or "").casefold(), row["class"]))
    for row in (*of_programs, *classes):
        _sum_up(row)
    many = {row["program_id"] for row in of_programs if row["median"] is not None}
    bins = tables.dicts(
        f"select program_id, least(floor(grade / 10), 9) * 10, count(*) "
        f"from (select e.program_id, {_GRADE} as grade from connect.enrollments as e) as g "
        "where grade between 0 and 100 group by 1, 2 order by 1, 2",
        ("program_id", "from", "count"),
    )
    return {
        "programs": of_programs,
        "classes": classes,
        "months": _months(tables),
        "bins": [{**row, "from": int(row["from"])} for row in bins if row["program_id"] in many],
    }


def _sum_up(row: dict[str, Any]) -> None:
    row["completed"] = int(row["completed"] or 0)
    enough = row["graded"] >= FEWEST
    for name in ("lower", "median", "upper"):
        row[name] = round(float(row[name]), 1) if enough and row[name] is not None else None


def _months(tables: _Tables) -> list[dict[str, Any]]:
    """Return per program and month, such as 2026-02, how many enrollments began and how many were completed."""
    completed = "completed_on" if tables.has("connect", "enrollments", ("completed_on",)) else "null"
    month = "substr(cast({} as varchar), 1, 7)"
    return tables.dicts(
        "select program_id, month, sum(enrolled), sum(completed) from ("
        f"select program_id, {month.format('enrolled_on')} as month, 1 as enrolled, 0 as completed "
        "from connect.enrollments where enrolled_on is not null union all "
        f"select program_id, {month.format(completed)}, 0, 1 "
        f"from connect.enrollments where is_completed and {completed} is not null"
        ") as moves group by program_id, month order by month, program_id",
        ("program_id", "month", "enrolled", "completed"),
    )


# What is wrong


def _quality(tables: _Tables, shield: Shield, last: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the broken rules, the most serious first; those of `connect.quality` with their rows."""
    found = []
    if tables.has("connect", "quality", quality.COLUMNS):
        people = _people(tables, shield)
        rules = quality.of_transforms(tables.database)
        found += [{**rule, "rows": _rows(tables, rule, people, shield)} for rule in rules]
    for problem in _of_run(tables, "problems", last):
        broken = RULES.get(problem["rule"])
        found.append(
            {
                "source": "publish",
                "rule": problem["rule"],
                "severity": quality.OF_ONEROSTER.get(problem["severity"], "flag"),
                "entity": f"{problem['file']} {problem['field']}",
                "count": problem["how_many"],
                "sentence": f"{broken.sentence} {oneroster.REMEDIES.get(broken.id, broken.remedy)}"
                if broken
                else "A rule of the reader's profile is broken.",
                "rows": [],
            }
        )
    return sorted(found, key=quality.order)


def _people(tables: _Tables, shield: Shield) -> str:
    """Return the query for the sourcedId and name of everybody; names are blank unless they were requested."""
    if not shield.names or not tables.has(shield.schema, "users", ("givenName", "familyName")):
        return "select cast(null as varchar) as id, cast(null as varchar) as name where false"
    district = tables.one(shield.schema, "orgs", 'min("sourcedId")', where="type = 'district'", needs=("type",)) or ""
    identity = tables.one("connect", "settings_used", "max(identity)", needs=("identity",)) or "coursera_id"
    written = oneroster.output(
        shield.version, shield.profile, shield.level, shield.key, shield.exclude, district, identity=identity
    )
    written.unlock(tables.database)
    name = " || ' ' || ".join(written.cell("users", column) for column in ("givenName", "familyName"))
    return f'select r."sourcedId" as id, trim({name}) as name from {quoted(shield.schema)}.users as r'


def _rows(tables: _Tables, rule: dict[str, Any], people: str, shield: Shield) -> list[dict[str, Any]]:
    """Return the rows of a rule of `connect.quality`: program, id, person or class, and how many.

    People are shown by sourcedId, which readers of the package know, and not by ids of other systems.
    """
    person = learner = title = "cast(null as varchar)"
    joins = ""
    if tables.has("connect", "people", ("person_id", "user_sourced_id")):
        person = "p.user_sourced_id"
        joins += (
            " left join connect.people as p on q.entity = 'user' and q.record_id in (p.user_sourced_id, p.person_id)"
        )
    if tables.has("connect", "enrollments", ("enrollment_sourced_id", *_CONNECTED["enrollments"])):
        learner = "e.user_sourced_id"
        joins += " left join connect.enrollments as e on q.record_id = e.enrollment_sourced_id"
        if tables.has("connect", "classes", _CONNECTED["classes"]):
            title = "c.class_title"
            joins += " left join connect.classes as c on e.class_sourced_id = c.class_sourced_id"
    query = (
        f"select q.program_id, q.record_id, {person}, {learner}, {title}, n.name, q.how_many "
        f"from connect.quality as q{joins} "
        f"left join ({people}) as n on n.id = coalesce({person}, {learner}, q.record_id) "
        "where q.rule = ? and q.severity = ? and q.entity = ? and q.how_many > 0 "
        f"order by q.program_id, q.record_id limit {ROWS}"
    )
    names = ("program_id", "record", "person", "learner", "title", "name", "count")
    found = tables.dicts(query, names, [rule["rule"], rule["severity"], rule["entity"]])
    for row in found:
        row["count"] = int(row["count"])
        person = _id(row.pop("person"))
        unknown = rule["entity"] == "user" and not person and shield.level >= _IDENTIFIERS_LEVEL
        row["hidden"] = bool(row["record"]) and not person and (unknown or "@" in row["record"])
        row["id"] = "" if row["hidden"] else person or _id(row["record"])
        del row["record"]
        row["learner"] = _id(row["learner"])
    return found


def age(text: Any, now: str) -> timedelta | None:
    """Return how long before `now` a time is; None if the text is not a time."""
    then, here = timestamps.parsed(text), timestamps.parsed(now)
    return here - then if then and here else None
