"""The definitions of optional warehouses, and their pages."""

from __future__ import annotations

import re

import pytest

from tests.package.commands import ROOT
from tests.warehouses.project import definition

WAREHOUSES = ("snowflake", "bigquery")
SECRET = re.compile(r"password|passphrase|private_key$|token|credentials_json")


@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_the_page_lists_exactly_the_settings_of_the_definition(warehouse: str) -> None:
    page = (ROOT / f"docs/{warehouse}.md").read_text("utf-8")
    section = page.split("\n## Settings\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| `")]
    listed = {name: default.strip(" `") for names, default in rows for name in re.findall(r"`(\w+)`", names)}
    settings = {setting["name"]: setting for setting in definition(warehouse)["settings"]}
    assert listed.keys() == settings.keys()
    for name, setting in settings.items():
        if "value" in setting:
            assert listed[name] == str(setting["value"]).replace("True", "true").replace("False", "false")


@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_secrets_are_marked_and_packages_pinned(warehouse: str) -> None:
    loader = definition(warehouse)
    secret = {setting["name"] for setting in loader["settings"] if SECRET.search(setting["name"])}
    assert secret == {setting["name"] for setting in loader["settings"] if setting.get("sensitive")}
    assert all(re.search(r"==|<", package) for package in loader["pip_url"].split())
    assert {"namespace", "executable"} <= loader.keys(), "or Meltano would ask its hub"
