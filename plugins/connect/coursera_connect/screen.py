"""What the commands print: a screen on a terminal, one line elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROWS_SHOWN = 3
_PROBLEMS_SHOWN = 20


@contextmanager
def progress() -> Iterator[Callable[[str, int], None]]:
    """Give a function that shows the work and its rows; silent when standard error is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _what, _rows: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("Opening the database")
        doing = ""

        def step(what: str, rows: int) -> None:
            nonlocal doing
            if what != doing:
                doing = what
                bar.reset(task, description=what)
            bar.advance(task, rows)

        yield step


def published(report: dict[str, Any]) -> str:
    """Return the line that says what was published."""
    files = [f"{name} {file['rows']:,}" for name, file in report["files"].items() if file["rows"]]
    what = "is unchanged" if report["unchanged"] else "published"
    warnings = sum(problem["count"] for problem in report["problems"])
    return f"{report['package']} {what}: {', '.join(files)}." + (f" Warnings: {warnings:,}." if warnings else "")


def refused(report: dict[str, Any], where: str) -> str:
    """Return the lines that say why a package was refused: counts per rule and field, and the first rows of each."""
    problems = [problem for problem in report["problems"] if problem["refuses"]]
    lines = []
    for problem in problems[:_PROBLEMS_SHOWN]:
        lines.append(
            f"{problem['file']} {problem['field']}: {problem['reason']} ({problem['count']:,} times) "
            f"{problem['remedy']}"
        )
        same = [f for f in report["findings"] if all(f[key] == problem[key] for key in ("rule", "file", "field"))]
        rows = [finding for finding in same if finding["row"] is not None]
        lines += [f"  row {finding['row']:,}  {finding['sourced_id'] or ''}".rstrip() for finding in rows[:_ROWS_SHOWN]]
    if len(problems) > _PROBLEMS_SHOWN:
        lines.append(f"and {len(problems) - _PROBLEMS_SHOWN} more, all in the report.")
    lines.append(f"Not published, the previous package stays. All findings: {where}")
    return "\n".join(lines)


def summary(facts: dict[str, Any]) -> None:
    """Print the summary of a run."""
    console = Console()
    table = Table("stream", box=None, title="Coursera", title_justify="left")
    for heading in ("rows now", "received in the last load", "removed"):
        table.add_column(heading, justify="right")
    for name, counts in facts["streams"].items():
        cells = (
            [f"{counts[key]:,}" for key in ("rows", "received", "removed")] if counts else ["not loaded yet", "", ""]
        )
        table.add_row(name, *cells)
    console.print(table)
    package = facts["package"]
    if package is None:
        console.print("\nOneRoster: not published yet")
        return
    console.print(
        f"\nOneRoster: {escape(package['path'])} ({package['bytes']:,} bytes)", soft_wrap=True, highlight=False
    )
    if not package.get("published"):
        console.print("The last publish was refused or left no report; this is the package before it.")
        return
    state = "unchanged since the previous publish" if package["unchanged"] else "changed since the previous publish"
    console.print(f"published {package['finished_at']}, {state}")
    files = Table("file", "mode", box=None)
    files.add_column("rows", justify="right")
    for name, file in package["files"].items():
        files.add_row(f"{name}.csv", file["mode"], f"{file['rows']:,}")
    console.print(files)
