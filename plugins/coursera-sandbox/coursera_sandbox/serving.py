"""The server process: a socket, a pid file, an event loop, and an end after a time without requests."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import psutil
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from coursera_sandbox.campus import Campus
from coursera_sandbox.clock import Clock
from coursera_sandbox.control import Control
from coursera_sandbox.daemon import HOST, SandboxError, Server, describe, find
from coursera_sandbox.faults import Fault
from coursera_sandbox.moments import days, iso
from coursera_sandbox.server import Sandbox

if TYPE_CHECKING:
    from types import FrameType

    from coursera_sandbox.daemon import Options


class _Protocol(HttpToolsProtocol):
    """Lets the fault `drop` reach the connection."""

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.scope["sandbox.transport"] = self.transport  # type: ignore[typeddict-unknown-key]


def run(options: Options, *, announce: bool) -> None:
    """Serve until a signal, or until there was no request for the idle time."""
    listener = _listen(options.port)
    url = f"http://{HOST}:{listener.getsockname()[1]}"
    clock = Clock(options.home)
    clock.set(clock.now)
    campus = Campus.open(options.seed, options.learners, clock.now, days(options.class_day))
    sandbox = Sandbox(campus, clock, [Fault.parse(spec) for spec in options.faults])
    config = uvicorn.Config(
        sandbox.application(Control(sandbox).routes()),
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=2,
        server_header=False,
        date_header=False,  # answers bear the simulated time
    )
    server = uvicorn.Server(config)
    born = psutil.Process().create_time()
    me = Server(os.getpid(), born, url, options.seed, options.learners, options.class_day)
    note = options.home / "server.json"

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    fresh = note.with_suffix(f".{me.pid}.tmp")
    fresh.write_text(json.dumps(asdict(me)))
    fresh.replace(note)
    if announce:
        print(describe(me, iso(clock.now)), flush=True)  # noqa: T201 - what a foreground command is for
    try:
        asyncio.run(_serve(server, listener, sandbox, options.idle_timeout))
    except KeyboardInterrupt:
        pass
    finally:
        if find(options.home) == me:
            note.unlink(missing_ok=True)


async def _serve(server: uvicorn.Server, listener: socket.socket, sandbox: Sandbox, idle_timeout: float) -> None:
    async def watch() -> None:
        while True:
            left = sandbox.last_request + idle_timeout - time.monotonic()
            if left <= 0:
                break
            await asyncio.sleep(left)
        server.should_exit = True

    watcher = asyncio.create_task(watch())
    await server.serve(sockets=[listener])
    watcher.cancel()


def _listen(port: int) -> socket.socket:
    # The protocol is named because asyncio switches Nagle's delay (40 ms an answer) off only where it is.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise SandboxError(
            f"Port {port} cannot be used ({error}); choose another one with --port or COURSERA_SANDBOX_PORT, "
            "or 0 for any that is free."
        ) from None
    return listener
