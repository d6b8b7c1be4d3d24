"""Snowflake, as far as it goes without an account: the loader is the real one, the warehouse is fakesnow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from coursera_sandbox.testing import RunningSandbox
from tests.package.commands import UV, environment, install, run
from tests.package.singer import read_tap, stored
from tests.warehouses.project import definition, installed

if TYPE_CHECKING:
    from tests.package.singer import Json, Output
    from tests.warehouses.project import Project

FAKESNOW = "fakesnow==0.12.1"
STAND_IN = Path(__file__).with_name("snowflake_stand_in.py")
pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

STREAMS = ("program_memberships", "enrollments", "item_grades")
ACCOUNT = {"ACCOUNT": "made-up", "USER": "LOADER", "WAREHOUSE": "LOADING", "DATABASE": "ANALYTICS"}
"""What somebody would put into .env, with a password or a key."""
PASSWORD = "open-sesame"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    found = installed(tmp_path_factory.mktemp("snowflake"), "snowflake")
    install(UV, "pip", "install", "--quiet", "--python", found.commands / "python", FAKESNOW)
    return found


@pytest.fixture(scope="module")
def config(project: Project) -> Json:
    """Return the settings with which the loader is started."""
    account = {f"TARGET_SNOWFLAKE_{name}": value for name, value in ACCOUNT.items()}
    shown = project.config("target-snowflake", **account, TARGET_SNOWFLAKE_PASSWORD=PASSWORD)
    assert PASSWORD not in shown.values()
    return shown | {"password": PASSWORD}


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Output]:
    """A college, and three days later what changed in it and who left."""
    folder = tmp_path_factory.mktemp("days")
    sandbox = RunningSandbox(folder / "sandbox", learners=30)
    tap = (sys.executable, "-m", "tap_coursera")
    try:
        config = sandbox.tap_config | {"emit_activate_version_messages": True}
        first = read_tap(folder / "first", *tap, config=config, streams=STREAMS)
        sandbox.advance(days=3)
        return [first, read_tap(folder / "later", *tap, config=config, streams=STREAMS, state=first.states[-1])]
    finally:
        sandbox.stop()


@pytest.fixture(scope="module")
def loaded(
    project: Project, config: Json, days: list[Output], tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, list[Json]]]:
    """All tables after each of the days."""
    folder = tmp_path_factory.mktemp("loaded")
    stored(folder / "config.json", config)
    found = []
    for day in days:
        with day.path.open() as messages:
            words = (project.commands / "python", STAND_IN, folder, "--config", folder / "config.json")
            said = run(*words, stdin=messages)
        assert json.loads(said.splitlines()[-1]) == day.states[-1]
        found.append(json.loads((folder / "tables.json").read_text("utf-8")))
    return found


def keyed(rows: list[Any], keys: list[str]) -> dict[tuple[str, ...], Any]:
    return {tuple(row[key] for key in keys): row for row in rows}


def test_the_loader_has_every_setting_of_the_definition(project: Project) -> None:
    about, defined = project.about(), definition("snowflake")
    known = about["settings"]["properties"]
    assert {setting["name"] for setting in defined["settings"]} <= set(known)
    assert set(defined["capabilities"]) <= set(about["capabilities"])
    secret = {name for name, schema in known.items() if schema.get("secret")}
    assert secret <= {setting["name"] for setting in defined["settings"] if setting.get("sensitive")}
    for setting in defined["settings"]:
        assert [one["value"] for one in setting.get("options", [])] == known[setting["name"]].get("enum", [])


def test_meltano_hands_over_the_account_and_what_the_definition_chose(project: Project, config: Json) -> None:
    assert {name.lower(): value for name, value in ACCOUNT.items()}.items() <= config.items()
    assert config["default_target_schema"] == "coursera"
    assert config["timestamp_type"] == "TIMESTAMP_TZ"
    assert not project.config("tap-coursera-to-snowflake").get("batch_config")


def test_every_row_arrives_in_a_table_of_its_stream(days: list[Output], loaded: list[dict[str, list[Json]]]) -> None:
    for stream in STREAMS:
        keys = days[0].keys[stream]
        sent = keyed(days[0].records[stream], keys)
        found = keyed(loaded[0][stream.upper()], [key.upper() for key in keys])
        assert found.keys() == sent.keys()
        assert found
        for key, row in sent.items():
            assert {name.upper() for name in row} <= found[key].keys()
            assert all(found[key][name.upper()] == value for name, value in row.items() if isinstance(value, bool))
    moment = next(row["ENROLLED_AT"] for row in loaded[0]["ENROLLMENTS"])
    assert moment.endswith("+00:00")


def test_the_next_run_replaces_rows_by_key_and_marks_who_left(
    days: list[Output], loaded: list[dict[str, list[Json]]]
) -> None:
    for stream in ("enrollments", "item_grades"):
        keys = days[0].keys[stream]
        expected = keyed(days[0].records[stream], keys) | keyed(days[1].records[stream], keys)
        found = keyed(loaded[1][stream.upper()], [key.upper() for key in keys])
        assert found.keys() == expected.keys()
        assert len(loaded[1][stream.upper()]) == len(expected)
    before, after = ({row["id"] for row in day.records["program_memberships"]} for day in days)
    marked = {row["ID"] for row in loaded[1]["PROGRAM_MEMBERSHIPS"] if row["_SDC_DELETED_AT"]}
    assert marked == before - after
    assert marked
    assert {row["ID"] for row in loaded[1]["PROGRAM_MEMBERSHIPS"] if not row["_SDC_DELETED_AT"]} == after


def test_without_a_way_to_snowflake_it_ends_soon_and_says_so(project: Project, config: Json, tmp_path: Path) -> None:
    schema: Json = {"type": "SCHEMA", "stream": "programs", "schema": {"properties": {"id": {"type": "string"}}}}
    done = subprocess.run(
        [project.commands / "target-snowflake", "--config", stored(tmp_path / "config.json", config)],
        input=json.dumps(schema | {"key_properties": ["id"]}),
        env=environment(HTTPS_PROXY="http://127.0.0.1:9"),  # No server listens on this port.
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode
    assert "Could not connect to Snowflake backend" in done.stderr
    assert PASSWORD not in done.stderr
    assert not done.stdout
