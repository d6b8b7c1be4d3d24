"""Shows the steps of a job on a terminal while it runs: bars, rows and the time left."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.progress import Progress, ProgressColumn, SpinnerColumn, TextColumn
from rich.progress_bar import ProgressBar
from rich.table import Column
from rich.text import Text
from typing_extensions import override

from coursera_connect.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import Console
    from rich.progress import Task, TaskID

    from coursera_connect.jobs.watch import Event

_TITLES = {
    "connect:lock": "Wait for other jobs",
    "dbt:build": "Transform",
    "connect:publish": "Check and publish",
    "coursera-sandbox:start": "Start the sandbox",
    "coursera-sandbox:stop": "Stop the sandbox",
}
_SHORT = {"connect:publish": "publish"}
_OVER = re.compile(r"(\w+): ([\d]+) rows, \d+ requests")
_STREAM = re.compile(r"Beginning sync of '(\w+)'")
_NODE = re.compile(r"\b(\d+) of (\d+) (?:OK|PASS|WARN|ERROR|FAIL|SKIP)")
_ALMOST = 0.99
_BAR = 10
_SECONDS, _MINUTES = 120, 7200
"""A duration is shown in minutes, or in hours, from so many seconds on."""


@dataclass
class Step:
    """One step of a job: its words in meltano.yml, and its progress."""

    words: str
    usual: float = 0.0
    """Seconds that the step took in the last successful run; 0 if that is not known."""
    loading: str = ""
    done: int = 0
    of: int = 0
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Return the name of the step for people."""
        if self.is_load:
            return "Load"
        return _TITLES.get(self.words, self.words)

    @property
    def short(self) -> str:
        """Return the step in a word or two."""
        return "load" if self.is_load else _SHORT.get(self.words, self.words)

    @property
    def is_load(self) -> bool:
        """Return whether the step is an extractor with its loader."""
        return " " in self.words

    def hear(self, event: Event) -> None:
        """Update the progress of the step from a line of the log."""
        if self.is_load:
            if found := _STREAM.search(event.text):
                self.loading = found[1]
            if found := _OVER.search(event.text):
                self.rows[found[1]] = int(found[2])
            elif metric := event.facts.get("metric_info"):
                self._count(metric)
        elif (found := _NODE.search(event.text)) and int(found[2]) >= self.of:  # and no hook, of which dbt counts one
            self.done, self.of = int(found[1]), int(found[2])

    def _count(self, metric: Mapping[str, Any]) -> None:
        if metric.get("metric") == "record_count" and (stream := metric.get("tags", {}).get("stream")):
            self.rows[stream] = self.rows.get(stream, 0) + int(metric["value"])

    @property
    def progress(self) -> str:
        """Return the progress of the step in words."""
        if self.of:
            return f"{self.done} of {self.of}"
        rows = sum(self.rows.values())
        return ", ".join(filter(None, [plural(rows, "row") if rows else "", self.loading]))

    def ended(self) -> None:
        """Take note that nothing more is read."""
        self.loading = ""


def steps(words: Sequence[str], usual: Mapping[str, float]) -> list[Step]:
    """Return the steps in the words of a job; an extractor and its loader are one step."""
    found: list[str] = []
    for word in words:
        if found and found[-1].startswith("tap-") and " target-" not in found[-1]:
            found[-1] += f" {word}"
        else:
            found.append(word)
    return [Step(one, usual.get(str(number), 0.0)) for number, one in enumerate(found)]


@contextmanager
def screen(found: list[Step], console: Console) -> Iterator[Callable[[Event], None]]:
    """Show the steps while they run, each in a line that stays; show nothing if this is not a terminal."""
    if not console.is_terminal:
        yield lambda event: _hear(found, [0], event)
        return
    columns = (
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        _Bar(),
        _Far(table_column=Column(no_wrap=True, ratio=1)),
        _Left(table_column=Column(no_wrap=True)),
    )
    with Progress(*columns, console=console, expand=True) as progress:
        at = [0]
        tasks = [_begin(progress, found, 0)] if found else []

        def show(event: Event) -> None:
            before = at[0]
            _hear(found, at, event)
            if event.part == "connect" and event.text.startswith("Waiting up to"):
                progress.console.print(event.text, soft_wrap=True)
            if at[0] != before:
                found[before].ended()
                progress.update(tasks[-1], total=1, completed=1 if event.facts.get("success") else 0)
                progress.stop_task(tasks[-1])
                if event.facts.get("success") and at[0] < len(found):
                    tasks.append(_begin(progress, found, at[0]))

        yield show


def _begin(progress: Progress, found: list[Step], number: int) -> TaskID:
    step = found[number]
    later = sum(one.usual for one in found[number + 1 :])
    known = all(one.usual for one in found[number:])
    description = f"[{number + 1}/{len(found)}] {step.title}"
    return progress.add_task(description, total=None, step=step, later=later if known else None)


def _hear(found: list[Step], at: list[int], event: Event) -> None:
    if event.is_end_of_step:
        at[0] = int(event.facts.get("set_number") or 0) + 1
    elif at[0] < len(found):
        found[at[0]].hear(event)


class _Bar(ProgressColumn):
    """The bar of a step: by what the step counts, else by the time that it usually takes."""

    @override
    def render(self, task: Task) -> ProgressBar:
        step: Step = task.fields["step"]
        share: float | None = None
        if task.finished or task.stop_time is not None:
            share = task.completed
        elif step.of:
            share = step.done / step.of
        elif step.usual:
            share = min(_ALMOST, (task.elapsed or 0) / step.usual)
        return ProgressBar(
            total=None if share is None else 1.0, completed=share or 0, width=_BAR, animation_time=time.monotonic()
        )


class _Far(ProgressColumn):
    """The column with what a step has counted so far."""

    @override
    def render(self, task: Task) -> Text:
        return Text(task.fields["step"].progress)


class _Left(ProgressColumn):
    """The column with the time that a step took, or that is left of the job."""

    @override
    def render(self, task: Task) -> Text:
        step: Step = task.fields["step"]
        elapsed = task.elapsed or 0
        later = task.fields["later"]
        if task.stop_time is not None or not step.usual or later is None:
            return Text(span(elapsed))
        left = max(0.0, step.usual - elapsed) + later
        return Text(f"{span(elapsed)}, about {span(left)} left")


def span(seconds: float) -> str:
    """Return `52 s`, `12 min` or `3 h 20 min`."""
    if seconds < _SECONDS:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if seconds < _MINUTES else f"{minutes // 60} h {minutes % 60} min"
