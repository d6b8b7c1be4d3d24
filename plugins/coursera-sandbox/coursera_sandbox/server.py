"""The ASGI application: what stands before the data (faults, tokens, organisation), and the routes to it."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route
from typing_extensions import override

from coursera_sandbox import businesses, skills
from coursera_sandbox.errors import ApiError, access_denied, edge, fault, routing, skills_plain
from coursera_sandbox.faults import Fault
from coursera_sandbox.moments import http_date
from coursera_sandbox.paging import Call
from coursera_sandbox.params import ID, Params
from coursera_sandbox.titles import ORGANISATION
from coursera_sandbox.tokens import LIFETIME, ORG_ID, Tokens

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from coursera_sandbox.campus import Campus
    from coursera_sandbox.clock import Clock

    Endpoint = Callable[[Call], dict[str, Any]]

BUSINESSES = "/ent/api/businesses.v1"
SKILLS = "/ent/api/rest/v1/enterprise"
TOKEN_PATH = "/oauth2/client_credentials/token"  # noqa: S105 - a path, not a token
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_HTML = (
    b"<!DOCTYPE html><html><head><title>Just a moment</title></head><body><h1>We will be right back</h1></body></html>"
)
_ACTIONS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Truncated(Response):
    """A response that announces the whole body and sends half of it."""

    @override
    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})


class Dropped(Response):
    """A response that closes the connection without an answer."""

    @override
    async def __call__(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        scope["sandbox.transport"].abort()
        await asyncio.sleep(0.01)  # the server has to notice before we return, else it answers 500


def json_response(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON answer."""
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")


class Sandbox:
    """State of one server: the college, its clock, issued tokens, faults in force, and what was asked so far."""

    def __init__(self, campus: Campus, clock: Clock, faults: list[Fault]) -> None:
        self.campus = campus
        self.clock = clock
        self.faults = faults
        self.tokens = Tokens()
        self.number = 0
        self.last_request = time.monotonic()
        self.routes: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.rows = 0

    def advance(self, milliseconds: int) -> None:
        """Move the simulated clock, and restart the idle time; ValueError as in Clock."""
        now = self.clock.advance(milliseconds)
        if now != self.campus.now:
            self.campus = self.campus.at(now)
        self.touch()

    def reset_counts(self) -> None:
        """Reset the counts of requests, and with them which requests faults strike."""
        self.number = 0
        self.routes.clear()
        self.statuses.clear()
        self.rows = 0

    def touch(self) -> None:
        """Restart the idle time."""
        self.last_request = time.monotonic()

    async def serve(
        self, request: Request, route: str, answer: Callable[[dict[str, Fault]], Awaitable[dict[str, Any]]]
    ) -> Response:
        """One request of the vendor's API: count it, let faults strike it, answer it."""
        self.touch()
        self.number += 1
        self.routes[route] += 1
        try:
            struck = self._struck(request)
            if "latency" in struck:
                await asyncio.sleep(struck["latency"].number("ms", 100) / 1000)
            if "drop" in struck:
                self.statuses["dropped"] += 1
                return Dropped()
            response = _broken(struck) or await self._answer(request, struck, answer)
        except ApiError as error:
            response = json_response(error.body, error.status, error.headers)
        self.statuses[str(response.status_code)] += 1
        response.headers["Date"] = http_date(self.campus.now)
        self.touch()
        return response

    async def _answer(
        self,
        request: Request,
        struck: dict[str, Fault],
        answer: Callable[[dict[str, Fault]], Awaitable[dict[str, Any]]],
    ) -> Response:
        body = await answer(struck)
        elements = body.get("elements") or body.get("enterpriseUserSkillsets") or []
        self.rows += len(elements)
        content = msgspec.json.encode(body)
        if "extra-fields" in struck:
            content = _with_extra_fields(content)
        headers = {
            "ETag": f'W/"{zlib.crc32(content):08x}-{len(content):x}"',
            "Content-Type": "application/json;charset=utf-8",
        }
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        kind = Truncated if "truncate" in struck else Response
        return kind(content, headers=headers)

    def _struck(self, request: Request) -> dict[str, Fault]:
        """Return the faults that strike this request, by name."""
        struck = {}
        header = request.headers.get("x-sandbox-fault")
        try:
            given = [Fault.parse(spec) for spec in header.split(";")] if header else []
        except ValueError as error:
            raise edge(400, f"X-Sandbox-Fault: {error}") from None
        for one in (*given, *self.faults):
            # Which list a page belongs to, and whether it shifted before, is known where pages are cut.
            known_later = one.name == "shifting-rows"
            if known_later or one.strikes(self.campus.world.seed, self.number, request.url.path):
                struck[one.name] = one
        return struck

    def endpoint(self, route: str, answer: Endpoint, layer: str) -> Callable[[Request], Awaitable[Response]]:
        """Return the handler of a data route, which checks method, token, access and organisation."""

        async def data(request: Request, struck: dict[str, Fault]) -> dict[str, Any]:
            authorization = request.headers.get("authorization")
            if "token-revoked" in struck:
                self.tokens.revoke(authorization)
            lifetime = struck["token-expires"].number("seconds", 5) if "token-expires" in struck else LIFETIME
            token = self.tokens.check(authorization, lifetime)
            path = request.url.path.removeprefix("/ent")
            organization = request.path_params.get("orgId", ORG_ID)
            if layer == "skills":
                if not token.may_read or organization != ORG_ID:
                    raise skills_plain(403, "Forbidden", path)
            elif organization == ORGANISATION[1]:
                raise edge(404, "Not Found")
            elif not ID.fullmatch(organization):
                raise edge(400, f"Invalid id {organization}")
            elif not token.may_read or organization != ORG_ID:
                raise access_denied()
            if request.method in _ACTIONS:
                raise (
                    skills_plain(405, "Method Not Allowed", path)
                    if layer == "skills"
                    else routing(405, f"'{_ACTIONS[request.method]}' not implemented")
                )
            params = Params(request.query_params)
            return answer(Call(self.campus, params, request.path_params, struck, str(request.url), self.number))

        async def serve(request: Request) -> Response:
            return await self.serve(request, route, lambda struck: data(request, struck))

        return serve

    async def token(self, request: Request) -> Response:
        """The token endpoint."""
        body = await request.body()

        async def grant(_struck: dict[str, Fault]) -> dict[str, Any]:
            return self.tokens.grant(request.headers.get("authorization"), body)

        return await self.serve(request, "token", grant)

    def application(self, control: list[Route]) -> Starlette:
        """Return the application; `control` are the routes that are not part of the vendor's API."""
        routes = [Route(TOKEN_PATH, self.token, methods=["POST"]), *control]
        for base, layer, endpoints in (
            (f"{BUSINESSES}/{{orgId}}", "naptime", businesses.ROUTES),
            (SKILLS, "skills", skills.ROUTES),
        ):
            for path, answer in endpoints.items():
                name = path.strip("/").replace(":path", "") or "organization"
                routes.append(Route(base + path, self.endpoint(name, answer, layer), methods=_METHODS))

        def lost(_call: Call) -> dict[str, Any]:
            raise edge(404, "Not Found")

        routes.append(Route("/ent/api/{rest:path}", self.endpoint("unknown", lost, "naptime"), methods=_METHODS))
        application = Starlette(routes=routes, exception_handlers={HTTPException: _refused})
        application.router.redirect_slashes = False  # one path, one resource
        return application


