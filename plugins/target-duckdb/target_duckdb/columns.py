"""From JSON Schema to DuckDB columns: which type, which values fit it, which types may grow into which."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import msgspec

from target_duckdb.sql import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BIGINT, HUGEINT, DOUBLE, BOOLEAN = "BIGINT", "HUGEINT", "DOUBLE", "BOOLEAN"
VARCHAR, JSON, DATE, TIME, TIMESTAMPTZ = "VARCHAR", "JSON", "DATE", "TIME", "TIMESTAMP WITH TIME ZONE"

DECIMAL_PRECISION = 38  # the most DuckDB has
DECIMAL_SCALE = 9  # when the schema does not say
_LARGEST_EXPONENT = 100  # writing 1e1000000 out in full would only fill the memory before it is refused
_FORMATS = {"date-time": TIMESTAMPTZ, "date": DATE, "time": TIME}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")

# Texts DuckDB's own cast would round, cut or read generously.
_INTEGER = "-?[0-9]+([.]0+)?"
_EXACT = {
    BIGINT: _INTEGER,
    HUGEINT: _INTEGER,
    DATE: "[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]00:00(:00([.]0+)?)?(Z|[+]00:?00)?)?",
    TIME: "[0-9:.]+(Z|[+]00:?00)?",
}
# DuckDB reads more than moments: the word epoch, and offsets of 24 hours, 60 minutes or 60 seconds and more.
_MOMENT = (
    r"\s*[0-9+-][^:]*(:[0-9.:]+([+-]([01][0-9]|2[0-3])(:?[0-5][0-9](:[0-5][0-9])?)?\s*|\s*[^+-]*|\s+[A-Za-z].*)?)?"
)

_encode = msgspec.json.Encoder(enc_hook=str, decimal_format="number").encode


@dataclass(frozen=True)
class Column:
    """A column as the stream's schema wants it."""

    name: str
    type: str

    @property
    def raw(self) -> str:
        """SQL for the value as it came, a text; under its own name a property called rowid would hide DuckDB's."""
        return quote(f"raw {self.name}")

    @property
    def render(self) -> Callable[[Any], str] | None:
        """How a value is written before DuckDB reads it, where DuckDB's own JSON reader would round it."""
        if self.type == JSON:
            return _json_text
        return _decimal_text if _DECIMAL.fullmatch(self.type) else None

    def misfit(self, held_as: str) -> str | None:
        """SQL that is true for a raw text that a column of that type cannot hold exactly."""
        raw, cast = self.raw, self.cast(held_as, attempt=True)
        if held_as == JSON:
            return f"(NOT json_valid({raw}))" if self.type == JSON else None
        if held_as == BOOLEAN:
            return f"({raw} NOT IN ('true', 'false'))"
        if decimal := _DECIMAL.fullmatch(held_as):
            digits = f"length(rtrim(split_part({raw}, '.', 2), '0')) > {decimal[2]}"
            return f"({cast} IS NULL OR {digits} OR contains(lower({raw}), 'e'))"
        if held_as == TIMESTAMPTZ:
            usual = f"ends_with({raw}, 'Z') OR ends_with({raw}, '+00:00')"  # to look for a pattern takes far longer
            odd = f"NOT ({usual}) AND NOT regexp_full_match({raw}, '{_MOMENT}')"
            return f"({cast} IS NULL OR NOT isfinite({cast}) OR ({odd}))"
        if held_as == DOUBLE:
            return f"({cast} IS NULL OR NOT isfinite({cast}))"
        pattern = _EXACT.get(held_as)
        return f"({cast} IS NULL OR NOT regexp_full_match({raw}, '{pattern}'))" if pattern else None

    def cast(self, held_as: str, *, attempt: bool = False) -> str:
        """SQL for the value that is stored in a column of that type."""
        raw = self.raw
        if held_as == TIMESTAMPTZ:
            raw = f"upper({raw})"  # RFC 3339 allows a small t and z, DuckDB does not
        if held_as == JSON and self.type != JSON:
            raw = _as_json(raw, self.type)
        return f"{'TRY_CAST' if attempt else 'CAST'}({raw} AS {held_as})"


def columns_of(properties: Mapping[str, Any]) -> dict[str, Column]:
    """Map a schema's properties to columns, in their order."""
    return {name: Column(name, column_type(schema)) for name, schema in properties.items()}


def column_type(schema: Any) -> str:
    """Choose the DuckDB type for a property: the narrowest that holds every value the schema allows."""
    if not isinstance(schema, dict):
        return JSON
    types = set()
    for option in _options(schema):
        declared = option.get("type")
        names = [declared] if isinstance(declared, str) else declared or ["anything"]
        types |= {_scalar_type(name, option) for name in names if name != "null"}
    if len(types) == 1:
        return str(types.pop())
    if types and types <= {BIGINT, DOUBLE}:
        return DOUBLE
    if types and types <= {VARCHAR, DATE, TIME, TIMESTAMPTZ}:
        return VARCHAR
    return JSON


