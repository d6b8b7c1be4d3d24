"""The OneRoster library as connect uses it: its errors are those of connect, and name its settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from coursera_connect import oneroster
from coursera_connect.errors import UsageError
from oneroster_csv.rules import RULES

if TYPE_CHECKING:
    from pathlib import Path

KEY = "a key that only this test knows"


@pytest.mark.parametrize(
    ("identity", "sentence"),
    [
        ("email", "with the identity email every sourcedId of a user can be guessed"),
        ("external_id", "set identity to coursera_id, or the level to 1"),
    ],
)
def test_emails_are_not_masked_beside_ids_that_are_made_of_them(identity: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        oneroster.output("1.1", "generic", 2, KEY, (), "district", identity=identity)
    assert oneroster.output("1.1", "generic", 1, KEY, (), "district", identity=identity).level == 1


def test_a_setting_that_does_not_go_is_an_error_of_usage_that_names_it() -> None:
    with pytest.raises(UsageError, match=r"The privacy level 1 needs a key: .* Set CONNECT_PRIVACY_KEY to it[.]"):
        oneroster.output("1.1", "generic", 1, " ", (), "district")
    with pytest.raises(UsageError, match="There is no profile modle, did you mean moodle"):
        oneroster.load("modle")


def test_a_profile_of_an_organisation_is_found_where_earlier_releases_had_it_and_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "riverside.json"
    own.write_text(json.dumps({"about": "Riverside LMS.", "versions": ["1.1"], "modes": ["bulk"]}))
    assert (oneroster.load(str(own)).name, oneroster.load(str(own)).about) == ("riverside", "Riverside LMS.")
    monkeypatch.setattr(oneroster, "_EARLIER", tmp_path)
    assert oneroster.load("riverside") == oneroster.load(str(own))


def test_remedies_are_told_in_the_words_of_this_project() -> None:
    assert {"required", "reference", "control-character", "reader-needs"} <= set(oneroster.REMEDIES)
    assert set(oneroster.REMEDIES) <= {*RULES, "reader-needs"}
    assert all(RULES[rule].remedy != told for rule, told in oneroster.REMEDIES.items() if rule in RULES)
