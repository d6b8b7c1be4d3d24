"""From the vendor's JSON to rows: names, times and types, all driven by the schema files.

Per property, a schema file says where the value comes from and what it counts:

    x-source      the vendor's field
    x-unit        `epoch milliseconds` and `epoch seconds` become RFC 3339 in UTC; others are only documented
    x-newest-of   the newest of these fields (all epoch milliseconds)
    x-of          the field belongs to the vendor's row around this one: `program` or `gradebook row`
    x-tap         the value is the tap's own: `row_problems`, null in an ordinary row

Every row has every property of its schema, null where the vendor sent nothing; what the schema does not know is left
out. Inside nested objects, what the vendor did not send stays absent.

A loop over thirty properties is most of what a row costs. `RowReader` therefore writes down once what the loop would
do, property by property, and leaves to the loop itself whatever goes wrong. In a `TypedRow` the types are right
already, so little is left to do.

A value that cannot be what the schema says becomes null, and `row_problems` names its property: `item_grade:type`; or
`full_name:text` where characters were replaced (`texts`). A moment that cannot be true (`possible`) stays in its own
column, but moves nothing.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import cached_property, lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from tap_coursera.texts import OddRow
from tap_coursera.typed import TypedRow, row_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tap_coursera.typed import Raw

    Wrong = Callable[[], object]
    Convert = Callable[[Any, Wrong], Any]
    """What a value becomes; None after telling that it cannot be what the schema says."""
    Column = tuple[str, str, type | None, Convert]
    """Property, vendor's field, type of values that need no conversion, conversion."""

PROBLEMS = "row_problems"
"""The column that tells what of a row could not be taken over as it was sent."""
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
DAY = 86_400_000
FIRST_MOMENT = 1_325_376_000_000
"""2012-01-01, the year in which the vendor was founded; both in epoch milliseconds."""
_UNITS = {"epoch milliseconds": 1, "epoch seconds": 1000}
_MINUTES = [f"T{hour:02d}:{minute:02d}:" for hour in range(24) for minute in range(60)]
_SECONDS = [f"{second:02d}" for second in range(60)]
_FRACTIONS = ["Z", *(f".{fraction:03d}Z" for fraction in range(1, 1000))]


@lru_cache(maxsize=1 << 10)
def rfc3339(milliseconds: int) -> str:
    """Epoch milliseconds as RFC 3339 in UTC; milliseconds show only when they are not zero.

    Raises:
        OverflowError: when there is no such year.
    """
    # The times of a row repeat one another, and so do dates; a datetime would take ten times as long.
    minutes, rest = milliseconds // 60_000, milliseconds % 60_000
    return f"{_date(minutes // 1440)}{_MINUTES[minutes % 1440]}{_SECONDS[rest // 1000]}{_FRACTIONS[rest % 1000]}"


@lru_cache(maxsize=1 << 13)
def _date(days: int) -> str:
    """Days since the epoch as an ISO 8601 date."""
    try:
        return date.fromordinal(_EPOCH.toordinal() + days).isoformat()
    except ValueError:
        raise OverflowError from None


def possible(moment: int, now: int) -> bool:
    """Whether something can have been done then (epoch milliseconds): not before the vendor, nor after the run."""
    return FIRST_MOMENT <= moment <= now + DAY


def milliseconds_now() -> int:
    """This machine's clock, epoch milliseconds."""
    return time.time_ns() // 1_000_000


def epoch(value: Any, factor: int = 1) -> int | None:
    """Epoch milliseconds of a vendor's time that counts so many milliseconds; None when it is no time."""
    try:
        return _integer(value) * factor
    except (TypeError, ValueError, OverflowError):
        return None


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects in a vendor's list, an empty one in place of what is none."""
    found = value if isinstance(value, list) else [value]
    return [one if isinstance(one, dict) else OddRow() for one in found if one is not None]


def milliseconds(text: str) -> int:
    """Epoch milliseconds of an RFC 3339 time or an ISO 8601 date (UTC when it names no zone); ValueError otherwise."""
    # Python 3.10 reads neither a Z nor fractions of other than three or six digits.
    moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00").replace("z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


