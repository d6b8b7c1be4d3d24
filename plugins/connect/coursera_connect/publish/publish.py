# ruff: noqa: S608 - every name in a statement is ours or quoted
"""One publish: hold, compare, guard and check, then write, replace atomically and deliver; the ledger keeps it all.

What happens when the process dies: before the commit nothing happened; after it, the run is in the ledger and nobody
knows whether its package reached the reader, so the next delta begins at the last run of which that is known, and has
tombstones also for what only the doubtful packages brought.

`placed` in the report beside the package names the newest run that the reader may have seen (see predecessor.py).
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coursera_connect import meltano
from coursera_connect.deliver import delivery
from coursera_connect.errors import ConnectError, DatabaseError, DeliveryError, UsageError
from coursera_connect.jobs import ending, journal
from coursera_connect.publish import (
    agreements,
    allowed_days,
    guards,
    holds,
    model_findings,
    oneroster,
    package,
    predecessor,
    stages,
)
from coursera_connect.report import announcements, notices
from coursera_connect.setup import lines_without_effect, mapping, outdated
from coursera_connect.warehouse import build as builds
from coursera_connect.warehouse import ledger, trial_build, warehouse
from oneroster_csv import binding as bindings
from oneroster_csv import checks, rules
from oneroster_csv import package as packages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from coursera_connect.warehouse.warehouse import Location, Warehouse
    from oneroster_csv.binding import Binding
    from oneroster_csv.output import Output

REPORT = "publish-report.json"
"""Name of the report, beside the package; the same as Markdown has the suffix `.md`."""

PREVIEW = "preview"
"""Name of the folder of previews, beside the package."""

_OWN_SCHEMA = {"1.1": "", "1.2": "_1_2"}
"""What follows the schema's name where the files stand that only this version has, or has with other columns."""

_ROWS_LISTED = 1000


@dataclass(frozen=True)
class Settings:
    """What a publish needs to know; the options of `connect publish` describe each. `wait` is in seconds."""

    database: Location
    package: Path
    schema: str = "oneroster"
    oneroster_version: str = "1.1"
    mode: str = "bulk"
    profile: str = "generic"
    privacy_level: int = 0
    privacy_key: str = field(default="", repr=False)
    exclude: tuple[str, ...] = ()
    system_name: str = ""
    system_code: str = ""
    removal_threshold: float = 15.0
    removal_rows: int = 5
    allow_removals: bool = False
    score_threshold: float = 10.0
    score_rows: int = 10
    allow_lower_scores: bool = False
    change_threshold: float = 50.0
    change_rows: int = 50
    allow_changes: bool = False
    allow_above_maximum: bool = False
    allow_older_data: bool = False
    blackout: str = ""
    lms_time_zone: str = "UTC"
    consent_until: str = ""
    mapping: Path | None = None
    transform: Path | None = None
    delivery: str = field(default="", repr=False)
    delivery_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    webhook: str = field(default="", repr=False)
    notify: str = field(default="", repr=False)
    wait: float = 5.0


def publish(settings: Settings, step: Callable[[str, int], None]) -> dict[str, Any]:
    """Publish the package and return the report, whose `outcome` tells what happened.

    `published` or `unchanged` (same bytes as before), `refused` by the checks, `blocked` by a guard, or `skipped` in a
    black-out.
    `step` is told a sentence and a number of rows while the work goes on.
    """
    run = _Run(settings, step)
    run.note(ending.BEGAN)
    with package.locked(settings.package, settings.wait):
        run.look_back()
        try:
            _usable(settings)
            reason = allowed_days.black_out(settings.blackout, settings.lms_time_zone)
            if reason:
                return run.end("skipped", reason)
            with warehouse.opened(settings.database, settings.wait, write=True) as database:
                run.prepare(database)
                stopped = run.stopped()
                if stopped:
                    return run.end(*stopped, database=database)
                run.write(database, settings.package)
            run.deliver()
        except ConnectError as error:
            run.fail(error)
            error.report = run.told()
            raise
        return run.end("unchanged" if run.report["unchanged"] else "published", "")


