"""A platform on this machine: tokens, line items, scores and members, with what Canvas and Moodle refuse.

Run as a process of its own: `python stub.py`. It writes its port, and ends when its standard input does. Everything is
in memory. `POST /control` changes how it behaves, `GET /state` tells what it holds and what it was asked.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt

AGS = "https://purl.imsglobal.org/spec/lti-ags/scope/"
NRPS = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
ITEM, ITEMS = "application/vnd.ims.lis.v2.lineitem+json", "application/vnd.ims.lis.v2.lineitemcontainer+json"
SCORE = "application/vnd.ims.lis.v1.score+json"
MEMBERS = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"
PAGE = 2


@dataclass
class Course:
    """A course; `gradable` are the users that can have scores, None for everybody."""

    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    scores: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    members: list[dict[str, Any]] = field(default_factory=list)
    gradable: list[str] | None = None
    style: str = "moodle"
    forbidden: bool = False
    next_link: str = ""
    """What the Link header of the first page of members leads to instead."""
    log: list[dict[str, Any]] = field(default_factory=list)
    """Every score that was taken, in order."""


class World:
    """What the server holds, and how it behaves."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.public_key, self.client_id = "", ""
        self.tokens: dict[str, set[str]] = {}
        self.assertions: set[str] = set()
        self.courses: dict[str, Course] = {}
        self.trouble: list[dict[str, Any]] = []
        """Answers to give in place of the next ones: status, headers, body; `only` is a part of the request line."""
        self.kill: dict[str, Any] = {}
        """pid, and the place of the request at which to kill it, `before` or `after` the request is done."""
        self.refuse_client = False
        self.expires_in = 3600
        self.requests: list[str] = []
        self.tokens_given = 0
        self.made = 0


WORLD = World()


