"""Each reader gets the rows that it accepts, and a mistake in a profile is named with its place."""

from __future__ import annotations

import json
import re
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneroster_csv import binding as bindings
from oneroster_csv import profile as profiles
from oneroster_csv.errors import SettingError
from tests.oneroster_csv.writing import ADA, ZOE, broken, columns_of, connection, fill, output, written

ROSTER = ("academicSessions", "classes", "courses", "demographics", "enrollments", "orgs", "users")
READABLE = re.compile(r"[^\W_]+([ .,-]|[^\W_])*|[ .,-]+")  # A reader accepts letters and digits of any script.


def test_generic_is_the_first_of_the_readers() -> None:
    first, *others = profiles.names()
    assert first == "generic"
    assert {"blackbaud", "great-minds", "hmh", "moodle", "powerschool"} <= set(others)
    assert others == sorted(others)


FIVE = ("academicSessions", "classes", "enrollments", "orgs", "users")
FOUR = ("academicSessions", "classes", "orgs", "users")
BOTH: dict[str, Any] = {"versions": ("1.1", "1.2"), "modes": ("bulk", "delta"), "files": None}
ONE: dict[str, Any] = {"versions": ("1.1",), "modes": ("bulk",), "files": ROSTER}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("generic", BOTH),
        ("blackbaud", BOTH),
        ("powerschool", BOTH),
        ("great-minds", ONE | {"needs": ("classes", "enrollments", "orgs", "users")}),
        ("hmh", ONE | {"empty": "header", "quotes": "all"}),
        ("moodle", ONE | {"files": FIVE, "needs": FIVE}),
        ("moodle-accounts", ONE | {"files": FOUR, "needs": FOUR}),
    ],
)
def test_what_a_reader_takes(name: str, wanted: dict[str, Any]) -> None:
    binding = bindings.load("1.1")
    chosen = output(name)
    wanted = {"empty": "absent", "quotes": "minimal", "needs": (), "manifest": ()} | wanted
    wanted["files"] = wanted["files"] or tuple(binding.files)
    taken = {word: getattr(chosen.profile, word) for word in wanted} | {"files": chosen.files(binding)}
    assert taken == wanted


@pytest.mark.parametrize("name", profiles.names())
def test_columns_of_our_own_are_left_out_where_the_reader_refuses_them(name: str) -> None:
    names = columns_of("users")
    shown = output(name).header(names)
    assert shown == (names[:-1] if name in {"moodle", "moodle-accounts", "hmh"} else names)


@pytest.mark.parametrize("name", profiles.names())
def test_a_plain_row_breaks_no_rule_that_refuses(name: str) -> None:
    refusing = {rule.id for rule in profiles.load(name).rules if rule.refuses and not rule.filled}
    for file in output(name).files(bindings.load("1.1")):
        assert not {rule for rule, _, _ in broken(output(name), file, {"sourcedId": "a.b-1"})} & refusing


def test_powerschool_gets_short_titles_and_each_category_once() -> None:
    powerschool = output("powerschool")
    (row,) = written(powerschool, "lineItems", {"sourcedId": "l1", "title": "Week 1: " + "x" * 41 + " and more"})
    assert row["title"] == "Week 1: " + "x" * 41  # 50 characters would end with a blank
    (row,) = written(powerschool, "categories", {"sourcedId": "c1", "title": "y" * 31})
    assert row["title"] == "y" * 30
    both = [{"sourcedId": f"c{end}", "title": "Programming assignment of week " + end} for end in "12"]
    assert broken(powerschool, "categories", *both) == [("reader-unique", "title", 2)]
    assert not broken(
        powerschool, "categories", {"sourcedId": "c1", "title": "Quiz"}, {"sourcedId": "c2", "title": "LTI"}
    )


@pytest.mark.parametrize(("wrong", "times"), [("x" * 101, 1), ("a@b", 1), ("a/b", 1), ("x" * 100, 0), ("A-b_c.d", 0)])
def test_great_minds_takes_short_plain_ids(wrong: str, times: int) -> None:
    for file in ROSTER:
        found = broken(output("great-minds"), file, {"sourcedId": wrong})
        assert found == [("reader-id", "sourcedId", times)] * times


def test_hmh_is_warned_of_large_classes() -> None:
    rows = [{"sourcedId": f"e{i}", "classSourcedId": "large" if i < 51 else "small"} for i in range(101)]
    assert broken(output("hmh"), "enrollments", *rows) == [("reader-class-size", "classSourcedId", 51)]
    assert not any(rule.refuses for rule in output("hmh").profile.rules_of("enrollments"))


