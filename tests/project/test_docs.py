"""The tests, commands, settings and links that the documents name exist."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import duckdb
import pytest
import yaml

from coursera_connect.cli.main import main
from coursera_connect.meltano import meltano_schedules
from coursera_connect.report import page_text
from coursera_connect.setup.mapping import FILES, columns
from coursera_connect.warehouse import ledger, warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in sorted(
        [
            *ROOT.glob("*.md"),
            *ROOT.glob("docs/*.md"),
            *ROOT.glob("plugins/*/README.md"),
            ROOT / "tap-coursera/README.md",
        ]
    )
}
OURS = {name: text for name, text in PAGES.items() if "/" not in name or name.startswith(("docs/", "plugins/connect"))}
FEATURES = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in PAGES["docs/connect-features.md"].splitlines()
    if re.match(r"\| \d", line)
]
PROFILES = ROOT / "plugins/oneroster-csv/oneroster_csv/profiles"


def commands(
    command: click.Command = main, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command of connect with its words."""
    yield words, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*words, name))


def options() -> dict[str, click.Option]:
    """The options of connect that are settings, by their environment variable."""
    return {
        str(option.envvar): option
        for _, command in commands()
        for option in command.params
        if isinstance(option, click.Option) and option.envvar
    }


def times() -> set[str]:
    """The settings that say when the schedules of meltano.yml run."""
    found = yaml.safe_load((ROOT / "meltano.yml").read_text())["schedules"]
    return {meltano_schedules.setting(schedule["name"]) for schedule in found}


def dbt_vars() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "transform/dbt_project.yml").read_text())["vars"]
    return found


@cache
def functions_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def table(page: str, heading: str) -> list[list[str]]:
    """The cells of the rows of the first table under a heading."""
    section = PAGES[page].split(f"\n## {heading}")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows[2:]]


def anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_there_is_a_row_for_each_of_the_35_features() -> None:
    assert [row[0] for row in FEATURES] == [str(number) for number in range(1, 36)]
    assert all(len(row) == 4 for row in FEATURES)


@pytest.mark.parametrize("row", FEATURES, ids=lambda row: row[0])
def test_a_feature_names_tests_that_exist_or_says_that_it_is_out_of_scope(row: list[str]) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row[3])
    assert bool(named) != row[2].startswith("out of scope")
    assert row[3].count("::") == len(named)
    for path, name in named:
        assert name in functions_of(path), f"{path} has no {name}"


@pytest.mark.parametrize("page", OURS)
def test_every_command_that_a_page_names_exists(page: str) -> None:
    known = {words for words, _ in commands()}
    groups = {words for words, command in commands() if isinstance(command, click.Group)}
    of_options = {words: {name for one in command.params for name in one.opts} for words, command in commands()}
    for written in re.findall(r"(?:`|invoke |^\$ .*invoke )connect ([a-z][^`\n]*)", PAGES[page], flags=re.MULTILINE):
        words: tuple[str, ...] = ()
        for word in written.split():
            if (words and words not in groups) or not re.fullmatch(r"[a-z-]+", word):
                break
            words = (*words, word)
            assert words in known, f"there is no `connect {' '.join(words)}`"
        for option in re.findall(r"(?<= )--[a-z-]+", written):
            assert option in of_options[words], f"`connect {' '.join(words)}` has no {option}"


@pytest.mark.parametrize("page", OURS)
def test_every_setting_that_a_page_names_exists(page: str) -> None:
    known = {*options(), *times(), "CONNECT_GRADE_SYNC"}
    assert set(re.findall(r"\bCONNECT_[A-Z_]*[A-Z]\b", PAGES[page])) <= known


def test_settings_lists_every_option_of_connect() -> None:
    section = PAGES["docs/settings.md"].split("\n## connect")[1]
    assert sorted(re.findall(r"`((?:CONNECT|MELTANO)_[A-Z_]+)`", section)) == sorted([*options(), *times()])


def test_settings_tells_the_defaults_of_connect() -> None:
    for names, told, _ in table("docs/settings.md", "connect"):
        defaults = [
            str(options()[name].default)
            for name in re.findall(r"`(\w+)`", names)
            if name not in times() and options()[name].show_default
        ]
        assert re.findall(r"`([^`]+)`", told) == [default for default in defaults if default and default != "None"], (
            names
        )


def test_meltano_offers_only_settings_that_connect_reads() -> None:
    plugins = yaml.safe_load((ROOT / "meltano.yml").read_text())["plugins"]["utilities"]
    offered = next(entry for entry in plugins if entry["name"] == "connect")["settings"]
    assert {f"CONNECT_{setting['name'].upper()}" for setting in offered} <= {*options(), *times()}


