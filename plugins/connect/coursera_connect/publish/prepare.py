# ruff: noqa: S608 - every name in a statement is quoted
"""Prepares a publish: reads the tables, compares them with the last publish, and checks them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from coursera_connect import command_text, oneroster
from coursera_connect.deliver import delivery
from coursera_connect.errors import DatabaseError, DeliveryError
from coursera_connect.publish import agreements, blocked, counts, guards, holds, model_findings, predecessor, stages
from coursera_connect.setup import lines_without_effect, outdated
from coursera_connect.warehouse import build as builds
from coursera_connect.warehouse import ledger
from oneroster_csv import checks, rules

if TYPE_CHECKING:
    from coursera_connect.publish.agreements import MadeOf
    from coursera_connect.publish.predecessor import Predecessor
    from coursera_connect.publish.run import Run
    from coursera_connect.publish.settings import Settings
    from coursera_connect.warehouse.build import Build
    from coursera_connect.warehouse.warehouse import Warehouse
    from oneroster_csv.binding import Binding
    from oneroster_csv.checks import Outcome
    from oneroster_csv.output import Output

_OWN_SCHEMA = {"1.1": "", "1.2": "_1_2"}
"""The suffix of the schema with the files that only this version has, or has with other columns."""


class Result(NamedTuple):
    """How a run ends: its outcome, and the reason in words (blank for a success)."""

    outcome: str
    why: str


WRONG_COLUMNS = Result("refused", "a rule is broken")
"""The result if a table lacks columns of its file, so that nothing can be compared."""


class Tables(NamedTuple):
    """The OneRoster tables of one finished build.

    `present` are the files that have a table, `columns` all that are compared with the last publish, each with its
    columns in order.
    """

    present: dict[str, list[str]]
    columns: dict[str, list[str]]
    build: Build
    made_of: MadeOf


class Comparison(NamedTuple):
    """The rows for the reader (`output`, and the header of each file), and the findings of the guards."""

    output: Output
    headers: dict[str, list[str]]
    found: blocked.Findings
    warnings: list[str]

    def fingerprint(self, binding: Binding) -> str:
        """Return the digest of all settings and headers that change how rows are written."""
        headers = {file: self.headers[file] for file in self.output.files(binding) if file in self.headers}
        return hashlib.sha256(json.dumps([self.output.fingerprint, headers], sort_keys=True).encode()).hexdigest()

    def define_package(self, database: Warehouse, binding: Binding, stage: str) -> None:
        """Define the files as they are written for the reader, from the rows of a stage."""
        rows = {file: stages.at(stage, file) for file in self.headers}
        self.output.define(database, binding, self.headers, rows, stamped=stage == "delta")


@dataclass(frozen=True)
class Candidate:
    """A package that is ready to be written by `mode`, bulk or delta; `stopped` says why it must not be published."""

    tables: Tables
    past: Predecessor
    comparison: Comparison
    mode: str
    stopped: Result | None


def prepare(database: Warehouse, run: Run, beside: dict[str, Any], *, is_shown: bool = False) -> Candidate | None:
    """Return what would be published; None if a table lacks columns. The run's report is completed.

    `beside` is the report of the last run from beside the package. With `is_shown` the tables may be outdated.
    """
    settings, report = run.settings, run.report
    tables = _tables(database, run, is_shown=is_shown)
    past = predecessor.look_back(database, beside)
    report.run, report.first, report.stamp = past.number, past.last is None, past.stamp(report.started_at)
    wrong = _wrong_columns(tables, run.binding)
    if wrong.counts:
        report.add_problems(wrong)
        return None

    with run.timed("compare"):
        run.step("Comparing with the last publish", 0)
        comparison = _compare(database, run, tables, past)
    run.fingerprint = comparison.fingerprint(run.binding)
    reason = past.no_delta(run.fingerprint, _target(settings)) if settings.mode == "delta" else ""
    mode = report.mode = "bulk" if reason else settings.mode
    report.warnings += [
        *comparison.warnings,
        *([f"A bulk file instead of a delta: {reason}."] if reason else []),
        *past.warnings(settings.mode),
    ]

    with run.timed("check"):
        outcome = _check(database, run, comparison)
        broken = model_findings.stopped(database, outcome)
        report.odd_rows = model_findings.odd_rows(database)
    _describe(database, run, tables, comparison, outcome, mode)
    builds.same(database, settings.database, tables.build)
    return Candidate(tables, past, comparison, mode, _stop(outcome, broken, comparison.found))


def _tables(database: Warehouse, run: Run, *, is_shown: bool) -> Tables:
    """Read which tables exist and which build made them, all at one moment."""
    settings, report = run.settings, run.report
    schemas = list(dict.fromkeys([settings.schema + _OWN_SCHEMA[settings.oneroster_version], settings.schema]))
    with database.steady(*schemas, builds.SCHEMA, outdated.SCHEMA):
        present = stages.sources(database, run.binding, schemas)
        if not present:
            raise DatabaseError(
                f"{settings.database} holds no OneRoster models in the schema {settings.schema} "
                f"(CONNECT_ONEROSTER_SCHEMA): run {command_text.printed('meltano run dbt:build')}"
            )
        build = builds.finished(database, settings.database)
        if not is_shown:
            outdated.refuse(database, build, settings.mapping, settings.transform)
        made_of = agreements.made_of(database, report.started_at)
        holds.doubts(database)
    report.build = build.build_id
    if settings.mapping is not None:
        found_lines = lines_without_effect.messages(lines_without_effect.within(database, settings.mapping))
        report.not_excluded = found_lines["not_excluded"]
        report.warnings += found_lines["warnings"]
    report.settings, report.data_as_of, report.read_at = made_of.settings, made_of.data_as_of, made_of.read_at
    report.warnings += made_of.warnings
    known = {*present, *stages.CONNECTED, *database.columns(ledger.SCHEMA)}
    columns = {
        file: present.get(file, [column.name for column in standard])
        for file, standard in run.binding.files.items()
        if file in known
    }
    return Tables(present, columns, build, made_of)


def _wrong_columns(tables: Tables, binding: Binding) -> Outcome:
    """Return the tables that lack columns of their file."""
    outcome = checks.Outcome(remedies=oneroster.REMEDIES)
    for file, names in tables.present.items():
        checks.check_header(outcome, file, [column.name for column in binding.files[file]], names)
    return outcome


def _compare(database: Warehouse, run: Run, tables: Tables, past: Predecessor) -> Comparison:
    """Define the stages of all rows (see stages.py): hold rows, and let the guards judge the others."""
    settings, columns, made_of, now = run.settings, tables.columns, tables.made_of, run.report.started_at
    output = _output(database, settings, made_of)
    output.unlock(database)
    stages.memory(database, columns)
    stages.apart(database, columns)
    version = past.last["version"] if past.last else settings.oneroster_version
    stages.schools(database, "source", columns, files=["users"])
    stages.schools(database, "memory", columns, stages.users_of(database, version))
    since = agreements.since(database, past.last, made_of.settings, settings, list(columns))
    holding = since.holding(past.last, made_of, now, settings)
    held = holds.hold(database, columns, holding)
    holds.keep_dates(database, holding.run_at)
    conditions = {file: output.condition(file) for file in columns}
    stages.now(database, columns, conditions)
    stages.changes(database, columns, conditions)
    stages.schools(database, "now", columns)
    found = guards.guard(database, columns, settings, since)
    newer = past.newer(made_of.data_as_of, made_of.read_at, now)
    if newer:
        found.of_the_run(newer, blocked.given("--allow-older-data", settings.allow_older_data))
    warnings = [*past.clock(now), *held.warnings, *found.warnings]
    healed = [*past.healed(holding.run_at), *held.healed, *found.healed]
    if healed:
        warnings.append(f"{blocked.HEALED} {'; '.join(healed)}.")
    return Comparison(output, {file: output.header(names) for file, names in columns.items()}, found, warnings)


def _output(database: Warehouse, settings: Settings, made_of: MadeOf) -> Output:
    """Return how the rows are written for the reader."""
    orgs = stages.at("source", "orgs")
    district = next(database.rows(f"select \"sourcedId\" from {orgs} where type = 'district'"), ("",))[0]
    return oneroster.output(
        settings.oneroster_version,
        settings.profile,
        settings.privacy_level,
        settings.privacy_key,
        settings.exclude,
        district,
        mode=settings.mode,
        identity=made_of.settings.get("identity", "coursera_id"),
    )


def _target(settings: Settings) -> str:
    """Return the target of the delivery as the ledger stores it; blank without a delivery."""
    try:
        return (
            settings.delivery
            and delivery.receiver(settings.delivery, settings.delivery_options, settings.package.name).shown
        )
    except DeliveryError:  # said when the package is to be delivered
        return ""


def _check(database: Warehouse, run: Run, comparison: Comparison) -> Outcome:
    """Check all rows as they are written, against OneRoster and the reader's profile."""
    comparison.define_package(database, run.binding, "now")
    profile = comparison.output.profile
    outcome = checks.check(
        database,
        comparison.headers,
        run.binding,
        lambda file: run.step(f"Checking {file}", 0),
        reader=profile.rules_of,
    )
    outcome.remedies = oneroster.REMEDIES
    for file in profile.needs:
        if outcome.rows.get(file) == 0:
            outcome.rules[rules.NEEDED.id] = rules.NEEDED
            outcome.add(rules.NEEDED.id, "manifest", f"file.{file}")
    return outcome


