"""Options that several commands share. Each has an environment variable, which the Meltano project sets."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from coursera_connect import command_text
from coursera_connect.meltano import project_files
from coursera_connect.warehouse.warehouse import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from coursera_connect.warehouse.warehouse import Location

PATH = click.Path(path_type=Path)


class Number(click.FloatRange):
    """A number within bounds; `nan` and `inf` are refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number.", param, ctx)
        return number


_WAREHOUSE = "coursera_connect.warehouse.warehouse"
_Command = TypeVar("_Command", bound="Callable[..., Any]")


def setting(*names: str, env: str, **more: Any) -> Callable[[_Command], _Command]:
    """Return an option with its environment variable; both, and the default, are in the help."""
    return click.option(*names, envvar=env, show_envvar=True, show_default="default" in more, **more)


def outward(*names: str, env: str, **more: Any) -> Callable[[_Command], _Command]:
    """Return an option with a target outside the output folder; in the sandbox only the command line sets it."""

    def kept(context: click.Context, option: click.Parameter, value: Any) -> Any:
        source = context.get_parameter_source(str(option.name))
        if command_text.environment_of_now() == project_files.SANDBOX and source is not ParameterSource.COMMANDLINE:
            return more.get("default")
        return value

    return setting(*names, env=env, callback=kept, **more)


def together(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """Apply options in the order in which the help shows them."""

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


json_flag = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")


def _location(context: click.Context, _option: click.Parameter, path: Path) -> Location:
    return Server() if context.meta[_WAREHOUSE] == "postgres" else path


database = together(
    setting(
        "--database",
        env="CONNECT_DATABASE",
        type=PATH,
        default="output/warehouse.duckdb",
        callback=_location,
        help="The DuckDB file.",
    ),
    setting(
        "--warehouse",
        env="CONNECT_WAREHOUSE",
        type=click.Choice(["duckdb", "postgres"]),
        default="duckdb",
        is_eager=True,
        expose_value=False,
        callback=lambda context, _option, chosen: context.meta.__setitem__(_WAREHOUSE, chosen),
        help="Where the tables are: that file, or the PostgreSQL of PGHOST, PGPORT, PGUSER and PGDATABASE.",
    ),
)
package = setting("--package", env="CONNECT_PACKAGE", type=PATH, default="output/oneroster.zip", help="The package.")
raw_schema = setting("--raw-schema", env="CONNECT_RAW_SCHEMA", default="coursera", help="Schema of the streams.")
logs = setting(
    "--logs", env="CONNECT_SCHEDULE_LOGS", type=PATH, default="output/logs", help="Folder of the logs of runs."
)
notified = together(
    outward("--webhook", env="CONNECT_WEBHOOK", default="", help="URL that is told how each run ended, as JSON."),
    outward(
        "--notify",
        env="CONNECT_NOTIFY",
        default="",
        help="Addresses of people and chats that are told, as apprise writes them: mailto://, msteams://, slack://.",
    ),
)
wait = setting(
    "--wait",
    env="CONNECT_WAIT",
    type=Number(min=0),
    default=5.0,
    help="Seconds to wait for a database or package another process holds.",
)
mapping = setting(
    "--mapping",
    env="CONNECT_MAPPING",
    type=PATH,
    default="environments/sandbox/mapping",
    help="Folder of the mapping files (CSV), one set per environment.",
)
transform = setting(
    "--transform", env="CONNECT_TRANSFORM", type=PATH, default="transform", help="Folder of the dbt project."
)
built_with = setting(
    "--transform",
    env="CONNECT_TRANSFORM",
    type=PATH,
    default=None,
    help="Folder of the dbt project, whose settings have to be those of the last dbt:build.",
)
build_inputs = together(
    setting(
        "--mapping",
        env="CONNECT_MAPPING",
        type=PATH,
        default=None,
        help="Folder of the mapping files, which are checked first, and have to be those of the last dbt:build.",
    ),
    built_with,
)
"""Add the parameters `mapping` and `transform`: the paths that a build follows, if they are known."""

lms_time_zone = setting(
    "--lms-time-zone",
    env="CONNECT_LMS_TIME_ZONE",
    default="UTC",
    help="IANA time zone of the LMS, in which it syncs and in which a black-out's days begin.",
)
schedule_time_zone = setting(
    "--schedule-time-zone",
    env="CONNECT_SCHEDULE_TIME_ZONE",
    default="",
    help="IANA time zone of the schedules.  [default: that of the LMS]",
)
consent_until = setting(
    "--consent-until",
    env="CONNECT_CONSENT_UNTIL",
    default="",
    help="Last day on which data may be shared, as 2027-06-30.",
)
blackout = setting(
    "--blackout",
    env="CONNECT_BLACKOUT",
    default="",
    help="Days on which nothing is published: 2026-08-01..2026-08-20, 2026-12-24 (both ends included).",
)


output = together(
    setting(
        "--schema",
        env="CONNECT_ONEROSTER_SCHEMA",
        default="oneroster",
        help="Schema of the OneRoster models, one table per file.",
    ),
    setting(
        "--oneroster-version",
        env="CONNECT_ONEROSTER_VERSION",
        type=click.Choice(["1.1", "1.2"]),
        default="1.1",
        help="Version of the binding.",
    ),
    setting(
        "--profile", env="CONNECT_PROFILE", default="generic", help="The reader's own rules; see docs/profiles.md."
    ),
    setting(
        "--privacy-level",
        env="CONNECT_PRIVACY_LEVEL",
        type=click.IntRange(0, 3),
        default=0,
        help="Privacy Shield: 1 masks last names, 2 also first names and e-mails, 3 also user names and phones.",
    ),
    setting("--privacy-key", env="CONNECT_PRIVACY_KEY", default="", help="Secret that the masks depend on."),
    setting(
        "--exclude", env="CONNECT_EXCLUDE", default="", help="Attributes to leave blank, as users.email,users.userIds."
    ),
)
"""Return how rows are written for the reader, including the Privacy Shield."""


def listed(text: str) -> tuple[str, ...]:
    """Return the names of a list with commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
