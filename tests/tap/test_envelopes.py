"""Answers whose rows are looked into only later."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from tap_coursera import envelopes
from tap_coursera.errors import TapError

ANSWER = {
    "elements": [
        {"id": 'caf\u00e9 "\\ \u2713', "n": -12.5e-3, "in": [True, None, {"k": "\U0001f600"}], "t": 1769850900000},
        {"id": "z", "more": {}},
    ],
    "paging": {"next": "3", "total": 4},
}
LETTERS = b'"\\{}[],:0123456789eE+-.truefalsn \x01\xff\xc3u'


def at_once(content: bytes) -> object:
    body = envelopes.members(content)
    if body is None or not isinstance(body.get("elements"), list):
        return None
    return [body["elements"], body.get("paging")]


def in_turn(content: bytes) -> object:
    body = envelopes.listing(content, "Trouble.")
    return body and [list(body["elements"]), body["paging"]]


def outcome(read: object, content: bytes) -> object:
    try:
        return read(content)  # type: ignore[operator] # one of the two above
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def test_an_answer_that_was_damaged_on_its_way_is_known_as_such_before_its_first_row() -> None:
    chance = Random(5)
    whole = msgspec.json.encode(ANSWER)
    assert in_turn(whole) == at_once(whole) == [ANSWER["elements"], ANSWER["paging"]]
    damaged = 0
    for _ in range(20_000):
        content = bytearray(whole)
        for _ in range(chance.choice((1, 1, 2, 3))):
            place = chance.randrange(len(content))
            content[place : place + chance.randint(0, 1)] = bytes(chance.choices(LETTERS, k=chance.randint(0, 1)))
        expected = outcome(at_once, bytes(content))
        damaged += expected is None
        try:
            assert outcome(in_turn, bytes(content)) == expected
        except TapError:
            assert expected is None
            with pytest.raises(msgspec.ValidationError, match="out of range"):
                envelopes.members(bytes(content))
    assert 1_000 < damaged < 19_000


def test_a_number_that_no_computer_holds_is_trouble_when_its_row_comes() -> None:
    envelope = envelopes.listing(b'{"elements": [{"id": "a"}, {"id": "b", "n": 1e999}]}', "Trouble.")
    assert envelope is not None
    rows = iter(envelope["elements"])
    assert (len(envelope["elements"]), next(rows)) == (2, {"id": "a"})
    with pytest.raises(TapError, match="Trouble"):
        next(rows)
