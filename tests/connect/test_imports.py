"""The folders of connect are in one order, and only the command line prints."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[2] / "plugins/connect/coursera_connect"
ORDER = ("deliver", "meltano", "jobs", "notices", "warehouse", "schedule", "setup", "publish", "report", "cli")
"""The folders, the lowest one first."""
UPWARDS = {
    # The command, as `python -m coursera_connect`.
    ("coursera_connect.__main__", "coursera_connect.cli.main"),
    # The files of the Meltano project are closed as the first thing that a process does.
    ("coursera_connect.private_files", "coursera_connect.meltano.project_files"),
}
"""The imports that lead upwards."""
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


def test_no_module_needs_itself() -> None:
    known = modules()
    needed = {
        name: {one for one in imported(tree) if one in known and (name, one) not in LATER}
        for name, tree in known.items()
    }
    assert len(list(TopologicalSorter(needed).static_order())) == len(known)


def test_a_folder_imports_only_from_the_folders_below_it() -> None:
    known = modules()
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert folders == set(ORDER)
    upwards = {
        (name, one)
        for name, tree in known.items()
        for one in imported(tree)
        if one in known and level(one) > level(name)
    }
    assert upwards == UPWARDS


def level(module: str) -> int:
    """The place of a module's folder in the order; modules beside the folders are below all of them."""
    folder = module.split(".")[1]
    return ORDER.index(folder) if folder in ORDER else -1


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
