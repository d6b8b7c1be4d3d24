"""`connect setup` in a terminal and without questions, against a server that is not the sandbox of the project."""

from __future__ import annotations

import csv
import json
import os
import shutil
import stat
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pexpect
import pytest

from coursera_connect.meltano import meltano_schedules, project_files, setting_values
from coursera_connect.schedule import lms_sync, suggested_times
from coursera_connect.setup import next_steps
from coursera_sandbox.testing import RunningSandbox
from tests.connect.desk import HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
MELTANO = f"""#!{sys.executable}
import json, os, sys
if "config" in sys.argv:
    names = ("client_id", "client_secret", "org_id", "api_url", "auth_url")
    print(json.dumps({{name: os.environ.get("TAP_COURSERA_" + name.upper()) for name in names}}))
else:
    open(os.environ["CALLED"], "a").write(" ".join(sys.argv[1:]) + chr(10))
    sys.exit(int(os.environ.get("ENDS_WITH", "0")))
"""
COMMAND = [sys.executable, "-m", "coursera_connect", "setup"]


@pytest.fixture(scope="module")
def college(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """Another server: a college with another seed."""
    running = RunningSandbox(tmp_path_factory.mktemp("sandbox"), seed=11)
    yield running
    running.stop()


class Office:
    """A project without any choice yet; a stand-in of Meltano records its calls."""

    def __init__(self, folder: Path, college: RunningSandbox) -> None:
        self.project = folder / "project"
        self.college = college
        self.mapping = self.project / "environments" / "prod" / "mapping"
        self.mapping.mkdir(parents=True)
        self.package = self.project / "output" / "prod" / "oneroster.zip"
        shutil.copy(ROOT / "meltano.yml", self.project)
        (self.project / "transform").mkdir()
        shutil.copy(ROOT / "transform" / "dbt_project.yml", self.project / "transform")
        for name, header in HEADERS.items():
            (self.mapping / f"{name}.csv").write_text(f"{header}\n")
        programs = folder / "bin"
        programs.mkdir()
        (programs / "meltano").write_text(MELTANO)
        (programs / "meltano").chmod(0o755)
        (programs / "crontab").write_text("#!/bin/sh\necho 'no crontab for root' >&2; exit 1\n")
        (programs / "crontab").chmod(0o755)
        self.called = folder / "called"
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("CONNECT_", "TAP_", "MELTANO_"))
        }
        self.environment = kept | {
            "PATH": f"{programs}:/usr/bin:/bin",
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "TZ": "America/Halifax",
            "CALLED": str(self.called),
            "MELTANO_PROJECT_ROOT": str(self.project),
            "MELTANO_ENVIRONMENT": "prod",
            "CONNECT_PACKAGE": str(self.package),
            "CONNECT_MAPPING": str(self.mapping),
            "CONNECT_SCHEDULE_LOGS": str(self.project / "output" / "prod" / "logs"),
            "CONNECT_DATABASE": str(self.project / "output" / "prod" / "warehouse.duckdb"),
            "TAP_COURSERA_API_URL": college.api_url,
            "TAP_COURSERA_AUTH_URL": college.auth_url,
        }

    @property
    def env_file(self) -> Path:
        return self.project / ".env"

    def saved(self) -> dict[str, str]:
        """Return the stored settings by environment variable: the secrets, and the choices of the folder."""
        return {
            name: one.value for name, one in setting_values.values(self.project, "prod").items() if one.is_chosen
        } | project_files.env_values(self.env_file)

    def rows(self) -> list[list[str]]:
        with (self.mapping / "school_mapping.csv").open(newline="") as handle:
            return list(csv.reader(handle))[1:]

    def files(self) -> dict[str, bytes]:
        """Return all files except the empty mapping files that the sandbox makes itself."""
        found = (path for path in self.project.rglob("*") if path.is_file() and "sandbox" not in path.parts)
        return {str(path): path.read_bytes() for path in found}

    def walk(self, *words: str) -> Any:
        """A terminal in which `connect setup` runs."""
        return pexpect.spawn(COMMAND[0], [*COMMAND[1:], *words], env=self.environment, encoding="utf-8", timeout=40)

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "--no-input", *words],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def list(self, values: dict[str, str]) -> str:
        """What `connect schools list --json` prints."""
        command = [sys.executable, "-m", "coursera_connect", "schools", "list", "--json"]
        done = subprocess.run(command, env=self.environment | values, capture_output=True, text=True, check=True)
        return done.stdout

    def scripted(self, *words: str) -> subprocess.CompletedProcess[str]:
        secret = self.project.parent / "secret"
        secret.write_text(self.college.client_secret + "\n")
        credentials = ("--client-id", self.college.client_id, "--client-secret-file", str(secret))
        return self.run(*credentials, "--org-id", self.college.org_id, *words)