class RefusedError(Exception):
    """A request is answered with an error."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text)
        self.status, self.text = status, text


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def reply(self, status: int, body: Any = None, kind: str = "application/json", **headers: str) -> None:
        text = body.encode() if isinstance(body, str) else b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(text)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        self.serve()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - names of the base class

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if path in {"/control", "/state"}:
            self.control(json.loads(body or b"{}"))
            return
        with WORLD.lock:
            WORLD.requests.append(f"{self.command} {self.path}")
            line, kill = WORLD.requests[-1], WORLD.kill
            trouble = next((one for one in WORLD.trouble if one.get("only", "") in line), None)
            if trouble is not None:
                WORLD.trouble.remove(trouble)
        dies = kill and len(WORLD.requests) == kill["request"]
        if dies and kill["when"] == "before":
            os.kill(kill["pid"], signal.SIGKILL)
            return
        if trouble is not None and not trouble.get("after"):
            if trouble["status"]:
                self.reply(trouble["status"], trouble.get("body", ""), **trouble.get("headers", {}))
            else:
                self.close_connection = True
            return
        try:
            with WORLD.lock:
                answer = self.token(body) if path == "/token" else self.service(path, query, body)
        except RefusedError as error:
            answer = (error.status, {"error": error.text}, {})
        if dies:
            os.kill(kill["pid"], signal.SIGKILL)
            return
        if trouble is not None:  # it was done, and nobody is told
            self.close_connection = True
            if trouble["status"]:
                self.reply(trouble["status"], "")
            return
        self.reply(answer[0], answer[1], **answer[2])

    def control(self, change: dict[str, Any]) -> None:
        with WORLD.lock:
            for name, value in change.items():
                if name == "course":
                    course = WORLD.courses.setdefault(value.pop("id"), Course())
                    for key, one in value.items():
                        setattr(course, key, one)
                elif name == "revoke":
                    WORLD.tokens.clear()
                else:
                    setattr(WORLD, name, value)
            state = {
                "requests": WORLD.requests,
                "tokens_given": WORLD.tokens_given,
                "courses": {
                    key: {"items": list(one.items.values()), "scores": list(one.scores.values()), "log": one.log}
                    for key, one in WORLD.courses.items()
                },
            }
            self.reply(200, state)

    # Tokens

    def token(self, body: bytes) -> tuple[int, Any, dict[str, str]]:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        address = f"http://{self.headers['Host']}/token"
        if form.get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
            raise RefusedError(400, "unsupported")
        try:
            if jwt.get_unverified_header(form["client_assertion"]).get("kid") != "key-1":
                raise RefusedError(400, "unknown key")
            claims = jwt.decode(
                form["client_assertion"],
                WORLD.public_key,
                algorithms=["RS256"],
                audience=address,
                options={"require": ["iss", "sub", "aud", "iat", "exp", "jti"]},
            )
        except jwt.PyJWTError as error:
            raise RefusedError(400, "invalid_client") from error
        fresh = claims["jti"] not in WORLD.assertions and claims["exp"] - claims["iat"] <= 3600
        if claims["iss"] != WORLD.client_id or claims["sub"] != WORLD.client_id or not fresh or WORLD.refuse_client:
            raise RefusedError(401, "invalid_client")
        WORLD.assertions.add(claims["jti"])
        WORLD.tokens_given += 1
        token = f"secret-token-{WORLD.tokens_given}"
        WORLD.tokens[token] = set(form["scope"].split())
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": WORLD.expires_in}, {}

    def need(self, *scopes: str) -> None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in WORLD.tokens:
            raise RefusedError(401, "expired")
        if not WORLD.tokens[token] & set(scopes):
            raise RefusedError(403, "scope")

    # Services

    def service(  # noqa: C901 - one branch per service
        self, path: str, query: dict[str, list[str]], body: bytes
    ) -> tuple[int, Any, dict[str, str]]:
        match = re.fullmatch(r"/c/([\w.-]+)/(members|items)(?:/(\d+)/item(/scores)?)?", path)
        if not match or match[1] not in WORLD.courses:
            raise RefusedError(404)
        course = WORLD.courses[match[1]]
        if course.forbidden:
            raise RefusedError(403, "forbidden")
        if match[2] == "members":
            self.need(NRPS)
            return self.page(course.members, query, MEMBERS, lambda page: {"members": page}, course.next_link)
        if course.style == "moodle" and query.get("type_id") != ["7"]:
            raise RefusedError(404, "type_id is missing")
        if match[4]:
            self.need(f"{AGS}score")
            return self.score(course, match[3], body)
        if self.command == "GET":
            self.need(f"{AGS}lineitem", f"{AGS}lineitem.readonly")
            items = [one for one in course.items.values() if one.get("tag") in query.get("tag", [one.get("tag")])]
            return self.page(items, query, ITEMS, lambda page: page)
        self.need(f"{AGS}lineitem")
        if self.command == "DELETE":
            course.items.pop(match[3])
            return 204, None, {}
        if self.headers["Content-Type"] != ITEM:
            raise RefusedError(415)
        given = json.loads(body)
        if not given.get("label") or not given.get("scoreMaximum", 0) > 0 or given["label"] == "refuse me":
            raise RefusedError(400, "label and scoreMaximum are needed")
        if match[3]:
            if match[3] not in course.items:
                raise RefusedError(404)
            course.items[match[3]].update(given)
            return 200, course.items[match[3]], {}
        WORLD.made += 1
        key = str(WORLD.made)
        end = "?type_id=7" if course.style == "moodle" else ""
        course.items[key] = {"id": f"http://{self.headers['Host']}{path}/{key}/item{end}", **given}
        return 201, course.items[key], {}

    def page(
        self, rows: list[Any], query: dict[str, list[str]], kind: str, shape: Any, next_link: str = ""
    ) -> tuple[int, Any, dict[str, str]]:
        if self.headers["Accept"] != kind:
            raise RefusedError(406)
        number = int(query.get("page", ["1"])[0])
        more = ""
        if number * PAGE < len(rows):
            parts = urlsplit(self.path)
            kept = "&".join(f"{name}={value}" for name, (value,) in query.items() if name != "page")
            more = f"http://{self.headers['Host']}{parts.path}?{kept}&page={number + 1}"
        more = next_link or more
        headers = {"Link": f'<{more}>; rel="next"'} if more else {}
        return 200, shape(rows[(number - 1) * PAGE : number * PAGE]), headers

    def score(self, course: Course, item: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        if self.headers["Content-Type"] != SCORE:
            raise RefusedError(415)
        if item not in course.items:
            raise RefusedError(404)
        given = json.loads(body)
        user, moment = given["userId"], datetime.fromisoformat(given["timestamp"].replace("Z", "+00:00"))
        if course.gradable is not None and user not in course.gradable:
            raise RefusedError(422 if course.style == "canvas" else 400, "the user cannot be graded")
        before = course.scores.get((item, user))
        if before is not None:
            held = datetime.fromisoformat(before["timestamp"].replace("Z", "+00:00"))
            if course.style == "moodle" and int(moment.timestamp()) <= int(held.timestamp()):
                raise RefusedError(409, "refusing score with an older timestamp")
            if course.style == "canvas" and moment <= held:
                raise RefusedError(400, "timestamp must be later than the last one")
        if given["gradingProgress"] != "FullyGraded":
            given["scoreGiven"] = None
        course.scores[item, user] = given | {"item": course.items[item]["resourceId"]}
        course.log.append(course.scores[item, user])
        return 200, {}, {}


def main() -> None:
    """Serve until standard input ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)  # noqa: T201 - for the test that started it
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
