"""The commands that a document shows and the output that it shows for them, to be typed and compared."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.pipeline.project import Project

PAGE = Path(__file__).resolve().parents[2] / "docs/administrators.md"
"""The page with the walk-through: two days in the sandbox."""
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_OF_MELTANO = re.compile(r"^\S+ \[\w+ *\] meltano ")
_CHANCE = (
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r"\bpid \d+"), "pid PID"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?Z?"), "TIME"),
)
"""What differs from machine to machine and from run to run."""


@dataclass(frozen=True)
class Typed:
    """A command as it is typed, and the lines that the document shows of its output."""

    command: str
    shown: tuple[str, ...]


def blocks(text: str = "") -> list[list[Typed]]:
    """Return the commands of each ```console block."""
    found = []
    for block in _BLOCK.findall(text or PAGE.read_text(encoding="utf-8")):
        parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
        found.append([Typed(lines[0], tuple(lines[1:])) for lines in map(str.splitlines, parts)])
    return found


def answer(project: Project, command: str) -> list[str]:
    """Type a command in a project's folder, and return its output without Meltano's lines. A failure is an error."""
    here = str(project.root / ".venv" / "bin")
    env = project.env()
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=project.root,
        env={**env, "PATH": f"{here}:{env['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=240,
    )
    lines = [line.rstrip() for line in done.stdout.splitlines() if not _OF_MELTANO.match(line)]
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n" + "\n".join(lines[-60:])
    return [line for line in lines if line]


def differences(shown: tuple[str, ...], printed: list[str]) -> str:
    """Return the lines that the document shows and the command did not print; `...` stands for any lines or text."""
    at, gap = 0, False
    for line in shown:
        if line == "...":
            gap = True
            continue
        wanted = re.compile(".*".join(map(re.escape, _plain(line).split("..."))))
        while at < len(printed) and not wanted.fullmatch(_plain(printed[at])):
            if not gap:
                return f"shown:   {line}\nprinted: {printed[at]}"
            at += 1
        if at == len(printed):
            return f"shown, and not printed: {line}\nprinted:\n" + "\n".join(printed[-60:])
        at, gap = at + 1, False
    return "" if gap or at == len(printed) else f"printed, and not shown: {printed[at]}"


def _plain(line: str) -> str:
    """A line without what is chance, columns as wide as they happen to be included."""
    for pattern, word in _CHANCE:
        line = pattern.sub(word, line)
    return " ".join(line.split())
