"""Tests the connection to Coursera, and keeps a record of a passed test, without which nothing can be mapped.

The test uses the tap's own client with the settings of the tap, which are environment variables
(`TAP_COURSERA_CLIENT_ID` and so on). The record `connection.json` is beside the package:

    {"passed_at": "2026-01-31T05:00:00Z", "org_id": "...", "api_url": "https://...", "programs": 8}

The tap is imported only when it is needed, since that takes longer than everything else.
"""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from functools import cache
from typing import TYPE_CHECKING, Any

from coursera_connect import command_text
from coursera_connect import replacing as packages
from coursera_connect.errors import ConnectError, OutputError, RefusedError
from coursera_connect.meltano import processes, project_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tap_coursera.tap import TapCoursera

RECORD = "connection.json"
"""The name of the record beside the package."""
TEST = "connect test"
_ANY_ORG = "A" * 22  # a token is issued without asking for whose data
"""The command that makes it."""


def test(package: Path, show: Callable[[str], object]) -> dict[str, Any]:
    """Make the five checks and return `{"passed", "exit_code", "checks": [{"name", "verdict", "sentence"}]}`.

    `show` is called with a line for each check as soon as it is made. The record is written if all checks pass, and
    removed otherwise.

    Raises:
        ConnectError: when a setting is missing or wrong, or the record cannot be written.
    """
    record = package.with_name(RECORD)
    try:
        outcome, programs = tried(show)
        if outcome["passed"]:
            remember(package, programs)
    except BaseException:
        _forget(record)  # also when somebody gave up waiting: what was not tested to its end has not passed
        raise
    if not outcome["passed"]:
        _forget(record)
    return outcome


def remember(package: Path, programs: int, answers: Mapping[str, str] | None = None) -> None:
    """Write the record that the test has passed and found so many programs; for `answers` see `tried`.

    Raises:
        ConnectError: when the record cannot be written.
    """
    passed_at = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    _write(package.with_name(RECORD), {"passed_at": passed_at, **_chosen(answers), "programs": programs})


def known() -> dict[str, str]:
    """Return the present credentials by their names in the tap; blank if one is not set."""
    values = _told()
    names = ("client_id", "client_secret", "org_id")
    if values is None:
        values = {name: os.environ.get(f"TAP_COURSERA_{name.upper()}") for name in names}
    return {name: values.get(name) or "" for name in names}


def credentials(answers: Mapping[str, str]) -> str:
    """Ask only for a token, and return the sentence of that check; for `answers` see `tried`.

    Raises:
        ConnectError: when the credentials are refused, or Coursera cannot be asked.
    """
    from tap_coursera import connection  # noqa: PLC0415 - see above

    tap = _tap({**answers, "org_id": _ANY_ORG})
    check = next(connection.checks(tap.client, tap.config))
    if check.verdict is not connection.Verdict.OK:
        raise ConnectError(check.sentence)
    return check.sentence


def require(package: Path, answers: Mapping[str, str] | None = None) -> None:
    """Check that the test has passed for the present organisation and address; for `answers` see `tried`.

    Raises:
        RefusedError: The test has not passed; the sentence names the command to run.
    """
    tested = _tested_before(package.with_name(RECORD))
    if tested is None:
        raise RefusedError(f"Mapping starts when the connection test has passed, and none has yet: run {TEST} first.")
    chosen = _chosen(answers)
    for name, what in (("org_id", "organisation"), ("api_url", "address of the API")):
        if tested[name] != chosen[name]:
            raise RefusedError(
                f"The connection test passed for another {what} than the one TAP_COURSERA_{name.upper()} names now: "
                f"run {TEST} again."
            )


def _tested_before(record: Path) -> dict[str, str] | None:
    """Return the organisation and address for which the test passed; None if the record cannot be used."""
    try:
        passed = json.loads(record.read_text("utf-8"))
        return {name: passed[name] for name in ("org_id", "api_url")}
    except (OSError, ValueError, TypeError, KeyError):
        return None


