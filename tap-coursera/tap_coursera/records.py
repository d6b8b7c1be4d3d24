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
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from tap_coursera.errors import TapError
from tap_coursera.typed import TypedRow, row_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tap_coursera.typed import Raw

    Convert = Callable[[Any], Any]
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
        self._known = frozenset(source for _, source, _, _ in self._own) | ignore
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

        Raises:
            TapError: naming the field when a value cannot be what the schema says.
        """
        row: dict[str, Any]
        if isinstance(raw, TypedRow):
            try:
                latest = self.moment(raw)
                return self._typed_row(raw, None if latest is None else rfc3339(latest))
            except (TypeError, ValueError, OverflowError, AttributeError):
                return self._by_loop(raw, outer)
        try:
            if outer is not self._around[0]:
                self._around = (outer, () if outer is None else self._outer_values(outer))
            newest = None
            if self._newest is not None:
                latest = self.moment(outer if self._newest[1] and outer is not None else raw)
                newest = None if latest is None else rfc3339(latest)
            row = self._row(raw, *self._around[1], newest)
        except (TapError, TypeError, ValueError, OverflowError, AttributeError):
            row = self._by_loop(raw, outer)
        if not self._known.issuperset(raw):
            self.unknown.update(raw.keys() - self._known)
        return row

    def _by_loop(self, raw: Raw, outer: Raw | None) -> dict[str, Any]:
        """What `read` does, one property after the other: slower, but it knows which one went wrong."""
        row: dict[str, Any] = {}
        source = ""
        try:
            if outer is not None:
                for name, source, right, convert in self._outer:
                    value = outer.get(source)
                    row[name] = value if value is None or type(value) is right else convert(value)
            for name, source, right, convert in self._own:
                value = raw.get(source)
                row[name] = value if value is None or type(value) is right else convert(value)
            if self._newest is not None:
                name, of_outer = self._newest
                latest = self.moment(outer if of_outer and outer is not None else raw)
                row[name] = None if latest is None else rfc3339(latest)
            if self._tells:
                row[PROBLEMS] = None
        except (TypeError, ValueError, OverflowError, AttributeError):
            raise self._strange(source) from None
        return row

    def moment(self, raw: Raw) -> int | None:
        """Epoch milliseconds of the vendor's fields behind the replication key, the newest; None when there is none."""
        if raw is self._dated[0]:
            return self._dated[1]
        latest: int | None = None
        if isinstance(raw, TypedRow):
            latest = self._typed_moment(raw)
            self._dated = (raw, latest)
            return latest
        for name in self._moments:
            value = raw.get(name)
            if value is not None:
                try:
                    moment = int(value) * self._factor
                except (TypeError, ValueError, OverflowError):
                    raise self._strange(name) from None
                latest = moment if latest is None or moment > latest else latest
        self._dated = (raw, latest)
        return latest

    def _strange(self, source: str) -> TapError:
        return TapError(
            f"The field {source} of {self._stream} holds something else than Coursera documents: check that "
            "api_url is the Coursera API, and report it if it is."
        )


def _function(
    columns: Sequence[Column], arguments: Sequence[str], variables: Sequence[str], result: str
) -> Callable[..., Any]:
    """A function of one of the vendor's rows, and more arguments, that puts each column's value into its variable.

    It is written as a text, as dataclasses do it, since that runs four times as fast as a loop over the columns. What
    is in the text are names of our own schema files.
    """
    lines = [f"def function({', '.join(('raw', *arguments))}):", "    get = raw.get"]
    known: dict[str, Any] = {"rfc3339": rfc3339}
    for number, (variable, (_, source, right, convert)) in enumerate(zip(variables, columns, strict=True)):
        lines.append(f"    {variable} = get({source!r})")
        if convert == _Time(1):
            lines.append(f"    if {variable}.__class__ is int:")
            lines.append(f"        {variable} = rfc3339({variable})")
            lines.append(f"    elif {variable} is not None:")
        elif right is not None:
            lines.append(f"    if {variable} is not None and {variable}.__class__ is not {right.__name__}:")
        else:
            lines.append(f"    if {variable} is not None:")
        lines.append(f"        {variable} = convert{number}({variable})")
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
    known: dict[str, Any] = {"rfc3339": rfc3339, "empty": dict.fromkeys(names)}
    lines = ["def function(raw, newest):", "    row = empty.copy()"]
    for number, (name, source, right, convert) in enumerate(columns):
        if right is not None or convert is _texts:
            lines.append(f"    row[{name!r}] = raw.{source}")
            continue
        call = "rfc3339" if convert == _Time(1) else f"convert{number}"
        known[f"convert{number}"] = convert
        lines.append(f"    if (value := raw.{source}) is not None:")
        lines.append(f"        row[{name!r}] = {call}(value)")
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
    return {"string": str, "integer": int, "number": float, "boolean": bool}.get(spec["type"][0])


def _converter(spec: Mapping[str, Any]) -> Convert:
    if spec.get("x-unit") in _UNITS:
        return _Time(_UNITS[spec["x-unit"]])
    kind = next(kind for kind in spec["type"] if kind != "null")
    if kind == "array":
        each = _converter(spec["items"])
        if each is _text:
            return _texts
        return lambda values: [each(value) for value in _list(values) if value is not None]
    if kind == "object":
        members = [(name, inner["x-source"], _converter(inner)) for name, inner in spec["properties"].items()]
        return lambda value: {
            name: convert(value[source]) for name, source, convert in members if value.get(source) is not None
        }
    return {"string": _text, "integer": _integer, "number": _number, "boolean": _boolean}[kind]


@dataclass(frozen=True)
class _Time:
    """Makes text of epoch times that count so many milliseconds."""

    factor: int

    def __call__(self, value: Any) -> str:
        return rfc3339(int(value) * self.factor)


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise TypeError
    return value


def _texts(values: Any) -> list[str]:
    return [value if value.__class__ is str else _text(value) for value in _list(values) if value is not None]


def _text(value: Any) -> str:
    """Ids are text, but some of the vendor's examples show bare integers."""
    if type(value) is str:
        return value
    if isinstance(value, (dict, list)):
        raise TypeError
    return str(value)


def _integer(value: Any) -> int:
    return value if type(value) is int else int(float(value))


def _number(value: Any) -> float:
    return value if type(value) in {float, int} else float(value)


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError
    return value
