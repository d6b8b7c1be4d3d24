"""The measurements as Markdown tables."""

from __future__ import annotations

import json
import os
import platform
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

FIRST, AGAIN = "first load", "re-load"
OURS = "ours"
_GB = 1024**3


@dataclass(frozen=True)
class Measurement:
    """One load by one contestant."""

    contestant: str
    kind: str
    rows: int
    """Of the vendor's."""
    latency: int
    """Milliseconds per request."""
    load: str
    wall: float
    """Seconds."""
    cpu: Mapping[str, float]
    """Seconds by role."""
    peak: Mapping[str, float]
    """MB by role."""
    requests: int
    in_flight: int
    wrong: str | None
    """What was wrong with the result; None when it was verified."""


Case = tuple[str, int, int, str]
"""Kind, rows, latency, load."""


def tables(measurements: Sequence[Measurement], about: Mapping[str, str], memory: Collection[int] = ()) -> str:
    """A table for each case in the order in which they were measured, then the one on memory.

    Args:
        measurements: any number of each.
        about: a line on each contestant, in the order of the tables' rows.
        memory: numbers of enrollments that were loaded for the sake of memory alone; they have no other table.
    """
    cases: dict[Case, dict[str, list[Measurement]]] = defaultdict(lambda: defaultdict(list))
    for one in measurements:
        cases[one.kind, one.rows, one.latency, one.load][one.contestant].append(one)
    by_size = {case[1]: by_name for case, by_name in cases.items() if _is_plain(case)}
    found = [
        _case(case, by_name, about) for case, by_name in cases.items() if not (_is_plain(case) and case[1] in memory)
    ]
    if memory:
        found.append(_memory(dict(sorted(by_size.items())), about))
    return "\n".join(found)


def _is_plain(case: Case) -> bool:
    kind, _, latency, load = case
    return (kind, latency, load) == ("enrollments", 0, FIRST)


def _case(case: Case, by_name: Mapping[str, list[Measurement]], about: Mapping[str, str]) -> str:
    kind, rows, latency, load = case
    what = f"{rows:,} enrollments" if kind == "enrollments" else f"{rows:,} gradebooks of 15 items"
    reference = by_name.get(OURS, [])
    lines = [
        f"### {what}, {latency} ms per request, {load}",
        "",
        "| contestant | wall s (all runs) | to ours: wall, CPU | CPU s | peak MB | requests (in flight) |",
        "|---|---|---|---|---|---|",
    ]
    for name, text in about.items():
        if name in by_name:
            lines.append(f"| {name}: {text} | {_row(by_name[name], reference)} |")
    return "\n".join([*lines, ""])


def _row(runs: Sequence[Measurement], reference: Sequence[Measurement]) -> str:
    if (wall := _wall(runs)) is None:
        wrong = next((one.wrong for one in runs if one.wrong), None)
        return f"FAILED: {_first_line(wrong)} | - | - | - | -"
    ratio = "-"
    if ours := _wall(reference):
        ratio = f"{wall / ours:.2f}, {_cpu_seconds(runs) / _cpu_seconds(reference):.2f}"
    spread = ", ".join(f"{one.wall:.1f}" for one in runs)
    in_flight = max(one.in_flight for one in runs)
    return f"**{wall:.2f}** ({spread}) | {ratio} | {_cpu(runs)} | {_peaks(runs)} | {runs[-1].requests} ({in_flight})"


def _memory(by_size: Mapping[int, Mapping[str, list[Measurement]]], about: Mapping[str, str]) -> str:
    lines = [
        "### Peak memory in MB and wall seconds, enrollments, 0 ms, first load",
        "",
        f"| contestant | {' | '.join(f'{size:,} rows' for size in by_size)} |",
        f"|---|{'---|' * len(by_size)}",
    ]
    for name, text in about.items():
        cells = []
        for by_name in by_size.values():
            runs = by_name.get(name, [])
            wall = _wall(runs)
            cells.append(f"{_peaks(runs)} ({wall:.1f} s)" if wall else "FAILED" if runs else "-")
        if set(cells) != {"-"}:
            lines.append(f"| {name}: {text} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n", maxsplit=1)[0].replace("|", "/")


def _wall(runs: Iterable[Measurement]) -> float | None:
    """The wall seconds; None if a run ended with wrong rows."""
    runs = list(runs)
    return None if not runs or any(one.wrong for one in runs) else median(one.wall for one in runs)


def _cpu_seconds(runs: Iterable[Measurement]) -> float:
    return median(sum(one.cpu.values()) for one in runs)


def _cpu(runs: Sequence[Measurement]) -> str:
    total = _cpu_seconds(runs)
    roles = _by_role([one.cpu for one in runs])
    parts = ", ".join(f"{role} {value:.1f}" for role, value in roles.items())
    return f"{total:.1f}" if len(roles) == 1 else f"{total:.1f} ({parts})"


def _peaks(runs: Sequence[Measurement]) -> str:
    roles = _by_role([one.peak for one in runs])
    if len(roles) == 1:
        return f"{next(iter(roles.values())):.0f}"
    return ", ".join(f"{role} {value:.0f}" for role, value in roles.items())


def _by_role(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {role: median(run[role] for run in runs if role in run) for run in runs for role in run}


def machine(versions: Mapping[str, Mapping[str, str]]) -> str:
    """The machine and the versions with which the benchmark ran."""
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    memory = psutil.virtual_memory().total / _GB
    measured = (
        f"Measured {datetime.now(tz=timezone.utc):%Y-%m-%d %H:%M} UTC on {_processor()}, {os.cpu_count()} cores, "
        f"{memory:.0f} GB, {platform.platform(terse=True)}, {platform.python_implementation()} "
        f"{platform.python_version()}; the server shares the cores; load before the first run: {load}."
    )
    lines = [
        measured,
        "",
        *(f"- {name}: {', '.join(f'{one} {of}' for one, of in found.items())}" for name, found in versions.items()),
    ]
    return "\n".join([*lines, ""])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def as_json(measurements: Sequence[Measurement]) -> str:
    """All measurements, for further calculation."""
    return json.dumps([asdict(one) for one in measurements], indent=1)
