"""The steps of a job, one after the other, and what each cost."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench import processes

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Step:
    """Wall seconds; CPU seconds and peak resident memory in MB of each process."""

    name: str
    wall: float
    cpu: tuple[float, ...]
    rss: tuple[float, ...]

    @property
    def cells(self) -> list[str]:
        """The step as a row of a table: name, wall, CPU, peak memory."""
        cpu, rss = (" + ".join(f"{one:.{digits}f}" for one in cost) for cost, digits in ((self.cpu, 1), (self.rss, 0)))
        return [self.name, f"{self.wall:.1f}", cpu, rss]


def run(
    name: str, *commands: list[str], folder: Path, output: str = "", environment: dict[str, str] | None = None
) -> Step:
    """Run one command, or several as a shell's pipe does, and end with a message if one of them fails.

    The output of the last command goes to the file `output` in the folder (by default `<name>.out`), and standard
    error to `<name>.log`.
    """
    stem = name.replace(" ", "-").replace(",", "")
    printed = folder / (output or f"{stem}.out")
    stages = [processes.Stage(str(place), command, environment or {}) for place, command in enumerate(commands)]
    cost = processes.run(stages, folder / f"{stem}.log", output=printed)
    if cost.failure:
        sys.exit(f"{name}: {cost.failure}\n{printed.read_text('utf-8')[-2000:]}")
    return Step(name, cost.wall, tuple(cost.cpu.values()), tuple(cost.peak.values()))


def table(headings: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown, the first column to the left, all others to the right."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
