# ruff: noqa: S608 - the parts of every statement are names and conditions of the binding, quoted
"""Checks the OneRoster tables against the binding, set by set in SQL, so that memory does not grow with the rows."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from oneroster_csv import binding as bindings
from oneroster_csv.rules import RULES, Rule
from oneroster_csv.sql import (
    contains,
    how_many,
    is_date,
    is_time,
    items,
    literal,
    matches,
    number,
    quoted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from oneroster_csv.binding import Binding, Column
    from oneroster_csv.database import Database
    from oneroster_csv.profile import ReaderRule

FINDINGS_PER_CHECK = 1000
"""The most rows that are listed per rule and field; the counts are always complete."""

_FILES = {file for version in bindings.VERSIONS for file in bindings.load(version).files} | {"manifest"}
_GUID = "[A-Za-z0-9._/@-]{1,255}"
_DECIMAL = "-?[0-9]+([.][0-9]+)?"
_LOOSE_LIST = r"^(,|\s)|(,|\s)$|,(,|\s)|\s,"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_MOMENT = f"{_DAY}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}[.][0-9]{{3}}Z"
_PAIR = r"\{[^{}:,]+:[^{},]+\}"
_PERCENT = "[0-9]{1,2}|100"
_UUID_URN = "urn:uuid:[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_DEEP = 20  # No tree of orgs or sessions has so many levels, so the search for loops ends there.


@dataclass(frozen=True)
class Finding:
    """A row that breaks a rule; `row` counts from 1 without the header, and is None for the whole file."""

    file: str
    row: int | None
    sourced_id: str | None
    field: str
    rule: str


@dataclass(frozen=True)
class Check:
    """One rule on one field: a condition on a row `r` of `source`.

    `{rows}` stands for the rows of the file, `{living}` for those that a delta file does not delete. `whole` are the
    files that must be known in full: where one of them is a delta, the check is left out.
    """

    file: str
    field: str
    rule: str
    where: str
    source: str = "{rows}"
    whole: tuple[str, ...] = ()
    only_with: str = ""
    """A rule that is broken by every row that breaks this one; if that rule finds nothing, this one is not checked."""

    @property
    def of_one_row(self) -> bool:
        """Whether the condition is about a single row, so that one scan of the file answers all such checks."""
        return self.source == "{rows}" and "select" not in self.where

    @property
    def of_ids(self) -> bool:
        """Whether the check finds duplicate ids; there are none if all ids differ in lower case."""
        return self.rule in {"id-unique", "id-unique-case"}

    def query(self, wanted: str, rows: str, mode: str) -> str:
        """Return the query for `wanted` of the rows that break the rule, from the relation `rows`."""
        living = rows if mode == "bulk" else f"(select * from {rows} where \"status\" <> 'tobedeleted')"
        text = f"select {wanted} from {self.source} as r where {self.where}"
        return text.replace("{living}", living).replace("{rows}", rows)


@dataclass
class Outcome:
    """The result of the checks: rows per file, listed findings, and the complete count per (rule, file, field)."""

    rows: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    counts: dict[tuple[str, str, str], int] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=lambda: dict(RULES))
    """The rules of the binding and of the reader."""
    remedies: Mapping[str, str] = field(default_factory=dict)
    """Remedies of the caller by the id of a rule, in place of the rule's own."""

    @property
    def refused(self) -> bool:
        """Whether a broken rule refuses the package."""
        return any(self.rules[rule].refuses for rule, _, _ in self.counts)

    def refused_counts(self) -> int:
        """Return how many findings refuse the package."""
        return sum(count for (rule, _, _), count in self.counts.items() if self.rules[rule].refuses)

    def add(self, rule: str, file: str, column: str, row: int | None = None) -> None:
        """Record a finding about a row, or about a file as a whole."""
        count = self.counts.get((rule, file, column), 0)
        if count < FINDINGS_PER_CHECK:
            self.findings.append(Finding(file, row, None, column, rule))
        self.counts[rule, file, column] = count + 1

    def described(self) -> dict[str, list[dict[str, Any]]]:
        """Return `problems` (one per rule, file and field) and `findings` (one per row) as reports show them."""
        return {
            "problems": [
                {
                    "rule": rule,
                    "severity": self.rules[rule].severity,
                    "file": _shown(file),
                    "field": column,
                    "count": count,
                    "reason": self.rules[rule].sentence,
                    "remedy": self.remedies.get(rule, self.rules[rule].remedy).replace("{field}", column),
                }
                for (rule, file, column), count in self.counts.items()
            ],
            "findings": [
                {
                    **asdict(finding),
                    "file": _shown(finding.file),
                    "severity": self.rules[finding.rule].severity,
                    "reason": self.rules[finding.rule].sentence,
                }
                for finding in self.findings
            ],
        }


