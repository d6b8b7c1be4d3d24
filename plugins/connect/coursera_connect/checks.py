# ruff: noqa: S608 - the parts of every statement are names and conditions of the binding, quoted in warehouse.py
"""Checks the OneRoster tables against the binding, set by set in SQL, so that memory does not grow with the rows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from coursera_connect.rules import RULES
from coursera_connect.warehouse import contains, is_date, items, literal, matches, number, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from coursera_connect.binding import Binding, Column
    from coursera_connect.warehouse import Warehouse

FINDINGS_PER_CHECK = 1000
"""Rows listed per rule and field; the counts are always complete."""

_GUID = "[A-Za-z0-9._/@-]{1,255}"
_DECIMAL = "-?[0-9]+([.][0-9]+)?"
_LOOSE_LIST = r"^(,|\s)|(,|\s)$|,(,|\s)|\s,"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"


@dataclass(frozen=True)
class Finding:
    """A row that breaks a rule; `row` counts from 1, header aside, and is None when the whole file is meant."""

    file: str
    row: int | None
    sourced_id: str | None
    field: str
    rule: str


@dataclass(frozen=True)
class Check:
    """One rule on one field: a condition on a row `r` of `source`, where `{rows}` stands for the rows of the file."""

    file: str
    field: str
    rule: str
    where: str
    source: str = "{rows}"

    @property
    def of_one_row(self) -> bool:
        """Whether the condition looks at a single row, so that one scan of the file can answer all such checks."""
        return self.source == "{rows}" and "select" not in self.where


@dataclass
class Outcome:
    """What the checks found: rows per file, findings (bounded), and the complete count per (rule, file, field)."""

    rows: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    counts: dict[tuple[str, str, str], int] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """Whether a rule that refuses the package was broken."""
        return any(RULES[rule].refuses for rule, _, _ in self.counts)

    def add(self, rule: str, file: str, column: str) -> None:
        """Record a finding about a file as a whole."""
        self.findings.append(Finding(file, None, None, column, rule))
        self.counts[rule, file, column] = self.counts.get((rule, file, column), 0) + 1


def rows_of(file: str) -> str:
    """Return the name of the view with a file's rows: text only, blank is the empty text."""
    return quoted(f"publish {file}")


def order_of(columns: list[str]) -> str:
    """Return the order of a file's rows: by sourcedId, then by all others, so that the same rows give the same file."""
    return ", ".join(quoted(name) for name in columns)


def define(warehouse: Warehouse, schema: str, binding: Binding) -> dict[str, list[str]]:
    """Define the view `rows_of(file)` for every file of the binding, empty where the schema has no such table.

    Returns the files that have a table, with its columns in order.
    """
    tables = warehouse.columns(schema)
    for file, standard in binding.files.items():
        if file in tables:
            cells = ", ".join(f"coalesce(cast({quoted(c)} as varchar), '') as {quoted(c)}" for c in tables[file])
            warehouse.view(f"publish {file}", f"select {cells} from {quoted(schema)}.{quoted(file)}")
        else:
            blank = ", ".join(f"'' as {quoted(column.name)}" for column in standard)
            warehouse.view(f"publish {file}", f"select {blank} where false")
    return {file: tables[file] for file in binding.files if file in tables}


def check(
    warehouse: Warehouse, present: dict[str, list[str]], binding: Binding, step: Callable[[str], None]
) -> Outcome:
    """Check the views `rows_of(file)`; `present` has the columns of those files that are there at all.

    `step` is told each file before it is read.
    """
    outcome = Outcome()
    for file, columns in present.items():
        _check_header(outcome, file, [column.name for column in binding.files[file]], columns)
    if outcome.counts:
        return outcome  # nothing below can be asked of a table without its columns
    for file in binding.files:
        outcome.rows[file] = warehouse.row(f"select count(*) from {rows_of(file)}")[0]
    _check_together(outcome, binding)
    for file, columns in present.items():
        if outcome.rows[file]:
            step(file)
            _run(warehouse, outcome, columns, [*_cell_checks(file, binding, columns), *_set_checks(file, binding)])
    return outcome


