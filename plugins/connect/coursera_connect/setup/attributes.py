"""The attribute mapping: which source fills each attribute of OneRoster, with the lines of the organisation's choices.

The default mapping is data in the dbt project, in models/oneroster/attributes.yml, of which dbt makes SQL. The rules
for an organisation's own mapping are a macro there, macros/attribute_problems.sql, which is rendered here as dbt does.

    sources: {learner: {email: <SQL>, ...}, program: {...}, ...}     what an attribute can be filled from
    sees: {users: [learner], ...}                                    the entities whose sources a file can use
    targets: {users.email: {from: learner.email}, ...}               the default source of each attribute; some are
                                                                     `required: true`, some `fixed: <rule>`

The organisation's own mapping is the setting `attributes`: {users.sms: learner.external_id, users.middleName: ""}. A
blank source unmaps an attribute. One source may fill many attributes; each attribute is filled once. YAML itself lets
a key come twice and takes the last, so the files are read as trees, in which every key has its line.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jinja2
import yaml

from coursera_connect import command_text
from coursera_connect.errors import UsageError
from coursera_connect.meltano import processes, project_files
from coursera_connect.setup.mapping import Problem
from coursera_connect.text import suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

FILE = "dbt_project.yml"
"""The file of a dbt project in which its vars are."""
MAPPING = "models/oneroster/attributes.yml"
"""The file of a dbt project in which the default mapping is, as the meta of an exposure."""
RULES = "macros/attribute_problems.sql"
"""The macro of a dbt project with the rules for an organisation's own mapping."""
OWN = "attributes"


@dataclass(frozen=True)
class Entry:
    """A key with its line and what it leads to."""

    key: str
    line: int
    node: yaml.Node

    @property
    def text(self) -> str | None:
        """The value, if it is one; blank for null."""
        if not isinstance(self.node, yaml.ScalarNode):
            return None
        return "" if self.node.tag == "tag:yaml.org,2002:null" else str(self.node.value)


@dataclass(frozen=True)
class Target:
    """An attribute of OneRoster and its source."""

    name: str
    entity: str
    required: bool
    fixed: str
    """The rule of an attribute that cannot be mapped, in words; blank for others."""
    default: str
    source: str
    """The present source; blank for none."""
    line: int | None
    """The line on which the organisation mapped it; None for the default."""


@dataclass
class Attributes:
    """The mapping as far as it can be read, and what is wrong with it."""

    file: Path
    targets: list[Target] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def of(self, entity: str | None, *, unmapped: bool = False) -> list[Target]:
        """Return the attributes of an entity (None: all), or only those that nothing fills, entity by entity.

        Raises:
            UsageError: There is no such entity.
        """
        entities = list(dict.fromkeys(target.entity for target in self.targets))
        if entity is not None and entity not in entities:
            near = suggestion(entity, entities)
            raise UsageError(f"There is no entity {entity}; they are {', '.join(entities)}{near and ':'}{near}")
        shown = [
            target
            for target in self.targets
            if entity in {None, target.entity} and not (unmapped and (target.source or target.fixed))
        ]
        return sorted(shown, key=lambda target: entities.index(target.entity))


def read(transform: Path) -> Attributes:
    """Read the attribute mapping of a dbt project.

    Raises:
        UsageError: There is none, or a file is no YAML.
    """
    path = transform / MAPPING
    found = Attributes(path)
    file, chosen = _chosen()

    def wrong(line: int, sentence: str) -> None:
        found.problems.append(Problem(file, line, sentence))

    def wrong_here(line: int, sentence: str) -> None:
        found.problems.append(Problem(MAPPING, line, sentence))

    data = _data(path)
    known = {name: _once(_all(data, name), name, wrong_here) for name in ("sources", "targets", "sees")}
    own = _once(_all(_vars(transform / FILE), OWN) if chosen is None else chosen, OWN, wrong)
    if not known["targets"]:
        raise UsageError(f"{path} has no attribute mapping (targets): check CONNECT_TRANSFORM.")
    for entity in known["sources"].values():
        _once(_entries(entity.node), f"sources.{entity.key}", wrong_here)
    for name, entry in known["targets"].items():
        facts = {one.key: one.text or "" for one in _entries(entry.node)}
        default, fixed = facts.get("from", ""), facts.get("fixed", "")
        mine = own.get(name)
        source = default if mine is None or mine.text is None else mine.text
        required = facts.get("required", "").lower() == "true"
        line = mine.line if mine else None
        found.targets.append(Target(name, name.partition(".")[0], required, fixed, default, source, line))
    own_sources = {name: ["several"] if entry.text is None else entry.text for name, entry in own.items()}
    for problem in _problems(transform, own_sources):
        near = _near(problem["name"], problem["names"]) if problem["names"] else ""
        wrong(own[problem["target"]].line, f"{problem['sentence']}{near or problem['otherwise']}")
    found.problems.sort(key=lambda problem: problem.line)
    return found


