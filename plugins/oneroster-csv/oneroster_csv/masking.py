"""The Privacy Shield masks people before anything is written, in the same way as long as the key is the same.

| level | masked |
|---|---|
| 1 | last name |
| 2 | and first name, e-mail |
| 3 | and middle name, username, phone and sms, birth date |

A name becomes its first letter and seven others (`Z-kqjwmvo`); an e-mail 16 letters at the domain of the district,
which ends in .invalid so that no message ever leaves for it; a username its first letter and 16 others; a phone number
ten digits nobody can call; of a birth date the year stays. Blank stays blank.

The letters are an HMAC of attribute and value, so without the key nobody can try names out, and the same name looks
different in another column. E-mails and usernames must stay unique: among 200,000 of them, two get the same 16 letters
with a probability of 5 in 10**13 (n**2 / 2 / 26**16). Seven letters would not do: 200,000 names with the same first
letter have two or three such pairs, which is no harm to names, but a username that two people have is refused.

A column that contains one of the masked values would reveal it: identifier, userIds and username are often made
of the e-mail, and any other attribute can be. So from level 2 on, a text of a user that holds an @, the local part of
the e-mail or a word of the name is masked like an e-mail (equal values stay equal, also between these columns and the
e-mail itself); at level 3 identifier, userIds and userMasterIdentifier are masked whatever they hold, since they name a
person in other systems. A reader that matches people by one of these needs level 1; others match by sourcedId.
`metadata.*` of files about people is blank from level 2 on, since a masked natural key identifies nothing.

sourcedIds are never masked, since every file refers to them and a change would replace everybody. Where they are made
of an e-mail, they can be guessed from one; then the levels above 1 do not hide who somebody is.
"""

from __future__ import annotations

import hashlib
import hmac
import re

from oneroster_csv.sql import (
    digits,
    each_item,
    extracted,
    folded,
    keyed_digest,
    letters,
    literal,
    matches,
    mentions,
    quoted,
)

LEVELS = range(4)
INNER, OUTER = "shield_inner", "shield_outer"
"""The names under which a connection stores the padded keys."""

FINGERPRINT = "1"
"""The version of the masks: it changes when a release masks equal values with equal keys differently."""

_EMAIL_LEVEL = 2
_SHORTEST_KEY = 16
_BLOCK = 64
_MASKED = {
    "users.familyName": (1, "name"),
    "users.preferredFamilyName": (1, "name"),
    "users.givenName": (2, "name"),
    "users.preferredGivenName": (2, "name"),
    "users.email": (2, "alias"),
    "users.middleName": (3, "name"),
    "users.preferredMiddleName": (3, "name"),
    "users.username": (3, "username"),
    "users.identifier": (3, "alias"),
    "users.userIds": (3, "ids"),
    "users.userMasterIdentifier": (3, "alias"),
    "users.sms": (3, "phone"),
    "users.phone": (3, "phone"),
    "userProfiles.username": (3, "username"),
    "demographics.birthDate": (3, "year"),
}
_TEXTS = {
    "users.middleName": "alias",
    "users.preferredMiddleName": "alias",
    "users.username": "alias",
    "users.identifier": "alias",
    "users.userIds": "ids",
    "users.userMasterIdentifier": "alias",
    "users.sms": "alias",
    "users.phone": "alias",
    "users.pronouns": "alias",
    "users.password": "alias",
    "userProfiles.username": "alias",
    "userProfiles.description": "alias",
}
"""The attributes that a mapping may fill with something that identifies a person, and how they are masked."""

_ABOUT_PEOPLE = frozenset(
    {
        "users",
        "roles",
        "userProfiles",
        "userResources",
        "demographics",
        "enrollments",
        "results",
        "resultScoreScales",
        "resultLearningObjectiveIds",
    }
)