def preview(settings: Settings, step: Callable[[str, int], None]) -> dict[str, Any]:
    """Do everything but the delivery: the package goes into the folder `preview` beside the real one, and is forgotten.

    The report has the keys of :func:`publish`, and in `changes` the ids of the rows added, changed and removed.
    """
    _usable(settings)
    run = _Run(settings, step)
    run.look_back()
    scratch = settings.package.parent / PREVIEW / settings.package.name
    with (
        package.locked(scratch, settings.wait),
        trial_build.up_to_date(settings.database, settings.wait, settings.mapping, settings.transform) as (
            place,
            caution,
        ),
        warehouse.opened(place, settings.wait) as database,
    ):
        run.prepare(database, is_shown=bool(caution))
        run.report["warnings"] += filter(None, [caution])
        run.report["changes"] = run.changes(database) if run.headers else {}
        outcome, why = run.stopped() or ("published", "")
        if outcome != "refused":
            run.write_file(database, scratch)
        run.report |= {"outcome": outcome, "why": why, "published": outcome == "published", "package": str(scratch)}
        run.report["finished_at"] = ledger.now()
        told = run.told()
        with package.replacing(scratch.with_name(REPORT), scratch) as handle:
            handle.write((json.dumps(told, indent=2) + "\n").encode())
    return told


def _usable(settings: Settings) -> None:
    allowed_days.within_consent(settings.consent_until, settings.lms_time_zone)
    if settings.mapping is not None:
        problems = mapping.problems(settings.mapping)
        if problems:
            first = problems[0]
            raise UsageError(f"{first} ({len(problems)} found; `connect mapping check` lists all)")


