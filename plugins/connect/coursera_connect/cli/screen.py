"""Prints the results of commands: progress on a terminal only, lines and tables everywhere."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

from coursera_connect import command_text
from coursera_connect.cli import terminal
from coursera_connect.command_text import carried
from coursera_connect.jobs import journal
from coursera_connect.notices import blocked_rows
from oneroster_csv.report import problems, warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROWS_SHOWN = 3
_PROBLEMS_SHOWN = 20
_ENDED = {"refused": "was refused", "blocked": "was blocked by a guard", "skipped": "was skipped"}


@contextmanager
def progress(unit: str = "rows") -> Iterator[Callable[[str, int], None]]:
    """Yield a function that shows a sentence and a number of rows or bytes; silent without a terminal."""
    console = terminal.console(stderr=True)
    if not console.is_terminal:
        yield lambda _what, _rows: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis")),
        TextColumn(f"{{task.completed:,}} {unit}", table_column=Column(min_width=20, no_wrap=True)),
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
    """Return the lines that say what was published, what changed, and every warning."""
    if report["outcome"] == "skipped":
        return f"Not published: {report['why']}. The last package stays."
    files = [f"{name} {file['rows']:,}" for name, file in report["files"].items() if file["mode"] != "absent"]
    what = "is unchanged" if report["unchanged"] else "published"
    lines = [f"{near(report['package'])} {what}: {', '.join(files) or 'nothing has changed'}."]
    if not report["first"] and not report["unchanged"]:
        lines.append(f"Since the last publish: {_moved(report['totals'])}.")
    if report["delivery"]:
        lines.append(f"Delivered to {report['delivery']['target_shown']}.")
    lines = [*report["not_excluded"], *lines, *_held(report), *report["warnings"], *warnings(report)]
    return carried("\n".join(lines))


def refused(report: dict[str, Any], where: Path) -> str:
    """Return the lines with the reasons why a package was refused or blocked, with counts and the first rows."""
    lines = problems(report, "error")
    lines += [f"{blocked_rows.sentence(drop)}." for drop in report["blocked"][:_PROBLEMS_SHOWN]]
    commands = blocked_rows.commands(report["blocked"])
    if commands:
        lines.append(f"If that is right, once: {', '.join(map(command_text.printed, commands))}")
    lines += _held(report) + warnings(report)
    stays = "the previous package stays" if Path(report["package"]).is_file() else "and there is no earlier package"
    lines += [f"Not published, {stays}. All findings: {near(where)}"]
    return carried("\n".join([*report["not_excluded"], *lines]))


def preview(report: dict[str, Any]) -> None:
    """Print what a publish would change, per file and school."""
    _changes(report["counts"], "What would change since the last publish")
    if not any(row[name] for row in report["counts"] for name in ("added", "changed", "removed")):
        terminal.say("Nothing would change.")
    lines = report["not_excluded"] + problems(report, "error") + warnings(report) + _held(report) + report["warnings"]
    lines += [f"Would be blocked: {blocked_rows.sentence(drop)}." for drop in report["blocked"]]
    verdict = {"refused": "It would be refused.", "blocked": "It would be blocked."}.get(report["outcome"])
    lines += [verdict or f"It would be published. The package to look at: {near(report['package'])}"]
    terminal.say(carried("\n".join(lines)))


def _changes(counts: list[dict[str, Any]], title: str = "") -> None:
    """Print what happened per file and school; files in which nothing happened have their total only."""
    headings = ("total", "added", "changed", "removed", *_told(counts, ("held", "errors")))
    rows = [
        (row["file"], row["school_name"] or row["school"] or "(district)", *(row[name] or None for name in headings))
        for row in counts
    ]
    terminal.table(("file", "school", *headings), rows, title=title)


def _told(rows: list[dict[str, Any]], names: tuple[str, ...]) -> list[str]:
    """Return the columns with a value in at least one row."""
    return [name for name in names if any(row[name] for row in rows)]


def _moved(totals: list[dict[str, Any]]) -> str:
    sums = {name: sum(row[name] for row in totals) for name in ("added", "changed", "removed")}
    return ", ".join(f"{number:,} {name}" for name, number in sums.items())


def _held(report: dict[str, Any]) -> list[str]:
    if not report["held"]:
        return []
    lines = [
        f"Held as they were, until they are read again and the reports still say so ({len(report['held']):,} rows):"
    ]
    lines += [f"  {row['file']} {row['sourced_id']}: {row['reason']}" for row in report["held"][:_ROWS_SHOWN]]
    return lines


def failed(failure: dict[str, Any]) -> None:
    """Print what failed, why, and what to type."""
    lines = [
        f"{failure['sentence']} {failure['more']}".strip(),
        *(f"  {command}" for command in failure["commands"]),
    ]
    terminal.say("\n".join(lines))


def summary(facts: dict[str, Any]) -> None:
    """Print the summary of a run."""
    if facts["failed"]:
        failed(facts["failed"])
        if facts["last_load"]:
            terminal.say(f"The last load that succeeded ended {facts['last_load']}.")
        terminal.say()
    rows_of = [
        (name, *((counts[key] for key in ("rows", "received", "removed")) if counts else ("not loaded", None, None)))
        for name, counts in facts["streams"].items()
    ]
    headings = ("stream", "rows now", "received in the last load", "removed")
    terminal.table(headings, rows_of, title=near(facts["database"]))
    rows, received = (
        sum(counts[key] for counts in facts["streams"].values() if counts) for key in ("rows", "received")
    )
    lines = [""]
    if received < rows:
        brought = f"The last load brought {received:,} of {rows:,} rows"
        lines += [f"{brought}: of enrollments and grades only what changed.", ""]
    lines += filter(None, [facts["unfinished"]])
    lines += facts["package"].get("not_excluded") or []
    terminal.say(carried("\n".join(lines + _package(facts["package"]))))
    if facts["package"]["published"] and facts["package"]["bytes"]:
        files = facts["package"]["files"].items()
        rows_in = [(f"{name}.csv", file["mode"], file["rows"]) for name, file in files if file["rows"]]
        terminal.table(("file", "mode", "rows"), rows_in)


def ran(facts: dict[str, Any]) -> None:
    """Print the summary of a run on one screen: the last load, and the package."""
    if facts["failed"]:
        failed(facts["failed"])
    streams = {name: counts for name, counts in facts["streams"].items() if counts}
    brought = ", ".join(f"{name} {counts['received']:,}" for name, counts in streams.items() if counts["received"])
    removed = ", ".join(f"{name} {counts['removed']:,}" for name, counts in streams.items() if counts["removed"])
    rows = sum(counts["rows"] for counts in streams.values())
    lines = [f"The last load brought {brought or 'nothing'}; there are {rows:,} rows in all."]
    lines += [f"Marked as removed: {removed}."] if removed else []
    package = facts["package"]
    lines += [*filter(None, [facts["unfinished"]]), *(package.get("not_excluded") or []), *_package(package)]
    if package["published"] and package["bytes"]:
        files = ", ".join(f"{name} {file['rows']:,}" for name, file in package["files"].items() if file["rows"])
        lines.append(f"Rows in the files: {files}")
    lines.append(f"All counts: {command_text.printed('connect summary')}")
    terminal.say(carried("\n".join(lines)))


def _package(package: dict[str, Any]) -> list[str]:
    path, size = near(package["path"]), package["bytes"]
    there = f"{path} ({size:,} bytes)"
    if package["published"] is None:
        if not size:
            return ["OneRoster: not published yet"]
        return [f"OneRoster: {there}", f"There is no report beside it ({near(package['report'])})."]
    if not package["published"] or package["outcome"] == "undelivered":
        return _not_published(package, there if size else "")
    if not size:
        return [f"OneRoster: {path} is gone since it was published; publish again"]
    state = "changed since the previous publish"
    if package["first"]:
        state = "first package"
    elif package["unchanged"]:
        state = "unchanged since the previous publish"
    return [f"OneRoster: {there}", f"published {package['finished_at']}, {state}", *warnings(package)]


def _not_published(package: dict[str, Any], there: str) -> list[str]:
    """Return why the last publish wrote no new package or did not deliver it; `there` is the package that stays."""
    outcome = package["outcome"] or "refused"
    when = f"OneRoster: the publish of {package['finished_at']}"
    if outcome == "undelivered":
        return [f"{when} reached its place here, but not its receiver: {package['why']}"]
    kept = f"the last good package stays: {there}" if there else "there is no earlier package"
    lines = [f"{when} {_ENDED.get(outcome, outcome)}; {kept}"]
    if outcome in {"skipped", "failed"}:
        return [*lines, f"Why: {package['why']}"]
    stopped = [f"{blocked_rows.sentence(drop)}." for drop in (package["blocked"] or [])[:_PROBLEMS_SHOWN]]
    return [*lines, *problems(package, "error"), *stopped, f"All findings: {near(package['report'])}"]


def near(path: str | Path) -> str:
    """Return a path as seen from the current folder, if it is below it."""
    absolute, here = Path(path).absolute(), Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else path)


def runs(found: dict[str, Any]) -> None:
    """Print the runs of jobs and the publishes; a run and its publish are one line."""
    rows = sorted([*_job_rows(found), *_other_rows(found)], key=lambda row: row["at"], reverse=True)
    if not rows:
        terminal.say(f"Nothing has run yet: {command_text.printed('connect run roster-sync')}")
        return
    numbers = ("total", "added", "changed", "removed", *_told(found["runs"], ("held", "blocked")))
    headings = ("run", "ended (UTC)", "job", "by", "outcome", *numbers, "why")
    cells = []
    for row in rows:
        publish = row["publish"]
        counts = ((publish[name] or None) if publish else None for name in numbers)
        ended = row["at"][:16].replace("T", " ") if row["outcome"] != _AT_WORK else ""
        run_ = publish["run"] if publish else None
        cells.append((run_, ended, row["job"], row["by"], row["outcome"], *counts, row["why"]))
    terminal.table(headings, cells, second=len(headings) - 1)


_AT_WORK = "at work"


def _job_rows(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    publishes = {row["run"]: row for row in found["runs"]}
    for job in found["jobs"]:
        publish = publishes.get(job["ledger_run"])
        good = publish is not None and job["outcome"] in {"", journal.DONE}
        outcome = publish["outcome"] if publish is not None and (good or job["published"]) else job["outcome"]
        step = f"{job['step']}: " if job["step"] and not job["published"] else ""
        yield {
            "at": job["ended_at"] or job["started_at"],
            "publish": publish,
            "job": job["job"],
            "by": "schedule" if job["started_by"].startswith(journal.SCHEDULE) else journal.HAND,
            "outcome": outcome or _AT_WORK,
            "why": f"{step}{job['sentence']}" if job["sentence"] else publish["why"] if publish is not None else "",
        }


def _other_rows(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the publishes that were no step of a job."""
    of_jobs = {job["ledger_run"] for job in found["jobs"]}
    for row in found["runs"]:
        if row["run"] not in of_jobs:
            yield {
                "at": row["finished_at"],
                "publish": row,
                "job": "connect publish",
                "by": "",
                "outcome": row["outcome"],
                "why": row["why"],
            }


