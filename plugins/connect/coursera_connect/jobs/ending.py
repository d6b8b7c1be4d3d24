"""Finds out how a run ended that no process watched: from its publish in the journal and its load in Meltano's record.

The steps of a job run one after the other, so the first step without a trace of success is the one that failed.
Meltano does not keep what it prints, so the error message of a step is known only if a process watched (watch.py).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from coursera_connect import timestamps
from coursera_connect.errors import UsageError
from coursera_connect.jobs import journal
from coursera_connect.jobs.journal import DONE, FAILED, KILLED, Run
from coursera_connect.meltano import meltano_runs, meltano_schedules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from coursera_connect.meltano.meltano_runs import Load

GOOD = frozenset({"published", "unchanged", "skipped"})
"""Outcomes of a publish that are not failures."""

PUBLISH = "connect:publish"

BEGAN = "began"
"""The outcome in the journal while a publish is still running."""

_BACK = timedelta(days=90)
_SECOND = timedelta(seconds=1)
_WORDS = {
    "Extractor failed": "The extractor failed",
    "Loader failed": "The loader failed",
    "Extractor and loader failed": "Extractor and loader failed",
}
_SEE = "the output of that run says why"


def look(file: Path, environment: str, project: Path | None = None) -> None:
    """End the entries of runs that are over, and take over from Meltano's record the loads that began no entry."""
    for run in journal.read(file, "coalesce(ended_at, '') = ''"):
        if not run.is_alive:
            settle(file, run, project)
    since = datetime.now(timezone.utc) - _BACK
    loads = meltano_runs.loads(environment, since) if environment else []
    known = journal.read(file, "started_at >= ?", [timestamps.written(since - _SECOND)]) if loads else []
    strangers = [load for load in loads if load.state != "RUNNING" and not any(_belongs(load, run) for run in known)]
    if strangers:
        journal.adopt(file, [_adopted(load, environment) for load in strangers])


def settle(file: Path, run: Run, project: Path | None = None) -> Run:
    """End the entry of a run that no process watched to its end, and return the run as it is known then."""
    loads = _loads(run)
    values = _told(run, loads, project)
    ends = [load.ended_at for load in loads if load.ended_at]
    if not run.is_alive and values["outcome"] != DONE and ends:
        values["ended_at"] = timestamps.written(max(ends))
    journal.end(file, run.id, **values)
    return journal.read(file, "id = ?", [run.id])[0]


def so_far(run: Run) -> Run:
    """Return a running run with what is known of its loads."""
    return replace(run, **of_loads(_loads(run)))


def _loads(run: Run) -> list[Load]:
    began = timestamps.parsed(run.started_at) or datetime.now(timezone.utc)
    return [load for load in meltano_runs.loads(run.environment, began - _SECOND) if _belongs(load, run)]


def _belongs(load: Load, run: Run) -> bool:
    """Return whether a load is a step of a run, by Meltano's id or by time: jobs of an environment do not overlap."""
    if load.run == run.id:
        return True
    began, ended = timestamps.parsed(run.started_at), timestamps.parsed(run.ended_at)
    if began is None or run.watcher:
        return False
    return began - _SECOND <= load.started_at and (ended is None or load.started_at <= ended + _SECOND)


def _told(run: Run, loads: Sequence[Load], project: Path | None) -> dict[str, Any]:
    outcome, step, sentence = _end_of(run, loads, project)
    return {"outcome": outcome, "step": step, "sentence": sentence, **of_loads(loads)}


def _end_of(run: Run, loads: Sequence[Load], project: Path | None) -> tuple[str, str, str]:
    """Return the outcome of a run, the step that failed, and the reason in words."""
    if run.published:
        if run.published in GOOD:
            return DONE, "", ""
        is_killed = run.published == BEGAN
        return KILLED if is_killed else FAILED, PUBLISH, "The publish was killed." if is_killed else run.sentence
    last = loads[-1] if loads else None
    if last and last.state != "SUCCESS":
        if last.is_killed or last.state == "RUNNING":
            return KILLED, last.extractor, "The load was killed."
        return FAILED, last.extractor, f"{_words(last)}; {_SEE}."
    left = next(_left(run, loads, project), "")
    return (FAILED, left, f"It did not end well, or was killed; {_SEE}.") if left else (DONE, "", "")


def of_loads(loads: Sequence[Load]) -> dict[str, Any]:
    """Return the fields of an entry that describe the loads of a run."""
    if not loads:
        return {}
    good = all(load.state == "SUCCESS" for load in loads)
    return {"extractor": loads[-1].extractor, "loaded": "done" if good else "failed"}


def _left(run: Run, loads: Sequence[Load], project: Path | None) -> Iterator[str]:
    """Yield the steps of a run, in order, for which nothing shows that they succeeded."""
    words = run.job.split()
    if project is not None and len(words) == 1:
        try:
            words = meltano_schedules.steps(project, run.job) or words
        except UsageError:
            return
    done = {load.extractor for load in loads if load.state == "SUCCESS"}
    loading = False  # the word after an extractor is its loader
    for word in words:
        is_extractor = word.startswith("tap-")
        if word == "connect:lock" or word in done or loading:
            loading = word in done
            continue
        if is_extractor or ":" in word:
            yield word


def _words(load: Load) -> str:
    return _WORDS.get(load.error, "The load failed")


def _adopted(load: Load, environment: str) -> Run:
    good = load.state == "SUCCESS"
    killed = load.is_killed
    trigger = load.trigger if load.trigger.startswith(journal.SCHEDULE) else journal.HAND
    sentence = "The load was killed." if killed else f"{_words(load)}; {_SEE}."
    return Run(
        load.run,
        environment=environment,
        job=load.extractor,
        started_by=trigger,
        started_at=timestamps.written(load.started_at),
        ended_at=timestamps.written(load.ended_at or load.started_at),
        outcome=DONE if good else KILLED if killed else FAILED,
        step="" if good else load.extractor,
        sentence="" if good else sentence,
        extractor=load.extractor,
        loaded="done" if good else "failed",
        told_at=journal.now(),  # of what is found later, nobody is told
    )


def extractor(project: Path | None, job: str) -> str:
    """Return the extractor of a job, or of the words in its place; blank if it loads nothing."""
    words = job.split()
    if project is not None and len(words) == 1:
        with suppress(UsageError):
            words = meltano_schedules.steps(project, job) or words
    return next((word for word in words if word.startswith("tap-") and ":" not in word), "")