def test_blackbaud_gets_results_when_they_are_final() -> None:
    states = ["exempt", "fully graded", "not submitted", "partially graded", "submitted", ""]
    rows = [{"sourcedId": f"r{i}", "scoreStatus": state} for i, state in enumerate(states)]
    assert [row["scoreStatus"] for row in written(output("blackbaud"), "results", *rows)] == ["exempt", "fully graded"]
    assert len(written(output("generic"), "results", *rows)) == 6
    assert output("blackbaud").condition("users") == "true"


def test_moodle_gets_texts_it_can_read() -> None:
    ada, zoe = written(output("moodle-accounts"), "users", ADA, ZOE)
    assert re.fullmatch("ada.lovelace-example.org-[0-9a-f]{10}", ada["username"])
    # The end of the text is the same in upper and lower case.
    assert ada["identifier"] == "A" + ada["username"][1:4] + "L" + ada["username"][5:]
    assert ada["userIds"] == ""
    assert ada["email"] == "Ada.Lovelace@example.org"
    assert ada["phone"] == "44 1632 960002"
    assert (zoe["username"], zoe["identifier"], zoe["userIds"]) == ("zoe-obrien", "T4711", "{Coursera:T4711}")
    assert (zoe["givenName"], zoe["familyName"]) == ("Zoë", "OBrien")
    assert written(output("moodle"), "users", ADA | {"givenName": "(!)"})[0]["givenName"] == "-"
    for wrong in ("zoë@example.org", "ada@localhost", "ada..l@example.org", f"{'a' * 95}@example.org", "no address"):
        assert written(output("moodle"), "users", ADA | {"email": wrong})[0]["email"] == ""
    (row,) = written(
        output("moodle"), "classes", {"sourcedId": "k_1", "title": "C++: Objects & Classes", "classCode": "c_a"}
    )
    assert (row["sourcedId"], row["title"], row["classCode"]) == ("k_1", "C Objects Classes", "")
    (row,) = written(output("moodle"), "orgs", {"sourcedId": "o1", "name": "St. Mary's (North)", "identifier": "north"})
    assert (row["name"], row["identifier"]) == ("St. Mary s North", "north")


def test_moodle_finds_each_enrollment_by_the_name_of_an_account() -> None:
    ids = ["user.a1", "user.a_1", "user.a-1", f"user.{'x' * 110}", "user.A@b/c"]
    users = written(output("moodle"), "users", *(ADA | {"sourcedId": one} for one in ids))
    found = written(output("moodle"), "enrollments", *({"sourcedId": one, "userSourcedId": one} for one in ids))
    names = {row["username"] for row in users}
    assert len(names) == len(ids)
    assert names == {row["sourcedId"] for row in users} == {row["userSourcedId"] for row in found}
    assert {"user.a1", "user.a-1"} <= names
    assert max(map(len, names)) == 100


@pytest.mark.parametrize("level", range(4))
def test_moodle_can_read_every_text_at_every_level(level: int) -> None:
    texts = {"users": "username givenName familyName middleName identifier sms phone", "orgs": "name identifier"}
    texts |= {"classes": "title location", "academicSessions": "title"}
    strange = "A_b+c@d!é 漢 'x' \\ ß/ü#"
    for file, names in texts.items():
        person = (ADA if file == "users" else {"sourcedId": "x"}) | dict.fromkeys(names.split(), strange)
        for row in written(output("moodle-accounts", level), file, person):
            assert [row[name] for name in names.split() if not READABLE.fullmatch(row[name])] == []
            assert re.fullmatch(r"([{][A-Za-z0-9]+:[A-Za-z0-9]+[}])?", row.get("userIds", ""))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])), max_size=20, unique=True))
def test_sanitised_usernames_stay_different_and_readable(names: list[str]) -> None:
    moodle = output("moodle-accounts")
    variants = [*names, *(f"{name}+" for name in names), *(f"{name}@x" for name in names)]
    with duckdb.connect(config={"threads": 1}) as opened:
        opened.execute("create table users as select unnest(cast(? as text[])) as username", [variants])
        cell = moodle.cell("users", "username")
        clean = "select distinct on (lower(trim(username))) trim(username) as username from users"
        once = opened.execute(f"select username, {cell} from ({clean}) as r where username <> ''").fetchall()
        shown_names = [shown for _, shown in once]
        opened.execute("create or replace table users as select unnest(cast(? as text[])) as username", [shown_names])
        (folded,) = opened.execute("select count(distinct lower(username)) from users").fetchall()[0]
        allowed = r"regexp_full_match(username, '[\p{L}\p{N} .,-]{1,100}') and username = trim(username)"
        (right,) = opened.execute(f"select count(*) from users where {allowed}").fetchall()[0]
    assert folded == right == len(once)
    for given_name, shown in once:
        if re.fullmatch("[A-Za-z0-9.,-]{1,89}", given_name) and not re.search("-[0-9a-fA-F]{10}$", given_name):
            assert shown == given_name


