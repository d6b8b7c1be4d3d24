from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
import tzlocal

from coursera_connect.schedule import cron_times, crontab, scheduled_run, time_zones
from tests.connect.box import CONNECT, Box

if TYPE_CHECKING:
    from click.testing import Result

OTHERS = b'# mine, \xff\r\nMAILTO=""\n\t0 1 * * * echo "50\\%" # no\x0cte\n\n'


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    # The time zone of this machine must not matter to these tests.
    monkeypatch.setattr(time_zones, "LOCALTIME", tmp_path / "none")
    return Box(tmp_path, monkeypatch)


def refused(done: Result) -> tuple[int, str]:
    assert "Traceback" not in done.output
    return done.exit_code, done.output


def test_an_entry_names_everything_by_its_absolute_path(box: Box) -> None:
    box.good("install")
    (entry,) = box.entries
    assert entry == (
        f"30 2 * * * {CONNECT} schedule run nightly --project {box.project} --environment prod "
        f"--meltano {box.programs / 'meltano'} --logs {box.logs} --umask 077"
    )


def test_lines_of_others_stay_byte_for_byte_and_the_block_where_it_is(box: Box) -> None:
    box.crontab = OTHERS
    box.good("install")
    assert box.crontab is not None
    assert box.crontab.startswith(OTHERS + b"# BEGIN coursera-connect prod ")
    box.crontab += b"@reboot later\n"
    before = box.crontab
    box.good("install")
    assert box.crontab == before
    box.schedules(nightly="30 2 * * *", weekly="@weekly", once="@once")
    assert "once  by hand only" in box.good("install")
    assert [line[:10] for line in box.entries] == ["30 2 * * *", "0 0 * * 0 "]
    assert box.crontab.startswith(OTHERS)
    assert box.crontab.endswith(b"@reboot later\n")
    box.good("remove")
    assert box.crontab == OTHERS + b"@reboot later\n"


def test_a_crontab_that_was_not_there_is_not_there_again(box: Box) -> None:
    box.good("install")
    box.good("remove")
    assert box.crontab is None
    assert "Nothing is installed" in box.good("remove")


def test_each_environment_of_each_project_has_a_block_of_its_own(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.good("install")
    alone = box.crontab
    box.good("install", "--environment", "trial")
    longer = box.project.with_name("college two")
    box.project.rename(longer)
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(longer))
    box.good("install")
    assert len(box.entries) == 3
    box.good("remove")
    longer.rename(box.project)
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(box.project))
    box.good("remove", "--environment", "trial")
    assert box.crontab == alone


def test_dry_run_prints_the_block_and_writes_nothing(box: Box) -> None:
    box.crontab = OTHERS
    shown = box.good("install", "--dry-run")
    assert box.crontab == OTHERS
    box.good("install")
    assert box.crontab == OTHERS + shown.encode()


def test_status_tells_what_is_stale_and_exits_with_it(box: Box) -> None:
    assert refused(box.connect("status"))[0] == 1
    box.good("install")
    assert "up to date" in box.good("status")
    box.schedules(nightly="30 3 * * *")
    code, said = refused(box.connect("status"))
    assert code == 1
    assert "\n-30 2 * * * " in said
    assert "\n+30 3 * * * " in said
    told = json.loads(box.connect("status", "--json").stdout)
    assert (told["installed_with"], told["current"]) == (["cron"], False)
    box.good("install")
    told = json.loads(box.good("status", "--json").splitlines()[0])
    assert (told["current"], told["differences"]) == (True, {"cron": []})


