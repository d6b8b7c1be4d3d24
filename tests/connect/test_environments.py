"""Environments: which env file counts, what each folder chooses, and files that are where earlier releases had them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from coursera_connect.cli.main import main
from coursera_connect.errors import OutputError, RefusedError, UsageError
from coursera_connect.meltano import processes, project_files, setting_values
from coursera_connect.setup import environments, old_locations, settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the environments prod and north, in which prod is the current one."""
    for name in ("TAP_", "TARGET_", "DBT_", "CONNECT_"):
        for variable in [one for one in os.environ if one.startswith(name)]:
            monkeypatch.delenv(variable)
    shutil.copy(ROOT / "meltano.yml", tmp_path)
    for file in ("transform/dbt_project.yml", "scripts/move_choices.py"):
        (tmp_path / file).parent.mkdir()
        shutil.copy(ROOT / file, tmp_path / file)
    environments.add(tmp_path, "prod")
    environments.add(tmp_path, "north")
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(tmp_path))
    monkeypatch.setenv("MELTANO_ENVIRONMENT", "prod")
    return tmp_path


def now(project: Path, variable: str, environment: str = "prod") -> settings.Setting:
    return next(one for one in settings.listed(project, environment) if one.variable == variable)


def test_the_root_env_file_is_prods_alone_and_only_until_prod_has_its_own(project: Path) -> None:
    assert project_files.env_file(project, "prod") == project / ".env"
    assert project_files.env_file(project, "north") == project / "environments/north/secrets.env"
    assert project_files.env_file(project, "sandbox") == project / "environments/sandbox/secrets.env"
    (project / "environments/prod/secrets.env").touch()
    assert project_files.env_file(project, "prod") == project / "environments/prod/secrets.env"


def test_the_environment_is_that_of_the_shell_else_of_the_env_file_else_the_sandbox(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project_files.environment_meant(project) == "prod"
    monkeypatch.delenv("MELTANO_ENVIRONMENT")
    assert project_files.environment_meant(project) == "sandbox"
    (project / ".env").write_text("MELTANO_ENVIRONMENT=north\n")
    assert project_files.environment_meant(project) == "north"


def test_a_folder_and_what_is_in_it_are_read_by_nobody_else(project: Path) -> None:
    folder = project / "environments"
    modes = {path.relative_to(folder).name: path.stat().st_mode & 0o777 for path in [folder, *folder.rglob("*")]}
    assert set(modes.values()) == {0o700, 0o600}


@pytest.mark.parametrize("name", ["../x", "A b", "", "x" * 41, "sandbox", "prod"])
def test_an_environment_that_is_there_or_cannot_be_called_so_is_refused(project: Path, name: str) -> None:
    with pytest.raises((UsageError, RefusedError)):
        environments.add(project, name)


def test_a_choice_is_written_with_its_comments_kept_and_taken_back_without_a_trace(project: Path) -> None:
    file = project / "environments/prod/settings.yml"
    before = file.read_text()
    for name, value in {
        "grade_sync": "granular_all",
        "CONNECT_MODE": "delta",
        "tap-coursera.program_ids": '["a", "b"]',
        "attributes": '{"users.sms": "learner.external_id"}',
        "target-warehouse.batch_size_rows": "500",
    }.items():
        settings.set_("prod", name, value)
    written = file.read_text()
    assert [line for line in before.splitlines() if line not in written.splitlines()] == []
    assert now(project, "CONNECT_ATTRIBUTES").value == '{"users.sms": "learner.external_id"}'
    for name in ("grade_sync", "mode", "tap-coursera.program_ids", "attributes", "target-warehouse.batch_size_rows"):
        settings.set_("prod", name, "")
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("grade_sync", "granular_al", "granular_all"),
        ("score_scale", "10", "100, 1"),
        ("time_zone", "Amsterdam", "IANA time zone"),
        ("line_item_title_length", "5", "10 to 255"),
        ("removal_threshold", "much", "a number"),
        ("privacy_level", "7", "0<=x<=3"),
        ("attributes", "[1]", "JSON object"),
        ("empty_classes", "perhaps", "true or false"),
        ("tap-coursera.max_parallel_requests", "99", "99"),
        ("lms_sync_time", "late", "a time"),
        ("name_placeholder", "{{ 1 }}", "plain"),
        ("system_name", "Universit\udce4t", "UTF-8"),  # The terminal does not use UTF-8.
        ("system_name", "two\nlines", "one line"),
        ("webhook", "\x1b[31m", "control characters"),
        ("delivery_password", "two\nlines", "one line"),
        ("tap-coursera.start_date", "2026-02-30", "not a time"),
        ("tap-coursera.org_id", "my college", "an ID and not a name"),
        ("tap-coursera.api_url", "http://api.example.org", "unencrypted"),
        ("consent_until", "2026-W01-1", "as 2027-06-30"),
        ("profile", "moodel", "docs/profiles.md"),
        ("exclude", "users.emial", "users.email,users.userIds"),
        ("exclude", "users.username", "does not require"),
        ("target-warehouse.batch_size_rows", "0", "from 1"),
        ("target-warehouse.lock_timeout", "-1", "0 or more"),
        ("grade_synk", "final", "grade_sync"),
    ],
)
def test_a_value_that_cannot_be_is_a_sentence_and_changes_nothing(
    project: Path, name: str, value: str, said: str
) -> None:
    before = (project / "environments/prod/settings.yml").read_bytes()
    with pytest.raises(UsageError) as refused:
        settings.set_("prod", name, value)
    assert said in str(refused.value)
    assert (project / "environments/prod/settings.yml").read_bytes() == before


