"""No attribute of a person passes a privacy level that hides it, and the same person always gets the same masks."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import re
import unicodedata
from typing import TYPE_CHECKING

import duckdb
import pytest

from oneroster_csv import binding as bindings
from oneroster_csv import masking
from oneroster_csv import output as outputs
from oneroster_csv import profile as profiles
from oneroster_csv.errors import SettingError
from oneroster_csv.sql import keyed_digest
from tests.oneroster_csv.writing import ADA, DISTRICT, KEY, ZOE, columns_of, connection, fill, output, written

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = "{first}-[a-z]{{7}}"
ADDRESS = r"[a-z]{16}@org-blue-hills\.invalid"


def test_without_a_level_rows_are_written_as_they_are() -> None:
    assert written(output(), "users", ADA) == [{name: ADA.get(name, "") for name in columns_of("users")}]


@pytest.mark.parametrize(
    ("level", "masked"),
    [
        (1, {"familyName"}),
        (2, {"familyName", "givenName", "email", "username", "userIds", "identifier", "metadata.naturalKey"}),
        (
            3,
            {"familyName", "givenName", "email", "username", "userIds", "identifier", "metadata.naturalKey"}
            | {"middleName", "sms", "phone"},
        ),
    ],
)
def test_each_level_masks_what_it_names_and_what_gives_that_away(level: int, masked: set[str]) -> None:
    (row,) = written(output("generic", level), "users", ADA)
    assert {name for name, text in row.items() if text != ADA.get(name, "")} == masked


def test_masks_have_the_form_that_readers_can_take() -> None:
    (row,) = written(output("generic", 3), "users", ADA)
    assert re.fullmatch(NAME.format(first="A"), row["givenName"])
    assert re.fullmatch(NAME.format(first="L"), row["familyName"])
    assert re.fullmatch(NAME.format(first="G"), row["middleName"])
    assert re.fullmatch("a-[a-z]{16}", row["username"])
    assert re.fullmatch(ADDRESS, row["email"])
    assert re.fullmatch(ADDRESS, row["identifier"])
    assert re.fullmatch("[{]Coursera:[a-z]{16}[}]", row["userIds"])
    assert re.fullmatch("000[0-9]{7}", row["phone"])
    assert re.fullmatch("000[0-9]{7}", row["sms"])
    assert row["metadata.naturalKey"] == ""


def test_masks_are_the_hmac_that_anybody_with_the_key_can_work_out() -> None:
    (row,) = written(output("generic", 2), "users", ADA)
    numbers = hmac.new(KEY.encode(), b"email\x1fada.lovelace@example.org", hashlib.sha256).hexdigest()
    letters = ""
    for start in (0, 15):
        number, eight = int(numbers[start : start + 15], 16) % 26**8, ""
        for _ in range(8):
            number, digit = divmod(number, 26)
            eight = chr(ord("a") + digit) + eight
        letters += eight
    assert row["email"] == f"{letters}@org-blue-hills.invalid"


def test_a_key_of_any_length_is_one_of_the_standard() -> None:
    for key in ("k" * 64, "k" * 65, "ключ от двери школы"):
        secret = outputs.make("1.1", profiles.load("generic"), 1, key, (), DISTRICT)
        with connection(secret) as opened:
            digest = keyed_digest("'text'", masking.INNER, masking.OUTER)
            row = opened.execute(f"select {digest}").fetchone()
        assert row == (hmac.new(key.encode(), b"text", hashlib.sha256).hexdigest(),)


def test_equal_stays_equal_in_any_case_and_between_the_columns_that_hold_the_email() -> None:
    twin = ADA | {"sourcedId": "user.b1", "email": "ADA.LOVELACE@EXAMPLE.ORG", "username": "Ada.Lovelace@Example.org"}
    for level in (2, 3):
        one, other = written(output("generic", level), "users", ADA, twin)
        assert one["email"] == other["email"] == one["identifier"]
        assert one["username"] == other["username"]
        assert one["userIds"] == f"{{Coursera:{one['email'].partition('@')[0]}}}"
    assert written(output("generic", 2), "users", ADA)[0]["username"] == one["email"]


def test_the_same_value_looks_different_in_another_column_and_under_another_key() -> None:
    kim = ADA | {"givenName": "Kim", "familyName": "Kim", "middleName": "Kim", "sms": "1", "phone": "1"}
    (row,) = written(output("generic", 3), "users", kim)
    assert len({row["givenName"], row["familyName"], row["middleName"]}) == 3
    assert row["sms"] != row["phone"]
    (again,) = written(output("generic", 3), "users", kim)
    assert row == again
    (other,) = written(output("generic", 3, key="another key of this test"), "users", kim)
    for name in ("givenName", "familyName", "middleName", "username", "email", "userIds", "identifier", "sms", "phone"):
        assert row[name] != other[name]


@pytest.mark.parametrize("profile", profiles.names())
@pytest.mark.parametrize("level", [0, 2, 3])
def test_blank_stays_blank_and_no_cell_is_null(profile: str, level: int) -> None:
    for file in output(profile).files(bindings.load("1.1")):
        filled = {"sourcedId": "x", "scoreStatus": "exempt"}
        rows = written(output(profile, level), file, filled, dict.fromkeys(columns_of(file), "") | filled)
        copied = {"username": "x"} if (profile, file) == ("moodle", "users") else {}
        for row in rows:
            assert {name: text for name, text in row.items() if text != ""}.items() <= (filled | copied).items()
        assert len(rows) == 2


def test_an_id_of_another_system_passes_level_2_unless_it_tells_the_name_or_email() -> None:
    (row,) = written(output("generic", 2), "users", ZOE)
    assert (row["identifier"], row["userIds"]) == ("T4711", "{Coursera:T4711}")
    assert re.fullmatch("[a-z]{16}", row["username"])  # zoe-obrien would reveal the name, accents and apostrophe aside.
    for tells in ("ID-ZB47", "id-zoe", "BRIEN7", "someone@else.where"):
        (row,) = written(output("generic", 2), "users", ZOE | {"identifier": tells})
        assert row["identifier"] != tells
    (row,) = written(output("generic", 3), "users", ZOE)
    assert re.fullmatch("[a-z]{16}", row["identifier"])


def test_an_email_mapped_to_any_other_attribute_is_masked_with_the_email() -> None:
    for name in ("middleName", "sms", "phone", "password", "username", "identifier"):
        (row,) = written(output("generic", 2), "users", ADA | {name: ADA["email"]})
        assert row[name] == row["email"]


def test_preferred_names_of_oneroster_1_2_are_names_as_well() -> None:
    more = ("userMasterIdentifier", "preferredGivenName", "preferredMiddleName", "preferredFamilyName", "pronouns")
    person = ADA | dict.fromkeys(more, "Countess") | {"pronouns": "she/her"}
    changed = []
    for level in range(4):
        (row,) = written(output("generic", level, version="1.2"), "users", person, more=more)
        changed.append({name for name in more if row[name] != person[name]})
    assert changed == [set(), {more[3]}, {more[3], more[1]}, set(more) - {"pronouns"}]


def test_of_a_birth_date_the_year_stays() -> None:
    born = {"sourcedId": "user.a1", "birthDate": "1815-12-10", "sex": "female"}
    assert written(output("generic", 2), "demographics", born)[0]["birthDate"] == "1815-12-10"
    (row,) = written(output("generic", 3), "demographics", born)
    assert (row["birthDate"], row["sex"]) == ("1815-01-01", "female")
    assert written(output("generic", 3), "demographics", born | {"birthDate": "10.12.1815"})[0]["birthDate"] == ""


def plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c)).lower()


def parts(person: dict[str, str], names: Iterable[str]) -> set[str]:
    words = {word for name in names for word in re.split(r"\W+", plain(person.get(name, ""))) if len(word) > 2}
    return words - {"example", "org", "coursera"}


@pytest.mark.parametrize("profile", profiles.names())
@pytest.mark.parametrize("level", [2, 3])
def test_no_name_or_email_or_part_of_one_is_in_any_written_cell(profile: str, level: int) -> None:
    secret = output(profile, level)
    hidden = ["givenName", "familyName", "email", "username"]
    hidden += ["middleName", "identifier", "sms", "phone"] if level == 3 else []
    wanted = parts(ADA, hidden) | parts(ZOE, hidden)
    assert {"ada", "augusta", "lovelace", "zoe", "brien"} <= wanted
    key = {"metadata.naturalKey": "program.course.ada.lovelace@example.org"}
    sample = {
        "users": [ADA, ZOE],
        "enrollments": [key | {"sourcedId": "e1", "userSourcedId": "user.a1", "role": "student"}],
        "results": [key | {"sourcedId": "r1", "studentSourcedId": "user.a1", "scoreStatus": "fully graded"}],
        "demographics": [key | {"sourcedId": "user.a1", "birthDate": "1815-12-10"}],
    }
    cells = [
        (name, plain(text))
        for file, rows in sample.items()
        for row in written(secret, file, *rows)
        for name, text in row.items()
    ]
    assert [(name, part) for name, text in cells for part in wanted if part in text] == []
    assert [name for name, text in cells if "example.org" in text] == []


def test_the_natural_key_of_what_is_no_person_stays() -> None:
    school = {"sourcedId": "s1", "name": "Lovelace School", "metadata.naturalKey": "program7"}
    (row,) = written(output("generic", 3), "orgs", school)
    assert (row["name"], row["metadata.naturalKey"]) == ("Lovelace School", "program7")


def test_200_000_emails_and_usernames_stay_different_and_no_letter_is_preferred() -> None:
    secret = output("generic", 3)
    with connection(secret) as opened:
        opened.execute("create table users as select i || '@example.org' as email from range(200000) as t(i)")
        opened.execute("alter table users add column username text")
        opened.execute("update users set username = email")
        cells = f"{secret.cell('users', 'email')} as email, {secret.cell('users', 'username')} as username"
        opened.execute(f"create table masked as select {cells} from users as r")
        counts = "count(distinct email), count(distinct username)"
        right = f"count(*) filter (regexp_full_match(email, '{ADDRESS}'))"
        assert opened.execute(f"select {counts}, {right} from masked").fetchone() == (200_000, 200_000, 200_000)
        each = "select unnest(string_split(left(email, 16), '')) as letter from masked"
        shares = opened.execute(f"select letter, count(*) / 3.2e6 * 26 from ({each}) group by letter").fetchall()
    assert len(shares) == 26
    assert all(abs(share - 1) < 0.015 for _, share in shares)  # five standard deviations


def fingerprint(**changed: object) -> str:
    given: dict[str, object] = {
        "version": "1.1",
        "profile": "generic",
        "privacy_level": 2,
        "privacy_key": KEY,
        "exclude": ("users.phone", "users.sms"),
        "district": "org.one",
    }
    asked = given | changed
    reader = profiles.load(str(asked.pop("profile")))
    return outputs.make(reader=reader, **asked).fingerprint  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        {"version": "1.2", "exclude": ()},
        {"profile": "moodle"},
        {"profile": "blackbaud"},
        {"profile": "hmh"},
        {"privacy_level": 0},
        {"privacy_level": 1},
        {"privacy_level": 3},
        {"privacy_key": KEY + "!"},
        {"exclude": ("users.phone",)},
        {"district": "org.two"},
    ],
    ids=str,
)
def test_the_fingerprint_changes_when_rows_would_be_written_differently(changed: dict[str, object]) -> None:
    base = fingerprint(exclude=()) if changed.get("version") else fingerprint()
    assert re.fullmatch("[0-9a-f]{64}", base)
    assert fingerprint(**changed) != base


def test_the_fingerprint_stays_when_rows_would_be_written_the_same() -> None:
    assert fingerprint(exclude=iter(["users.sms", "users.phone", "users.sms"])) == fingerprint()
    assert fingerprint(privacy_key=f" {KEY}\n") == fingerprint()
    assert fingerprint(privacy_level=0) == fingerprint(privacy_level=0, privacy_key="", district="org.two")
    assert fingerprint(privacy_level=1) == fingerprint(privacy_level=1, district="org.two")
    assert fingerprint(mode="delta") == fingerprint()
    unseen = ("users.phone", "users.sms", "results.comment", "users.metadata.naturalKey")
    assert fingerprint(profile="moodle", exclude=unseen) == fingerprint(profile="moodle")
    assert fingerprint(exclude=unseen) != fingerprint()


def test_the_key_is_in_no_text_that_somebody_may_see() -> None:
    secret = output("moodle", 3)
    assert secret.key is not None
    pads = [pad.hex() for pad in secret.key.pads.values()]
    texts = [repr(secret), str(secret.key), str(dataclasses.asdict(secret)), secret.fingerprint]
    texts += [secret.cell("users", name) for name in columns_of("users")]
    with connection(secret) as opened, pytest.raises(duckdb.Error) as error:
        opened.execute(f"select {secret.cell('users', 'email')} from users as r")
    texts.append(str(error.value))
    for text in texts:
        assert KEY not in text
        assert not [pad for pad in pads if pad[:16] in text.lower()]
    with pytest.raises(TypeError):
        json.dumps(dataclasses.asdict(secret), default=None)
    with pytest.raises(SettingError) as refused:
        output("generic", 3, key="shortsecret")
    assert "shortsecret" not in str(refused.value)


def test_a_connection_without_the_key_fails_instead_of_writing_blanks() -> None:
    secret = output("generic", 2)
    with duckdb.connect() as opened:
        fill(opened, "users", [ADA])
        with pytest.raises(duckdb.Error, match="shield_"):
            opened.execute(f"select {secret.cell('users', 'email')} from users as r").fetchall()


def test_an_excluded_attribute_is_blank_and_its_column_stays() -> None:
    chosen = output("generic", 0, "users.email", "users.metadata.naturalKey", "results.comment")
    (row,) = written(chosen, "users", ADA)
    assert {name for name, text in row.items() if text != ADA.get(name, "")} == {"email", "metadata.naturalKey"}
    assert (row["email"], row["metadata.naturalKey"]) == ("", "")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"profile": "modle"}, "There is no profile modle, did you mean moodle?: choose one of generic, blackbaud,"),
        ({"profile": "../generic"}, "There is no profile"),
        ({"profile": "moodle", "version": "1.2"}, "The profile moodle is not made for OneRoster 1.2: choose 1.1."),
        ({"profile": "hmh", "mode": "delta"}, "The profile hmh is not made for delta: choose bulk."),
        ({"version": "1.0"}, "The profile generic is not made for OneRoster 1.0: choose 1.1 or 1.2."),
        ({"privacy_level": 4}, "There is no privacy level 4"),
        ({"privacy_level": -1}, "There is no privacy level -1"),
        ({"privacy_level": 1, "privacy_key": " "}, "The privacy level 1 needs a key"),
        ({"privacy_level": 1, "privacy_key": "short"}, "The privacy key is too short"),
        ({"exclude": ["users.givenName"]}, "users.givenName cannot be excluded: OneRoster 1.1 requires it."),
        ({"exclude": ["users.sourcedId"]}, "users.sourcedId cannot be excluded"),
        ({"exclude": ["users.status"]}, "users.status cannot be excluded"),
        (
            {"exclude": ["users.eMail"]},
            "no attribute users.eMail to exclude in OneRoster 1.1, did you mean users.email?",
        ),
        ({"exclude": ["email"]}, "There is no attribute email to exclude"),
        ({"exclude": ["people.metadata.x"]}, "There is no attribute people.metadata.x to exclude in OneRoster 1.1."),
        ({"exclude": [""]}, "There is no attribute  to exclude"),
    ],
    ids=str,
)
def test_settings_that_do_not_go_are_refused_with_a_sentence(asked: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingError) as refused:
        fingerprint(**({"privacy_level": 0} | asked))
    assert sentence in str(refused.value)


def test_what_a_profile_requires_cannot_be_excluded(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"about": "A reader.", "versions": ["1.1"], "modes": ["bulk"], "required": ["users.email"]}
    monkeypatch.setattr(profiles, "load", lambda name: profiles.parse(name, json.dumps(said)))
    with pytest.raises(SettingError) as refused:
        fingerprint(privacy_level=0, profile="riverside", exclude=["users.email"])
    assert str(refused.value) == "users.email cannot be excluded: the profile riverside requires it."
    assert fingerprint(privacy_level=0, profile="riverside", exclude=["users.phone"])


@pytest.mark.parametrize(
    ("district", "domain"),
    [
        ("org.Blue_Hills", "org-blue-hills.invalid"),
        ("org.h0123", "org-h0123.invalid"),
        ("---", "district.invalid"),
        ("", "district.invalid"),
        ("x" * 62 + "._y", "x" * 62 + ".invalid"),
    ],
)
def test_the_domain_of_masked_emails_is_one_that_no_mail_can_reach(district: str, domain: str) -> None:
    assert masking.domain(district) == domain
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.invalid", domain)
