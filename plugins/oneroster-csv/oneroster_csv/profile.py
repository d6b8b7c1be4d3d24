"""Profiles say what readers need beyond the standard, as data (`profiles/*.json`) in one vocabulary.

| word | meaning | without it |
|---|---|---|
| `about` | what is special about the reader, in sentences | required |
| `versions`, `modes` | OneRoster versions, and `bulk` or `delta` | required |
| `files` | files the reader takes | all |
| `needs` | files that must have rows | none |
| `empty` | a file without rows is `absent`, or there with its `header` | `absent` |
| `quotes` | fields in quotes: where needed (`minimal`), or `all` | `minimal` |
| `metadata` | whether columns named metadata.* are written | `true` |
| `manifest` | further properties of the manifest, with their values | none |
| `without` | attributes that are left blank | none |
| `required` | attributes that cannot be excluded, beside those of the standard | none |
| `rows` | per attribute, the only values with which a row is written | all rows |
| `cells` | changes of texts, in order | none |
| `rules` | what is checked after all changes | none |

An attribute is `file.column`. A change has `columns` and one or more of
- `copy`: the attribute of the same file whose text is taken instead, before all else;
- `allowed`: characters (as between the brackets of a regular expression); every run of others becomes `instead`;
- `longest`: cut to that many characters;
- `unique`: what was changed gets a hyphen and ten digits of the SHA-256 of the whole value, so that two values that
  were different (upper and lower case aside) stay so;
- `blank`: what is written when nothing else would be left of a value;
- `matches`: a regular expression; a text that it does not match as a whole is left out.

Regular expressions are those of RE2 (github.com/google/re2/wiki/Syntax), as in DuckDB, without lookahead or references
to groups.

A rule has `id`, `columns` (`*` stands for all files), `sentence`, `remedy`, `refuses` (true by default), and one of
`matches` (the whole text, where not blank), `longest`, `filled`, `unique` (upper and lower case aside) or `most` (so
many rows with the same value, at most).
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import asdict, dataclass
from dataclasses import fields as fields_of
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb

from oneroster_csv import binding as bindings
from oneroster_csv.database import pattern_error
from oneroster_csv.errors import SettingError
from oneroster_csv.sql import digest, literal, matches, once, quoted, replaced

if TYPE_CHECKING:
    from importlib.abc import Traversable

GENERIC = "generic"
"""The profile of a reader without special needs."""

_SUFFIX = ".json"
_LONGEST = 255
_LARGEST = 1_000_000_000
_LONGEST_INTEGER = 300  # digits; a number with more than 308 would be infinity, and Python refuses more than 4,300
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")
_TAIL_DIGITS = 10
_TAIL = 1 + _TAIL_DIGITS
_TAILED = f".*-[0-9a-fA-F]{{{_TAIL_DIGITS}}}"


class ReaderRule(NamedTuple):
    """A rule on a column. Its SQL `condition` is true for rows `r` that break it; `{rows}` are the rows of the file."""

    column: str
    id: str
    sentence: str
    remedy: str
    condition: str
    refuses: bool


@dataclass(frozen=True)
class Change:
    """A change of texts; see the docstring of the module."""

    columns: tuple[str, ...]
    allowed: str = ""
    instead: str = ""
    longest: int = 0
    unique: bool = False
    blank: str = ""
    matches: str = ""
    copy: str = ""

    def apply(self, cell: str) -> str:
        """Return the SQL of a changed text."""
        if self.copy:
            cell = f"coalesce(r.{quoted(self.copy.partition('.')[2])}, '')"
        return once(cell, self._change)

    def _change(self, cell: str) -> str:
        if self.matches:
            return f"case when {matches(cell, self.matches)} then {cell} else '' end"
        text = cell
        if self.allowed:
            text = replaced(replaced(text, f"[^{self.allowed}]+", self.instead), " +", " ")
            text = f"trim({text})"
        longest = self.longest or (_LONGEST if self.unique else 0)
        if longest:
            text = f"rtrim(left({text}, {longest}))"
        if self.unique:
            # A value that already ends like that gets such an end, too, so that it differs from every changed value.
            same = f"{text} = {cell} and not {matches(cell, _TAILED)}"
            tail = f"'-' || left({digest(f'lower({cell})')}, {_TAIL_DIGITS})"
            text = f"case when {same} then {cell} else rtrim(left({text}, {longest - _TAIL})) || {tail} end"
        if self.blank:
            text = f"coalesce(nullif({text}, ''), {literal(self.blank)})"
        return f"case when {cell} = '' then '' else {text} end"


@dataclass(frozen=True)
class Demand:
    """A rule of a reader; see the docstring of the module."""

    id: str
    columns: tuple[str, ...]
    sentence: str
    remedy: str
    refuses: bool = True
    matches: str = ""
    longest: int = 0
    filled: bool = False
    unique: bool = False
    most: int = 0

    def of(self, column: str) -> ReaderRule:
        """Return the rule for a column."""
        cell = f"r.{quoted(column)}"
        condition = ""
        if self.matches:
            condition = f"{cell} <> '' and not {matches(cell, self.matches)}"
        elif self.longest:
            condition = f"length({cell}) > {self.longest}"
        elif self.filled:
            condition = f"trim({cell}) = ''"
        else:
            group = f"lower({cell})" if self.unique else cell
            many = f"select {group} from {{rows}} as r group by 1 having count(*) > {self.most or 1}"  # noqa: S608 - quoted
            condition = f"{cell} <> '' and {group} in ({many})"
        return ReaderRule(column, self.id, self.sentence, self.remedy, condition, self.refuses)


@dataclass(frozen=True)
class Profile:
    """A profile; see the docstring of the module. `files` is empty if the reader accepts all files."""

    name: str
    about: str
    versions: tuple[str, ...]
    modes: tuple[str, ...]
    files: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    empty: str = "absent"
    quotes: str = "minimal"
    metadata: bool = True
    manifest: tuple[tuple[str, str], ...] = ()
    without: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    rows: tuple[tuple[str, tuple[str, ...]], ...] = ()
    cells: tuple[Change, ...] = ()
    rules: tuple[Demand, ...] = ()

    @property
    def written(self) -> dict[str, Any]:
        """The parts of the profile that decide how rows are written, for comparing."""
        parts = asdict(self)
        written = {name: parts[name] for name in ("files", "empty", "quotes", "metadata", "manifest", "rows")}
        # A word that a later release adds must not change this text for profiles that do not use it.
        written["cells"] = [
            {name: one for name, one in cell.items() if name != "copy" or one} for cell in parts["cells"]
        ]
        return written | ({"without": sorted(self.without)} if self.without else {})

    def takes(self, file: str) -> bool:
        """Return whether the reader accepts a file."""
        return not self.files or file in self.files

    def rules_of(self, file: str) -> list[ReaderRule]:
        """Return the reader's rules on the written rows of a file; none for a file that it does not accept."""
        return [
            demand.of(column)
            for demand in self.rules
            for of_file, _, column in (attribute.partition(".") for attribute in demand.columns)
            if of_file in {file, "*"} and self.takes(file)
        ]


