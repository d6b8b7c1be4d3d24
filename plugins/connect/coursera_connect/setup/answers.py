"""The answers of an administrator in the set-up of an environment, and how they are saved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from coursera_connect.setup import connection, school_changes, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from coursera_connect.setup.mapping import Content
    from coursera_connect.setup.school_changes import Place
    from coursera_connect.setup.schools import Plan


@dataclass
class Answers:
    """Answers that are not saved yet.

    `values` are settings by environment variable, `credentials` those of the tap that have passed the connection test,
    by their names in the tap. `programs` is the number of programs that the test found (None: it has not passed), and
    `plan` is the mapping of schools that replaces `content` (None: not asked).
    """

    values: dict[str, str] = field(default_factory=dict)
    credentials: dict[str, str] = field(default_factory=dict)
    programs: int | None = None
    plan: Plan | None = None
    content: Content | None = None

    @property
    def mapped(self) -> int:
        """The number of programs that get another school."""
        return sum(1 for one in self.plan.changes if one.after and one.after.school_id) if self.plan else 0

    @property
    def left_out(self) -> int:
        """The number of programs that are no longer synced."""
        return len(self.plan.changes) - self.mapped if self.plan else 0

    def save(self, project: Path, environment: str, place: Place) -> Iterator[Path]:
        """Save all answers; yield each file when it is written."""
        yield from sorted({settings.set_(environment, name, value, project) for name, value in self.values.items()})
        if self.programs is not None:
            connection.remember(place.package, self.programs, self.credentials)
        if self.plan is not None and self.content is not None and self.plan.changes:
            school_changes.of_plan(place, self.content, self.plan).save()
            yield self.content.path
