"""User timers: systemd itself reads the files and the calendars; `systemctl` is recorded, not run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from coursera_connect.schedule import cron_times, entries, systemd_timers
from tests.connect.box import CONNECT, Box

if TYPE_CHECKING:
    from pathlib import Path

ANALYZE = shutil.which("systemd-analyze")
systemd = pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze: on Debian `apt-get install systemd` has it")
WITH = ("install", "--with", "systemd")
NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    return Box(tmp_path, monkeypatch)


def names(box: Box) -> list[str]:
    return sorted(re.sub(r"-[0-9a-f]{8}-", "-#-", path.name) for path in box.units.iterdir())


def analyze(*words: str, **more: str) -> str:
    environment = {"TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/bin:/bin", **more}
    done = subprocess.run([str(ANALYZE), *words], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def verify(box: Box) -> str:
    units = [str(path) for path in box.units.iterdir()]
    return analyze("verify", "--user", "--man=no", *units, HOME=str(box.folder), XDG_RUNTIME_DIR=str(box.folder))


def test_each_schedule_gets_a_service_and_a_timer_that_is_enabled(box: Box) -> None:
    box.schedules(nightly="30 2 * * *", weekly="@weekly", once="@once")
    assert "once  by hand only" in box.good(*WITH, "--time-zone", "Europe/Berlin")
    stem = "coursera-connect-prod-#-"
    assert names(box) == [f"{stem}{name}.{kind}" for name in ("nightly", "weekly") for kind in ("service", "timer")]
    timer = next(box.units.glob("*-nightly.timer"))
    assert "\nOnCalendar=*-*-* 02:30:00 Europe/Berlin\n" in timer.read_text()
    assert "\nPersistent=true\n" in timer.read_text()
    service = timer.with_suffix(".service").read_text()
    assert f'\nExecStart=:"{CONNECT}" "schedule" "run" "nightly" "--project" "{box.project}" ' in service
    timers = " ".join(path.name for path in sorted(box.units.glob("*.timer")))
    assert box.calls[:3] == ["show-environment", "daemon-reload", f"enable --now {timers}"]
    assert box.crontab is None


def test_installing_again_touches_what_has_changed_and_nothing_else(box: Box) -> None:
    box.schedules(nightly="30 2 * * *", weekly="@weekly", monthly="@monthly")
    box.good(*WITH)
    before = {path: path.stat().st_mtime_ns for path in box.units.iterdir()}
    monthly, nightly, weekly = (path.name for path in sorted(box.units.glob("*.timer")))
    assert box.calls
    box.good(*WITH)
    assert {path: path.stat().st_mtime_ns for path in box.units.iterdir()} == before
    assert box.calls[:3] == ["show-environment", "daemon-reload", f"enable --now {monthly} {nightly} {weekly}"]
    box.schedules(nightly="30 3 * * *", weekly="@weekly")
    assert box.connect("status").exit_code == 1
    assert box.calls
    box.good(*WITH)
    assert box.calls[:6] == [
        "show-environment",
        f"disable --now {monthly} {nightly}",
        f"clean --what=state {monthly} {nightly}",  # Otherwise systemd would take the new time for a missed one.
        f"reset-failed {monthly} {nightly}".replace(".timer", ".service"),
        "daemon-reload",
        f"enable --now {nightly} {weekly}",
    ]
    assert names(box) == [
        f"coursera-connect-prod-#-{n}.{k}" for n in ("nightly", "weekly") for k in ("service", "timer")
    ]
    assert "up to date" in box.good("status")


def test_remove_takes_exactly_these_files_away(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.units.mkdir(parents=True)
    (box.units / "mine.timer").write_text("[Timer]\n")
    box.good(*WITH)
    (mine,) = box.units.glob("coursera-connect-*.timer")
    monkeypatch.setenv("MELTANO_ENVIRONMENT", "trial")
    box.good(*WITH)
    like = mine.with_name(mine.name.replace("nightly", "somebody-elses"))
    like.write_text("[Timer]\n")
    monkeypatch.setenv("MELTANO_ENVIRONMENT", "prod")
    assert box.calls
    box.good("remove")
    assert box.calls[1:] == [
        f"disable --now {mine.name}",
        f"clean --what=state {mine.name}",
        f"reset-failed {mine.with_suffix('.service').name}",
        "daemon-reload",
    ]
    stays = ["coursera-connect-prod-#-somebody-elses.timer", "coursera-connect-trial-#-nightly.service"]
    assert names(box) == [*stays, "coursera-connect-trial-#-nightly.timer", "mine.timer"]


def test_cron_and_systemd_do_not_both_run_the_schedules(box: Box) -> None:
    box.good("install")
    done = box.connect(*WITH)
    assert (done.exit_code, "installed with cron, and would run twice" in done.output) == (7, True)
    box.good("remove")
    box.good(*WITH)
    assert box.connect("install").exit_code == 7


def test_dry_run_prints_the_files_under_their_paths(box: Box) -> None:
    shown = box.good(*WITH, "--dry-run")
    assert not box.units.exists()
    assert box.calls == []
    box.good(*WITH)
    for path in box.units.iterdir():
        assert f"# {path}\n{path.read_text()}" in shown


def test_a_systemd_that_cannot_be_used_says_what_to_do(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINGER", "no")
    assert "`loginctl enable-linger " in box.good(*WITH)
    monkeypatch.setenv("ASLEEP", "1")
    assert "Not active: coursera-connect-prod-" in box.good("status")
    monkeypatch.setenv("NO_SESSION", "1")
    for words in (WITH, ("remove",)):
        done = box.connect(*words)
        assert (done.exit_code, "systemd has no session of yours (Failed to connect to bus" in done.output) == (8, True)
    assert len(names(box)) == 2
    (box.programs / "systemctl").unlink()
    monkeypatch.setenv("PATH", str(box.programs))
    done = box.connect(*WITH)
    assert (done.exit_code, "use --with cron" in done.output) == (8, True)


def test_days_on_which_clocks_skip_the_time_are_told(box: Box) -> None:
    skipped = box.good(*WITH, "--time-zone", "Europe/Berlin")
    assert re.search(r"nightly does not run on 20\d\d-03-\d\d: the clocks of Europe/Berlin skip its time", skipped)
    assert "does not run on" not in box.good(*WITH, "--time-zone", "UTC")
    # The day as a whole begins at 01:00 there.
    march = datetime(2027, 1, 1, tzinfo=timezone.utc)
    (santiago,) = cron_times.skipped("0 0 * * *", ZoneInfo("America/Santiago"), march)
    assert santiago.astimezone(ZoneInfo("America/Santiago")).isoformat() == "2027-09-05T01:00:00-03:00"


@systemd
def test_systemd_takes_the_files_and_reads_the_command_as_it_is_meant(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    awkward = box.folder / "St. Mary 100%h $HOME"
    awkward.mkdir()
    monkeypatch.setattr(sys, "executable", str(awkward / "python"))
    box.schedules(**{"nightly run 100%": "30 2 * * *"})
    box.good(*WITH, "--logs", f"{box.folder}/a 'b' \"c\" \\d")
    with pytest.raises(AssertionError, match=re.escape(f"Command {awkward}/connect is not executable")):
        verify(box)
    (awkward / "connect").write_text("#!/bin/sh\n")
    (awkward / "connect").chmod(0o755)
    assert verify(box) == ""
    timer = next(box.units.glob("*.timer"))
    timer.write_text(timer.read_text().replace("OnCalendar=", "OnCalendar=sometimes "))
    with pytest.raises(AssertionError, match="Failed to parse calendar specification"):
        verify(box)
    monkeypatch.setattr(sys, "executable", "/srv/mary's/python")
    done = box.connect(*WITH)
    assert (done.exit_code, "systemd starts no program with a quote" in done.output) == (2, True)


@systemd
@pytest.mark.parametrize(
    "cron",
    ["30 2 * * *", "0 0 * * 0", "5,35 */6 * * 1-5", "0 4 1,15 * *", "0 4 1,15 * 7", "0 4 */10 * fri", "0 0 1 1 *"],
)
def test_systemd_runs_at_the_times_of_cron(cron: str, tmp_path: Path) -> None:
    now = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)  # no clock of New York changes before March
    timed = entries.Timed("nightly", cron, cron_times.parsed(cron, now))
    plan = entries.Plan(entries.Owner(tmp_path, "prod"), entries.Settings(tmp_path), tmp_path, NEW_YORK, now)
    count = 12
    expected = list(islice(cron_times.fires(cron, NEW_YORK, now, now + timedelta(days=99)), count))
    found: set[datetime] = set()
    for one in systemd_timers.calendars(plan, timed):
        told = analyze("calendar", "--base-time=2026-11-27 12:00:00", f"--iterations={count}", one)
        times = re.findall(r"(?:elapse|#\d+): \w+ (\S+ \S+) UTC", told)
        found.update(datetime.fromisoformat(f"{moment}+00:00") for moment in times)
    assert sorted(found)[: len(expected)] == expected
    assert expected