def _options(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Spread a property over the alternatives of its anyOf or oneOf."""
    for word in ("anyOf", "oneOf"):
        if isinstance(options := schema.get(word), list):
            return [part for option in options if isinstance(option, dict) for part in _options(option)] or [{}]
    return [schema]


def _scalar_type(name: str, schema: dict[str, Any]) -> str:
    if name == "string":
        if schema.get("format") == "singer.decimal":
            return _decimal_type(schema)
        return _FORMATS.get(str(schema.get("format")), VARCHAR)
    if name == "integer":
        bounds = [schema.get(word) for word in ("minimum", "maximum")]
        return HUGEINT if any(isinstance(b, int | Decimal) and not -(2**63) <= b < 2**63 for b in bounds) else BIGINT
    if name == "number":
        return _decimal_type(schema) if schema.get("format") == "singer.decimal" or _step(schema) else DOUBLE
    return BOOLEAN if name == "boolean" else JSON


def _step(schema: dict[str, Any]) -> Decimal | None:
    """Read ``multipleOf``, the JSON Schema way to say how many decimals a number has."""
    step = schema.get("multipleOf")
    if isinstance(step, bool) or not isinstance(step, int | float | Decimal):
        return None
    return Decimal(str(step)).normalize()


def _decimal_type(schema: dict[str, Any]) -> str:
    precision, scale = schema.get("precision"), schema.get("scale")
    if not isinstance(precision, int) or not 0 < precision <= DECIMAL_PRECISION:
        precision = DECIMAL_PRECISION
    if not isinstance(scale, int):
        step = _step(schema)
        scale = DECIMAL_SCALE if step is None else max(0, -int(step.as_tuple().exponent))
    return f"DECIMAL({precision},{max(0, min(scale, precision))})"


def _json_text(value: Any) -> str:
    return _encode(value).decode()


def _decimal_text(value: Any) -> str:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    written_out = number.is_finite() and abs(number.adjusted()) <= _LARGEST_EXPONENT
    return f"{number:f}" if written_out else str(value)


# What a column that exists may become when the schema asks for more, since each step keeps every value. From a number
# to another one also goes what is not listed, where each stored value survives it; the rest is refused.
_GROWS_INTO = {
    "INTEGER": {BIGINT, HUGEINT, DOUBLE, VARCHAR, JSON},
    BIGINT: {HUGEINT, VARCHAR, JSON},
    HUGEINT: {VARCHAR, JSON},
    "FLOAT": {DOUBLE, VARCHAR, JSON},
    DOUBLE: {VARCHAR, JSON},
    BOOLEAN: {VARCHAR, JSON},
    DATE: {TIMESTAMPTZ, VARCHAR, JSON},
    TIME: {VARCHAR, JSON},
    "TIMESTAMP": {TIMESTAMPTZ, VARCHAR, JSON},
    TIMESTAMPTZ: {VARCHAR, JSON},
    VARCHAR: {JSON},
}


def holds(existing: str, wanted: str) -> bool:
    """Tell whether a column of the existing type takes every value of the wanted one as it is."""
    if existing in {wanted, JSON} or (existing == VARCHAR and wanted != JSON):
        return True
    if wanted == BIGINT:
        return existing in {HUGEINT, DOUBLE} or _DECIMAL.fullmatch(existing) is not None
    return _decimal_within(wanted, existing)


def grows_into(existing: str, wanted: str) -> bool:
    """Tell whether a column can change from the existing to the wanted type without losing a value."""
    if _DECIMAL.fullmatch(existing):
        return wanted in {VARCHAR, JSON} or _decimal_within(existing, wanted)
    return wanted in _GROWS_INTO.get(existing, set())


def is_number(kind: str) -> bool:
    """Tell whether a type is one of numbers."""
    return kind in {"INTEGER", BIGINT, HUGEINT, "FLOAT", DOUBLE} or _DECIMAL.fullmatch(kind) is not None


def _decimal_within(inner: str, outer: str) -> bool:
    small, large = _DECIMAL.fullmatch(inner), _DECIMAL.fullmatch(outer)
    if not small or not large:
        return False
    scale = int(large[2]) - int(small[2])
    return scale >= 0 and int(large[1]) - int(small[1]) >= scale


def converted(name: str, existing: str, wanted: str) -> str:
    """SQL that turns a stored value of the existing type into the wanted one."""
    value = quote(name)
    if existing in {TIMESTAMPTZ, "TIMESTAMP"} and wanted in {VARCHAR, JSON}:
        instant = f"{value} AT TIME ZONE 'UTC'" if existing == TIMESTAMPTZ else value
        value = f"strftime({instant}, '%Y-%m-%dT%H:%M:%S.%fZ')"
        return f"to_json({value})" if wanted == JSON else value
    return f"to_json({value})" if wanted == JSON else f"CAST({value} AS {wanted})"


def _as_json(raw: str, wanted: str) -> str:
    """SQL for a raw text of another type inside a JSON column: numbers and booleans bare, the rest as strings."""
    bare = wanted in {BIGINT, HUGEINT, DOUBLE, BOOLEAN} or _DECIMAL.fullmatch(wanted)
    return f"CASE WHEN json_valid({raw}) THEN {raw} ELSE to_json({raw}) END" if bare else f"to_json({raw})"
