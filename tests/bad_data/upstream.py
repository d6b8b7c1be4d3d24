"""Serves a college as the API does, with a Date header of its own; some rows may be replaced by other JSON."""

from __future__ import annotations

import json
import threading
import time
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.bad_data.college import ORG

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.bad_data.college import College, Row

    Alter = Callable[[Any], list[str]]
    """From a row to the JSON texts that are served in its place: none, one or several."""

OF_PROGRAM = {
    "memberships": "program_memberships",
    "invitations": "program_invitations",
    "curriculumCollections": "curriculum_collections",
}
REPORTS = {"enrollmentReports": "enrollments", "courseGradebookReports": "course_grades"}


class Upstream:
    """The API on this machine; `show` has it serve a college from now on, until `stop`."""

    def __init__(self, batches: Path | None = None) -> None:
        """Start the server; the tap writes batch files into the folder `batches`, or records if that is None."""
        self.college: College
        self._batches = batches
        self._texts: dict[str, list[tuple[Row, list[str]]]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def show(self, college: College, altered: Mapping[tuple[str, str], Alter] | None = None) -> None:
        """Serve a college; `altered` has JSON texts, none or several, that replace rows, by list and key."""
        alter = altered or {}
        self.college = college
        plain: Alter = lambda value: [json.dumps(value)]  # noqa: E731
        self._texts = {
            name: [(row, alter.get((name, row.key), plain)(row.value)) for row in rows]
            for name, rows in college.rows.items()
        }

    @property
    def config(self) -> dict[str, Any]:
        """Return the settings with which the tap reads this server."""
        base = f"http://127.0.0.1:{self._server.server_port}"
        by_file = {"encoding": {"format": "jsonl"}, "storage": {"root": str(self._batches)}}
        return {
            "client_id": "id",
            "client_secret": "secret",
            "org_id": ORG,
            "api_url": f"{base}/api",
            "auth_url": f"{base}/token",
            "emit_activate_version_messages": True,
            **({"batch_config": by_file} if self._batches else {}),
        }

    def stop(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, asked: dict[str, str]) -> str:
        """The body of a 200 answer."""
        if path == "/token":
            return json.dumps({"access_token": "t", "expires_in": 1799, "issued_at": int(time.time())})
        if "/rest/v1/enterprise/" in path:
            return self._skills(path.rsplit("/", 1)[-1], asked)
        parts = path.split("/businesses.v1/", 1)[1].split("/")[1:]
        texts = self._listed(parts, asked)
        start, limit = int(asked.get("start", 0)), int(asked.get("limit", 1000))
        following = f', "next": "{start + limit}"' if start + limit < len(texts) else ""
        shown = ", ".join(texts[start : start + limit])
        return f'{{"elements": [{shown}], "paging": {{"total": {len(texts)}{following}}}}}'

    def _listed(self, parts: list[str], asked: dict[str, str]) -> list[str]:
        name, wanted = parts[-1] if parts else "organizations", asked.get("ids", "").split(",")
        match parts:
            case ["programs"]:
                shown = "programs" if asked.get("excludeContent") == "true" else "program_contents"
                return self._some(shown, lambda row: wanted == [""] or row.program in wanted)
            case ["contents"]:
                return self._some(name, lambda row: row.times[0] >= int(asked.get("modifiedSinceTimestamp", 0)))
            case ["programs", program, "courseMaterials", course]:
                return self._some("course_materials", lambda row: (row.program, row.course) == (program, course))
            case ["programs", program, _]:
                return self._some(OF_PROGRAM[name], lambda row: row.program == program)
        return self._some(REPORTS.get(name, name), lambda row: _finds(row, asked))

    def _some(self, name: str, wanted: Callable[[Row], bool] = lambda _row: True) -> list[str]:
        return [text for row, texts in self._texts.get(name, []) if wanted(row) for text in texts]

    def _skills(self, name: str, asked: dict[str, str]) -> str:
        after = int(asked.get("latestProgressMadeAfter", 0)) * 1000
        stream, holder = (
            ("skillsets", "elements") if name == "skillsets" else ("skillset_progress", "enterpriseUserSkillsets")
        )
        texts = self._some(stream, lambda row: not after or row.times[0] > after)
        start, limit = int(asked.get("offset", 0)), int(asked.get("limit", 1000))
        following = str(start + limit) if start + limit < len(texts) else ""
        shown = ", ".join(texts[start : start + limit])
        return f'{{"{holder}": [{shown}], "pagination": {{"total": {len(texts)}, "nextPage": "{following}"}}}}'


def _finds(row: Row, asked: dict[str, str]) -> bool:
    active, enrolled, completed = row.times
    learner = asked.get("emailOrExternalId", asked.get("externalId"))
    return (
        asked.get("programId", row.program) == row.program
        and asked.get("courseId", row.course) == row.course
        and learner in {None, f"sso{row.learner}", f"{row.learner.lower()}@mail.example"}
        and active > int(asked.get("lastActivityAfter", -1))
        and enrolled >= int(asked.get("enrollAtAfter", 0))
        and completed >= int(asked.get("completedAtAfter", 0))
    )


def _handler(upstream: Upstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(address.query).items()}
            self._send(upstream.answer(address.path, asked))

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._send(upstream.answer("/token", {}))

        def _send(self, body: str) -> None:
            content = body.encode()
            self.send_response_only(200)
            self.send_header("Date", format_datetime(upstream.college.now, usegmt=True))
            self.send_header("Content-Type", "application/json;charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_words: Any) -> None:
            """Log nothing."""

    return Handler