def names() -> tuple[str, ...]:
    """Return the names of the included profiles, generic first."""
    found = sorted(entry.name.removesuffix(_SUFFIX) for entry in _folder().iterdir() if entry.name.endswith(_SUFFIX))
    return tuple(sorted(found, key=lambda name: name != GENERIC))


def load(name: str) -> Profile:
    """Return a profile by its name, or by the path of a file that ends in .json.

    Raises:
        SettingError: There is no such profile (with the nearest name), or a word of it is wrong (with the reason).
    """
    if name.endswith(_SUFFIX):
        return _own(Path(name))
    if name not in names():
        raise SettingError(f"There is no profile {name}{suggestion(name, names())}: choose one of {_listed()}.")
    return parse(name, (_folder() / f"{name}.json").read_text("utf-8"))


def _own(path: Path) -> Profile:
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingError(
            f"The profile {path} cannot be read ({reason}): name a JSON file, or one of {_listed()}."
        ) from error
    return parse(path.name.removesuffix(_SUFFIX), text)


def _listed() -> str:
    return ", ".join(names())


def parse(name: str, text: str) -> Profile:
    """Return a profile from its JSON.

    Raises:
        SettingError: A word of the profile is wrong; the sentence says which and why.
    """
    try:
        return _Reading(name).profile(json.loads(text, parse_int=_integer))
    except json.JSONDecodeError as error:
        raise SettingError(f"The profile {name} is no JSON ({error}).") from error
    except RecursionError as error:
        raise SettingError(f"The profile {name} is wrong: it is nested too deeply to be read.") from error


