"""`connect test`: the connection to Coursera."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from coursera_connect import command_text
from coursera_connect.cli import options, terminal
from coursera_connect.command_text import carried
from coursera_connect.meltano import project_files
from coursera_connect.setup import connection

if TYPE_CHECKING:
    from pathlib import Path

_NO_TOKEN = 3


@click.command(short_help="Test the connection to Coursera, step by step.")
@options.together(options.package, options.json_flag)
def test(as_json: bool, package: Path) -> None:
    """Test the connection to Coursera: token, organisation, programs, enrollment report, gradebook.

    Each check is OK, or one sentence that says what to do. Settings are those of the tap, from the environment:
    TAP_COURSERA_CLIENT_ID, TAP_COURSERA_CLIENT_SECRET, TAP_COURSERA_ORG_ID (in the Meltano project from .env). When all
    is well, connection.json beside the package says so, and mapping (connect schools) may start; it holds no secret,
    and a test that fails takes it away.

    \b
    Example:
      connect test
      token              OK       Issued by api.coursera.com.
      organisation       OK       Found: Northfield College.
      programs           OK       8 programs.
      enrollment report  OK       Can be read.
      gradebook          OK       Can be read.

    \b
    Exit codes: 0 all is well
                1 a setting is missing or wrong, or connection.json cannot be written
                2 an option is wrong
                3 no token: the credentials, or auth_url
                4 the organisation cannot be read: org_id, api_url, or the rights of the app
                5 the programs cannot be read
                6 the enrollment report cannot be read
                7 the gradebook cannot be read
    """  # noqa: D301 - the escape is what keeps the lines apart
    outcome = connection.test(package, (lambda _line: None) if as_json else terminal.say)
    if as_json:
        click.echo(json.dumps(outcome))
    elif outcome["passed"]:
        terminal.say(carried("The connection works. Next: connect schools list"))
    elif outcome["exit_code"] == _NO_TOKEN and command_text.environment_of_now() == project_files.SANDBOX:
        start = command_text.printed("meltano invoke coursera-sandbox start")
        terminal.say(f"The server of the sandbox runs while a job does. To start it: {start}")
    sys.exit(outcome["exit_code"])
