"""What all streams share: from a list endpoint to rows, and what is remembered of those that are read incrementally.

Programs lead to the streams that exist once per program.

The SDK offers no hook for some of what happens here, so these of its internals are relied upon, and
`test_sdk_internals.py` fails when one of them changes: `_write_schema_message`, `_write_activate_version_message`,
`_write_record_message`, `_write_state_message`, `_increment_stream_state`, `finalize_state_progress_markers`, `sync`,
`_stream_version` and `_initialized_at` of a stream; `_validate_config`, `_config`, `_setup_signal_handlers` and
`sync_all` of a tap.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from singer_sdk import SchemaDirectory, StreamSchema, metrics
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.streams import Stream
from typing_extensions import override

from tap_coursera import direct, schemas
from tap_coursera.errors import TapError
from tap_coursera.paging import BUSINESSES, Listing, read
from tap_coursera.progress import RowCounter, count_odd_rows
from tap_coursera.records import FIRST_MOMENT, PROBLEMS, RowReader, milliseconds, possible, rfc3339
from tap_coursera.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from singer_sdk.helpers._batch import BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog

    from tap_coursera.paging import Dialect
    from tap_coursera.tap import TapCoursera
    from tap_coursera.typed import Raw
    from tap_coursera.writing import MessageWriter

SECOND, HOUR = 1_000, 3_600_000
"""Milliseconds."""
VERSION = "version"
"""In the state of a stream: the last one that its rows were sent under."""
AS_OF = "report_updated_at"
"""In the state of a program: how old the report was when it was read last."""


@dataclass
class Brought:
    """What a stream has brought in the program that is being read."""

    rows: int = 0
    repaired: int = 0
    left_out: int = 0
    """Rows without what makes them unique."""
    lacking: set[str] = field(default_factory=set)
    """The columns that were missing in them."""
    outranked: int = 0
    """Ids of which there were several rows, so that the newer one counts."""

    def __add__(self, other: Brought) -> Brought:
        return Brought(
            self.rows + other.rows,
            self.repaired + other.repaired,
            self.left_out + other.left_out,
            self.lacking | other.lacking,
            self.outranked + other.outranked,
        )


def belongs(raw: Raw, program: object, name: str = "programId") -> bool:
    """Whether a row names this program in that field, or names none; a text that had to be repaired is no name."""
    named = raw.get(name)
    return named == program or not isinstance(named, str) or not named or name in getattr(raw, "repaired", ())


class CourseraStream(Stream):
    """A list endpoint; `path` and `params` may refer to `{program_id}`."""

    path: str
    params: ClassVar[Mapping[str, str]] = {}
    schema: ClassVar[StreamSchema] = StreamSchema(SchemaDirectory(resources.files(schemas)))
    known_elsewhere: ClassVar[frozenset[str]] = frozenset()
    """Fields of the vendor's rows that belong to another stream."""
    id_parts: ClassVar[tuple[str, ...]] = ()
    """Fields that make up the vendor's `id`, joined by `~`; used for rows that come without one."""
    program_field: ClassVar[str] = "programId"
    """Field of the vendor's rows that holds the program."""
    dialect: ClassVar[Dialect] = BUSINESSES
    rank: ClassVar[Callable[[Raw], int] | None] = None
    """Of rows with one id the one of the highest rank counts; without it the first one."""

    # What is read whole needs no bookmark, so the state stays small however many programs there are.
    state_partitioning_keys: Sequence[str] | None = ()

    # RowReader has given every value its type, at a tenth of the price.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: TapCoursera) -> None:
        super().__init__(tap)
        self._coursera = tap
        self._announced = False
        self._told: set[str] = set()
        self._counter: RowCounter | None = None
        """The newest one."""
        self._is_alone = False
        """Whether rows need not go through the SDK's loop."""
        self._handed_over = 0
        """Rows that did not in this run through it."""
        self._own = tuple(self.schema["properties"])
        self._unwanted: list[str] = []
        self.brought = Brought()
        self._brought_before = Brought()
        """In the programs that were read before."""
        self.incomplete = False
        """Whether rows may be missing although the run goes on, so that nothing may count as gone."""
        self.is_unsure = False
        """Whether all rows are there, and nobody can tell which of those of before they are."""
        self.as_of: int | None = None
        """How old the report is that is being read (epoch milliseconds), if there is one that tells."""
        self.reader = RowReader(self.name, self.schema, self.known_elsewhere, self.replication_key)

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        super().apply_catalog(catalog)
        if entry := catalog.get_stream(self.name):
            # The SDK drops what a catalog deselects by looking at each value, and not what the catalog does not name.
            named = entry.schema.to_dict().get("properties", {})
            self._unwanted = [
                name for name in self._own if name not in named or (self.selected and not self.mask["properties", name])
            ]

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        for raw in self.raw_rows(context):
            yield from self.rows(raw, context)
        self.tell_unknown_fields()

    def raw_rows(self, context: Context | None) -> Iterator[Raw]:
        """The vendor's rows, each once."""
        return self.read(self.foreseen(context), context)

    def foreseen(self, context: Context | None) -> Iterable[Listing]:
        """The lists that are sure to be read next in this program, in their order, as far as they are known beforehand.

        It may be asked long before that is done, and changes nothing.
        """
        return [self.listing(context, {})]

    def listing(self, context: Context | None, extra: Mapping[str, str]) -> Listing:
        """The stream's list in this program, with extra parameters."""
        program = {} if context is None else dict(context)
        return Listing(
            self._coursera.client,
            self.name,
            self.path.format(
                org_id=quote(self._coursera.client.org_id, safe=""),
                **{name: quote(value, safe="") for name, value in program.items()},
            ),
            {name: value.format(**program) for name, value in self.params.items()} | dict(extra),
            self.page_size,
            self.id_parts,
            self.dialect,
            rank=type(self).rank,
            fields=self.reader.known,
        )

    def read(self, listings: Iterable[Listing], context: Context | None) -> Iterator[Raw]:
        """The vendor's rows of these lists that belong to the program, each once."""
        seen, foreign = Seen(), Counter[str]()
        for raw in read(listings, seen):
            if not context or belongs(raw, context["program_id"], self.program_field):
                yield raw
            else:
                foreign[raw[self.program_field]] += 1
        self.brought.outranked += len(seen.rivals)
        self.leave_out(foreign, is_filtered="{program_id}" not in self.path)

    def leave_out(self, foreign: Counter[str], *, is_filtered: bool) -> None:
        """Count the rows that name another program than the one that was asked for, as rows whose program is wrong.

        Args:
            foreign: how many rows name which other program.
            is_filtered: the program is a parameter. A server that ignores it shows rows of other programs as well,
                which are read with their own program.
        """
        if foreign and not (is_filtered and foreign.keys() & self._coursera.listed_programs):
            self.brought.left_out += foreign.total()
            self.brought.lacking.add("program_id")
            self.is_unsure = True

    @property
    def page_size(self) -> int | None:
        """Rows per request; None for an address that takes no `limit`."""
        size: int = self.config["page_size"]
        return size

    def rows(self, raw: Raw, context: Context | None) -> Iterator[Record]:
        """The stream's rows in one row of the vendor's."""
        yield from self.placed(self.reader.read(raw), context)

    def placed(self, row: Record, context: Context | None) -> Iterator[Record]:
        """The row with its program, which Coursera documents but does not promise to repeat in every row.

        A row without what makes it unique is counted and left out.
        """
        if context is not None:
            row["program_id"] = context["program_id"]
        for key in self.primary_keys:
            if not row[key] or row[key].isspace():
                self.brought.left_out += 1
                self.brought.lacking |= {key for key in self.primary_keys if not row[key] or row[key].isspace()}
                return
        self.brought.rows += 1
        if row[PROBLEMS] is not None:
            self.brought.repaired += 1
        for name in self._unwanted:
            del row[name]
        yield row

    def tell_unknown_fields(self) -> None:
        """Say once what Coursera sent and the schema does not know; names only."""
        if new := self.reader.unknown - self._told:
            self._told |= new
            self.log("Coursera sends fields that are left out: %s", ", ".join(sorted(new)))

    # What the SDK writes before the records, and what only after the last of them

    @property
    @override
    def emit_activate_version_messages(self) -> bool:
        # The SDK would write ACTIVATE_VERSION ahead of the records: a run that dies would leave rows marked as gone.
        return False

    @property
    def _activates(self) -> bool:
        wanted = bool(self.config.get("emit_activate_version_messages")) and self.replication_method == "FULL_TABLE"
        brought = self._brought_before
        # Where no row could be told from others, it is not sure that anybody is gone.
        is_whole = not self.incomplete and not self.is_unsure
        return wanted and is_whole and (brought.rows > 0 or not brought.left_out)

    @cached_property
    def _version(self) -> int:
        """Larger than that of any run before, whatever this machine's clock says."""
        state = self.tap_state.setdefault("bookmarks", {}).setdefault(self.name, {})
        last = state.get(VERSION)
        version = max(self._initialized_at, last + 1) if isinstance(last, int) else self._initialized_at
        state[VERSION] = version
        return version

    @override
    def _write_schema_message(self) -> None:
        # The SDK would repeat it for every program.
        if not self._announced:
            self._announced = True
            self._stream_version = self._version if self._activates else None
            super()._write_schema_message()

    @override
    def _write_record_message(self, record: Record) -> None:
        if (writer := self._writer) is None:
            super()._write_record_message(record)
        else:
            writer.write_row(self.name, record, self._stream_version)
            self.state_manager.is_flushed = False

    @cached_property
    def _writer(self) -> MessageWriter | None:
        return direct.writer(self, self._coursera.message_writer)

    @override
    def generate_child_contexts(self, record: Record, context: Context | None) -> Iterable[Context | None]:
        # The SDK would make a context for each row, and then find that nobody wants it.
        return super().generate_child_contexts(record, context) if self.child_streams else ()

    @override
    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        # The tap calls this without a state once a stream and all its programs have been read to the end.
        super().finalize_state_progress_markers(state)
        if not state and self.selected and self._activates:
            self._write_schema_message()
            self._write_activate_version_message(self._version)
        if not state:
            self._tell_odd_rows()
            self._coursera.progress.over(self.name)

    @override
    def get_batch_config(self, config: Mapping[str, Any]) -> BatchConfig | None:
        # The SDK would read each stream by itself, past stream maps; here the writer puts rows into files.
        return None

    # What is told of it on the way

    @override  # type: ignore[misc] # final, but there is no hook around it
    def sync(self, context: Context | None = None) -> None:
        self._coursera.client.agenda.turn((self.name, context))
        self._handed_over = 0
        # The SDK puts a deselected program back into each row.
        self._is_alone = direct.is_alone(self) and self._writer is not None and "program_id" not in self._unwanted
        with self._coursera.progress.during(self.name):
            super().sync(context)
        if self.selected and not self.incomplete:
            self._coursera.reads.append(self._read_row(context))
        self._brought_before += self.brought
        self.brought = Brought()

    def _tell_odd_rows(self) -> None:
        brought = self._brought_before
        if brought.repaired:
            self.logger.warning(
                "%d rows of %s hold values that Coursera does not document, or characters that no text can hold: their "
                "column row_problems says which.",
                brought.repaired,
                self.name,
            )
        if brought.left_out:
            self.logger.warning(
                "%d rows of %s came without a usable %s and are left out, since they cannot be told from others: "
                "report it to Coursera if it stays.",
                brought.left_out,
                self.name,
                ", ".join(sorted(brought.lacking)),
            )
        count_odd_rows(self.name, brought.repaired, brought.left_out)

    def _read_row(self, context: Context | None) -> Record:
        """What `stream_reads` says of this stream in this program."""
        brought, read_at = self.brought, self._coursera.client.tallies[self.read_with].read_at
        return {
            "stream": self.name,
            "program_id": "" if context is None else context["program_id"],
            "read_at": rfc3339(self._coursera.client.now() if read_at is None else read_at),
            "rows_read": brought.rows,
            "rows_repaired": brought.repaired,
            "rows_left_out": brought.left_out,
            "left_out_for": ",".join(sorted(brought.lacking)) or None,
            "rows_outranked": brought.outranked,
            "report_updated_at": None if self.as_of is None else rfc3339(self.as_of),
            "began_at": rfc3339(self._initialized_at),
            "covered": " ".join(sorted(self.covering)) or None,
        }

    covering: frozenset[str] = frozenset()
    """Courses of which the gradebook is read for every learner; `*` stands for all."""

    @property
    def read_with(self) -> str:
        """The stream whose requests bring its rows."""
        return self.name

    @override
    def get_record_counter(
        self, *, endpoint: str | None = None, log_interval: float = metrics.DEFAULT_LOG_INTERVAL
    ) -> metrics.Counter:
        self._counter = RowCounter(self._coursera.progress.of(self.name))
        return self._counter

    @override
    def log(self, message: str, *args: Any, **options: Any) -> None:
        # The error itself follows, and says more.
        if not message.startswith("An unhandled error occurred"):
            super().log(message, *args, **options)


