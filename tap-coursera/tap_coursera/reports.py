"""The enrollment report: its stream, and how it is asked for what was touched since a time.

Coursera filters by activity, by enrollment and by completion; none of the three sees deletions or new names.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tap_coursera.base import AS_OF, IncrementalStream, belongs
from tap_coursera.errors import RefusedError
from tap_coursera.paging import Listing, read
from tap_coursera.programs import Programs
from tap_coursera.records import epoch, milliseconds_now, possible, rfc3339
from tap_coursera.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from singer_sdk.helpers.types import Context

    from tap_coursera.client import Client
    from tap_coursera.tap import TapCoursera
    from tap_coursera.typed import Raw

FEW = 20_000
"""Rows of the organisation that are held in memory at most, some 2 kB each at worst."""
COURSE = "Course"
_LATEST = 1 << 50
"""Epoch milliseconds that no time reaches."""
TOUCHES = ("lastActivityAt", "enrolledAt", "completedAt")
"""Fields (epoch milliseconds) that the vendor's filters look at."""


class ProgramReportStream(IncrementalStream):
    """A report that is read per program, with a bookmark for each.

    The newest change of a program says little once nothing happens there any more: the days before it would be read
    again every night. So it is remembered, too, as of when the report was: whatever happened long enough before that
    was in it. The vendor's `updatedAt` is meant to be the time of the whole report; should it be the time of a row, the
    oldest one still is no later than the report.
    """

    parent_stream_type = Programs
    state_partitioning_keys = ("program_id",)
    newest: int | None = None
    """The newest `updatedAt` of the report that is being read (epoch milliseconds), if there is one that tells."""

    def programs(self) -> list[Context]:
        """The programs of this run."""
        programs = self._coursera.streams[Programs.name]
        return programs.contexts() if isinstance(programs, Programs) else []

    def marks(self) -> list[int]:
        """From when on (epoch milliseconds) each program that was read before is read."""
        return [since for one in self.programs() if self.mark(one) and (since := self.since(one)) is not None]

    @override
    def mark(self, context: Context | None) -> int:
        return max(self.bookmark(context), self.bookmark(context, AS_OF))

    @override
    def advance(self, context: Context | None, latest: int) -> None:
        # Nothing can be in a report that happened after it.
        super().advance(context, latest if self.newest is None else min(latest, self.newest))
        if self.trusts(latest) and self.as_of is not None and self.as_of > self.bookmark(context, AS_OF):
            self.get_context_state(context)[AS_OF] = rfc3339(self.as_of)

    def trusts(self, latest: int) -> bool:
        """Whether what was read is to be remembered: where all times are impossible, they may be others tomorrow."""
        return self.remembers and (latest > 0 or not self.reader.undated)


def _all_of_it(raw: Raw) -> Raw:
    return raw


