"""`connect serve`: the report page in a browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from coursera_connect.cli import options, terminal
from coursera_connect.cli.report import page
from coursera_connect.errors import OutputError
from coursera_connect.report import render as pages
from coursera_connect.report.serve import Server

if TYPE_CHECKING:
    from pathlib import Path


@click.command(short_help="Offer the page and the package to a browser here.")
@options.together(
    options.package,
    page,
    options.setting(
        "--port",
        env="CONNECT_SERVE_PORT",
        type=click.IntRange(0, 65535),
        default=8080,
        help="Port on 127.0.0.1; 0 is any that is free.",
    ),
    options.setting(
        "--idle-minutes",
        env="CONNECT_SERVE_IDLE_MINUTES",
        type=options.Number(min=0, min_open=True),
        default=30.0,
        help="Stop after so many minutes in which nobody asked for anything.",
    ),
    options.json_flag,
)
def serve(*, as_json: bool, package: Path, page: Path | None, port: int, idle_minutes: float) -> None:
    """Offer the page of the last publish, and the package, on 127.0.0.1, until Ctrl-C or until nobody looks any more.

    The address that is printed holds a secret of its own, new each time: other users of this machine cannot guess it.
    Nothing else is served, and nothing is written.

    \b
    Examples:
      connect serve
      connect serve --port 0 --idle-minutes 5

    \b
    Exit codes: 0 stopped, by Ctrl-C too
                2 the port cannot be used, or an option is wrong
                4 there is no page yet
    """  # noqa: D301 - the escape is what keeps the lines apart
    place = pages.place(package, page)
    if not place.is_file():
        raise OutputError(f"There is no page {place} yet: run `connect report` first, or set CONNECT_REPORT.")
    with Server(place, package, port, 60 * idle_minutes) as server:
        if as_json:
            click.echo(json.dumps({"url": server.url, "package": f"{server.url}{package.name}"}))
        else:
            terminal.say(f"{server.url}\nStops with Ctrl-C, or after {idle_minutes:g} minutes without a request.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            terminal.say("Stopped.", err=True)
