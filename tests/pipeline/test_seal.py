"""The sandbox is sealed, and environments share nothing but the code, whatever stands in the root `.env`."""

from __future__ import annotations

import json
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from coursera_connect.meltano import processes, project_files
from coursera_connect.setup import environments
from tests.pipeline.conftest import ROOT
from tests.pipeline.meltanos_answer import asked
from tests.pipeline.project import tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.pipeline.project import Project

OTHER = {"integer": "77", "decimal": "7.7", "boolean": "false", "object": '{"a": "b"}', "array": '["nothing"]'}


@pytest.fixture
def told() -> Iterator[tuple[str, list[str]]]:
    """The address of a webhook, and the messages that it received."""
    heard: list[str] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/told", heard
    server.shutdown()
    server.server_close()


def everything(tmp_path: Path, webhook: str) -> dict[str, str]:
    """Every setting of every part, and some of Meltano and PostgreSQL, with another value than the default."""
    found = {}
    for plugin, settings in project_files.defined(ROOT).items():
        for one in settings.values():
            options = [str(option["value"]) for option in one.get("options", [])]
            default = OTHER.get(one.get("kind", ""), str(tmp_path / "elsewhere"))
            found[project_files.variable(one, plugin)] = options[-1] if options else default
    (tmp_path / "lms").mkdir()
    return {
        **found,
        "CONNECT_DELIVERY": str(tmp_path / "lms"),
        "CONNECT_WEBHOOK": webhook,
        "CONNECT_TIME_ZONE": "Asia/Tokyo",
        "MELTANO_ENVIRONMENT": "prod",
        "MELTANO_STATE_BACKEND_URI": "file:///nowhere/state",
        "MELTANO_CLI_LOG_LEVEL": "critical",
        "MELTANO_DATABASE_URI": f"sqlite:///{tmp_path}/other.db",
        "PGHOST": "db.example",
        "PGDATABASE": "college",
        "DBT_TARGET": "postgres",
    }


def write(project: Project, values: dict[str, str]) -> None:
    (project.root / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in values.items()))


def connect(project: Project, *words: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Return the output of the launcher `connect`."""
    command = [str(project.root / ".venv/bin/connect"), *words]
    shell = project.env(**(env or {}))
    return subprocess.run(command, cwd=cwd, env=shell, capture_output=True, text=True, check=True).stdout


def resolved(project: Project) -> dict[str, Any]:
    """Return the settings of the tap by Meltano, the variables of each part by Meltano, and the settings by connect."""
    tap = json.loads(project.meltano("config", "--unsafe", "print", "tap-coursera", "--format=json").stdout)
    parts = asked(project.root, {"sandbox": {}}, project.env())["sandbox"]
    return {
        "tap": tap,
        "connect": json.loads(connect(project, "--environment=sandbox", "settings", "--json")),
        "parts": {
            part: {name: value for name, value in env.items() if name.startswith(processes.OURS) and "UUID" not in name}
            for part, env in parts.items()
        },
    }


@pytest.mark.slow
def test_no_setting_of_any_part_in_the_env_file_of_prod_reaches_the_sandbox(
    project: Project, tmp_path: Path, told: tuple[str, list[str]]
) -> None:
    (project.root / ".env").unlink(missing_ok=True)
    clean = resolved(project)
    values = everything(tmp_path, told[0])
    assert len(values) > 100
    write(project, values)
    assert resolved(project) == clean
    (project.root / ".env").unlink()


@pytest.mark.slow
def test_a_run_of_the_sandbox_is_the_same_with_and_without_everything_in_the_env_file(
    project: Project, tmp_path: Path, told: tuple[str, list[str]]
) -> None:
    (project.root / ".env").unlink(missing_ok=True)
    project.meltano("run", "demo")
    package, rows = project.package.read_bytes(), tables(project)
    project.fresh_warehouse()
    write(project, everything(tmp_path, told[0]))
    mapping = {path: path.read_bytes() for path in (project.root / "environments").rglob("*.csv")}
    project.meltano("run", "demo")
    assert project.package.read_bytes() == package
    assert tables(project) == rows
    assert told[1] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lms"]
    assert list((tmp_path / "lms").iterdir()) == []
    assert {path: path.read_bytes() for path in (project.root / "environments").rglob("*.csv")} == mapping
    refused = project.meltano("run", "demo", environment="prod", check=False)
    assert refused.returncode
    (project.root / ".env").unlink()


@pytest.mark.slow
def test_the_shell_chooses_port_and_size_of_the_sandbox(project: Project) -> None:
    chosen = {"COURSERA_SANDBOX_PORT": "9123", "COURSERA_SANDBOX_LEARNERS": "7"}
    told = json.loads(
        project.meltano("config", "--unsafe", "print", "tap-coursera", "--format=json", check=True, **chosen).stdout
    )
    assert told["api_url"] == "http://127.0.0.1:9123/ent/api"
    college = json.loads(
        project.meltano("config", "print", "coursera-sandbox", "--format=json", check=True, **chosen).stdout
    )
    assert (college["port"], college["learners"]) == (9123, 7)
    shown = json.loads(connect(project, "--environment=sandbox", "settings", "--json", env=chosen))["settings"]
    found = {one["variable"]: (one["value"], one["origin"]) for one in shown}
    assert found["COURSERA_SANDBOX_PORT"] == ("9123", "shell")
    assert found["TAP_COURSERA_API_URL"] == ("http://127.0.0.1:9123/ent/api", "meltano.yml")


def test_two_environments_share_nothing_and_each_is_told_from_any_folder(project: Project, tmp_path: Path) -> None:
    environments.add(project.root, "north")
    write(project, {"TAP_COURSERA_CLIENT_ID": "of-prod", "CONNECT_TIME_ZONE": "Asia/Tokyo"})
    secrets = project.root / "environments/north/secrets.env"
    secrets.write_text("TAP_COURSERA_CLIENT_ID=of-north\n")
    facts = {}
    for name in ("prod", "north"):
        said = json.loads(connect(project, f"--environment={name}", "settings", "--json", cwd=tmp_path))
        facts[name] = {one["variable"]: one for one in said["settings"]}
    assert facts["prod"]["CONNECT_TIME_ZONE"]["value"] == "Asia/Tokyo"
    assert facts["north"]["CONNECT_TIME_ZONE"]["value"] == "UTC"
    assert facts["prod"]["TAP_COURSERA_CLIENT_ID"]["origin"] == ".env"
    assert facts["north"]["TAP_COURSERA_CLIENT_ID"]["origin"] == "environments/north/secrets.env"
    for variable in ("CONNECT_DATABASE", "CONNECT_PACKAGE", "CONNECT_MAPPING", "CONNECT_SCHEDULE_LOGS"):
        values = [facts[name][variable]["value"] for name in ("prod", "north")]
        assert values[0].replace("/prod", "/north") == values[1] != values[0]
    (project.root / ".env").unlink()