class IncrementalStream(CourseraStream):
    """Remembers the newest change that was written: for a report per program, else for the organisation.

    A bookmark moves once the list behind it was read to the end, never backwards, and never by a clock of ours.
    """

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        since = self.since(context)
        self.begin_reading()
        latest = 0
        write = self._hand_over if self._is_alone else None
        for raw in self.raw_rows(context):
            changed = self.reader.moment(raw)
            if self.wants(raw, changed, since):
                for row in self.rows(raw, context):
                    if write is None:
                        yield row
                    else:
                        write(row)
                    if changed and changed > latest:
                        latest = changed
        self.tell_unknown_fields()
        self.advance(context, latest)

    def begin_reading(self) -> None:
        """What the API's clock says now is the time of the run that decides which moments can be true."""
        self.reader.now = self._coursera.client.now()
        self.reader.undated = 0

    def _hand_over(self, row: Record) -> None:
        """Write a row in place of the SDK, and count it: half of its loop over rows asks for what nobody wants here."""
        self._write_record_message(row)
        self._handed_over += 1
        if self._handed_over % self.STATE_MSG_FREQUENCY == 0:
            self._write_state_message()
        if self._counter is not None:
            self._counter.increment()

    def since(self, context: Context | None) -> int | None:
        """Epoch milliseconds from which on rows are wanted: bookmark less look-back, or `start_date`, or None."""
        if not self.remembers:
            return None
        if (mark := self.mark(context)) and self.covers(context):
            return max(1, mark - int(self.config["report_lag_hours"]) * HOUR)
        return self.start

    def covers(self, context: Context | None) -> bool:  # noqa: ARG002 - for those whose settings widen what is read
        """Whether the bookmark speaks for all that is to be read now; otherwise all is read once from the beginning."""
        return True

    def mark(self, context: Context | None) -> int:
        """Epoch milliseconds up to which all is read, but for what arrives late; 0 when nothing is."""
        return self.bookmark(context)

    @property
    def start(self) -> int | None:
        """`start_date` in epoch milliseconds; None where it leaves nothing out."""
        start: str | None = self.config.get("start_date")
        return moment if start and (moment := milliseconds(start)) > FIRST_MOMENT else None

    @property
    def remembers(self) -> bool:
        """Whether bookmarks count, and move."""
        return bool(self.replication_method != "FULL_TABLE")

    def wants(self, raw: Raw, changed: int | None, since: int | None) -> bool:  # noqa: ARG002 - Coursera has filtered
        """Whether a row that changed then is to be written."""
        return True

    def advance(self, context: Context | None, latest: int) -> None:
        """Move the bookmark once all rows are written; never backwards."""
        if self.remembers and latest > self.bookmark(context):
            state = self.get_context_state(context)
            state |= {"replication_key": self.replication_key, "replication_key_value": rfc3339(latest)}

    def forget_impossible(self, now: int) -> bool:
        """Drop bookmarks that no run can have come to (a row's own time may have lied): all is read once more.

        Args:
            now: the time of the run, epoch milliseconds.

        Returns:
            Whether there was one.
        """
        state = self.tap_state.get("bookmarks", {}).get(self.name, {})
        found = False
        for one in (state, *state.get("partitions", ())):
            for name in ("replication_key_value", AS_OF):
                with suppress(AttributeError, TypeError, ValueError):  # what is no time is told when it is needed
                    if one.get(name) and not possible(milliseconds(one[name]), now):
                        found = True
                        for mark in ("replication_key_value", AS_OF):
                            one.pop(mark, None)
        return found

    def bookmark(self, context: Context | None, name: str = "replication_key_value") -> int:
        """A time in the state, epoch milliseconds; 0 when there is none."""
        value = self.remembered(context).get(name)
        try:
            return milliseconds(value) if value else 0
        except (AttributeError, TypeError, ValueError):
            raise TapError(
                f"The state holds a bookmark of {self.name} that is not a time: give the state that a run of this tap "
                "wrote, or none to read everything again."
            ) from None

    def remembered(self, context: Context | None) -> Mapping[str, Any]:
        """What the state holds; to look at only."""
        # get_context_state would make an entry where there is none.
        state: dict[str, Any] = self.tap_state.get("bookmarks", {}).get(self.name, {})
        if context is None:
            return state
        return next((one for one in state.get("partitions", ()) if one.get("context") == context), {})

    @override
    def _increment_stream_state(self, latest_record: Record, *, context: Context | None = None) -> None:
        # `advance` does it, when the list is complete: the SDK compares times as text and may step backwards.
        pass

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        # The SDK would cap bookmarks at the local clock, which no report keeps to.
        return None
