"""The tap: its streams, its command, and how it tells an operator that it cannot go on."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager, nullcontext
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

import click
from singer_sdk import Tap
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.singerlib import StateMessage
from typing_extensions import override

from tap_coursera import connection, grades, materials, programs, reads, reports, settings, skills, streams
from tap_coursera.base import CourseraStream, IncrementalStream
from tap_coursera.client import Client
from tap_coursera.errors import TapError
from tap_coursera.progress import Progress
from tap_coursera.stopping import Stopped, stop
from tap_coursera.writing import MessageWriter

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from contextlib import AbstractContextManager

    from singer_sdk.helpers.types import Record
    from singer_sdk.streams import Stream

    from tap_coursera.agenda import Turns

STREAMS: tuple[type[CourseraStream], ...] = (
    streams.Organizations,
    programs.Programs,
    programs.ProgramContents,
    streams.ProgramMemberships,
    streams.ProgramInvitations,
    reports.Enrollments,
    grades.CourseGrades,  # before ItemGrades, which it feeds
    grades.ItemGrades,
    materials.CourseMaterials,  # after Enrollments, which tells the courses
    streams.CurriculumCollections,
    streams.Users,
    streams.Contents,
    skills.Skillsets,
    skills.SkillsetProgress,
    reads.StreamReads,  # last, since it tells what the others brought
)

CONNECTION = "connection"
"""What a plain `--test` tests."""
NOT_JSON = "A file given with --config, --catalog or --state is not JSON: write it again, or leave an empty one out."


class TapCoursera(Tap):
    """Singer tap for the Coursera Enterprise API: programs, learners, enrollments and grades."""

    name = "tap-coursera"
    package_name = "tap-coursera"
    message_writer_class = MessageWriter

    config_jsonschema: ClassVar[dict[str, Any]] = settings.PROPERTIES.to_dict()

    @cached_property
    def client(self) -> Client:
        """One session and one token for all streams."""
        client = Client(self.config)
        client.workers.before_waiting = self._flush
        return client

    @cached_property
    def progress(self) -> Progress:
        """How far the run is."""
        return Progress(self.client.tallies.__getitem__)

    @cached_property
    def reads(self) -> list[Record]:
        """What each stream has brought in each program that was read to the end in this run."""
        return []

    @cached_property
    def listed_programs(self) -> set[str]:
        """Ids of all programs that this run was shown, whichever of them it reads."""
        return set()

    def forget_other_programs(self, ids: Collection[str]) -> None:
        """Drop the bookmarks of programs that are not read any more: one that comes back is read from its beginning."""
        for name, bookmark in self.state.get("bookmarks", {}).items():
            if isinstance(self.streams.get(name), reports.ProgramReportStream) and "partitions" in bookmark:
                bookmark["partitions"] = [
                    one for one in bookmark["partitions"] if one.get("context", {}).get("program_id") in ids
                ]

    @override
    def discover_streams(self) -> Sequence[CourseraStream]:
        return [stream(self) for stream in STREAMS]

    @override  # type: ignore[misc] # final, but there is no hook around it
    def load_streams(self) -> list[Stream]:
        # The SDK puts them in order by name.
        return sorted(super().load_streams(), key=lambda stream: isinstance(stream, reads.StreamReads))

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        self._config = settings.completed(self._config)
        found = settings.problems(self._config)
        if found and raise_errors:
            raise ConfigValidationError("\n".join(found), errors=found)
        # The SDK checks its own settings.
        return found or super()._validate_config(raise_errors=raise_errors)

    @override  # type: ignore[misc] # final, but there is no hook around it
    def sync_all(self) -> None:
        stop.defer()
        with self.progress.shown(), self._by_file():
            self._forget_impossible()
            self.client.agenda.plan(self._turns())
            try:
                super().sync_all()
            except Stopped:
                self._write_last_state()
                raise
            finally:
                self.client.agenda.plan(iter(()))
                self._flush()

    def _turns(self) -> Turns:
        """The streams in the order in which the SDK syncs them, each with what it is sure to read."""
        for stream in self.streams.values():
            if not isinstance(stream, CourseraStream) or stream.parent_stream_type or not _is_read(stream):
                continue
            yield (stream.name, None), partial(stream.foreseen, None)
            if isinstance(stream, programs.Programs):
                children = [one for one in stream.child_streams if isinstance(one, CourseraStream) and _is_read(one)]
                # A stream map may leave out a program, and what is in it.
                while children and (not stream.names or type(stream.stream_maps[0]) is not SameRecordTransform):
                    yield None
                for context in stream.contexts():
                    for child in children:
                        yield (child.name, context), partial(child.foreseen, context)

    def _forget_impossible(self) -> None:
        """Drop bookmarks that cannot be true, which an earlier release took from rows that lied."""
        if not self.state.get("bookmarks"):
            return
        now = self.client.now()
        incremental = (stream for stream in self.streams.values() if isinstance(stream, IncrementalStream))
        if dropped := [stream.name for stream in incremental if stream.forget_impossible(now)]:
            self.logger.warning(
                "The state holds bookmarks of %s that cannot be true (before 2012, or later than this run): they are "
                "dropped, and what they stood for is read whole once.",
                ", ".join(dropped),
            )

    def _by_file(self) -> AbstractContextManager[None]:
        writer = self.message_writer
        return writer.by_file(self.config.get("batch_config")) if isinstance(writer, MessageWriter) else nullcontext()

    def _flush(self) -> None:
        """Hold back no rows."""
        if isinstance(self.message_writer, MessageWriter):
            self.message_writer.flush()

    def _write_last_state(self) -> None:
        """Where the next run goes on; also when it was said before, since a loader keeps the last one it has read."""
        try:
            self._flush()
            if self.state:
                self.write_message(StateMessage(self.state))
        except BrokenPipeError:
            # Python would complain again when it flushes at exit.
            sys.stdout = None

    # On the command line

    @override
    def _setup_signal_handlers(self) -> None:
        # The SDK's would write a STATE into the middle of a message and exit with 0, as if everything had been read.
        # The command has handlers of its own, and so may have a program that the tap is a part of.
        pass

    @classmethod
    @override
    def invoke(cls, **options: Any) -> None:
        with _one_sentence(cls.logger):
            super().invoke(**options)

    @classmethod
    @override
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        with _one_sentence(cls.logger):
            try:
                return super().cb_config(ctx, param, value)
            except OSError:
                raise TapError(
                    "A file given with --config cannot be read: check its name and who may read it."
                ) from None
            except TypeError:
                raise TapError("A file given with --config is not one JSON object: write it again.") from None

    @classmethod
    @override
    def cb_discover(cls, ctx: click.Context, param: click.Option, value: bool) -> None:
        with _one_sentence(cls.logger):
            super().cb_discover(ctx, param, value)

    @classmethod
    @override
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        with _one_sentence(cls.logger):
            if value == CONNECTION:
                given = ctx.params["config"]
                tap = cls(config=given.config, parse_env_config=given.parse_env, setup_mapper=False)
                ctx.exit(connection.report(connection.checks(tap.client, tap.config), click.echo))
            super().cb_test(ctx, param, value)

    @classmethod
    @override
    def get_singer_command(cls) -> click.Command:
        command = super().get_singer_command()
        for option in command.params:
            if isinstance(option, click.Option) and option.name == "test":
                option.flag_value = CONNECTION
                option.help = (
                    "Test the connection step by step; the exit code tells the first step that failed. --test=schema "
                    "writes the schema of each stream, --test=all a record of each as well."
                )
        return command


def _is_read(stream: CourseraStream) -> bool:
    return bool(stream.selected or stream.has_selected_descendents)


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
        if type(error).__name__ == "JSONDecodeError":  # the SDK reads files with simplejson, whose error is its own
            logger.error(NOT_JSON)  # noqa: TRY400 - the text of the error holds a part of the file
            sys.exit(1)
        # The SDK turns variables into numbers before they are validated.
        found = settings.unreadable_numbers(os.environ)
        for problem in found:
            logger.error("%s", problem)  # noqa: TRY400
        if not found:
            raise
        sys.exit(1)
    except BrokenPipeError:
        # Python would complain again when it flushes at exit.
        sys.stdout = None
        logger.error("The loader stopped reading, so the tap stops too: see the loader's own message.")  # noqa: TRY400
        sys.exit(1)
