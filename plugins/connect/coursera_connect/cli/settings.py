"""`connect settings` and `connect environment`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from coursera_connect import command_text
from coursera_connect.cli import options, terminal
from coursera_connect.errors import UsageError
from coursera_connect.meltano import project_files
from coursera_connect.setup import environments
from coursera_connect.setup import settings as chosen

if TYPE_CHECKING:
    from pathlib import Path


def _now() -> tuple[Path, str]:
    project, environment = project_files.project_of_now(), command_text.environment_of_now()
    if project is None or environment is None:
        raise UsageError("Settings belong to a Meltano project: run this through `connect` of its .venv.")
    return project, environment


@click.group(invoke_without_command=True, short_help="Show every setting, or choose another value.")
@options.json_flag
@click.option("--changed", is_flag=True, help="Only those that are not the default.")
@click.pass_context
def settings(context: click.Context, *, as_json: bool, changed: bool) -> None:
    """Show every setting of the environment: value, where it is from, default and meaning.

    What counts is, in this order: the command line, the shell, the env file (.env for prod, secrets.env of its folder
    for the others), settings.yml of the environment's folder, the default. Secrets are never shown.

    \b
    Examples:
      connect --environment=prod settings
      connect --environment=prod settings --changed
      connect --environment=prod settings set grade_sync granular_all
      connect --environment=prod settings set CONNECT_GRADE_SYNC granular_all
      connect --environment=prod settings set grade_sync ""          the default again
    """  # noqa: D301 - the escape is what keeps the lines apart
    if context.invoked_subcommand:
        return
    project, environment = _now()
    found = [one for one in chosen.listed(project, environment) if not changed or one.origin not in {"", "default"}]
    if as_json:
        facts = [{key: value for key, value in asdict(one).items() if key != "definition"} for one in found]
        click.echo(json.dumps({"environment": environment, "settings": facts}))
        return
    terminal.say(f"Settings of the environment {environment}:")
    for one in found:
        default = "" if one.origin == "default" or not one.default else f"; default {one.default}"
        origin = f"({one.origin}{default})" if one.origin else f"(not set{default})"
        terminal.say(f"{one.name} = {one.value}  {origin}\n    {one.meaning}")


@settings.command(name="set", short_help="Choose a value for this environment.")
@click.argument("name")
@click.argument("value", required=False)
def set_setting(name: str, value: str | None) -> None:
    """Choose a VALUE for the setting NAME in the folder of this environment; a blank one goes back to the default.

    Without VALUE it is asked for and not shown, or read from standard input: for secrets, which the env file keeps.

    \b
    Examples:
      connect --environment=prod settings set time_zone Europe/Amsterdam
      connect --environment=prod settings set tap-coursera.start_date 2026-01-01
      connect --environment=prod settings set delivery_password

    \b
    Exit codes: 0 done
                2 there is no such setting, or it cannot have that value
                4 the file cannot be written
                7 the project settles it for this environment
    """  # noqa: D301 - the escape is what keeps the lines apart
    project, environment = _now()
    one = chosen.find(chosen.listed(project, environment), name)
    done = chosen.change(project, environment, name, _asked(one.name) if value is None else value)
    shown, file = done.value or "its default", done.file.relative_to(project)
    terminal.say(f"{one.name} of {environment} is now {shown}, in {file}.")
    if done.is_outranked:
        terminal.say(f"Warning: {one.variable} of the shell outranks it.", err=True)
    for command in done.commands:
        terminal.say(f"To bring that into effect: {command}")


def _asked(name: str) -> str:
    """Read a hidden value from a terminal, or a line from standard input."""
    if sys.stdin.isatty():
        return str(click.prompt(name, hide_input=True))
    return sys.stdin.readline().strip()


@click.group(short_help="Show the environments, or make another.")
def environment() -> None:
    """Show the environments, or make another: a second campus, a second contract, another warehouse.

    An environment is a folder of its own in `environments`: settings.yml, mapping files, and secrets that only its own
    commands read. Two of them run beside each other, and share nothing but the code.
    """


@environment.command(name="list", short_help="Show the environments.")
def list_environments() -> None:
    """Show the environments, and mark the one of this command."""
    project, now = _now()
    for name in project_files.environments(project):
        terminal.say(f"{'*' if name == now else ' '} {name}")


@environment.command(short_help="Make another environment.")
@click.argument("name")
@click.option(
    "--warehouse",
    type=click.Choice(["duckdb", "postgres"]),
    default="duckdb",
    show_default=True,
    help="Where its tables are: a file in its output folder, or the PostgreSQL that its secrets name.",
)
def add(name: str, warehouse: str) -> None:
    """Make the environment NAME: its folder with settings.yml, mapping files, and secrets.env to fill in.

    \b
    Examples:
      connect environment add north-campus
      connect environment add postgres --warehouse postgres

    \b
    Exit codes: 0 made
                2 no environment can have that name
                4 the folder cannot be written
                7 there is such an environment
    """  # noqa: D301 - the escape is what keeps the lines apart
    project, _ = _now()
    place = environments.add(project, name, postgres=warehouse == "postgres")
    secrets = project_files.env_file(project, name).relative_to(project)
    terminal.say(f"Made {place.relative_to(project)}. Next:")
    terminal.say(f"  {command_text.printed('connect setup', name)}")
    terminal.say(f"      asks for what it needs; secrets go into {secrets}")
    terminal.say(f"  {command_text.printed('connect settings', name)}")


COMMANDS = (settings, environment)