@dataclass
class EnrollmentReport:
    """The enrollment report as one stream wants it.

    Args:
        stream: for messages.
        flags: the vendor's parameters that include more rows.
        marks: from when on each program is going to be asked for; see `touched`.
        keep: what to hold in memory of a row; all of it by default.
        typed: decodes a row that is what its schema says, where that is worth while.
        fields: what a row may have.
    """

    client: Client
    stream: str
    page_size: int
    flags: Mapping[str, str]
    marks: Callable[[], list[int]] = list
    keep: Callable[[Raw], Raw] = _all_of_it
    typed: Callable[[Any], Raw] | None = None
    fields: frozenset[str] = frozenset()
    as_of: int | None = field(default=None, init=False)
    """The oldest `updatedAt` (epoch milliseconds) of what was read last; None when there was none."""
    newest: int | None = field(default=None, init=False)
    """The newest one."""
    rivals: int = field(default=0, init=False)
    """Ids so far of which there were several rows, so that the newer one counts."""
    foreign: Counter[str] = field(default_factory=Counter, init=False)
    """Of rows so far that name another program than the one that was asked for, how many name which."""
    _since: int | None = field(default=None, init=False)
    _organisation_dates: tuple[int | None, int | None] = field(default=(None, None), init=False)
    _by_program: dict[str, list[Raw]] | None = field(default=None, init=False)

    def listings(self, program: str | None, since: int | None) -> list[Listing]:
        """The lists in which `rows` are."""
        return [self._listing(program, one) for one in _filters(since)]

    def rows(self, program: str, since: int | None = None) -> Iterator[Raw]:
        """All rows of a program, or those touched at or after a time (epoch milliseconds); each once."""
        for raw in self._dated(self.listings(program, since)):
            if belongs(raw, program):
                yield raw
            else:
                self.foreign[raw["programId"]] += 1

    def touched(self, program: str, since: int) -> Iterator[Raw]:
        """The rows of a program that were touched at or after this time (epoch milliseconds), each once.

        One list for the organisation in place of one per program saves most requests of a quiet night. It is read when
        the first program is asked for, as far back as the program that is furthest behind needs it; each program is
        asked for alone where that list is longer than `FEW`, is refused, or has rows that do not tell their program
        (the vendor's description leaves `programId` out).
        """
        if self._since is None:
            marks = self.marks()
            self._since = min(marks, default=0)
            self._by_program = self._organisation(self._since) if len(marks) > 1 else None
        if self._by_program is None or self._since > since:
            yield from self.rows(program, since)
            return
        self.as_of, self.newest = self._organisation_dates
        for raw in self._by_program.get(program, []):
            if any(_touched(raw.get(name), since) for name in TOUCHES):
                yield raw

    def _organisation(self, since: int) -> dict[str, list[Raw]] | None:
        listings = self.listings(None, since)
        found: dict[str, list[Raw]] = {}
        try:
            for number, raw in enumerate(self._dated(listings)):
                if max(number, *(listing.total or 0 for listing in listings)) > FEW:
                    return None
                program = raw.get("programId")
                if not isinstance(program, str) or not program:
                    return None
                found.setdefault(program, []).append(self.keep(raw))
        except RefusedError:
            return None
        self._organisation_dates = self.as_of, self.newest
        return found

    def _dated(self, listings: Iterable[Listing]) -> Iterator[Raw]:
        before, now = None, self.client.now()
        self.as_of = self.newest = None
        seen = Seen()
        for raw in read(listings, seen):
            # It is the same in most rows.
            if (value := raw.get("updatedAt")) != before:
                before, updated = value, epoch(value)
                if updated is not None and possible(updated, now):
                    self.as_of = min(updated, self.as_of or updated)
                    self.newest = max(updated, self.newest or updated)
            yield raw
        self.rivals += len(seen.rivals)

    def _listing(self, program: str | None, extra: Mapping[str, str]) -> Listing:
        finder = {} if program is None else {"q": "byProgramId", "programId": program}
        return Listing(
            self.client,
            self.stream,
            "/enrollmentReports",
            {**finder, **self.flags, **extra},
            self.page_size,
            ("externalId", "contentType", "contentId"),
            typed=self.typed,
            rank=newer,
            fields=self.fields,
        )


def newer(raw: Raw) -> int:
    """The rank of a row among others of its id: a member's before a deleted member's, then the one touched last."""
    now = milliseconds_now()
    moments = [epoch(raw.get(name)) for name in (*TOUCHES, "deletedAt")]
    touched = max((moment for moment in moments if moment is not None and possible(moment, now)), default=0)
    return touched if raw.get("membershipState") == "DELETED_MEMBER" else _LATEST + touched


def _touched(value: Any, since: int) -> bool:
    """Whether a field tells of something at or after a time, as the vendor's filters ask; what is no time may be."""
    moment = epoch(value)
    return value is not None and (moment is None or moment >= since)


def _filters(since: int | None) -> list[dict[str, str]]:
    """Parameters that find what was touched at or after this time (epoch milliseconds)."""
    if since is None:
        return [{}]
    # lastActivityAfter excludes the moment itself, the other two include it.
    return [
        {"lastActivityAfter": str(since - 1)},
        {"enrollAtAfter": str(since)},
        {"completedAtAfter": str(since)},
    ]


