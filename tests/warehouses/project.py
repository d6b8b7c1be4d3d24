"""This project with a warehouse's definition included, as its page says, and the loader that Meltano installs of it."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from coursera_connect.setup import environments
from tests.package.commands import ROOT, environment, install, run

MELTANO = Path(sys.executable).with_name("meltano")
Json = dict[str, Any]


def definition(warehouse: str) -> Json:
    """Return the definition of the loader in `plugins/<warehouse>.meltano.yml`."""
    found: Json = yaml.safe_load((ROOT / f"plugins/{warehouse}.meltano.yml").read_text("utf-8"))
    (loader,) = found["plugins"]["loaders"]
    return dict(loader)


@dataclass(frozen=True)
class Project:
    """A folder with meltano.yml and the definition in it."""

    folder: Path
    loader: str

    @property
    def commands(self) -> Path:
        """Return the folder with the commands of the installed loader."""
        return self.folder / ".meltano/loaders" / self.loader / "venv/bin"

    def meltano(self, *words: str, **more: str) -> str:
        return run(
            MELTANO, "--environment=prod", "--log-level=error", *words, env=_environment(**more), cwd=self.folder
        )

    def config(self, plugin: str, **more: str) -> Json:
        """Return the settings that Meltano would pass to a plugin, secrets masked."""
        found: Json = json.loads(self.meltano("config", "print", plugin, "--format=json", **more))
        return found

    def about(self) -> Json:
        """Return the output of the loader's `--about`."""
        said: Json = json.loads(run(self.commands / self.loader, "--about", "--format=json", env=_environment()))
        return said


def installed(folder: Path, warehouse: str) -> Project:
    """Copy a definition beside the environments, as its page shows, and let Meltano install it."""
    project = Project(folder, definition(warehouse)["name"])
    environments.add(folder, "prod")
    shutil.copy(ROOT / f"plugins/{warehouse}.meltano.yml", folder / "environments")
    assert f"cp plugins/{warehouse}.meltano.yml environments/\n" in (ROOT / f"docs/{warehouse}.md").read_text("utf-8")
    shutil.copy(ROOT / "meltano.yml", folder)
    command = (MELTANO, "--environment=prod", "--log-level=error", "install", "loader", project.loader)
    install(*command, env=_environment(), cwd=folder)
    return project


def _environment(**more: str) -> dict[str, str]:
    kept = environment(**more)
    return {
        name: value for name, value in kept.items() if name in more or not name.startswith(("MELTANO_", "CONNECT_"))
    }
