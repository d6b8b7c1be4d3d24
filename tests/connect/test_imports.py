"""No module of connect needs itself, and what does the work knows nothing of the command line."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[2] / "plugins/connect/coursera_connect"
LATER = {("coursera_connect.warehouse.warehouse", "coursera_connect.warehouse.postgres")}
"""Whoever has a DuckDB file does without the client of PostgreSQL."""


def modules() -> dict[str, ast.Module]:
    return {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): ast.parse(path.read_text("utf-8"))
        for path in PACKAGE.rglob("*.py")
    }


def imported(node: ast.AST) -> Iterator[str]:
    """Return the names that a module imports, also within functions, without those for type checkers only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.ImportFrom) and child.module:
            yield from (f"{child.module}.{one.name}" for one in child.names)
            yield child.module
        yield from imported(child)


def test_no_import_leads_back_to_where_it_began() -> None:
    known = modules()
    needed = {
        name: {one for one in imported(tree) if one in known and (name, one) not in LATER}
        for name, tree in known.items()
    }
    assert len(list(TopologicalSorter(needed).static_order())) == len(known)


def test_only_the_command_line_knows_the_command_line() -> None:
    command = "coursera_connect.cli"
    outside = {
        name
        for name, tree in modules().items()
        if not name.startswith(f"{command}.") and any(one.startswith(command) for one in imported(tree))
    }
    # The holder of a lock types `connect ended`, as a job that nobody watches cannot.
    assert outside == {"coursera_connect.__main__", "coursera_connect.schedule.lock_holder"}


def test_only_the_command_line_prints() -> None:
    prints = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id == "print")
            or (isinstance(node.func, ast.Attribute) and node.func.attr in {"echo", "secho", "prompt", "confirm"})
        )
    }
    assert {name for name in prints if not name.startswith("coursera_connect.cli.")} == set()
