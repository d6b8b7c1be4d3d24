"""Finds the members of a course that the people of the scores are."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_lti_ags.ledger import Person

MATCHES = ("sourced_id", "email", "username", "lis_person_sourcedid")
"""How people are matched; all but `sourced_id` need the membership service."""

_USERNAMES = ("ext_user_username", "preferred_username", "username")


class AmbiguousError(Exception):
    """A person is several members, or a member is several people."""


class Members:
    """The active members of a course by what they are matched by."""

    def __init__(self, match: str, members: Iterable[dict[str, Any]]) -> None:
        self._match = match
        self._users: dict[str, set[str]] = defaultdict(set)
        for member in members:
            user_id = member.get("user_id")
            if isinstance(user_id, (str, int)) and str(user_id) and member.get("status", "Active") == "Active":
                for value in self._values_of_member(member):
                    self._users[value].add(str(user_id))

    def _values_of_member(self, member: dict[str, Any]) -> set[str]:
        names = {"email": ("email",), "username": _USERNAMES}.get(self._match, ("lis_person_sourcedid",))
        return {_folded(self._match, member[name]) for name in names if isinstance(member.get(name), str)} - {""}

    def _values_of(self, person: Person) -> set[str]:
        values = {
            "email": [person.email],
            "username": [person.username],
        }.get(self._match, [person.id, *person.identifiers])
        return {_folded(self._match, value) for value in values if value} - {""}

    def match(self, people: Iterable[Person]) -> dict[str, str | AmbiguousError | None]:
        """Return for the id of each person the user id in the course, None for no member, or the error.

        `people` are all people of the class, because two of them may be one member.
        """
        found = {
            person.id: set().union(*(self._users.get(value, set()) for value in self._values_of(person)))
            for person in people
        }
        claims: dict[str, int] = defaultdict(int)
        for users in found.values():
            for user in users:
                claims[user] += 1
        return {
            person: None
            if not users
            else (next(iter(users)) if len(users) == 1 and claims[next(iter(users))] == 1 else AmbiguousError())
            for person, users in found.items()
        }


def _folded(match: str, value: str) -> str:
    """Return a value to compare: letter case does not distinguish e-mail addresses and user names."""
    return value.strip() if match == "lis_person_sourcedid" else value.strip().casefold()
