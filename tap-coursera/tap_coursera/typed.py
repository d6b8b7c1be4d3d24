"""Rows whose values have the types of their schema already: msgspec checks them while it decodes them.

Where a report has hundreds of thousands of rows, checking each value of each row would take longer than all else. So
its rows are decoded into a class that is made of its schema file, and only what does not fit into it becomes a dict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class TypedRow(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A row of the vendor's that is what its schema says; attributes are the vendor's fields, None where absent.

    It holds nothing that could refer to it, so Python's garbage collector need not look at it.
    """

    def get(self, name: str, default: Any = None, /) -> Any:
        """The value of a field; what is null counts as absent."""
        value = getattr(self, name, None)
        return default if value is None else value

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)


_Integer = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]

Raw: TypeAlias = dict[str, Any] | TypedRow
"""A row of the vendor's."""


def row_type(name: str, specs: Iterable[Mapping[str, Any]]) -> type[TypedRow]:
    """The class of the rows whose fields have these schemas; each names its `x-source`."""
    fields = [(spec["x-source"], _type(spec), None) for spec in specs]
    # A subclass takes neither option over.
    made = msgspec.defstruct(name, fields, bases=(TypedRow,), gc=False, forbid_unknown_fields=True)
    return cast("type[TypedRow]", made)


def _type(spec: Mapping[str, Any]) -> Any:
    """What values are decoded into; they are exactly what they would be in a dict, or else an error."""
    if spec.get("x-unit", "").startswith("epoch "):
        return _Integer | None
    kind = next(kind for kind in spec["type"] if kind != "null")
    if kind == "array" and "string" in spec["items"]["type"]:
        return list[str] | None
    return {
        "string": str | None,
        "integer": _Integer | None,
        "number": _Integer | float | None,
        "boolean": bool | None,
        "array": list[Any] | None,
        "object": dict[str, Any] | None,
    }[kind]
