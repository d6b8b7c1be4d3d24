"""What the DAG files need to know of the Meltano project: where it is, its schedules, its settings of connect.

Airflow imports a DAG file twice a minute and once more for each task, while Meltano takes seconds to answer. So the
schedules are kept in a file, and asked for anew only when meltano.yml, .env or the time zone in Airflow's environment
has changed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter

PROJECT = Path(os.environ.get("MELTANO_PROJECT_ROOT") or Path(__file__).resolve().parents[3])
ENVIRONMENT = os.environ.get("MELTANO_ENVIRONMENT") or "prod"
_KEPT = PROJECT / ".meltano" / "run" / f"airflow-{ENVIRONMENT}.json"
_ZONE = "CONNECT_SCHEDULE_TIME_ZONE"
_LMS_ZONE = "CONNECT_LMS_TIME_ZONE"
_BY_HAND = {"@once", "@manual", "@none"}
_SECONDS = 14  # two answers within the 30 that Airflow grants to an import


def meltano(*words: str) -> list[str]:
    """Return a command of Meltano: the project's own one, or where `make setup` has not made it, that of the PATH."""
    own = PROJECT / ".venv" / "bin" / "meltano"
    program = str(own) if own.exists() else shutil.which("meltano") or "meltano"
    return [program, f"--environment={ENVIRONMENT}", *words]


def schedules() -> dict[str, Any]:
    """Return `{"zone": IANA name, "crons": {schedule: cron expression, or None for one run by hand}}`.

    Where Meltano cannot read its project, these are the schedules that were last good, and `problem` tells why; without
    such ones it is a RuntimeError.
    """
    chosen = sorted(
        (name, value) for name, value in os.environ.items() if name.startswith(("CONNECT_SCHEDULE_", _LMS_ZONE))
    )
    places = (
        "meltano.yml",
        ".env",
        *(f"environments/{ENVIRONMENT}/{name}" for name in ("settings.yml", "secrets.env")),
    )
    seen = [[list(pair) for pair in chosen], *map(_stamp, places)]
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
        known = _known().get(name.lower().removeprefix("connect_"))
    return str(known or "")


@cache
def _known() -> dict[str, Any]:
    """The settings of connect, as Meltano knows them: once in a process, since that takes seconds."""
    return _answer("config", "--unsafe", "print", "connect")


def problem() -> str | None:
    """Return what was wrong with the project when its schedules were last asked for, if anything."""
    found: str | None = _kept().get("problem")
    return found


def _crons() -> dict[str, str | None]:
    listed = _answer("schedule", "list", "--format=json")["schedules"]
    crons = {entry["name"]: entry["cron_interval"] for kind in ("job", "elt") for entry in listed[kind]}
    for name in crons:
        if chosen := setting(f"CONNECT_SCHEDULE_{re.sub(r'[^a-z0-9]+', '_', name.lower()).upper()}"):
            crons[name] = None if chosen in _BY_HAND else chosen
    for name, cron in crons.items():
        if cron and not croniter.is_valid(cron):
            raise RuntimeError(
                f'The schedule {name} has the interval "{cron}", which cron does not understand: correct it.'
            )
    return crons


def _zone() -> str:
    name = setting(_ZONE) or setting(_LMS_ZONE) or "UTC"
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RuntimeError(f"{name} is no time zone: set {_ZONE}, or {_LMS_ZONE}, to an IANA name.") from None


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
