"""The stub platform as a test sees it, the messages of a tap, and runs of the target against it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from target_lti_ags.target import TAG, TargetLTIAGS

STUB = Path(__file__).with_name("stub.py")
SCHEMAS = {
    "line_items": ("id", "class_id", "label", "score_maximum", "is_total", "deleted"),
    "scores": (
        *("id", "line_item_id", "person_id", "email", "username", "identifiers", "section", "score"),
        *("score_maximum", "comment", "is_final", "changed_at", "deleted"),
    ),
}


class Lms:
    """A platform in a process of its own, which ends with its standard input."""

    def __init__(self, key_file: Path, public_key: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, STUB], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        self.key_file = key_file
        self.control(public_key=public_key, client_id="tool-1")

    def stop(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def control(self, **change: Any) -> dict[str, Any]:
        answer = requests.post(f"{self.url}/control", json=change, timeout=10)
        found: dict[str, Any] = answer.json()
        return found

    def asked(self, part: str = "") -> int:
        return sum(part in one for one in self.control()["requests"])

    def course(self, name: str, people: int = 4, **settings: Any) -> Course:
        """Make a course with members p0, p1, ... whose user ids are u0, u1, ..."""
        members: list[dict[str, Any]] = [
            {"user_id": f"u{i}", "status": "Active", "email": f"P{i}@Example.org", "name": "Quackenbush"}
            for i in range(people)
        ]
        gradable = [member["user_id"] for member in members]
        self.control(course={"id": name, "members": members, "gradable": gradable, **settings})
        return Course(self, name, settings.get("style", "moodle"))


@dataclass(frozen=True)
class Course:
    """A course of the platform."""

    lms: Lms
    name: str
    style: str

    def entry(self, class_id: str = "k1", **more: Any) -> dict[str, Any]:
        base = f"{self.lms.url}/c/{self.name}"
        query = "?type_id=7" if self.style == "moodle" else ""
        return {
            "class": class_id,
            "lineitems_url": f"{base}/items{query}",
            "memberships_url": f"{base}/members",
            **more,
        }

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.lms.control()["courses"][self.name]
        return found

    @property
    def gradebook(self) -> dict[tuple[str, str], float]:
        """The scores by line item and user."""
        return {(one["item"], one["userId"]): one["scoreGiven"] for one in self.state["scores"]}

    @property
    def log(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.state["log"]
        return found


def item(key: str, label: str = "Quiz", most: float = 100, class_id: str = "k1", **more: Any) -> dict[str, Any]:
    return {"id": key, "class_id": class_id, "label": label, "score_maximum": most, "is_total": False, **more}


def score(person: int, value: float, line_item: str = "i1", **more: Any) -> dict[str, Any]:
    return {
        "id": f"{line_item}.{person}",
        "line_item_id": line_item,
        "person_id": f"p{person}",
        "email": f"p{person}@example.org",
        "score": value,
        "is_final": True,
        **more,
    }


def messages(items: list[dict[str, Any]], scores: list[dict[str, Any]], version: int | None = 1) -> str:
    """What a tap sends that has these rows and no others."""
    lines: list[dict[str, Any]] = []
    for stream, rows in (("line_items", items), ("scores", scores)):
        schema = {"type": "object", "properties": {name: {} for name in SCHEMAS[stream]}}
        lines.append({"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": ["id"]})
        lines += [{"type": "RECORD", "stream": stream, "record": row, "version": version} for row in rows]
        if version is not None:
            lines.append({"type": "ACTIVATE_VERSION", "stream": stream, "version": version})
    lines.append({"type": "STATE", "value": {"read": version}})
    return "".join(json.dumps(line) + "\n" for line in lines)


@dataclass
class Push:
    """A configured target."""

    lms: Lms
    folder: Path
    courses: list[dict[str, Any]]
    settings: dict[str, Any] = field(default_factory=dict)
    version: int = 0

    @property
    def config(self) -> dict[str, Any]:
        return {
            "issuer": self.lms.url,
            "client_id": "tool-1",
            "deployment_id": "1",
            "token_url": f"{self.lms.url}/token",
            "private_key_file": str(self.lms.key_file),
            "key_id": "key-1",
            "courses": self.courses,
            "ledger": str(self.folder / "ledger.sqlite"),
            "findings_file": str(self.folder / "findings.jsonl"),
            "max_requests_per_second": 1000,
            **self.settings,
        }

    def run(self, items: list[dict[str, Any]], scores: list[dict[str, Any]]) -> None:
        """Run the target in the process of the test."""
        self.version += 1
        self.feed(messages(items, scores, self.version))

    def feed(self, text: str = "") -> None:
        TargetLTIAGS(config=self.config).listen(io.StringIO(text))

    def command(self, text: str, kill: tuple[int, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run the command; the platform kills it at a request, before or after the request is done."""
        file = self.folder / "config.json"
        file.write_text(json.dumps(self.config))
        started = [sys.executable, "-m", "target_lti_ags", f"--config={file}"]
        pipe = subprocess.PIPE
        process = subprocess.Popen(started, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        if kill:
            at = len(self.lms.control()["requests"]) + kill[0]
            self.lms.control(kill={"pid": process.pid, "request": at, "when": kill[1]})
        out, err = process.communicate(text, timeout=120)
        self.lms.control(kill={})
        return subprocess.CompletedProcess(started, process.returncode, out, err)

    @property
    def found(self) -> list[tuple[str, str]]:
        """The kinds of the findings of the last run, with their people."""
        return [(one["kind"], one["person_id"]) for one in self.lines("finding")]

    def lines(self, kind: str) -> list[dict[str, Any]]:
        lines = map(json.loads, (self.folder / "findings.jsonl").read_text().splitlines())
        return [line for line in lines if line["type"] == kind]

    def counts(self, name: str) -> int:
        return sum(line.get(name, 0) for line in self.lines("course"))


__all__ = ["TAG", "Course", "Lms", "Push", "item", "messages", "score"]
