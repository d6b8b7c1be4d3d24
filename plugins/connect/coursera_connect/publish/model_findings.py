"""What the transforms found wrong with their own rows (`connect.quality`), as a publish tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oneroster_csv.rules import Rule

if TYPE_CHECKING:
    from coursera_connect.warehouse.warehouse import Warehouse
    from oneroster_csv.checks import Outcome

TRANSFORMS = "transforms"
"""Stands for a file where the transforms say that all files are wrong."""


def stopped(database: Warehouse, outcome: Outcome) -> str:
    """Record what the transforms found that makes the files as a whole wrong (`connect.quality`, severity stop).

    Return it in words, blank for nothing: other rules may be broken because of it.
    """
    if "quality" not in database.columns("connect"):
        return ""
    query = (
        "select distinct rule, sentence, entity, record_id from connect.quality "
        "where severity = 'stop' and how_many > 0 order by 1, 2, 3, 4"
    )
    told: dict[str, None] = {}
    for name, sentence, entity, record in database.rows(query):
        what = f"{entity} {record}" if record else entity
        rule = f"{name} {record}" if record else name
        outcome.rules[rule] = Rule(rule, sentence, "")
        outcome.add(rule, TRANSFORMS, what)
        told[sentence] = None
    return " ".join(told)


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