def test_no_unchanged_username_is_the_changed_one_of_somebody_else() -> None:
    (ada,) = written(output("moodle-accounts"), "users", ADA)
    mallory = ZOE | {"username": ada["username"]}
    rows = written(
        output("moodle-accounts"), "users", ADA, mallory, ZOE | {"sourcedId": "v", "username": ada["username"].upper()}
    )
    assert rows[0]["username"] == ada["username"]
    assert len({row["username"].lower() for row in rows[:2]}) == 2


def test_long_usernames_are_cut_and_stay_different() -> None:
    people = [ADA | {"sourcedId": f"user.{end}", "username": "u" * 300 + end} for end in "ab"]
    shown = [row["username"] for row in written(output("moodle-accounts"), "users", *people)]
    assert len(set(shown)) == 2
    assert {len(text) for text in shown} == {100}


@pytest.mark.parametrize("name", profiles.names())
def test_every_rule_and_cell_of_a_profile_is_sql(name: str) -> None:
    chosen = output(name, 3)
    with connection(chosen) as opened:
        for file in bindings.load("1.1").files:
            columns = fill(opened, file, [])
            cells = ", ".join(chosen.cell(file, column) for column in columns)
            opened.execute(f'select {cells} from "{file}" as r where {chosen.condition(file)}')
            for rule in chosen.profile.rules_of(file):
                opened.execute(f'select * from "{file}" as r where {rule.condition}'.replace("{rows}", f'"{file}"'))
                assert rule.sentence.endswith(".")
                assert rule.remedy.endswith(".")


def test_a_profile_may_add_properties_to_the_manifest_and_limit_a_text() -> None:
    rule = RULE | {"longest": 3}
    chosen = profiles.parse("mine", json.dumps(LEAST | {"manifest": {"source.systemName": "x"}, "rules": [rule]}))
    assert chosen.manifest == (("source.systemName", "x"),)
    with duckdb.connect() as opened:
        fill(opened, "users", [{"email": "four"}, {"email": "one"}])
        condition = chosen.rules[0].of("email").condition
        assert opened.execute(f"select r.email from users as r where {condition}").fetchall() == [("four",)]