def _chosen() -> tuple[str, list[Entry] | None]:
    """Return the file with the organisation's own mapping, and its entries; None if Meltano passes no mapping."""
    facts = processes.plugin_settings("dbt").get(OWN)
    project, environment = project_files.project_of_now(), command_text.environment_of_now()
    if not facts or project is None or environment is None:
        return FILE, None
    file = project_files.folder(project, environment) / project_files.SETTINGS
    if file.exists():
        text = file.read_text("utf-8")
        of_file = project_files.configured(yaml.safe_load(text), environment).get("dbt", {}).get(OWN)
        if of_file == facts:
            return project_files.SETTINGS, _found(yaml.compose(text, Loader=yaml.SafeLoader))
    return "CONNECT_ATTRIBUTES", _entries(yaml.compose(json.dumps(facts), Loader=yaml.SafeLoader))


def _found(node: yaml.Node | None) -> list[Entry]:
    """Return the entries of `attributes`, wherever they are in a settings.yml."""
    if isinstance(node, yaml.SequenceNode):
        return [entry for one in node.value for entry in _found(one)]
    entries = _entries(node)
    own = [entry for one in entries if one.key == OWN for entry in _entries(one.node)]
    return own or [entry for one in entries for entry in _found(one.node)]


def _problems(transform: Path, chosen: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is wrong with the organisation's own mapping, by the macro with which dbt checks it."""
    try:
        text = (transform / RULES).read_text("utf-8")
    except OSError as error:
        raise UsageError(f"Cannot read {transform / RULES} ({error.strerror}): check CONNECT_TRANSFORM.") from error
    macros: Any = jinja2.Environment(extensions=["jinja2.ext.do"], autoescape=False).from_string(text).module  # noqa: S701 - no HTML
    found: list[dict[str, Any]] = []
    macros.attribute_problems(data(transform), chosen, found)
    return found


def _near(name: str, names: Iterable[str]) -> str:
    """Return a suggestion for `entity.name`; if the entity is right, only the rest is compared."""
    entity, _, rest = name.partition(".")
    of_it = [one.partition(".")[2] for one in names if one.startswith(f"{entity}.")]
    if not of_it:
        return suggestion(name, names)
    return suggestion(rest, of_it).replace("mean ", f"mean {entity}.")


def data(transform: Path) -> dict[str, Any]:
    """Return the default mapping as dbt reads it: sources, sees and targets.

    Raises:
        UsageError: There is none, or the file is no YAML.
    """
    path = transform / MAPPING
    constructed = yaml.SafeLoader("")
    return {entry.key: constructed.construct_object(entry.node, deep=True) for entry in _data(path)}


def _data(path: Path) -> list[Entry]:
    """Return the entries of the default mapping: sources, sees and targets."""
    exposures = next((one.node for one in _entries(_compose(path)) if one.key == "exposures"), None)
    first = exposures.value[0] if isinstance(exposures, yaml.SequenceNode) and exposures.value else None
    return _all(_all(_entries(first), "config"), "meta")


def _vars(path: Path) -> list[Entry]:
    """Return the vars of a dbt_project.yml."""
    return _all(_entries(_compose(path)), "vars")


def _compose(path: Path) -> yaml.Node | None:
    try:
        return yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise UsageError(f"Cannot read {path} ({error.strerror}): check CONNECT_TRANSFORM.") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(
            f"{path}, line {line}: this is not YAML: {error.problem or 'check the indentation'}."
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read as text: save it again in UTF-8.") from error


def _all(entries: list[Entry], name: str) -> list[Entry]:
    """Return the entries within all entries of a name."""
    return [entry for one in entries if one.key == name for entry in _entries(one.node)]


def _entries(node: yaml.Node | None) -> list[Entry]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return [Entry(str(key.value), key.start_mark.line + 1, value) for key, value in node.value]


def _once(entries: list[Entry], where: str, wrong: Callable[[int, str], None]) -> dict[str, Entry]:
    """Return the entries by key; a repeated key is wrong, and the last one counts, as in dbt."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if entry.key in found:
            first = found[entry.key].line
            lines = f"twice on line {first}" if first == entry.line else f"on line {first} and on line {entry.line}"
            wrong(entry.line, f"{entry.key} is in {where} {lines}: each may be used once, so remove one of them.")
        found[entry.key] = entry
    return found