class _Run:
    """One run: its report grows while it goes on."""

    def __init__(self, settings: Settings, step: Callable[[str, int], None]) -> None:
        self.settings = settings
        self.step = step
        self.binding: Binding = bindings.load(settings.oneroster_version)
        self.began = time.monotonic()
        self.columns: dict[str, list[str]] = {}
        self.headers: dict[str, list[str]] = {}
        self.recorded = False
        self.found = guards.Findings()
        self.stopping = ""
        self.seal = uuid.uuid4().hex
        self.before: dict[str, Any] = {}
        self.journal = journal.place(settings.package)
        self.entry = journal.of_meltano(self.journal, os.environ.get(meltano.RUN, ""))
        self.report: dict[str, Any] = {
            "outcome": "failed",
            "why": "",
            "environment": meltano.environment_of_now() or "",
            "published": False,
            "first": False,
            "unchanged": False,
            "run": None,
            "build": "",
            "package": str(settings.package),
            "database": str(settings.database),
            "started_at": ledger.now(),
            "finished_at": "",
            "mode": settings.mode,
            "version": settings.oneroster_version,
            "profile": settings.profile,
            "privacy_level": settings.privacy_level,
            "data_as_of": "",
            "read_at": "",
            "stamp": "",
            "settings": {},
            "bytes": 0,
            "sha256": "",
            "seconds": {},
            "files": {},
            "counts": [],
            "totals": [],
            "problems": [],
            "odd_rows": [],
            "findings": [],
            "blocked": [],
            "allowed": [],
            "held": [],
            "delivery": None,
            "not_excluded": [],
            "warnings": [],
            "placed": None,
        }

    def look_back(self) -> None:
        """Read what the last run left beside the package. Called once nobody else can write there."""
        self.before = predecessor.report_beside(self.settings.package.with_name(REPORT))
        self.report["placed"] = self.before.get("placed")

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.report["seconds"][what] = round(time.monotonic() - began, 2)

    def prepare(self, database: Warehouse, *, is_shown: bool = False) -> None:
        """Define all stages and find out whether they may be published; tables to look at may be outdated."""
        settings, report = self.settings, self.report
        schemas = list(dict.fromkeys([settings.schema + _OWN_SCHEMA[settings.oneroster_version], settings.schema]))
        with database.steady(*schemas, builds.SCHEMA, outdated.SCHEMA):
            self.present = stages.sources(database, self.binding, schemas)
            if not self.present:
                raise DatabaseError(
                    f"{settings.database} holds no OneRoster models in the schema {settings.schema} "
                    f"(CONNECT_ONEROSTER_SCHEMA): run {meltano.printed('meltano run dbt:build')}"
                )
            build = builds.finished(database, settings.database)
            if not is_shown:
                outdated.refuse(database, build, settings.mapping, settings.transform)
            facts, warnings = agreements.used(database, report["started_at"])
            holds.doubts(database)
            report["build"] = build.build_id
        if settings.mapping is not None:
            told = lines_without_effect.told(lines_without_effect.within(database, settings.mapping))
            report["not_excluded"] = told["not_excluded"]
            report["warnings"] += told["warnings"]
        known = {*self.present, *stages.CONNECTED, *database.columns(ledger.SCHEMA)}
        self.columns = {
            file: self.present.get(file, [column.name for column in standard])
            for file, standard in self.binding.files.items()
            if file in known
        }
        report |= facts
        report["warnings"] += warnings
        self.past = predecessor.look_back(database, self.before)
        self.last = self.past.last
        report |= {"run": self.past.number, "first": self.last is None, "stamp": self.past.stamp(report["started_at"])}
        if not self._headers_are_right():
            return
        with self.timed("compare"):
            self.step("Comparing with the last publish", 0)
            self._compare(database)
        reason = self.past.no_delta(self.fingerprint, self._target()) if settings.mode == "delta" else ""
        self.mode = report["mode"] = "bulk" if reason else settings.mode
        if reason:
            report["warnings"].append(f"A bulk file instead of a delta: {reason}.")
        report["warnings"] += self.past.warnings(settings.mode)
        with self.timed("check"):
            self._present(database, "now")
            outcome = checks.check(
                database,
                self.headers,
                self.binding,
                lambda file: self.step(f"Checking {file}", 0),
                reader=self.output.profile.rules_of,
            )
            outcome.remedies = oneroster.REMEDIES
            self._need(outcome)
            self.stopping = model_findings.stopped(database, outcome)
            report["odd_rows"] = model_findings.odd_rows(database)
        self.refused = outcome.refused
        self._describe(database, outcome)
        builds.same(database, settings.database, build)

    def _headers_are_right(self) -> bool:
        """Whether every table has its columns; without them nothing can be compared, and the package is refused."""
        outcome = checks.Outcome(remedies=oneroster.REMEDIES)
        for file, names in self.present.items():
            checks.check_header(outcome, file, [column.name for column in self.binding.files[file]], names)
        self.refused = bool(outcome.counts)
        self.report |= outcome.described()
        return not self.refused

    def _compare(self, database: Warehouse) -> None:
        settings, columns = self.settings, self.columns
        orgs = stages.at("source", "orgs")
        district = next(database.rows(f"select \"sourcedId\" from {orgs} where type = 'district'"), ("",))[0]
        self.output: Output = oneroster.output(
            settings.oneroster_version,
            settings.profile,
            settings.privacy_level,
            settings.privacy_key,
            settings.exclude,
            district,
            mode=settings.mode,
            identity=self.report["settings"].get("identity", "coursera_id"),
        )
        self.output.unlock(database)
        self.headers = {file: self.output.header(names) for file, names in self.columns.items()}
        stages.memory(database, columns)
        stages.apart(database, columns)
        version = self.last["version"] if self.last else settings.oneroster_version
        stages.schools(database, "source", columns, files=["users"])
        stages.schools(database, "memory", columns, stages.users_of(database, version))
        since = agreements.since(database, self.last, self.report["settings"], settings, list(columns))
        holding = since.holding(self.last, self.report, settings)
        told = holds.hold(database, columns, holding)
        holds.keep_dates(database, holding.run_at)
        conditions = {file: self.output.condition(file) for file in columns}
        stages.now(database, columns, conditions)
        stages.changes(database, columns, conditions)
        stages.schools(database, "now", columns)
        self.found = guards.guard(database, columns, settings, since)
        newer = self.past.newer(self.report["data_as_of"], self.report["read_at"], self.report["started_at"])
        if newer:
            self.found.of_the_run(newer, guards.given("--allow-older-data", settings.allow_older_data))
        healed = [*self.past.healed(holding.run_at), *told.healed, *self.found.healed]
        self.report["warnings"] += [*self.past.clock(self.report["started_at"]), *told.warnings, *self.found.warnings]
        if healed:
            self.report["warnings"].append(f"{guards.HEALED} {'; '.join(healed)}.")

    def _target(self) -> str:
        """Where the package is brought to, as the ledger remembers it; blank when it stays in its place."""
        settings = self.settings
        try:
            return (
                settings.delivery
                and delivery.receiver(settings.delivery, settings.delivery_options, settings.package.name).shown
            )
        except DeliveryError:  # said when the package is to be delivered
            return ""

    @property
    def fingerprint(self) -> str:
        """Of all that makes the same rows look different to the reader."""
        headers = {file: self.headers[file] for file in self.output.files(self.binding) if file in self.headers}
        return hashlib.sha256(json.dumps([self.output.fingerprint, headers], sort_keys=True).encode()).hexdigest()

    def _present(self, database: Warehouse, stage: str) -> None:
        """Define the files as the reader is to see them."""
        rows = {file: stages.at(stage, file) for file in self.headers}
        self.output.define(database, self.binding, self.headers, rows, stamped=stage == "delta")

    def _need(self, outcome: checks.Outcome) -> None:
        """Record which files the reader cannot do without and does not get."""
        for file in self.output.profile.needs:
            if outcome.rows.get(file) == 0:
                outcome.rules[rules.NEEDED.id] = rules.NEEDED
                outcome.add(rules.NEEDED.id, "manifest", f"file.{file}")

    def _describe(self, database: Warehouse, outcome: checks.Outcome) -> None:
        report = self.report
        names = dict(
            database.rows(
                f'select "sourcedId", name from {stages.at("memory", "orgs")} '
                f'union all select "sourcedId", name from {stages.at("now", "orgs")}'
            )
        )
        report |= outcome.described()
        errors = _errors_by_school(database, outcome)
        report["counts"] = [
            {**row, "school_name": names.get(row["school"], ""), "errors": errors.get((row["file"], row["school"]), 0)}
            for row in guards.counts(database, self.columns)
            if any(row[name] for name in ("total", "added", "changed", "removed", "held"))
        ]
        report["totals"] = [row for row in guards.totals(database, self.columns) if any(list(row.values())[1:])]
        report["blocked"] = [drop.told(names) for drop in self.found.drops]
        report["allowed"] = [drop.told(names) for drop in self.found.allowed]
        report["held"] = [
            {"file": file, "sourced_id": sourced_id, "reason": reason, "since": since}
            for file, sourced_id, reason, since in database.rows("select * from held order by all")
        ]
        files = self.output.files(self.binding)
        report["files"] = {
            file: {"mode": self.mode if rows and file in files else "absent", "rows": rows if file in files else 0}
            for file, rows in sorted(outcome.rows.items())
        }

    def stopped(self) -> tuple[str, str] | None:
        """Return outcome and reason when this package must not be published."""
        if self.refused:
            return "refused", self.stopping.removesuffix(".") or "a rule is broken"
        if self.found.drops:
            return "blocked", guards.headline(self.found.drops)
        return None

    def changes(self, database: Warehouse) -> dict[str, dict[str, list[str]]]:
        """Return file → added, changed, removed → the first ids."""
        found: dict[str, dict[str, list[str]]] = {}
        for file in self.columns:
            for what in ("added", "changed", "removed"):
                changed = stages.at("changes", file)
                query = f'select "sourcedId" from {changed} where what = ? order by 1 limit {_ROWS_LISTED}'
                ids = [row[0] for row in database.rows(query, [what])]
                if ids:
                    found.setdefault(file, {})[what] = ids
        return found

    def write_file(self, database: Warehouse, target: Path, commit: Callable[[], None] = lambda: None) -> None:
        """Write the package beside its place, commit, and only then let it take its place."""
        report, profile = self.report, self.output.profile
        if self.mode == "delta":
            assert self.past.placed is not None  # noqa: S101 - else there is no delta
            stages.delta(database, self.columns, self.past.placed["run"], report["stamp"])
            self._present(database, "delta")
        parts = packages.parts(database, self.binding, self.output, self.headers, self.mode)
        report["files"] = {
            file: {"mode": parts[file].mode, "rows": parts[file].rows}
            if file in parts
            else {"mode": "absent", "rows": 0}
            for file in sorted(self.binding.files)
        }
        named = {"source.systemName": self.settings.system_name, "source.systemCode": self.settings.system_code}
        properties = dict(profile.manifest) | {name: value for name, value in named.items() if value}
        place = self.settings.package  # also of a preview: would the file there change?
        before = package.digest(place) if place.is_file() else ""
        with self.timed("write"), package.replacing(target, target, keep_same=True) as handle:
            packages.write(
                handle,
                database,
                self.binding,
                parts,
                properties,
                profile.quotes == "all",
                lambda file, rows: self.step(f"Writing {file}", rows),
            )
            handle.flush()
            partial = Path(handle.name)
            report["bytes"], report["sha256"] = partial.stat().st_size, package.digest(partial)
            report["unchanged"] = before == report["sha256"]
            commit()

    def write(self, database: Warehouse, target: Path) -> None:
        """Write the package, and into the ledger what it holds, so that both or neither remain."""

        def commit() -> None:
            self.report["outcome"] = "unchanged" if self.report["unchanged"] else "published"
            with database.transaction():
                ledger.prepare(database, self.past.known_as)
                stages.remember(database, self.columns, self.report["run"])
                ledger.note_sizes(database, self.report["run"])
                self._record(database)
            self._identity = ledger.identity(database)
            if (
                self.past.is_ours
            ):  # else the reader may have seen what this ledger does not know, until this run is placed
                self.report["placed"] = self._me()
                self._write(json.dumps({**self.before, "placed": self._me()}, indent=2), REPORT)

        self.write_file(database, target, commit)
        self.report["published"] = True
        if not self.settings.delivery:
            self._settle(database, "")

    def _me(self) -> dict[str, Any]:
        of_the_run = {name: self.report[name] for name in ("run", "data_as_of", "read_at", "stamp")}
        return {"ledger": self._identity, "seal": self.seal, **of_the_run}

    def deliver(self) -> None:
        """Bring the package to its receiver; the warehouse is free for others meanwhile."""
        settings = self.settings
        if not settings.delivery:
            return
        self._write_report()  # what is in place here is known, should the delivery not end
        with self.timed("deliver"):
            done = delivery.deliver(settings.package, settings.delivery, settings.delivery_options, step=self.step)
        self.report["delivery"] = asdict(done)
        try:
            with warehouse.opened(settings.database, settings.wait, write=True) as database:
                self._settle(database, done.target_shown)
        except ConnectError as error:
            self.report["warnings"].append(f"Delivered, but the ledger could not note it ({error})")

    def _settle(self, database: Warehouse, delivered_to: str) -> None:
        """Note that the package is where its reader finds it: the next delta begins here."""
        with database.transaction():
            database.store(
                f"update {ledger.table('runs')} set placed = true, delivered_to = ?, finished_at = ?, seconds = ? "
                "where run = ?",
                [delivered_to, ledger.now(), json.dumps(self._seconds()), self.report["run"]],
            )
        self.report["placed"] = self._me()

    def _seconds(self) -> dict[str, float]:
        return {**self.report["seconds"], "all": round(time.monotonic() - self.began, 2)}

    def _record(self, database: Warehouse) -> None:
        report, run = self.report, self.report["run"]
        row = {
            **{name: report[name] for name in ("run", "outcome", "why", "started_at", "mode", "version", "profile")},
            **{name: report[name] for name in ("data_as_of", "read_at", "stamp", "package", "bytes", "sha256")},
            "finished_at": ledger.now(),
            "shape": self.fingerprint if self.headers else "",
            "settings": json.dumps(report["settings"], sort_keys=True),
            "delivered_to": "",
            "placed": False,
            "seconds": json.dumps(self._seconds()),
            "versions": json.dumps({name: version(name) for name in ("coursera-connect", "duckdb")}),
            "seal": self.seal,
        }
        ledger.record(database, "runs", [row])
        for name in ("counts", "totals"):
            ledger.record(database, name, [{"run": run, **row} for row in report[name]])
        ledger.take_over(database, self.journal)
        problems = [{**row, "run": run, "how_many": row["count"]} for row in report["problems"]]
        ledger.record(database, "problems", problems)
        ledger.record(database, "odd_rows", [{"run": run, **row} for row in report["odd_rows"]])
        ledger.record(database, "held", [{"run": run, **row} for row in report["held"]])
        for name in ("blocked", "allowed"):
            drops = [{**row, "run": run, "sourced_ids": " ".join(row["sourced_ids"])} for row in report[name]]
            ledger.record(database, name, drops)
        if report["outcome"] in {"published", "unchanged"}:
            for kind, subject in self.found.used:
                database.store(
                    f"update {ledger.table('agreements')} set used_by_run = ? "
                    "where kind = ? and subject = ? and used_by_run is null",
                    [run, kind, subject],
                )
        self.recorded = True

    def end(self, outcome: str, why: str, database: Warehouse | None = None) -> dict[str, Any]:
        """Complete the report, in the ledger, as files and to the webhook."""
        report = self.report
        report |= {"outcome": outcome, "why": why, "finished_at": ledger.now()}
        report["seconds"]["all"] = round(time.monotonic() - self.began, 2)
        if database is not None and not self.recorded:
            self._record_alone(database)
        elif not self.recorded:
            # A black-out or a failure is worth a line in the ledger, and not worth a second failure.
            with suppress(ConnectError), warehouse.opened(self.settings.database, 0, write=True) as opened:
                newest = ledger.last_run(opened)
                report["run"] = newest["run"] + 1 if newest else 1
                self._record_alone(opened)
        self.note(outcome, why)
        settings = self.settings
        report["warnings"] += announcements.announce(
            self.journal, self.entry, self.told(), settings.webhook, settings.notify
        )
        self._write_report()
        return self.told()

    def note(self, outcome: str, why: str = "") -> None:
        """Tell the journal how far the publish is that is a step of a job."""
        if self.entry is not None:
            with suppress(sqlite3.Error, OSError):
                told = {"published": outcome, "sentence": why, "ledger_run": self.report["run"]}
                if self.entry.extractor:  # it comes to its publish after its load alone
                    told["loaded"] = journal.DONE
                journal.note(self.journal, self.entry.id, **told)

    def told(self) -> dict[str, Any]:
        """Return the report without the ids that are addresses: those may be a person's."""
        return {
            **self.report,
            **{
                name: [{**row, "sourced_ids": _no_addresses(row["sourced_ids"])} for row in self.report[name]]
                for name in ("blocked", "allowed")
            },
            "held": [row for row in self.report["held"] if "@" not in row["sourced_id"]],
            "changes": {
                file: {what: _no_addresses(ids) for what, ids in changed.items()}
                for file, changed in self.report.get("changes", {}).items()
            },
        }

    def _record_alone(self, database: Warehouse) -> None:
        with database.transaction():
            ledger.prepare(database)
            self._record(database)

    def fail(self, error: ConnectError) -> None:
        """Record a run that ended by an error, as far as that is possible."""
        if self.recorded:
            with suppress(ConnectError), warehouse.opened(self.settings.database, 0, write=True) as database:
                database.store(
                    f"update {ledger.table('runs')} set why = ? where run = ?",
                    [str(error), self.report["run"]],
                )
        outcome = "undelivered" if isinstance(error, DeliveryError) else "failed"
        with suppress(ConnectError):
            self.end(outcome, str(error))

    def _write_report(self) -> None:
        self._write(json.dumps(self.told(), indent=2), REPORT)
        self._write(notices.markdown(self.told()), str(Path(REPORT).with_suffix(".md")))

    def _write(self, text: str, name: str) -> None:
        place = self.settings.package.with_name(name)
        with package.replacing(place, self.settings.package) as handle:
            handle.write(f"{text.rstrip()}\n".encode())


def _no_addresses(ids: list[str]) -> list[str]:
    return [one for one in ids if "@" not in one]


def _errors_by_school(database: Warehouse, outcome: checks.Outcome) -> dict[tuple[str, str], int]:
    """Return (file, school) → listed findings that refuse the package; what has no school is the district's."""
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
