# ruff: noqa: S608 - every name in a statement is a constant or quoted
"""Queries for the report page that leave out missing tables and columns, so that an empty warehouse has a page, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coursera_connect.warehouse import ledger
from oneroster_csv.sql import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from coursera_connect.warehouse.warehouse import Warehouse


class Tables:
    """The warehouse with queries that leave out missing tables and columns."""

    def __init__(self, database: Warehouse, oneroster: str) -> None:
        self.database = database
        schemas = ("coursera", "mapping", "connect", oneroster, ledger.SCHEMA)
        self.columns = {schema: database.columns(schema) for schema in schemas}

    def has(self, schema: str, table: str, needs: Iterable[str] = ()) -> bool:
        """Return whether a table with these columns exists."""
        columns = self.columns[schema].get(table)
        return columns is not None and set(needs) <= set(columns)

    def one(self, schema: str, table: str, what: str, *, where: str = "true", needs: Iterable[str] = ()) -> Any:
        """Return one value of a table; None if there is none."""
        if not self.has(schema, table, needs):
            return None
        return self.database.row(f"select {what} from {quoted(schema)}.{quoted(table)} where {where}")[0]

    def dicts(self, query: str, names: Sequence[str], values: Iterable[Any] = ()) -> list[dict[str, Any]]:
        """Return the rows of a query by the names given for its columns."""
        return [dict(zip(names, map(_plain, row), strict=True)) for row in self.database.rows(query, list(values))]


def _plain(value: Any) -> Any:
    """Return a value of the database as text or number."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    return float(value) if hasattr(value, "as_tuple") else str(value)


def identifier(text: Any) -> str:
    """Return an id; blank if it may be an e-mail address."""
    return "" if text is None or "@" in str(text) else str(text)


# The ledger
