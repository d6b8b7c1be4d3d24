"""The command `coursera-sandbox`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coursera_sandbox import daemon
from coursera_sandbox.clock import FURTHEST, Clock
from coursera_sandbox.faults import FAULTS, Fault
from coursera_sandbox.moments import DAY, HOUR, days, iso, moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.decorators import FC

_FAULT_HELP = "\n".join(
    (
        "\b",
        "Faults (--fault, PUT /_sandbox/faults, header X-Sandbox-Fault), written NAME or NAME:key=value,key=value:",
        *(f"  {name:<15}{what}" for name, what in FAULTS.items()),
        "Each also takes rate= (share of requests), times= (at most) and path= (a part of the path).",
    )
)


class _Sentence(click.ClickException):
    """An error without decoration."""


def _home(command: FC) -> FC:
    option = click.option(
        "--home",
        type=click.Path(file_okay=False, path_type=Path),
        default=".coursera-sandbox",
        envvar="COURSERA_SANDBOX_HOME",
        show_default=True,
        show_envvar=True,
        help="Folder for the clock, the pid and the log.",
    )
    return option(command)


def _specs(_context: click.Context, _parameter: click.Parameter, specs: tuple[str, ...]) -> tuple[str, ...]:
    try:
        for spec in specs:
            Fault.parse(spec)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return specs


def _moment(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    try:
        return None if text is None else moment(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _days(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str:
    try:
        days(text or "")
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return text or ""


def _server_options(command: FC) -> FC:
    def option(name: str, help_text: str, **more: Any) -> Callable[[FC], FC]:
        variable = f"COURSERA_SANDBOX_{name.strip('-').replace('-', '_').upper()}"
        return click.option(name, envvar=variable, show_envvar=True, show_default=True, help=help_text, **more)

    for decorate in (
        option("--now", "Set the simulated clock, such as 2026-03-01T06:00:00Z, before it starts.", callback=_moment),
        option(
            "--class-day",
            "One class hands in together on this day, such as 2028-10-12; of several dates, commas between.",
            metavar="DATE",
            callback=_days,
        ),
        option(
            "--fault",
            "Misbehave; may be given more than once.",
            multiple=True,
            metavar="SPEC",
            callback=_specs,
            default=(),
        ),
        option(
            "--idle-timeout",
            "Seconds without a request after which the server ends.",
            type=click.FloatRange(min=0, min_open=True),
            default=900,
        ),
        option("--seed", "Another seed is another college.", type=click.IntRange(min=0), default=7),
        option("--learners", "Size of the college.", type=click.IntRange(min=1, max=5_000_000), default=120),
        option("--port", "0 takes any that is free.", type=click.IntRange(0, 65535), default=8737),
        _home,
    ):
        command = decorate(command)
    return command


def _options(values: dict[str, Any]) -> daemon.Options:
    now = values.pop("now")
    faults = values.pop("fault")
    options = daemon.Options(**{**values, "home": values["home"].resolve(), "faults": faults})
    if now is not None:
        Clock(options.home).set(now)
    return options


@click.group(epilog=_FAULT_HELP)
@click.version_option(package_name="coursera-sandbox")
def main() -> None:
    """The Coursera Enterprise API on this machine, with a made-up college inside."""


@main.command(epilog=_FAULT_HELP)
@_server_options
def start(**values: Any) -> None:
    """Start the server in the background and wait until it answers; does nothing when it already runs."""
    home = values["home"].resolve()
    running = daemon.find(home)
    if running and values["now"] is not None:
        raise _Sentence(
            f"The clock of a running server only moves on: stop the one at {running.url} first, or use advance."
        )
    options = _options(values)
    try:
        server, before = daemon.start(options)
    except daemon.SandboxError as error:
        raise _Sentence(str(error)) from None
    line = daemon.describe(server, iso(Clock(home).now))
    told = (options.seed, options.learners, options.class_day)
    different = (server.seed, server.learners, server.class_day) != told
    click.echo(line + (" (already running" + (", with its own options)" if different else ")") if before else ""))


@main.command(epilog=_FAULT_HELP)
@_server_options
def run(**values: Any) -> None:
    """Run the server in the foreground."""
    if running := daemon.find(values["home"].resolve()):
        raise _Sentence(f"A server with this home runs already at {running.url} (pid {running.pid}).")
    from coursera_sandbox import serving  # noqa: PLC0415 - the other commands need not wait for numpy and uvicorn

    try:
        serving.run(_options(values), announce=True)
    except daemon.SandboxError as error:
        raise _Sentence(str(error)) from None


@main.command()
@_home
def stop(home: Path) -> None:
    """Stop the server of this home."""
    server = daemon.stop(home.resolve())
    click.echo(f"Stopped the sandbox at {server.url}." if server else "No sandbox is running.")


@main.command()
@_home
def status(home: Path) -> None:
    """Say whether the server runs, and what time it is there; exit code 3 when it does not run."""
    server = daemon.find(home.resolve())
    answer = server.call("GET", "status") if server else None
    if not server or answer is None:
        click.echo("No sandbox is running.")
        raise SystemExit(3)
    faults = f", faults {' '.join(answer['faults'])}" if answer["faults"] else ""
    click.echo(daemon.describe(server, answer["now"]) + faults)


@main.command()
@click.option("--hours", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--days", type=click.IntRange(min=0), default=0, show_default=True)
@_home
def advance(home: Path, hours: int, days: int) -> None:
    """Move the simulated clock on, whether the server runs or not, and print the new time."""
    if not hours and not days:
        raise click.UsageError("Say how far: --hours or --days.")
    if hours * HOUR + days * DAY > FURTHEST:
        raise click.UsageError("At most 366 days at once.")
    home = home.resolve()
    server = daemon.find(home)
    answer = server.call("POST", "advance", hours=hours, days=days) if server else None
    if server and answer is None:
        raise _Sentence(f"The sandbox at {server.url} does not answer; stop it and try again.")
    click.echo(answer["now"] if answer else iso(Clock(home).advance(hours * HOUR + days * DAY)))
