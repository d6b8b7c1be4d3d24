"""One run of a publish: its settings, its id, and its report."""

from __future__ import annotations

import json
import os
import sqlite3
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coursera_connect import command_text
from coursera_connect import replacing as package
from coursera_connect.jobs import journal
from coursera_connect.meltano import project_files
from coursera_connect.notices import texts
from coursera_connect.publish.settings import REPORT
from coursera_connect.warehouse import ledger
from oneroster_csv import binding as bindings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from coursera_connect.publish.settings import Settings
    from oneroster_csv.binding import Binding
    from oneroster_csv.checks import Outcome


@dataclass
class Report:
    """The report of a publish, in the order of `publish-report.json`. Times are UTC, as text."""

    outcome: str = "failed"
    why: str = ""
    environment: str = ""
    published: bool = False
    first: bool = False
    unchanged: bool = False
    run: int | None = None
    build: str = ""
    package: str = ""
    database: str = ""
    started_at: str = ""
    finished_at: str = ""
    mode: str = ""
    version: str = ""
    profile: str = ""
    privacy_level: int = 0
    data_as_of: str = ""
    read_at: str = ""
    stamp: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    bytes: int = 0
    sha256: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: list[dict[str, Any]] = field(default_factory=list)
    totals: list[dict[str, Any]] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)
    odd_rows: list[dict[str, Any]] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    blocked: list[dict[str, Any]] = field(default_factory=list)
    allowed: list[dict[str, Any]] = field(default_factory=list)
    held: list[dict[str, Any]] = field(default_factory=list)
    delivery: dict[str, Any] | None = None
    not_excluded: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    placed: dict[str, Any] | None = None
    changes: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def add_problems(self, outcome: Outcome) -> None:
        """Add the findings of the checks to the report."""
        described = outcome.described()
        self.problems, self.findings = described["problems"], described["findings"]

    def facts(self) -> dict[str, Any]:
        """Return the report without ids that are e-mail addresses."""
        return {
            **vars(self),
            **{
                name: [{**row, "sourced_ids": _no_addresses(row["sourced_ids"])} for row in rows]
                for name, rows in (("blocked", self.blocked), ("allowed", self.allowed))
            },
            "held": [row for row in self.held if "@" not in row["sourced_id"]],
            "changes": {
                file: {what: _no_addresses(ids) for what, ids in changed.items()}
                for file, changed in self.changes.items()
            },
        }


@dataclass
class Run:
    """A run of a publish. `recorded` is whether the ledger has it; `fingerprint` says how rows are written."""

    settings: Settings
    step: Callable[[str, int], None]
    report: Report
    binding: Binding
    journal_file: Path
    entry: journal.Run | None
    began: float = field(default_factory=time.monotonic)
    seal: str = field(default_factory=lambda: uuid.uuid4().hex)
    fingerprint: str = ""
    recorded: bool = False

    @classmethod
    def begin(cls, settings: Settings, step: Callable[[str, int], None]) -> Run:
        """Return a run that begins now; `step` is called with a sentence and a number of rows."""
        report = Report(
            environment=command_text.environment_of_now() or "",
            package=str(settings.package),
            database=str(settings.database),
            started_at=ledger.now(),
            mode=settings.mode,
            version=settings.oneroster_version,
            profile=settings.profile,
            privacy_level=settings.privacy_level,
        )
        file = journal.place(settings.package)
        entry = journal.of_meltano(file, os.environ.get(project_files.RUN, ""))
        return cls(settings, step, report, bindings.load(settings.oneroster_version), file, entry)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Record in the report how many seconds the block takes."""
        began = time.monotonic()
        yield
        self.report.seconds[what] = round(time.monotonic() - began, 2)

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each part so far, and the total as `all`."""
        return {**self.report.seconds, "all": round(time.monotonic() - self.began, 2)}

    def placed(self, ledger_id: str) -> dict[str, Any]:
        """Return the mark beside the package that the reader may have seen this run; see predecessor.py."""
        report = self.report
        return {
            "ledger": ledger_id,
            "seal": self.seal,
            "run": report.run,
            "data_as_of": report.data_as_of,
            "read_at": report.read_at,
            "stamp": report.stamp,
        }

    def note(self, outcome: str, why: str = "") -> None:
        """Record in the journal how far the publish is, if it is a step of a job."""
        if self.entry is not None:
            with suppress(sqlite3.Error, OSError):
                values = {"published": outcome, "sentence": why, "ledger_run": self.report.run}
                if self.entry.extractor:  # it comes to its publish after its load alone
                    values["loaded"] = journal.DONE
                journal.note(self.journal_file, self.entry.id, **values)

    def write_report(self) -> None:
        """Write the report beside the package, as JSON and as Markdown."""
        values = self.report.facts()
        self.write_beside(json.dumps(values, indent=2), REPORT)
        self.write_beside(texts.markdown(values), str(Path(REPORT).with_suffix(".md")))

    def write_beside(self, text: str, name: str) -> None:
        """Write a text file beside the package, in one step for readers."""
        place = self.settings.package.with_name(name)
        with package.replacing(place, self.settings.package) as handle:
            handle.write(f"{text.rstrip()}\n".encode())


def _no_addresses(ids: list[str]) -> list[str]:
    return [one for one in ids if "@" not in one]
