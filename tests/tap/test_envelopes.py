"""Answers whose rows are looked into only later."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from tap_coursera import envelopes, texts
from tap_coursera.records import RowReader

if TYPE_CHECKING:
    from collections.abc import Callable

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
    return [[texts.row(row) for row in body["elements"]], body.get("paging")]


def in_turn(content: bytes) -> object:
    body = envelopes.listing(content)
    return body and [[texts.row(row) for row in body["elements"]], body["paging"]]


def outcome(read: Callable[[bytes], object], content: bytes) -> str:
    try:
        return repr(read(content))  # NaN is not equal to itself
    except ValueError:
        return "None"


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
        damaged += expected == "None"
        assert outcome(in_turn, bytes(content)) == expected
    assert 1_000 < damaged < 19_000


ODD = {
    "half an emoji": rb'{"id": "b", "n": "Ana \ud83d"}',
    "an escape that does not exist": rb'{"id": "b", "n": "Ana \x"}',
    "bytes that are no UTF-8": b'{"id": "b", "n": "Ana \xff"}',
    "a control character as it is": b'{"id": "b", "n": "Ana \x01"}',
}


@pytest.mark.parametrize("row", ODD.values(), ids=ODD)
def test_text_that_no_strict_reader_takes_harms_only_its_own_row(row: bytes) -> None:
    envelope = envelopes.listing(b'\xef\xbb\xbf{"elements": [{"id": "a", "n": "Zo\xc3\xab"}, %s, {"id": "c"}]}' % row)
    assert envelope is not None
    first, odd, last = envelope["elements"]
    assert (first, last) == ({"id": "a", "n": "Zo\u00eb"}, {"id": "c"})
    assert (odd["id"], odd.repaired) == ("b", {"n"})
    assert odd["n"] in {"Ana \ufffd", "Ana \ufffdx", "Ana  "}


@pytest.mark.parametrize(
    "value",
    [
        b"1e999",
        b"NaN",
        b"-Infinity",
        b"9" * 5000,
        b"[" * 1000 + b"]" * 1000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
    ids=["beyond", "none", "infinite", "digits", "levels", "many levels"],
)
def test_a_value_that_nothing_can_be_harms_only_itself(value: bytes) -> None:
    envelope = envelopes.listing(b'{"elements": [{"id": "a"}, {"id": "b", "n": %s, "m": 1}], "paging": {}}' % value)
    assert envelope is not None
    first, odd = envelope["elements"]
    assert (first, odd["id"], odd["m"]) == ({"id": "a"}, "b", 1)
    rows = RowReader("things", {"properties": {"n": NUMBER, "text": TEXT, "row_problems": {"x-tap": True}}})
    assert rows.read(odd) == {"n": None, "text": None, "row_problems": "n:type text:type"}


NUMBER = {"type": ["number", "null"], "x-source": "n"}
TEXT = {"type": ["string", "null"], "x-source": "n"}


def test_what_is_no_json_is_still_asked_for_again() -> None:
    for content in (b"", b"<html>", b'{"elements": [{"id": "a"}', b'{"elements": [{"id": "a"}]} and more', b"\xff\xfe"):
        with pytest.raises(ValueError, match=r"\w"):
            envelopes.listing(content)
    for content in (b"1", b"[]", b'{"elements": {}}', b'{"else": []}'):
        assert envelopes.listing(content) is None
