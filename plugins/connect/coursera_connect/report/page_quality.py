# ruff: noqa: S608 - every name in a statement is a constant or quoted
"""Queries the broken rules that the report page shows, with their rows and, on request, people's names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coursera_connect import oneroster
from coursera_connect.publish import quality
from coursera_connect.report.page_learning import CONNECTED
from coursera_connect.report.tables import identifier
from oneroster_csv.rules import RULES
from oneroster_csv.sql import quoted

if TYPE_CHECKING:
    from coursera_connect.report.tables import Tables

ROWS = 200
"""How many rows of a rule, and how many held rows, are listed; the others are only counted."""

_IDENTIFIERS_LEVEL = 3  # of the Privacy PrivacyOptions, from which what names a person in other systems is masked


@dataclass(frozen=True)
class PrivacyOptions:
    """How names are written, by the settings of `connect publish`. Without `names` no name is read."""

    names: bool = False
    schema: str = "oneroster"
    version: str = "1.1"
    profile: str = "generic"
    level: int = 0
    key: str = ""
    exclude: tuple[str, ...] = ()


def broken_rules(tables: Tables, privacy: PrivacyOptions, problems: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the broken rules, the most serious first; those of `connect.quality` with their rows.

    `problems` are those of the last publish, from the ledger.
    """
    found = []
    if tables.has("connect", "quality", quality.COLUMNS):
        people = _people(tables, privacy)
        rules = quality.of_transforms(tables.database)
        found += [{**rule, "rows": _rows(tables, rule, people, privacy)} for rule in rules]
    for problem in problems:
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


def _people(tables: Tables, privacy: PrivacyOptions) -> str:
    """Return the query for the sourcedId and name of everybody; names are blank unless they were requested."""
    if not privacy.names or not tables.has(privacy.schema, "users", ("givenName", "familyName")):
        return "select cast(null as varchar) as id, cast(null as varchar) as name where false"
    district = tables.one(privacy.schema, "orgs", 'min("sourcedId")', where="type = 'district'", needs=("type",)) or ""
    identity = tables.one("connect", "settings_used", "max(identity)", needs=("identity",)) or "coursera_id"
    written = oneroster.output(
        privacy.version, privacy.profile, privacy.level, privacy.key, privacy.exclude, district, identity=identity
    )
    written.unlock(tables.database)
    name = " || ' ' || ".join(written.cell("users", column) for column in ("givenName", "familyName"))
    return f'select r."sourcedId" as id, trim({name}) as name from {quoted(privacy.schema)}.users as r'


def _rows(tables: Tables, rule: dict[str, Any], people: str, privacy: PrivacyOptions) -> list[dict[str, Any]]:
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
    if tables.has("connect", "enrollments", ("enrollment_sourced_id", *CONNECTED["enrollments"])):
        learner = "e.user_sourced_id"
        joins += " left join connect.enrollments as e on q.record_id = e.enrollment_sourced_id"
        if tables.has("connect", "classes", CONNECTED["classes"]):
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
        person = identifier(row.pop("person"))
        unknown = rule["entity"] == "user" and not person and privacy.level >= _IDENTIFIERS_LEVEL
        row["hidden"] = bool(row["record"]) and not person and (unknown or "@" in row["record"])
        row["id"] = "" if row["hidden"] else person or identifier(row["record"])
        del row["record"]
        row["learner"] = identifier(row["learner"])
    return found
