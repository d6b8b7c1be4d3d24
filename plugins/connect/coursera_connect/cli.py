"""The command `connect`."""

from __future__ import annotations

from typing import Any

import click

from coursera_connect.commands import (
    afterwards,
    checking,
    delivering,
    locking,
    publishing,
    quality,
    report,
    running,
    scheduling,
    serve,
    setup,
)
from coursera_connect.errors import ConnectError

_INTERRUPTED = 130  # as shells tell it


class _Commands(click.Group):
    """Turns expected failures into one sentence and their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConnectError as error:
            if ctx.params["debug"]:
                raise
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            ctx.exit(_stopped())
        except RuntimeError as error:
            # So DuckDB tells that Ctrl-C ended a query.
            if not isinstance(error.__cause__, KeyboardInterrupt):
                raise
            ctx.exit(_stopped())


def _stopped() -> int:
    click.echo("Stopped.", err=True)
    return _INTERRUPTED


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="coursera-connect")
@click.option(
    "--debug", is_flag=True, envvar="CONNECT_DEBUG", show_envvar=True, help="Show the traceback of a failure."
)
def main(debug: bool) -> None:
    """Publish OneRoster packages from the tables the transforms made.

    In the Meltano project, which sets the paths, the commands are `meltano invoke connect:publish` and `meltano invoke
    connect:summary`.
    """
    del debug  # read from the context, where a failure is caught


for _command in (
    *setup.COMMANDS,
    *running.COMMANDS,
    scheduling.schedule,
    locking.lock,
    publishing.preview,
    publishing.publish,
    delivering.deliver,
    checking.check,
    quality.quality,
    afterwards.history,
    afterwards.summary,
    report.report,
    serve.serve,
):
    main.add_command(_command)
