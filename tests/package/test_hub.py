"""The definition for the Meltano Hub agrees with `--about` of the tap, and Meltano accepts it."""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.package import hub
from tests.package.commands import environment, run

WRITTEN = hub.FILE.read_text(encoding="utf-8")
HEADER, DEFINITION = hub.parts(WRITTEN)
SETTINGS: dict[str, dict[str, Any]] = {setting["name"]: setting for setting in DEFINITION["settings"]}


@pytest.fixture(scope="module")
def about() -> dict[str, Any]:
    """The output of `tap-coursera --about`."""
    return hub.about()


def test_the_definition_is_up_to_date(about: dict[str, Any]) -> None:
    fresh = hub.text(HEADER, hub.definition(DEFINITION, about))
    if fresh != WRITTEN:
        lines = difflib.unified_diff(
            WRITTEN.splitlines(), fresh.splitlines(), "written", "what the tap says", lineterm=""
        )
        pytest.fail("Run `python tests/package/hub.py`, which changes:\n" + "\n".join(lines))


def test_each_setting_has_the_name_text_default_and_secrecy_that_the_tap_gives_it(about: dict[str, Any]) -> None:
    said = {
        name: (schema["description"], schema.get("default"), schema.get("secret", False))
        for name, schema in about["settings"]["properties"].items()
        if name == "stream_maps" or not schema.get("properties")
    }
    listed = {s["name"]: (s["description"], s.get("value"), s.get("sensitive", False)) for s in SETTINGS.values()}
    assert {name: found for name, found in listed.items() if "." not in name} == said
    assert {name for name, (_, _, secret) in listed.items() if secret} == {"client_id", "client_secret"}


def test_what_settings_may_be_is_said_in_the_words_of_the_hub() -> None:
    kinds = {name: setting["kind"] for name, setting in SETTINGS.items()}
    assert kinds["client_secret"] == "password"
    assert kinds["start_date"] == "date_iso8601"
    assert kinds["program_ids"] == "array"
    assert kinds["page_size"] == "integer"
    assert kinds["stream_maps"] == "object"
    assert SETTINGS["grade_sync"]["options"] == [
        {"label": "Changed", "value": "changed"},
        {"label": "Full", "value": "full"},
    ]
    assert {name for name in kinds if name.startswith("batch_config")} == {
        "batch_config.batch_size",
        "batch_config.encoding.compression",
        "batch_config.encoding.format",
        "batch_config.storage.params",
        "batch_config.storage.prefix",
        "batch_config.storage.root",
    }


def test_capabilities_and_versions_are_the_taps(about: dict[str, Any]) -> None:
    assert set(DEFINITION["capabilities"]) == set(about["capabilities"])
    assert DEFINITION["supported_python_versions"] == about["supported_python_versions"]
    assert DEFINITION["settings_group_validation"] == [["client_id", "client_secret", "org_id"]]


def test_meltano_adds_the_tap_from_the_definition(tmp_path: Path) -> None:
    (tmp_path / "meltano.yml").write_text("send_anonymous_usage_stats: false\n")
    meltano: list[str | Path] = [Path(sys.executable).with_name("meltano"), "--log-level=disabled"]
    plain = {name: value for name, value in environment().items() if not name.startswith("MELTANO_")}
    run(*meltano, "add", "--no-install", f"--from-ref={hub.FILE}", "tap-coursera", cwd=tmp_path, env=plain)
    defaults = json.loads(run(*meltano, "config", "print", "tap-coursera", cwd=tmp_path, env=plain))
    assert defaults == {name: setting["value"] for name, setting in SETTINGS.items() if "value" in setting}