def _stop(outcome: Outcome, broken: str, found: blocked.Findings) -> Result | None:
    """Return why the package must not be published; `broken` has the findings of the models about all files."""
    if outcome.refused:
        return Result("refused", broken.removesuffix(".") or WRONG_COLUMNS.why)
    if found.drops:
        return Result("blocked", blocked.headline(found.drops))
    return None


def _describe(  # noqa: PLR0913, PLR0917 - what the parts of the report are made from
    database: Warehouse, run: Run, tables: Tables, comparison: Comparison, outcome: Outcome, mode: str
) -> None:
    """Add the findings of the checks, the guards and the comparison to the report."""
    report, found, columns = run.report, comparison.found, tables.columns
    names = dict(
        database.rows(
            f'select "sourcedId", name from {stages.at("memory", "orgs")} '
            f'union all select "sourcedId", name from {stages.at("now", "orgs")}'
        )
    )
    report.add_problems(outcome)
    errors = _errors_by_school(database, outcome)
    report.counts = [
        {**row, "school_name": names.get(row["school"], ""), "errors": errors.get((row["file"], row["school"]), 0)}
        for row in counts.per_school(database, columns)
        if any(row[name] for name in ("total", "added", "changed", "removed", "held"))
    ]
    report.totals = [row for row in counts.per_file(database, columns) if any(list(row.values())[1:])]
    report.blocked = [drop.row(names) for drop in found.drops]
    report.allowed = [drop.row(names) for drop in found.allowed]
    report.held = [
        dict(zip(("file", "sourced_id", "reason", "since", "last_read"), row, strict=True))
        for row in database.rows("select * from held order by all")
    ]
    files = comparison.output.files(run.binding)
    report.files = {
        file: {"mode": mode if rows and file in files else "absent", "rows": rows if file in files else 0}
        for file, rows in sorted(outcome.rows.items())
    }


def _errors_by_school(database: Warehouse, outcome: Outcome) -> dict[tuple[str, str], int]:
    """Return (file, school) → findings that refuse the package; rows without a school belong to the district."""
    found: dict[tuple[str, str], int] = {}
    wrong = [finding for finding in outcome.findings if outcome.rules[finding.rule].refuses]
    for file in {finding.file for finding in wrong}:
        ids = [finding.sourced_id for finding in wrong if finding.file == file]
        query = f'select * from {stages.at("schools of now", file)} where list_contains(?, "sourcedId")'
        known = dict(database.rows(query, [[one for one in ids if one]])) if any(ids) else {}
        for sourced_id in ids:
            where = (file, known.get(sourced_id or "", ""))
            found[where] = found.get(where, 0) + 1
    return found
