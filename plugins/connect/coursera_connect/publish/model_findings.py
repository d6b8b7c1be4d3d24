"""Reports the findings of dbt about its own rows (`connect.quality`) in a publish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oneroster_csv.rules import Rule

if TYPE_CHECKING:
    from coursera_connect.warehouse.warehouse import Warehouse
    from oneroster_csv.checks import Outcome

TRANSFORMS = "transforms"
"""The name in place of a file for a finding that makes all files wrong."""


def stopped(database: Warehouse, outcome: Outcome) -> str:
    """Record findings that make all files wrong (`connect.quality`, severity stop).

    Return them in words, blank if there are none: other rules may be broken because of them.
    """
    if "quality" not in database.columns("connect"):
        return ""
    query = (
        "select distinct rule, sentence, entity, record_id from connect.quality "
        "where severity = 'stop' and how_many > 0 order by 1, 2, 3, 4"
    )
    sentences: dict[str, None] = {}
    for name, sentence, entity, record in database.rows(query):
        what = f"{entity} {record}" if record else entity
        rule = f"{name} {record}" if record else name
        outcome.rules[rule] = Rule(rule, sentence, "")
        outcome.add(rule, TRANSFORMS, what)
        sentences[sentence] = None
    return " ".join(sentences)


def odd_rows(database: Warehouse) -> list[dict[str, Any]]:
    """Return how many records each rule of `connect.quality` flagged, repaired or left out, by kind of record."""
    if "quality" not in database.columns("connect"):
        return []
    query = (
        "select rule, severity, entity, cast(sum(how_many) as bigint) from connect.quality "
        "where severity <> 'stop' group by rule, severity, entity order by 1, 2, 3"
    )
    names = ("rule", "severity", "entity", "how_many")
    return [dict(zip(names, row, strict=True)) for row in database.rows(query)]
