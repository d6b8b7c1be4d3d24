"""An administrator's first weeks in one clone, as typed: from an empty folder to a second environment."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.pipeline.conftest import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from coursera_sandbox.testing import RunningSandbox
    from tests.conftest import StartSandbox

pytestmark = [pytest.mark.pipeline, pytest.mark.slow(minutes=6)]

ROOT = Path(__file__).resolve().parents[2]
PEOPLE = ("output", "environments", ".env")
"""What holds people and credentials, and stays closed whatever the umask of the shell."""


def git(folder: Path, *words: str) -> str:
    names = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", *names, *words], cwd=folder, capture_output=True, text=True, check=True).stdout


@dataclass
class Clone:
    """A clone of the project in which commands are typed, in a shell with the usual umask."""

    root: Path
    variables: Mapping[str, str]

    def types(self, command: str, *, code: int = 0, given: str | None = None) -> str:
        """Type a command into a shell that has activated the environment, and return what it says."""
        activate = ". .venv/bin/activate; " if (self.root / ".venv/bin/activate").exists() else ""
        done = subprocess.run(
            ["sh", "-c", f"umask 022; {activate}{command}"],
            cwd=self.root,
            env=dict(self.variables),
            capture_output=True,
            text=True,
            input=given or "",
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, f"{command} ended with {done.returncode}:\n{said[-6000:]}"
        return said

    def answers(self, command: str, answers: Sequence[tuple[str, str]]) -> str:
        """Type a command that asks, and the answer to each question; return all that the terminal showed."""
        terminal = pexpect.spawn(
            "sh",
            ["-c", f"umask 022; . .venv/bin/activate; {command}"],
            cwd=str(self.root),
            env=dict(self.variables),
            dimensions=(24, 80),
            encoding="utf-8",
            timeout=600,
        )
        shown = ""
        for question, answer in answers:
            terminal.expect_exact(question)
            shown += f"{terminal.before}{question}"
            terminal.sendline(answer)
        terminal.expect(pexpect.EOF)
        terminal.close()
        shown += terminal.before
        assert terminal.exitstatus == 0, shown
        return " ".join(shown.split())

    def page(self, environment: str) -> str:
        """The words of the page of an environment."""
        text = (self.root / "output" / environment / "report.html").read_text("utf-8")
        return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"<(script|style).*?</\1>", " ", text, flags=re.DOTALL)).split())

    def package(self, environment: str) -> bytes:
        return (self.root / "output" / environment / "oneroster.zip").read_bytes()

    def is_closed(self) -> bool:
        """Return whether no other user can read the files that hold people or credentials."""
        paths = [self.root / name for name in PEOPLE if (self.root / name).exists()]
        paths += [below for path in paths if path.is_dir() for below in path.rglob("*")]
        open_ = {str(path): oct(mode) for path in paths if (mode := stat.S_IMODE(path.lstat().st_mode)) & 0o077}
        assert open_ == {}
        return True


def commands(text: str) -> list[str]:
    """Return the project's commands that a screen prints, in their order."""
    return re.findall(r"^ *((?:connect|meltano) --environment=.*)$", text, re.MULTILINE)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """An empty folder into which the project is cloned; the origin is a repository with the project alone."""
    source = tmp_path / "source"
    source.mkdir()
    for name in git(ROOT, "ls-files", "-z").split("\0"):
        if name and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    git(source, "init", "-q")
    git(source, "add", "-A")
    git(source, "commit", "-qm", "A release")
    git(tmp_path, "clone", "-q", "--bare", str(source), "origin.git")
    git(tmp_path, "clone", "-q", str(tmp_path / "origin.git"), "college")
    ours = ("TAP_", "TARGET_", "DBT_", "CONNECT_", "COURSERA_", "MELTANO_", "PG", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    more = {"COURSERA_SANDBOX_PORT": str(free_port()), "UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1", "TERM": "xterm"}
    return Clone(tmp_path / "college", {**kept, **more})


def next_release(origin: Path, folder: Path) -> None:
    """Add a commit to the origin, in the code and in the files that colleges edited in earlier releases."""
    git(folder, "clone", "-q", str(origin), "next")
    release = folder / "next"
    for name in (
        "meltano.yml",
        "transform/dbt_project.yml",
        ".env.example",
        "plugins/connect/coursera_connect/cli/main.py",
    ):
        with (release / name).open("a", encoding="utf-8") as file:
            file.write("# The next release.\n")
    git(release, "commit", "-qam", "The next release")
    git(release, "push", "-q")


def test_from_an_empty_folder_to_a_second_environment(
    clone: Clone, tmp_path: Path, start_sandbox: StartSandbox
) -> None:
    # The names are those of the server, and not those of the demo.
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    college, second = (start_sandbox(seed=seed, learners=40, now=now) for seed in (11, 12))
    lms = tmp_path / "lms"
    lms.mkdir()

    the_demo(clone)
    the_set_up(clone, college, lms)
    the_first_publish(clone, lms)
    a_failed_secret_and_the_recovery(clone, college)
    the_next_release(clone, tmp_path)
    a_second_environment(clone, second)
    assert clone.is_closed()
    assert git(clone.root, "status", "--short") == ""


def the_demo(clone: Clone) -> None:
    said = clone.types(f"make demo PYTHON={sys.executable}")
    assert "demo of sandbox ended well" in said
    assert "OneRoster: output/sandbox/oneroster.zip" in said
    assert "This is the sandbox" in clone.page("sandbox")
    assert "connect --environment=prod setup" in commands(said)
    assert clone.is_closed()


def the_set_up(clone: Clone, college: RunningSandbox, lms: Path) -> None:
    """Write the settings for the second server, which stands for Coursera; its address is an ordinary setting."""
    for name, address in (("api_url", college.api_url), ("auth_url", college.auth_url)):
        clone.types(f"connect --environment=prod settings set tap-coursera.{name} {address}")
    shown = clone.answers(
        "connect --environment=prod setup",
        [
            ("Do this step?", "y"),
            ("Client ID", college.client_id),
            ("Secret Key", "pasted wrongly"),
            ("Try again?", "y"),
            ("Client ID", ""),
            ("Secret Key", college.client_secret),
            ("Organisation ID", college.org_id),
            ("Do this step?", "y"),
            ("Which are synced", "1-3"),
            ("Do this step?", "y"),
            ("When the LMS syncs", "05:00"),
            ("Time zone of the LMS", "America/New_York"),
            ("Do this step?", "y"),
            ("Profile", ""),
            ("Do this step?", "y"),
            ("Folder, sftp://", str(lms)),
            ("Try it now?", "y"),
            ("Write this?", "yes"),
            ("preview the first package?", "y"),
        ],
    )
    assert "It would be published." in shown
    assert "Still missing:" in shown
    assert college.client_secret not in shown
    missing = shown.split("Still missing:")[1]
    assert "Nothing has been published yet. connect --environment=prod run grade-sync" in missing
    assert "connect --environment=prod schedule install" in missing
    assert "setup --step" not in missing
    assert list(lms.iterdir()) == []
    assert not (clone.root / "output/prod/oneroster.zip").exists()


def the_first_publish(clone: Clone, lms: Path) -> None:
    said = clone.types("connect --environment=prod publish")
    assert "Page: output/prod/report.html" in said
    assert "Delivered to" in said
    assert (lms / "oneroster.zip").read_bytes() == clone.package("prod")
    assert "The sync is healthy" in clone.page("prod")
    assert "environment prod" in clone.page("prod")
    with zipfile.ZipFile(lms / "oneroster.zip") as archive:
        # The header, the district, and the chosen schools.
        assert len(archive.read("orgs.csv").splitlines()) == 1 + 1 + 3
    assert "published" in clone.types("connect --environment=prod history")


def a_failed_secret_and_the_recovery(clone: Clone, college: RunningSandbox) -> None:
    before = clone.package("prod")
    secret = "connect --environment=prod settings set tap-coursera.client_secret"
    assert "expired" not in clone.types(secret, given="expired-and-revoked\n")
    said = clone.types("connect --environment=prod run grade-sync", code=1)
    assert "The last load failed (grade-sync). tap-coursera: " in said
    tells, ends = commands(said)
    page = clone.page("prod")
    assert "The last load failed (grade-sync)." in page
    assert "HTTP 401" in page
    assert re.search(
        r"grade-sync +hand +failed +tap-coursera: .*401", clone.types("connect --environment=prod history")
    )
    assert clone.types("connect --environment=prod summary", code=1).startswith("The last load failed")
    clone.types("connect --environment=prod publish")
    assert "The last load failed (grade-sync)." in clone.page("prod")
    assert clone.package("prod") == before

    assert "HTTP 401" in clone.types(tells, code=3)
    clone.types(secret, given=f"{college.client_secret}\n")
    said = clone.types(ends)
    assert "grade-sync of prod ended well" in said
    assert "The sync is healthy" in clone.page("prod")
    clone.types("connect --environment=prod summary")


def the_next_release(clone: Clone, folder: Path) -> None:
    settings = clone.types("connect --environment=prod settings --changed")
    mapping = (clone.root / "environments/prod/mapping/school_mapping.csv").read_bytes()
    before = clone.package("prod")
    next_release(folder / "origin.git", folder)
    clone.types("git pull -q")
    assert git(clone.root, "log", "-1", "--format=%s").strip() == "The next release"
    clone.types(f"make setup PYTHON={sys.executable}")
    assert clone.types("connect --environment=prod settings --changed") == settings
    assert (clone.root / "environments/prod/mapping/school_mapping.csv").read_bytes() == mapping
    clone.types("connect --environment=prod run publish")
    assert clone.package("prod") == before
    assert "The sync is healthy" in clone.page("prod")


def a_second_environment(clone: Clone, college: RunningSandbox) -> None:
    before, page = clone.package("prod"), clone.page("prod")
    said = clone.types("connect environment add north-campus")
    assert "connect --environment=north-campus setup" in commands(said)
    for name, address in (("api_url", college.api_url), ("auth_url", college.auth_url)):
        clone.types(f"connect --environment=north-campus settings set tap-coursera.{name} {address}")
    options = "--all-programs --lms-sync-time 06:00 --lms-time-zone Europe/Berlin --profile generic --to none"
    credentials = f"--client-id {college.client_id} --client-secret-file - --org-id {college.org_id}"
    command = f"connect --environment=north-campus setup --no-input --save {credentials} {options}"
    clone.types(command, given=f"{college.client_secret}\n")
    assert "grade-sync of north-campus ended well" in clone.types("connect --environment=north-campus run grade-sync")
    assert "environment north-campus" in clone.page("north-campus")
    assert clone.package("north-campus") != before
    assert (clone.package("prod"), clone.page("prod")) == (before, page)
    assert clone.types("connect environment list 2>/dev/null").split() == ["north-campus", "prod", "*", "sandbox"]
