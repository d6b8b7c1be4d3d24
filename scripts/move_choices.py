"""Move an organisation's choices out of tracked files, into one folder per environment that git ignores.

For installations of releases before 0.2, before the pull that git would refuse. In the project's folder:

    git fetch && git show @{upstream}:scripts/move_choices.py | python3 -

It needs git and Python alone, and may be run again. It writes into environments/<name> the lines of the mapping files,
the vars of transform/dbt_project.yml and the settings of meltano.yml that are not as they were shipped, gives prod the
root .env and `postgres` a copy of it, and then puts the tracked files back. What it cannot place it keeps in
environments/before-the-move, and says so.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

MELTANO, DBT, MAPPING = "meltano.yml", "transform/dbt_project.yml", "transform/mapping"
TEMPLATE = "plugins/connect/coursera_connect/environments/settings.yml"
KEPT = "environments/before-the-move"
OUTPUT = "      CONNECT_OUTPUT: "
POSTGRES = '      CONNECT_WAREHOUSE: postgres\n      TAP_COURSERA_BATCH_CONFIG: "{}"\n'
RENAMED = {"tap-coursera-roster": "tap-coursera", "target-duckdb": "target-warehouse"}
SANDBOX = "sandbox"


def git(*words: str, check: bool = True) -> str:
    """Return what git says; blank where it refuses and that is no matter."""
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)  # noqa: S607 - any git
    if done.returncode and check:
        sys.exit(f"Error: `git {' '.join(words)}` failed: {done.stderr.strip()}")
    return done.stdout if not done.returncode else ""


def baseline() -> str:
    """Return the commit of the shipped files that this checkout is made of."""
    return git("merge-base", "HEAD", "@{upstream}", check=False).strip() or "HEAD"


def at(commit: str, path: str) -> str:
    """Return a file as it was at a commit; blank where it was not there."""
    return git("show", f"{commit}:{path}", check=False)


def here(path: str) -> str:
    """Return a file as it is now; blank where it is not there."""
    return Path(path).read_text("utf-8") if Path(path).is_file() else ""


# ---- the YAML of our own files, and of what Meltano makes of them; nothing else can be relied on before the pull


class Reader:
    """A reader of block and flow YAML with plain and quoted scalars; a scalar stays as it is written."""

    def __init__(self, text: str) -> None:
        self.lines = [
            (len(bare) - len(bare.lstrip()), bare.strip())
            for line in text.splitlines()
            if (bare := _uncommented(line)).strip()
        ]
        self.at = 0

    def read(self) -> Any:
        """Return the whole text: dicts, lists, and scalars as they are written."""
        return self._block() if self.lines else {}

    def _block(self) -> Any:
        if self.lines[self.at][1].startswith("- ") or self.lines[self.at][1] == "-":
            return self._list(self.lines[self.at][0])
        return self._map(self.lines[self.at][0])

    def _map(self, indent: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.at < len(self.lines) and self.lines[self.at][0] == indent:
            text = self.lines[self.at][1]
            if text.startswith("- "):
                break
            key, rest = _key(text)
            self.at += 1
            found[key] = self._value(rest, indent)
        return found

    def _list(self, indent: int) -> list[Any]:
        found: list[Any] = []
        while self.at < len(self.lines) and self.lines[self.at][0] == indent and self.lines[self.at][1][0] == "-":
            text = self.lines[self.at][1][1:]
            inner = indent + 1 + len(text) - len(text.lstrip())
            text = text.strip()
            if not text:
                self.at += 1
                found.append(self._value("", indent))
            elif text[0] not in "[{\"'" and re.match(r"[^\s:]+:(\s|$)", text):
                self.lines[self.at] = (inner, text)
                found.append(self._map(inner))
            else:
                self.at += 1
                found.append(self._value(text, indent))
        return found

    def _value(self, rest: str, indent: int) -> Any:
        if rest:
            while rest[0] in "[{" and not _balanced(rest):
                rest += " " + self.lines[self.at][1]
                self.at += 1
            while self.at < len(self.lines) and self.lines[self.at][0] > indent and rest[0] not in "[{|>":
                rest += " " + self.lines[self.at][1]  # a plain scalar goes on
                self.at += 1
            return _flow(rest)[0] if rest[0] in "[{" else rest
        if self.at < len(self.lines):
            deeper, text = self.lines[self.at]
            if deeper > indent or (deeper == indent and text.startswith("- ")):
                return self._block()
        return None


def _uncommented(line: str) -> str:
    quote = ""
    for index, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'" and (not index or line[index - 1] in " [{,:"):
            quote = sign
        elif sign == "#" and (not index or line[index - 1] in " \t"):
            return line[:index].rstrip()
    return line.rstrip()


def _key(text: str) -> tuple[str, str]:
    match = re.match(r"""("[^"]*"|'[^']*'|[^\s:][^:]*?)\s*:(?:\s+|$)(.*)""", text)
    if match is None:
        sys.exit(f"Error: this line of YAML cannot be read: {text}")
    return match[1].strip("\"'"), match[2].strip()


