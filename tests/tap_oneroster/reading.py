"""Runs the tap in the process of the test, and gives back what it sent."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tap_oneroster.tap import TapOneRoster
from tests.oneroster_csv.packages import Package

if TYPE_CHECKING:
    from pathlib import Path


CORE = ("academicSessions", "categories", "classes", "courses", "enrollments", "lineItems", "orgs", "results", "users")


def core(version: str = "1.1", mode: str = "bulk", *, only: tuple[str, ...] = CORE) -> Package:
    """A package with few files, which is checked in half the time."""
    package = Package(version, mode)
    needed = {*only, *(("roles", "userProfiles") if version == "1.2" else ())}
    package.absent(*(file for file in package.rows if file not in needed))
    return package


@dataclass
class Sent:
    """The messages of a run."""

    text: str
    messages: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.messages = [json.loads(line, parse_float=Decimal) for line in self.text.splitlines()]

    def records(self, stream: str) -> list[dict[str, Any]]:
        return [m["record"] for m in self.messages if m["type"] == "RECORD" and m["stream"] == stream]

    def kinds(self, stream: str) -> list[str]:
        """The types of the messages of a stream in order, each run of the same type once."""
        kinds = [m["type"] for m in self.messages if m.get("stream") == stream]
        return [kind for place, kind in enumerate(kinds) if not place or kinds[place - 1] != kind]

    @property
    def rows(self) -> int:
        return sum(m["type"] == "RECORD" for m in self.messages)

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = [m for m in self.messages if m["type"] == "STATE"][-1]["value"]
        return found


def read(path: Path, state: dict[str, Any] | None = None, **config: Any) -> Sent:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with redirect_stdout(out):
        TapOneRoster(config={"path": str(path), **config}, state=state).sync_all()
    out.seek(0)
    return Sent(out.read())