LEAST: dict[str, Any] = {"about": "A reader.", "versions": ["1.1"], "modes": ["bulk"]}
RULE: dict[str, Any] = {"id": "reader-x", "columns": ["users.email"], "sentence": "It is.", "remedy": "Do."}
CELL: dict[str, Any] = {"columns": ["users.email"], "longest": 5}
MISTAKES: list[tuple[Any, str]] = [
    ([], "it must be an object"),
    ({"about": "A reader.", "modes": ["bulk"]}, "versions is missing"),
    (LEAST | {"about": ""}, "about is missing or blank"),
    (LEAST | {"versions": []}, "versions must be a list with something in it"),
    (LEAST | {"versions": ["1.0"]}, "versions must have none but 1.1, 1.2"),
    (LEAST | {"modes": "bulk"}, "modes must be a list with something in it"),
    (LEAST | {"file": ["users"]}, "file is no word of it, did you mean files?"),
    (LEAST | {"name": "x"}, "name is no word of it"),
    (LEAST | {"files": ["people"]}, "files must have none but academicSessions"),
    (LEAST | {"empty": "maybe"}, "empty must be absent or header"),
    (LEAST | {"quotes": "none"}, "quotes must be minimal or all"),
    (LEAST | {"metadata": "yes"}, "metadata must be true or false"),
    (LEAST | {"manifest": {"a": 1}}, "manifest must be an object of texts"),
    (
        LEAST | {"required": ["users.eMail"]},
        "required has users.eMail, which is no attribute, did you mean users.email?",
    ),
    (LEAST | {"rows": []}, "rows must be an object"),
    (LEAST | {"rows": {"results.state": ["x"]}}, "rows has results.state, which is no attribute"),
    (LEAST | {"rows": {"results.scoreStatus": []}}, "rows.results.scoreStatus must be a list of texts"),
    (LEAST | {"cells": {}}, "cells must be a list"),
    (LEAST | {"cells": [CELL, CELL | {"columns": ["*.title"]}]}, "cells[1].columns has *.title, which is no attribute"),
    (LEAST | {"cells": [CELL | {"longest": 0}]}, "cells[0].longest must be a whole number from 1 to 1,000,000,000"),
    (LEAST | {"cells": [CELL | {"longest": True}]}, "cells[0].longest must be a whole number from 1 to 1,000,000,000"),
    (LEAST | {"cells": [CELL | {"longest": 10**30}]}, "cells[0].longest must be a whole number from 1 to"),
    (LEAST | {"cells": [CELL | {"unique": True}]}, "cells[0].longest must be a whole number from 12 to 1,000,000,000"),
    (LEAST | {"cells": [CELL | {"matches": "x"}]}, "cells[0] has matches, which stands alone"),
    (LEAST | {"cells": [{"columns": ["users.email"]}]}, "cells[0] changes nothing"),
    (LEAST | {"cells": [CELL | {"allowed": "z-a"}]}, "cells[0].allowed is no regular expression"),
    (LEAST | {"cells": [CELL | {"allowed": r"\Q"}]}, "cells[0].allowed is no regular expression of RE2"),
    (LEAST | {"cells": [CELL | {"copy": "users.name"}]}, "cells[0].copy has users.name, which is no attribute"),
    (LEAST | {"cells": [CELL | {"copy": "orgs.name"}]}, "cells[0].copy is of another file than the columns"),
    (LEAST | {"without": ["users.eMail"]}, "without has users.eMail, which is no attribute, did you mean users.email?"),
    (LEAST | {"cells": [CELL | {"lenght": 5}]}, "cells[0].lenght is no word of it, did you mean longest?"),
    (LEAST | {"rules": ["x"]}, "rules[0] must be an object"),
    (LEAST | {"rules": [RULE]}, "rules[0] needs one of matches, longest, filled, unique or most"),
    (LEAST | {"rules": [RULE | {"filled": True, "most": 2}]}, "rules[0] needs one of"),
    (LEAST | {"rules": [RULE | {"matches": "("}]}, "rules[0].matches is no regular expression"),
    (LEAST | {"rules": [RULE | {"matches": "(?=a)a"}]}, "rules[0].matches is no regular expression of RE2"),
    (LEAST | {"rules": [RULE | {"matches": r"(a)\1"}]}, "rules[0].matches is no regular expression of RE2"),
    (LEAST | {"rules": [RULE | {"matches": "a{1001}"}]}, "rules[0].matches is no regular expression of RE2"),
    (LEAST | {"rules": [RULE | {"matches": "\ud800"}]}, "rules[0].matches has a text with NUL or a lone surrogate"),
    (LEAST | {"manifest": {"\udfff": "x"}}, "manifest has a name with NUL or a lone surrogate"),
    (LEAST | {"rows": {"users.email": ["\0"]}}, "rows.users.email[0] has a text with NUL or a lone surrogate"),
    (LEAST | {"without": [{}]}, "without must be a list of texts"),
    (LEAST | {"rules": [RULE | {"filled": True, "id": "x"}]}, "rules[0].id must begin with reader-"),
    (LEAST | {"rules": [RULE | {"filled": True, "remedy": ""}]}, "rules[0].remedy is missing or blank"),
]


@pytest.mark.parametrize(("data", "sentence"), MISTAKES, ids=[sentence for _, sentence in MISTAKES])
def test_a_mistake_in_a_profile_is_named(data: Any, sentence: str) -> None:
    with pytest.raises(SettingError) as refused:
        profiles.parse("mine", json.dumps(data))
    assert str(refused.value).startswith(f"The profile mine is wrong: {sentence}")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "The profile mine is no JSON"),
        ("[" * 200_000 + "]" * 200_000, "The profile mine is wrong: it is nested too deeply"),
        ('{"about": ' + "[" * 900 + "]" * 900 + "}", "The profile mine is wrong: "),
        (
            json.dumps(LEAST | {"rules": [RULE | {"most": 1}]}).replace('"most": 1', '"most": ' + "9" * 5000),
            "The profile mine is wrong: rules[0].most must be a whole number",
        ),
    ],
    ids=["cut", "deep", "less deep", "huge"],
)
def test_a_profile_that_cannot_be_read_is_named(text: str, sentence: str) -> None:
    with pytest.raises(SettingError) as refused:
        profiles.parse("mine", text)
    assert str(refused.value).startswith(sentence)


def test_a_backslash_that_takes_the_place_of_other_characters_is_itself() -> None:
    change = {"columns": ["users.email"], "allowed": "a-z", "instead": r"\1"}
    chosen = profiles.parse("mine", json.dumps(LEAST | {"cells": [change]}))
    with duckdb.connect() as opened:
        cell = chosen.cells[0].apply("r.email")
        assert opened.execute(f"select {cell} from (select 'a@b' as email) as r").fetchall() == [(r"a\1b",)]