class RowReader:
    """Reads the vendor's rows of one schema; notes the names of fields that the schema does not know in `unknown`.

    Args:
        stream: for messages.
        schema: JSON schema of the stream.
        ignore: fields that are known but belong to another stream.
        replication_key: the property that tells when a row changed.
    """

    def __init__(
        self,
        stream: str,
        schema: Mapping[str, Any],
        ignore: frozenset[str] = frozenset(),
        replication_key: str | None = None,
    ) -> None:
        self._stream = stream
        self.now = milliseconds_now()
        """The time of the run (epoch milliseconds), which decides what `moment` believes."""
        self.undated = 0
        """Rows whose times, as far as they have any, cannot be true."""
        self.unknown: set[str] = set()
        self._outer: list[Column] = []
        self._own: list[Column] = []
        self._newest: tuple[str, bool] | None = None
        for name, spec in schema["properties"].items():
            if "x-tap" in spec:
                continue
            outer = "x-of" in spec
            if "x-newest-of" in spec:
                self._newest = (name, outer)
            else:
                (self._outer if outer else self._own).append(
                    (name, spec["x-source"], _right_type(spec), _converter(spec))
                )
        when = schema["properties"].get(self._newest[0] if self._newest else replication_key, {})
        self._moments: list[str] = when.get("x-newest-of", [when["x-source"]] if "x-source" in when else [])
        self._factor = _UNITS.get(when.get("x-unit"), 1)
        self.known = frozenset(source for _, source, _, _ in self._own) | ignore
        """The vendor's fields that are known."""
        values = [f"value{number}" for number in range(len(self._own))]
        outer_values = [f"outer{number}" for number in range(len(self._outer))]
        names = [name for name, *_ in (*self._outer, *self._own)]
        cells = [f"{name!r}: {value}" for name, value in zip(names, (*outer_values, *values), strict=True)]
        if self._newest:
            cells.append(f"{self._newest[0]!r}: newest")
        self._tells = PROBLEMS in schema["properties"]
        if self._tells:
            cells.append(f"{PROBLEMS!r}: None")
        self._outer_values = _function(
            self._outer, (), outer_values, f"({''.join(f'{one}, ' for one in outer_values)})"
        )
        self._row = _function(self._own, (*outer_values, "newest"), values, f"{{{', '.join(cells)}}}")
        self._schema = schema
        self._typed_row: Callable[[TypedRow, str | None], dict[str, Any]]
        self._typed_moment: Callable[[TypedRow], int | None]
        # The rows within a row are read one after the other, and each row is asked twice when it changed.
        self._around: tuple[Any, tuple[Any, ...]] = (None, ())
        self._dated: tuple[Any, int | None] = (None, None)

    @cached_property
    def typed(self) -> Callable[[msgspec.Raw], TypedRow]:
        """Decodes a row that is what the schema says, and known to be well-formed, so that `read` need not look at it.

        Raises (when called):
            msgspec.DecodeError: when it is something else, or has fields that the schema does not know.
        """
        specs = [spec for spec in self._schema["properties"].values() if "x-source" in spec]
        kind = row_type(self._stream, specs)
        more = [PROBLEMS] if self._tells else []
        self._typed_row = _typed_function(self._own, self._newest and self._newest[0], more)
        fields = [name for name in self._moments if name in kind.__struct_fields__]
        self._typed_moment = _typed_moment(fields, self._factor)
        return msgspec.json.Decoder(kind).decode

    def read(self, raw: Raw, outer: Raw | None = None) -> dict[str, Any]:
        """One row of the stream; `outer` is the vendor's row around it where the schema refers to one.

        Neither may change from one call to the next.
        """
        row: dict[str, Any]
        if isinstance(raw, TypedRow):
            try:
                latest = self.moment(raw)
                return self._typed_row(raw, None if latest is None else rfc3339(latest))
            except (TypeError, ValueError, OverflowError):
                return self._by_loop(raw, outer)
        if isinstance(raw, OddRow) or isinstance(outer, OddRow):
            row = self._by_loop(raw, outer)
            if unknown := raw.keys() - self.known:
                self.unknown.update(unknown)
            return row
        try:
            if outer is not self._around[0]:
                self._around = (outer, () if outer is None else self._outer_values(outer))
            newest = None
            if self._newest is not None:
                latest = self.moment(outer if self._newest[1] and outer is not None else raw)
                newest = None if latest is None else rfc3339(latest)
            row = self._row(raw, *self._around[1], newest)
        except (TypeError, ValueError, OverflowError):
            row = self._by_loop(raw, outer)
        if not self.known.issuperset(raw):
            self.unknown.update(raw.keys() - self.known)
        return row

    def _by_loop(self, raw: Raw, outer: Raw | None) -> dict[str, Any]:
        """What `read` does, one property after the other: slower, but it knows which one went wrong."""
        row: dict[str, Any] = {}
        problems: list[str] = []
        for columns, around in ((self._outer, outer), (self._own, raw)):
            if around is None:
                continue
            repaired, replaced = (getattr(around, name, ()) for name in ("repaired", "replaced"))
            for name, source, _, convert in columns:
                value, wrong = around.get(source), _Wrong()
                row[name] = None if value is None else convert(value, wrong)
                problems += [f"{name}:type"] * (wrong.told or source in replaced)
                problems += [f"{name}:text"] * (source in repaired)
        if self._newest is not None:
            name, of_outer = self._newest
            latest = self.moment(outer if of_outer and outer is not None else raw)
            row[name] = None if latest is None else rfc3339(latest)
        if self._tells:
            row[PROBLEMS] = " ".join(problems) or None
        return row

    def moment(self, raw: Raw) -> int | None:
        """Epoch milliseconds of the vendor's fields behind the replication key, the newest that can be true."""
        if raw is self._dated[0]:
            return self._dated[1]
        latest = self._typed_moment(raw) if isinstance(raw, TypedRow) else _UNSURE
        if latest is not None and not possible(latest, self.now):
            latest = self._believable(raw)
        self._dated = (raw, latest)
        return latest

    def is_dated(self, raw: Raw) -> bool:
        """Whether a row tells any time, true or not."""
        return any(raw.get(name) is not None for name in self._moments)

    def _believable(self, raw: Raw) -> int | None:
        told = [value for name in self._moments if (value := raw.get(name)) is not None]
        moments = [moment for value in told if (moment := epoch(value, self._factor)) is not None]
        believable = [moment for moment in moments if possible(moment, self.now)]
        self.undated += bool(told) and not believable
        return max(believable, default=None)


