"""Tells from the runs whether the whole pipeline is healthy: a failed load counts until a later load has succeeded."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from coursera_connect import command_text
from coursera_connect.jobs.ending import GOOD
from coursera_connect.jobs.journal import DONE, KILLED, STOPPED
from coursera_connect.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from coursera_connect.jobs.journal import Run

USUAL_GAP = timedelta(hours=24)
"""The time between two loads if no schedule says otherwise."""

GRACE = timedelta(hours=12)
"""How late a load may be before it counts as missed."""

_NARROW = "-roster"
"""The end of the name of an extractor that reads people but no grades: its load does not make up for others."""

_WORDS = {
    "dbt": "The transforms of {job} failed.",
    "connect:lock": "{job} waited for another job in vain.",
    "connect:publish": "The publish of {job} failed.",
    "meltano": "{job} failed before its first step.",
}
"""What failed in words, by the step or its plugin; every other step is part of the load."""

_FIRST = {"dbt": "connect quality", "tap": "connect test"}
"""The command that tells more about the cause, by the beginning of the step."""


def failure(runs: Sequence[Run], published_at: str = "") -> Run | None:
    """Return the newest run that failed and that no later run has made up for.

    A later load of the same kind makes up for a run that did not load; the next run that succeeded, or a publish by
    hand, makes up for any other failure.

    Args:
        runs: The runs, newest first.
        published_at: When the last good publish ended; blank where there is none.
    """
    later: list[Run] = []
    for run in runs:
        if run.outcome == DONE or (not run.ended_at and run.published in GOOD):  # of which the page is written now
            later.append(run)
        elif (
            run.ended_at
            and (loads_in_vain(run) or run.ended_at > published_at)
            and not any(_makes_good(one, run) for one in later)
        ):
            return run
    return None


def loads_in_vain(run: Run) -> bool:
    """Return whether a run should have loaded and did not."""
    return is_load(run) and run.loaded != "done"


def _makes_good(later: Run, failed: Run) -> bool:
    if later.job == failed.job:
        return True
    if loads_in_vain(failed):
        return later.loaded == "done" and (later.extractor == failed.extractor or not later.extractor.endswith(_NARROW))
    return True


def is_load(run: Run) -> bool:
    """Return whether a run has a load among its steps, however far it came."""
    return bool(run.extractor)


def last_load(runs: Iterable[Run]) -> Run | None:
    """Return the newest run whose load succeeded."""
    return next((run for run in runs if run.loaded == "done"), None)


def expected(starts: Iterable[datetime]) -> timedelta:
    """Return the age at which a load counts as missed, from the times at which loads should start."""
    times = sorted(starts)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return max(gaps, default=USUAL_GAP) + GRACE


def described(run: Run) -> dict[str, Any]:
    """Return a failed run in words: `sentence` says what failed, `more` why; the last of `commands` mends it."""
    part = run.step.partition(":")[0]
    job = run.job or "a run"
    if run.outcome in {KILLED, STOPPED}:
        sentence = "{job} was " + ("killed" if run.outcome == KILLED else "stopped with Ctrl-C")
        sentence += ", and loaded nothing." if loads_in_vain(run) else "."
    else:
        sentence = _WORDS.get(run.step) or _WORDS.get(part) or "The last load failed ({job})."
    sentence = sentence.format(job=job)
    named = "" if run.step.startswith("connect") or part in {"", "meltano"} else f"{run.step}: "
    why = "" if run.outcome == STOPPED else f"{named}{one_line(run.sentence)}"
    first = [
        command for beginning, command in _FIRST.items() if run.step.startswith(beginning) and run.outcome != KILLED
    ]
    return {
        "sentence": f"{sentence[:1].upper()}{sentence[1:]}",
        "more": why + ("" if why[-1:] in {"", ".", "!", "?"} else "."),
        "commands": [command_text.printed(one, run.environment or None) for one in (*first, _again(run))],
    }


def _again(run: Run) -> str:
    """Return the command that repeats a run."""
    if " " in run.job or run.job.startswith("tap-"):  # typed without a job
        steps = run.job if " " in run.job else f"{run.job} target-warehouse"
        return f"meltano run {steps}"
    return f"connect run {run.job or 'grade-sync'}"


def report(run: Run) -> dict[str, Any]:
    """Return a failed run as a report for notices."""
    words = described(run)
    return {
        "outcome": "failed",
        "why": f"{words['sentence']} {words['more']}".strip(),
        "job": run.job,
        "environment": run.environment,
        "started_by": run.started_by,
        "started_at": run.started_at,
        "finished_at": run.ended_at,
        "step": run.step,
        "to_do": words["commands"],
    }
