# ruff: noqa: S608 - every name in a statement is a constant or quoted
"""Queries the warehouse for everything that the report page shows: the ledger, and the tables that dbt has made.

Values are texts, numbers, None, and lists and dicts of these. People are shown by id; an id with an @ may be an e-mail
address and is left out. Names are included only on request, as the Privacy Shield writes them.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from coursera_connect import timestamps
from coursera_connect.jobs import health
from coursera_connect.report import page_learning, page_quality
from coursera_connect.report.project_state import schedules
from coursera_connect.report.tables import Tables, identifier
from coursera_connect.setup import programs, schools
from coursera_connect.warehouse import build as builds
from coursera_connect.warehouse import ledger

if TYPE_CHECKING:
    from datetime import timedelta

    from coursera_connect.report.page_quality import PrivacyOptions
    from coursera_connect.report.project_state import ProjectState
    from coursera_connect.warehouse.warehouse import Warehouse

RUNS = 60
"""How many runs the page shows."""

_MOVES = ("added", "changed", "removed")


def gather(database: Warehouse, privacy: PrivacyOptions, state: ProjectState) -> dict[str, Any]:
    """Return the data of the page, from the warehouse, the journal and the schedules."""
    tables = Tables(database, privacy.schema)
    runs = _runs(tables)
    last = runs[0] if runs else None
    facts: dict[str, Any] = {
        "now": ledger.now(),
        "environment": state.environment,
        "is_sandbox": state.is_sandbox,
        "unread": "",
        "organisation": tables.one(
            privacy.schema, "orgs", "min(name)", where="type = 'district'", needs=("name", "type")
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
        "quality": page_quality.broken_rules(tables, privacy, _of_run(tables, "problems", last)),
        "shield": {"names": privacy.names, "level": privacy.level},
    }
    if facts["published"]:
        facts["files"] = {file: row["total"] for file, row in facts["published"]["files"].items() if row["total"]}
    return facts | _jobs(tables, state, facts) | schedules(state) | page_learning.learning(tables)


def _jobs(tables: Tables, state: ProjectState, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the newest runs of jobs, the failure that is not made up for, the last load and the last delivery.

    If a publish is the last run in the ledger, its failure is described by the ledger.
    """
    runs = ledger.job_runs(tables.database, state.journal)
    published = facts["published"]
    failed = health.failure(runs, published["finished_at"] if published else "")
    last = facts["runs"][0]["run"] if facts["runs"] else None
    if failed is not None and failed.published and failed.ledger_run == last and not health.loads_in_vain(failed):
        failed = None
    loaded = health.last_load(runs)
    delivered = [run for run in facts["runs"] if run["delivered_to"] and run["placed"]]
    return {
        "jobs": [{**asdict(run), "seconds": run.seconds, "schedule": run.schedule} for run in runs[:RUNS]],
        "failed": health.described(failed) if failed else None,
        "last_load": (loaded.ended_at or facts["now"]) if loaded else facts["data"]["read_at"],
        "last_load_of": loaded.job if loaded else "",
        "delivered": delivered[0] if delivered else None,
    }


def _runs(tables: Tables) -> list[dict[str, Any]]:
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


def _of_run(tables: Tables, name: str, run: dict[str, Any] | None) -> list[dict[str, Any]]:
    rows = ledger.read(tables.database, name, "run = ?", [run["run"]], order="all") if run else []
    for row in rows:
        if "sourced_ids" in row:
            row["sourced_ids"] = [one for one in map(identifier, (row["sourced_ids"] or "").split()) if one][
                : page_quality.ROWS
            ]
    return rows


def _held(tables: Tables, run: dict[str, Any] | None) -> dict[str, Any]:
    rows = _of_run(tables, "held", run)
    for row in rows:
        row["sourced_id"] = identifier(row["sourced_id"])
    return {"count": len(rows), "rows": rows[: page_quality.ROWS]}


def _since(tables: Tables, runs: list[dict[str, Any]]) -> dict[str, Any]:
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
        for file, counts_of_file in run["files"].items() if run["run"] in among else ():
            of_file = sums.setdefault(file, dict.fromkeys(_MOVES, 0))
            for name in _MOVES:
                of_file[name] += counts_of_file[name]
    return {"base": base, "yesterday": bool(earlier), "runs": len(among), "rows": rows, "sums": sums}


# What the transforms made


def _data(tables: Tables) -> dict[str, Any]:
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


def _schools(tables: Tables) -> list[dict[str, Any]]:
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


def age(text: Any, now: str) -> timedelta | None:
    """Return how long before `now` a time is; None if the text is not a time."""
    then, here = timestamps.parsed(text), timestamps.parsed(now)
    return here - then if then and here else None
