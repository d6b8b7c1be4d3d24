"""Reads, checks and writes the mapping files: a folder of CSV files per Meltano environment with manual decisions.

They are seeds of the dbt project, so every cell is text; blanks around a cell, blank lines, a byte order mark, as
spreadsheets write them, and the letter case of the header count for nothing in dbt and here. The rules are in
`mapping_rules`. `read` and `save` are for the commands that edit a file: what they write is sorted and quoted only
where needed, so that a change of one line is a difference of one line.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import os
import secrets
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coursera_connect import file_lock
from coursera_connect.errors import OutputError, RefusedError, UsageError
from coursera_connect.setup import mapping_rules
from coursera_connect.setup.mapping_rules import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from coursera_connect.setup.mapping_rules import Rules

SCHOOLS, ITEMS, FACILITATORS = "school_mapping", "chosen_items", "facilitators"
SECTIONS, EXCLUDED, TERMS = "sections", "excluded_people", "terms"


@dataclass(frozen=True)
class Problem:
    """Something in a mapping file that is wrong (`problems`) or may be wrong (`doubts`)."""

    file: str
    line: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.sentence}"


@dataclass(frozen=True)
class Content:
    """A mapping file as it was read; `digest` is blank if there is no file yet."""

    path: Path
    digest: str
    lines: tuple[Line, ...]
    problems: tuple[Problem, ...]


_ALL = (SCHOOLS, ITEMS, FACILITATORS, SECTIONS, EXCLUDED, TERMS)
FILES = tuple(f"{name}.csv" for name in _ALL)


def columns(name: str) -> tuple[str, ...]:
    """Return the header of a mapping file."""
    return mapping_rules.of(name).columns


def problems(folder: Path) -> list[Problem]:
    """Return all problems in the mapping files of a folder, by file and line; without any, dbt can use the files.

    Raises:
        UsageError: There is no such folder, or a file cannot be read.
    """
    found = _strangers(folder)
    for name in _ALL:
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
    contents = {name: read(folder, name) for name in _ALL}
    for name, content in contents.items():
        rules = mapping_rules.of(name)
        if not rules.is_unique and not content.problems:
            found += [Problem(f"{name}.csv", *one) for one in rules.repeated(content.lines)]
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
    return _parsed(path, digest, text, mapping_rules.of(name))


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
    if wrong := _parsed(content.path, "", text.getvalue(), mapping_rules.of(content.path.stem)).problems:
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


def _parsed(path: Path, digest: str, text: str, rules: Rules) -> Content:
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
                if sentence := rules.wrong_header(row):
                    found.append(Problem(path.name, number, sentence))
                    break
                continue
            if not any(row) and len(row) <= len(header):
                continue
            sentences = list(rules.wrong_cells(row, header))
            found += [Problem(path.name, number, sentence) for sentence in sentences]
            if not sentences:
                lines.append(Line(number, dict(zip(header, row, strict=True))))
    except csv.Error as error:
        wrong = 'the quotes are wrong: a text with a comma is "...", a quote in it is doubled.'
        if "field larger" in str(error):
            wrong = f"a cell has more than {csv.field_size_limit():,} letters: shorten it, or close its quotes."
        found.append(Problem(path.name, begins, wrong))
    if not text.strip():
        found = [Problem(path.name, 1, f"the file is empty: its first line has to be {','.join(rules.columns)}")]
    if rules.is_unique:
        found += [Problem(path.name, *one) for one in rules.repeated(lines)]
    found += [Problem(path.name, *one) for one in rules.contradictions(lines)]
    return Content(path, digest, tuple(lines), tuple(sorted(found, key=lambda problem: problem.line)))


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