@pytest.fixture
def office(tmp_path: Path, college: RunningSandbox) -> Office:
    return Office(tmp_path, college)


def test_an_administrator_walks_through_all_steps_and_nothing_is_written_before_the_end(  # noqa: PLR0915 - a walk is long
    office: Office,
) -> None:
    college = office.college
    before = office.files()
    terminal = office.walk()

    def answer(question: str, *typed: str) -> None:
        for word in typed:
            terminal.expect_exact(question)
            terminal.sendline(word)

    answer("Do this step?", "y")
    answer("Client ID", college.client_id)
    answer("Secret Key", "not-the-secret")
    terminal.expect_exact("FAILED: ")
    answer("Try again?", "y")
    answer("Client ID", "")  # the one that was typed
    answer("Secret Key", college.client_secret)
    terminal.expect_exact("OK: Issued by")
    answer("Organisation ID", "the college")
    terminal.expect_exact("FAILED: ")
    answer("Try again?", "y")
    answer("Organisation ID", f"  {college.org_id} ")
    terminal.expect(r"programs +OK +(\d+) programs")
    number = int(terminal.match[1])
    answer("Do this step?", "y")
    answer("Which are synced", "1, 3-99")
    terminal.expect_exact("3-99 is none of the numbers")
    answer("Which are synced", "1,3")
    answer("Do this step?", "y")
    answer("When the LMS syncs", "00:30")
    terminal.expect_exact("[America/Halifax]")
    terminal.sendline("Europe/Berln")
    terminal.expect_exact("perhaps Europe/Berlin?")
    answer("Time zone of the LMS", "Europe/Berlin")
    terminal.expect_exact("publish: 30 23 * * *")
    answer("Do this step?", "y")
    answer("Profile", "moodle")
    answer("Do this step?", "n")
    terminal.expect_exact("TAP_COURSERA_CLIENT_SECRET = (hidden)")
    assert office.files() == before
    answer("Write this?", "4")
    answer("Profile", "powerschool")
    answer("Write this?", "yes")
    answer("preview the first package?", "y")
    terminal.expect_exact("Still missing:")
    terminal.expect(pexpect.EOF)
    missing = terminal.before
    terminal.close()
    assert terminal.exitstatus == 0
    assert "connect --environment=prod setup --step delivery" in missing
    assert "connect --environment=prod schedule install" in missing
    assert "connect --environment=prod run grade-sync" in missing
    assert "connect --environment=prod test" not in missing
    assert "schedule check" not in missing
    assert office.saved() == {
        "TAP_COURSERA_CLIENT_ID": college.client_id,
        "TAP_COURSERA_CLIENT_SECRET": college.client_secret,
        "TAP_COURSERA_ORG_ID": college.org_id,
        "CONNECT_LMS_SYNC_TIME": "00:30",
        "CONNECT_LMS_TIME_ZONE": "Europe/Berlin",
        **suggested_times.times("00:30"),
        "CONNECT_PROFILE": "powerschool",
    }
    assert office.college.client_secret not in (office.mapping.parent / "settings.yml").read_text()
    assert stat.S_IMODE(office.env_file.stat().st_mode) == 0o600
    assert sum(1 for row in office.rows() if row[2]) == 2
    assert len(office.rows()) == number
    record = json.loads(office.package.with_name("connection.json").read_text())
    assert (record["org_id"], record["programs"]) == (college.org_id, number)
    load, preview = office.called.read_text().splitlines()
    assert f"--env-file={office.env_file} --environment=prod" in load
    assert load.endswith("run connect:lock tap-coursera target-warehouse dbt:build")
    assert preview.endswith("invoke connect:preview")


def test_the_secret_is_never_shown_and_giving_up_writes_nothing(office: Office) -> None:
    before = office.files()
    terminal = office.walk("--step", "credentials")
    seen = []
    for question, typed in (
        ("Do this step?", "y"),
        ("Client ID", office.college.client_id),
        ("Secret Key", office.college.client_secret),
        ("Organisation ID", office.college.org_id),
        ("Write this?", "no"),
    ):
        terminal.expect_exact(question)
        seen.append(terminal.before)
        terminal.sendline(typed)
    terminal.expect(pexpect.EOF)
    seen.append(terminal.before)
    terminal.close()
    assert terminal.exitstatus == 0
    assert "Nothing is written." in seen[-1]
    assert office.college.client_secret not in "".join(seen)
    assert office.files() == before


@pytest.mark.parametrize(("question", "key"), [("Client ID", "\x04"), ("Secret Key", "\x03")], ids=["Ctrl-D", "Ctrl-C"])
def test_it_can_be_stopped_at_any_question_and_says_that_nothing_is_written(
    office: Office, question: str, key: str
) -> None:
    before = office.files()
    terminal = office.walk()
    for asked in ("Do this step?", "Client ID", "Secret Key"):
        terminal.expect_exact(asked)
        if asked == question:
            terminal.send(key)
            break
        terminal.sendline("y")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    assert terminal.before.replace("\r", "").endswith("\nNothing is written.\n\nStopped.\n")
    assert office.files() == before