def _integer(digits: str) -> int | float:
    """Return a number of JSON; one that has so many digits that no word can have it need not be exact."""
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


def suggestion(word: str, words: tuple[str, ...]) -> str:
    """Return `, did you mean …?` for the most similar of some words; blank if none is similar."""
    folded = {other.lower(): other for other in words}
    near = difflib.get_close_matches(word.lower(), folded, n=1)
    return f", did you mean {folded[near[0]]}?" if near else ""


def _folder() -> Traversable:
    return files("oneroster_csv") / "profiles"


class _Reading:
    """Reads one profile, word by word, so that every mistake is named with its place."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._files: dict[str, tuple[bindings.Column, ...]] = {}

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect()

    def profile(self, data: Any) -> Profile:
        self._texts(data, "")
        data = self._object(data, Profile, "")
        for word in ("about", "versions", "modes"):
            self._must(word in data, word, "is missing")
        versions = self._words(data, "versions", ("1.1", "1.2"))
        self._files = bindings.load(versions[0]).files
        known = tuple(self._files)
        return Profile(
            name=self._name,
            about=self._text(data, "about"),
            versions=versions,
            modes=self._words(data, "modes", ("bulk", "delta")),
            files=self._words(data, "files", known) if "files" in data else (),
            needs=self._words(data, "needs", known) if "needs" in data else (),
            empty=self._choice(data, "empty", ("absent", "header")),
            quotes=self._choice(data, "quotes", ("minimal", "all")),
            metadata=self._flag(data, "metadata", default=True),
            manifest=self._manifest(data.get("manifest", {})),
            without=frozenset(self._columns(data, "without", "")) if "without" in data else frozenset(),
            required=frozenset(self._columns(data, "required", "")) if "required" in data else frozenset(),
            rows=self._rows(data.get("rows", {})),
            cells=tuple(self._change(one, f"cells[{i}]") for i, one in enumerate(self._list(data, "cells"))),
            rules=tuple(self._demand(one, f"rules[{i}]") for i, one in enumerate(self._list(data, "rules"))),
        )

    def _must(self, right: bool, where: str, what: str) -> None:
        if not right:
            raise SettingError(f"The profile {self._name} is wrong: {where or 'it'} {what}.")

    def _texts(self, data: Any, where: str) -> None:
        """Refuse texts that neither SQL nor a file can hold, wherever they are."""
        if isinstance(data, str):
            self._must(not _UNWRITABLE.search(data), where, "has a text with NUL or a lone surrogate")
        elif isinstance(data, dict):
            for word, value in data.items():
                self._must(not _UNWRITABLE.search(word), where, "has a name with NUL or a lone surrogate")
                self._texts(value, f"{where}.{word}".lstrip("."))
        elif isinstance(data, list):
            for place, value in enumerate(data):
                self._texts(value, f"{where}[{place}]")

    def _object(self, data: Any, kind: type[Profile | Change | Demand], where: str) -> dict[str, Any]:
        self._must(isinstance(data, dict), where, "must be an object")
        words = tuple(field.name for field in fields_of(kind) if field.name != "name")
        for word in data:
            self._must(word in words, f"{where}.{word}".lstrip("."), f"is no word of it{suggestion(word, words)}")
        return dict(data)

    def _list(self, data: dict[str, Any], word: str) -> list[Any]:
        value = data.get(word, [])
        self._must(isinstance(value, list), word, "must be a list")
        return list(value)

    def _text(self, data: dict[str, Any], word: str, where: str = "", *, filled: bool = True) -> str:
        value = data.get(word, "")
        place = f"{where}.{word}".lstrip(".")
        self._must(isinstance(value, str), place, "must be a text")
        self._must(bool(value) or not filled, place, "is missing or blank")
        return str(value)

    def _flag(self, data: dict[str, Any], word: str, where: str = "", *, default: bool = False) -> bool:
        value = data.get(word, default)
        self._must(isinstance(value, bool), f"{where}.{word}".lstrip("."), "must be true or false")
        return bool(value)

    def _number(self, data: dict[str, Any], word: str, where: str, least: int = 1) -> int:
        if word not in data:
            return 0
        value = data[word]
        right = isinstance(value, int) and not isinstance(value, bool) and least <= value <= _LARGEST
        self._must(right, f"{where}.{word}", f"must be a whole number from {least} to {_LARGEST:,}")
        return int(value)

    def _pattern(self, data: dict[str, Any], word: str, where: str, around: str = "{}") -> str:
        if word not in data:
            return ""
        value = self._text(data, word, where)
        error = pattern_error(self._connection, around.replace("{}", value))
        self._must(not error, f"{where}.{word}", f"is no regular expression of RE2 ({error})")
        return value

    def _choice(self, data: dict[str, Any], word: str, values: tuple[str, ...]) -> str:
        value = data.get(word, values[0])
        self._must(value in values, word, f"must be {' or '.join(values)}")
        return str(value)

    def _words(self, data: dict[str, Any], word: str, known: tuple[str, ...]) -> tuple[str, ...]:
        values = data[word]
        self._must(isinstance(values, list) and bool(values), word, "must be a list with something in it")
        for value in values:
            self._must(isinstance(value, str) and value in known, word, f"must have none but {', '.join(known)}")
        return tuple(values)

    def _columns(self, data: dict[str, Any], word: str, where: str, *, all_files: bool = False) -> tuple[str, ...]:
        place = f"{where}.{word}".lstrip(".")
        values = data.get(word)
        self._must(isinstance(values, list) and bool(values), place, "must be a list with something in it")
        known = {f"{file}.{column.name}" for file, columns in self._files.items() for column in columns}
        if all_files:
            known |= {f"*.{name.partition('.')[2]}" for name in known}
        for value in values or ():
            self._must(isinstance(value, str), place, "must be a list of texts")
            self._must(value in known, place, f"has {value}, which is no attribute{suggestion(value, tuple(known))}")
        return tuple(values or ())

    def _manifest(self, data: Any) -> tuple[tuple[str, str], ...]:
        right = isinstance(data, dict) and all(isinstance(value, str) for value in data.values())
        self._must(right, "manifest", "must be an object of texts")
        return tuple(data.items())

    def _rows(self, data: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
        self._must(isinstance(data, dict), "rows", "must be an object")
        if data:
            self._columns({"rows": list(data)}, "rows", "")
        for attribute, values in data.items():
            right = isinstance(values, list) and bool(values) and all(isinstance(value, str) for value in values)
            self._must(right, f"rows.{attribute}", "must be a list of texts with something in it")
        return tuple((attribute, tuple(values)) for attribute, values in data.items())

    def _change(self, data: Any, where: str) -> Change:
        data = self._object(data, Change, where)
        change = Change(
            columns=self._columns(data, "columns", where),
            allowed=self._pattern(data, "allowed", where, "[^{}]"),
            instead=self._text(data, "instead", where, filled=False),
            longest=self._number(data, "longest", where, _TAIL + 1 if data.get("unique") is True else 1),
            unique=self._flag(data, "unique", where),
            blank=self._text(data, "blank", where, filled=False),
            matches=self._pattern(data, "matches", where),
            copy=self._copied(data, where),
        )
        self._must(bool(change.allowed or change.longest or change.matches or change.copy), where, "changes nothing")
        alone = not (change.matches and set(data) - {"columns", "matches"})
        self._must(alone, where, "has matches, which stands alone")
        return change

    def _copied(self, data: dict[str, Any], where: str) -> str:
        if "copy" not in data:
            return ""
        (found,) = self._columns({"copy": [data["copy"]]}, "copy", where)
        files = {column.partition(".")[0] for column in (found, *data["columns"])}
        self._must(len(files) == 1, f"{where}.copy", "is of another file than the columns")
        return found

    def _demand(self, data: Any, where: str) -> Demand:
        data = self._object(data, Demand, where)
        demand = Demand(
            id=self._text(data, "id", where),
            columns=self._columns(data, "columns", where, all_files=True),
            sentence=self._text(data, "sentence", where),
            remedy=self._text(data, "remedy", where),
            refuses=self._flag(data, "refuses", where, default=True),
            matches=self._pattern(data, "matches", where),
            longest=self._number(data, "longest", where),
            filled=self._flag(data, "filled", where),
            unique=self._flag(data, "unique", where),
            most=self._number(data, "most", where),
        )
        tests = [demand.matches, demand.longest, demand.filled, demand.unique, demand.most]
        self._must(sum(map(bool, tests)) == 1, where, "needs one of matches, longest, filled, unique or most")
        self._must(demand.id.startswith("reader-"), f"{where}.id", "must begin with reader-")
        return demand
