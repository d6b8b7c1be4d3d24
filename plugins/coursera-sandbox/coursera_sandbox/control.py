"""Control endpoints below `/_sandbox/` for tests and demonstrations; they need no authorisation."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import msgspec
from starlette.routing import Route

from coursera_sandbox import __version__
from coursera_sandbox.faults import Fault
from coursera_sandbox.moments import DAY, HOUR, iso
from coursera_sandbox.server import json_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from coursera_sandbox.server import Sandbox


class Control:
    """The control endpoints of one server."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """Return the routes with their methods."""
        return [
            Route("/_sandbox/status", self.status),
            Route("/_sandbox/advance", self.advance, methods=["POST"]),
            Route("/_sandbox/requests", self.requests, methods=["GET"]),
            Route("/_sandbox/requests", self.reset_requests, methods=["DELETE"]),
            Route("/_sandbox/faults", self.put_faults, methods=["PUT"]),
            Route("/_sandbox/faults", self.delete_faults, methods=["DELETE"]),
        ]

    async def status(self, _request: Request | None = None) -> Response:
        """Which college this is, what time it is there, which faults are in force."""
        campus = self._sandbox.campus
        return json_response(
            {
                "name": "coursera-sandbox",
                "version": __version__,
                "pid": os.getpid(),
                "seed": campus.world.seed,
                "learners": campus.world.learners,
                "now": iso(campus.now),
                "reportRefreshedAt": iso(campus.report_time),
                "faults": [one.spec for one in self._sandbox.faults],
            }
        )

    async def advance(self, request: Request) -> Response:
        """Move the simulated clock by `hours` and `days`."""
        given = [request.query_params.get(unit, "0") for unit in ("hours", "days")]
        if not all(re.fullmatch(r"-?[0-9]{1,9}", text) for text in given):
            return json_response({"message": "hours and days are whole numbers"}, 400)
        hours, days = map(int, given)
        try:
            self._sandbox.advance(hours * HOUR + days * DAY)
        except ValueError as error:
            return json_response({"message": str(error)}, 400)
        return await self.status()

    async def requests(self, _request: Request) -> Response:
        """How often which route was asked since the last reset, with what status, and how many rows were served."""
        sandbox = self._sandbox
        counts = {"routes": dict(sandbox.routes), "statuses": dict(sandbox.statuses)}
        return json_response({"total": sandbox.number, "rows": sandbox.rows, **counts})

    async def reset_requests(self, _request: Request) -> Response:
        """Count anew."""
        self._sandbox.reset_counts()
        return json_response({"total": 0})

    async def put_faults(self, request: Request) -> Response:
        """Put the faults of a JSON list of specs in force, in place of those before."""
        try:
            specs = msgspec.json.decode(await request.body(), type=list[str])
            self._sandbox.faults = [Fault.parse(spec) for spec in specs]
        except (msgspec.DecodeError, ValueError) as error:
            return json_response({"message": str(error)}, 400)
        return await self.status()

    async def delete_faults(self, _request: Request) -> Response:
        """Behave again."""
        self._sandbox.faults = []
        return await self.status()