class Enrollments(ProgramReportStream):
    """Progress of each learner in each content of each program."""

    name = "enrollments"
    primary_keys = ("program_id", "id")
    replication_key = "changed_at"

    def __init__(self, tap: TapCoursera) -> None:
        super().__init__(tap)
        self._program_name: str | None = None
        self._courses: tuple[str, set[str]] | None = None

    @cached_property
    def _report(self) -> EnrollmentReport:
        flags = {
            "includeDeletedMembers": "true",
            "includeS12n": "true" if "specializations" in self._includes else "false",
        }
        if "expired_contracts" in self._includes:
            flags["includeExpiredContracts"] = "true"
        return EnrollmentReport(
            self._coursera.client,
            self.name,
            self.config["page_size"],
            flags,
            self.marks,
            typed=self.reader.typed,
            fields=self.reader.known,
        )

    @property
    def _includes(self) -> list[str]:
        """Kinds of rows that are only there when asked for."""
        return [kind for kind in ("expired_contracts", "specializations") if self.config[f"include_{kind}"]]

    @override
    def foreseen(self, context: Context | None) -> Iterable[Listing]:
        since = self.since(context)
        if since is not None and self.mark(context):
            # The list of the organisation may do.
            return ()
        return self._report.listings((context or {})["program_id"], since)

    @override
    def raw_rows(self, context: Context | None) -> Iterator[Raw]:
        program = (context or {})["program_id"]
        since = self.since(context)
        remembered = self.get_context_state(context).get("program_name") if self.remembers else None
        shown = _Shown(keeps_ids=isinstance(remembered, str))
        if since is None:
            yield from shown.passing(self._report.rows(program))
            self._courses = (program, shown.courses)
        elif self.mark(context):
            yield from shown.passing(self._report.touched(program, since))
        else:
            yield from shown.passing(self._report.rows(program, since))
        self.as_of, self.newest = self._report.as_of, self._report.newest
        # A new name of the program is no activity of anybody: no filter finds the rows that bear it. The report bears
        # it up to a day later than the list of programs, so what it shows counts first.
        listed = self._listed_names(program)
        elsewhere = _Shown(keeps_ids=False)
        if isinstance(remembered, str) and (shown.names or listed or {remembered}) != {remembered}:
            rest = elsewhere.passing(self._report.rows(program, self.start))
            yield from (raw for raw in rest if str(raw.get("id")) not in shown.ids)
        names = shown.names or elsewhere.names or listed
        self._program_name = names.pop() if len(names) == 1 else None
        self.brought.outranked, self._report.rivals = self._report.rivals, 0
        self.leave_out(self._report.foreign, is_filtered=True)
        self._report.foreign.clear()

    def courses(self, program: str) -> set[str] | None:
        """Ids of the courses with enrollments, if this run has just read the program whole; else None."""
        return self._courses[1] if self._courses and self._courses[0] == program else None

    @override
    def covers(self, context: Context | None) -> bool:
        return set(self._includes) <= set(self.remembered(context).get("includes") or [])

    def _listed_names(self, program: str) -> set[str]:
        programs = self._coursera.streams[Programs.name]
        name = programs.names.get(program) if isinstance(programs, Programs) else None
        return {name} if name else set()

    @override
    def advance(self, context: Context | None, latest: int) -> None:
        super().advance(context, latest)
        if self.trusts(latest):
            state = self.get_context_state(context)
            state.pop("includes", None)
            if self._includes:
                state["includes"] = self._includes
            if self._program_name:
                state["program_name"] = self._program_name


class _Shown:
    """What the rows that passed have told: ids (if they are going to be asked for), names of the program, courses."""

    def __init__(self, *, keeps_ids: bool) -> None:
        self._keeps_ids = keeps_ids
        self.ids: set[str] = set()
        self.names: set[str] = set()
        self.courses: set[str] = set()

    def passing(self, rows: Iterable[Raw]) -> Iterator[Raw]:
        before = None
        for raw in rows:
            if self._keeps_ids:
                self.ids.add(str(raw.get("id")))
            if (name := raw.get("programName")) != before:
                before = name
                if name and isinstance(name, str):
                    self.names.add(name)
            if raw.get("contentType") == COURSE and (course := raw.get("contentId")):
                self.courses.add(str(course))
            yield raw