def _shown(file: str) -> str:
    return f"{file}.csv" if file in _FILES else file


def rows_of(file: str) -> str:
    """Return the name of the view with a file's rows: text only, blank is the empty text."""
    return quoted(f"publish {file}")


def text_rows(schema: str, table: str, columns: list[str]) -> str:
    """Return the query for the rows of a table, each cell as its text and null as the empty text."""
    cells = ", ".join(f"coalesce(cast({quoted(name)} as varchar), '') as {quoted(name)}" for name in columns)
    return f"select {cells} from {quoted(schema)}.{quoted(table)}"


def order_of(columns: list[str]) -> str:
    """Return the ORDER BY columns of a file: sourcedId, then all others, so that equal rows give equal files."""
    return ", ".join(quoted(name) for name in columns)


def check(  # noqa: PLR0913 - the two that follow `step` are for deltas and for packages
    database: Database,
    present: dict[str, list[str]],
    binding: Binding,
    step: Callable[[str], None] = lambda _file: None,
    modes: Mapping[str, str] | None = None,
    *,
    counter: str = "",
    reader: Callable[[str], list[ReaderRule]] = lambda _file: [],
) -> Outcome:
    """Check the views `rows_of(file)`; `present` has the columns of the files that exist.

    `step` is called with each file before it is read. `modes` has the mode of each file that is not `bulk`: a `delta`
    has status and dateLastModified in every row, and its rows may refer to rows that were delivered before, so rules on
    whole files are not checked. `counter` is a column of the views that counts the rows from 1; without it rows are
    counted in the order in which they are written. `reader` returns the reader's own rules for a file.
    """
    outcome = Outcome()
    for file, columns in present.items():
        check_header(outcome, file, [column.name for column in binding.files[file]], columns)
    if outcome.counts:
        return outcome  # The checks below need the columns.
    mode = {file: (modes or {}).get(file, "bulk") for file in binding.files}
    for file in binding.files:
        outcome.rows[file] = database.row(f"select count(*) from {rows_of(file)}")[0] if file in present else 0
    _check_together(outcome, binding, mode)
    for file, columns in present.items():
        if outcome.rows[file]:
            step(file)
            count = counter and quoted(counter)
            numbered = count or f"row_number() over (order by {order_of(columns)})"
            checks = [*_cell_checks(file, binding, columns, mode[file]), *_set_checks(file, binding)]
            for rule in reader(file):
                outcome.rules[rule.id] = Rule(rule.id, rule.sentence, rule.remedy, rule.refuses)
                if rule.column in columns:
                    checks.append(_reader_check(file, rule, mode[file]))
            known = [check for check in checks if all(mode[other] == "bulk" for other in check.whole)]
            _run(database, outcome, known, mode[file], f"(select *, {numbered} as row_number from {rows_of(file)})")
    return outcome


def _reader_check(file: str, rule: ReaderRule, mode: str) -> Check:
    """Return the check of a reader's rule; it does not apply to rows that a delta deletes."""
    if mode == "bulk":
        return Check(file, rule.column, rule.id, rule.condition)
    return Check(file, rule.column, rule.id, rule.condition.replace("{rows}", "{living}"), "{living}")


def check_header(outcome: Outcome, file: str, expected: list[str], found: list[str]) -> None:
    """Check the names and the order of a file's columns."""
    folded = {_folded(name): name for name in expected}
    twice = {name for name in found if [other.lower() for other in found].count(name.lower()) > 1}
    for name in sorted(twice):
        outcome.add("header-duplicate", file, name if name in expected else "metadata.*")
    if twice:
        return
    alike = {folded[_folded(name)] for name in found if name not in expected and _folded(name) in folded} - {*found}
    for name in expected:
        if name in alike:
            outcome.add("header-case", file, name)
        elif name not in found:
            outcome.add("header-missing", file, name)
    for place, name in enumerate(found, 1):
        if name not in expected and folded.get(_folded(name)) not in alike and not _EXTENSION.fullmatch(name):
            # Where the header is missing, the first line is a row, whose cells may name a person.
            outcome.add("header-extra", file, name if re.fullmatch("[a-z]+[A-Za-z]{1,60}", name) else f"column {place}")
    _check_order(outcome, file, expected, found)


