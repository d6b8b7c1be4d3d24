# ruff: noqa: S608 - every name in a statement is quoted
"""Writes the package beside its target, and replaces the target once the package is complete."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from coursera_connect import replacing as package
from coursera_connect.publish import stages
from oneroster_csv import package as packages

if TYPE_CHECKING:
    from collections.abc import Callable

    from coursera_connect.publish.prepare import Candidate
    from coursera_connect.publish.run import Run
    from coursera_connect.publish.settings import Settings
    from coursera_connect.warehouse.warehouse import Warehouse
    from oneroster_csv.output import Output

_ROWS_LISTED = 1000


class Written(NamedTuple):
    """A written package; `unchanged` is whether the target already has the same bytes."""

    bytes: int
    sha256: str
    unchanged: bool


def write(
    database: Warehouse,
    run: Run,
    candidate: Candidate,
    target: Path,
    commit: Callable[[Written], None] = lambda _written: None,
) -> Written:
    """Write the package beside its target, commit, and then replace the target."""
    binding, comparison, past = run.binding, candidate.comparison, candidate.past
    if candidate.mode == "delta":
        assert past.placed is not None  # noqa: S101 - else there is no delta
        stages.delta(database, candidate.tables.columns, past.placed["run"], run.report.stamp)
        comparison.define_package(database, binding, "delta")
    parts = packages.parts(database, binding, comparison.output, comparison.headers, candidate.mode)
    run.report.files = {
        file: {"mode": parts[file].mode, "rows": parts[file].rows} if file in parts else {"mode": "absent", "rows": 0}
        for file in sorted(binding.files)
    }
    place = run.settings.package  # also of a preview: would the file there change?
    before = package.digest(place) if place.is_file() else ""
    with run.timed("write"), package.replacing(target, target, keep_same=True) as handle:
        packages.write(
            handle,
            database,
            binding,
            parts,
            _properties(run.settings, comparison.output),
            comparison.output.profile.quotes == "all",
            lambda file, rows: run.step(f"Writing {file}", rows),
        )
        handle.flush()
        partial = Path(handle.name)
        sha256 = package.digest(partial)
        written = Written(partial.stat().st_size, sha256, before == sha256)
        run.report.bytes, run.report.sha256, run.report.unchanged = written
        commit(written)
    return written


def _properties(settings: Settings, output: Output) -> dict[str, str]:
    """Return the properties in the manifest besides versions and modes."""
    named = {"source.systemName": settings.system_name, "source.systemCode": settings.system_code}
    return dict(output.profile.manifest) | {name: value for name, value in named.items() if value}


def changes(database: Warehouse, candidate: Candidate) -> dict[str, dict[str, list[str]]]:
    """Return file → added, changed, removed → the first ids."""
    found: dict[str, dict[str, list[str]]] = {}
    for file in candidate.tables.columns:
        for what in ("added", "changed", "removed"):
            changed = stages.at("changes", file)
            query = f'select "sourcedId" from {changed} where what = ? order by 1 limit {_ROWS_LISTED}'
            ids = [row[0] for row in database.rows(query, [what])]
            if ids:
                found.setdefault(file, {})[what] = ids
    return found
