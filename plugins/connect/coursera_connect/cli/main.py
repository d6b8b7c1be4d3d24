"""The command `connect`."""

from __future__ import annotations

import sys
from typing import Any

import click
from typing_extensions import override

from coursera_connect import command_text
from coursera_connect.cli import (
    attributes,
    check,
    connection,
    deliver,
    grades,
    history,
    items,
    lock,
    mapping,
    publish,
    quality,
    report,
    run,
    schedule,
    schools,
    serve,
    settings,
    setup,
    terminal,
)
from coursera_connect.command_text import carried
from coursera_connect.errors import ConnectError
from coursera_connect.meltano import processes, project_files
from coursera_connect.setup import environments
from coursera_connect.setup import settings as chosen

_INTERRUPTED = 130  # as shells tell it
_WORDS = "coursera_connect.cli.main.words"
_NO_SCREEN = {"--json", "--help", "-h"}
_SANDBOX = "This is the sandbox: a made-up college on this machine."
_HELP = 80
"""The columns of a help text."""


class _Context(click.Context):
    """Adds the environment to the commands in a help text."""

    @override
    def get_help(self) -> str:
        return terminal.folded(carried(super().get_help()), self.max_content_width or _HELP)


class _Commands(click.Group):
    """Prints an expected error as one sentence, and exits with its code."""

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_WORDS] = frozenset(args)
        return super().parse_args(ctx, args)

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConnectError as error:
            if ctx.params["debug"]:
                raise
            terminal.say(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)
        except click.exceptions.NoArgsIsHelpError:
            raise  # it is the help, which says by itself how the command is used
        except click.UsageError as error:
            _, _, sentence = terminal.folded(f"Error: {error.format_message()}", terminal.width(stderr=True)).partition(
                " "
            )
            raise click.UsageError(sentence, error.ctx) from error
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(_stopped())
        except Exception as error:
            if not _is_interrupted(error):
                raise
            ctx.exit(_stopped())


def _is_interrupted(error: Exception) -> bool:
    """Return whether Ctrl-C ended a query, which DuckDB reports by several errors."""
    import duckdb  # noqa: PLC0415 - takes a moment that a help does not need

    cause: BaseException | None = error
    while cause and not isinstance(cause, KeyboardInterrupt | duckdb.InterruptException):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def _stopped() -> int:
    click.echo("\nStopped." if sys.stderr.isatty() else "Stopped.", err=True)
    return _INTERRUPTED


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="coursera-connect")
@click.option(
    "--debug", is_flag=True, envvar="CONNECT_DEBUG", show_envvar=True, help="Show the traceback of a failure."
)
@click.pass_context
def main(context: click.Context, debug: bool) -> None:
    """Publish OneRoster packages from the tables the transforms made.

    In the Meltano project this is `connect --environment=prod publish`, where `--environment` comes first; without it,
    the environment is that of MELTANO_ENVIRONMENT in the shell or in .env, else the sandbox.
    """
    del debug  # read from the context, where a failure is caught
    processes.refuse_alone()
    if command_text.environment_of_now() == project_files.SANDBOX:
        if project := project_files.project_of_now():
            environments.make_mapping(project, project_files.SANDBOX)
        if not context.meta[_WORDS] & _NO_SCREEN:
            click.echo(_SANDBOX, err=True)


for _command in (
    setup.setup,
    *settings.COMMANDS,
    connection.test,
    schools.schools,
    mapping.mapping_files,
    attributes.attributes,
    items.items,
    grades.grades,
    *run.COMMANDS,
    schedule.schedule,
    lock.lock,
    publish.preview,
    publish.publish,
    deliver.deliver,
    check.check,
    quality.quality,
    history.history,
    history.summary,
    report.report,
    serve.serve,
):
    main.add_command(_command)


def _with_help(command: click.Command) -> None:
    command.context_class = _Context
    for child in getattr(command, "commands", {}).values():
        _with_help(child)


_with_help(main)
chosen.of_command(main)