def _check_order(outcome: Outcome, file: str, expected: list[str], found: list[str]) -> None:
    standard = [name for name in found if name in expected]
    wanted = [name for name in expected if name in found]
    if standard == wanted and found[: len(standard)] != standard:
        wanted = [name for name in found if name.startswith("metadata.")][:1]
        standard = [""]
    for want, have in zip(wanted, standard, strict=False):
        if want != have:
            outcome.add("header-order", file, want)


_EXTENSION = re.compile(r"metadata\..+")


def _folded(name: str) -> str:
    """Return a text without letter case, spaces and invisible characters."""
    return "".join(character for character in name.lower() if character.isprintable() and not character.isspace())


def _check_together(outcome: Outcome, binding: Binding, mode: dict[str, str]) -> None:
    bulk = [file for file in binding.files if mode[file] == "bulk"]
    if not any(outcome.rows.values()) and len(bulk) == len(mode):
        outcome.add("package-empty", "manifest", "file.*")
    expected = {other for file in bulk if outcome.rows[file] for other in binding.together.get(file, ())}
    for file in bulk:
        if file in expected and not outcome.rows[file]:
            outcome.add("together", "manifest", f"file.{file}")


def _cell_checks(file: str, binding: Binding, columns: list[str], mode: str) -> Iterator[Check]:
    known = {column.name: column for column in binding.files[file]}
    for name in columns:
        cell = f"r.{quoted(name)}"
        column = known.get(name)
        control = contains(cell, r"[\x00-\x1f\x7f\x{85}\x{2028}\x{2029}]")
        yield Check(file, name, "control-character", control, only_with=_strictest(column, mode))
        if column is None:
            continue
        if column.required:
            yield Check(file, name, "required", f"trim({cell}) = ''")
        if column.type in {"status", "modified"}:
            yield _kept(file, column, cell, mode)
        for rule, wrong in _wrong(column, cell):
            yield Check(file, name, rule, f"{cell} <> '' and {wrong}")
        if column.type == "list" and column.values:
            source = f"(select r.*, {items(cell)} as item from {{rows}} as r where {cell} <> '')"
            yield Check(file, name, "vocabulary", _foreign(column, "r.item"), source)


def _strictest(column: Column | None, mode: str) -> str:
    """Return the rule on a column's cells that excludes control characters; blank if there is none."""
    if column is None or column.extensible:
        return ""
    if mode == "bulk" and column.type in {"status", "modified"}:
        return "bulk-blank"
    return {
        "guid": "guid",
        "guidref": "guid",
        "guidreflist": "guid",
        "status": "delta-status",
        "modified": "delta-modified",
        "date": "date",
        "year": "year",
        "float": "number",
        "percent": "percent",
        "boolean": "boolean",
        "vocabulary": "vocabulary",
    }.get(column.type, "")


def _kept(file: str, column: Column, cell: str, mode: str) -> Check:
    if mode == "bulk":
        return Check(file, column.name, "bulk-blank", f"{cell} <> ''")
    if column.type == "status":
        return Check(file, column.name, "delta-status", f"{cell} not in ('active', 'tobedeleted')")
    return Check(file, column.name, "delta-modified", f"not ({matches(cell, _MOMENT)} and {is_time(cell)})")


def _foreign(column: Column, cell: str) -> str:
    words = ", ".join(literal(value) for value in column.values)
    condition = f"{cell} not in ({words})"
    return f"{condition} and not {matches(cell, 'ext:.+')}" if column.extensible else condition