def test_a_first_load_that_fails_is_told_and_so_is_what_is_missing(office: Office) -> None:
    office.environment["ENDS_WITH"] = "1"
    terminal = office.walk("--step", "profile")
    for question, typed in (("Do this step?", "y"), ("Profile", "moodle"), ("Write this?", "yes"), ("preview", "y")):
        terminal.expect_exact(question)
        terminal.sendline(typed)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 1
    shown = " ".join(terminal.before.split()).replace(" \\ ", " ")
    load = "meltano --environment=prod run connect:lock tap-coursera target-warehouse dbt:build"
    assert shown.count(load) == 2  # The command is printed before the step, and as the way to repeat the step.
    assert "The first load did not end well; its log is " in shown.split("Still missing:")[1]
    assert "The connection test has not passed." in shown.split("Still missing:")[1]
    assert office.saved() == {"CONNECT_PROFILE": "moodle"}


def test_the_whole_set_up_is_one_command_without_questions(office: Office) -> None:
    inbox = office.project.parent / "inbox"
    inbox.mkdir()
    office.env_file.write_text("# ours\nHTTPS_PROXY=\n")
    options = (
        "--all-programs",
        "--lms-sync-time",
        "05:00",
        "--lms-time-zone",
        "America/New_York",
        "--profile",
        "generic",
    )
    before = office.files()
    shown = office.scripted(*options, "--to", str(inbox))
    assert shown.returncode == 0, shown.stderr
    assert "Nothing is written. To write it, add --save." in shown.stdout
    assert office.files() == before
    done = office.scripted(*options, "--to", str(inbox), "--save")
    assert done.returncode == 0, done.stderr
    assert office.college.client_secret not in done.stdout
    saved = office.saved()
    assert (saved["CONNECT_DELIVERY"], saved["CONNECT_LMS_TIME_ZONE"]) == (str(inbox), "America/New_York")
    assert not [name for name in saved if name.startswith("CONNECT_SCHEDULE")]  # The default times suit the LMS.
    assert office.rows() == []  # This stands for all programs, also future ones.
    assert office.env_file.read_text().startswith("# ours\nHTTPS_PROXY=\n")
    assert "delivered nowhere" not in done.stdout

    # One step is repeated alone, with the files that exist.
    values = {name: value for name, value in saved.items() if value}
    one = json.loads(office.list(values))["programs"][0]
    done = office.run("--save", "--program", one["program_name"], **values)
    assert done.returncode == 0, done.stderr
    assert {row[0]: bool(row[2]) for row in office.rows()}[one["program_id"]]
    assert sum(1 for row in office.rows() if row[2]) == 1
    assert office.saved() == saved


@pytest.mark.parametrize(
    ("words", "environment", "code", "sentence"),
    [
        (["--lms-sync-time", "soon"], {}, 2, "is no time (05:00)"),
        (["--profile", "moodel"], {}, 2, "did you mean moodle"),
        (["--to", "sftpp://x/y"], {}, 5, ""),
        (["--all-programs"], {}, 1, "client_id"),
        ([], {"MELTANO_ENVIRONMENT": "sandbox"}, 7, "connect --environment=prod setup sets up yours"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence_and_nothing_is_written(
    words: list[str], environment: dict[str, str], code: int, sentence: str, office: Office
) -> None:
    before = office.files()
    done = office.run("--save", *words, **environment)
    assert (done.returncode, sentence in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert office.files() == before


def test_without_a_terminal_it_says_how_to_do_without_questions(office: Office) -> None:
    done = subprocess.run(
        COMMAND, env=office.environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, "--no-input" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("sync", "zone"),
    [
        ("00:30", "Europe/Berlin"),
        ("03:00", "Europe/Berlin"),  # In a zone whose clocks change: an hour before the hour that is skipped.
        ("02:30", "America/New_York"),
        ("05:00,13:30", "Asia/Kathmandu"),
        ("0 */2 * * *", "Europe/Berlin"),
    ],
)
def test_the_times_that_setup_sets_pass_the_check(
    sync: str, zone: str, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in meltano_schedules.read(office.project):
        monkeypatch.delenv(one.setting, raising=False)
    for name, cron in next_steps.times(office.project, sync, zone).items():
        monkeypatch.setenv(name, cron)
    settings = lms_sync.Settings(office.project, office.project / "none", sync, zone)
    report = lms_sync.check(settings, datetime.now(timezone.utc))
    assert {one["verdict"] for one in report["schedules"]} == {"ok"}, report["schedules"]