def _refused(_request: Request, error: Exception) -> Response:
    """Return the answer of the router if no route fits."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    return json_response(edge(status, "Not Found" if status == 404 else "Method Not Allowed").body, status)  # noqa: PLR2004


def _broken(struck: dict[str, Fault]) -> Response | None:
    """Return the answer of an overloaded gateway or of a crashed service."""
    if "429" in struck:
        one = struck["429"]
        spike = bool(one.number("spike"))
        text = (
            "Spike arrest violation. Allowed rate : 10ps"
            if spike
            else "Rate limit quota violation. Quota limit  exceeded. Identifier : _default"
        )
        raise fault(
            429, text, f"policies.ratelimit.{'SpikeArrestViolation' if spike else 'QuotaViolation'}", _retry_after(one)
        )
    if "500" in struck:
        raise ApiError(500, {"errorCode": None, "message": "Internal server error", "details": None})
    if "502" in struck:
        return Response(_HTML, 502, media_type="text/html")
    if "503" in struck:
        raise ApiError(503, {"message": "Service Unavailable", "statusCode": 503}, _retry_after(struck["503"]))
    if "504" in struck:
        raise fault(504, "Gateway Timeout", "messaging.adaptors.http.flow.GatewayTimeout")
    if "html" in struck:
        return Response(_HTML, media_type="text/html")
    return None


def _retry_after(one: Fault) -> dict[str, str]:
    seconds = one.options.get("retry-after")
    return {} if seconds is None else {"Retry-After": seconds}


def _with_extra_fields(content: bytes) -> bytes:
    """Add members to a body that no client knows."""
    body = msgspec.json.decode(content)
    for element in body.get("elements", []):
        element["sandboxExtra"] = {"nested": [1, None, "x"]}
        element["x-unknown"] = True
    body["sandboxExtra"] = "surprise"
    return msgspec.json.encode(body)
