"""README, .env.example and meltano.yml agree with the parts."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from coursera_connect.cli.main import main
from coursera_connect.command_text import VERBS
from coursera_connect.report import summary
from coursera_connect.setup import attributes, mapping_rules
from coursera_connect.setup.mapping import FILES
from oneroster_csv import binding
from scripts import choices
from tap_coursera import settings
from tap_coursera.tap import STREAMS as TAP_STREAMS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MELTANO: dict[str, Any] = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
STREAMS = [stream.name for stream in TAP_STREAMS]
TAP_SETTINGS: dict[str, Any] = settings.PROPERTIES.to_dict()["properties"]
LMS_SYNC_STARTS_AT = 5 * 60


def plugin(kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in MELTANO["plugins"][kind] if entry["name"] == name)
    return found


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def first_cells(page: str, heading: str = "") -> list[str]:
    """The names in backticks in the first cells of the tables of a page, all or those under a heading."""
    section = (ROOT / page).read_text(encoding="utf-8")
    if heading:
        section = section.split(f"\n## {heading}")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]+`) \|", section, flags=re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def test_meltano_offers_exactly_the_settings_that_the_tap_reads() -> None:
    offered = {setting["name"] for setting in plugin("extractors", "tap-coursera")["settings"]}
    assert offered == set(TAP_SETTINGS)


def test_the_page_of_settings_lists_exactly_those_that_the_tap_reads() -> None:
    assert sorted(first_cells("docs/settings.md", "tap-coursera")) == sorted(TAP_SETTINGS)


def test_secrets_are_marked_in_tap_and_project() -> None:
    secret = {name for name, schema in TAP_SETTINGS.items() if schema.get("secret")}
    sensitive = {s["name"] for s in plugin("extractors", "tap-coursera")["settings"] if s.get("sensitive")}
    assert secret == sensitive == {"client_id", "client_secret"}


def test_env_example_makes_prod_the_default_and_names_the_three_credentials_and_holds_none() -> None:
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
    assert lines == [
        "MELTANO_ENVIRONMENT=prod",
        "TAP_COURSERA_CLIENT_ID=",
        "TAP_COURSERA_CLIENT_SECRET=",
        "TAP_COURSERA_ORG_ID=",
    ]


def test_the_page_of_models_lists_exactly_the_streams_of_the_tap() -> None:
    assert sorted(first_cells("docs/models.md")) == sorted(STREAMS)


def test_the_summary_counts_every_stream_of_the_tap() -> None:
    assert sorted(summary.STREAMS) == sorted(STREAMS)


@pytest.mark.parametrize("stream", STREAMS)
def test_one_word_is_followed_from_schema_to_staging(stream: str) -> None:
    sources = yaml.safe_load(next((ROOT / "transform/models/staging").glob("*sources.yml")).read_text())
    assert (ROOT / f"tap-coursera/tap_coursera/schemas/{stream}.json").is_file()
    assert stream in [table["name"] for table in sources["sources"][0]["tables"]]
    assert (ROOT / f"transform/models/staging/stg_coursera__{stream}.sql").is_file()


@pytest.mark.parametrize("stream", STREAMS)
def test_every_property_of_a_stream_is_described_in_schema_and_source(stream: str) -> None:
    schema = json.loads((ROOT / f"tap-coursera/tap_coursera/schemas/{stream}.json").read_text())
    sources = yaml.safe_load(next((ROOT / "transform/models/staging").glob("*sources.yml")).read_text())
    table = next(table for table in sources["sources"][0]["tables"] if table["name"] == stream)
    described = {column["name"] for column in table["columns"] if column.get("description")}
    assert {name for name, prop in schema["properties"].items() if prop.get("description")} == set(schema["properties"])
    assert set(schema["properties"]) <= described


def test_jobs_are_named_as_the_design_says_and_scheduled_once() -> None:
    jobs = [job["name"] for job in MELTANO["jobs"]]
    assert jobs == ["demo", "roster-sync", "grade-sync", "full-reconcile", "publish"]
    assert sorted(schedule["job"] for schedule in MELTANO["schedules"]) == sorted(jobs[1:])
    assert all(schedule["name"] == schedule["job"] for schedule in MELTANO["schedules"])


def test_schedules_start_well_before_the_lms_sync_and_apart_from_each_other() -> None:
    starts: list[int] = []
    for schedule in MELTANO["schedules"]:
        minute, hour = schedule["interval"].split()[:2]
        starts.append((int(hour) * 60 + int(minute) - LMS_SYNC_STARTS_AT) % (24 * 60))
    before_lms = sorted(24 * 60 - start for start in starts)
    assert before_lms[0] >= 15 + 15, "a run of up to 15 minutes still leaves 15 before the LMS sync"
    assert all(later - earlier >= 60 for earlier, later in itertools.pairwise(before_lms))


def test_every_job_step_is_a_plugin_or_a_command_of_one() -> None:
    plugins = {entry["name"]: entry for entries in MELTANO["plugins"].values() for entry in entries}
    for job in MELTANO["jobs"]:
        for step in " ".join(job["tasks"]).split():
            name, _, command = step.partition(":")
            assert name in plugins
            assert not command or command in plugins[name]["commands"]


def test_every_job_runs_alone() -> None:
    assert all(job["tasks"][0].startswith("connect:lock ") for job in MELTANO["jobs"])


def test_statistics_are_off_and_no_plugin_needs_the_hub() -> None:
    assert MELTANO["send_anonymous_usage_stats"] is False
    for entries in MELTANO["plugins"].values():
        for entry in entries:
            assert "inherit_from" in entry or {"namespace", "pip_url", "executable"} <= set(entry)


def test_the_sandbox_environment_fixes_every_credential_so_that_env_files_cannot_reach_it() -> None:
    sandbox = next(entry for entry in MELTANO["environments"] if entry["name"] == "sandbox")
    needed = {"CLIENT_ID", "CLIENT_SECRET", "ORG_ID", "API_URL", "AUTH_URL"}
    assert {f"TAP_COURSERA_{name}" for name in needed} <= set(sandbox["env"])


def test_every_setting_is_described_in_meltano_yml() -> None:
    plugins = [entry for entries in MELTANO["plugins"].values() for entry in entries]
    settings = [one for entry in plugins for one in entry.get("settings", [])]
    assert [one["name"] for one in settings if not one.get("description")] == []


def test_what_a_new_environment_gets_is_what_meltano_yml_and_dbt_project_yml_define_now() -> None:
    assert choices.TEMPLATE.read_text("utf-8") == choices.template(), "run scripts/choices.py"
    assert choices.TEMPLATE.with_name("dbt-vars.json").read_text("utf-8") == choices.shipped(), "run scripts/choices.py"


def test_every_default_of_dbt_is_a_setting_of_meltano() -> None:
    offered = {one["name"]: one.get("env_aliases") for one in plugin("utilities", "dbt")["settings"]}
    for name in json.loads(choices.shipped()):
        assert offered[name] == [f"CONNECT_{name.upper()}"]


def test_every_command_of_connect_is_known_as_one_that_is_printed() -> None:
    assert {name for name, command in main.commands.items() if not command.hidden} <= set(VERBS)


def test_every_pip_url_and_requirement_is_ours_or_pinned() -> None:
    for entries in MELTANO["plugins"].values():
        for entry in entries:
            others = re.sub(r"-e \./\S+", "", entry.get("pip_url", ""))
            assert all("==" in requirement for requirement in others.split())
    dbt = plugin("utilities", "dbt")["pip_url"]
    assert re.search(r"dbt-core==1\.11\.", dbt)


@pytest.mark.parametrize(
    "part",
    [
        "tap-coursera",
        "plugins/target-duckdb",
        "plugins/oneroster-csv",
        "plugins/tap-oneroster",
        "plugins/target-lti-ags",
        "plugins/connect",
        "plugins/coursera-sandbox",
    ],
)
def test_every_part_that_can_be_given_away_bears_the_licence(part: str) -> None:
    assert (ROOT / part / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    named = (ROOT / part / "pyproject.toml").read_text(encoding="utf-8")
    assert 'license = "Apache-2.0"\nlicense-files = ["LICENSE"]\n' in named
    assert 'readme = "README.md"\n' in named


@pytest.mark.parametrize("version", binding.VERSIONS)
def test_the_models_describe_the_columns_of_the_standard_and_no_others(version: str) -> None:
    folder = "oneroster" if version == "1.1" else f"oneroster_{version.replace('.', '_')}"
    page = yaml.safe_load((ROOT / f"transform/models/{folder}/{folder}.yml").read_text(encoding="utf-8"))
    for model in page["models"]:
        standard = [column.name for column in binding.load(version).files[model["name"].rpartition("__")[2]]]
        described = [column["name"] for column in model["columns"]]
        assert sorted(name for name in described if not name.startswith("metadata.")) == sorted(standard), model["name"]


@pytest.mark.parametrize("folder", ["oneroster", "oneroster_1_2"])
def test_a_column_is_described_as_blank_only_where_it_is_and_as_unmapped_where_it_can_be_filled(folder: str) -> None:
    mapping: Any = attributes.data(ROOT / "transform")
    page = yaml.safe_load((ROOT / f"transform/models/{folder}/{folder}.yml").read_text(encoding="utf-8"))
    for model in page["models"]:
        for column in model["columns"]:
            name = f"{model['name'].rpartition('__')[2]}.{column['name']}"
            source = mapping["targets"].get(name, {}).get("from")
            told = column["description"]
            assert ("doc('unmapped')" in told) == (source == "" and told != "As in 1.1."), name
            assert source is None or "doc('blank')" not in told, name


def test_meltano_yml_fits_on_a_page() -> None:
    lines = (ROOT / "meltano.yml").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 220, "as many as two columns of print hold"
    assert max(map(len, lines)) <= 240


def test_the_readme_fits_and_has_no_template_left_in_it() -> None:
    assert len(README.splitlines()) <= 100
    assert not re.search(r"DEMO-OUTPUT|-TABLE\b", README)


def test_no_lock_file_and_no_machine_path_is_committed() -> None:
    locks = {"uv.lock", "poetry.lock", "Pipfile.lock", "package-lock.json", "yarn.lock"}
    assert not [path for path in tracked_files() if path.name in locks]
    machine = re.compile(r"/(?:root|work|farm)/|/home/[a-z]+/")
    named = [
        path for path in tracked_files() if path != Path(__file__) and machine.search(path.read_text(errors="ignore"))
    ]
    assert not named


def test_connect_knows_the_mapping_files_that_dbt_reads() -> None:
    seeds = yaml.safe_load((ROOT / "transform/models/mapping/mapping.yml").read_text("utf-8"))["seeds"]
    assert {f"{seed['name']}.csv" for seed in seeds} == set(FILES)
    for seed in seeds:
        assert mapping_rules.of(seed["name"]).columns == tuple(seed["config"]["column_types"])
