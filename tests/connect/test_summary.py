from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.connect.warehouse import Place


def test_before_the_first_load_it_says_so(place: Place) -> None:
    place.database.unlink()
    result = place.run("summary")
    assert result.returncode == 0
    assert result.stdout.count("not loaded yet") == 10
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
    place.run("publish")
    facts = json.loads(place.run("summary", "--json").stdout)
    assert facts["streams"]["users"] == {"rows": 2, "received": 1, "removed": 1}
    assert facts["streams"]["programs"] == {"rows": 1, "received": 0, "removed": 0}
    assert facts["streams"]["contents"] is None
    assert facts["package"]["files"]["results"] == {"mode": "bulk", "rows": 2}
    assert facts["package"]["unchanged"] is False
    place.run("publish")
    assert "unchanged since the previous publish" in place.run("summary").stdout
