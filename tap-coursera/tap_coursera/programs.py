"""The programs and their contents, also on a night on which rows come without an id or with that of another program."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from typing_extensions import override

from tap_coursera.base import CourseraStream
from tap_coursera.errors import RefusedError, TapError, unknown_programs
from tap_coursera.records import objects
from tap_coursera.texts import OddRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from singer_sdk.helpers.types import Context, Record

    from tap_coursera.paging import Listing
    from tap_coursera.tap import TapCoursera
    from tap_coursera.typed import Raw


KNOWN = "program_ids"
"""The key in the state of this stream with the ids of the programs of the last run."""
_NOBODY = "A" * 22
"""An id that no program has: a server that answers a row for it ignores which program is asked for."""


class Programs(CourseraStream):
    """Active learning programs; only those of the setting `program_ids` where it names some.

    A program whose row has no usable `id` for a night is asked for under the id that the run before has read.
    """

    name = "programs"
    path = "/programs"
    params: ClassVar[Mapping[str, str]] = {"excludeContent": "true"}
    primary_keys = ("id",)
    known_elsewhere = frozenset({"contentIds"})

    def __init__(self, tap: TapCoursera) -> None:
        super().__init__(tap)
        self.names: dict[str, str | None] = {}
        """The names of the programs of this run, by id."""
        self._contents: dict[str, set[int]] = {}
        """The hashes of the rows that came with an id, by id."""
        self._rivals: set[str] = set()
        """The ids with which several rows came; all but one of these rows belong to other programs."""

    @override
    def listing(self, context: Context | None, extra: Mapping[str, str]) -> Listing:
        return replace(super().listing(context, extra), rank=None if extra else self._rank)

    def _rank(self, raw: Raw) -> int:
        """Return a hash of a row, by which rows with one id and different contents are told apart; note it."""
        content = hash(json.dumps(raw, sort_keys=True, default=str)) >> 1 & 2**62 - 1
        self._contents.setdefault(_id(raw), set()).add(content)
        return content

    def _one_of_each(self, listed: list[Raw]) -> list[Raw]:
        """Return the rows; of several with one id only the row that comes when that id is asked for alone."""
        self._rivals = {program for program, contents in self._contents.items() if program and len(contents) > 1}
        alone = self._alone(sorted(self._rivals))
        own = [rows[0] for program, rows in alone.items() if len(rows) == 1 and _id(rows[0]) == program]
        return [*(raw for raw in listed if _id(raw) not in self._rivals), *own]

    @override
    def raw_rows(self, context: Context | None) -> Iterator[Raw]:
        wanted = set(self.config.get("program_ids") or [])
        state = self.get_context_state(None)
        before = state.get(KNOWN)
        if not isinstance(before, list) or not all(isinstance(program, str) for program in before):
            before = None
        listed = self._one_of_each(list(super().raw_rows(context)))
        shown = set(map(_id, listed))
        self._coursera.listed_programs.update(shown)
        missing = [program for program in sorted(wanted or set(before or ())) if program not in shown]
        new = {_id(raw) for raw in listed} - {*(before or ()), *wanted, ""} if missing and before is not None else set()
        impossible = {"", *(program for program in new if program not in map(_id, self._asked_for(program)))}
        odd = [raw for raw in listed if _id(raw) in impossible]
        usual = [raw for raw in listed if _id(raw) not in impossible]
        found, nameless = self._recognised(odd, usual, missing)
        lost = [program for program in missing if program not in found]
        if nameless or self._rivals:
            for stream in (self, *self.child_streams):
                if isinstance(stream, CourseraStream):
                    stream.is_unsure = True
        elif unknown := wanted.intersection(lost):
            raise TapError(unknown_programs(unknown))
        rows = [*usual, *found.values()]
        names = {_id(raw): self.reader.read(raw)["name"] for raw in rows}
        self.names = {program: name for program, name in names.items() if not wanted or program in wanted}
        kept = [*self.names, *(lost if self.is_unsure else ())]
        self._coursera.forget_other_programs(kept)
        state[KNOWN] = kept
        yield from (raw for raw in rows if _id(raw) in self.names)
        yield from (_with_id(raw, None) for raw in nameless)

    def _recognised(self, odd: list[Raw], usual: list[Raw], missing: list[str]) -> tuple[dict[str, Raw], list[Raw]]:
        """Ask for missing programs one by one, if rows came whose id cannot be that of a program.

        Returns:
            The rows of the programs that are found, by id, and the odd rows that belong to none of them.
        """
        nameless, others, impossible = odd, [_without_id(raw) for raw in usual], [raw.get("id") for raw in odd]
        found: dict[str, Raw] = {}
        for program, answer in self._alone(missing if odd else []).items():
            own = [raw for raw in answer if _id(raw) == program] or answer
            if len(own) != 1 or _without_id(own[0]) in others:
                continue
            of_list = [raw for raw in nameless if _without_id(raw) == _without_id(own[0])]
            # The list has one of two rows with the same impossible id, so it need not have this one.
            if (of_list and _id(own[0]) == program) or own[0].get("id") in impossible:
                found[program] = _with_id(own[0], program)
                nameless = [raw for raw in nameless if raw not in of_list]
        return found, nameless

    def _alone(self, programs: list[str]) -> dict[str, list[Raw]]:
        """Return the rows that come for each program alone; none if the server ignores which program is asked for."""
        is_heeded = bool(programs) and not self._asked_for(_NOBODY)
        return {program: self._asked_for(program) for program in programs if is_heeded}

    def _asked_for(self, program: str) -> list[Raw]:
        """Return the rows that come when a program is asked for by its id."""
        with suppress(RefusedError):  # a program that is gone need not be an empty list
            return list(self.listing(None, {"ids": program}).rows())
        return []

    def contexts(self) -> list[Context]:
        """Return a context for each program of this run, in their order, once they are known."""
        return [{"program_id": program} for program in self.names]

    @override
    def get_child_context(self, record: Record, context: Context | None) -> Context:
        return {"program_id": record["id"]}


def _id(raw: Raw) -> str:
    """Return the id of a row, with which it can be asked for; blank if the row has no usable id."""
    program = raw.get("id")
    is_text = isinstance(program, str) and not program.isspace() and "id" not in getattr(raw, "repaired", ())
    return str(program) if is_text else ""


def _without_id(raw: Raw) -> dict[str, object]:
    """Return the row without its id, by which a program can be recognised."""
    return {name: value for name, value in cast("dict[str, Any]", raw).items() if name != "id"}


def _with_id(raw: Raw, program: str | None) -> Raw:
    """Return the row with this id in place of an unusable one."""
    row = OddRow(cast("dict[str, Any]", raw), id=program)
    row.repaired, row.replaced = getattr(raw, "repaired", row.repaired) - {"id"}, frozenset({"id"})
    return row


class ProgramContents(CourseraStream):
    """Which contents are in which program."""

    name = "program_contents"
    path = "/programs"
    params: ClassVar[Mapping[str, str]] = {"ids": "{program_id}", "excludeContent": "false"}
    parent_stream_type = Programs
    primary_keys = ("program_id", "content_type", "content_id")
    known_elsewhere = frozenset({"id"})
    program_field = "id"

    @override
    def read(self, listings: Iterable[Listing], context: Context | None) -> Iterator[Raw]:
        program = dict(context or {}).get("program_id", "")
        others = cast("Programs", self._coursera.streams[Programs.name]).names
        came = list(super().read(listings, None))
        own = [raw for raw in came if _id(raw) == program]
        nameless = [raw for raw in came if not _id(raw)]
        if not own and len(came) == 1 and _id(came[0]) not in others:  # what was asked for, whatever id it shows
            own = came
        elif not own and nameless:
            self.is_unsure = True
        yield from own

    @override
    def rows(self, raw: Raw, context: Context | None) -> Iterator[Record]:
        for content in objects(raw.get("contentIds")):
            yield from self.placed(self.reader.read(content, raw), context)