class Key:
    """The padded keys of an HMAC. Neither `repr` nor any message shows them."""

    __slots__ = ("_padded",)

    def __init__(self, text: str) -> None:
        key = text.encode()
        self._padded = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")

    @property
    def pads(self) -> dict[str, bytes]:
        """The values that the connection must store, by name."""
        return {INNER: bytes(b ^ 0x36 for b in self._padded), OUTER: bytes(b ^ 0x5C for b in self._padded)}

    @property
    def fingerprint(self) -> str:
        """A text that differs for different keys and reveals nothing about them."""
        return hmac.new(self._padded, b"fingerprint", hashlib.sha256).hexdigest()

    def __repr__(self) -> str:
        return "Key(…)"


def is_strong(key: str) -> bool:
    """Return whether a key is long enough that it cannot be guessed."""
    return len(key) >= _SHORTEST_KEY


def hides_emails(level: int) -> bool:
    """Return whether a level masks e-mails and everything that would reveal them."""
    return level >= _EMAIL_LEVEL


def domain(district: str) -> str:
    """Return the domain of a district's masked e-mails, which contains its sourcedId."""
    label = re.sub("[^a-z0-9]+", "-", district.lower())[:63].strip("-")
    return f"{label or 'district'}.invalid"


def masked(file: str, column: str, level: int, at: str) -> str:
    """Return the SQL for a cell of row `r` at a level; `at` is the domain of masked e-mails."""
    attribute = f"{file}.{column}"
    cell = f"coalesce(r.{quoted(column)}, '')"
    if hides_emails(level) and column.startswith("metadata.") and file in _ABOUT_PEOPLE:
        return "''"
    from_level, kind = _MASKED.get(attribute, (LEVELS.stop, ""))
    if level >= from_level:
        return f"case when trim({cell}) = '' then '' else {_mask(kind, attribute, cell, at)} end"
    if hides_emails(level) and attribute in _TEXTS:
        return (
            f"case when {_gives_away(file, cell)} then {_mask(_TEXTS[attribute], attribute, cell, at)} else {cell} end"
        )
    return cell


def _mask(kind: str, attribute: str, cell: str, at: str) -> str:
    if kind == "name":
        return f"left(trim({cell}), 1) || '-' || {letters(_keyed(attribute, cell), 7)}"
    if kind == "username":
        return f"left({_same_case(cell)}, 1) || '-' || {letters(_keyed(attribute, _same_case(cell)), 16)}"
    if kind == "phone":
        return f"'000' || {digits(_keyed(attribute, cell), 7)}"
    if kind == "year":
        return f"case when {matches(cell, '[0-9]{4}-[0-9]{2}-[0-9]{2}')} then left({cell}, 4) || '-01-01' else '' end"
    if kind == "ids":
        return each_item(cell, _mask_id)
    return f"{_alias(cell)} || case when contains({cell}, '@') then {literal('@' + at)} else '' end"


def _mask_id(item: str) -> str:
    kind = f"coalesce(nullif({extracted(item, '^[{]([A-Za-z0-9]+):')}, ''), 'id')"
    return f"'{{' || {kind} || ':' || {_alias(extracted(item, '^[{]?(?:[A-Za-z0-9]+:)?(.*?)[}]?$'))} || '}}'"


def _alias(cell: str) -> str:
    return letters(_keyed("email", _same_case(cell)), 16)


def _keyed(attribute: str, cell: str) -> str:
    return keyed_digest(f"{literal(attribute)} || chr(31) || {cell}", INNER, OUTER)


def _same_case(cell: str) -> str:
    return f"lower(trim({cell}))"


def _gives_away(file: str, cell: str) -> str:
    reasons = [f"contains({cell}, '@')"]
    if file == "users":
        local = folded("split_part(coalesce(r.\"email\", ''), '@', 1)")
        names = "coalesce(r.\"givenName\", '') || ' ' || coalesce(r.\"familyName\", '')"
        reasons += [f"({local} <> '' and contains({folded(cell)}, {local}))", mentions(cell, names)]
    return f"({' or '.join(reasons)})"
