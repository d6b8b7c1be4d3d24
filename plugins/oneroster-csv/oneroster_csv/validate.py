"""Validates a OneRoster package (the zip, its manifest, the bytes of its files, and their rows), or tables.

Python reads the files strictly and writes them again as plain CSV, which DuckDB then loads. DuckDB does not read the
files themselves, because its CSV reader accepts what a validator must refuse. The second copy costs two seconds per
million rows.
"""

from __future__ import annotations

import csv
import difflib
import re
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oneroster_csv import binding as bindings
from oneroster_csv import checks, database, manifest
from oneroster_csv import profile as profiles
from oneroster_csv.checks import Outcome
from oneroster_csv.errors import PackageError
from oneroster_csv.package import opened
from oneroster_csv.rules import READER
from oneroster_csv.scratch_folder import scratch_folder
from oneroster_csv.strict_csv import BrokenError, Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import duckdb

    from oneroster_csv.binding import Binding
    from oneroster_csv.database import Scratch
    from oneroster_csv.profile import Profile

MOST_BYTES = 16 << 30
"""The size in bytes that a package may unpack to: ten times the rows of the largest organisation."""

MOST_ENTRIES = 10_000
"""Entries that a package may have. The standard knows two dozen names."""

MOST_COLUMNS = 200
"""Columns that a file may have, extensions included. The checks need memory for each of them."""

MOST_BROKEN_ROWS = 100_000
"""The number of unreadable rows after which the rest of a file is not read."""

_FEW_BYTES = 1 << 20
_COUNTER = (
    "row number"  # The number of a loaded row; no column of a file has this name, since extensions begin with metadata.
)
_ENCRYPTED = 0x1
_NAMES = {f"{file}.csv" for version in bindings.VERSIONS for file in bindings.load(version).files} | {manifest.NAME}
_FOLDED = {name.lower(): name for name in _NAMES}
_PLAIN = {name.lower().removesuffix(".csv"): name for name in _NAMES}
_PLAIN |= {re.sub("ies$", "y", re.sub("(?<=ss)es$|(?<!ie)s$", "", plain)): name for plain, name in _PLAIN.items()}
_ALIKE = 0.85  # Finds line_item for lineItems and enrolments for enrollments, and not rules for roles.
_LONGEST_ALIKE = max(map(len, _PLAIN)) * (2 / _ALIKE - 1)  # letters; a longer name resembles none


@dataclass
class Checked(Outcome):
    """What was found in a package, its version (blank where the manifest does not say), and the mode of each file."""

    version: str = ""
    modes: dict[str, str] = field(default_factory=dict)


def package(
    path: Path,
    step: Callable[[str], None] = lambda _file: None,
    *,
    profile: Profile | None = None,
    empty: str = "",
) -> Checked:
    """Check a package; findings have row numbers and ids, no names and no e-mails.

    `step` is told each file before it is read. A `profile` (without it: generic) adds what its reader wants of version,
    modes and rows; nothing is said about references to files that it does not take. A file without rows is `absent` (as
    the standard has it) or, also allowed where `empty` or else the profile says so, its `header` alone.

    Raises:
        PackageError: the package cannot be read.
    """
    outcome, profile = Checked(), profile or profiles.load(profiles.GENERIC)
    with opened(path) as archive:
        entries = _entries(outcome, archive)
        if manifest.NAME not in entries:
            if manifest.NAME not in _misplaced(outcome) and not any(
                rule == "zip-nested" for rule, *_ in outcome.counts
            ):
                outcome.add("manifest-missing", "manifest", "propertyName")
            return outcome
        if not _readable(outcome, manifest.NAME):
            return outcome
        properties = _properties(outcome, archive, entries[manifest.NAME])
        outcome.version = properties.get(manifest.ONEROSTER, "")
        if outcome.version not in bindings.VERSIONS:
            if not outcome.counts.keys() & {("manifest-header", "manifest", "propertyName")}:
                outcome.add("oneroster-version", "manifest", manifest.ONEROSTER)
            return outcome
        binding = bindings.load(outcome.version)
        files = _manifest(outcome, binding, properties, entries)
        _suits(outcome, profile)
        small = sum(entry.file_size for entry in entries.values()) < _FEW_BYTES
        with (
            scratch_folder() as folder,
            database.scratch(folder / "spill", small=small) as base,
        ):
            loading = _Loading(outcome, binding, base, folder / "rows.csv", profile, empty or profile.empty)
            for file in files:
                step(file)
                with archive.open(entries[f"{file}.csv"]) as raw:
                    loading.load(file, raw)
            if loading.faithful and loading.columns:
                loading.check(step)
    return outcome


