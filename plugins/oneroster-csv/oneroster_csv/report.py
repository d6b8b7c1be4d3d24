"""Describes findings as data and as lines of text. Rows are named by number and id, never by a person's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from oneroster_csv.validate import Checked

_ROWS_SHOWN = 3
_PROBLEMS_SHOWN = 20


def facts(package: Path, found: Checked) -> dict[str, Any]:
    """Return what was found in a package as data, for JSON."""
    return {
        "valid": not found.refused,
        "package": str(package),
        "version": found.version,
        "files": {file: {"mode": mode, "rows": found.rows.get(file, 0)} for file, mode in sorted(found.modes.items())},
        **found.described(),
    }


def lines(report: dict[str, Any]) -> list[str]:
    """Return the lines for a person: errors first, then warnings, and at last whether the package is valid."""
    files = [f"{name} {file['rows']:,}" for name, file in report["files"].items() if file["rows"]]
    what = f"{report['package']} is {'valid' if report['valid'] else 'not valid'}"
    version = f" OneRoster {report['version']}" if report["version"] else ""
    verdict = f"{what}{version}: {', '.join(files) or 'no rows'}."
    return [*problems(report, "error"), *warnings(report), verdict]


def problems(report: dict[str, Any], severity: str) -> list[str]:
    """Return a line for each broken rule of a severity, `error` or `warning`, and below it the first rows."""
    found = [problem for problem in report["problems"] if problem["severity"] == severity]
    told = []
    for problem in found[:_PROBLEMS_SHOWN]:
        times = "once" if problem["count"] == 1 else f"{problem['count']:,} times"
        told.append(f"{problem['file']} {problem['field']}: {problem['reason']} ({times}) {problem['remedy']}")
        same = [f for f in report["findings"] if all(f[key] == problem[key] for key in ("rule", "file", "field"))]
        rows = [finding for finding in same if finding["row"] is not None]
        told += [f"  row {finding['row']:,}  {finding['sourced_id'] or ''}".rstrip() for finding in rows[:_ROWS_SHOWN]]
    if len(found) > _PROBLEMS_SHOWN:
        told.append(f"and {len(found) - _PROBLEMS_SHOWN} more, all in the report.")
    return told


def warnings(report: dict[str, Any]) -> list[str]:
    """Return the lines of `problems` for warnings, marked as such."""
    return [f"Warning: {line}" if line[:1] != " " else line for line in problems(report, "warning")]
