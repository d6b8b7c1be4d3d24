"""The library knows neither Coursera nor Meltano, and prints nothing but in its command."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import oneroster_csv

PACKAGE = Path(oneroster_csv.__file__).parent
MODULES = sorted(PACKAGE.glob("*.py"))


def imported(module: Path) -> set[str]:
    """The packages that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_it_imports_duckdb_and_click_and_nothing_of_this_project() -> None:
    other = {name: imported(PACKAGE / name) for name in (module.name for module in MODULES)}
    everything = set().union(*other.values())
    assert {"duckdb", "click"} <= everything
    assert [name for name in everything if re.search("coursera|meltano|tap_|connect", name)] == []
    assert {name for name, of in other.items() if "click" in of} == {"cli.py"}


def test_neither_coursera_nor_meltano_is_named_in_it() -> None:
    texts = {path: path.read_text("utf-8") for path in (*MODULES, *PACKAGE.glob("*/*.json"))}
    said = re.compile("coursera|meltano|dbt|CONNECT_", re.IGNORECASE)
    assert [(path.name, word) for path, text in texts.items() for word in said.findall(text)] == []


def test_nothing_prints_but_the_command() -> None:
    said = re.compile(r"\bprint\(|\becho\(|sys[.]std(?:out|err)")
    assert {path.name for path in MODULES if said.search(path.read_text("utf-8"))} == {"cli.py"}