class _Wrong:
    """Notes that a value cannot be what the schema says."""

    told = False

    def __call__(self) -> None:
        self.told = True


def _refuse() -> NoReturn:
    raise TypeError


def _function(
    columns: Sequence[Column], arguments: Sequence[str], variables: Sequence[str], result: str
) -> Callable[..., Any]:
    """A function of one of the vendor's rows, and more arguments, that puts each column's value into its variable.

    It is written as a text, as dataclasses do it, since that runs four times as fast as a loop over the columns. What
    is in the text are names of our own schema files.
    """
    lines = [f"def function({', '.join(('raw', *arguments))}):", "    get = raw.get"]
    known: dict[str, Any] = {"rfc3339": rfc3339, "wrong": _refuse}
    for number, (variable, (_, source, right, convert)) in enumerate(zip(variables, columns, strict=True)):
        lines.append(f"    {variable} = get({source!r})")
        if convert == _TIME:
            lines.append(f"    if {variable}.__class__ is int:")
            lines.append(f"        {variable} = rfc3339({variable})")
            lines.append(f"    elif {variable} is not None:")
        elif right is not None:
            lines.append(f"    if {variable} is not None and {variable}.__class__ is not {right.__name__}:")
        else:
            lines.append(f"    if {variable} is not None:")
        lines.append(f"        {variable} = convert{number}({variable}, wrong)")
        known[f"convert{number}"] = convert
    lines.append(f"    return {result}")
    exec("\n".join(lines), known)  # noqa: S102 - see above
    function: Callable[..., Any] = known["function"]
    return function


def _typed_function(
    columns: Sequence[Column], newest: str | None, more: Sequence[str]
) -> Callable[[TypedRow, str | None], dict[str, Any]]:
    """A function of a typed row, and of its newest time, that makes the stream's row; written as `_function` is.

    `more` are columns that stay null.
    """
    names = [name for name, *_ in columns] + ([] if newest is None else [newest]) + [*more]
    # To fill in a copy is quicker than to make a dict of so many.
    known: dict[str, Any] = {"rfc3339": rfc3339, "wrong": _refuse, "empty": dict.fromkeys(names)}
    lines = ["def function(raw, newest):", "    row = empty.copy()"]
    for number, (name, source, right, convert) in enumerate(columns):
        if right is not None or convert in _CHECKED:
            lines.append(f"    row[{name!r}] = raw.{source}")
            continue
        call = "rfc3339(value)" if convert == _TIME else f"convert{number}(value, wrong)"
        known[f"convert{number}"] = convert
        lines.append(f"    if (value := raw.{source}) is not None:")
        lines.append(f"        row[{name!r}] = {call}")
    if newest is not None:
        lines.append(f"    row[{newest!r}] = newest")
    lines.append("    return row")
    exec("\n".join(lines), known)  # noqa: S102 - see above
    function: Callable[[TypedRow, str | None], dict[str, Any]] = known["function"]
    return function


