"""Jobs of two environments that run at the same time, on a machine where Meltano has never run."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from coursera_connect.setup import environments
from coursera_sandbox.testing import RunningSandbox
from tests.pipeline.conftest import a_copy, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.pipeline.project import Project

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

ENVIRONMENTS = ("prod", "north-campus")


@pytest.fixture
def project(plugins: Path, tmp_path: Path) -> Project:
    copy = a_copy(tmp_path / "copy", plugins, free_port())
    environments.add(copy.root, "north-campus")
    return copy


@pytest.fixture
def colleges(project: Project, tmp_path: Path) -> Iterator[dict[str, RunningSandbox]]:
    """A college for each environment."""
    found = {}
    for number, name in enumerate(ENVIRONMENTS):
        college = found[name] = RunningSandbox(tmp_path / name, seed=number + 1, learners=60 + 30 * number)
        secrets = {f"TAP_COURSERA_{key.upper()}": value for key, value in college.tap_config.items()}
        lines = "".join(f"{key}={value}\n" for key, value in secrets.items())
        (project.root / "environments" / name / "secrets.env").write_text(lines)
    yield found
    for college in found.values():
        college.stop()


def at_once(project: Project, *words: str) -> None:
    """Run the same Meltano command in both environments at the same time."""
    started = [
        subprocess.Popen(
            project.command(*words, environment=name),
            cwd=project.root,
            env=project.env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in ENVIRONMENTS
    ]
    said = [process.communicate(timeout=240)[0][-4000:] for process in started]
    assert [process.returncode for process in started] == [0, 0], "\n".join(said)


def held(project: Project, environment: str) -> set[str]:
    """Return the people whom an environment loaded."""
    file = project.root / "output" / environment / "warehouse.duckdb"
    with duckdb.connect(str(file), read_only=True) as connection:
        return {person for (person,) in connection.execute("select id from coursera.users").fetchall()}


def bookmarks(project: Project, environment: str) -> Any:
    """Return the state that Meltano keeps for the next load of an environment."""
    state_id = f"{environment}:tap-coursera-to-target-warehouse"
    state = json.loads(project.meltano("state", "get", state_id, environment=environment).stdout)
    return state["singer_state"]["bookmarks"]


def test_two_environments_load_and_build_at_the_same_time_as_they_would_alone(
    project: Project, colleges: dict[str, RunningSandbox]
) -> None:
    for job in (("run", "tap-coursera", "target-warehouse", "dbt:build"), ("run", "tap-coursera", "target-warehouse")):
        at_once(project, *job)
        for name, college in colleges.items():
            assert held(project, name) == {row["id"] for row in college.all("/users")}
            programs = {row["id"] for row in college.all("/programs")}
            assert set(bookmarks(project, name)["programs"]["program_ids"]) == programs
            assert {
                of["context"]["program_id"] for of in bookmarks(project, name)["enrollments"]["partitions"]
            } == programs
