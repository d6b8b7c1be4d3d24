"""The ways in which an administrator confirms a change: agreements, and changed settings.

Another grade sync or score scale needs an agreement, whatever it changes. For other settings, guards ignore the changes
that a setting is known to cause, or name the setting in the reason why a publish is blocked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from coursera_connect import timestamps
from coursera_connect.command_text import carried
from coursera_connect.publish.holds import Holding
from coursera_connect.warehouse import ledger

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from coursera_connect.publish.blocked import Drop
    from coursera_connect.publish.settings import Settings
    from coursera_connect.warehouse.warehouse import Warehouse

SCHOOL, GRADE_SYNC, SCORE_SCALE = "school", "grade_sync", "score_scale"
"""The kinds of agreements: a school may leave; another grade sync mode; another score scale."""

RULES = "rules"
"""The column of `connect.settings_used` with the version of the rules, which is no setting and was added later."""

_NAMED = {
    GRADE_SYNC: ("grade sync", ("lineItems", "results", "categories"), "connect grades change {} --save"),
    SCORE_SCALE: ("score scale", ("lineItems", "results"), "connect grades scale {} --save"),
}
_REMAKES: dict[str, tuple[str, ...]] = {"identity": (), "id_style": (), "calendar": ("academicSessions",)}
"""The settings that give rows other ids, with the files of these rows (none: all files)."""

_SHORT = 80
"""Values of settings with more characters are not shown."""

_COLUMNS = {
    "name_placeholder": ("users.givenName", "users.familyName"),
    "line_item_title_length": ("lineItems.title",),
    "category_title_length": ("categories.title",),
}


class MadeOf(NamedTuple):
    """The settings and data of a build.

    `settings` are the settings that it followed, `data_as_of` is when the reports were refreshed, and `read_at` when
    the newest list was read; both are blank if unknown.
    """

    settings: dict[str, str]
    data_as_of: str
    read_at: str
    warnings: list[str]


@dataclass(frozen=True)
class Named:
    """A changed setting that has a confirmation of its own."""

    name: str
    after: str
    files: tuple[str, ...]
    reason: str
    is_agreed: bool


@dataclass(frozen=True)
class Steps:
    """The changes since the last publish, and the agreements.

    `changed` has the settings with what they were and are, `are_new_settings` is also true where a release has settings
    that the one before had not. `are_new_rules` says that another release made the rows, `is_new_profile` and
    `is_new_version` that the reader's profile or OneRoster's version is another one.
    """

    changed: Mapping[str, tuple[str, str]]
    schools: frozenset[str]
    named: tuple[Named, ...]
    files: tuple[str, ...]
    are_new_settings: bool = False
    are_new_rules: bool = False
    is_new_profile: bool = False
    is_new_version: bool = False

    def holding(self, last: Mapping[str, Any] | None, made_of: MadeOf, now: str, settings: Settings) -> Holding:
        """Return what a run may hold, since with other settings ids or line items change on purpose."""
        return Holding(
            made_of.data_as_of,
            made_of.read_at or now,
            last["run"] if last else None,
            self.schools,
            dips=not (self.are_new_settings or self.is_new_version or settings.allow_removals),
            doubts=not self.is_new_version and SCORE_SCALE not in self.changed,
            new_rules=self.are_new_rules,
            above_maximum=settings.allow_above_maximum,
        )

    @property
    def other_settings(self) -> str:
        """Return other changed settings as the end of a sentence on what would leave; blank if there are none."""
        sentences = [
            f"{name} was changed from {before} to {after}" if len(before + after) <= _SHORT else f"{name} was changed"
            for name, (before, after) in sorted(self.changed.items())
            if name not in _NAMED
        ]
        return "".join(f"; {one}" for one in sentences)

    def remakes(self, file: str) -> bool:
        """Return whether a changed setting gives the rows of a file other ids."""
        return any(name in self.changed and file in (files or (file,)) for name, files in _REMAKES.items())

    def columns(self, file: str) -> set[str]:
        """Return the columns of a file whose cells a changed setting changes."""
        attributes = {one for name, of in _COLUMNS.items() if name in self.changed for one in of}
        before, after = (_mapping(text) for text in self.changed.get("attributes", ("", "")))
        attributes |= {one for one in {*before, *after} if before.get(one) != after.get(one)}
        return {column for of, _, column in (one.partition(".") for one in attributes) if of == file}

    def covers_file(self, file: str) -> str:
        """Return why all changes in a file are intended; blank if they are not."""
        agreed = [one for one in self.named if one.name == GRADE_SYNC and one.is_agreed and file in one.files]
        return "the change of the grade sync was agreed to" if agreed else ""

    def covering(self, drop: Drop, used: set[tuple[str, str]]) -> str:
        """Return why a drop is intended; blank if it is not. A needed agreement is added to `used`."""
        if drop.school in self.schools:
            used.add((SCHOOL, drop.school))
            return "it was agreed that the school leaves"
        return self.covers_file(drop.file)


def made_of(database: Warehouse, now: str) -> MadeOf:
    """Return the settings and data of the tables. An impossible time of the data is ignored."""
    tables = database.columns("connect")
    names = tables.get("settings_used", [])
    row = next(database.rows("select * from connect.settings_used"), None) if names else None
    found = dict(zip(names, row, strict=True)) if row else {}
    data_as_of, read_at, warnings = str(found.pop("data_as_of", None) or ""), "", []
    if "read_at" in tables.get("freshness", ()):
        # A number, since DuckDB's client cannot give a moment with its zone unless pytz is installed.
        seconds = database.row("select max(extract(epoch from read_at)) from connect.freshness")[0]
        read_at = timestamps.of_epoch(seconds) if seconds is not None else ""
    if data_as_of and not timestamps.is_possible(data_as_of, read_at or now):
        warnings = [f"The tables say that the data is of {data_as_of}, which is impossible: its age counts as unknown."]
        data_as_of = ""
    settings = {name: str(value) for name, value in found.items() if value is not None}
    return MadeOf(settings, data_as_of, read_at, warnings)


def since(
    database: Warehouse,
    last: Mapping[str, Any] | None,
    used_now: Mapping[str, str],
    settings: Settings,
    files: Collection[str],
) -> Steps:
    """Return the changes since the publish `last`; `used_now` are the settings that the present tables follow."""
    schools = frozenset(ledger.agreed(database, SCHOOL))
    if last is None:
        return Steps({}, schools, (), tuple(files))
    was: dict[str, str] = json.loads(last["settings"])
    both = was.keys() & used_now.keys() - {RULES}
    changed = {name: (was[name], used_now[name]) for name in both if was[name] != used_now[name]}
    named = []
    for name, (words, of, command) in _NAMED.items():
        if name in changed:
            before, after = changed[name]
            reason = carried(f"the {words} was changed from {before} to {after} without `{command.format(after)}`")
            named.append(Named(name, after, of, reason, after in ledger.agreed(database, name)))
    return Steps(
        changed,
        schools,
        tuple(named),
        tuple(files),
        are_new_settings=_shaping(was) != _shaping(used_now),
        are_new_rules=RULES in used_now and was.get(RULES) != used_now[RULES],
        is_new_profile=(last["profile"] or settings.profile) != settings.profile,
        is_new_version=last["version"] != settings.oneroster_version,
    )


def _shaping(settings: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if name != RULES}


def _mapping(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