def _typed_moment(fields: Sequence[str], factor: int) -> Callable[[TypedRow], int | None]:
    """A function that does for a typed row what `RowReader.moment` does."""
    lines = ["def function(raw):", "    latest = None"]
    for field in fields:
        lines.append(f"    value = raw.{field}")
        lines.append("    if value is not None and (latest is None or value > latest):")
        lines.append("        latest = value")
    lines.append(f"    return latest if latest is None else latest * {factor}")
    known: dict[str, Any] = {}
    exec("\n".join(lines), known)  # noqa: S102 - see above
    function: Callable[[TypedRow], int | None] = known["function"]
    return function


def _right_type(spec: Mapping[str, Any]) -> type | None:
    if spec.get("x-unit") in _UNITS:
        return None
    return {"string": str, "number": float, "boolean": bool}.get(spec["type"][0])


def _converter(spec: Mapping[str, Any]) -> Convert:
    if spec.get("x-unit") in _UNITS:
        return _Value(_Time(_UNITS[spec["x-unit"]]))
    kind = next(kind for kind in spec["type"] if kind != "null")
    if kind == "array":
        return _List(_converter(spec["items"]))
    if kind == "object":
        return _Object([(name, inner["x-source"], _converter(inner)) for name, inner in spec["properties"].items()])
    return _Value({"string": _text, "integer": _integer, "number": _number, "boolean": _boolean}[kind])


@dataclass(frozen=True)
class _Value:
    """Converts a single value by a function that raises where it cannot."""

    of: Callable[[Any], Any]

    def __call__(self, value: Any, wrong: Wrong) -> Any:
        try:
            return self.of(value)
        except (TypeError, ValueError, OverflowError):
            return wrong() and None


@dataclass(frozen=True)
class _List:
    """Converts each value of a list, without those that are null or cannot be what they should."""

    each: Convert

    def __call__(self, values: Any, wrong: Wrong) -> Any:
        if values.__class__ is not list:
            return wrong() and None
        found = (self.each(value, wrong) for value in values if value is not None)
        return [value for value in found if value is not None]


@dataclass(frozen=True)
class _Object:
    """Converts the members of an object that there are."""

    members: list[tuple[str, str, Convert]]

    def __call__(self, value: Any, wrong: Wrong) -> Any:
        if not isinstance(value, dict):
            return wrong() and None
        found = ((name, convert(value[of], wrong)) for name, of, convert in self.members if value.get(of) is not None)
        return {name: one for name, one in found if one is not None}


@dataclass(frozen=True)
class _Time:
    """Makes text of epoch times that count so many milliseconds."""

    factor: int

    def __call__(self, value: Any) -> str:
        return rfc3339(_integer(value) * self.factor)


_TIME = _Value(_Time(1))
_UNSURE = -1
"""A moment that is none."""
_NUMBER = re.compile(r"\s*[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?\s*")
_MOST = (1 << 63) - 1


def _text(value: Any) -> str:
    """Ids are text, but some of the vendor's examples show bare integers."""
    if type(value) is str:
        return value
    return str(_number(value))


def _integer(value: Any) -> int:
    number = int(_number(value))
    if not -_MOST - 1 <= number <= _MOST:
        raise OverflowError
    return number


def _number(value: Any) -> float:
    """A number that computers calculate with; the vendor documents some as text."""
    if type(value) is int:
        return value if -_MOST - 1 <= value <= _MOST else float(value)
    if type(value) is not float and not (type(value) is str and _NUMBER.fullmatch(value)):
        raise TypeError
    number = float(value)
    if not isfinite(number):
        raise OverflowError
    return number


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError
    return value


_CHECKED = (_Value(_integer), _List(_Value(_text)))
"""What has nothing to do where msgspec has looked at the types."""
