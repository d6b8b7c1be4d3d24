"""Reads, checks and writes the mapping files: a folder of CSV files per Meltano environment with manual decisions.

They are seeds of the dbt project, so every cell is text; blanks around a cell, blank lines, a byte order mark, as
spreadsheets write them, and the letter case of the header count for nothing in dbt and here. dbt refuses what
`problems(folder)` finds, and nothing else (`test_mapping_files.py` tries both on the same files). `read` and `save` are
for the commands that edit a file: what they write is sorted and quoted only where needed, so that a change of one line
is a difference of one line.

No sentence about a file repeats what it says about a person.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import os
import re
import secrets
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from coursera_connect import file_lock
from coursera_connect.errors import OutputError, RefusedError, UsageError
from coursera_connect.text import lower

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

SCHOOLS, ITEMS, FACILITATORS = "school_mapping", "chosen_items", "facilitators"
SECTIONS, EXCLUDED, TERMS = "sections", "excluded_people", "terms"
_YEARS = range(1900, 2201)
_LONGEST_NAME, _LONGEST_CELL = 255, 1000
"""The most characters of a cell that goes into a OneRoster file, and of any other cell."""
_EMAIL = re.compile(r"""[^@ \t\n,;<>"]+@[^@ \t\n,;<>"]+""")
_YEAR = re.compile("[0-9]{4}")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Problem:
    """Something in a mapping file that is wrong (`problems`) or may be wrong (`doubts`)."""

    file: str
    line: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.sentence}"


@dataclass(frozen=True)
class Line:
    """A row by column, and the line of the file at which it begins."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Content:
    """A mapping file as it was read; `digest` is blank if there is no file yet."""

    path: Path
    digest: str
    lines: tuple[Line, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _Kind:
    """The rules for a mapping file."""

    columns: tuple[str, ...]
    required: tuple[str, ...]
    key: tuple[str, ...]
    """The columns whose values together occur once; letter case does not count in the columns of `_FOLDED`."""
    harmless: bool = True
    """Whether an identical second row is allowed."""
    agreeing: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    """Rows that are equal in the first columns must be equal in the second ones."""
    check: Callable[[Mapping[str, str]], str | None] = lambda _cells: None
    """A function that returns what else is wrong with a row."""


def _term(cells: Mapping[str, str]) -> str | None:
    if not _YEAR.fullmatch(cells["school_year"]) or int(cells["school_year"]) not in _YEARS:
        return "school_year has to be the year in which the school year ends, such as 2026."
    days = []
    for column in ("starts_on", "ends_before"):
        day = _day(cells[column])
        if day is None:
            return f"{column} has to be a day of the calendar, such as 2026-01-31."
        days.append(day)
    if days[0] >= days[1]:
        return "ends_before is not after starts_on: it is the first day that is no longer in the term."
    return None


def _facilitator(cells: Mapping[str, str]) -> str | None:
    if cells["email"] and not _EMAIL.fullmatch(cells["email"]):
        return "email is no e-mail address: correct it, or leave it blank."
    return None


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text and day.year in _YEARS else None


def _school(cells: Mapping[str, str]) -> str | None:
    blank = [name for name in ("school_id", "school_name") if not cells[name]]
    if len(blank) == 1:
        return (
            f"{blank[0]} is blank: fill it in, or leave both school_id and school_name blank to leave the program out."
        )
    return None


_CLASS = ("program_id", "course_id")
_KINDS = {
    SCHOOLS: _Kind(
        ("program_id", "program_name", "school_id", "school_name"),
        ("program_id",),
        ("program_id",),
        harmless=False,
        agreeing=((("school_id",), ("school_name",)),),
        check=_school,
    ),
    ITEMS: _Kind((*_CLASS, "item"), ("item",), (*_CLASS, "item")),
    FACILITATORS: _Kind(
        (*_CLASS, "facilitator_id", "given_name", "family_name", "email", "username"),
        ("facilitator_id",),
        (*_CLASS, "facilitator_id"),
        agreeing=((("facilitator_id",), ("given_name", "family_name", "email", "username")),),
        check=_facilitator,
    ),
    SECTIONS: _Kind(
        (*_CLASS, "section_id", "section_name", "learner"),
        (*_CLASS, "section_id", "learner"),
        (*_CLASS, "section_id", "learner"),
        agreeing=(((*_CLASS, "section_id"), ("section_name",)), ((*_CLASS, "learner"), ("section_id",))),
    ),
    EXCLUDED: _Kind(("learner", "reason"), ("learner",), ("learner",)),
    TERMS: _Kind(
        ("term_id", "title", "school_year", "starts_on", "ends_before"),
        ("term_id", "title", "school_year", "starts_on", "ends_before"),
        ("term_id",),
        harmless=False,
        check=_term,
    ),
}
FILES = tuple(f"{name}.csv" for name in _KINDS)
_FOLDED = frozenset({"learner", "item"})
_PERSONAL = frozenset({"learner", "facilitator_id"})
_NAMES = frozenset({"school_name", "section_name", "given_name", "family_name", "email", "username", "title"})


def columns(name: str) -> tuple[str, ...]:
    """Return the header of a mapping file."""
    return _KINDS[name].columns


def problems(folder: Path) -> list[Problem]:
    """Return all problems in the mapping files of a folder, by file and line; without any, dbt can use the files.

    Raises:
        UsageError: There is no such folder, or a file cannot be read.
    """
    found = _strangers(folder)
    for name in _KINDS:
        content = read(folder, name)
        if not content.digest:
            header = ",".join(columns(name))
            found.append(Problem(f"{name}.csv", 1, f"the file is missing: make it with this one line: {header}"))
        found += content.problems
    return sorted(found, key=lambda problem: (problem.file, problem.line))


def doubts(folder: Path) -> list[Problem]:
    """Return rows that are valid but may be a mistake.

    Such a row repeats an earlier one, names a program that is not mapped, or is a term that overlaps another one.
    """
    found: list[Problem] = []
    contents = {name: read(folder, name) for name in _KINDS}
    for name, kind in _KINDS.items():
        if kind.harmless and not contents[name].problems:
            found += _repeated(f"{name}.csv", contents[name].lines, kind)
    found += _overlapping(contents[TERMS].lines)
    school_of = {line.cells["program_id"]: line.cells["school_id"] for line in contents[SCHOOLS].lines}
    for name in (ITEMS, FACILITATORS, SECTIONS):
        for line in contents[name].lines:
            program = line.cells["program_id"]
            if program in school_of and not school_of[program]:
                why = f"program {program} is left out in {SCHOOLS}.csv"
            elif program and program not in school_of and any(school_of.values()):
                why = f"program {program} is not in {SCHOOLS}.csv"
            else:
                continue
            found.append(Problem(f"{name}.csv", line.number, f"{why}, so this line has no effect."))
    return sorted(found, key=lambda problem: (problem.file, problem.line))


def read(folder: Path, name: str) -> Content:
    """Read a mapping file and its problems; a missing file has no lines.

    Raises:
        UsageError: There is no such folder, or the file cannot be read.
    """
    path = folder / f"{name}.csv"
    if not folder.is_dir():
        raise UsageError(f"There is no folder of mapping files at {folder}: make it, or set CONNECT_MAPPING.")
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return Content(path, "", (), ())
    except OSError as error:
        raise UsageError(f"Cannot read {path} ({error.strerror}): check it, and CONNECT_MAPPING.") from error
    digest = hashlib.sha256(raw).hexdigest()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        wrong = Problem(path.name, line, "this is not UTF-8 text: save the file again as `CSV UTF-8`.")
        return Content(path, digest, (), (wrong,))
    return _parsed(path, digest, text, _KINDS[name])


def sound(folder: Path, name: str) -> Content:
    """Read a mapping file that must be valid, to use or edit it.

    Raises:
        UsageError: The file has a problem; the sentence names the first one.
    """
    content = read(folder, name)
    if content.problems:
        more = len(content.problems) - 1
        rest = f" ({more} more: connect mapping check)" if more else ""
        raise UsageError(f"{content.path}, line {content.problems[0].line}: {content.problems[0].sentence}{rest}")
    return content


def save(
    content: Content, rows: Iterable[tuple[str, ...]], wait: float, before: Callable[[], None] = lambda: None
) -> None:
    """Replace all rows of a mapping file, unless it has changed since it was read.

    `before` is called just before the file is replaced; if it raises, the file is not changed.

    Raises:
        UsageError: The rows hold something that the file may not hold.
        RefusedError: The file has changed since it was read.
        OutputError: The file cannot be written, or another command holds the folder for longer than `wait` seconds.
    """
    target = content.path.resolve()  # a link stays one
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns(content.path.stem))
    writer.writerows(sorted(rows))
    if wrong := _parsed(content.path, "", text.getvalue(), _KINDS[content.path.stem]).problems:
        raise UsageError(f"That cannot be written into {content.path}: {wrong[0].sentence}")
    partial = target.with_name(f".{target.name}.{secrets.token_hex(8)}.connect-partial")
    try:
        with _held(target.parent, wait):
            now = hashlib.sha256(target.read_bytes()).hexdigest() if target.exists() else ""
            if now != content.digest:
                raise RefusedError(
                    f"{content.path} was changed by somebody else in the meantime, so it stays as it is: "
                    "look at it and run the command again."
                )
            with partial.open("xb") as handle:
                if target.exists():
                    os.fchmod(handle.fileno(), stat.S_IMODE(target.stat().st_mode))
                handle.write(text.getvalue().encode())
                handle.flush()
                os.fsync(handle.fileno())
            before()
            partial.replace(target)
    except OSError as error:
        raise OutputError(f"Cannot write {content.path} ({error.strerror}): check who may write there.") from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _held(folder: Path, wait: float) -> Iterator[None]:
    """Lock the folder itself, so that there is no lock file among versioned files."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        if not file_lock.taken_within(handle, wait):
            raise OutputError(f"Another command is writing to {folder}: run again when it ends.")
        yield
    finally:
        os.close(handle)


def _strangers(folder: Path) -> list[Problem]:
    """Return files that dbt would load and nothing would read: most likely a mistyped name."""
    found = []
    for path in sorted(folder.glob("*.csv")):
        if path.name not in FILES:
            near = difflib.get_close_matches(path.name, FILES, 1)
            instead = f"call it {near[0]}" if near else f"the names are {', '.join(FILES)}"
            found.append(Problem(path.name, 1, f"no mapping file has this name: {instead}, or remove it."))
    return found


def _parsed(path: Path, digest: str, text: str, kind: _Kind) -> Content:
    lines: list[Line] = []
    found: list[Problem] = []
    header: list[str] = []
    reader = csv.reader(io.StringIO(text, newline=None), strict=True)
    begins = 1
    try:
        for cells in reader:
            number, begins = begins, reader.line_num + 1
            row = [cell.strip() for cell in cells]
            if not header:
                header = [cell.lower() for cell in row]
                row = header
                if sorted(row) != sorted(kind.columns):
                    found.append(Problem(path.name, number, _wrong_header(row, kind)))
                    break
                continue
            if not any(row) and len(row) <= len(header):
                continue
            sentences = list(_wrong_cells(row, header, kind))
            found += [Problem(path.name, number, sentence) for sentence in sentences]
            if not sentences:
                lines.append(Line(number, dict(zip(header, row, strict=True))))
    except csv.Error as error:
        wrong = 'the quotes are wrong: a text with a comma is "...", a quote in it is doubled.'
        if "field larger" in str(error):
            wrong = f"a cell has more than {csv.field_size_limit():,} letters: shorten it, or close its quotes."
        found.append(Problem(path.name, begins, wrong))
    if not text.strip():
        found = [Problem(path.name, 1, f"the file is empty: its first line has to be {','.join(kind.columns)}")]
    if not kind.harmless:
        found += _repeated(path.name, lines, kind)
    found += _contradictions(path.name, lines, kind)
    return Content(path, digest, tuple(lines), tuple(sorted(found, key=lambda problem: problem.line)))


def _wrong_header(row: Sequence[str], kind: _Kind) -> str:
    wanted = f"the first line has to be {','.join(kind.columns)}"
    if len(row) == 1 and (";" in row[0] or "\t" in row[0]):
        return f"the cells are not parted by commas: save the file as `CSV UTF-8` with commas; {wanted}"
    if not set(row) & set(kind.columns):
        return f"the header is missing: {wanted}"  # what is there instead may be about people
    unknown = [name for name in row if name not in kind.columns]
    missing = [name for name in kind.columns if name not in row]
    why = []
    if unknown:
        why.append(f"no column is called {', '.join(name or '(blank)' for name in unknown)}")
    if missing:
        why.append(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
    return f"{'; '.join(why) or 'a column is repeated'}: {wanted}"


def _wrong_cells(row: Sequence[str], header: Sequence[str], kind: _Kind) -> Iterator[str]:
    if len(row) != len(header):
        cells = f"{len(row)} cell{'' if len(row) == 1 else 's'}"
        yield f"{cells} instead of {len(header)} ({','.join(header)}): put a text with a comma in quotes."
        return
    cells_by_name = dict(zip(header, row, strict=True))
    blank = [name for name in kind.required if not cells_by_name[name]]
    yield from (f"{name} is blank: fill it in, or remove the line." for name in blank)
    for name, cell in cells_by_name.items():
        if len(cell) > (longest := _LONGEST_NAME if name in _NAMES else _LONGEST_CELL):
            yield f"{name} has {len(cell):,} letters: {longest:,} at most can be used, so shorten it."
        if _CONTROL.search(cell):
            yield f"{name} has a character in it that is no text: type it anew."
    if not blank and (sentence := kind.check(cells_by_name)):
        yield sentence


def _repeated(file: str, lines: Sequence[Line], kind: _Kind) -> Iterator[Problem]:
    seen: dict[tuple[str, ...], int] = {}
    for line in lines:
        first = seen.setdefault(_key(line, kind.key), line.number)
        if first != line.number:
            yield Problem(
                file, line.number, f"the same {_said(line, kind.key)} is already on line {first}: keep one of them."
            )


def _overlapping(lines: Sequence[Line]) -> Iterator[Problem]:
    """Return terms that begin before an earlier one ends."""
    begun: list[Line] = []
    for line in sorted(lines, key=lambda one: (one.cells["starts_on"], one.number)):
        for other in begun:
            if line.cells["starts_on"] < other.cells["ends_before"]:
                first, second = sorted((line.number, other.number))
                yield Problem(f"{TERMS}.csv", second, f"the term overlaps with the one on line {first}: is that meant?")
                break
        begun.append(line)


def _contradictions(file: str, lines: Sequence[Line], kind: _Kind) -> Iterator[Problem]:
    for names, others in kind.agreeing:
        known: dict[tuple[str, ...], Line] = {}
        for line in lines:
            earlier = known.setdefault(_key(line, names), line)
            for other in others:
                if line.cells[other] != earlier.cells[other]:
                    sentence = (
                        f"{_said(line, names)} has another {other} here than on line {earlier.number}: "
                        "write the same on both."
                    )
                    yield Problem(file, line.number, sentence)


def _key(line: Line, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(lower(line.cells[name]) if name in _FOLDED else line.cells[name] for name in names)


def _said(line: Line, names: Sequence[str]) -> str:
    """Return what a row is about; for a person only the name of the column."""
    return ", ".join(name if name in _PERSONAL else f"{name} {line.cells[name] or '(any)'}" for name in names)