def test_settings_lists_every_var_of_dbt_with_its_default() -> None:
    listed: dict[str, str] = {}
    for names, default, _ in table("docs/settings.md", "dbt"):
        listed |= dict.fromkeys(re.findall(r"`(\w+)`", names), default.strip("`"))
    assert sorted(listed) == sorted(dbt_vars())
    for name, value in dbt_vars().items():
        if not name.startswith("attribute_"):
            assert listed[name] == (json.dumps(value) if isinstance(value, (bool, dict)) else str(value))


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{page} links to {target}"


def test_every_page_is_once_in_the_menu_of_the_site() -> None:
    menus = re.findall(r"```{toctree}\n(.*?)```", PAGES["docs/index.md"], flags=re.DOTALL)
    entries = [line for menu in menus for line in menu.splitlines() if line and not line.startswith(":")]
    listed = [str((ROOT / "docs" / f"{entry}.md").resolve().relative_to(ROOT)) for entry in entries]
    assert sorted(listed) == sorted(set(PAGES) - {"docs/index.md"})


@pytest.mark.parametrize("page", PAGES)
def test_the_lines_of_a_page_are_wrapped(page: str) -> None:
    """Tables, code and pictures cannot be wrapped."""
    prose = re.sub(r"^ *```.*?^ *```$|^(?:\||    |!\[).*?$", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    assert [line for line in prose.splitlines() if len(line) > 120] == []


def test_every_file_that_the_map_of_the_code_names_is_there() -> None:
    page = PAGES["docs/developers.md"]
    for row in table("docs/developers.md", "Where a rule is"):
        for name in re.findall(r"`([\w./*-]+\.(?:py|sql|json|yml|md))`", row[1]):
            found = [
                path for part in ("tap-coursera", "plugins", "transform") for path in (ROOT / part).glob(f"**/{name}")
            ]
            assert found or (ROOT / name).is_file(), f"there is no {name}"
    for part, modules in re.findall(r"^### ([\w/-]+)\n(.*?)(?=^##)", page, flags=re.MULTILINE | re.DOTALL):
        for name in re.findall(r"`([\w/*.-]+)`", "".join(re.findall(r"^(?:- |  ).*\n", modules, flags=re.MULTILINE))):
            found = [*(ROOT / part).glob(f"**/{name.rstrip('/')}"), *(ROOT / part).glob(f"**/{name}.py")]
            assert found, f"{part} has no {name}"


def test_the_page_for_administrators_explains_every_sentence_of_the_report() -> None:
    found = set()
    for node in ast.walk(ast.parse(Path(page_text.__file__).read_text(encoding="utf-8"))):
        parts: list[ast.AST] = list(node.values) if isinstance(node, ast.JoinedStr) else [node]
        texts = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts]
        found.add("".join(texts))
    verdicts = {
        text for text in found if re.match(r"(The sync|The last (run|publish)|The package was|Nothing has) .*\.$", text)
    }
    assert len(verdicts) >= 10
    listed = {row[0] for row in table("docs/administrators.md", "What the page says, and what to do")}
    assert verdicts <= listed


def test_every_verb_is_in_the_readme_of_connect() -> None:
    text = PAGES["plugins/connect/README.md"]
    for words, command in commands():
        if words and not isinstance(command, click.Group):
            assert all(f"`{word}`" in text or f"`connect {' '.join(words)}`" in text for word in words[1:] or words)


def test_profiles_lists_every_profile_with_its_versions_and_modes() -> None:
    rows = {}
    for line in PAGES["docs/profiles.md"].splitlines():
        if cells := re.match(r"\| `([\w-]+)` \| ([^|]+) \| ([^|]+) \|", line):
            rows[cells[1]] = [cells[2].strip(), cells[3].strip()]
    profiles = {path.stem: json.loads(path.read_text()) for path in PROFILES.glob("*.json")}
    assert rows == {name: [", ".join(one["versions"]), ", ".join(one["modes"])] for name, one in profiles.items()}


def test_mapping_lists_every_file_with_its_columns() -> None:
    listed = dict(re.findall(r"^\| `(\w+\.csv)` \| `([\w,]+)` \|", PAGES["docs/mapping.md"], flags=re.MULTILINE))
    assert listed == {file: ",".join(columns(file.removesuffix(".csv"))) for file in FILES}


def test_the_queries_of_publishing_run_on_the_tables_of_a_ledger(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create schema oneroster")
    ledger.agree(file, 0, "school", "school.a", {})
    with warehouse.opened(file, 0, write=True) as opened, opened.transaction():
        columns = '"sourcedId", "lineItemSourcedId", "studentSourcedId", score, "scoreDate", from_run, until_run'
        opened.do(f"create table ledger.results ({columns.replace(',', ' varchar,')} varchar)")
    queries = re.findall(r"```sql\n(.*?)```", PAGES["docs/publishing.md"], flags=re.DOTALL)
    with duckdb.connect(str(file), read_only=True) as connection:
        for query in queries:
            assert connection.execute(query).fetchall() == []
    assert queries
