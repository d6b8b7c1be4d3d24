"""One publish: check first, write second, replace atomically last; the report tells what happened either way."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from coursera_connect import binding as bindings
from coursera_connect import checks, package, warehouse
from coursera_connect.errors import DatabaseError, UsageError
from coursera_connect.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REPORT = "publish-report.json"
"""Name of the report, beside the package."""


@dataclass(frozen=True)
class Settings:
    """What a publish needs to know. `wait` is in seconds, for the database as for another publish."""

    database: Path
    package: Path
    schema: str = "oneroster"
    system_name: str = ""
    system_code: str = ""
    wait: float = 5.0


def publish(settings: Settings, step: Callable[[str, int], None]) -> dict[str, Any]:
    """Publish the package and return the report, whose `published` is false when the checks refused it.

    `step` is told a sentence and a number of rows while the work goes on.
    """
    if settings.package.is_dir():
        raise UsageError(f"{settings.package} is a folder: set CONNECT_PACKAGE to the name of a zip file.")
    binding = bindings.load("1.1")
    with warehouse.opened(settings.database, settings.wait) as database:
        columns = checks.define(database, settings.schema, binding)
        if not columns:
            raise DatabaseError(
                f"{settings.database} holds no OneRoster models in the schema {settings.schema}: "
                "run the transforms (dbt:build) first, or set CONNECT_ONEROSTER_SCHEMA."
            )
        with package.locked(settings.package, settings.wait):
            outcome = checks.check(database, columns, binding, lambda file: step(f"Checking {file}", 0))
            report = _report(settings, outcome)
            if not outcome.refused:
                before = package.digest(settings.package) if settings.package.is_file() else ""
                source = {"systemName": settings.system_name, "systemCode": settings.system_code}
                with package.replacing(settings.package, settings.package, keep_same=True) as handle:
                    package.write(
                        handle, database, binding, outcome.rows, columns, source, lambda f, n: step(f"Writing {f}", n)
                    )
                after = package.digest(settings.package)
                report |= {
                    "published": True,
                    "first": not before,
                    "unchanged": before == after,
                    "bytes": settings.package.stat().st_size,
                    "sha256": after,
                }
            report["finished_at"] = _now()
            with package.replacing(settings.package.with_name(REPORT), settings.package) as handle:
                handle.write((json.dumps(report, indent=2) + "\n").encode())
    return report


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def _report(settings: Settings, outcome: checks.Outcome) -> dict[str, Any]:
    return {
        "published": False,
        "first": False,
        "unchanged": False,
        "package": str(settings.package),
        "database": str(settings.database),
        "finished_at": "",
        "files": {
            file: {"mode": "bulk" if rows else "absent", "rows": rows} for file, rows in sorted(outcome.rows.items())
        },
        "problems": [
            {
                "rule": rule,
                "severity": RULES[rule].severity,
                "file": f"{file}.csv",
                "field": field,
                "count": count,
                "reason": RULES[rule].sentence,
                "remedy": RULES[rule].remedy,
            }
            for (rule, file, field), count in outcome.counts.items()
        ],
        "findings": [
            {
                **asdict(finding),
                "file": f"{finding.file}.csv",
                "severity": RULES[finding.rule].severity,
                "reason": RULES[finding.rule].sentence,
            }
            for finding in outcome.findings
        ],
    }
