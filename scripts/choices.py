"""What `connect environment add` writes as settings.yml, and the defaults of dbt's settings as they are shipped.

    .venv/bin/python scripts/choices.py

It is a file, and not made when it is needed, since the move of an older installation has neither YAML nor connect.
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
"""Settings that the project makes of CONNECT_OUTPUT and its own folders."""
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
    """Return the file, with {environment} for the name."""
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
    """Return the defaults of dbt's settings, by which an edited dbt_project.yml is told from ours."""
    dbt = yaml.safe_load((ROOT / "transform/dbt_project.yml").read_text("utf-8"))["vars"]
    return json.dumps(dbt, indent=2) + "\n"


if __name__ == "__main__":
    TEMPLATE.with_name("dbt-vars.json").write_text(shipped(), "utf-8")
    TEMPLATE.write_text(template(), "utf-8")
