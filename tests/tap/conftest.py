"""Runs the tap inside the test's own process and keeps what it wrote."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from singer_sdk.singerlib import Catalog

from coursera_sandbox.testing import RunningSandbox
from tap_coursera import client, reads
from tap_coursera.tap import STREAMS, TapCoursera

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from singer_sdk.singerlib import Message

    from tests.conftest import StartSandbox

Json = dict[str, Any]
MACHINE = 1_800_000_000_000
"""This machine's clock, which stands still (epoch milliseconds)."""


@pytest.fixture(scope="session")
def standing_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """A college of 120 learners in which time stands still, for all tests that leave its clock alone."""
    running = RunningSandbox(tmp_path_factory.mktemp("sandbox"))
    yield running
    running.stop()


@pytest.fixture
def sandbox(standing_sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    """The standing college, without faults; not to be advanced."""
    yield standing_sandbox
    standing_sandbox.clear_faults()


@pytest.fixture
def moving_sandbox(start_sandbox: StartSandbox) -> RunningSandbox:
    """A college of 120 learners of the test's own, to be advanced."""
    return start_sandbox()


@dataclass
class Output:
    """What a run wrote, in order; also when it failed in the middle."""

    messages: list[Json] = field(default_factory=list)

    def write_message(self, message: Message) -> None:
        """Take a message from the tap."""
        self.messages.append(copy.deepcopy(message.to_dict()))

    def of(self, kind: str, stream: str | None = None) -> list[Json]:
        """Messages of a type."""
        return [m for m in self.messages if m["type"] == kind and stream in {None, m.get("stream")}]

    def records(self, stream: str) -> list[Json]:
        """Rows of a stream."""
        return [message["record"] for message in self.of("RECORD", stream)]

    @property
    def state(self) -> Json:
        """The last bookmarks."""
        states = self.of("STATE")
        value: Json = states[-1]["value"] if states else {}
        return value

    def activated(self) -> set[str]:
        """Streams whose missing rows count as gone."""
        return {message["stream"] for message in self.of("ACTIVATE_VERSION")}


class ReadTap(Protocol):
    """One run of the tap."""

    def __call__(
        self,
        config: Json,
        *,
        select: Iterable[str] | None = None,
        state: Json | None = None,
        full: bool = False,
        into: Output | None = None,
    ) -> Output: ...


@pytest.fixture
def read_tap(monkeypatch: pytest.MonkeyPatch) -> ReadTap:
    """Run the tap: `select` names streams (all by default), `full` forces FULL_TABLE, `into` survives a failure."""
    monkeypatch.setattr(client, "BACKOFF_BASE", 0.001)
    # Two runs that did the same end with the same state.
    monkeypatch.setattr(reads, "milliseconds_now", lambda: MACHINE)
    monkeypatch.setattr(TapCoursera, "initialized_at", MACHINE)

    def run(
        config: Json,
        *,
        select: Iterable[str] | None = None,
        state: Json | None = None,
        full: bool = False,
        into: Output | None = None,
    ) -> Output:
        output = Output() if into is None else into
        names = {stream.name for stream in STREAMS} if select is None else set(select)
        catalog = TapCoursera(config=dict(config)).catalog_dict
        for entry in catalog["streams"]:
            root = next(item["metadata"] for item in entry["metadata"] if item["breadcrumb"] in ([], ()))
            root["selected"] = entry["tap_stream_id"] in names
            if full:
                root["forced-replication-method"] = "FULL_TABLE"
                entry["replication_method"] = "FULL_TABLE"
        tap = TapCoursera(
            config=dict(config),
            catalog=Catalog.from_dict(catalog),
            state=copy.deepcopy(state),
            message_writer=output,  # type: ignore[arg-type] # takes the place of a writer
        )
        tap.sync_all()
        return output

    return run