def programs(answers: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the names of the programs that Coursera has now by id, in the order of ids; for `answers` see `tried`.

    Raises:
        ConnectError: when a setting is missing or wrong, or Coursera cannot be asked.
    """
    from tap_coursera.errors import TapError  # noqa: PLC0415 - see above

    try:
        return _programs(_tap(answers))
    except TapError as error:
        raise ConnectError(str(error)) from error


def tried(show: Callable[[str], object], answers: Mapping[str, str] | None = None) -> tuple[dict[str, Any], int]:
    """Make the five checks without writing anything; return the result as `test` does, and the number of programs.

    `answers` are settings of the tap that are not stored yet; they outrank the stored ones.
    """
    from tap_coursera import connection  # noqa: PLC0415 - see above
    from tap_coursera.errors import TapError  # noqa: PLC0415

    tap = _tap(answers)
    made: list[connection.Check] = []

    def noted(check: connection.Check) -> connection.Check:
        made.append(check)
        return check

    code = connection.report(map(noted, connection.checks(tap.client, tap.config)), show)
    number = 0
    if code is connection.ExitCode.OK:
        try:
            number = len(_programs(tap))
        except TapError as error:
            code = connection.ExitCode.PROGRAMS
            show(connection.line(noted(connection.Check("programs", connection.Verdict.FAILED, str(error), code))))
    checks = [{"name": check.name, "verdict": check.verdict.value, "sentence": check.sentence} for check in made]
    return {"passed": code is connection.ExitCode.OK, "exit_code": int(code), "checks": checks}, number


def _tap(answers: Mapping[str, str] | None = None) -> TapCoursera:
    """Return the tap with its present settings and with answers that outrank them."""
    from singer_sdk.exceptions import ConfigValidationError  # noqa: PLC0415 - see above

    from tap_coursera import settings  # noqa: PLC0415
    from tap_coursera.tap import TapCoursera  # noqa: PLC0415

    values = _told()
    if wrong := settings.unreadable_numbers(os.environ if values is None else {}):
        raise ConnectError(" ".join(wrong))
    config = {**(values or {}), **(answers or {})}
    try:
        return TapCoursera(config=config, parse_env_config=values is None, setup_mapper=False)
    except ConfigValidationError as error:
        raise ConnectError(" ".join(error.errors)) from error


def _told() -> dict[str, Any] | None:
    """Return the settings that Meltano passes to the tap; None outside a project, where the tap reads variables."""
    project, environment = project_files.project_of_now(), command_text.environment_of_now()
    return _told_in(str(project), environment) if project and environment and processes.executable(project) else None


@cache
def _told_in(_project: str, _environment: str) -> dict[str, Any]:
    found = processes.plugin_settings("tap-coursera")
    return {name: value for name, value in found.items() if value is not None and "." not in name}


def _programs(tap: TapCoursera) -> dict[str, str]:
    rows = tap.streams["programs"].get_records(None)
    found = {str(row["id"]): str(row.get("name") or "") for row in rows if isinstance(row, dict)}
    return dict(sorted(found.items()))


def _chosen(answers: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the organisation and address of the present settings and of answers that outrank them."""
    from tap_coursera.errors import USUAL  # noqa: PLC0415 - see above

    values = _told()
    if values is None:
        values = {name: os.environ.get(f"TAP_COURSERA_{name.upper()}") for name in ("org_id", "api_url")}
    values = {**values, **(answers or {})}
    return {"org_id": values.get("org_id") or "", "api_url": values.get("api_url") or USUAL["api_url"]}


def _write(record: Path, passed: dict[str, Any]) -> None:
    if record.exists() and _tested_before(record) is None:
        raise ConnectError(
            f"The connection works, but {record} is no record of connect, so it stays as it is: move it away, or set "
            "CONNECT_PACKAGE to another folder."
        )
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        with packages.replacing(record, record) as handle:
            handle.write((json.dumps(passed, indent=2) + "\n").encode())
    except (OSError, OutputError) as error:
        # Not the exit code of an output: in a test that would say that the organisation was refused.
        raise ConnectError(
            f"The connection works, but {record} cannot be written: check who may write to that folder, "
            "and CONNECT_PACKAGE."
        ) from error


def _forget(record: Path) -> None:
    try:
        if _tested_before(record) is not None:
            record.unlink(missing_ok=True)
    except NotADirectoryError:
        pass
    except OSError as error:
        raise ConnectError(f"{record} cannot be removed ({error.strerror}), so it still says passed.") from error
