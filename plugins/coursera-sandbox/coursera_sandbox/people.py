"""Who the learners are: names, e-mail addresses and ids, all invented, each computed from the learner's number.

Which odd name a learner has follows from his number, so that even a college of fifty has one of each kind.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from coursera_sandbox.chance import label, opaque

_FIRST = """
Adira Bram Calla Darian Elowen Fenno Galia Hollis Imre Jorun Kaelin Lioba Marek Nerys Odalys Petrus Quill Renske
Soren Tamsin Ulla Vesna Wystan Xanthe Yorick Zelda Anouk Bastian Corin Delphi Evander Fleur
""".split()  # noqa: SIM905 - a list of names reads better as prose
_LAST = """
Ashgrove Brackwater Cindermoor Dunmarrow Eldershaw Fenbrook Glasswick Hollowmere Inkpenfold Jessamyne Kettlewold
Larkhollow Mossbarrow Nettlecombe Oakenfell Pebblewick Quarrowby Rushmantle Silverholt Thornquist Umberlow
Vantreth Willowsmere Yarrowgate
""".split()  # noqa: SIM905 - a list of names reads better as prose
_UNICODE = (
    "Žofie Kőrösbányai",
    "Łucja Świętojańska-Brzoza",
    "Ñandú Öztürkoğlu",
    "渡辺 明日花",
    "Αελία Θαλασσινού",
    "Siân O\u2019Fearghaìl",
    "ليلى المدينية",
)
_LONG = (
    "Maximiliana Theodora Wilhelmina Alexandrina Philippa Gwendolyn Seraphina Antonietta "
    "von und zu Hohenbuchenwald-Silberthalbrunnen"
)
# Learners whose number ends like this, modulo 40, are called in some way that software trips over.
_KINDS = 40
_ONE_WORD, _LONG_NAME, _QUOTED, _COMMA, _ODD_ID = 3, 7, 13, 17, 29
_FOREIGN = (11, 31)
_PLUS_EVERY = 20
_WITHOUT_SSO = 0.3
_SSO_BASE = 4_200


class Person(NamedTuple):
    """One learner as the API shows him."""

    id: str
    external_id: str
    """SSO id, or the e-mail address when the college never set one."""
    full_name: str
    email: str


def _full_name(number: int, first: str, last: str) -> str:
    kind = number % _KINDS
    if kind == _ONE_WORD:
        return first
    if kind == _LONG_NAME:
        return _LONG
    if kind in _FOREIGN:
        return _UNICODE[number // 20 % len(_UNICODE)]
    if kind == _QUOTED:
        return f'{first} "{first[:2]}" {last}'
    if kind == _COMMA:
        return f"{last}, {first}"
    return f"{first} {last}"


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()


@lru_cache(maxsize=16_384)
def person(seed: int, number: int) -> Person:
    """Return learner `number` of the college with this seed."""
    bits = label(seed, f"person {number}")
    first, last = _FIRST[bits % len(_FIRST)], _LAST[(bits >> 16) % len(_LAST)]
    mailbox = f"{_ascii(first)}.{_ascii(last)}"
    mailbox += f"+coursera{number}" if number % _PLUS_EVERY == _PLUS_EVERY // 2 - 1 else f"{number}"
    email = f"{mailbox}@northfield.example"
    if (bits >> 32) % 1000 < 1000 * _WITHOUT_SSO:
        external_id = email
    elif number % _KINDS == _ODD_ID:
        external_id = f"{last[0]}'{last[1:]},{number:05d}"
    else:
        external_id = f"{number + _SSO_BASE:08d}"
    return Person(opaque(seed, f"user {number}"), external_id, _full_name(number, first, last), email)


def find(seed: int, learners: int, text: str) -> int | None:
    """Return the learner with this e-mail address or external id; both contain the learner's number."""
    for digits in re.findall(r"\d{1,18}", text):
        for number in (int(digits), int(digits) - _SSO_BASE):
            if 0 <= number < learners and text in person(seed, number)[1:4:2]:
                return number
    return None
