from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from cronsim import CronSimError

from coursera_connect import timestamps
from coursera_connect.cli.main import main
from coursera_connect.errors import UsageError
from coursera_connect.jobs import journal
from coursera_connect.meltano import meltano_schedules
from coursera_connect.schedule import cron_times, lms_sync, lms_times

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
PROJECT = """
plugins:
  utilities:
    - {name: connect, commands: {publish: {args: publish}, publish-all: {args: publish --allow-removals}, check: check}}
    - {name: connect-two, inherit_from: connect}
jobs:
  - {name: nightly, tasks: ["tap target dbt:build connect:publish"]}
  - {name: nested, tasks: [[tap target], ["dbt:build", "connect-two:publish-all"]]}
  - {name: load, tasks: tap target dbt:build connect:check}
schedules:
"""


class School:
    """A Meltano project, a warehouse and a journal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "warehouse.duckdb"

    def schedules(self, *lines: str) -> None:
        entries = "".join(f"  - {{{line}}}\n" for line in lines)
        (self.folder / "meltano.yml").write_text(PROJECT + entries)

    def runs(self, schedule: str, *times: tuple[datetime, datetime], outcome: str = "done", by: str = "") -> None:
        """Runs that a schedule has started, each from a time to another."""
        for began, ended in times:
            started_by = by or f"{journal.SCHEDULE}{schedule}"
            run = journal.Run(f"{schedule} {began} {by}", job="nightly", started_by=started_by, outcome=outcome)
            run = replace(run, started_at=timestamps.written(began), ended_at=timestamps.written(ended))
            journal.adopt(self.folder / journal.NAME, [run])

    def check(self, now: datetime = NOW, **settings: Any) -> dict[str, Any]:
        chosen = {"time_zone": "UTC"} | settings
        file = self.folder / journal.NAME
        return lms_sync.check(lms_sync.Settings(self.folder, self.database, **chosen, journal=file), now)

    def only(self, now: datetime = NOW, **settings: Any) -> dict[str, Any]:
        (found,) = self.check(now, **settings)["schedules"]
        assert isinstance(found, dict)
        return found


@pytest.fixture
def school(tmp_path: Path) -> School:
    return School(tmp_path)


def days_back(count: int, hour: int, minute: int) -> datetime:
    return datetime(2026, 11, 24, hour, minute, tzinfo=timezone.utc) - timedelta(days=count)


def test_a_run_that_ends_exactly_the_needed_minutes_before_is_in_time_and_a_minute_less_is_not(school: School) -> None:
    school.schedules("name: publish, interval: '30 4 * * *', job: nightly")
    found = school.only(usual_minutes=15)
    assert (found["verdict"], found["worst"]["gap_minutes"], found["too_close"]) == ("ok", 15, 0)
    assert found["sentences"] == ["No history yet (no run): 15 minutes are supposed."]
    found = school.only(usual_minutes=16)
    assert (found["verdict"], found["worst"]["gap_minutes"], found["too_close"]) == ("error", 14, 400)
    assert "Start it 1 min earlier" in found["sentences"][1]


def test_a_run_that_is_still_going_when_the_lms_syncs_is_not_taken_for_one_of_the_next_day(school: School) -> None:
    school.schedules("name: publish, interval: '30 4 * * *', job: nightly")
    assert school.only(usual_minutes=45)["worst"]["gap_minutes"] == -15
    school.schedules("name: publish, interval: '1 5 * * *', job: nightly")
    assert school.only(usual_minutes=45)["worst"]["gap_minutes"] == 24 * 60 - 46


def test_weeks_in_which_only_one_zone_has_changed_its_clocks_are_found(school: School) -> None:
    """Berlin's 09:30 is New York's 03:30, but 04:30 between their changes: in March, and for a week in autumn."""
    school.schedules("name: publish, interval: '30 9 * * *', job: nightly")
    zones: dict[str, Any] = {"time_zone": "Europe/Berlin", "lms_time_zone": "America/New_York"}
    report = school.check(usual_minutes=30, **zones)
    (found,) = report["schedules"]
    assert (found["usual_gap_minutes"], found["worst"]["gap_minutes"]) == (60, 0)
    assert (found["too_close"], found["runs"]) == (14 + 7, 400)
    assert found["worst"]["starts"] == {
        "utc": "2027-03-14T08:30:00Z",
        "here": "Sun 2027-03-14 09:30 CET",
        "lms": "Sun 2027-03-14 04:30 EDT",
    }
    assert "21 of 400 runs of the next 400 days are too close" in found["sentences"][1]
    assert report["schedule_time_zone"]["clock_changes"] == ["2027-03-28", "2027-10-31"]
    assert report["lms_time_zone"]["clock_changes"] == ["2027-03-14", "2027-11-07"]


def test_a_time_of_the_skipped_hour_fires_right_after_it_and_one_of_the_repeated_hour_once() -> None:
    berlin = ZoneInfo("Europe/Berlin")

    def times(cron: str, day: datetime) -> list[str]:
        found = cron_times.fires(cron, berlin, day - timedelta(hours=2), day + timedelta(hours=22))
        return [f"{moment:%d %H:%M}" for moment in found]

    assert times("30 2 * * *", datetime(2027, 3, 28, tzinfo=timezone.utc)) == ["28 01:00"]
    assert times("30 2 * * *", datetime(2026, 10, 25, tzinfo=timezone.utc)) == ["25 00:30"]
    assert times("30 * * * *", datetime(2026, 10, 25, tzinfo=timezone.utc))[3:6] == ["25 01:30", "25 02:30", "25 03:30"]
    # A check that begins in the second of two repeated hours does not report a run in the first one.
    second = datetime(2026, 10, 25, 1, 10, tzinfo=timezone.utc)
    found = cron_times.fires("30 2 * * *", berlin, second, second + timedelta(days=1, hours=1))
    assert [f"{moment:%d %H:%M}" for moment in found] == ["26 01:30"]


def test_the_skipped_hour_makes_a_run_late_that_is_in_time_on_all_other_days(school: School) -> None:
    school.schedules("name: publish, interval: '0 2 * * *', job: nightly")
    zones: dict[str, Any] = {"time_zone": "Europe/Berlin", "lms_time_zone": "Europe/Berlin", "lms_sync_time": "03:10"}
    found = school.only(usual_minutes=30, **zones)
    assert (found["too_close"], found["worst"]["gap_minutes"]) == (1, -20)
    assert found["worst"]["starts"]["here"] == "Sun 2027-03-28 03:00 CEST"
    assert "1 of 400 runs of the next 400 days is too close" in found["sentences"][1]


def test_the_usual_run_is_the_one_that_nine_of_ten_past_runs_do_not_exceed(school: School) -> None:
    school.schedules("name: publish, interval: '30 3 * * *', job: nightly")
    lengths = [10, 11, 12, 13, 14, 15, 16, 17, 40, 80]
    begins = [days_back(back, 3, 30) for back in range(10)]
    school.runs("publish", *[(at, at + timedelta(minutes=one)) for at, one in zip(begins, lengths, strict=True)])
    found = school.only()
    assert found["usual"] == {"minutes": 40, "source": "history", "samples": 10, "failed": 0}
    assert found["worst"]["gap_minutes"] == 50
    assert "The last run ended 1 h 20 min before the LMS sync of Tue 2026-11-24 05:00 UTC." in found["sentences"]


def test_two_past_runs_are_no_history_and_three_are(school: School) -> None:
    school.schedules("name: publish, interval: '30 3 * * *', job: nightly")
    begins, ends = ([days_back(back, 3, minute) for back in range(3)] for minute in (30, 50))
    school.runs("publish", *zip(begins[:2], ends, strict=False))
    found = school.only()
    assert found["usual"] == {"minutes": 30, "source": "setting", "samples": 2, "failed": 0}
    assert "No history yet (2 of the 3 runs needed): 30 minutes are supposed." in found["sentences"]
    school.runs("publish", *zip(begins, ends, strict=True))
    assert school.only()["usual"]["source"] == "history"


def test_a_run_counts_for_the_schedule_that_started_it_and_one_by_hand_for_none(school: School) -> None:
    school.schedules(
        "name: roster, interval: '0 1 * * *', job: nightly", "name: grades, interval: '30 2 * * *', job: nightly"
    )
    days = range(4)
    school.runs("roster", *[(days_back(back, 1, 0), days_back(back, 1, 20)) for back in days if back != 1])
    school.runs("roster", (days_back(1, 1, 0), days_back(1, 1, 1)), outcome="failed")
    school.runs("grades", *[(days_back(back, 2, 30), days_back(back, 2, 50)) for back in days])
    before = school.check()["schedules"]
    assert [found["usual"] for found in before] == [
        {"minutes": 20, "source": "history", "samples": 3, "failed": 1},
        {"minutes": 20, "source": "history", "samples": 4, "failed": 0},
    ]
    assert "1 of its last 4 runs failed: `connect history` tells why." in before[0]["sentences"]
    # By hand, at the time of the schedule and far longer.
    school.runs("", *[(days_back(back, 1, 0), days_back(back, 4, 0)) for back in days], by=journal.HAND)
    assert school.check()["schedules"] == before


def test_a_last_run_that_really_ended_after_the_sync_is_a_warning(school: School) -> None:
    school.schedules("name: publish, interval: '30 3 * * *', job: nightly")
    school.runs("publish", *[(days_back(back, 3, 30), days_back(back, 3, 40)) for back in range(1, 12)])
    found = school.only()
    assert (found["verdict"], found["last"]["ended"]) == ("warning", None)
    assert school.only(now=days_back(0, 3, 45))["verdict"] == "ok"  # it has until 05:00 to end
    school.runs("publish", (days_back(0, 3, 30), days_back(0, 5, 7)))
    found = school.only()
    assert (found["verdict"], found["last"]["minutes_before"], found["last"]["late"]) == ("warning", -7, True)
    assert "The last run ended 7 minutes after the LMS had synced (Tue 2026-11-24 05:00 UTC)." in found["sentences"]


def test_a_last_run_that_ended_shortly_before_the_sync_is_a_warning(school: School) -> None:
    school.schedules("name: publish, interval: '30 3 * * *', job: nightly")
    school.runs("publish", *[(days_back(back, 3, 30), days_back(back, 3, 40)) for back in range(1, 12)])
    school.runs("publish", (days_back(0, 3, 30), days_back(0, 4, 50)))
    assert "The last run ended only 10 minutes before the LMS synced" in school.only()["sentences"][0]


def test_a_start_before_the_usual_end_of_another_run_is_a_warning(school: School) -> None:
    school.schedules(
        "name: roster, interval: '0 1 * * *', job: nightly",
        "name: grades, interval: '40 1 * * 1', job: nightly",
    )
    roster, grades = school.check(usual_minutes=41)["schedules"]
    (overlap,) = roster["overlaps"]
    assert (overlap["schedule"], overlap["times"], overlap["first"]["utc"]) == ("grades", 57, "2026-11-30T01:40:00Z")
    assert (roster["verdict"], grades["verdict"]) == ("warning", "ok")
    assert {found["verdict"] for found in school.check(usual_minutes=40)["schedules"]} == {"ok"}
    school.schedules("name: often, interval: '0 * * * *', job: nightly")
    assert "Overlaps with itself" in school.only(usual_minutes=61)["sentences"][-1]


def test_what_does_not_publish_or_runs_by_hand_is_not_relevant_and_what_cannot_run_is_an_error(school: School) -> None:
    school.schedules(
        "name: load, interval: '@daily', job: load",
        "name: elt, interval: '@hourly', extractor: tap, loader: target, transform: skip",
        "name: once, interval: '@once', job: nightly",
        "name: never, interval: null, job: nightly",
        "name: lost, interval: '@daily', job: gone",
        "name: odd, interval: '0 25 * * *', job: nightly",
        "name: seconds, interval: '0 0 1 * * *', job: nightly",
        "name: weekly, interval: '@weekly', job: nested",
    )
    found = {entry["name"]: entry for entry in school.check()["schedules"]}
    verdicts = {name: entry["verdict"] for name, entry in found.items()}
    assert verdicts == dict.fromkeys(("load", "elt", "once", "never"), "not relevant") | {
        "lost": "error",
        "odd": "error",
        "seconds": "error",
        "weekly": "ok",
    }
    assert found["weekly"]["cron"] == "0 0 * * 0"
    assert "Bad hour" in found["odd"]["sentences"][0]
    assert found["lost"]["sentences"] == ["The job gone is not defined in meltano.yml."]


def test_schedules_of_included_files_and_jobs_of_others_are_found(school: School) -> None:
    school.schedules()
    with (school.folder / "meltano.yml").open("a") as file:
        file.write("include_paths: ['more/*.yml']\n")
    (school.folder / "more").mkdir()
    (school.folder / "more" / "a.yml").write_text("schedules: [{name: a, interval: '@daily', job: nightly}]")
    (found,) = meltano_schedules.read(school.folder)
    assert (found.name, found.publishes) == ("a", True)


def test_every_interval_of_meltano_is_understood_as_meltano_does(school: School) -> None:
    intervals = ("@once", "@manual", "@none", "@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly")
    school.schedules(*[f"name: s{i}, interval: '{name}', job: load" for i, name in enumerate(intervals)])
    expected = [None, None, None, "0 * * * *", "0 0 * * *", "0 0 * * *", "0 0 * * 0", "0 0 1 * *", "0 0 1 1 *"]
    assert [found.cron for found in meltano_schedules.read(school.folder)] == expected


def test_the_sync_time_is_a_time_several_times_or_a_cron_expression(school: School) -> None:
    assert lms_times.sync_crons("05:00") == ["0 5 * * *"]
    assert lms_times.sync_crons("5:00, 13:30") == ["0 5 * * *", "30 13 * * *"]
    assert lms_times.sync_crons("0 5,13 * * 1-5") == ["0 5,13 * * 1-5"]
    for wrong in ("", "24:00", "05:00,", "5 am", "0 5 * *", "@once"):
        with pytest.raises(UsageError, match="CONNECT_LMS_SYNC_TIME"):
            lms_times.sync_crons(wrong)
    school.schedules("name: publish, interval: '0 13 * * *', job: nightly")
    found = school.only(lms_sync_time="05:00,13:40")
    assert (found["verdict"], found["worst"]["gap_minutes"]) == ("error", 10)


def test_black_outs_are_said_where_they_fall_on_the_next_times(school: School) -> None:
    # It starts on the day before in Tokyo, as in Greenwich, and publishes at 00:15 of Tokyo's next day.
    school.schedules("name: publish, interval: '45 14 * * *', job: nightly")
    report = school.check(blackout="2026-11-25..2026-11-26", lms_time_zone="Asia/Tokyo", usual_minutes=30)
    (found,) = report["schedules"]
    assert [moment["utc"][:10] for moment in found["next"]] == ["2026-11-24", "2026-11-25", "2026-11-26"]
    assert [moment["blackout"] for moment in found["next"]] == ["2026-11-25..2026-11-26"] * 2 + [None]
    assert sum("will not publish" in sentence for sentence in found["sentences"]) == 2
    assert report["lms"]["next"][0]["lms"] == "Wed 2026-11-25 05:00 JST"


def test_the_command_shows_the_times_of_both_in_both_zones_and_exits_with_the_verdict(school: School) -> None:
    school.schedules("name: publish, interval: '30 4 * * *', job: nightly")
    arguments = ["schedule", "check", "--project", str(school.folder), "--database", str(school.database)]
    zones = ["--lms-time-zone", "Asia/Tokyo", "--time-zone", "Asia/Tokyo"]
    done = CliRunner().invoke(main, [*arguments, *zones, "--usual-minutes", "10"])
    assert done.exit_code == 0, done.output
    assert "The LMS syncs at 05:00 in Asia/Tokyo (clocks do not change)" in done.output
    assert done.output.count("04:30 JST") == 6
    assert done.output.count("05:00 JST") == 6
    done = CliRunner().invoke(main, [*arguments, *zones, "--usual-minutes", "20", "--json"])
    assert (done.exit_code, json.loads(done.output)["verdict"]) == (1, "error")
    done = CliRunner().invoke(main, [*arguments, "--lms-time-zone", "Europe/Berln"])
    assert done.exit_code == 2
    assert "perhaps Europe/Berlin?" in done.output
    (school.folder / "meltano.yml").write_text("jobs: [\n  {name: x\n")
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, "is no YAML (line" in done.output) == (2, True)
    (school.folder / "meltano.yml").unlink()
    assert "set MELTANO_PROJECT_ROOT" in CliRunner().invoke(main, arguments).output


@pytest.mark.parametrize("machine", ["Pacific/Auckland", "America/Halifax", "UTC"])
@pytest.mark.parametrize("lms", ["UTC", "America/New_York", "Asia/Kathmandu"])
def test_the_shipped_times_pass_the_shipped_check_on_any_machine_in_the_zone_of_any_lms(
    machine: str, lms: str, school: School
) -> None:
    environment = os.environ | {"TZ": machine, "CONNECT_LMS_TIME_ZONE": lms, "MELTANO_PROJECT_ROOT": str(ROOT)}
    command = [sys.executable, "-m", "coursera_connect", "schedule", "check", "--database", str(school.database)]
    done = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    report = json.loads(done.stdout)
    assert {found["name"]: found["verdict"] for found in report["schedules"]} == {
        "full-reconcile": "ok", "roster-sync": "ok", "grade-sync": "ok", "publish": "ok"
    }  # fmt: skip
    assert (report["schedule_time_zone"]["name"], report["schedule_time_zone"]["from"]) == (lms, "LMS")


def test_a_setting_outranks_the_interval_of_meltano_yml(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    school.schedules("name: grade-sync, interval: '30 4 * * *', job: nightly")
    monkeypatch.setenv("CONNECT_SCHEDULE_GRADE_SYNC", "0 1 * * *")
    found = school.only()
    assert (found["cron"], found["setting"], found["verdict"]) == ("0 1 * * *", "CONNECT_SCHEDULE_GRADE_SYNC", "ok")
    monkeypatch.setenv("CONNECT_SCHEDULE_GRADE_SYNC", "@manual")
    assert school.only()["cron"] is None
    monkeypatch.setenv("CONNECT_SCHEDULE_GRADE_SYNC", "soon")
    assert school.only()["sentences"][0].endswith("CONNECT_SCHEDULE_GRADE_SYNC='MINUTE HOUR * * *' in the env file")


@pytest.mark.parametrize(
    ("cron", "value"),
    [
        ("30 4 * * *", "15 4 * * *"),
        ("50 4 * * 1-5", "15 4 * * 1-5"),
        ("30 4 1,15 * *", "15 4 1,15 * *"),
        ("*/30 4 * * *", "MINUTE HOUR * * *"),
        ("5 0 * * 1", "MINUTE HOUR * * *"),
    ],
)
def test_what_is_too_close_is_told_with_the_command_that_changes_it(
    cron: str, value: str, school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    school.schedules(f"name: publish, interval: '{cron}', job: nightly")
    with (school.folder / "meltano.yml").open("a") as file:
        file.write("plugins: {utilities: [{name: connect, settings: [{name: schedule_publish}]}]}\n")
    monkeypatch.setenv("MELTANO_ENVIRONMENT", "north")
    found = school.only(lms_sync_time="00:30" if cron.startswith("5 0") else "05:00")
    assert found["verdict"] == "error"
    said = next(sentence for sentence in found["sentences"] if "too close" in sentence)
    assert said.endswith(f": connect --environment=north settings set schedule_publish '{value}'")
    if value.startswith("15"):
        monkeypatch.setenv("CONNECT_SCHEDULE_PUBLISH", value)
        assert school.only()["verdict"] == "ok"


def test_a_cron_expression_takes_five_fields() -> None:
    with pytest.raises(CronSimError, match="5 fields"):
        list(cron_times.fires("0 5 * *", ZoneInfo("UTC"), NOW, NOW))
