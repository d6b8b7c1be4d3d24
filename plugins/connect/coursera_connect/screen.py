"""What the commands print: progress on a terminal only, plain lines and tables everywhere."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROWS_SHOWN = 3
_PROBLEMS_SHOWN = 20


@contextmanager
def progress(unit: str = "rows") -> Iterator[Callable[[str, int], None]]:
    """Give a function that shows the work and its rows (or bytes); silent when standard error is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _what, _rows: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn(f"{{task.completed:,}} {unit}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("Opening")
        doing = ""

        def step(what: str, rows: int) -> None:
            nonlocal doing
            if what != doing:
                doing = what
                bar.reset(task, description=what)
            bar.advance(task, rows)

        yield step


def published(report: dict[str, Any]) -> str:
    """Return the lines that say what was published, and every warning."""
    files = [f"{name} {file['rows']:,}" for name, file in report["files"].items() if file["rows"]]
    what = "is unchanged" if report["unchanged"] else "published"
    return "\n".join([f"{_near(report['package'])} {what}: {', '.join(files)}.", *_warnings(report)])


def refused(report: dict[str, Any], where: Path) -> str:
    """Return the lines that say why a package was refused: counts per rule and field, and the first rows of each."""
    lines = _problems(report, "error")
    lines += _warnings(report)
    stays = "the previous package stays" if Path(report["package"]).is_file() else "and there is no earlier package"
    return "\n".join([*lines, f"Not published, {stays}. All findings: {_near(where)}"])


def checked(report: dict[str, Any]) -> str:
    """Return the lines that say whether a package is valid: what is wrong with it first, and the verdict last."""
    files = [f"{name} {file['rows']:,}" for name, file in report["files"].items() if file["rows"]]
    what = f"{_near(report['package'])} is {'valid' if report['valid'] else 'not valid'}"
    version = f" OneRoster {report['version']}" if report["version"] else ""
    verdict = f"{what}{version}: {', '.join(files) or 'no rows'}."
    return "\n".join([*_problems(report, "error"), *_warnings(report), verdict])


def summary(facts: dict[str, Any]) -> None:
    """Print the summary of a run."""
    console = Console()
    table = Table("stream", box=None, title=_near(facts["database"]), title_justify="left")
    for heading in ("rows now", "received in the last load", "removed"):
        table.add_column(heading, justify="right")
    for name, counts in facts["streams"].items():
        cells = [f"{counts[key]:,}" for key in ("rows", "received", "removed")] if counts else ["not loaded", "", ""]
        table.add_row(name, *cells)
    console.print(table)
    rows, received = (
        sum(counts[key] for counts in facts["streams"].values() if counts) for key in ("rows", "received")
    )
    lines = [""]
    if received < rows:
        brought = f"The last load brought {received:,} of {rows:,} rows"
        lines += [f"{brought}: of enrollments and grades only what changed.", ""]
    console.print("\n".join(lines + _package(facts["package"])), soft_wrap=True, highlight=False, markup=False)
    if facts["package"]["published"] and facts["package"]["bytes"]:
        files = Table("file", "mode", box=None)
        files.add_column("rows", justify="right")
        for name, file in facts["package"]["files"].items():
            if file["rows"]:
                files.add_row(f"{name}.csv", file["mode"], f"{file['rows']:,}")
        console.print(files)


def _package(package: dict[str, Any]) -> list[str]:
    path, size = _near(package["path"]), package["bytes"]
    there = f"{path} ({size:,} bytes)"
    if package["published"] is None:
        if not size:
            return ["OneRoster: not published yet"]
        return [f"OneRoster: {there}", f"There is no report beside it ({_near(package['report'])})."]
    if not package["published"]:
        kept = f"the last good package stays: {there}" if size else "there is no earlier package"
        return [
            f"OneRoster: the publish of {package['finished_at']} was refused; {kept}",
            *_problems(package, "error"),
            f"All findings: {_near(package['report'])}",
        ]
    if not size:
        return [f"OneRoster: {path} is gone since it was published; publish again"]
    state = "changed since the previous publish"
    if package["first"]:
        state = "first package"
    elif package["unchanged"]:
        state = "unchanged since the previous publish"
    return [f"OneRoster: {there}", f"published {package['finished_at']}, {state}", *_warnings(package)]


def _near(path: str | Path) -> str:
    """A path as seen from the current folder, if it is below it."""
    absolute, here = Path(path).absolute(), Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else path)


def _warnings(report: dict[str, Any]) -> list[str]:
    return [f"Warning: {line}" if line[:1] != " " else line for line in _problems(report, "warning")]


def _problems(report: dict[str, Any], severity: str) -> list[str]:
    problems = [problem for problem in report["problems"] if problem["severity"] == severity]
    lines = []
    for problem in problems[:_PROBLEMS_SHOWN]:
        times = "once" if problem["count"] == 1 else f"{problem['count']:,} times"
        lines.append(f"{problem['file']} {problem['field']}: {problem['reason']} ({times}) {problem['remedy']}")
        same = [f for f in report["findings"] if all(f[key] == problem[key] for key in ("rule", "file", "field"))]
        rows = [finding for finding in same if finding["row"] is not None]
        lines += [f"  row {finding['row']:,}  {finding['sourced_id'] or ''}".rstrip() for finding in rows[:_ROWS_SHOWN]]
    if len(problems) > _PROBLEMS_SHOWN:
        lines.append(f"and {len(problems) - _PROBLEMS_SHOWN} more, all in the report.")
    return lines