def _balanced(text: str) -> bool:
    bare = re.sub(r""""(?:\\.|[^"])*"|'[^']*'""", "", text)
    return bare.count("{") == bare.count("}") and bare.count("[") == bare.count("]")


def _flow(text: str) -> tuple[Any, str]:
    """Return a value in flow style, and what follows it."""
    text = text.lstrip()
    if text[0] in "[{":
        close, found_list, found_map = ("]" if text[0] == "[" else "}"), [], {}
        is_list, text = text[0] == "[", text[1:].lstrip()
        while text and text[0] != close:
            if is_list:
                value, text = _flow(text)
                found_list.append(value)
            else:
                key, text = _scalar(text, ":,}")
                value = None
                if text.startswith(":"):
                    rest = text[1:].lstrip()
                    value, text = (None, rest) if rest[:1] in ",}" else _flow(rest)
                found_map[key.strip("\"'")] = value
            text = text.lstrip().removeprefix(",").lstrip()
        return (found_list if is_list else found_map), text[1:]
    return _scalar(text, ",]}")


def _scalar(text: str, ends: str) -> tuple[str, str]:
    if match := re.match(r""""(?:\\.|[^"])*"|'(?:''|[^'])*'""", text):
        return match[0], text[match.end() :].lstrip()
    for index, sign in enumerate(text):
        if sign in ends and (sign != ":" or text[index + 1 : index + 2] in {" ", ""}):
            return text[:index].strip(), text[index:]
    return text.strip(), ""


