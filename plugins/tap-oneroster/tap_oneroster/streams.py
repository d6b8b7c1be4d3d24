"""The streams: one per file of a package, and what a gradebook needs of several files."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from singer_sdk import Stream
from typing_extensions import override

from tap_oneroster import gradebook, types
from tap_oneroster.packages import columns

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from singer_sdk.helpers.types import Context, Record

    from tap_oneroster.packages import Package
    from tap_oneroster.tap import TapOneRoster


class PackageStream(Stream):
    """A stream whose bookmark is the digest of the package that was read last.

    After rows that are complete, ACTIVATE_VERSION says that all others have left. The SDK sends it before the rows,
    where a run that is cut off would seem to say that nothing is left.
    """

    emit_activate_version_messages = False
    _tap: TapOneRoster

    def __init__(self, tap: TapOneRoster, name: str, schema: dict[str, Any], key: str) -> None:
        super().__init__(tap, schema=schema, name=name)
        self.primary_keys = (key,)

    @property
    def news(self) -> tuple[Package, ...]:
        """The packages that were not read yet, oldest first."""
        bookmark = "" if self.config["reread"] else self.stream_state.get("package", "")
        return self._tap.series.after(bookmark)

    @property
    def is_complete(self) -> bool:
        """Whether the rows to send are all that there are."""
        raise NotImplementedError

    @override
    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[dict[str, Any], Any, Any]:
        news = self.news
        self._stream_version = self.stream_state.get("version")
        if news and self.is_complete:
            self._stream_version = self._tap.initialized_at
        for record in super()._sync_records(context, write_messages=False):
            if write_messages:
                self._write_record_message(record)
            yield record
        if news:
            if self.is_complete and write_messages and self.config.get("emit_activate_version_messages", True):
                self._write_activate_version_message(self._tap.initialized_at)
            self.stream_state["package"] = news[-1].digest
            if self._stream_version is not None:
                self.stream_state["version"] = self._stream_version
            self.state_manager.is_flushed = False
        if write_messages:
            self._write_state_message()


class FileStream(PackageStream):
    """The rows of one file as they are in the packages that were not read yet."""

    def __init__(self, tap: TapOneRoster, file: str) -> None:
        self._columns = {column.name: column for column in columns(tap.series, file)}
        super().__init__(tap, file, types.schema(list(self._columns.values())), "sourcedId")

    @property
    def _packages(self) -> list[Package]:
        """The packages to read: a bulk file makes those before it superfluous."""
        unread = {package.digest for package in self.news}
        return [package for package in self._tap.series.since_bulk(self.name) if package.digest in unread]

    @property
    @override
    def is_complete(self) -> bool:
        return any(package.modes.get(self.name) == "bulk" for package in self._packages)

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        for package in self._packages:
            for row in package.rows(self.name):
                yield {name: types.value(self._columns[name], cell) for name, cell in row.items()}


class GradebookStream(PackageStream):
    """A stream over several files, which sends all its rows whenever there is a new package."""

    def __init__(self, tap: TapOneRoster, name: str) -> None:
        text = (files("tap_oneroster") / "schemas" / f"{name}.json").read_text("utf-8")
        super().__init__(tap, name, json.loads(text), "id")

    @property
    @override
    def is_complete(self) -> bool:
        return self._tap.series.is_complete("lineItems" if self.name == "line_items" else "results")

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        if self.news:
            yield from self._rows()

    def _rows(self) -> Iterator[Record]:
        held = self._tap.gradebook
        if self.name == "line_items":
            return gradebook.line_items(held, self.config["total_category"])
        return gradebook.scores(held)