def _wrong(column: Column, cell: str) -> list[tuple[str, str]]:
    return {
        "guid": [("guid", f"not {matches(cell, _GUID)}")],
        "guidref": [("guid", f"not {matches(cell, _GUID)}")],
        "guidreflist": [("guid", f"not {matches(cell, f'{_GUID}(,{_GUID})*')}")],
        "status": [],
        "modified": [],
        "date": [("date", f"not ({matches(cell, _DAY)} and {is_date(cell)})")],
        "year": [("year", f"not {matches(cell, '[0-9]{4}')}")],
        "float": [("number", f"not {matches(cell, _DECIMAL)}")],
        "percent": [("percent", f"not {matches(cell, _PERCENT)}")],
        "boolean": [("boolean", f"{cell} not in ('true', 'false')")],
        "vocabulary": [("vocabulary", _foreign(column, cell))],
        "list": [("list", contains(cell, _LOOSE_LIST))],
        "pairs": [("pairs", f"not {matches(cell, f'{_PAIR}(,{_PAIR})*')}")],
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
    if file in binding.sameLength:
        one, other = (how_many(f"r.{quoted(name)}") for name in binding.sameLength[file])
        yield Check(file, binding.sameLength[file][0], "subjects", f"{one} <> {other}")
    yield from _FILE_CHECKS.get(file, ())


def _reference_checks(file: str, column: Column) -> Iterator[Check]:
    source, cell, target = "{rows}", f"r.{quoted(column.name)}", rows_of(column.references)
    if column.type == "guidreflist":
        source = f"(select r.*, {items(cell)} as item from {{rows}} as r where {cell} <> '')"
        cell = "r.item"
    missing = f"{cell} <> '' and not exists (select 1 from {target} as t where t.\"sourcedId\" = {cell})"
    yield Check(file, column.name, "reference", missing, source, (file, column.references))
    wrong = []
    if column.referencedType:
        wrong = [f't."type" <> {literal(column.referencedType)}', "not starts_with(t.\"type\", 'ext:')"]
    if column.notReferencedType:
        wrong = [f't."type" = {literal(column.notReferencedType)}']
    if wrong:
        other = f'exists (select 1 from {target} as t where t."sourcedId" = {cell} and {" and ".join(wrong)})'
        yield Check(file, column.name, "reference-type", other, source)


def _shared(column: str) -> str:
    folded = f"lower(r.{quoted(column)})"
    return (
        f"{folded} <> '' and {folded} in (select {folded} from {{living}} as r group by {folded} having count(*) > 1)"
    )


def _loop(file: str) -> Check:
    above = f"from {rows_of(file)} as t where t.\"parentSourcedId\" <> ''"
    up = (
        f'with recursive up as (select t."sourcedId" as id, t."parentSourcedId" as parent, 1 as steps {above} '
        f'union all select up.id, t."parentSourcedId", up.steps + 1 {above.replace(" where", ", up where")} '
        f'and t."sourcedId" = up.parent and up.parent <> up.id and up.steps < {_DEEP}) '
        "select id from up where id = parent"
    )
    return Check(file, "parentSourcedId", "parent-loop", f'r."sourcedId" in ({up})')


def _objective(file: str) -> Check:
    urn = matches('r."learningObjectiveId"', _UUID_URN)
    return Check(file, "learningObjectiveId", "objective-urn", f"r.\"source\" = 'case' and not {urn}")


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
    f'i."classSourcedId" as "itemClass" '
    f'from {{rows}} as r inner join (select "sourcedId", "resultValueMin" as low, "resultValueMax" as high, '
    f'"classSourcedId" from {rows_of("lineItems")}) as i on i."sourcedId" = r."lineItemSourcedId")'
)

_ENDS_EARLY = 'r."endDate" <> \'\' and r."beginDate" <> \'\' and r."endDate" <= r."beginDate"'
_WITH_TERMS = ("enrollments", "classes", "academicSessions")
_PRIMARY = "r.\"primary\" = 'true' and r.\"role\" = 'teacher'"
_RANKS = (
    '(r."userSourcedId", r."orgSourcedId") in (select r."userSourcedId", r."orgSourcedId" from {living} as r '
    "group by 1, 2 having count(case when r.\"roleType\" = 'primary' then 1 end) "
)