def test_a_secret_is_kept_in_the_env_file_and_never_shown(project: Path) -> None:
    assert settings.set_("prod", "delivery_password", "hunter2 x'") == project / ".env"
    settings.set_("north", "delivery_password", "other")
    assert project_files.env_values(project / ".env")["CONNECT_DELIVERY_PASSWORD"] == "hunter2 x'"
    assert (project / ".env").stat().st_mode & 0o777 == 0o600
    said = CliRunner().invoke(main, ["settings", "--changed"]).output
    assert "delivery_password = (hidden)  (.env)" in said
    assert "hunter2" not in said


def test_attributes_of_either_version_can_be_excluded(project: Path) -> None:
    for attributes in ("users.email, users.userIds", "userProfiles.description", "users.metadata.district"):
        settings.set_("prod", "exclude", attributes)
        assert now(project, "CONNECT_EXCLUDE").value == attributes


@pytest.mark.parametrize("is_linked", [False, True])
def test_a_secret_that_meltano_would_read_otherwise_is_refused_and_the_env_file_stays(
    project: Path, tmp_path: Path, is_linked: bool
) -> None:
    file = project / ".env"
    if is_linked:
        file.unlink(missing_ok=True)
        file.symlink_to(tmp_path / "secrets elsewhere")
    settings.set_("prod", "delivery_password", "hunter2")
    before = file.read_bytes()
    for value in ("${HOME}", "a${CONNECT_MODE}b"):
        with pytest.raises(OutputError, match="write it there by hand"):
            settings.set_("prod", "delivery_password", value)
        assert file.read_bytes() == before
    assert (file.is_symlink(), file.stat().st_mode & 0o777) == (is_linked, 0o600)
    assert [path.name for path in file.resolve().parent.glob("*.partial")] == []


