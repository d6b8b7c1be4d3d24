"""Checks that every scheduled run ends before the LMS's own sync, also when the clocks change.

Times are UTC inside and shown in two zones: that of the schedules and that of the LMS. The usual length of a run is
that of the runs which the schedule has started, from the journal; runs by hand do not count. Cron fires a time in a
skipped hour right after that hour, and a time in a repeated hour once; the LMS is assumed to do the same.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any

from cronsim import CronSimError

from coursera_connect import command_text, timestamps
from coursera_connect.errors import UsageError
from coursera_connect.jobs.journal import DONE
from coursera_connect.meltano import meltano_schedules, project_files
from coursera_connect.schedule import blackout, time_zones
from coursera_connect.schedule.cron_times import DAYS, NEW_TIME, earlier_cron, fires
from coursera_connect.schedule.lms_times import LMS_ZONE, SYNC_TIME, schedule_zone, sync_crons
from coursera_connect.warehouse import ledger, warehouse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from coursera_connect.jobs.journal import Run
    from coursera_connect.meltano.meltano_schedules import Schedule
    from coursera_connect.warehouse.warehouse import Location


HISTORY_DAYS = 90
"""How many days back a run counts for the usual length."""
SAMPLES = 3
"""How many runs are needed to know the usual length."""
USUAL = 0.9
"""The share of past runs that are not longer than the usual length."""

OK, WARNING, ERROR, NOT_RELEVANT = "ok", "warning", "error", "not relevant"
_ORDER = (NOT_RELEVANT, OK, WARNING, ERROR)
_NEXT = 3
_SHOWN = "%a %Y-%m-%d %H:%M %Z"
_EARLY = timedelta(minutes=1)
"""How much before its time a run may appear to begin."""
_RARE = timedelta(days=40)


@dataclass(frozen=True)
class Settings:
    """The settings of a check; `minutes` and `usual_minutes` in minutes, `wait` in seconds.

    A blank `time_zone` means that of the LMS.
    """

    project: Path
    database: Location
    lms_sync_time: str = "05:00"
    lms_time_zone: str = "UTC"
    time_zone: str = ""
    minutes: float = 15.0
    usual_minutes: float = 30.0
    blackout: str = ""
    wait: float = 5.0
    journal: Path | None = None
    times: Mapping[str, str] | None = None
    """The times of schedules by their setting; without any, those of the environment."""


@dataclass(eq=False)
class _Plan:
    """A schedule with its times and findings; `checked` is whether it can be late for the LMS."""

    schedule: Schedule
    checked: bool = False
    past: list[datetime] = field(default_factory=list)
    fires: list[datetime] = field(default_factory=list)
    usual: timedelta = timedelta()
    verdict: str = NOT_RELEVANT
    sentences: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def say(self, sentence: str, verdict: str = NOT_RELEVANT) -> None:
        self.sentences.append(sentence)
        self.verdict = max(self.verdict, verdict, key=_ORDER.index)


class _Check:
    def __init__(self, settings: Settings, now: datetime) -> None:
        self.settings = settings
        self.now = now.astimezone(timezone.utc).replace(microsecond=0)
        self.until = self.now + timedelta(days=DAYS)
        self.since = self.now - timedelta(days=HISTORY_DAYS)
        self.lms_zone = time_zones.zone(settings.lms_time_zone, LMS_ZONE)
        self.zone = schedule_zone(settings.time_zone, settings.lms_time_zone)
        self.blackouts = blackout.parse(settings.blackout)
        self.slots = self._slots()
        self.runs = self._runs()
        self.plans = [self._plan(schedule) for schedule in meltano_schedules.read(settings.project, settings.times)]

    def _slots(self) -> list[datetime]:
        found: set[datetime] = set()
        for cron in sync_crons(self.settings.lms_sync_time):
            found.update(fires(cron, self.lms_zone, self.since, self.until + _RARE))
        if not found or max(found) <= self.now:
            raise UsageError(f"{SYNC_TIME}: {self.settings.lms_sync_time} is a time that does not come.")
        return sorted(found)

    def _plan(self, schedule: Schedule) -> _Plan:
        plan = _Plan(schedule)
        if schedule.cron is None:
            plan.say(f"Runs by hand only ({schedule.interval}).")
        else:
            try:
                times = list(fires(schedule.cron, self.zone, self.since, self.until))
            except CronSimError as error:
                plan.say(
                    f'The interval "{schedule.interval}" is none that cron understands: {error}. Correct it: '
                    f"{self._to_set(schedule)}",
                    ERROR,
                )
                return plan
            here = bisect_right(times, self.now)
            plan.past, plan.fires = times[:here], times[here:]
        if schedule.publishes is None:
            plan.say(f"The job {schedule.job} is not defined in meltano.yml.", ERROR)
        elif not schedule.publishes:
            plan.say("Its job does not publish, so the LMS does not see it.")
        elif schedule.cron is not None and not plan.fires:
            plan.say(f"Its interval has no time within {DAYS} days.", WARNING)
        else:
            plan.checked = schedule.cron is not None
        if plan.checked:
            plan.verdict = OK
        return plan

    def run(self) -> dict[str, Any]:
        checked = [plan for plan in self.plans if plan.checked]
        for plan in checked:
            self._usual(plan)
            self._gaps(plan)
        self._overlaps()
        return {
            "verdict": max((plan.verdict for plan in self.plans), key=_ORDER.index, default=NOT_RELEVANT),
            "now": timestamps.written(self.now),
            "checked_until": timestamps.written(self.until),
            "minutes": self.settings.minutes,
            "schedule_time_zone": {
                **self._zone(self.zone),
                "from": "setting" if self.settings.time_zone else "LMS",
            },
            "lms_time_zone": self._zone(self.lms_zone),
            "lms": {
                "sync": self.settings.lms_sync_time,
                "next": [self._moment(s) for s in self.slots[bisect_right(self.slots, self.now) :][:_NEXT]],
            },
            "blackouts": [str(found) for found in self.blackouts],
            "schedules": [self._described(plan) for plan in self.plans],
        }

    def _runs(self) -> dict[str, list[Run]]:
        """Return the past runs that each schedule started, newest first."""
        if warehouse.exists(self.settings.database):
            with warehouse.opened(self.settings.database, self.settings.wait) as database:
                runs = ledger.job_runs(database, self.settings.journal)
        else:
            runs = ledger.job_runs(None, self.settings.journal)
        found: dict[str, list[Run]] = {}
        for run in runs:
            began = timestamps.parsed(run.started_at)
            if run.schedule and began and self.since < began <= self.now:
                found.setdefault(run.schedule, []).append(run)
        return found

    def _usual(self, plan: _Plan) -> None:
        """Find the usual length: 9 of 10 successful runs were not longer."""
        runs = self.runs.get(plan.schedule.name, [])
        lengths = sorted(timedelta(seconds=run.seconds or 0) for run in runs if run.outcome == DONE)
        failed = sum(1 for run in runs if run.ended_at and run.outcome != DONE)
        last = self._last(plan, runs[0]) if runs and not runs[0].is_alive else None
        known = len(lengths) >= SAMPLES
        minutes = timedelta(minutes=self.settings.usual_minutes)
        plan.usual = lengths[math.ceil(USUAL * len(lengths)) - 1] if known else minutes
        plan.facts["usual"] = {
            "minutes": _minutes(plan.usual),
            "source": "history" if known else "setting",
            "samples": len(lengths),
            "failed": failed,
        }
        plan.facts["last"] = last
        if not known:
            values = f"{len(lengths)} of the {SAMPLES} runs needed" if lengths else "no run"
            plan.say(f"No history yet ({values}): {_minutes(plan.usual):g} minutes are supposed.")
        elif failed:
            plan.say(f"{failed} of its last {failed + len(lengths)} runs failed: `connect history` tells why.")
        if last:
            self._judge_last(plan, last)

    def _last(self, plan: _Plan, run: Run) -> dict[str, Any]:
        """Return what happened at the last time of a schedule: its last run, or that there was no run."""
        start = timestamps.parsed(run.started_at) or self.now
        end = timestamps.parsed(run.ended_at) if run.outcome == DONE else None
        if plan.past and start < plan.past[-1] - _EARLY:
            start, end = plan.past[-1], None
        slot = self._slot(start)
        return {
            "started": self._moment(start),
            "ended": self._moment(end) if end else None,
            "lms": self._moment(slot) if slot else None,
            "minutes_before": _minutes(slot - end) if slot and end else None,
            "late": bool(slot and (slot < end if end else slot < self.now)),
        }

    def _judge_last(self, plan: _Plan, last: dict[str, Any]) -> None:
        before, lms = last["minutes_before"], last["lms"]
        if before is None:
            verdict = WARNING if last["late"] else NOT_RELEVANT
            plan.say(f"Its last time ({last['started']['here']}) brought no run that ended well.", verdict)
        elif last["late"]:
            plan.say(f"The last run ended {-before:g} minutes after the LMS had synced ({lms['here']}).", WARNING)
        elif before < self.settings.minutes:
            plan.say(f"The last run ended only {before:g} minutes before the LMS synced ({lms['here']}).", WARNING)
        else:
            plan.say(f"The last run ended {_length(before)} before the LMS sync of {lms['here']}.")

    def _slot(self, start: datetime) -> datetime | None:
        index = bisect_left(self.slots, start)
        return self.slots[index] if index < len(self.slots) else None

    def _gaps(self, plan: _Plan) -> None:
        """Find the time from the usual end of each run to the first LMS sync after its start; it may be negative."""
        gaps = [(slot - start - plan.usual, start, slot) for start in plan.fires if (slot := self._slot(start))]
        if not gaps:
            return
        needed = timedelta(minutes=self.settings.minutes)
        gap, start, slot = min(gaps)
        close = sum(1 for found, _, _ in gaps if found < needed)
        plan.facts |= {
            "runs": len(gaps),
            "too_close": close,
            "usual_gap_minutes": _minutes(Counter(found for found, _, _ in gaps).most_common(1)[0][0]),
            "worst": {
                "gap_minutes": _minutes(gap),
                "starts": self._moment(start),
                "ends": self._moment(start + plan.usual),
                "lms": self._moment(slot),
            },
        }
        if not close:
            return
        when = f"{self._moment(start)['here']}, usual end {(start + plan.usual).astimezone(self.zone):%H:%M}"
        distance = f"{_length(_minutes(gap))} before" if gap >= timedelta() else f"{_length(-_minutes(gap))} after"
        often = "Every run" if close == len(gaps) else f"{close:,} of {len(gaps):,} runs"
        earlier = math.ceil((needed - gap) / timedelta(minutes=1))
        verb = "is" if close == len(gaps) or close == 1 else "are"
        plan.say(
            f"{often} of the next {DAYS} days {verb} too close to the LMS sync. Worst: {when}, {distance} that "
            f"of {slot.astimezone(self.zone):%H:%M}; {self.settings.minutes:g} minutes are needed. "
            f"Start it {_length(earlier)} earlier, or after that sync: "
            f"{self._to_set(plan.schedule, earlier_cron(plan.schedule.cron or '', earlier))}",
            ERROR,
        )

    def _overlaps(self) -> None:
        """Find the runs that start before the usual end of another one."""
        timetable = sorted((start, number) for number, plan in enumerate(self.plans) for start in plan.fires)
        found: dict[tuple[int, int], list[datetime]] = {}
        for index, (start, number) in enumerate(timetable):
            if not self.plans[number].checked:
                continue
            met: set[int] = set()
            for later, other in (timetable[i] for i in range(index + 1, len(timetable))):
                if later >= start + self.plans[number].usual or len(met) == len(self.plans):
                    break
                if other not in met:
                    met.add(other)
                    found.setdefault((number, other), []).append(later)
        for (number, other), times in found.items():
            plan, second = self.plans[number], self.plans[other].schedule.name
            overlap = {"schedule": second, "times": len(times), "first": self._moment(times[0])}
            plan.facts.setdefault("overlaps", []).append(overlap)
            again = "itself" if other == number else second
            moves = dict.fromkeys(self._to_set(one.schedule) for one in (plan, self.plans[other]))
            plan.say(
                f"Overlaps with {again}, which starts {self._moment(times[0])['here']} before this one has usually "
                f"ended ({len(times):,} times in {DAYS} days), and waits for it. Move one of them: "
                f"{' or '.join(moves)}",
                WARNING,
            )

    def _to_set(self, schedule: Schedule, value: str = NEW_TIME) -> str:
        """Return the command for another time; a schedule that the organisation added has only a variable."""
        name = schedule.setting.removeprefix("CONNECT_").lower()
        if name in project_files.defined(self.settings.project).get("connect", {}):
            return command_text.printed(f"connect settings set {name} '{value}'")
        return f"{schedule.setting}='{value}' in the env file"

    def _described(self, plan: _Plan) -> dict[str, Any]:
        following = [self._moment(start) for start in plan.fires[:_NEXT]]
        for moment, start in zip(following, plan.fires, strict=False):
            day = blackout.local_day(start + plan.usual, self.lms_zone)
            hit = blackout.active(self.blackouts, day)
            moment["blackout"] = str(hit) if hit else None
            if hit and plan.checked:
                plan.say(f"The run of {moment['here']} falls into the black-out {hit} and will not publish.")
        return {
            "name": plan.schedule.name,
            "interval": plan.schedule.interval,
            "setting": plan.schedule.setting,
            "cron": plan.schedule.cron,
            "job": plan.schedule.job,
            "verdict": plan.verdict,
            "sentences": plan.sentences,
            **plan.facts,
            "next": following,
        }

    def _zone(self, zone: ZoneInfo) -> dict[str, Any]:
        changes = time_zones.clock_changes(zone, self.now, self.until)
        return {"name": zone.key, "clock_changes": [str(day) for day in changes]}

    def _moment(self, moment: datetime) -> dict[str, Any]:
        here, lms = moment.astimezone(self.zone), moment.astimezone(self.lms_zone)
        return {
            "utc": timestamps.written(moment),
            "here": f"{here:%a %Y-%m-%d %H:%M %Z}",
            "lms": f"{lms:%a %Y-%m-%d %H:%M %Z}",
        }


def check(settings: Settings, now: datetime) -> dict[str, Any]:
    """Return a verdict for every schedule of the project at the time `now`, which has a time zone."""
    return _Check(settings, now).run()


def _minutes(length: timedelta) -> float:
    return round(length / timedelta(minutes=1), 1)


def _length(minutes: float) -> str:
    hours, rest = divmod(round(minutes), 60)
    if minutes < 60:  # noqa: PLR2004 - minutes of an hour
        return f"{minutes:g} min"
    return f"{hours} h {rest} min" if rest else f"{hours} h"