_FILE_CHECKS = {
    "academicSessions": [
        Check("academicSessions", "endDate", "date-order", 'r."endDate" <> \'\' and r."endDate" <= r."startDate"'),
        Check(
            "academicSessions",
            "parentSourcedId",
            "parent-dates",
            'exists (select 1 from {living} as t where t."sourcedId" = r."parentSourcedId" '
            'and (r."startDate" < t."startDate" or r."endDate" > t."endDate"))',
            "{living}",
        ),
        _loop("academicSessions"),
    ],
    "orgs": [_loop("orgs")],
    "users": [
        Check("users", "username", "username-unique", _shared("username"), "{living}"),
        Check("users", "email", "email-shared", _shared("email"), "{living}"),
    ],
    "enrollments": [
        Check("enrollments", "endDate", "date-order", _ENDS_EARLY),
        Check("enrollments", "beginDate", "outside-term", _outside("beginDate", ">=", "<"), whole=_WITH_TERMS),
        Check("enrollments", "endDate", "outside-term", _outside("endDate", ">", "<="), whole=_WITH_TERMS),
        Check(
            "enrollments",
            "userSourcedId",
            "learner-twice",
            '(r."classSourcedId", r."userSourcedId", r."role") in '
            '(select r."classSourcedId", r."userSourcedId", r."role" '
            "from {living} as r group by 1, 2, 3 having count(*) > 1)",
            "{living}",
        ),
        Check(
            "enrollments",
            "primary",
            "primary-teacher",
            "r.\"primary\" = 'true' and r.\"role\" in ('administrator', 'proctor', 'student')",
        ),
        Check(
            "enrollments",
            "primary",
            "primary-twice",
            f'{_PRIMARY} and r."classSourcedId" in (select r."classSourcedId" from {{living}} as r where {_PRIMARY} '
            "group by 1 having count(*) > 1)",
            "{living}",
        ),
    ],
    "roles": [
        Check("roles", "endDate", "date-order", _ENDS_EARLY),
        Check("roles", "roleType", "role-primary", _RANKS + "> 1)", "{living}"),
        Check("roles", "roleType", "role-primary", _RANKS + "= 0)", "{living}", ("roles",)),
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
            f'not exists (select 1 from {rows_of("enrollments")} as e where e."classSourcedId" = r."itemClass" '
            'and e."userSourcedId" = r."studentSourcedId")',
            _SCORES,
            ("results", "lineItems", "enrollments"),
        ),
    ],
    "lineItemLearningObjectiveIds": [_objective("lineItemLearningObjectiveIds")],
    "resultLearningObjectiveIds": [_objective("resultLearningObjectiveIds")],
}


def _run(database: Database, outcome: Outcome, checks: list[Check], mode: str, numbered: str) -> None:
    file = checks[0].file
    plain = [check for check in checks if check.of_one_row]
    counts = _counts(database, file, [check for check in plain if not check.only_with])
    broken = {(check.field, check.rule) for check, count in counts.items() if count}
    counts |= _counts(database, file, [check for check in plain if (check.field, check.only_with) in broken])
    folded = 'lower("sourcedId")'
    twice = database.row(
        f"select count(*) > count(distinct {folded}) from {rows_of(file)} where \"sourcedId\" <> ''",
    )[0]
    others = [check for check in checks if not check.of_one_row and (twice or not check.of_ids)]
    counts |= {check: database.row(check.query("count(*)", rows_of(file), mode))[0] for check in others}
    for check in (*plain, *others):
        count = counts.get(check, 0)
        if not count:
            continue
        key = check.rule, file, check.field
        outcome.counts[key] = outcome.counts.get(key, 0) + count
        query = check.query('r.row_number, r."sourcedId"', numbered, mode)
        for row, sourced_id in database.rows(f"{query} order by 1 limit {FINDINGS_PER_CHECK}"):
            # An id that is no GUID or holds an e-mail may name a person; the row number identifies the row as well.
            shown = sourced_id if re.fullmatch(_GUID, sourced_id) and "@" not in sourced_id else None
            outcome.findings.append(Finding(file, row, shown, check.field, check.rule))


def _counts(database: Database, file: str, checks: list[Check]) -> dict[Check, int]:
    """Return how many rows of a file break each check of single rows, from one scan."""
    if not checks:
        return {}
    sums = ", ".join(f"count(case when {check.where} then 1 end)" for check in checks)
    return dict(zip(checks, database.row(f"select {sums} from {rows_of(file)} as r"), strict=True))
