"""An installation of an earlier release with choices in tracked files: the move and the pull, as upgrading.md says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from coursera_connect.meltano import project_files

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "upgrading.md"
OLD = """\
# A page that people edit.
default_environment: sandbox
environments:
  - name: sandbox
    env:
      CONNECT_OUTPUT: $MELTANO_PROJECT_ROOT/output/sandbox
  - name: prod
    env:
      CONNECT_OUTPUT: $MELTANO_PROJECT_ROOT/output/prod
  - name: postgres  # prod, but elsewhere
    env:
      CONNECT_OUTPUT: $MELTANO_PROJECT_ROOT/output/postgres
      CONNECT_WAREHOUSE: postgres
plugins:
  extractors:
    - name: tap-coursera
      settings:
        - {name: client_id, sensitive: true}
        - {name: batch_config, kind: object, value: {encoding: {format: jsonl}}}  # by file
      select: ["*.*", "!course_materials.*"]
    - name: tap-coursera-full
      inherit_from: tap-coursera
      config: {grade_sync: full}
      metadata: {"*": {replication-method: FULL_TABLE}}
  utilities:
    - name: connect
      settings:
        - {name: mode, kind: options, options: [{value: bulk}, {value: delta}]}
schedules:
  - {name: publish, interval: "30 4 * * *", job: publish}
"""
VARS = """\
name: coursera_connect
vars:
  # What 100 % is in the files.
  score_scale: 100
  time_zone: UTC
  attributes: {}
  attribute_sources:
    learner: {email: learner.email}
"""
MAPPING = {"excluded_people": "learner,reason", "school_mapping": "program_id,program_name,school_id,school_name"}


def git(folder: Path, *words: str) -> str:
    names = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", *names, *words], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def college(tmp_path: Path) -> Path:
    """A clone of the old release; its origin has the next one since."""
    origin, clone = tmp_path / "origin", tmp_path / "college"
    origin.mkdir()
    git(origin, "init", "-q")
    (origin / "meltano.yml").write_text(OLD)
    (origin / ".gitignore").write_text(".env\noutput/\n")
    (origin / "transform").mkdir()
    (origin / "transform/dbt_project.yml").write_text(VARS)
    for environment in ("prod", "postgres", "sandbox"):
        folder = origin / "transform/mapping" / environment
        folder.mkdir(parents=True)
        for name, header in MAPPING.items():
            (folder / f"{name}.csv").write_text(f"{header}\n")
    git(origin, "add", "-A")
    git(origin, "commit", "-qm", "old")
    git(tmp_path, "clone", "-q", str(origin), str(clone))
    git(origin, "rm", "-rq", "transform/mapping")
    for path in ("meltano.yml", "transform/dbt_project.yml", ".gitignore", "scripts/move_choices.py", TEMPLATE):
        target = origin / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / path).read_bytes())
    git(origin, "add", "-A")
    git(origin, "commit", "-qm", "new")
    return clone


TEMPLATE = "plugins/connect/coursera_connect/environments/settings.yml"


def move(college: Path) -> str:
    """Run the commands of the page, with a Python that has none of our libraries."""
    found = re.search(r"^    (git fetch && git show .*)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    assert found
    command = found[1].replace("python3 -", f"{sys.executable} -I -S -")
    return subprocess.run(["sh", "-c", command], cwd=college, capture_output=True, text=True, check=True).stdout


def edit(college: Path) -> None:
    """Edit meltano.yml as people did by hand, and as `meltano config set` did, which removes the comments."""
    content = yaml.safe_load((college / "meltano.yml").read_text())
    content["environments"][1]["config"] = {
        "plugins": {"utilities": [{"name": "connect", "config": {"mode": "delta", "removal_threshold": 20.5}}]}
    }
    content["plugins"]["utilities"][0]["config"] = {"profile": "moodle"}
    content["schedules"][0]["interval"] = "15 3 * * *"
    (college / "meltano.yml").write_text(yaml.safe_dump(content, sort_keys=False))
    dbt = college / "transform/dbt_project.yml"
    text = dbt.read_text().replace("score_scale: 100", "score_scale: 1  # ours").replace("UTC", "Europe/Amsterdam")
    dbt.write_text(
        text.replace("attributes: {}", 'attributes:\n    users.sms: learner.external_id\n    users.middleName: ""')
    )
    with (college / "transform/mapping/prod/excluded_people.csv").open("a") as people:
        people.write('test@x.example,"Zoë, of the ""help desk"""\n')
    (college / ".env").write_text("MELTANO_ENVIRONMENT=prod\nTAP_COURSERA_CLIENT_ID=a\nPGHOST=db.example\n")


@pytest.mark.parametrize("committed", [False, True], ids=["edited", "committed"])
def test_everything_that_was_chosen_is_in_the_folder_after_the_move_and_the_pull_goes_through(
    college: Path, committed: bool
) -> None:
    edit(college)
    if committed:
        git(college, "commit", "-qam", "Ours")
    move(college)
    git(college, "pull", "-q", "--no-rebase", "--no-edit")
    assert git(college, "status", "--short") == ""
    assert (college / "meltano.yml").read_bytes() == (ROOT / "meltano.yml").read_bytes()
    assert not (college / "transform/mapping").exists()
    expected = {
        "connect": {"profile": "moodle", "schedule_publish": "15 3 * * *", "mode": "delta", "removal_threshold": 20.5},
        "dbt": {
            "score_scale": 1,
            "time_zone": "Europe/Amsterdam",
            "attributes": {"users.sms": "learner.external_id", "users.middleName": ""},
        },
    }
    found = project_files.configured(project_files.load(college / "environments/prod/settings.yml"), "prod")
    assert {name: values for name, values in found.items() if values} == expected
    postgres = project_files.load(college / "environments/postgres/settings.yml")
    assert postgres["environments"][0]["env"]["CONNECT_WAREHOUSE"] == "postgres"
    assert project_files.configured(postgres, "postgres")["dbt"] == expected["dbt"]
    people = (college / "environments/prod/mapping/excluded_people.csv").read_text()
    assert people == 'learner,reason\ntest@x.example,"Zoë, of the ""help desk"""\n'
    assert (college / "environments/prod/mapping/school_mapping.csv").read_text().startswith("program_id,")
    assert (
        college / "environments/postgres/secrets.env"
    ).read_text() == "TAP_COURSERA_CLIENT_ID=a\nPGHOST=db.example\n"
    assert (college / ".env").read_text().startswith("MELTANO_ENVIRONMENT=prod\n")
    modes = {path.stat().st_mode & 0o777 for path in (college / "environments").rglob("*")}
    assert modes == {0o700, 0o600}


def test_without_any_choice_nothing_is_in_the_way_and_a_second_move_changes_nothing(college: Path) -> None:
    move(college)
    edit_once = {path: path.read_bytes() for path in (college / "environments").rglob("*") if path.is_file()}
    move(college)
    assert {path: path.read_bytes() for path in (college / "environments").rglob("*") if path.is_file()} == edit_once
    assert not (college / "environments/postgres").exists()
    git(college, "pull", "-q")
    assert git(college, "status", "--short") == ""
