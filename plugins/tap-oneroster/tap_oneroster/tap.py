"""The tap: its settings, its streams, and how it tells an operator that it cannot go on."""

from __future__ import annotations

import atexit
import logging
import sys
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Tap
from singer_sdk import typing as th
from typing_extensions import override

from oneroster_csv.errors import OneRosterError
from oneroster_csv.scratch_folder import scratch_folder
from tap_oneroster import gradebook, packages
from tap_oneroster.streams import FileStream, GradebookStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import click

    from oneroster_csv.database import Scratch
    from tap_oneroster.packages import Series
    from tap_oneroster.streams import PackageStream

DERIVED = ("line_items", "scores")
"""The streams that are joined from several files."""


class TapOneRoster(Tap):
    """Singer tap for OneRoster CSV packages, versions 1.1 and 1.2, bulk and delta."""

    name = "tap-oneroster"
    package_name = "tap-oneroster"

    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property(
            "path",
            th.StringType(min_length=1),
            required=True,
            title="Path",
            description=(
                "A package (a zip), a folder with the CSV files of one package, or a folder of packages, of which the "
                "newest is read."
            ),
        ),
        th.Property(
            "reread",
            th.BooleanType,
            default=False,
            title="Read again",
            description="Whether a package is sent again that was read before.",
        ),
        th.Property(
            "total_category",
            th.StringType,
            default="Final grade",
            title="Category of course totals",
            description="Title of the category whose line items are the grade of a whole class.",
        ),
        th.Property(
            "emit_activate_version_messages",
            th.BooleanType,
            default=True,
            title="Emit ACTIVATE_VERSION",
            description="Whether the end of a bulk file tells a target that all rows which were not in it have left.",
        ),
    ).to_dict()

    @cached_property
    def _resources(self) -> ExitStack:
        stack = ExitStack()
        atexit.register(stack.close)
        return stack

    @cached_property
    def _scratch(self) -> Path:
        """A private folder of this process."""
        return self._resources.enter_context(scratch_folder("tap-oneroster-"))

    @cached_property
    def series(self) -> Series:
        """The packages, copied and checked."""
        return packages.read(Path(self.config["path"]).expanduser(), self._scratch)

    @cached_property
    def gradebook(self) -> Scratch:
        """A database with the files that a gradebook needs."""
        return self._resources.enter_context(gradebook.held(self.series, self._scratch))

    @override
    def discover_streams(self) -> Sequence[PackageStream]:
        files = [FileStream(self, file) for file in self.series.binding.files]
        return [*files, *(GradebookStream(self, name) for name in DERIVED)]

    @override  # type: ignore[misc] # final, but there is no hook around it
    def sync_all(self) -> None:
        super().sync_all()
        self._resources.close()

    @classmethod
    @override
    def invoke(cls, **options: Any) -> None:
        with _one_sentence(cls.logger):
            super().invoke(**options)

    @classmethod
    @override
    def cb_discover(cls, ctx: click.Context, param: click.Option, value: bool) -> None:
        with _one_sentence(cls.logger):
            super().cb_discover(ctx, param, value)

    @classmethod
    @override
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        with _one_sentence(cls.logger):
            super().cb_test(ctx, param, value)


@contextmanager
def _one_sentence(logger: logging.Logger) -> Iterator[None]:
    """End with exit code 1 and one sentence if a package cannot be read."""
    try:
        yield
    except OneRosterError as error:
        logger.error("%s", error, exc_info=logger.isEnabledFor(logging.DEBUG))  # noqa: TRY400 - see above
        sys.exit(1)
    except BrokenPipeError:
        sys.stdout = None  # Python would complain again when it flushes at exit
        logger.error("The target stopped reading, so the tap stops too: see the target's own message.")  # noqa: TRY400
        sys.exit(1)
