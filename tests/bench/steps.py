"""Runs commands, each a process or a pipe of two, and says what each cost."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

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

    What they print goes to `<name>.log` in the folder, but for what the last prints where `output` names a file.
    """
    log = folder / f"{name.replace(' ', '-').replace(',', '')}.log"
    new = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [os.open(folder / output, new, 0o644)] if output else []
    files.append(os.open(log, new, 0o644))
    began = time.monotonic()
    source = os.open(os.devnull, os.O_RDONLY)
    processes = []
    for position, command in enumerate(commands, 1):
        last = position == len(commands)
        following, sink = (source, files[0]) if last else os.pipe()
        actions = [
            (os.POSIX_SPAWN_DUP2, source, 0),
            (os.POSIX_SPAWN_DUP2, sink, 1),
            (os.POSIX_SPAWN_DUP2, files[-1], 2),
        ]
        processes.append(os.posix_spawn(command[0], command, os.environ | (environment or {}), file_actions=actions))
        os.close(source)
        if not last:
            os.close(sink)
            source = following
    ended = [os.wait4(process, 0) for process in processes]
    wall = time.monotonic() - began
    for file in files:
        os.close(file)
    for command, (_, status, _) in zip(commands, ended, strict=True):
        if status:
            sys.exit(f"{name}: {' '.join(command)} failed:\n{log.read_text('utf-8')[-4000:]}")
    used = [usage for _, _, usage in ended]
    return Step(
        name, wall, tuple(one.ru_utime + one.ru_stime for one in used), tuple(one.ru_maxrss / 1024 for one in used)
    )


def table(headings: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown, the first column to the left, all others to the right."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
