"""Control endpoints below `/_sandbox/`: no part of the vendor's API, no authorisation, for tests and demonstrations."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.routing import Route

from coursera_sandbox import __version__
from coursera_sandbox.faults import Fault
from coursera_sandbox.moments import DAY, HOUR, iso
from coursera_sandbox.server import Sandbox, json_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def routes(sandbox: Sandbox) -> list[Route]:
    """All control endpoints of one server."""

    def status() -> dict[str, Any]:
        campus = sandbox.campus
        return {
            "name": "coursera-sandbox",
            "version": __version__,
            "pid": os.getpid(),
            "seed": campus.world.seed,
            "learners": campus.world.learners,
            "now": iso(campus.now),
            "reportRefreshedAt": iso(campus.report_time),
            "faults": [one.spec for one in sandbox.faults],
        }

    async def get_status(_request: Request) -> Response:
        return json_response(status())

    async def advance(request: Request) -> Response:
        try:
            span = int(request.query_params.get("hours", "0")) * HOUR + int(request.query_params.get("days", "0")) * DAY
        except ValueError:
            return json_response({"message": "hours and days are whole numbers"}, 400)
        if span < 0:
            return json_response({"message": "the clock does not run backwards"}, 400)
        sandbox.advance(span)
        return json_response(status())

    async def get_requests(_request: Request) -> Response:
        counts = {
            "total": sandbox.number,
            "rows": sandbox.rows,
            "routes": dict(sandbox.routes),
            "statuses": dict(sandbox.statuses),
        }
        return json_response(counts)

    async def reset_requests(_request: Request) -> Response:
        sandbox.reset_counts()
        return json_response({"total": 0})

    async def put_faults(request: Request) -> Response:
        try:
            specs = msgspec.json.decode(await request.body(), type=list[str])
            sandbox.faults = [Fault.parse(spec) for spec in specs]
        except (msgspec.DecodeError, ValueError) as error:
            return json_response({"message": str(error)}, 400)
        return json_response(status())

    async def delete_faults(_request: Request) -> Response:
        sandbox.faults = []
        return json_response(status())

    return [
        Route("/_sandbox/status", get_status),
        Route("/_sandbox/advance", advance, methods=["POST"]),
        Route("/_sandbox/requests", get_requests, methods=["GET"]),
        Route("/_sandbox/requests", reset_requests, methods=["DELETE"]),
        Route("/_sandbox/faults", put_faults, methods=["PUT"]),
        Route("/_sandbox/faults", delete_faults, methods=["DELETE"]),
    ]