def test_the_sandbox_takes_choices_of_its_folder_unless_the_shell_says_otherwise(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.set_("sandbox", "grade_sync", "granular_all")
    settings.set_("sandbox", "coursera-sandbox.learners", "9")
    assert processes.variables(project, "sandbox")["CONNECT_GRADE_SYNC"] == "granular_all"
    assert processes.variables(project, "sandbox")["COURSERA_SANDBOX_LEARNERS"] == "9"
    monkeypatch.setenv("CONNECT_GRADE_SYNC", "final_incremental")
    assert processes.variables(project, "sandbox")["CONNECT_GRADE_SYNC"] == "final_incremental"
    assert "COURSERA_SANDBOX_LEARNERS" not in processes.variables(project, "prod")


@pytest.mark.parametrize("environment", ["sandbox", "north"])
def test_meltano_that_was_called_by_itself_and_read_the_env_file_of_prod_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    (project / ".env").write_text("CONNECT_GRADE_SYNC=granular_all\nHTTPS_PROXY=http://proxy\n")
    monkeypatch.setenv("MELTANO_ENVIRONMENT", environment)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    assert CliRunner().invoke(main, ["settings"]).exit_code == 0
    monkeypatch.setenv("CONNECT_GRADE_SYNC", "granular_all")  # Meltano passes on the variables that it has read.
    done = CliRunner().invoke(main, ["settings"])
    assert done.exit_code == 7
    assert "CONNECT_GRADE_SYNC" in done.output
    monkeypatch.setenv("CONNECT_SHELL", "CONNECT_GRADE_SYNC")  # The launchers name variables that the shell has.
    assert CliRunner().invoke(main, ["settings"]).exit_code == 0
    monkeypatch.delenv("CONNECT_SHELL")
    monkeypatch.setenv("MELTANO_ENVIRONMENT", "prod")
    assert CliRunner().invoke(main, ["settings"]).exit_code == 0


def test_meltano_by_itself_is_refused_in_the_sandbox_where_it_does_not_follow_its_choices(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.set_("sandbox", "grade_sync", "granular_all")
    monkeypatch.setenv("MELTANO_ENVIRONMENT", "sandbox")
    monkeypatch.setenv("MELTANO_PARENT_CONTEXT_UUID", "a-run")
    done = CliRunner().invoke(main, ["settings"])
    assert done.exit_code == 7
    assert "does not follow CONNECT_GRADE_SYNC" in done.output
    assert "(or with these in the shell: CONNECT_GRADE_SYNC=granular_all)" in done.output
    monkeypatch.setenv("CONNECT_GRADE_SYNC", "granular_all")
    assert CliRunner().invoke(main, ["settings"]).exit_code == 0
    step = f"COURSERA_SANDBOX_PORT=8737 {sys.executable} -m coursera_connect settings"
    for port, code in {"9123": 7, "8737": 0}.items():
        shell = {**os.environ, "COURSERA_SANDBOX_PORT": port}
        told = subprocess.run(["sh", "-c", f"{step}; exit $?"], env=shell, capture_output=True, text=True, check=False)
        assert told.returncode == code, told.stderr
        assert (f"run `make setup` once in {project}" in told.stderr) == bool(code)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("CONNECT_MODE", "bogus", "CONNECT_MODE cannot be 'bogus' in .env: it has to be one of bulk, delta"),
        ("CONNECT_MODE", "", "CONNECT_MODE is blank in .env"),
        (
            "TAP_COURSERA_PAGE_SIZE",
            "many",
            "TAP_COURSERA_PAGE_SIZE cannot be 'many' in .env: it has to be a whole number",
        ),
        ("TAP_COURSERA_PROGRAM_IDS", "a,b", "a JSON list"),
        ("TARGET_WAREHOUSE_HARD_DELETE", "perhaps", "true or false"),
        ("CONNECT_EMPTY_CLASSES", "", "CONNECT_EMPTY_CLASSES is blank"),
        ("CONNECT_ATTRIBUTES", "{", "a JSON object"),
        ("CONNECT_WAIT", "2.5", ""),
        ("CONNECT_SYSTEM_NAME", "", ""),
    ],
)
def test_a_value_that_meltano_cannot_pass_on_is_a_sentence(project: Path, variable: str, value: str, said: str) -> None:
    (project / ".env").write_text(f"{variable}='{value}'\n")
    if not said:
        setting_values.refuse_impossible(project, "prod")
        return
    with pytest.raises(UsageError) as refused:
        setting_values.refuse_impossible(project, "prod")
    assert said in str(refused.value)
    assert CliRunner().invoke(main, ["settings", "--changed"]).exit_code == 0


def test_what_is_set_is_taken_literally_but_for_folders_of_the_project(project: Path) -> None:
    for value in ("R$D College", "${HOME} and $PATH", "a\\$B", "$CONNECT_OUTPUT/x"):
        settings.set_("prod", "system_name", value)
        expected = value.replace("$CONNECT_OUTPUT", str(project / "output/prod"))
        assert now(project, "CONNECT_SYSTEM_NAME").value == expected


