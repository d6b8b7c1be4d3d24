"""The contestants: how each is started for a task, and where its rows end up."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.bench import ours
from tests.bench.environments import PEERS
from tests.bench.pages import snake
from tests.bench.processes import Stage
from tests.bench.server import ORGANISATION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.bench.environments import Environments
    from tests.bench.pages import Kind


@dataclass(frozen=True)
class Task:
    """What a contestant is asked to load, and where to."""

    kind: Kind
    address: str
    """Of the server, with the latency and the number of rows."""
    requests: int
    """That may be in flight."""
    folder: Path
    """For its own files."""
    client_id: str = "bench-client"
    client_secret: str = "bench-secret"
    org_id: str = ORGANISATION

    @property
    def api_url(self) -> str:
        """Where the data API is."""
        return f"{self.address}/ent/api"

    @property
    def auth_url(self) -> str:
        """Where tokens are issued."""
        return f"{self.address}/oauth2/client_credentials/token"

    @property
    def database(self) -> Path:
        """The DuckDB file."""
        return self.folder / "loaded.duckdb"

    def write(self, name: str, content: Mapping[str, Any]) -> str:
        """Write a JSON file among the task's own; its path."""
        path = self.folder / name
        path.write_text(json.dumps(content), encoding="utf-8")
        return str(path)

    def file(self) -> str:
        """The task as the peers' scripts read it."""
        return self.write(
            "task.json",
            {
                "url": f"{self.api_url}/businesses.v1/{self.org_id}/{self.kind.endpoint}",
                "auth_url": self.auth_url,
                "client_id": self.client_id,
                "client_secret": self.client_secret,
                "params": self.kind.params,
                "page_size": self.kind.page_size,
                "requests": self.requests,
                "fields": self.kind.fields,
                "key": self.kind.key,
                "nested": self.kind.nested,
                "outer": self.kind.outer,
                "database": str(self.database),
                "folder": str(self.folder),
            },
        )


@dataclass(frozen=True)
class Contestant:
    """One way from the API into DuckDB."""

    name: str
    about: str
    environments: tuple[str, ...]
    stages: Callable[[Task, Environments], list[Stage]]
    table: Callable[[Kind], str]
    snake: bool = False
    """Whether columns are called `external_id` rather than `externalId`."""
    replaces: bool = False
    """Whether rows that come again replace those that are there."""
    watched: Mapping[str, str] = field(default_factory=dict)
    """Programs that its process starts, with the role each has."""
    project: bool = False
    """Whether it needs a Meltano project."""


def script(name: str, environment: str, *words: str) -> Callable[[Task, Environments], list[Stage]]:
    """A peer's script that takes the task file and more words."""

    def stages(task: Task, environments: Environments) -> list[Stage]:
        python = environments.program(environment, "python")
        return [Stage("script", [python, str(PEERS / name), task.file(), *words])]

    return stages


def _sdk(task: Task, environments: Environments) -> list[Stage]:
    tap = [environments.program("sdk-tap", "python"), str(PEERS / "sdk_tap.py"), "--config", task.file()]
    config = task.write("loader.json", {"path": str(task.database), "default_target_schema": "main"})
    return [
        Stage("tap", tap),
        Stage("loader", [environments.program("sdk-target", "target-duckdb"), "--config", config]),
    ]


def _dlt_table(kind: Kind) -> str:
    if kind.nested is None:
        return "bench.loaded"
    outer = ", ".join(f"gradebook.{snake(name)}" for name in kind.outer)
    return (
        f"(SELECT {outer}, item.* EXCLUDE (_dlt_id) FROM bench.loaded AS gradebook "
        f"JOIN bench.loaded__{snake(kind.nested)} AS item ON item._dlt_parent_id = gradebook._dlt_id)"
    )


def contestants(project: Path) -> dict[str, Contestant]:
    """All of them by name, in the order in which they are listed; `project` is a folder for a Meltano project."""
    found = (
        Contestant(
            "floor",
            "pages to a file, DuckDB reads it; appends",
            ("floor",),
            script("floor.py", "floor"),
            lambda _: "loaded",
        ),
        Contestant(
            "naive",
            "a script with requests, one after the other; appends",
            ("naive",),
            script("naive.py", "naive"),
            lambda _: "loaded",
        ),
        Contestant(
            "sdk",
            "cookiecutter tap into target-duckdb 0.8.0; upserts",
            ("sdk-tap", "sdk-target"),
            _sdk,
            lambda _: "main.loaded",
            replaces=True,
        ),
        Contestant(
            "dlt-append",
            "dlt rest_api, tuned; appends",
            ("dlt",),
            script("dlt_load.py", "dlt", "append"),
            _dlt_table,
            snake=True,
        ),
        Contestant(
            "dlt-merge",
            "dlt rest_api, tuned; merges on the key",
            ("dlt",),
            script("dlt_load.py", "dlt", "merge"),
            _dlt_table,
            snake=True,
            replaces=True,
        ),
        Contestant(
            "dlt-parts",
            "the same with the list cut by hand, to have requests in flight; appends",
            ("dlt",),
            script("dlt_load.py", "dlt", "append", "parts"),
            _dlt_table,
            snake=True,
        ),
        Contestant(
            "ours",
            "tap-coursera into target-duckdb; upserts",
            ("ours",),
            ours.pipe,
            lambda kind: f"{ours.SCHEMA}.{kind.stream}",
            snake=True,
            replaces=True,
        ),
        Contestant(
            "meltano",
            "meltano run tap-coursera target-duckdb; upserts",
            (),
            lambda task, _: ours.meltano(task, project),
            lambda kind: f"{ours.SCHEMA}.{kind.stream}",
            snake=True,
            replaces=True,
            watched={ours.TAP: "tap", ours.LOADER: "loader"},
            project=True,
        ),
    )
    return {one.name: one for one in found}