def test_zones_with_the_same_clock_need_no_look_and_others_look_every_hour(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECT_SCHEDULE_TIME_ZONE", "Africa/Abidjan")
    box.good("install")
    assert box.entries[0].startswith("30 2 * * * ")
    monkeypatch.setenv("CONNECT_SCHEDULE_TIME_ZONE", "Asia/Kathmandu")  # 5:45 from Greenwich
    said = box.good("install")
    assert box.entries[0].startswith("45 * * * * ")
    assert box.entries[0].endswith("--interval '30 2 * * *' --time-zone Asia/Kathmandu")
    assert "each entry looks every hour" in said
    monkeypatch.setenv("CONNECT_SCHEDULE_TIME_ZONE", "America/New_York")  # 03:00 stands for 02:30 in spring
    box.good("install")
    assert box.entries[0].startswith("0,30 * * * * ")


@pytest.mark.parametrize("cause", ["TZ", "CRON_TZ"])
def test_an_entry_is_right_in_every_zone_that_cron_may_live_in(
    cause: str, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's cron takes the system's zone, one in a container perhaps TZ, cronie CRON_TZ of a line above."""
    if cause == "TZ":
        monkeypatch.setenv("TZ", "Asia/Kathmandu")
        tzlocal.reload_localzone()
    else:
        box.crontab = b'CRON_TZ = "Asia/Kathmandu"\n'
    box.good("install")
    assert box.entries[0].startswith("15,30 * * * * ")
    assert box.entries[0].endswith("--time-zone UTC")
    monkeypatch.undo()
    tzlocal.reload_localzone()


@pytest.mark.parametrize(
    ("cron", "machine"),
    [
        ("30 2 * * *", "UTC"),
        ("30 2 * * *", "Europe/Berlin"),
        ("5 1 * * 0", "Australia/Lord_Howe"),  # half an hour of daylight saving time
        ("*/40 */6 * * *", "Europe/Berlin"),
    ],
)
def test_looking_every_hour_runs_at_the_times_of_the_other_zone_whenever_clocks_change(
    cron: str, machine: str, tmp_path: Path
) -> None:
    zone, here = ZoneInfo("America/New_York"), ZoneInfo(machine)
    run = scheduled_run.Scheduled("nightly", tmp_path, "prod", tmp_path, tmp_path)
    now = datetime(2027, 1, 1, tzinfo=timezone.utc)
    minutes = cron_times.minutes(cron, zone, [here], now)
    looks = f"{','.join(map(str, minutes))} * * * *"
    for day in ("2027-03-14", "2027-03-28", "2027-04-04", "2027-10-03", "2027-10-31", "2027-11-07"):
        since = datetime.fromisoformat(f"{day}T00:00:30+00:00") - timedelta(days=1)
        until = since + timedelta(days=3)
        run.looked.unlink(missing_ok=True)
        started = []
        for number, moment in enumerate(cron_times.fires(looks, here, since, until)):
            if scheduled_run.due(run, cron, zone, moment + timedelta(seconds=number % 130)):  # some start late
                started.append(moment)
        assert started == list(cron_times.fires(cron, zone, since, until)), day


def test_an_old_look_is_no_reason_to_run_now(tmp_path: Path) -> None:
    run = scheduled_run.Scheduled("nightly", tmp_path, "prod", tmp_path, tmp_path)
    noon = datetime(2027, 1, 1, 12, tzinfo=timezone.utc)
    assert not scheduled_run.due(run, "30 2 * * *", ZoneInfo("UTC"), noon - timedelta(days=1))
    assert not scheduled_run.due(run, "30 2 * * *", ZoneInfo("UTC"), noon)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--environment", "sandbox"], 7, "is a made-up college"),
        (["--environment", "prdo"], 2, "has no environment prdo: name one of prod, trial, sandbox"),
        (["--environment", ""], 2, "No Meltano environment is named"),
        (["--umask", "800"], 2, "is no umask"),
        (["--umask", "022"], 2, "every user of the machine"),
        (["--meltano", "/nowhere/meltano"], 8, "/nowhere/meltano cannot be executed"),
        (["--time-zone", "Europe/Berln"], 2, "perhaps Europe/Berlin?"),
        (["--logs", "/a\\b"], 2, "a backslash"),
        (["--logs", "/" + 900 * "a"], 2, "too long for cron"),
        (["--logs", "/a\nb"], 2, "cannot be printed"),
    ],
)
def test_what_cannot_be_installed_is_refused_in_a_sentence(
    words: list[str], code: int, sentence: str, box: Box
) -> None:
    told = refused(box.connect("install", *words))
    assert (told[0], sentence in told[1]) == (code, True), told
    assert box.crontab is None


@pytest.mark.parametrize(
    ("interval", "sentence"),
    [
        ("0 25 * * *", "none that cron understands: Bad hour"),
        ("0 0 1 * * *", "It takes 5 fields"),
        ("0 1 L * *", "which cron does not know"),
        ("0 1 * * 1#2", "which cron does not know"),
        ("@once", "nothing to install"),
    ],
)
def test_an_interval_that_cron_cannot_run_is_refused(interval: str, sentence: str, box: Box) -> None:
    box.schedules(nightly=interval)
    told = refused(box.connect("install"))
    assert (told[0], sentence in told[1]) == (2, True), told


def test_a_schedule_of_a_job_that_is_not_defined_is_refused(box: Box) -> None:
    path = box.project / "meltano.yml"
    path.write_text(path.read_text().replace("job: load", "job: gone"))
    assert "The job gone of the schedule nightly is not defined" in refused(box.connect("install"))[1]


def test_a_cron_that_cannot_be_used_says_what_to_do(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRONTAB_REFUSES", "1")
    assert refused(box.connect("install"))[0] == 8
    assert "You (ann) are not allowed" in box.connect("install").output
    monkeypatch.delenv("CRONTAB_REFUSES")
    box.crontab = b"0 99 * * * spoils the file\n"
    code, said = refused(box.connect("install"))
    assert (code, 'all is as it was: "-":0: bad hour' in said) == (8, True)
    box.crontab = f"# BEGIN coursera-connect prod {box.project}\n1 1 * * * x\n".encode()
    code, said = refused(box.connect("install"))
    assert (code, "correct it with `crontab -e`" in said) == (8, True)
    (box.programs / "crontab").unlink()
    monkeypatch.setenv("PATH", str(box.programs))
    code, said = refused(box.connect("install"))
    assert (code, "apt-get install cron" in said) == (8, True)


def test_a_cron_that_does_not_run_is_told(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crontab, "_DAEMONS", {"nobody"})
    assert "No cron seems to run" in box.good("install")
    monkeypatch.setattr(crontab, "_DAEMONS", {Path("/proc/self/comm").read_text().strip()})
    assert "No cron seems to run" not in box.good("status")


def test_meltano_is_the_one_that_the_project_was_used_with(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    other = box.folder / "other"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    (box.project / ".meltano" / "run").mkdir(parents=True)
    (box.project / ".meltano" / "run" / "bin").symlink_to(other)
    assert f"--meltano {other} " in box.good("install", "--dry-run")
    other.unlink()
    assert f"--meltano {box.programs / 'meltano'} " in box.good("install", "--dry-run")
    (box.programs / "meltano").unlink()
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert "Meltano's executable is not found" in refused(box.connect("install"))[1]
