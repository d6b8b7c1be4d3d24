"""The tap in a Meltano project of a user: the commands of the README, from an empty folder, with the real Meltano."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.package import hub
from tests.package.commands import TAP, blocks, environment, run

if TYPE_CHECKING:
    from coursera_sandbox.testing import RunningSandbox

SECTION = "In a Meltano project of your own"


@pytest.mark.slow
@pytest.mark.pipeline
def test_the_commands_of_the_readme_fill_a_project_from_an_empty_folder(
    standing_sandbox: RunningSandbox, tmp_path: Path
) -> None:
    commands = blocks(SECTION)
    for shown, own in {
        "/path/of/tap-coursera": str(TAP),
        "your Client ID": standing_sandbox.client_id,
        "your Secret Key": standing_sandbox.client_secret,
        "your organisation ID": standing_sandbox.org_id,
    }.items():
        assert commands.count(f"'{shown}'") == 1
        commands = commands.replace(shown, own)
    plain = environment(
        TAP_COURSERA_API_URL=standing_sandbox.api_url,
        TAP_COURSERA_AUTH_URL=standing_sandbox.auth_url,
    )
    plain = {name: value for name, value in plain.items() if not name.startswith("MELTANO_")}
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("meltano", "uv"):
        (programs / name).symlink_to(Path(sys.executable).with_name(name))
    run("bash", "-euc", commands, cwd=tmp_path, env={**plain, "PATH": f"{programs}:{plain['PATH']}"})

    folder = tmp_path / "college"
    lines = {file.stem: file.read_text().splitlines() for file in (folder / "output").glob("*.jsonl")}
    assert {"programs", "users", "enrollments", "item_grades"} <= set(lines)
    assert "course_materials" not in lines
    served = {program["id"] for program in standing_sandbox.all("/programs", excludeContent=True)}
    assert {json.loads(line)["id"] for line in lines["programs"]} == served
    assert len(lines["users"]) == len(standing_sandbox.all("/users"))
    secrets = [
        file
        for file in folder.rglob("*")
        if file.is_file() and not file.is_symlink() and standing_sandbox.client_secret.encode() in file.read_bytes()
    ]
    assert secrets == [folder / ".env"]
    assert secrets[0].stat().st_mode & 0o077 == 0


def test_the_definition_in_the_readme_says_what_the_one_for_the_hub_says() -> None:
    shown = yaml.safe_load(blocks(SECTION).split("<<'END'\n")[1].split("\nEND\n")[0])["plugins"]["extractors"][0]
    written = hub.parts(hub.FILE.read_text(encoding="utf-8"))[1]
    settings = {setting["name"]: setting for setting in written["settings"]}
    for setting in shown["settings"]:
        of_hub = settings[setting["name"]]
        assert setting.get("sensitive", False) == of_hub.get("sensitive", False)
        assert setting.get("kind", of_hub["kind"]) == of_hub["kind"]
    assert set(shown["capabilities"]) <= set(written["capabilities"])
    for name in ("namespace", "executable"):
        assert shown[name] == written[name]
    assert [sorted(group) for group in shown["settings_group_validation"]] == written["settings_group_validation"]
