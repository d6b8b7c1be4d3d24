"""Describes a run as Markdown, and in a few lines for a chat or a mail, without names or e-mail addresses.

The report of a run is the one that `publish` makes: `outcome`, `why`, `counts` per file and school, `totals` per file,
`problems`, `blocked`, `held`, `seconds` per part of the work, `data_as_of`, `delivery`, `warnings`. What is
missing in it is left out. The report of an early failure has `job`, `step` and `to_do`.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from coursera_connect.command_text import printed
from coursera_connect.meltano.project_files import SANDBOX
from coursera_connect.notices import blocked_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_SENTENCES = {
    "published": "Published a new package.",
    "unchanged": "Nothing changed: the last package stays as it is.",
    "blocked": "Blocked by a guard: the last package stays as it is.",
    "refused": "Refused by the checks: the last package stays as it is.",
    "skipped": "Skipped: the last package stays as it is.",
    "failed": "Failed: the last package stays as it is.",
}

_COUNTS = ("total", "added", "changed", "removed", "held")

ROWS = 200  # of a table; what a person reads, and what a chat shows, is far less

_SHOWN = 5  # problems and blocked schools in a chat

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~])")

_MAIL = re.compile(r"[^\s@<>(),;:]+@[^\s@<>(),;:]+\.[^\s@<>(),;:]+")


def markdown(report: Mapping[str, Any]) -> str:
    """Return the run as Markdown: the outcome first, then what to do, then the contents of the package."""
    parts = [f"# {_title(report)}", _opening(report)]
    parts += _section("Not excluded", [f"- **{_text(line)}**" for line in report.get("not_excluded") or []])
    parts += _section("Blocked", _blocked(report))
    parts += _section("Problems", _problems(report))
    parts += _section("Warnings", [f"- {_text(line)}" for line in report.get("warnings") or []])
    parts += _section("Rows", _counts(report))
    parts += _section("Held back", _held(report))
    parts += _section("About this run", _facts(report))
    return "\n\n".join(parts) + "\n"


def summary(report: Mapping[str, Any], words: Callable[[Any], str] | None = None) -> str:
    """Return the run in a few lines for a chat: the outcome, the sums, what to do."""
    words = words or _chat
    return "\n".join([_title(report, words), *_lines(report, words)])


def notice(report: Mapping[str, Any]) -> tuple[str, str]:
    """Return the run as the subject and the text of a mail."""
    return f"Coursera Connect: {_title(report, _plain)}", "\n".join(_lines(report, _for_people))


def _title(report: Mapping[str, Any], words: Callable[[Any], str] | None = None) -> str:
    """Return a title: the run, its environment, and how it ended."""
    words = words or _text
    what = words(report["job"]) if report.get("job") else f"Run {words(report.get('run'))}".rstrip()
    where = report.get("environment") or ""
    if where:
        what += " of the sandbox, a made-up college" if where == SANDBOX else f" of {words(where)}"
    return f"{what}: {words(report.get('outcome', 'unknown'))}"


def _lines(report: Mapping[str, Any], words: Callable[[Any], str]) -> list[str]:
    lines = [_opening(report, words)]
    if report.get("recovered"):
        lines.append(f"This is over: {words(report['recovered'])}")
    lines += [f"- {words(line)}" for line in (report.get("not_excluded") or [])[:_SHOWN]]
    if sums := _sums(report):
        lines.append(", ".join(f"{sums[name]:,} {name}" for name in _COUNTS if sums[name] or name == "total") + " rows")
    lines += [f"- {_problem(problem, words)}" for problem in _of(report, "problems")[:_SHOWN]]
    lines += [f"- blocked: {words(blocked_rows.sentence(block))}" for block in _of(report, "blocked")[:_SHOWN]]
    lines += [f"To do: {words(command)}" for command in report.get("to_do") or []]
    return lines


def _opening(report: Mapping[str, Any], words: Callable[[Any], str] | None = None) -> str:
    outcome = str(report.get("outcome", ""))
    sentence = _SENTENCES.get(outcome, "The outcome is not known.")
    if why := (words or _text)(report.get("why")):
        sentence = f"{sentence} {why}"
    delivered = report.get("delivery")
    if isinstance(delivered, dict) and delivered.get("target_shown"):
        state = "was there already at" if delivered.get("already_there") else "was delivered to"
        sentence += f" The package {state} {_place(delivered['target_shown'])}."
    return sentence


def _place(target: Any) -> str:
    """Return a target as code, without the user: `user@host` would look like an e-mail address."""
    shown = re.sub(r"//[^/]*@", "//", str(target))
    return f"`{_plain(shown).replace('`', '')}`"


def _blocked(report: Mapping[str, Any]) -> list[str]:
    rows = [
        (_text(block.get("file")), _school(block), _number(block.get("before")), _number(block.get("removed")),
         _text(block.get("reason")))
        for block in _of(report, "blocked")
    ]  # fmt: skip
    if not rows:
        return []
    environment = report.get("environment") or None
    commands = blocked_rows.commands(_of(report, "blocked"))
    typed = ", then ".join(f"`{printed(one, environment)}`" for one in commands)
    remedy = (
        f"If that is right, agree to it and publish again: {typed}. If not, look in Coursera for what is wrong "
        "there. `connect history show` tells which rows."
    )
    return [*_table(("file", "school", "before", "rows", "reason"), rows, "llrrl"), "", remedy]


def _problems(report: Mapping[str, Any]) -> list[str]:
    order = {"error": 0, "stop": 0, "warning": 1, "skip": 1}
    problems = sorted(_of(report, "problems"), key=lambda problem: order.get(str(problem.get("severity")), 2))
    return [f"- {_text(problem.get('severity'))}: {_problem(problem)}" for problem in problems[:ROWS]]


def _problem(problem: Mapping[str, Any], words: Callable[[Any], str] | None = None) -> str:
    words = words or _text
    where = " ".join(filter(None, (words(problem.get("file")), words(problem.get("field")))))
    count = _number(problem.get("count"))
    times = {"": "", "1": " (once)"}.get(count, f" ({count} times)")
    return f"{where}: {words(problem.get('reason'))}{times} {words(problem.get('remedy'))}".strip()


def _counts(report: Mapping[str, Any]) -> list[str]:
    counts = _of(report, "counts")
    if not counts:
        return []
    rows = [
        (_text(count.get("file")), _school(count), *(_number(count.get(name) or 0) for name in _COUNTS))
        for count in counts
    ]
    sums = _sums(report)
    total = ("**all**", "", *(f"**{sums[name]:,}**" for name in _COUNTS))
    return _table(("file", "school", *_COUNTS), [*rows[:ROWS], total], "llrrrrr", left_out=len(rows) - ROWS)


def _held(report: Mapping[str, Any]) -> list[str]:
    held: dict[tuple[str, str], int] = {}
    for row in _of(report, "held"):
        key = _text(row.get("file")), _text(row.get("reason"))
        held[key] = held.get(key, 0) + 1
    if not held:
        return []
    return _table(("file", "reason", "rows"), [(*key, f"{count:,}") for key, count in sorted(held.items())], "llr")


def _facts(report: Mapping[str, Any]) -> list[str]:
    facts = []
    started, ended = (_text(report.get(name)) for name in ("started_at", "finished_at"))
    if started:
        facts.append(f"- Started {started}" + (f", finished {ended}" if ended else ""))
    if as_of := report.get("data_as_of"):
        is_sandbox = report.get("environment") == SANDBOX  # whose clock is simulated
        age = "" if is_sandbox else _age(str(as_of), str(report.get("finished_at") or ""))
        facts.append(f"- Coursera's data as of {_text(as_of)}{age}")
    seconds = report.get("seconds") or {}
    if isinstance(seconds, dict) and seconds:
        facts.append("- Seconds: " + ", ".join(f"{_text(part)} {value:.1f}" for part, value in seconds.items()))
    shape = [f"{name} {_text(report[name])}" for name in ("version", "mode", "profile") if report.get(name)]
    if shape:
        facts.append("- OneRoster " + ", ".join(shape))
    if report.get("bytes"):
        facts.append(f"- Package: {report['bytes']:,} bytes, SHA-256 `{_text(report.get('sha256'))}`")
    delivered = report.get("delivery")
    if isinstance(delivered, dict) and delivered.get("attempts"):
        facts.append(
            f"- Delivery: attempts {_number(delivered['attempts'])}, bytes continued "
            f"{_number(delivered.get('resumed_bytes') or 0)}"
        )
    return facts


def _age(as_of: str, finished: str) -> str:
    """Return the age of the data at the end of the run, in hours."""
    try:
        then, end = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (as_of, finished))
        then, end = (time_.replace(tzinfo=time_.tzinfo or timezone.utc) for time_ in (then, end))
    except ValueError:
        return ""
    return f" ({(end - then).total_seconds() / 3600:,.0f} hours old at the end)"


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"## {title}", "\n".join(lines)] if lines else []


def _table(headings: Iterable[str], rows: Sequence[tuple[str, ...]], sides: str, left_out: int = 0) -> list[str]:
    lines = [_row(headings), _row("---:" if side == "r" else "---" for side in sides), *(_row(row) for row in rows)]
    return [*lines, "", f"{left_out:,} more rows are in the ledger."] if left_out > 0 else lines


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _sums(report: Mapping[str, Any]) -> dict[str, int]:
    counts = _of(report, "totals") or _of(report, "counts")
    return {name: sum(int(count.get(name) or 0) for count in counts) for name in _COUNTS} if counts else {}


def _school(row: Mapping[str, Any], words: Callable[[Any], str] | None = None) -> str:
    return (words or _text)(row.get("school_name") or row.get("school"))


def _of(report: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    return list(report.get(name) or [])


def _plain(value: Any) -> str:
    """Return a text on one line and without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in str("" if value is None else value)).split())


def _text(value: Any) -> str:
    """Return a text for a Markdown cell; an e-mail address in it is left out."""
    return _SPECIAL.sub(r"\\\1", _MAIL.sub("(address)", _plain(value)))


def _chat(value: Any) -> str:
    """Return a text for a chat, where `<!channel>` would notify everybody."""
    words = _MAIL.sub("(address)", _plain(value))
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _for_people(value: Any) -> str:
    """Return a text for a mail."""
    return _MAIL.sub("(address)", _plain(value))


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, (int, float)) else _text(value)