def tables(
    connection: duckdb.DuckDBPyConnection,
    schema: str = "main",
    version: str = "1.1",
    *,
    profile: Profile | None = None,
    modes: Mapping[str, str] | None = None,
) -> Outcome:
    """Check the tables or views of a schema that are named as the files of a version; each cell counts as its text.

    `modes` says which of them are `delta`; all others are `bulk`. Null counts as blank.
    """
    base, binding = database.Database(connection), bindings.load(version)
    there = base.columns(schema)
    present = {file: there[file] for file in binding.files if file in there}
    for file in binding.files:
        rows = checks.text_rows(schema, file, present[file]) if file in present else binding.no_rows(file)
        base.view(f"publish {file}", rows)
    rules = (profile or profiles.load(profiles.GENERIC)).rules_of
    return checks.check(base, present, binding, modes=modes, reader=rules)


def _entries(outcome: Outcome, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the entries of the package by file name. No name is ever used as a path."""
    found: dict[str, zipfile.ZipInfo] = {}
    if len(archive.infolist()) > MOST_ENTRIES:
        raise PackageError(f"{archive.filename} holds more than {MOST_ENTRIES:,} files, and is not read.")
    names = {name for entry in archive.infolist() for name in entry.filename.replace("\\", "/").split("/")[-1:]}
    for place, entry in enumerate(archive.infolist(), 1):
        *folders, name = entry.filename.replace("\\", "/").split("/")
        wrong, about = _wrong_entry(folders, name, names)
        if wrong:
            outcome.add(wrong, "package", about or f"entry {place}")  # The name of the file may be a person's.
        elif name in found:
            outcome.add("zip-duplicate", "package", name)
        elif name:  # Otherwise the entry is a folder, and its files are findings themselves.
            found[name] = entry
    for name, entry in list(found.items()):
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            outcome.add("zip-method", "package", name)
    if sum(entry.file_size for entry in found.values()) > MOST_BYTES:
        raise PackageError(f"{archive.filename} unpacks to more than {MOST_BYTES >> 30} GiB, and is not read.")
    return found


def _wrong_entry(folders: list[str], name: str, names: set[str]) -> tuple[str, str]:
    """Return the rule that an entry breaks (blank for none) and the standard name that was meant (blank for none)."""
    standard, near = _FOLDED.get(name.lower(), ""), _nearest(name)
    if "__MACOSX" in folders or name == ".DS_Store":
        return "zip-macos", ""
    if name.lower().endswith(".zip"):
        return "zip-nested", ""
    if name and not standard:
        return ("zip-misnamed", near) if near and near not in names else ("zip-foreign", "")
    if name and folders:
        return "zip-folder", standard
    return ("zip-name", standard) if name != standard else ("", "")


def _nearest(name: str) -> str:
    """Return the standard name that a misspelt file name resembles; blank if it resembles none."""
    plain = re.sub("[^a-z]", "", re.sub(r"\.[a-z]{1,4}$", "", name.lower()))
    near = difflib.get_close_matches(plain, _PLAIN, n=1, cutoff=_ALIKE) if len(plain) <= _LONGEST_ALIKE else []
    return _PLAIN[near[0]] if near else ""


def _misplaced(outcome: Outcome) -> set[str]:
    """Return the standard files that the zip holds under another name or in a folder, which is a finding already."""
    rules = {"zip-folder", "zip-name", "zip-misnamed"}
    return {name for rule, _, name in outcome.counts if rule in rules}


def _readable(outcome: Outcome, name: str) -> bool:
    return ("zip-method", "package", name) not in outcome.counts


def _properties(outcome: Outcome, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> dict[str, str]:
    """Return the properties of the manifest. If a property occurs twice, the first value counts."""
    properties: dict[str, str] = {}
    known = manifest.known()
    with archive.open(entry) as raw:
        for row, cells in _rows(outcome, "manifest", Reader(raw)):
            if not row:
                if cells != [*manifest.HEADER]:
                    outcome.add("manifest-header", "manifest", "propertyName")
            elif len(cells) != 2:  # noqa: PLR2004 - a name and a value
                outcome.add("csv-cells", "manifest", "row", row)
            elif cells[0] not in known:
                outcome.add("manifest-unknown", "manifest", "propertyName", row)
            elif cells[0] in properties:
                outcome.add("manifest-duplicate", "manifest", cells[0], row)
            else:
                properties[cells[0]] = cells[1]
    return properties


def _manifest(
    outcome: Checked, binding: Binding, properties: dict[str, str], entries: dict[str, zipfile.ZipInfo]
) -> list[str]:
    """Compare manifest and zip, note the mode of each file, and return the files to read."""
    if properties.get(manifest.VERSION) != manifest.WRITTEN_BY:
        outcome.add("manifest-version", "manifest", manifest.VERSION)
    order = manifest.order(binding)
    for name in [name for name in properties if name not in order]:
        outcome.add("manifest-unknown", "manifest", name)
        del properties[name]
    for have, want in zip(properties, (name for name in order if name in properties), strict=True):
        if have != want:
            outcome.add("manifest-order", "manifest", want)
            break
    for file in binding.files:
        mode = properties.get(manifest.of_file(file))
        wrong = _wrong_mode(mode, there=f"{file}.csv" in entries)
        if wrong and not (wrong == "declared-present" and f"{file}.csv" in _misplaced(outcome)):
            outcome.add(wrong, "manifest", manifest.of_file(file))
        outcome.modes[file] = mode if mode in {"bulk", "delta"} else "absent"
    for name in entries:
        if name != manifest.NAME and name.removesuffix(".csv") not in binding.files:
            outcome.add("zip-foreign", "package", name)
    return [file for file in binding.files if f"{file}.csv" in entries and _readable(outcome, f"{file}.csv")]


def _suits(outcome: Checked, profile: Profile) -> None:
    """Compare version and modes with what a reader takes."""
    outcome.rules |= {rule.id: rule for rule in READER}
    if outcome.version not in profile.versions:
        outcome.add("reader-version", "manifest", manifest.ONEROSTER)
    for file, mode in outcome.modes.items():
        if mode != "absent" and profile.takes(file) and mode not in profile.modes:
            outcome.add("reader-mode", "manifest", manifest.of_file(file))


def _wrong_mode(mode: str | None, *, there: bool) -> str:
    """Return the rule that the mode of a file in the manifest breaks; blank for none."""
    if mode is None:
        return "manifest-property"
    if mode not in manifest.MODES:
        return "manifest-mode"
    if there == (mode != "absent"):
        return ""
    return "declared-absent" if there else "declared-present"


def _rows(outcome: Outcome, file: str, reader: Reader) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a file with their numbers, 0 for the header, and record where it is no CSV.

    No row follows when the rows before have given so many findings, those of the caller included, that the file will be
    refused whatever else it has.
    """
    row, before = 0, outcome.refused_counts()
    try:
        for block in reader.blocks():
            if outcome.refused_counts() - before >= MOST_BROKEN_ROWS:
                break
            for cells in block:
                yield row, cells
                row += 1
            for bad in reader.undecodable:
                outcome.add("encoding", file, "row", bad or None)
            reader.undecodable.clear()
    except BrokenError as error:
        outcome.add(error.rule, file, "row", error.row or None)
    if reader.bom:
        outcome.add("bom", file, "row")


@dataclass
class _Loading:
    """Loads the files of a package into a database, as text, and checks them."""

    outcome: Checked
    binding: Binding
    base: Scratch
    spool: Path
    profile: Profile
    empty: str
    columns: dict[str, list[str]] = field(default_factory=dict)
    faithful: bool = True
    """Whether every file was loaded completely. If not, references and sets of rows cannot be checked."""

    def load(self, file: str, raw: Any) -> None:
        """Load one file, and record what is wrong with it as a whole."""
        before = self.outcome.refused_counts()
        rows = _rows(self.outcome, file, Reader(raw))
        header = next(rows, (0, []))[1]
        if len(header) > MOST_COLUMNS:
            self.outcome.add("header-width", file, "row")
            self.faithful = False
            return
        standard = [column.name for column in self.binding.files[file]]
        if not {name.lower() for name in standard} & {name.lower() for name in header}:
            if self.outcome.refused_counts() == before:
                self.outcome.add("header-absent", file, "row")
            self.faithful = False
            return
        checks.check_header(self.outcome, file, standard, header)
        if self.outcome.refused_counts() != before:
            self.faithful = False
            return
        with self.spool.open("w", encoding="utf-8", newline="") as handle:
            write = csv.writer(handle, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow
            count = 0
            for row, cells in rows:
                count += 1
                if len(cells) == len(header):
                    write(cells)
                else:
                    self.outcome.add("csv-cells", file, "row", row)
        self.outcome.rows[file] = count
        if self.outcome.refused_counts() != before:
            self.faithful = False
            return
        if not count and self.empty == "absent":
            self.outcome.add("file-empty", file, "row")
        self.columns[file] = header
        self.base.load(f"publish {file}", header, self.spool, _COUNTER)
        self.spool.unlink()

    def check(self, step: Callable[[str], None]) -> None:
        """Check the loaded rows, and add the findings to the outcome."""
        modes = dict(self.outcome.modes)
        takes = self.profile.files if any(self.outcome.rows.values()) else ()
        others = self.binding.files.keys() - takes if takes else set()
        for file in self.binding.files:
            if file not in self.columns:
                self.base.view(f"publish {file}", self.binding.no_rows(file))
                if modes[file] != "absent" or file in others:
                    modes[file] = (
                        "delta"  # The file is announced or not for this reader, so references to it are not judged.
                    )
            elif modes[file] == "absent":
                rows = checks.rows_of(file)
                filled = self.base.row(f"select count(case when status <> '' then 1 end) from {rows}")[0]  # noqa: S608
                modes[file] = "delta" if filled else "bulk"
        found = checks.check(
            self.base,
            self.columns,
            self.binding,
            step,
            {file: "delta" if mode == "delta" else "bulk" for file, mode in modes.items()},
            counter=_COUNTER,
            reader=self.profile.rules_of,
        )
        if self.empty == "absent" and not any(found.rows.values()):
            return  # The rule file-empty reports this.
        self.outcome.findings += found.findings
        self.outcome.counts |= found.counts
        self.outcome.rules |= found.rules