def run(found: dict[str, Any]) -> None:
    """Print one run."""
    lines = [
        f"run {found['run']}: {found['outcome']}" + (f", {found['why']}" if found["why"] else ""),
        f"from {found['started_at']} to {found['finished_at']}; data as of {found['data_as_of'] or 'an unknown time'}",
        f"OneRoster {found['version']} {found['mode']}, profile {found['profile']}, {found['bytes']:,} bytes",
        f"delivered to {found['delivered_to']}" if found["delivered_to"] else "not delivered anywhere",
        "seconds: " + ", ".join(f"{name} {seconds:g}" for name, seconds in found["seconds"].items()),
    ]
    terminal.say("\n".join(lines))
    _changes(found["counts"])
    details = [
        f"{row['severity']}: {row['file']} {row['field']}: {row['rule']} ({row['how_many']:,})"
        for row in found["problems"]
    ]
    details += [f"{row['severity']}: {row['entity']}: {row['rule']} ({row['how_many']:,})" for row in found["odd_rows"]]
    details += [f"held: {row['file']} {row['sourced_id']}: {row['reason']}" for row in found["held"]]
    details += [f"{what}: {blocked_rows.sentence(row)}" for what in ("blocked", "allowed") for row in found[what]]
    if details:
        terminal.say(carried("\n".join(details)))


def moved(found: dict[str, Any]) -> None:
    """Print what was copied into another database."""
    terminal.table(("table", "rows"), found["moved"].items())


def record(found: dict[str, Any]) -> None:
    """Print what happened to a row over time."""
    rows = []
    for event in found["events"]:
        fields = [
            f"{name}: {after or '(blank)'}" if not before else f"{name}: {before} → {after or '(blank)'}"
            for name, (before, after) in event["fields"].items()
            if name != "sourcedId"
        ]
        at = event["at"][:16].replace("T", " ")
        rows.append((event["run"], at, event["file"], event["sourced_id"], event["what"], ", ".join(fields)))
    terminal.table(("run", "at (UTC)", "file", "id", "what", "fields"), rows, second=5)