def test_the_sandbox_delivers_to_nobody_who_is_not_on_the_command_line(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECT_DELIVERY", str(tmp_path))
    monkeypatch.setenv("CONNECT_PACKAGE", str(project / "output/sandbox/oneroster.zip"))
    assert CliRunner().invoke(main, ["deliver", "test"]).exit_code == 0
    monkeypatch.setenv("MELTANO_ENVIRONMENT", "sandbox")
    assert CliRunner().invoke(main, ["deliver", "test"]).exit_code == 5
    assert CliRunner().invoke(main, ["deliver", "test", "--to", str(tmp_path)]).exit_code == 0


def _mapping(project: Path) -> str:
    old = project / "transform/mapping/prod"
    old.mkdir(parents=True)
    (old / "excluded_people.csv").write_text("learner,reason\ntest@x.example,\n")
    return "1 line of transform/mapping/prod/excluded_people.csv"


def _var(project: Path) -> str:
    file = project / "transform/dbt_project.yml"
    file.write_text(file.read_text().replace("  score_scale: 100", "  score_scale: 1"))
    return "the var score_scale"


def _config(project: Path) -> str:
    file = project / "meltano.yml"
    file.write_text(
        file.read_text().replace("      namespace: dbt\n", "      namespace: dbt\n      config: {calendar: terms}\n")
    )
    return "calendar of dbt in meltano.yml"


def _environment(project: Path) -> str:
    file = project / "meltano.yml"
    file.write_text(file.read_text().replace("environments:\n  - name", "environments:\n  - name: prod\n  - name", 1))
    return "the environment prod of meltano.yml"


@pytest.mark.parametrize("leave", [_mapping, _var, _config, _environment])
def test_a_job_refuses_while_an_old_place_holds_what_the_folder_lacks(project: Path, leave: Any) -> None:
    old_locations.refuse(project, "prod")
    left = leave(project)
    with pytest.raises(RefusedError) as refused:
        old_locations.refuse(project, "prod")
    assert left in str(refused.value)
    assert old_locations.MOVE in str(refused.value)
    done = CliRunner().invoke(main, ["lock"], env={"CONNECT_PACKAGE": str(project / "output/prod/oneroster.zip")})
    assert done.exit_code == 7


def test_the_project_of_somebody_else_has_places_of_its_own(project: Path) -> None:
    _environment(project)
    (project / "scripts/move_choices.py").unlink()
    old_locations.refuse_now()


def test_what_the_folder_has_too_may_stay_where_it_was(project: Path) -> None:
    _mapping(project)
    _var(project)
    shutil.copy(project / "transform/mapping/prod/excluded_people.csv", project / "environments/prod/mapping")
    settings.set_("prod", "score_scale", "1")
    old_locations.refuse(project, "prod")


def test_json_has_every_setting_and_no_secret(project: Path) -> None:
    settings.set_("prod", "webhook", "https://chat.example/secret")
    done = CliRunner().invoke(main, ["settings", "--json"])
    told = json.loads(done.output)
    assert {one["variable"] for one in told["settings"]} >= {"CONNECT_WEBHOOK", "TAP_COURSERA_ORG_ID"}
    assert "chat.example" not in done.output
    assert project.exists()


def test_a_setting_with_a_line_in_the_env_file_is_set_there_since_the_line_outranks_the_folder(project: Path) -> None:
    file = project / "environments/north/secrets.env"

    def now() -> str:
        return settings.find(settings.listed(project, "north"), "tap-coursera.org_id").value

    assert "TAP_COURSERA_ORG_ID=\n" in file.read_text()
    for value in ("SandboxOrg-AAAAAAAAA_B", "SandboxOrg-AAAAAAAAA_A"):
        assert settings.set_("north", "tap-coursera.org_id", value, project) == file
        assert now() == value
    settings.set_("north", "tap-coursera.org_id", "", project)
    assert now() == ""
    assert settings.set_("north", "time_zone", "Europe/Berlin", project) == file.with_name("settings.yml")
