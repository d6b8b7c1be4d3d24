"""Reads the schedules of a Meltano project, when they run, and which of them publish.

meltano.yml has the same schedules for every environment. Meltano expands no variable in an interval, so a setting of
connect outranks it: CONNECT_SCHEDULE_GRADE_SYNC is the cron expression of the schedule grade-sync, or `@manual` if
this schedule is run by hand.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from coursera_connect.errors import UsageError
from coursera_connect.meltano.project_files import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


_FILE = "meltano.yml"
_CONNECT = "connect"
_PUBLISH = "publish"
_INTERVALS = {
    "@once": None,
    "@manual": None,
    "@none": None,
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


def cron(interval: str) -> str | None:
    """Return the cron expression of an interval; None for a schedule that is run by hand."""
    return _INTERVALS.get(interval, interval)


@dataclass(frozen=True)
class Schedule:
    """A schedule. `cron` is None if it runs by hand only; `publishes` is None if its job is not defined.

    `setting` is the name of the setting that changes its interval; `shipped` is the interval in meltano.yml.
    """

    name: str
    interval: str
    shipped: str
    setting: str
    cron: str | None
    job: str
    publishes: bool | None


def setting(name: str) -> str:
    """Return the name of the setting that holds the interval of a schedule."""
    return f"CONNECT_SCHEDULE_{re.sub(r'[^a-z0-9]+', '_', name.lower()).upper()}"


def read(project: Path, times: Mapping[str, str] | None = None) -> list[Schedule]:
    """Return the schedules of the project folder, in the order of meltano.yml and the files that it includes.

    `times` are intervals by their setting; without any, those of the environment.
    """
    chosen = os.environ if times is None else times
    parts = list(_parts(project))
    jobs = {str(job.get("name")): job for part in parts for job in _entries(part, "jobs")}
    publishing = _publishing(parts)
    return [_schedule(entry, jobs, publishing, chosen) for part in parts for entry in _entries(part, "schedules")]


def jobs(project: Path) -> list[str]:
    """Return the names of the jobs of the project folder."""
    return [str(entry.get("name")) for part in _parts(project) for entry in _entries(part, "jobs")]


def steps(project: Path, job: str) -> list[str]:
    """Return the words of a job's tasks, such as `connect:lock` and `tap-coursera`; none if the job is not defined."""
    for part in _parts(project):
        for entry in _entries(part, "jobs"):
            if entry.get("name") == job:
                return list(_words(entry.get("tasks")))
    return []


def environments(project: Path) -> list[str]:
    """Return the names of the environments of the project folder."""
    return [str(entry.get("name")) for part in _parts(project) for entry in _entries(part, "environments")]


def _parts(project: Path) -> Iterator[dict[str, Any]]:
    path = project / _FILE
    if not path.is_file():
        raise UsageError(f"There is no {_FILE} in {project}: set {PROJECT} to the folder of the Meltano project.")
    root = _load(path)
    yield root
    patterns = root.get("include_paths")
    try:
        found = {file for p in patterns for file in project.glob(str(p))} if isinstance(patterns, list) else set()
    except (NotImplementedError, ValueError) as error:
        raise UsageError(
            f"include_paths of {path} has a pattern that is not within the project: correct it."
        ) from error
    for included in sorted(found - {path}):
        if included.is_file():
            yield _load(included)


def _load(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {type(error).__name__}.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise UsageError(f"{path} is no YAML{where}: correct it, Meltano cannot read it either.") from error
    return content if isinstance(content, dict) else {}


def _entries(part: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = part.get(key)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _schedule(
    entry: dict[str, Any], jobs: dict[str, dict[str, Any]], publishing: set[str], times: Mapping[str, str]
) -> Schedule:
    name = str(entry.get("name", ""))
    shipped = str(entry.get("interval") or "@none").strip()
    interval = times.get(setting(name), "").strip() or shipped
    job = entry.get("job")
    publishes: bool | None = False  # one without a job is an extractor, a loader and perhaps dbt
    if job is not None:
        publishes = bool(publishing & set(_words(jobs[job].get("tasks")))) if job in jobs else None
    return Schedule(name, interval, shipped, setting(name), cron(interval), str(job or ""), publishes)


def _words(tasks: Any) -> Iterator[str]:
    if isinstance(tasks, str):
        yield from tasks.split()
    elif isinstance(tasks, list):
        for task in tasks:
            yield from _words(task)


def _publishing(parts: list[dict[str, Any]]) -> set[str]:
    """Return the names of tasks that publish: `connect:publish`, and those of plugins that inherit from connect."""
    plugins = [part["plugins"] for part in parts if isinstance(part.get("plugins"), dict)]
    utilities = {str(u.get("name")): u for plugin in plugins for u in _entries(plugin, "utilities")}
    names = {f"{_CONNECT}:{_PUBLISH}"}
    for name, utility in utilities.items():
        line = [utility]
        while (parent := utilities.get(str(line[-1].get("inherit_from")))) and parent not in line:
            line.append(parent)
        if _CONNECT in (name, line[-1].get("name")):
            names.add(f"{name}:{_PUBLISH}")
            names |= {f"{name}:{command}" for relative in line for command in _commands(relative)}
    return names


def _commands(utility: dict[str, Any]) -> Iterator[str]:
    commands = utility.get("commands")
    for name, command in commands.items() if isinstance(commands, dict) else ():
        arguments = command.get("args") if isinstance(command, dict) else command
        if str(arguments or "").split()[:1] == [_PUBLISH]:
            yield str(name)
