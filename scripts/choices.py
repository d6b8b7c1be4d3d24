"""Writes the template of settings.yml for `connect environment add`, and the shipped defaults of dbt's settings.

    .venv/bin/python scripts/choices.py

The template is a file, since the move of an older installation runs without a YAML library and without connect.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "plugins/connect/coursera_connect/environments/settings.yml"
PLUGINS = {
    "extractors": ("tap-coursera",),
    "loaders": ("target-warehouse",),
    "utilities": ("dbt", "connect"),
}
OF_THE_PROJECT = {
    *("project_dir", "profiles_dir", "duckdb_path", "filepath"),
    *("database", "warehouse", "package", "mapping", "transform", "schedule_logs"),
}
"""The settings that the project derives from CONNECT_OUTPUT and its own folders."""
_HEAD = """\
# Every choice of the environment {environment} that is no secret. Take the # off a line and write your value after the
# colon, or let `connect settings set NAME VALUE` do both. A value here counts unless .env, the shell or the command
# line says otherwise; `connect settings` shows each with origin and default. Secrets belong in secrets.env beside this
# file (for prod also in the root .env), mapping files in the folder mapping. Git ignores the whole folder: it may be a
# repository of your own.
environments:
  - name: {environment}
    env:
      CONNECT_OUTPUT: $MELTANO_PROJECT_ROOT/output/{environment}
    config:
      plugins:
"""


def template() -> str:
    """Return the template, with {environment} for the name."""
    content = yaml.safe_load((ROOT / "meltano.yml").read_text("utf-8"))
    entries = {one["name"]: one for kind in content["plugins"].values() for one in kind}
    dbt = yaml.safe_load((ROOT / "transform/dbt_project.yml").read_text("utf-8"))["vars"]
    text = _HEAD
    for kind, names in PLUGINS.items():
        text += f"        {kind}:\n"
        for name in names:
            entry = entries[name]
            settings = entries[entry.get("inherit_from", name)]["settings"]
            text += f"          - name: {name}\n            config:\n"
            for one in settings:
                if not one.get("sensitive") and one["name"] not in OF_THE_PROJECT:
                    text += _commented(one, dbt if name == "dbt" else {})
    return text


def _commented(one: dict[str, Any], defaults: dict[str, Any]) -> str:
    value = one.get("value", defaults.get(one["name"]))
    allowed = ", ".join(str(option["value"]) for option in one.get("options", []))
    meaning = one["description"] + (f" ({allowed})" if allowed else "")
    shown = "" if value is None else f" {json.dumps(value)}"
    lines = textwrap.wrap(meaning, 110)
    return "".join(f"              # {line}\n" for line in lines) + f"              # {one['name']}:{shown}\n"


def shipped() -> str:
    """Return the shipped defaults of dbt's settings, which show what was edited in a dbt_project.yml."""
    dbt = yaml.safe_load((ROOT / "transform/dbt_project.yml").read_text("utf-8"))["vars"]
    return json.dumps(dbt, indent=2) + "\n"


if __name__ == "__main__":
    TEMPLATE.with_name("dbt-vars.json").write_text(shipped(), "utf-8")
    TEMPLATE.write_text(template(), "utf-8")
