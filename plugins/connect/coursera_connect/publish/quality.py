# ruff: noqa: S608 - every name in a statement is a constant or quoted
"""Lists what is wrong with the data: the findings of dbt, and those of the last publish.

A finding's severity says what happens to its rows: `flag` publishes them, `repair` publishes them with another value or
none, `skip` leaves them out, `stop` refuses the package. No finding names a person: records are identified by id.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from coursera_connect.errors import DatabaseError, UsageError
from coursera_connect.publish.model_findings import TRANSFORMS
from coursera_connect.publish.settings import REPORT
from coursera_connect.setup import lines_without_effect, people_match, programs, trial_build
from coursera_connect.warehouse import warehouse
from oneroster_csv.rules import RULES
from oneroster_csv.sql import quoted

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_connect.warehouse.warehouse import Location, Warehouse

STOP = "stop"
SEVERITIES = (STOP, "skip", "repair", "flag")
"""The severities, the most serious first."""

OF_ONEROSTER = {"error": STOP, "warning": "flag"}
COLUMNS = {"rule", "severity", "sentence", "entity", "program_id", "record_id", "how_many"}
_CONTENT = {"content-without-class": "contents", "content-without-gradebook": "enrollments"}
"""The rules whose record is a type of content, and what they count."""
_CELL = ("field", "reported")
_NOT_MADE = (
    "The transforms have not made connect.quality yet: this is only what the tap says of its rows. "
    "Run the transforms (dbt:build) for the rest."
)
_WAYS = ("by_users_list", "by_remembered")
_SHARED = ("email", "external_id", "username")


def inspect(  # noqa: PLR0913 - what is inspected, and what is asked
    database: Location,
    package: Path,
    wait: float,
    *,
    mapping: Path | None,
    transform: Path | None,
    rule: str | None = None,
    lms: Path | None = None,
) -> dict[str, Any]:
    """Return `quality` of the tables that a build would make now, and in `mapping` the lines that match nothing."""
    with trial_build.known(database, wait, mapping, transform) as (place, caution):
        facts = quality(place, package, wait, rule, lms)
        unmatched = lines_without_effect.of(place, wait, mapping) if mapping else []
    return {
        **facts,
        "database": str(database),
        "caution": " ".join(filter(None, [caution, facts["caution"]])),
        "mapping": [asdict(one) for one in unmatched],
    }


def quality(
    database: Location, package: Path, wait: float, rule: str | None = None, lms: Path | None = None
) -> dict[str, Any]:
    """Return the findings, with `rule` the records of that rule, and with `lms` how people match that file.

    `published` is when the last publish ended, None if there was none; `match` is None before the first build.
    `caution` says what is missing before the first build, and is blank otherwise.
    """
    there = people_match.read(lms) if lms else None
    report = _report(package)
    with warehouse.opened(database, wait) as opened:
        tables = opened.columns("connect")
        raw = opened.columns("coursera")
        if not tables and not raw:
            raise DatabaseError(f"{database} holds no data yet: run a job first.")
        made = set(tables.get("quality", ())) >= COLUMNS
        names = programs.newest(opened)
        rules = (of_transforms(opened) if made else _of_loader(opened, raw)) + _of_publish(report)
        facts: dict[str, Any] = {
            "database": str(database),
            "published": report["finished_at"] if report else None,
            "caution": "" if made else _NOT_MADE,
            "rules": sorted(rules, key=order),
            "duplicates": _duplicates(opened, tables),
            "usernames_replaced": _usernames_replaced(opened, tables),
            "match": _match(opened, tables, names),
            "content_types": _content_types(opened) if made else [],
        }
        facts["counts"] = {
            severity: sum(found["count"] for found in rules if found["severity"] == severity) for severity in SEVERITIES
        }
        if rule is not None:
            known = tables["quality"] if made else []
            records = _records(opened, known, report, rule, {found["rule"] for found in rules})
            facts["records"] = [one | {"program_name": names.get(one["program_id"] or "", "")} for one in records]
        if there is not None:
            facts["lms"] = people_match.compare(opened, there, str(lms))
    return facts


def order(found: dict[str, Any]) -> tuple[Any, ...]:
    """Return the sort key of a finding: severity first, then count."""
    return SEVERITIES.index(found["severity"]), -found["count"], found["rule"], found["entity"]


def _report(package: Path) -> dict[str, Any] | None:
    """Return the needed parts of the last publish's report; None if it cannot be read."""
    try:
        report = json.loads(package.with_name(REPORT).read_text("utf-8"))
        return {name: report[name] for name in ("finished_at", "problems", "findings")}
    except (OSError, ValueError, TypeError, KeyError):
        return None


def of_transforms(database: Warehouse) -> list[dict[str, Any]]:
    """Return the broken rules of `connect.quality`, each with its count."""
    query = (
        "select rule, severity, sentence, entity, sum(how_many) from connect.quality "
        "group by rule, severity, sentence, entity having sum(how_many) > 0"
    )
    return [
        {
            "source": "transforms",
            "rule": rule,
            "severity": severity if severity in SEVERITIES else "flag",
            "entity": entity,
            "count": int(count),
            "sentence": sentence,
        }
        for rule, severity, sentence, entity, count in database.rows(query)
    ]