def _check_header(outcome: Outcome, file: str, expected: list[str], found: list[str]) -> None:
    standard = [name for name in found if name in expected]
    for name in expected:
        if name not in found:
            outcome.add("header-missing", file, name)
    for name in found:
        if name not in expected and not name.startswith("metadata."):
            outcome.add("header-extra", file, name)
    wanted = [name for name in expected if name in found]
    if standard == wanted and found[: len(standard)] != standard:
        wanted = [name for name in found if name.startswith("metadata.")][:1]
        standard = [""]
    for want, have in zip(wanted, standard, strict=False):
        if want != have:
            outcome.add("header-order", file, want)


def _check_together(outcome: Outcome, binding: Binding) -> None:
    if not any(outcome.rows.values()):
        outcome.add("package-empty", "manifest", "file.*")
    expected = {other for file, others in binding.together.items() if outcome.rows[file] for other in others}
    for file in binding.files:
        if file in expected and not outcome.rows[file]:
            outcome.add("together", "manifest", f"file.{file}")


def _cell_checks(file: str, binding: Binding, columns: list[str]) -> Iterator[Check]:
    known = {column.name: column for column in binding.files[file]}
    for name in columns:
        cell = f"r.{quoted(name)}"
        yield Check(file, name, "control-character", contains(cell, r"[\x00-\x1f\x7f\x{85}\x{2028}\x{2029}]"))
        column = known.get(name)
        if column is None:
            continue
        if column.required:
            yield Check(file, name, "required", f"trim({cell}) = ''")
        for rule, wrong in _wrong(column, cell):
            yield Check(file, name, rule, f"{cell} <> '' and {wrong}")


def _wrong(column: Column, cell: str) -> list[tuple[str, str]]:
    words = ", ".join(literal(value) for value in column.values)
    return {
        "guid": [("guid", f"not {matches(cell, _GUID)}")],
        "guidref": [("guid", f"not {matches(cell, _GUID)}")],
        "guidreflist": [("guid", f"not {matches(cell, f'{_GUID}(,{_GUID})*')}")],
        "bulkBlank": [("bulk-blank", "true")],
        "date": [("date", f"not ({matches(cell, _DAY)} and {is_date(cell)})")],
        "year": [("year", f"not {matches(cell, '[0-9]{4}')}")],
        "float": [("number", f"not {matches(cell, _DECIMAL)}")],
        "boolean": [("boolean", f"{cell} not in ('true', 'false')")],
        "vocabulary": [("vocabulary", f"{cell} not in ({words})")],
        "list": [("list", contains(cell, _LOOSE_LIST))],
        "string": [("string-length", f"length({cell}) > 255")],
    }[column.type]


def _set_checks(file: str, binding: Binding) -> Iterator[Check]:
    twice = (
        "r.\"sourcedId\" <> '' and {key} in (select {key} from {{rows}} as r group by {key} having count({what}) > 1)"
    )
    yield Check(file, "sourcedId", "id-unique", twice.format(key='r."sourcedId"', what="*"))
    yield Check(
        file, "sourcedId", "id-unique-case", twice.format(key='lower(r."sourcedId")', what='distinct r."sourcedId"')
    )
    for column in binding.files[file]:
        if column.references:
            yield from _reference_checks(file, column)
    yield from _FILE_CHECKS.get(file, ())


def _reference_checks(file: str, column: Column) -> Iterator[Check]:
    source, cell, target = "{rows}", f"r.{quoted(column.name)}", rows_of(column.references)
    if column.type == "guidreflist":
        source = f"(select r.*, {items(cell)} as item from {{rows}} as r where {cell} <> '')"
        cell = "r.item"
    missing = f"{cell} <> '' and not exists (select 1 from {target} as t where t.\"sourcedId\" = {cell})"
    yield Check(file, column.name, "reference", missing, source)
    if column.referencedType:
        other = (
            f'exists (select 1 from {target} as t where t."sourcedId" = {cell} '
            f'and t."type" <> {literal(column.referencedType)})'
        )
        yield Check(file, column.name, "reference-type", other, source)


def _shared(column: str) -> str:
    folded = f"lower(r.{quoted(column)})"
    return f"{folded} <> '' and {folded} in (select {folded} from {{rows}} as r group by {folded} having count(*) > 1)"


_TERMS = (
    f'(select c."sourcedId", a."startDate", a."endDate" '
    f'from (select "sourcedId", {items(quoted("termSourcedIds"))} as term from {rows_of("classes")}) as c '
    f'inner join {rows_of("academicSessions")} as a on a."sourcedId" = c.term)'
)


