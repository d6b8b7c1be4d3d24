from __future__ import annotations

import json
from typing import TYPE_CHECKING

from coursera_connect.report.summary import STREAMS

if TYPE_CHECKING:
    from tests.connect.warehouse import Place


def test_before_the_first_load_it_says_so(place: Place) -> None:
    place.database.unlink()
    result = place.call("summary")
    assert result.returncode == 0
    assert result.stdout.count("not loaded") == len(STREAMS)
    assert "not published yet" in result.stdout


def test_it_counts_rows_now_the_last_load_and_what_was_removed(place: Place) -> None:
    place.sql(
        "create schema coursera",
        "create table coursera.users (id text, _sdc_sync_started_at bigint, _sdc_deleted_at timestamptz)",
        "create table coursera.programs as from coursera.users",
        "insert into coursera.users values ('a', 1, null), ('b', 2, null), ('c', 1, now())",
        "insert into coursera.programs values ('p', 1, null)",
        "create table coursera.contents (id text)",
    )
    assert place.call("publish").returncode == 0
    facts = json.loads(place.call("summary", "--json").stdout)
    assert facts["streams"]["users"] == {"rows": 2, "received": 1, "removed": 1}
    assert facts["streams"]["programs"] == {"rows": 1, "received": 0, "removed": 0}
    assert facts["streams"]["contents"] is None
    assert facts["package"]["files"]["results"] == {"mode": "bulk", "rows": 2}
    assert facts["package"]["unchanged"] is False
    place.call("publish")
    assert "unchanged since the previous publish" in place.call("summary").stdout


def test_a_load_of_changes_only_is_said_in_a_sentence_and_a_full_one_is_not(place: Place) -> None:
    place.sql(
        "create schema coursera",
        "create table coursera.users (id text, _sdc_sync_started_at bigint, _sdc_deleted_at timestamptz)",
        "insert into coursera.users select i, 1, null from range(3873) as t(i)",
    )
    assert "The last load" not in place.call("summary").stdout
    place.sql("update coursera.users set _sdc_sync_started_at = 2 where id::int < 188")
    sentence = "The last load brought 188 of 3,873 rows: of enrollments and grades only what changed."
    assert sentence in place.call("summary").stdout


def test_the_first_package_is_called_so_and_its_path_is_short_from_where_one_stands(place: Place) -> None:
    published = place.call("publish", folder=place.folder)
    assert published.stdout.startswith("out/oneroster.zip published: ")
    shown = place.call("summary", folder=place.folder).stdout
    assert "OneRoster: out/oneroster.zip (" in shown
    assert ", first package" in shown
    elsewhere = place.folder / "elsewhere"
    elsewhere.mkdir()
    assert f"OneRoster: {place.package} (" in place.call("summary", folder=elsewhere).stdout
    place.sql("update categories set title = 'Test'")
    place.call("publish")
    assert ", changed since the previous publish" in place.call("summary").stdout


def test_a_refused_publish_is_said_with_what_stays_why_and_where_to_read_on(place: Place) -> None:
    place.sql("update users set \"enabledUser\" = 'True'")
    assert place.call("publish").returncode == 1
    shown = place.call("summary").stdout
    assert "was refused; there is no earlier package" in shown
    place.sql("update users set \"enabledUser\" = 'true'")
    assert place.call("publish").returncode == 0
    place.sql("update users set \"enabledUser\" = 'True'")
    assert place.call("publish").returncode == 1
    shown = place.call("summary", folder=place.folder).stdout
    assert "was refused; the last good package stays: out/oneroster.zip (" in shown
    assert "users.csv enabledUser: A boolean is exactly true or false. (2 times)" in shown
    assert "All findings: out/publish-report.json" in shown
    assert "results.csv" not in shown  # the rows in the report are those of the refused tables


def test_a_warning_is_shown_by_both_commands_and_does_not_stop_the_package(place: Place) -> None:
    place.sql("delete from results", "delete from enrollments")
    done = place.call("publish")
    assert done.returncode == 0
    warning = "Warning: manifest.csv file.enrollments: A file that readers expect beside the others has no rows"
    assert warning in done.stdout
    assert warning in place.call("summary").stdout
    assert [problem["severity"] for problem in place.report()["problems"]] == ["warning"]


def test_a_package_that_was_deleted_or_has_no_report_is_said(place: Place) -> None:
    place.call("publish")
    place.package.with_name("publish-report.json").write_text("{}")
    assert "There is no report beside it" in place.call("summary").stdout
    place.call("publish")
    place.package.unlink()
    assert "is gone since it was published" in place.call("summary").stdout