def _of_loader(database: Warehouse, raw: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Return the tap's findings on the rows of each stream, which are known before the first build."""
    if not {"stream", "rows_repaired", "rows_left_out"} <= set(raw.get("stream_reads", ())):
        return []
    query = "select stream, sum(rows_left_out), sum(rows_repaired) from coursera.stream_reads group by 1 order by 1"
    kinds = (
        ("rows-left-out", "skip", "Rows lacked what makes them unique, so the tap left them out."),
        ("rows-repaired", "repair", "Rows had a value of a wrong type, or characters that are no text."),
    )
    return [
        {
            "source": "tap",
            "rule": rule,
            "severity": severity,
            "entity": stream,
            "count": int(count),
            "sentence": sentence,
        }
        for stream, *counts in database.rows(query)
        for (rule, severity, sentence), count in zip(kinds, counts, strict=True)
        if count
    ]


def _of_publish(report: dict[str, Any] | None) -> list[dict[str, Any]]:
    return [
        {
            "source": "publish",
            "rule": problem["rule"],
            "severity": OF_ONEROSTER.get(problem["severity"], "flag"),
            "entity": f"{problem['file']} {problem['field']}",
            "count": problem["count"],
            "sentence": f"{problem['reason']} {problem['remedy']}".strip(),
        }
        for problem in (report["problems"] if report else ())
        if problem["file"] != TRANSFORMS  # they say so themselves
    ]


def _records(
    database: Warehouse, known: list[str], report: dict[str, Any] | None, rule: str, broken: set[str]
) -> list[dict[str, Any]]:
    if rule not in broken and rule not in RULES:
        near = difflib.get_close_matches(rule, {*broken, *RULES}, n=1)
        perhaps = f", perhaps {near[0]}?" if near else "."
        raise UsageError(f"No finding is of a rule {rule}{perhaps} `connect quality` lists the rules.")
    names = ["entity", "program_id", "record_id", *(name for name in _CELL if name in known), "how_many"]
    query = (
        f"select {', '.join(names)} from connect.quality where rule = ? and how_many > 0 order by {', '.join(names)}"
    )
    found = database.rows(query, [rule]) if known else ()
    records = [{**dict(zip(names, row, strict=True)), "how_many": int(row[-1])} for row in found]
    for finding in report["findings"] if report else ():
        if finding["rule"] == rule:
            where = {"entity": f"{finding['file']} {finding['field']}", "program_id": None, "how_many": 1}
            records.append({**where, "record_id": finding["sourced_id"], "row": finding["row"]})
    return records


def _duplicates(database: Warehouse, tables: dict[str, list[str]]) -> dict[str, list[list[str]]]:
    """Return the groups of people (sourcedIds) that share a value, per attribute that should be unique.

    Letter case is ignored.
    """
    known = tables.get("people", [])
    found: dict[str, list[list[str]]] = {}
    for attribute in _SHARED:
        if not {attribute, "user_sourced_id"} <= set(known):
            continue
        query = (
            f"select string_agg(user_sourced_id, ' ' order by user_sourced_id) from connect.people "
            f"where trim({quoted(attribute)}) <> '' group by lower(trim({quoted(attribute)})) "
            "having count(*) > 1 order by 1"
        )
        found[attribute] = [people.split(" ") for (people,) in database.rows(query)]
    return found


def _usernames_replaced(database: Warehouse, tables: dict[str, list[str]]) -> list[str]:
    """Return the people whose username is the sourcedId, since several people would have had the same username."""
    if not {"is_username_shared", "user_sourced_id"} <= set(tables.get("people", ())):
        return []
    query = "select user_sourced_id from connect.people where is_username_shared order by 1"
    return [sourced_id for (sourced_id,) in database.rows(query)]


def _match(database: Warehouse, tables: dict[str, list[str]], called: dict[str, str]) -> dict[str, Any] | None:
    """Return per program and in total how many members matched a Coursera account, and by which value."""
    columns = tables.get("match", [])
    if not {"program_id", "members", "matched"} <= set(columns):
        return None
    found = []
    names = ", ".join(quoted(name) for name in columns)
    for row in database.rows(f'select {names} from "connect"."match" order by program_id'):
        cells = dict(zip(columns, row, strict=True))
        by = {name: int(cells[name] or 0) for name in _WAYS if name in cells}
        counts = _share(int(cells["members"] or 0), int(cells["matched"] or 0))
        program = cells["program_id"]
        found.append({"program_id": program, "program_name": called.get(program, ""), **counts, "by": by})
    total = _share(*(sum(one[name] for one in found) for name in ("members", "matched")))
    return {"programs": found, "total": total}


def _share(members: int, matched: int) -> dict[str, Any]:
    percent = round(100 * matched / members, 1) if members else None
    return {"members": members, "matched": matched, "unmatched": members - matched, "percent": percent}


def _content_types(database: Warehouse) -> list[dict[str, Any]]:
    """Return the content types that make no class, with the numbers of contents and enrollments."""
    query = (
        "select record_id, rule, sum(how_many) from connect.quality "
        "where record_id is not null group by record_id, rule order by record_id, rule"
    )
    found: dict[str, dict[str, int]] = {}
    for name, rule, count in database.rows(query):
        if rule in _CONTENT:
            found.setdefault(name, dict.fromkeys(_CONTENT.values(), 0))[_CONTENT[rule]] = int(count)
    return [{"content_type": name, **counts} for name, counts in found.items()]
