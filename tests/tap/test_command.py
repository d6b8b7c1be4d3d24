"""The command itself: exit codes, one sentence, snapshots of what it says about itself, kill -9."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import ConfigValidationError

from tap_coursera.tap import STREAMS, TapCoursera
from tests.tap import catalog

if TYPE_CHECKING:
    from coursera_sandbox.testing import RunningSandbox
    from tests.tap.conftest import Json, ReadTap

HERE = Path(__file__).parent
COMMAND = [sys.executable, "-m", "tap_coursera"]
CONFIG = {"client_id": "i", "client_secret": "the-secret", "org_id": "SandboxOrg-AAAAAAAAA_A"}


def run(*arguments: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=120, **more)


def row(message: Json) -> str:
    """A row, without what only an incremental answer can tell."""
    return json.dumps({name: value for name, value in message["record"].items() if name != "changes"}, sort_keys=True)


def stored(path: Path, value: Json) -> Path:
    path.write_text(json.dumps(value))
    return path


def test_discovery_is_the_reviewed_catalog_and_needs_no_settings() -> None:
    found = run("--discover")
    assert found.returncode == 0
    assert catalog.short(json.loads(found.stdout)) == json.loads(catalog.FILE.read_text()), catalog.__doc__


def test_about_is_the_reviewed_list_of_settings() -> None:
    found = run("--about", "--format=json")
    assert found.returncode == 0
    settings = json.loads(found.stdout)["settings"]
    own = {name: spec for name, spec in settings["properties"].items() if spec.get("title") and name in OWN}
    assert {"required": settings["required"], "properties": own} == json.loads((HERE / "settings.json").read_text())


OWN = json.loads((HERE / "settings.json").read_text())["properties"] if (HERE / "settings.json").exists() else {}


def test_every_property_tells_what_it_is_and_where_it_comes_from() -> None:
    def check(where: str, spec: Json) -> None:
        assert spec["description"].rstrip().endswith("."), where
        for name, inner in spec.get("properties", {}).items():
            assert {"x-source", "x-newest-of", "x-tap"} & inner.keys(), f"{where}.{name}"
            check(f"{where}.{name}", inner)
        if "items" in spec:
            check(f"{where}[]", spec["items"])

    files = sorted((HERE.parents[1] / "tap-coursera/tap_coursera/schemas").glob("*.json"))
    assert [file.stem for file in files] == sorted(stream.name for stream in STREAMS)
    for file in files:
        check(file.stem, json.loads(file.read_text()))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"client_secret": "the-wrong-secret"}, "refused the credentials"),
        ({"client_id": "the-wrong-id"}, "refused the credentials"),
        ({"org_id": "SandboxOrg-BBBBBBBBB_B"}, "check that org_id"),
        ({"org_id": "northfield-college"}, "22-character ID"),
        ({"client_id": "sandbox-no-access"}, "denies access to the organisation"),
        ({"api_url": "http://127.0.0.1:9/ent/api"}, "cannot be reached: check api_url"),
        ({"auth_url": "http://127.0.0.1:9/token"}, "cannot be reached: check auth_url"),
        ({"api_url": "{url}/elsewhere"}, "check .*api_url|path of api_url"),
        ({"auth_url": "{url}/elsewhere"}, "check auth_url"),
        ({"program_ids": ["learning-program-uzmjj"]}, "no active program"),
    ],
)
def test_a_wrong_setting_ends_with_exit_code_1_and_one_sentence(
    sandbox: RunningSandbox, tmp_path: Path, change: Json, sentence: str
) -> None:
    values = {k: v.format(url=sandbox.url) if isinstance(v, str) else v for k, v in change.items()}
    failed = run("--config", stored(tmp_path / "config.json", sandbox.tap_config | values))
    assert failed.returncode == 1
    errors = [line for line in failed.stderr.splitlines() if "| ERROR" in line]
    assert len(errors) == 1
    assert re.search(sentence, errors[0])
    assert "Traceback" not in failed.stderr
    assert "secret" not in failed.stderr.replace("client_secret", "")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"page_size": 1001}, "page_size"),
        ({"grade_sync": "sometimes"}, "grade_sync"),
        ({"start_date": "last week"}, "start_date"),
        ({"client_secret": 90125}, "client_secret"),
    ],
)
def test_a_setting_out_of_bounds_is_refused_before_anything_is_asked(change: Json, sentence: str) -> None:
    with pytest.raises(ConfigValidationError) as caught:
        TapCoursera(config=CONFIG | change)
    text = str([caught.value, caught.value.errors])
    assert sentence in text
    assert "90125" not in text


def test_a_refused_setting_ends_with_exit_code_1_and_no_traceback(tmp_path: Path) -> None:
    failed = run("--config", stored(tmp_path / "config.json", CONFIG | {"client_secret": 90125}))
    assert failed.returncode == 1
    assert "client_secret" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert "90125" not in failed.stderr


@pytest.mark.parametrize("mode", [[], ["--test"]])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"client_secret": "", "org_id": ""},
            "client_secret, org_id not set: put what is missing into the configuration",
        ),
        ({"page_size": 5000}, "page_size has to be a whole number from 1 to 1000."),
    ],
)
def test_what_is_missing_or_out_of_bounds_is_the_last_thing_a_run_or_a_test_says(
    tmp_path: Path, mode: list[str], change: Json, said: str
) -> None:
    failed = run("--config", stored(tmp_path / "config.json", CONFIG | change), *mode)
    assert failed.returncode == 1
    assert said in failed.stderr.strip().splitlines()[-1]


def test_what_a_catalog_deselects_or_does_not_name_is_not_written_nor_put_into_batch_files(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    catalog = TapCoursera(config=CONFIG).catalog_dict
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = entry["tap_stream_id"] in {"users", "program_memberships"}
            if item["breadcrumb"][-1:] in (["email"], ("email",)):
                item["metadata"]["selected"] = False
        entry["schema"]["properties"].pop("full_name", None)
    chosen = stored(tmp_path / "catalog.json", catalog)
    batches = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": tmp_path.as_uri(), "prefix": "batch-"},
    }
    written = run("--config", stored(tmp_path / "c.json", sandbox.tap_config), "--catalog", chosen).stdout.splitlines()
    filed = run(
        "--config", stored(tmp_path / "b.json", sandbox.tap_config | {"batch_config": batches}), "--catalog", chosen
    )
    assert filed.returncode == 0
    rows = [message["record"] for line in written if (message := json.loads(line))["type"] == "RECORD"]
    in_files = [
        json.loads(line)
        for file in tmp_path.glob("batch-*")
        for line in gzip.decompress(file.read_bytes()).splitlines()
    ]
    for found in (rows, in_files):
        assert len(found) == len(sandbox.all("/users")) + sum(
            len(sandbox.all(f"/programs/{program['id']}/memberships"))
            for program in sandbox.all("/programs", excludeContent=True)
        )
        assert all("id" in row and not row.keys() & {"email", "full_name"} for row in found)


def test_a_state_file_that_a_killed_run_left_empty_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "state.json").touch()
    failed = run("--config", stored(tmp_path / "c.json", CONFIG), "--state", tmp_path / "state.json")
    assert failed.returncode == 1
    assert "is not JSON" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_killed_run_started_again_ends_with_the_same_rows(
    sandbox: RunningSandbox, tmp_path: Path, read_tap: ReadTap
) -> None:
    # Only a catalog selects the one, and the other tells of the run itself.
    streams = {stream.name for stream in STREAMS} - {"course_materials", "stream_reads"}
    expected = {row(message) for message in read_tap(sandbox.tap_config, select=streams).of("RECORD")}
    config = stored(tmp_path / "config.json", sandbox.tap_config | {"page_size": 20})
    loaded: set[str] = set()
    state: Json = {}
    for lines in (300, 1500, None):
        process = subprocess.Popen(
            [*COMMAND, "--config", config, "--state", stored(tmp_path / "state.json", state)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        for number, line in enumerate(process.stdout):
            message = json.loads(line)
            if message["type"] == "RECORD" and message["stream"] in streams:
                loaded.add(row(message))
            elif message["type"] == "STATE":
                state = message["value"]
            if number == lines:
                break
        process.kill() if lines else None
        process.stdout.close()
        process.wait(60)
    assert process.returncode == 0
    assert loaded == expected


def test_a_loader_that_stops_reading_ends_the_tap_without_a_traceback(sandbox: RunningSandbox, tmp_path: Path) -> None:
    config = stored(tmp_path / "config.json", sandbox.tap_config)
    with subprocess.Popen(
        [*COMMAND, "--config", config], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        text = process.stderr.read().decode()
    assert process.returncode == 1
    assert "The loader stopped reading" in text
    assert "Traceback" not in text


def test_a_run_that_is_told_to_stop_does_not_pretend_to_be_complete(sandbox: RunningSandbox, tmp_path: Path) -> None:
    config = stored(tmp_path / "config.json", sandbox.tap_config | {"emit_activate_version_messages": True})
    sandbox.faults(["latency:ms=50"])
    with subprocess.Popen([*COMMAND, "--config", config], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        kinds = [json.loads(line)["type"] for line in process.stdout]
    assert process.returncode == 128 + 15
    assert kinds.count("ACTIVATE_VERSION") < 7
