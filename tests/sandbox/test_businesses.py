"""The endpoints of businesses.v1 over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from coursera_sandbox.testing import RunningSandbox

LISTS: list[tuple[str, dict[str, Any]]] = [
    ("/users", {}),
    ("/programs", {"excludeContent": True}),
    ("/contents", {}),
    ("/enrollmentReports", {"includeS12n": True, "includeDeletedMembers": True, "includeExpiredContracts": True}),
    ("/courseGradebookReports", {"q": "search"}),
]


def keys(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["id"], row.get("programId", "")) for row in rows]


@pytest.mark.parametrize(("path", "params"), LISTS)
def test_pages_of_any_size_add_up_to_the_same_list(sandbox: RunningSandbox, path: str, params: dict[str, Any]) -> None:
    whole = sandbox.all(path, **params)
    total = sandbox.get(path, limit=1, **params)["paging"]["total"]
    assert total == len(whole) > 5
    assert len(set(keys(whole))) == len(whole)
    assert sandbox.all(path, limit=7, **params) == whole
