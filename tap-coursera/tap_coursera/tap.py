"""The tap: its settings, its streams, and how it tells an operator that it cannot go on."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Tap
from singer_sdk import typing as th
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.exceptions import ConfigValidationError
from typing_extensions import override

from tap_coursera import reports, streams
from tap_coursera.client import Client
from tap_coursera.errors import TapError
from tap_coursera.records import milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    import click

STREAMS: tuple[type[streams.CourseraStream], ...] = (
    streams.Organizations,
    streams.Programs,
    streams.ProgramContents,
    streams.ProgramMemberships,
    streams.ProgramInvitations,
    reports.Enrollments,
    reports.CourseGrades,  # before ItemGrades, which it feeds
    reports.ItemGrades,
    streams.Users,
    streams.Contents,
)


class TapCoursera(Tap):
    """Singer tap for the Coursera Enterprise API: programs, learners, enrollments and grades."""

    name = "tap-coursera"
    package_name = "tap-coursera"
    message_writer_class = MsgSpecWriter

    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property(
            "client_id",
            th.StringType(min_length=1),
            required=True,
            secret=True,
            title="Client ID",
            description="Client ID (API key) of your app on dev.coursera.com.",
        ),
        th.Property(
            "client_secret",
            th.StringType(min_length=1),
            required=True,
            secret=True,
            title="Client secret",
            description="Secret key of the same app.",
        ),
        th.Property(
            "org_id",
            th.StringType(min_length=1),
            required=True,
            title="Organisation ID",
            description="The organisation's 22-character ID from the API Credentials document, not its slug.",
        ),
        th.Property(
            "api_url",
            th.StringType(min_length=1),
            default="https://api.coursera.com/ent/api",
            title="API URL",
            description="Where the data API is.",
        ),
        th.Property(
            "auth_url",
            th.StringType(min_length=1),
            default="https://api.coursera.com/oauth2/client_credentials/token",
            title="Token URL",
            description="Where tokens are issued.",
        ),
        th.Property(
            "program_ids",
            th.ArrayType(th.StringType(min_length=1)),
            title="Programs",
            description="Ids of the programs to read; all programs when absent or empty.",
        ),
        th.Property(
            "start_date",
            th.DateTimeType,
            title="Start date",
            description=(
                "Where there is no bookmark yet, enrollments and grades that changed at or after this time (UTC unless "
                "it names a zone); everything when absent."
            ),
        ),
        th.Property(
            "page_size",
            th.IntegerType(minimum=1, maximum=1000),
            default=1000,
            title="Page size",
            description="Rows per request.",
        ),
        th.Property(
            "report_lag_hours",
            th.IntegerType(minimum=0, maximum=8760),
            default=72,
            title="Report lag (hours)",
            description="How far before its bookmark a report is read again, because rows can arrive that late.",
        ),
        th.Property(
            "request_timeout",
            th.IntegerType(minimum=1, maximum=3600),
            default=120,
            title="Request timeout (seconds)",
            description="How long to wait for an answer before asking again.",
        ),
        th.Property(
            "grade_sync",
            th.StringType,
            default="changed",
            allowed_values=["changed", "full"],
            title="Grade sync",
            description="Write grades of gradebook rows that changed since the bookmark, or all of them each time.",
        ),
        th.Property(
            "user_agent",
            th.StringType(min_length=1),
            default="tap-coursera/0.1.0",
            title="User agent",
            description="What the tap calls itself in requests.",
        ),
        th.Property(
            "emit_activate_version_messages",
            th.BooleanType,
            default=False,
            title="Mark vanished rows",
            description=(
                "After a stream has been read completely in FULL_TABLE mode, write ACTIVATE_VERSION, so that the "
                "loader can mark rows that were not among them."
            ),
        ),
    ).to_dict()

    @cached_property
    def client(self) -> Client:
        """One session and one token for all streams."""
        return Client(self.config)

    @override
    def discover_streams(self) -> Sequence[streams.CourseraStream]:
        return [stream(self) for stream in STREAMS]

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        if unset := [name for name in ("client_id", "client_secret", "org_id") if self._config.get(name, "") == ""]:
            variables = ", ".join(f"{self.name}_{name}".replace("-", "_").upper() for name in unset)
            problem = f"{', '.join(unset)} not set: put what is missing into the configuration, or into {variables}."
            if raise_errors:
                # Not a ConfigValidationError, after which the SDK's last word would be that validation failed.
                raise TapError(problem)
            return [problem]
        for name in ("client_id", "client_secret"):
            # The SDK would repeat the value.
            if not isinstance(self._config.get(name, ""), str):
                problem = f"{name} has to be text: put it in quotes"
                raise ConfigValidationError(problem, errors=[problem])
        found = super()._validate_config(raise_errors=raise_errors)
        if start := self._config.get("start_date"):
            try:
                milliseconds(start)
            except ValueError:
                problem = "start_date is not a time: write it like 2026-01-31 or 2026-01-31T00:00:00Z"
                if raise_errors:
                    raise ConfigValidationError(problem, errors=[problem]) from None
                found.append(problem)
        return found

    # On the command line

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        # The SDK would write a STATE into the middle of a message and exit with 0, as if everything had been read.
        self.logger.warning("Stopped by signal %d before everything was read.", signum)
        sys.exit(128 + signum)

    @classmethod
    @override
    def invoke(cls, **options: Any) -> None:
        with _one_sentence(cls.logger):
            super().invoke(**options)

    @classmethod
    @override
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        with _one_sentence(cls.logger):
            super().cb_test(ctx, param, value)


@contextmanager
def _one_sentence(logger: logging.Logger) -> Iterator[None]:
    """End with exit code 1 and one sentence where an operator can do something; the traceback is for debugging."""
    try:
        yield
    except TapError as error:
        logger.error("%s", error, exc_info=logger.isEnabledFor(logging.DEBUG))  # noqa: TRY400 - see above
        sys.exit(1)
    except ConfigValidationError as error:
        # The SDK handles it in a run, and lets it through in a test.
        for problem in error.errors:
            logger.error("%s", problem)  # noqa: TRY400
        sys.exit(1)
    except ValueError as error:
        if type(error).__name__ != "JSONDecodeError":  # the SDK reads files with simplejson, whose error is its own
            raise
        logger.error(  # noqa: TRY400 - the text of the error holds a part of the file
            "A file given with --config, --catalog or --state is not JSON: write it again, or leave an empty one out."
        )
        sys.exit(1)
    except BrokenPipeError:
        # Python would complain again when it flushes at exit.
        sys.stdout = None
        logger.error("The loader stopped reading, so the tap stops too: see the loader's own message.")  # noqa: TRY400
        sys.exit(1)
