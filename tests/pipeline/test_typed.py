"""Every command that can be printed is started as it is printed, in two environments, from another folder."""

from __future__ import annotations

import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from coursera_connect.command_text import printed
from coursera_connect.meltano import project_files
from coursera_connect.setup import environments
from tests.connect.test_printed import commands

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline.project import Project

pytestmark = pytest.mark.pipeline

ENVIRONMENTS = ("prod", "north-campus")


def dry(words: list[str], environment: str) -> str:
    """Return a printed command in a form that does no work: connect shows its help after parsing the options."""
    typed = printed(shlex.join(words), environment)
    if words[0] == "connect":
        return f"{typed} --help"
    return typed.replace(" run ", " run --dry-run ").replace("--dry-run --full-refresh", "--dry-run")


def refused(project: Project, folder: Path, found: list[list[str]]) -> list[str]:
    """Run commands, and return the output of those that failed or were about another environment."""

    def started(typed: str, environment: str) -> str:
        command = f". {project.root}/.venv/bin/activate && cd {folder if typed.startswith('connect') else project.root}"
        done = subprocess.run(
            ["sh", "-c", f"{command} && {typed}"], env=project.env(), capture_output=True, text=True, check=False
        )
        meant = f"connect --environment={environment} " in done.stdout or typed.startswith("meltano")
        return "" if done.returncode == 0 and meant else f"$ {typed}\n{done.stdout[-500:]}{done.stderr[-500:]}"

    activate = project.root / ".venv" / "bin" / "activate"
    activate.write_text(f'PATH="{activate.parent}:$PATH"\n')
    if "north-campus" not in project_files.environments(project.root):
        environments.add(project.root, "north-campus")
    typed = [(dry(words, name), name) for words in found for name in ENVIRONMENTS]
    with ThreadPoolExecutor(2) as both:
        return [said for said in both.map(lambda one: started(*one), typed) if said]


def test_what_is_printed_works_from_any_folder_in_two_environments(project: Project, tmp_path: Path) -> None:
    typed = [["connect", "schools", "list"], ["meltano", "run", "dbt:build"], ["connect", "publish", "--no-such"]]
    assert all(words in commands() for words in typed[:2])
    said = refused(project, tmp_path, typed)
    assert len(said) == len(ENVIRONMENTS)
    assert all("No such option" in one for one in said)  # The environment `sandbox` is not in the list.


@pytest.mark.slow
def test_every_command_that_is_printed_works_from_any_folder_in_two_environments(
    project: Project, tmp_path: Path
) -> None:
    found = commands()
    assert len(found) > 50
    assert refused(project, tmp_path, found) == []
