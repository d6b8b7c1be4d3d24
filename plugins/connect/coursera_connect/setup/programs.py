"""The programs of the last load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coursera_connect.errors import DatabaseError
from coursera_connect.warehouse import warehouse

if TYPE_CHECKING:
    from coursera_connect.warehouse.warehouse import Location, Warehouse

_NEWEST = """
    select id, name from (
        select id, name, _sdc_deleted_at,
            row_number() over (partition by id order by _sdc_sequence desc, _sdc_extracted_at desc) as newest
        from coursera.programs
    ) as ranked
    where newest = 1 and _sdc_deleted_at is null
    order by id
"""


def loaded(database: Location, wait: float) -> dict[str, str]:
    """Return the programs that Coursera had when they were last loaded: names by id.

    Raises:
        DatabaseError: when none were ever loaded.
    """
    with warehouse.opened(database, wait) as opened:
        if "programs" not in opened.columns("coursera"):
            raise DatabaseError(f"No programs have been loaded into {database} yet: run a job, or leave --loaded out.")
        return newest(opened)


def newest(database: Warehouse) -> dict[str, str]:
    """Return the same of an open warehouse that holds the stream."""
    return {str(program): str(name or "") for program, name in database.rows(_NEWEST)}
