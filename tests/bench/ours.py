"""Tap and loader as this project's `meltano.yml` has them: in a shell's pipe, and under `meltano run`.

The settings of both are read from that file, so the benchmark measures what users run.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.bench.environments import ROOT
from tests.bench.processes import Stage, clean_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.contestants import Task
    from tests.bench.environments import Environments

TAP, LOADER = "tap-coursera", "target-duckdb"
SCHEMA = "coursera"
_BATCHES = "batch_config"


@cache
def _definition(kind: str, name: str) -> dict[str, Any]:
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    return dict(next(plugin for plugin in project["plugins"][kind] if plugin["name"] == name))


def _values(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings to which the project gives a value, without those that name files and folders."""
    own = {one["name"]: one["value"] for one in definition["settings"] if "value" in one}
    return {name: value for name, value in (own | definition.get("config", {})).items() if "$" not in json.dumps(value)}


def _tap_settings(task: Task) -> dict[str, Any]:
    return {
        "client_id": task.client_id,
        "client_secret": task.client_secret,
        "org_id": task.org_id,
        "api_url": task.api_url,
        "auth_url": task.auth_url,
        "page_size": task.kind.page_size,
        "max_parallel_requests": task.requests,
    }


# In a pipe


def pipe(task: Task, environments: Environments) -> list[Stage]:
    """`tap-coursera | target-duckdb`."""
    settings = {**_values(_definition("extractors", TAP)), **_tap_settings(task)}
    settings.pop(_BATCHES, None)
    tap_config = task.write("tap.json", settings)
    catalog = task.write("catalog.json", _catalog(environments.program("ours", TAP), tap_config, task.kind.stream))
    loader = _values(_definition("loaders", LOADER)) | {"filepath": str(task.database), "default_target_schema": SCHEMA}
    loader_config = task.write("loader.json", loader)
    return [
        Stage("tap", [environments.program("ours", TAP), "--config", tap_config, "--catalog", catalog]),
        Stage("loader", [environments.program("ours", LOADER), "--config", loader_config]),
    ]


@cache
def _discovered(tap: str, config: str) -> str:
    command = [tap, "--config", config, "--discover"]
    return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True).stdout


def _catalog(tap: str, config: str, stream: str) -> dict[str, Any]:
    """The catalog that Meltano would make of `select: [<stream>.*]`."""
    catalog: dict[str, Any] = json.loads(_discovered(tap, config))
    for entry in catalog["streams"]:
        for part in entry["metadata"]:
            if not part["breadcrumb"]:
                part["metadata"]["selected"] = entry["tap_stream_id"] == stream
    return catalog


# Under Meltano


def prepare_project(folder: Path) -> None:
    """Write and install a project with the tap and the loader of this one.

    Raises:
        subprocess.CalledProcessError: when Meltano cannot install them.
    """
    plugins = {}
    for kind, name in (("extractors", TAP), ("loaders", LOADER)):
        definition = _definition(kind, name)
        path = ROOT / definition["pip_url"].removeprefix("-e ")
        plugins[kind] = [definition | {"pip_url": f"-e {shlex.quote(str(path))}"}]
    project = {
        "project_id": "5d3f7c0e-6a0b-4a3e-9d57-3b9a0f0c5c12",
        "send_anonymous_usage_stats": False,
        "default_environment": "bench",
        "environments": [{"name": "bench"}],
        "plugins": plugins,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "meltano.yml").write_text(yaml.safe_dump(project, sort_keys=False), encoding="utf-8")
    subprocess.run(
        [_meltano(), "--log-level=warning", "install"],
        cwd=folder,
        env={**clean_environment(), "UV_PYTHON_DOWNLOADS": "never"},
        check=True,
    )


def meltano(task: Task, project: Path) -> list[Stage]:
    """`meltano run tap-coursera target-duckdb`."""
    env = {f"TAP_COURSERA_{name.upper()}": str(value) for name, value in _tap_settings(task).items()}
    env |= {
        "TAP_COURSERA__SELECT": json.dumps([f"{task.kind.stream}.*"]),
        "TARGET_DUCKDB_FILEPATH": str(task.database),
        "TARGET_DUCKDB_DEFAULT_TARGET_SCHEMA": SCHEMA,
        "CONNECT_OUTPUT": str(task.folder),
    }
    command = [_meltano(), "--log-level=warning", "run", "--full-refresh", "--no-state-update", TAP, LOADER]
    return [Stage("meltano", command, env, project)]


def meltano_version() -> dict[str, str]:
    """What Meltano runs here."""
    return {"meltano": metadata.version("meltano")}


def _meltano() -> str:
    return str(Path(sys.executable).with_name("meltano"))