def written(value: Any) -> str:
    """Return a value as one line of YAML, its scalars as they were written."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {written(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return '""' if value is None else str(value)


def plain(value: Any) -> str:
    """Return a value for comparing: quotes and spaces do not count."""
    return written(value).replace('"', "").replace("'", "")


# ---- what differs


def edited_vars(base: str) -> dict[str, Any]:
    """Return the vars of the dbt project that are not as shipped, and that a setting stands for."""
    now, was = (Reader(text).read().get("vars") or {} for text in (here(DBT), at(base, DBT)))
    return {
        name: value
        for name, value in now.items()
        if plain(value) != plain(was.get(name)) and not name.startswith("attribute_")
    }


Config = dict[str, dict[str, dict[str, Any]]]
"""Settings by environment (blank: all of them), plugin and name."""


def edited_meltano(base: str) -> tuple[Config, dict[str, dict[str, Any]], bool]:
    """Return settings, `env` by environment, and whether more of meltano.yml was edited."""
    now, was = Reader(here(MELTANO)).read(), Reader(at(base, MELTANO)).read()
    config: Config = {}
    env: dict[str, dict[str, Any]] = {}
    _of_plugins(now, was, config)
    _of_schedules(now, was, config)
    before = {one["name"]: one for one in was.get("environments") or []}
    for one in now.get("environments") or []:
        if one["name"] not in before:
            config.setdefault(one["name"], {})
        for kind in ((one.get("config") or {}).get("plugins") or {}).values():
            for plugin in kind or []:
                for key, value in (plugin.get("config") or {}).items():
                    config.setdefault(one["name"], {}).setdefault(plugin["name"], {})[key] = value
        shipped = before.get(one["name"], {}).get("env") or {}
        for key, value in (one.get("env") or {}).items():
            if plain(value) != plain(shipped.get(key)):
                env.setdefault(one["name"], {})[key] = value
    return config, env, _edited_elsewhere(now, was)


def _of_plugins(now: dict[str, Any], was: dict[str, Any], config: Config) -> None:
    for kind, entries in (now.get("plugins") or {}).items():
        shipped = {one["name"]: one for one in (was.get("plugins") or {}).get(kind) or []}
        for one in entries or []:
            before = shipped.get(one["name"], {}).get("config") or {}
            for key, value in (one.get("config") or {}).items():
                if one["name"] in shipped and plain(value) != plain(before.get(key)):
                    config.setdefault("", {}).setdefault(one["name"], {})[key] = value


def _of_schedules(now: dict[str, Any], was: dict[str, Any], config: Config) -> None:
    shipped = {one["name"]: one.get("interval") for one in was.get("schedules") or []}
    for one in now.get("schedules") or []:
        if one["name"] in shipped and plain(one.get("interval")) != plain(shipped[one["name"]]):
            key = f"schedule_{one['name']}".replace("-", "_")
            config.setdefault("", {}).setdefault("connect", {})[key] = one.get("interval")


def _edited_elsewhere(now: dict[str, Any], was: dict[str, Any]) -> bool:
    """Whether more of meltano.yml was edited than has a place in the folder of an environment."""

    def rest(content: dict[str, Any]) -> str:
        plugins = {
            kind: [{key: value for key, value in one.items() if key != "config"} for one in entries or []]
            for kind, entries in (content.get("plugins") or {}).items()
        }
        schedules = [{**one, "interval": ""} for one in content.get("schedules") or []]
        more = {key: value for key, value in content.items() if key not in {"environments", "plugins", "schedules"}}
        return plain({**dict(sorted(more.items())), "plugins": plugins, "schedules": schedules}).replace(" ", "")

    return rest(now) != rest(was)


def mapping_lines(base: str) -> dict[str, dict[str, str]]:
    """Return the mapping files that hold more than a header, by environment and name."""
    found: dict[str, dict[str, str]] = {}
    for file in sorted(Path(MAPPING).glob("*/*")):
        text = file.read_text("utf-8", "surrogateescape")
        if file.is_file() and text.strip() != at(base, str(file)).strip() and len(text.strip().splitlines()) > 1:
            found.setdefault(file.parent.name, {})[file.name] = text
    return found


# ---- the move


def private(file: Path, text: str) -> None:
    """Write a file that only its owner reads, in folders that only their owner looks into."""
    for folder in reversed([one for one in file.parents if one.parts[:1] == ("environments",)]):
        folder.mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(
        os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", errors="surrogateescape"
    ) as handle:
        handle.write(text)


def settings_yml(template: str, name: str, config: dict[str, dict[str, Any]], env: dict[str, Any]) -> tuple[str, bool]:
    """Return the settings.yml of an environment, and whether every setting had its place in it."""
    lines, placed = template.replace("{environment}", name).splitlines(keepends=True), True
    start = next(index for index, line in enumerate(lines) if line.startswith(OUTPUT))
    if "CONNECT_OUTPUT" in env:
        lines[start] = f"{OUTPUT}{env['CONNECT_OUTPUT']}\n"
    more = "".join(f"      {key}: {written(value)}\n" for key, value in env.items() if key != "CONNECT_OUTPUT")
    lines.insert(start + 1, (POSTGRES if name == "postgres" else "") + more)
    for plugin, values in config.items():
        target = f"          - name: {RENAMED.get(plugin, plugin)}\n"
        if target not in lines:
            placed = False
            continue
        at_config = lines.index(target) + 2
        lines[at_config:at_config] = [f"              {key}: {written(value)}\n" for key, value in values.items()]
    return "".join(lines), placed


def used(name: str, env_text: str, mapping: dict[str, dict[str, str]], config: dict[str, Any]) -> bool:
    """Whether an installation has an environment that was shipped."""
    if name in mapping or name in config or Path("output", name).exists() or name == "prod":
        return True
    return bool(name == "postgres" and re.search(r"^\s*(export\s+)?(PGHOST|PGDATABASE)=", env_text, re.MULTILINE))


def main() -> None:
    """Move everything, put the tracked files back, and say what was done."""
    os.chdir(git("rev-parse", "--show-toplevel").strip())
    base = baseline()
    template = here(TEMPLATE) or at("@{upstream}", TEMPLATE) or at("FETCH_HEAD", TEMPLATE)
    if not template:
        sys.exit("Error: the new release is not fetched: type `git fetch` first.")
    mapping, dbt = mapping_lines(base), edited_vars(base)
    config, env, kept = edited_meltano(base)
    names = {*("prod", "postgres"), *mapping, *filter(None, config), *env} - {SANDBOX}
    for name in sorted(name for name in names if used(name, here(".env"), mapping, config)):
        values: dict[str, dict[str, Any]] = {}
        for part in (config.get("", {}), {"dbt": dbt} if dbt else {}, config.get(name, {})):
            for plugin, chosen in part.items():
                values.setdefault(RENAMED.get(plugin, plugin), {}).update(chosen)
        kept = move_settings(name, template, values, env.get(name, {})) or kept
        move_mapping(name, headers(base) | mapping.get(name, {}))
        move_secrets(name)
        chosen_names = [key for one in values.values() for key in one]
        say(f"environments/{name}: {', '.join([*mapping.get(name, {}), *chosen_names]) or 'nothing had been chosen'}")
    move_mapping(SANDBOX, mapping.get(SANDBOX, {}))
    if kept:
        private(Path(KEPT, MELTANO), here(MELTANO))
        say(f"meltano.yml had more in it than settings: it is kept in {KEPT}, to compare with the new one.")
    restore(base)
    say("Next: git pull && make setup")


def move_settings(name: str, template: str, values: dict[str, dict[str, Any]], env: dict[str, Any]) -> bool:
    """Write the settings.yml of an environment; return whether something had no place in it."""
    text, placed = settings_yml(template, name, values, env)
    file = Path("environments", name, "settings.yml")
    there = here(str(file))
    if there in {"", text, settings_yml(template, name, {}, {})[0]}:
        private(file, text)
    elif values or env:
        private(file.with_name("settings.moved.yml"), text)
        say(f"{file} is there already: compare it with settings.moved.yml beside it.")
    return not placed


def move_mapping(name: str, files: dict[str, str]) -> None:
    """Add the lines of mapping files to those in the folder of an environment."""
    for file, text in files.items():
        target = Path("environments", name, "mapping", file)
        there = here(str(target)).splitlines()
        private(target, "\n".join([*there, *(line for line in text.splitlines() if line not in there)]) + "\n")


def headers(base: str) -> dict[str, str]:
    """Return the mapping files as they were shipped, each with its header alone."""
    shipped = git("ls-tree", "--name-only", base, f"{MAPPING}/prod/", check=False).split()
    return {Path(path).name: at(base, path) for path in shipped}


def move_secrets(name: str) -> None:
    """Give an environment a copy of the root .env, which is prod's alone from now on."""
    target = Path("environments", name, "secrets.env")
    if name != "prod" and here(".env") and not target.exists():
        own = [line for line in here(".env").splitlines() if not re.match(r"\s*(export\s+)?MELTANO_ENVIRONMENT=", line)]
        private(target, "\n".join(own) + "\n")


def say(sentence: str) -> None:
    """Tell the operator."""
    sys.stdout.write(f"{sentence}\n")


def restore(base: str) -> None:
    """Make the tracked files what they were when they were shipped, in the history as well as on disk."""
    paths = [path for path in (MELTANO, DBT, MAPPING) if git("ls-tree", base, path, check=False)]
    for path in paths:
        git("checkout", "-q", base, "--", path)
    if not git("ls-tree", base, MAPPING, check=False) and Path(MAPPING).is_dir():
        for file in Path(MAPPING).glob("*/*"):
            file.unlink()
    if base != "HEAD" and git("diff", "--cached", "--name-only", "HEAD", "--", *paths).strip():
        mine = ("-c", "user.name=Coursera Connect", "-c", "user.email=connect@localhost")
        git(*mine, "commit", "-q", "-m", "Move our choices into environments/", "--", *paths)


if __name__ == "__main__":
    main()
