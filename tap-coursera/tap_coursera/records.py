"""From the vendor's JSON to rows: names, times and types, all driven by the schema files.

Per property, a schema file says where the value comes from and what it counts:

    x-source      the vendor's field
    x-unit        `epoch milliseconds` and `epoch seconds` become RFC 3339 in UTC; others are only documented
    x-newest-of   the newest of these fields (all epoch milliseconds)
    x-of          the field belongs to the vendor's row around this one: `program` or `gradebook row`

Every row has every property of its schema, null where the vendor sent nothing; what the schema does not know is left
out. Inside nested objects, what the vendor did not send stays absent.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from tap_coursera.errors import TapError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Convert = Callable[[Any], Any]
    Column = tuple[str, str, type | None, Convert]
    """Property, vendor's field, type of values that need no conversion, conversion."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_UNITS = {"epoch milliseconds": 1, "epoch seconds": 1000}


def rfc3339(milliseconds: int) -> str:
    """Epoch milliseconds as RFC 3339 in UTC; milliseconds show only when they are not zero."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    text = moment.isoformat()[:19]
    fraction = milliseconds % 1000
    return f"{text}.{fraction:03d}Z" if fraction else f"{text}Z"


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

    def read(self, raw: Mapping[str, Any], outer: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One row of the stream; `outer` is the vendor's row around it where the schema refers to one.

        Raises:
            TapError: naming the field when a value cannot be what the schema says.
        """
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
        except (TypeError, ValueError, OverflowError, AttributeError):
            raise self._strange(source) from None
        if not self._known.issuperset(raw):
            self.unknown.update(raw.keys() - self._known)
        return row

    def moment(self, raw: Mapping[str, Any]) -> int | None:
        """Epoch milliseconds of the vendor's fields behind the replication key, the newest; None when there is none."""
        latest = None
        for name in self._moments:
            value = raw.get(name)
            if value is not None:
                try:
                    moment = int(value) * self._factor
                except (TypeError, ValueError, OverflowError):
                    raise self._strange(name) from None
                latest = moment if latest is None or moment > latest else latest
        return latest

    def _strange(self, source: str) -> TapError:
        return TapError(
            f"The field {source} of {self._stream} holds something else than Coursera documents: check that "
            "api_url is the Coursera API, and report it if it is."
        )


def _right_type(spec: Mapping[str, Any]) -> type | None:
    if spec.get("x-unit") in _UNITS:
        return None
    return {"string": str, "integer": int, "number": float, "boolean": bool}.get(spec["type"][0])


def _converter(spec: Mapping[str, Any]) -> Convert:
    if spec.get("x-unit") in _UNITS:
        factor = _UNITS[spec["x-unit"]]
        return lambda value: rfc3339(int(value) * factor)
    kind = next(kind for kind in spec["type"] if kind != "null")
    if kind == "array":
        each = _converter(spec["items"])
        return lambda values: [each(value) for value in _list(values) if value is not None]
    if kind == "object":
        members = [(name, inner["x-source"], _converter(inner)) for name, inner in spec["properties"].items()]
        return lambda value: {
            name: convert(value[source]) for name, source, convert in members if value.get(source) is not None
        }
    return {"string": _text, "integer": _integer, "number": _number, "boolean": _boolean}[kind]


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise TypeError
    return value


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