def _outside(column: str, after_start: str, before_end: str) -> str:
    day = f"r.{quoted(column)}"
    return (
        f'{day} <> \'\' and r."classSourcedId" in (select t."sourcedId" from {_TERMS} as t) '
        f'and not exists (select 1 from {_TERMS} as t where t."sourcedId" = r."classSourcedId" '
        f'and {day} {after_start} t."startDate" and {day} {before_end} t."endDate")'
    )


_SCORES = (
    f"(select r.*, {number('r.score')} as points, {number('i.low')} as low, {number('i.high')} as high, "
    f'i."classSourcedId" '
    f'from {{rows}} as r inner join (select "sourcedId", "resultValueMin" as low, "resultValueMax" as high, '
    f'"classSourcedId" from {rows_of("lineItems")}) as i on i."sourcedId" = r."lineItemSourcedId")'
)

_FILE_CHECKS = {
    "academicSessions": [
        Check("academicSessions", "endDate", "date-order", 'r."endDate" <> \'\' and r."endDate" <= r."startDate"')
    ],
    "users": [
        Check("users", "username", "username-unique", _shared("username")),
        Check("users", "email", "email-shared", _shared("email")),
    ],
    "enrollments": [
        Check(
            "enrollments",
            "endDate",
            "date-order",
            'r."endDate" <> \'\' and r."beginDate" <> \'\' and r."endDate" <= r."beginDate"',
        ),
        Check("enrollments", "beginDate", "outside-term", _outside("beginDate", ">=", "<")),
        Check("enrollments", "endDate", "outside-term", _outside("endDate", ">", "<=")),
        Check(
            "enrollments",
            "userSourcedId",
            "learner-twice",
            '(r."classSourcedId", r."userSourcedId", r."role") in '
            '(select r."classSourcedId", r."userSourcedId", r."role" '
            "from {rows} as r group by 1, 2, 3 having count(*) > 1)",
        ),
    ],
    "lineItems": [
        Check(
            "lineItems",
            "resultValueMax",
            "score-range",
            f"{number('r.resultValueMax')} <= {number('r.resultValueMin')}",
        ),
        Check("lineItems", "dueDate", "date-order", 'r."dueDate" <> \'\' and r."dueDate" < r."assignDate"'),
    ],
    "results": [
        Check("results", "score", "score-range", "r.points < r.low or r.points > r.high", _SCORES),
        Check(
            "results",
            "score",
            "score-scale",
            'r."lineItemSourcedId" in (select r."lineItemSourcedId" from ' + _SCORES + " as r where r.high = 100 "
            'group by r."lineItemSourcedId" having max(r.points) <= 1 '
            "and count(case when r.points > 0 and r.points < 1 "
            "then 1 end) > 0)",
        ),
        Check(
            "results",
            "studentSourcedId",
            "not-enrolled",
            f'not exists (select 1 from {rows_of("enrollments")} as e where e."classSourcedId" = r."classSourcedId" '
            'and e."userSourcedId" = r."studentSourcedId")',
            _SCORES,
        ),
    ],
}


def _run(warehouse: Warehouse, outcome: Outcome, columns: list[str], checks: list[Check]) -> None:
    file = checks[0].file
    plain = [check for check in checks if check.of_one_row]
    sums = ", ".join(f"count(case when {check.where} then 1 end)" for check in plain)
    counted = list(zip(plain, warehouse.row(f"select {sums} from {rows_of(file)} as r"), strict=True))
    for check in checks:
        if not check.of_one_row:
            query = f"select count(*) from {check.source} as r where {check.where}"
            counted.append((check, warehouse.row(query.replace("{rows}", rows_of(file)))[0]))
    numbered = f"(select *, row_number() over (order by {order_of(columns)}) as row_number from {rows_of(file)})"
    for check, count in counted:
        if not count:
            continue
        outcome.counts[check.rule, file, check.field] = count
        query = f'select r.row_number, r."sourcedId" from {check.source} as r where {check.where} order by 1'
        for row, sourced_id in warehouse.rows(f"{query} limit {FINDINGS_PER_CHECK}".replace("{rows}", numbered)):
            # What is no GUID or holds an e-mail may name a person; the row number finds it as well.
            shown = sourced_id if re.fullmatch(_GUID, sourced_id) and "@" not in sourced_id else None
            outcome.findings.append(Finding(file, row, shown, check.field, check.rule))
