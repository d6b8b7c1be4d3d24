"""What the DAG files need to know of the Meltano project: where it is, its schedules, its settings of connect.

Airflow imports a DAG file twice a minute and once more for each task, while Meltano takes seconds to answer. So the
schedules are kept in a file, and asked for anew only when meltano.yml, .env or the time zone in Airflow's environment
has changed.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter

PROJECT = Path(os.environ.get("MELTANO_PROJECT_ROOT") or Path(__file__).resolve().parents[3])
ENVIRONMENT = os.environ.get("MELTANO_ENVIRONMENT") or "prod"
_KEPT = PROJECT / ".meltano" / "run" / f"airflow-{ENVIRONMENT}.json"
_ZONE = "CONNECT_SCHEDULE_TIME_ZONE"
_SECONDS = 14  # two answers within the 30 that Airflow grants to an import


def meltano(*words: str) -> list[str]:
    """Return a command of Meltano: the project's own one, or where `make setup` has not made it, that of the PATH."""
    own = PROJECT / ".venv" / "bin" / "meltano"
    program = str(own) if own.exists() else shutil.which("meltano") or "meltano"
    return [program, f"--environment={ENVIRONMENT}", *words]


def schedules() -> dict[str, Any]:
    """Return `{"zone": IANA name or "", "crons": {schedule: cron expression, or None for one run by hand}}`.

    Where Meltano cannot read its project, these are the schedules that were last good, and `problem` tells why; without
    such ones it is a RuntimeError.
    """
    seen = [os.environ.get(_ZONE), *map(_stamp, ("meltano.yml", ".env"))]
    kept = _kept()
    if kept.get("seen") == seen and "problem" not in kept:
        return kept
    try:
        found = {"seen": seen, "crons": _crons(), "zone": _zone()}
    except RuntimeError as error:
        if not kept:
            raise
        found = {**kept, "problem": str(error)}
    _keep(found)
    return found


def setting(name: str) -> str:
    """Return a setting of connect by its environment variable: Airflow's, else as Meltano knows it; blank for none."""
    known = os.environ.get(name)
    if known is None:
        plugin, _, key = name.lower().partition("_")
        known = _answer("config", "--unsafe", "print", plugin).get(key)
    return str(known or "")


def problem() -> str | None:
    """Return what was wrong with the project when its schedules were last asked for, if anything."""
    found: str | None = _kept().get("problem")
    return found


def _crons() -> dict[str, str | None]:
    listed = _answer("schedule", "list", "--format=json")["schedules"]
    crons = {entry["name"]: entry["cron_interval"] for kind in ("job", "elt") for entry in listed[kind]}
    for name, cron in crons.items():
        if cron and not croniter.is_valid(cron):
            raise RuntimeError(
                f'The schedule {name} has the interval "{cron}", which cron does not understand: correct it.'
            )
    return crons


def _zone() -> str:
    name = setting(_ZONE)
    try:
        return ZoneInfo(name).key if name else ""
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RuntimeError(f"{name} is no time zone: set {_ZONE} to an IANA name.") from None


def _answer(*words: str) -> dict[str, Any]:
    """What Meltano prints as JSON."""
    try:
        done = subprocess.run(
            meltano("--log-format=plain", "--log-level=error", *words),
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode == 0:
            printed: dict[str, Any] = json.loads(done.stdout)
            return printed
        why = done.stderr.strip()[-1000:]
    except subprocess.TimeoutExpired:
        why = f"no answer within {_SECONDS} seconds"
    except (OSError, ValueError) as error:
        why = str(error)
    raise RuntimeError(
        f"`meltano {shlex.join(words)}` failed in {PROJECT}: {why}\n"
        "Correct that, or MELTANO_PROJECT_ROOT and MELTANO_ENVIRONMENT of Airflow's processes."
    )


def _stamp(name: str) -> list[int] | None:
    path = PROJECT / name
    if not path.exists():
        return None
    state = path.stat()
    return [state.st_mtime_ns, state.st_size]


def _kept() -> dict[str, Any]:
    try:
        found = json.loads(_KEPT.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and "crons" in found else {}


def _keep(found: dict[str, Any]) -> None:
    """Replace the file in one step: several processes of Airflow read it at the same time."""
    _KEPT.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=_KEPT.parent, delete=False) as file:
        json.dump(found, file)
    Path(file.name).replace(_KEPT)
