"""Lists the settings of every part with values and origins, and sets them.

`setting_values.values` has the precedence for all settings; only the command line outranks it.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

import click

from coursera_connect import command_text, env_file
from coursera_connect.errors import ConnectError, OutputError, RefusedError, UsageError
from coursera_connect.meltano import project_files, setting_types, setting_values
from coursera_connect.setup import environments, settings_file
from coursera_connect.text import suggestion

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PLAIN = ("dbt", "connect")
"""The plugins whose settings have no prefix."""
_OF_THE_SANDBOX = "coursera-sandbox"
HIDDEN = "(hidden)"
_ONE_LINE = "it has to be one line of text without control characters, and in UTF-8."

_INSTALLED = (
    *("schedule_full_reconcile", "schedule_roster_sync", "schedule_grade_sync", "schedule_publish"),
    *("schedule_time_zone", "lms_time_zone"),
)
"""The settings that are stored in the installed entries of cron or systemd."""

_commands: list[click.Command] = []


@dataclass(frozen=True)
class Setting:
    """A setting of an environment with its present value; the value of a secret is HIDDEN."""

    name: str
    plugin: str
    key: str
    """The name of the setting within the plugin."""
    variable: str
    value: str
    origin: str
    default: str
    meaning: str
    secret: bool
    definition: dict[str, Any]


def listed(project: Path, environment: str) -> list[Setting]:
    """Return every setting of an environment, part by part."""
    defaults = _defaults(project)
    return [
        _setting(variable, one, defaults)
        for variable, one in setting_values.values(project, environment).items()
        if one.plugin and (one.plugin != _OF_THE_SANDBOX or environment == project_files.SANDBOX)
    ]


def find(settings: list[Setting], name: str) -> Setting:
    """Return a setting by its name or its environment variable.

    Raises:
        UsageError: There is no such setting.
    """
    wanted = name.replace("-", "_").casefold()
    for one in settings:
        if wanted in {one.name.replace("-", "_").casefold(), one.variable.casefold()}:
            return one
    near = suggestion(name, [one.name for one in settings])
    raise UsageError(f"There is no setting {name}; see {command_text.printed('connect settings')}{near and '. '}{near}")


def set_(environment: str, name: str, value: str, project: Path | None = None) -> Path:
    """Set a value in the folder of an environment, and return the file; a blank value restores the default.

    Secrets are written to secrets.env, all others to settings.yml, whose comments are kept.

    Raises:
        UsageError: There is no such setting, or it cannot have that value.
        RefusedError: meltano.yml fixes the value.
        OutputError: The file cannot be written.
    """
    project = project or _project()
    one = find(listed(project, environment), name)
    if one.origin == setting_values.SETTLED:
        raise RefusedError(f"{one.name} is settled for the environment {environment}, and cannot be chosen.")
    if one.secret:
        return set_secret(environment, one.variable, value, project)
    checked = _checked(one, value) if value else None
    if one.variable in project_files.variables_of(
        project_files.env_file(project, environment)
    ):  # which outranks the folder
        written = set_secret(environment, one.variable, value, project)
        if value:
            return written
    file = project_files.folder(project, environment) / project_files.SETTINGS
    if not file.exists():
        environments.private(file.parent)
        environments.write(file, environments.settings(environment))
    try:
        settings_file.edit(file, environment, one, checked)
    except OSError as error:
        raise OutputError(f"{file} cannot be written ({error.strerror}): check who may write there.") from error
    return file


@dataclass(frozen=True)
class Changed:
    """A changed setting: its definition before, the file that holds it, and what to know and to do now."""

    setting: Setting
    file: Path
    value: str
    """The new value; blank for the default, HIDDEN for a secret."""
    is_outranked: bool
    """Whether the shell has another value, which outranks this one."""
    commands: list[str]
    """The commands that bring the change into effect."""


def change(project: Path, environment: str, name: str, value: str) -> Changed:
    """Set a value as `set_` does, and return what to know and to do now."""
    one = find(listed(project, environment), name)
    file = set_(environment, name, value, project)
    commands = [command_text.printed("connect run publish")] if one.plugin == "dbt" else []
    commands += [command_text.printed("connect schedule install")] if one.key in _INSTALLED else []
    return Changed(one, file, HIDDEN if one.secret else value, one.origin == "shell", commands)


def set_secret(environment: str, variable: str, value: str, project: Path | None = None) -> Path:
    """Write a secret into the env file of an environment by its environment variable, and return the file."""
    project = project or _project()
    if not value.isprintable():
        raise UsageError(f"{variable} cannot be that: {_ONE_LINE}")
    file = project_files.env_file(project, environment)
    env_file.write(file, {variable: value})
    file.chmod(0o600)
    return file


def _setting(variable: str, said: setting_values.SettingValue, defaults: dict[str, str]) -> Setting:
    one = said.definition
    default = _text(one.get("value")) or defaults.get(variable, "")
    value = said.value if said.origin else default
    secret = bool(one.get("sensitive"))
    return Setting(
        one["name"] if said.plugin in _PLAIN else f"{said.plugin}.{one['name']}",
        said.plugin,
        one["name"],
        variable,
        HIDDEN if secret and value else value,
        (said.origin or "default") if value else "",
        default,
        one.get("description", ""),
        secret,
        one,
    )


def _defaults(project: Path) -> dict[str, str]:
    """Return the defaults in the code of the parts, by environment variable."""
    from tap_coursera import settings as of_the_tap  # noqa: PLC0415 - takes long

    dbt = project_files.load(project / "transform" / "dbt_project.yml")["vars"]
    tap = of_the_tap.PROPERTIES.to_dict()["properties"]
    return (
        {f"CONNECT_{name.upper()}": _text(value) for name, value in dbt.items()}
        | {f"TAP_COURSERA_{name.upper()}": _text(one.get("default")) for name, one in tap.items()}
        | {name: _text(one.default) for name, one in _options().items() if isinstance(one.default, (str, int, float))}
    )


def of_command(command: click.Command) -> None:
    """Take the defaults and types of the settings of connect from the options of its command, which registers here."""
    _commands.append(command)


def _options() -> dict[str, click.Option]:
    """Return the options of connect by environment variable."""
    found: dict[str, click.Option] = {}
    commands = [*_commands]
    while commands:
        command = commands.pop()
        commands += getattr(command, "commands", {}).values()
        found |= {str(one.envvar): one for one in command.params if isinstance(one, click.Option) and one.envvar}
    return found


def _checked(one: Setting, text: str) -> Any:
    """Return a value as it is stored; raise UsageError if the setting cannot have it."""
    allowed = setting_types.allowed(one.definition)
    wrong = f"{one.name} cannot be {text[:60]!r}"
    if allowed and text not in allowed:
        near = suggestion(text, allowed)
        raise UsageError(f"{wrong}; it may be {', '.join(allowed)}{near and '. '}{near}")
    if "{{" in text or "{%" in text:
        raise UsageError(f"{wrong}: it must be plain.")
    try:
        value = setting_types.value(one.definition, text)
    except ValueError:
        raise UsageError(f"{wrong}: it has to be {setting_types.words(one.definition)}.") from None
    if problem := _problem(one, text, value):
        raise UsageError(f"{wrong}: {problem}")
    return value


def _problem(one: Setting, text: str, value: Any) -> str:
    """Return what is wrong with a value of the right kind, by the rules of the part; blank where nothing is."""
    if isinstance(value, str) and not value.isprintable():
        return _ONE_LINE
    if one.plugin == "connect" and (option := _options().get(one.variable)):
        try:
            option.type.convert(text, option, None)
        except click.BadParameter as error:
            return error.message
    if one.plugin == "tap-coursera":
        from tap_coursera import settings as of_the_tap  # noqa: PLC0415 - takes long

        return " ".join(of_the_tap.problems_of(one.key, value))
    allowed_by, words = _RULES.get(one.key, (bool, ""))
    try:
        return "" if not words or allowed_by(text) else f"it has to be {words}."
    except (ConnectError, ValueError):
        return f"it has to be {words}."


def _is_zone(text: str) -> bool:
    return text in available_timezones()


def _is_length(text: str) -> bool:
    return 10 <= int(text) <= 255  # noqa: PLR2004 - as settings.sql has it


def _is_blackout(text: str) -> bool:
    from coursera_connect.schedule import blackout  # noqa: PLC0415 - only here

    return bool(blackout.parse(text))


def _is_sync_time(text: str) -> bool:
    from coursera_connect.schedule import lms_times  # noqa: PLC0415 - only here

    return bool(lms_times.sync_crons(text))


def _is_target(text: str) -> bool:
    from coursera_connect.deliver import addresses  # noqa: PLC0415 - only here

    return bool(addresses.parse(text))


def _is_year_start(text: str) -> bool:
    from datetime import date  # noqa: PLC0415 - only here

    return bool(re.fullmatch(r"\d\d-\d\d", text) and date.fromisoformat(f"2001-{text}"))


def _is_day(text: str) -> bool:
    from coursera_connect.schedule import allowed_days  # noqa: PLC0415 - only here

    return bool(allowed_days.consent_end(text))


def _is_profile(text: str) -> bool:
    from coursera_connect import oneroster  # noqa: PLC0415 - only here

    return bool(oneroster.load(text))


def _is_exclusion(text: str) -> bool:
    from coursera_connect import oneroster  # noqa: PLC0415 - only here
    from oneroster_csv import binding  # noqa: PLC0415 - only here

    names = [name.strip() for name in text.split(",") if name.strip()]

    def is_of(version: str) -> bool:
        with suppress(UsageError):
            return bool(oneroster.output(version, "generic", 0, "", names, ""))
        return False

    return any(is_of(version) for version in binding.VERSIONS)


_ZONE = (_is_zone, "the name of an IANA time zone, as Europe/Amsterdam")
_LENGTH = (_is_length, "a whole number from 10 to 255")
_RULES: dict[str, tuple[Callable[[str], bool], str]] = {
    **dict.fromkeys(("time_zone", "lms_time_zone", "schedule_time_zone"), _ZONE),
    **dict.fromkeys(("line_item_title_length", "category_title_length"), _LENGTH),
    "first_school_year": (lambda text: bool(re.fullmatch("(19|20|21)[0-9]{2}", text)), "a year from 1900 to 2199"),
    "school_year_start": (_is_year_start, "a month and a day of every year, as 08-01"),
    "name_placeholder": (lambda text: text == text.strip(), "a text without spaces around it"),
    "blackout": (_is_blackout, "days, as 2026-08-01..2026-08-20, 2026-12-24"),
    "consent_until": (_is_day, "a day, as 2027-06-30"),
    "lms_sync_time": (_is_sync_time, "a time, as 05:00, several, or a cron expression"),
    "profile": (_is_profile, "a profile that docs/profiles.md names, or a file"),
    "exclude": (_is_exclusion, "attributes that OneRoster does not require, as users.email,users.userIds"),
    "batch_size_rows": (lambda text: int(text) >= 1, "a whole number from 1"),
    "lock_timeout": (lambda text: int(text) >= 0, "a whole number of seconds, 0 or more"),
    "delivery": (_is_target, "a folder, sftp://user@host/path/ or an object store"),
}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _project() -> Path:
    found = project_files.project_of_now()
    if found is None:
        raise UsageError("Settings belong to a Meltano project: run this through `connect` of its .venv.")
    return found
