"""`make demo` on two days: one screen each, and no process left running, also after a failure."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.pipeline.api import ORG
from tests.pipeline.walkthrough import differences

if TYPE_CHECKING:
    from tests.pipeline.project import Project

pytestmark = pytest.mark.pipeline


def demo(project: Project) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/demo.py"],
        cwd=project.root,
        env=project.env(),
        capture_output=True,
        text=True,
        check=False,
        timeout=480,
    )


def sandbox_answers(project: Project) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", project.port)) == 0


@pytest.fixture(scope="module")
def first(project: Project) -> subprocess.CompletedProcess[str]:
    """The first day."""
    return demo(project)


def test_the_first_day(project: Project, first: subprocess.CompletedProcess[str]) -> None:
    assert first.returncode == 0, first.stdout + first.stderr
    for said in ("demo of sandbox ended well", "The last load brought", "Rows in the files", "oneroster.zip",
                 "Page: output/sandbox/report.html", "Log: output/sandbox/logs/demo.log", "Try next"):  # fmt: skip
        assert said in first.stdout
    assert first.stderr.startswith("This is the sandbox: a made-up college")
    assert len(first.stdout.splitlines()) <= 24
    assert project.warehouse.is_file()
    assert project.package.is_file()
    assert list(project.warehouse.with_name("batches").iterdir()) == []  # The batch files were in this folder.
    assert not sandbox_answers(project)


def test_the_readme_shows_what_the_first_day_ends_with(first: subprocess.CompletedProcess[str]) -> None:
    readme = Path(__file__).resolve().parents[2] / "README.md"
    shown = next(block for block in readme.read_text("utf-8").split("```") if "OneRoster: " in block)
    assert not differences(("...", *shown.strip().splitlines()), [line for line in first.stdout.splitlines() if line])


@pytest.mark.slow
def test_the_second_day(project: Project, first: subprocess.CompletedProcess[str]) -> None:
    assert first.returncode == 0, first.stdout + first.stderr
    second = demo(project)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "2026-02-03" in second.stdout
    assert not sandbox_answers(project)


@pytest.mark.slow
def test_a_day_that_fails_says_why_and_keeps_the_package(
    project: Project, first: subprocess.CompletedProcess[str]
) -> None:
    assert first.returncode == 0, first.stdout + first.stderr
    package = project.package.read_bytes()
    page = project.root / "meltano.yml"
    page.write_text(page.read_text().replace(ORG, "SandboxOrg-BBBBBBBBB_B"))
    broken = demo(project)
    assert broken.returncode != 0
    assert "The last load failed (demo). tap-coursera: " in broken.stdout
    assert "org_id" in broken.stdout
    assert not sandbox_answers(project)
    assert project.package.read_bytes() == package
