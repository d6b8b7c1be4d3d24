"""`connect setup` through Meltano, in a terminal, as an administrator types it."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pexpect
import pytest

if TYPE_CHECKING:
    from tests.conftest import StartSandbox
    from tests.pipeline.project import Project

pytestmark = pytest.mark.pipeline


def test_questions_and_answers_pass_through_meltano(project: Project, start_sandbox: StartSandbox) -> None:
    college = start_sandbox(seed=11)
    addresses = {"TAP_COURSERA_API_URL": college.api_url, "TAP_COURSERA_AUTH_URL": college.auth_url}
    program, *words = project.command(
        "invoke", "connect", "setup", "--step", "credentials", "--step", "programs", environment="prod"
    )
    terminal = pexpect.spawn(
        program, words, cwd=str(project.root), env=project.env(**addresses), encoding="utf-8", timeout=60
    )
    shown = ""
    for question, typed in (
        ("Do this step?", "y"),
        ("Client ID", college.client_id),
        ("Secret Key", college.client_secret),
        ("Organisation ID", college.org_id),
        ("Do this step?", "y"),
        ("Which are synced", "1-3"),
        ("Write this?", "yes"),
        ("preview the first package?", "n"),
    ):
        terminal.expect_exact(question)
        shown += terminal.before
        terminal.sendline(typed)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert "Still missing:" in terminal.before
    assert college.client_secret not in shown + terminal.before
    (mapping,) = [path for path in project.root.rglob("prod/**/school_mapping.csv") if ".meltano" not in path.parts]
    with mapping.open(newline="") as handle:
        assert sum(1 for row in csv.DictReader(handle) if row["school_id"]) == 3
