"""Line items and scores, joined from several files of the packages, in the shape that a gradebook target takes.

The rows of the newest package win. They are in a DuckDB database in memory that spills to disk, so that memory does not
grow with the packages.
"""

from __future__ import annotations

import csv
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from oneroster_csv import database
from tap_oneroster.types import pairs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oneroster_csv.database import Scratch
    from tap_oneroster.packages import Series

_COUNTER = "row number"
_COLUMNS = {
    "lineItems": (
        "status dateLastModified title description assignDate dueDate classSourcedId categorySourcedId "
        "resultValueMin resultValueMax"
    ),
    "results": "status dateLastModified lineItemSourcedId studentSourcedId scoreStatus score comment inProgress",
    "classes": "status title",
    "categories": "status title",
    "users": "status username userIds identifier email userMasterIdentifier",
}
_FEW_BYTES = 1 << 20

_LINE_ITEMS = """
    select
        item.sourcedId, item.status, item.dateLastModified, item.classSourcedId, class.title, item.title,
        item.description, item.resultValueMin, item.resultValueMax, category.title, item.assignDate, item.dueDate
    from lineItems as item
    left join classes as class on item.classSourcedId = class.sourcedId
    left join categories as category on item.categorySourcedId = category.sourcedId
    order by item.classSourcedId, item.sourcedId
"""
_SCORES = """
    select
        result.sourcedId, result.status, result.dateLastModified, result.lineItemSourcedId, result.studentSourcedId,
        result.scoreStatus, result.inProgress, result.score, result.comment,
        item.classSourcedId, item.resultValueMax,
        person.sourcedId, person.email, person.username, person.identifier, person.userIds, person.userMasterIdentifier
    from results as result
    left join lineItems as item on result.lineItemSourcedId = item.sourcedId
    left join users as person on result.studentSourcedId = person.sourcedId
    where result.status = 'tobedeleted'
        or (result.scoreStatus in ('fully graded', 'partially graded') and result.score <> '')
    order by result.lineItemSourcedId, result.sourcedId
"""


@contextmanager
def held(series: Series, folder: Path) -> Iterator[Scratch]:
    """Open a database with the tables `lineItems`, `results`, `classes`, `categories` and `users`.

    Each has the newest row of every sourcedId in the series, deleted ones among them.
    """
    small = sum(package.copy.stat().st_size for package in series.packages) < _FEW_BYTES
    with database.scratch(folder / "spill", small=small) as base:
        for file, names in _COLUMNS.items():
            columns = ["sourcedId", *names.split()]
            spool = folder / "rows.csv"
            with spool.open("w", encoding="utf-8", newline="") as handle:
                write = csv.writer(handle, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow
                for package in series.since_bulk(file):
                    for row in package.rows(file):
                        write([row.get(name, "") for name in columns])
            base.load(f"all {file}", columns, spool, _COUNTER)
            spool.unlink()
            newest = f'row_number() over (partition by "sourcedId" order by "{_COUNTER}" desc) = 1'
            base.view(file, f'select * from "all {file}" qualify {newest}')  # noqa: S608 - names of this module
        yield base


def line_items(base: Scratch, total_category: str) -> Iterator[dict[str, Any]]:
    """Yield the line items of a database that `held` opened.

    What belongs to a row that no package has, such as the title of a class, is left out of the record.
    """
    for row in base.rows(_LINE_ITEMS):
        key, status, modified, class_id, class_title, title, description, least, most, category, begins, due = row
        record = {
            "id": key,
            "class_id": class_id,
            "class_title": class_title,
            "label": title,
            "description": description or None,
            "score_minimum": _number(least),
            "score_maximum": _number(most),
            "category": category,
            "is_total": None if category is None else category == total_category,
            "assigned_on": begins or None,
            "due_on": due or None,
            "changed_at": modified or None,
            "deleted": status == "tobedeleted",
        }
        unknown = {"class_title"} if class_title is None else set()
        unknown |= {"category", "is_total"} if category is None else set()
        yield {name: value for name, value in record.items() if name not in unknown}


def scores(base: Scratch) -> Iterator[dict[str, Any]]:
    """Yield the scores of a database that `held` opened: results that are fully or partially graded.

    What belongs to a row that no package has, such as the e-mail address of a person, is left out of the record.
    """
    for row in base.rows(_SCORES):
        key, status, modified, item, person, graded, in_progress, score, comment, class_id, most, known, *about = row
        record = {
            "id": key,
            "line_item_id": item,
            "person_id": person,
            "score": _number(score),
            "comment": comment or None,
            "is_final": graded == "fully graded" and in_progress != "true",
            "changed_at": modified or None,
            "deleted": status == "tobedeleted",
        }
        if class_id is not None:
            record |= {"class_id": class_id, "score_maximum": _number(most)}
        if known is not None:
            email, username, identifier, user_ids, master = about
            identifiers = [identifier, master, *(text for _, text in pairs(user_ids))]
            record |= {
                "email": email or None,
                "username": username or None,
                "identifiers": list(dict.fromkeys(filter(None, identifiers))),
            }
        yield record


def _number(cell: str) -> Decimal | None:
    return Decimal(cell) if cell else None
