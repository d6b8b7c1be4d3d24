"""The tables of a warehouse are checked by the rules that `test_packages.py` breaks one by one, before publishing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from coursera_connect.cli import screen
from coursera_connect.publish import stages
from coursera_connect.publish.publish import publish
from coursera_connect.publish.settings import Settings
from coursera_connect.warehouse import warehouse
from oneroster_csv import binding, checks
from oneroster_csv.rules import RULES
from tests.connect.warehouse import ROWS

if TYPE_CHECKING:
    from tests.connect.warehouse import Place


def as_published(database: warehouse.Warehouse) -> dict[str, list[str]]:
    present = stages.sources(database, binding.load(), ["oneroster"])
    for file in binding.load().files:
        database.view(f"publish {file}", f"select * from {stages.at('source', file)}")
    return present


def put(file: str, field: str, value: str, sourced_id: str) -> str:
    return f"""update "{file}" set "{field}" = '{value}' where "sourcedId" = '{sourced_id}'"""


TURNED = (
    """create or replace table categories as select 'cat' as "sourcedId", 'Quiz' as title, '' as status, """
    """'' as "dateLastModified\""""
)
NO_RESULTS = "delete from results; "
BROKEN = [
    ("header-missing", "users", "sms", None, "alter table users drop column sms"),
    ("header-extra", "users", "shoeSize", None, 'alter table users add column "shoeSize" text'),
    ("header-order", "categories", "title", None, TURNED),
    ("together", "manifest", "file.enrollments", None, NO_RESULTS + "delete from enrollments"),
    ("required", "users", "givenName", 2, put("users", "givenName", " ", "u2")),
    ("reference", "users", "orgSourcedIds", 2, put("users", "orgSourcedIds", "s1,s9", "u2")),
    ("username-unique", "users", "username", 1, put("users", "username", "U1@example.org", "u2")),
    ("email-shared", "users", "email", 1, "update users set email = 'Ada.Zed@example.org'"),
    ("score-scale", "results", "score", 1, put("results", "score", "0.92", "r1")),
]


def findings(place: Place) -> list[checks.Finding]:
    with warehouse.opened(place.database) as database:
        present = as_published(database)
        return checks.check(database, present, binding.load(), lambda _file: None).findings


def test_the_good_package_breaks_no_rule(place: Place) -> None:
    assert findings(place) == []


@pytest.mark.parametrize(
    ("rule", "file", "field", "row", "statement"), BROKEN, ids=[f"{b[0]}-{b[1]}-{b[2]}" for b in BROKEN]
)
def test_one_broken_thing_is_named_and_refused_or_warned_about_without_names(  # noqa: PLR0917 - the columns above
    place: Place, rule: str, file: str, field: str, row: int | None, statement: str
) -> None:
    place.sql(*statement.split("; "))
    returned = publish(Settings(place.database, place.package), lambda _what, _rows: None)
    report = place.report()
    assert returned == report
    found = [(f["rule"], f["file"], f["field"], f["row"], f["severity"]) for f in report["findings"]]
    assert (rule, f"{file}.csv", field, row, RULES[rule].severity) in found
    if rule != "header-order":
        assert {problem["rule"] for problem in report["problems"]} == {rule}
    assert (report["published"], place.package.exists()) == ((not RULES[rule].refuses,) * 2)
    shown = json.dumps(report) + screen.refused(report, place.package) + screen.published(report)
    assert [private for private in ("Ada", "Zed", "example.org") if private in shown] == []


def test_what_is_absent_and_referred_to_is_an_error_and_not_only_a_warning(place: Place) -> None:
    place.sql('delete from "lineItems"')
    assert {RULES[finding.rule].severity for finding in findings(place)} == {"warning", "error"}


def test_a_package_without_any_row_is_refused(place: Place) -> None:
    place.sql(*(f'delete from "{file}"' for file in ROWS))
    assert [finding.rule for finding in findings(place)] == ["package-empty"]


def test_an_extension_column_may_stand_only_at_the_far_right(place: Place) -> None:
    place.sql('alter table categories add column "metadata.naturalKey" text')
    assert findings(place) == []
    place.sql(
        "create or replace table categories as select 'cat' as \"sourcedId\", '' as \"metadata.x\", '' as status, "
        "'' as \"dateLastModified\", 'Quiz' as title"
    )
    assert [(finding.rule, finding.field) for finding in findings(place)] == [("header-order", "metadata.x")]


def test_findings_are_bounded_but_counted_in_full(place: Place) -> None:
    place.sql("insert into categories select 'c' || i, null, null, '' from range(5000) as t(i)")
    with warehouse.opened(place.database) as database:
        present = as_published(database)
        outcome = checks.check(database, present, binding.load(), lambda _file: None)
    assert outcome.counts == {("required", "categories", "title"): 5000}
    assert len(outcome.findings) == checks.FINDINGS_PER_CHECK


def test_a_date_between_two_terms_of_a_class_is_outside(place: Place) -> None:
    place.sql(
        'insert into "academicSessions" values '
        "('t0', null, null, '2023', 'term', '2023-08-01', '2024-08-01', '', '2024')",
        "update classes set \"termSourcedIds\" = 't0,t1'",
        put("enrollments", "beginDate", "2024-01-01", "e1"),
    )
    assert findings(place) == []
    place.sql(put("enrollments", "beginDate", "2025-01-01", "e1"))
    assert [(finding.rule, finding.row) for finding in findings(place)] == [("outside-term", 1)]


@pytest.mark.parametrize("sourced_id", ["ada@example.org", "Ada Zed"])
def test_an_id_that_may_be_a_name_is_not_reported(place: Place, sourced_id: str) -> None:
    place.sql(f"insert into categories values ('{sourced_id}', null, null, '')")
    assert {(finding.row, finding.sourced_id) for finding in findings(place)} == {(1, None)}
