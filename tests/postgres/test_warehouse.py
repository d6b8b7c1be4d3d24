"""The tables and the ledger in PostgreSQL, as connect reads and writes them, without loader and transforms."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner

from coursera_connect.cli.main import main
from coursera_connect.errors import DatabaseError, UsageError
from coursera_connect.publish.publish import publish
from coursera_connect.warehouse import copy_to_postgres, ledger, postgres, warehouse
from coursera_connect.warehouse.warehouse import Server
from oneroster_csv import checks
from oneroster_csv.sql import literal
from tests.connect.college import College
from tests.connect.warehouse import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.transform.warehouse import Dbt

TEXTS = (
    None,
    "",
    " ",
    "\\N",
    "\\n",
    'a "quoted" one',
    "two\nlines",
    "two\r\nlines",
    ",;\t|",
    "%s ?",
    "\u00e9\U0001f600",
    "NULL",
)


@pytest.fixture(autouse=True)
def _fresh(database: dict[str, str]) -> Iterator[None]:
    """Remove all tables and schemas after each test."""
    assert database
    yield
    with psycopg.connect(autocommit=True) as server:
        for (name,) in server.execute("select nspname from pg_namespace where nspowner = current_user::regrole"):
            server.execute(f'drop schema "{name}" cascade')


def ask(query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect() as server:
        return server.execute(query).fetchall()


def sql(*statements: str) -> None:
    with psycopg.connect() as server:
        for statement in statements:
            server.execute(statement)


def copied(college: College) -> None:
    """Copy the tables that the transforms made in a DuckDB file into PostgreSQL."""
    with (
        warehouse.opened(college.database) as source,
        postgres.opened(Server(), 5, write=True) as target,
        target.transaction(),
    ):
        for schema in ("oneroster", "connect"):
            for table in source.columns(schema):
                target.take(source, schema, table)


def publishing(college: College, **more: Any) -> dict[str, Any]:
    return publish(replace(college.settings, database=Server(), **more), lambda _what, _rows: None)


def test_a_value_of_every_type_arrives_as_it_is() -> None:
    sql(
        "create schema oneroster",
        "create table oneroster.users (t text, b boolean, i bigint, d double precision, e numeric(9, 2), n numeric, "
        "day date, zoned timestamptz, utc timestamp, j jsonb, a text[])",
    )
    rows: list[tuple[Any, ...]] = [(text, *[None] * 10) for text in TEXTS]
    moment = datetime(2026, 2, 2, 6, 0, 0, 123456, tzinfo=timezone.utc)
    row = ("x", True, -(2**60), 0.1, Decimal("12.50"), Decimal("66.667"), date(2026, 2, 2))
    with psycopg.connect() as server:
        server.execute("set timezone = 'America/New_York'")
        into = f"insert into oneroster.users values ({', '.join(['%s'] * 11)})"
        for values in rows:
            server.execute(into, values)
        server.execute(into, (*row, moment, moment.replace(tzinfo=None), '{"k": ["\\\\N", null]}', ["a,b", None]))
    with warehouse.opened(Server()) as opened:
        found = list(opened.rows('select *, typeof(zoned), typeof(utc) from oneroster."users"'))
    assert sorted(map(repr, (row[0] for row in found[:-1]))) == sorted(map(repr, TEXTS))
    *cells, zoned, utc, objects, array, kind, other_kind = next(one for one in found if one[0] == "x")
    assert tuple(cells) == (*row[:5], 66.667, row[6])
    assert zoned == utc == moment
    assert kind == other_kind == "TIMESTAMP WITH TIME ZONE"
    assert [json.loads(objects), json.loads(array)] == [{"k": ["\\N", None]}, ["a,b", None]]


def test_what_is_stored_is_there_as_it_was_and_all_of_it_or_nothing() -> None:
    values = ", ".join(f"({'null' if text is None else literal(text)})" for text in TEXTS)
    with warehouse.opened(Server(), write=True) as opened:
        with opened.transaction():
            opened.store("create schema kept")
            opened.store("create table kept.texts (t text)")
            opened.store(
                'insert into kept.texts select t from "some"',
                needs={"some": f"select t from (values {values}) as v(t)"},
            )
        assert opened.row("select count(*) from kept.texts")[0] == len(TEXTS)
        with suppress(RuntimeError), opened.transaction():
            opened.store("delete from kept.texts where t = ?", ["\\N"])
            assert opened.row("select count(*) from kept.texts")[0] == len(TEXTS) - 1
            raise RuntimeError
    assert sorted(map(repr, (row[0] for row in ask("select t from kept.texts")))) == sorted(map(repr, TEXTS))


def test_a_table_that_is_not_there_is_an_error_and_never_an_empty_table() -> None:
    with pytest.raises(DatabaseError, match="could not be read"), warehouse.opened(Server()) as opened:
        opened.row("select count(*) from oneroster.users")


def test_a_publish_reads_one_moment_while_tables_are_made_anew() -> None:
    sql(
        "create schema oneroster",
        "create table oneroster.orgs as select 1 as a",
        "create table oneroster.users as select 1 as a",
    )
    with warehouse.opened(Server(), write=True) as opened:
        with opened.steady("oneroster"):
            assert opened.row("select a from oneroster.orgs") == (1,)
            sql("update oneroster.users set a = 2")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                sql("set lock_timeout = '50ms'", "alter table oneroster.users rename to old_users")
            assert opened.row("select a from oneroster.users") == (1,)
        sql("set lock_timeout = '5s'", "alter table oneroster.users rename to old_users")


def test_a_publish_refuses_tables_of_two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    college = College(tmp_path)
    copied(college)
    sql("update connect.build set is_complete = false")
    with pytest.raises(DatabaseError, match=r"is still at work, failed, or made a part .* only: run meltano run dbt:"):
        publishing(college)
    sql("update connect.build set is_complete = true")
    check = checks.check

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        sql("update connect.build set build_id = 'b2'")
        return check(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(checks, "check", meanwhile)
        with pytest.raises(DatabaseError, match=r"made the tables .* anew in the meantime"):
            publishing(college)
    assert ask("select count(*) from ledger.runs where outcome = 'published'") == [(0,)]
    assert publishing(college)["outcome"] == "published"


def test_a_publish_is_the_same_bytes_as_from_the_file_and_the_ledger_says_the_same(tmp_path: Path) -> None:
    college = College(tmp_path)
    copied(college)
    of_file = college.publish()
    elsewhere = tmp_path / "elsewhere" / "oneroster.zip"
    of_server = publishing(college, package=elsewhere)
    assert elsewhere.read_bytes() == college.package.read_bytes()
    assert of_server["counts"] == of_file["counts"]
    for table in (*ROWS, "counts", "problems", "held", "blocked"):
        query = f'select * from ledger."{table}"'
        assert sorted(map(repr, ask(query))) == sorted(map(repr, college.ask(query))), table


def test_a_second_publish_elsewhere_waits_and_says_who_holds_the_ledger(tmp_path: Path) -> None:
    college = College(tmp_path)
    copied(college)
    hold = (
        "import sys; from coursera_connect.warehouse import warehouse\n"
        "with warehouse.opened(warehouse.Server(), 0, write=True): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(
            DatabaseError, match=rf"is in use by connect \(PID {holder.pid}\) on .*: wait until it ends"
        ):
            publishing(college, wait=0.3)
        with warehouse.opened(Server()) as reader:  # A reader waits for no lock.
            assert reader.columns("oneroster")
        holder.kill()
    assert publishing(college, wait=20)["outcome"] == "published"


def test_a_publish_that_loses_its_connection_leaves_the_ledger_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    college = College(tmp_path)
    copied(college)
    assert publishing(college)["run"] == 1
    before = ask("select * from ledger.runs")
    sql("update oneroster.users set \"givenName\" = 'Grace'")
    record = ledger.record

    def cut(database: warehouse.Warehouse, name: str, rows: Any) -> None:
        record(database, name, rows)
        with psycopg.connect() as server:
            mine = "usename = current_user and pid <> pg_backend_pid()"
            server.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {mine}")

    monkeypatch.setattr(ledger, "record", cut)
    with pytest.raises(DatabaseError, match="does not answer"):
        publishing(college)
    monkeypatch.undo()
    assert ask("select * from ledger.runs") == before
    assert publishing(college)["counts"]


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("PGPORT", "1", "does not answer"),
        ("PGDATABASE", "nowhere", 'database "nowhere" does not exist'),
        ("PGUSER", "nobody_known", 'role "nobody_known" does not exist'),
    ],
)
def test_a_database_that_cannot_be_opened_is_a_sentence_without_the_password(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str, said: str
) -> None:
    monkeypatch.setenv(setting, value)
    done = CliRunner().invoke(main, ["history"], env={"CONNECT_WAREHOUSE": "postgres"})
    assert done.exit_code == 3
    assert said in done.stderr
    assert "check PGHOST" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "secret" not in done.stderr


def test_a_role_that_may_not_read_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    sql("create schema ledger", "create table ledger.runs (run integer)")
    with psycopg.connect(user="postgres") as owner:
        owner.execute("drop role if exists reader")
        owner.execute("create role reader login")
    monkeypatch.setenv("PGUSER", "reader")
    done = CliRunner().invoke(main, ["history"], env={"CONNECT_WAREHOUSE": "postgres"})
    assert done.exit_code == 3
    assert "may not be read by this role" in done.stderr


def test_the_history_of_a_file_moves_and_goes_on(tmp_path: Path) -> None:
    college = College(tmp_path)
    college.sql(
        "create table connect.item_scores as select 'p' as program_id, 0.5::double as item_grade_percent, "
        "timestamptz '2026-02-02 06:00:00+00' as first_seen_at"
    )
    college.publish()
    college.sql("update users set \"givenName\" = 'Grace' where \"sourcedId\" = 'a1'")
    done = CliRunner().invoke(
        main, ["history", "move", str(college.database), "--json"], env={"CONNECT_WAREHOUSE": "postgres"}
    )
    moved = json.loads(done.stdout)["moved"]
    assert moved["ledger.runs"] == moved["connect.item_scores"] == 1
    assert ask("select * from connect.item_scores") == [
        ("p", 0.5, datetime(2026, 2, 2, 6, tzinfo=timezone.utc)),
    ]
    with pytest.raises(UsageError, match="a history of its own"):
        copy_to_postgres.move(college.database, Server(), 5)
    sql("drop table connect.item_scores")
    copied(college)
    report = publishing(college, mode="delta")
    assert (report["run"], report["first"], report["mode"]) == (2, False, "delta")
    assert {file: found["rows"] for file, found in report["files"].items() if found["rows"]} == {"users": 1}
    with pytest.raises(UsageError, match="into PostgreSQL only"):
        copy_to_postgres.move(college.database, college.database, 5)


def test_a_database_that_sorts_or_folds_in_its_own_way_stops_the_transforms(
    database: dict[str, str], dbt: Dbt, tmp_path: Path
) -> None:
    with psycopg.connect(user="postgres", dbname="postgres") as server:
        assert server.execute("select lower(U&'\\00c9')").fetchone() == ("\u00c9",)
    chosen = {**database, "CONNECT_WAREHOUSE": "postgres", "PGUSER": "postgres", "PGDATABASE": "postgres"}
    chosen["DBT_TARGET_PATH"] = str(dbt.home / "postgres")  # The parsed project of the DuckDB file is kept.
    done = dbt.run(("run", "--select", "stg_coursera__users"), tmp_path / "none", {}, chosen)
    assert done.returncode != 0
    assert "create another one as docs/postgresql.md says" in " ".join(done.output.split()), done.output


def test_a_build_aside_has_schemas_of_its_own_with_what_models_remember_and_leaves_none() -> None:
    with psycopg.connect(autocommit=True) as server:
        server.execute("create schema if not exists connect; create table connect.memory as select 1 as one")
        server.execute("create schema made; create table made.t as select 1 as number, 0 as old")
        server.execute("create schema connect_aside_of_a_killed_one; create table connect_aside_of_a_killed_one.t ()")
        with postgres.room_aside(Server(), 5) as place:
            server.execute(f"create schema {place.aside}made; create table {place.aside}made.t as select 2 as number")
            server.execute(f"insert into {place.aside}connect.memory values (2)")
            with warehouse.opened(place) as opened, opened.steady("made", "connect"):
                assert opened.columns("made") == {"t": ["number"]}
                assert opened.row("select number from made.t") == (2,)
                assert opened.row("select count(*) from connect.memory") == (2,)
            with warehouse.opened(Server()) as opened:
                assert opened.row("select number, old from made.t") == (1, 0)
            with pytest.raises(DatabaseError, match="is in use by connect"), postgres.room_aside(Server(), 0):
                pass
        assert server.execute("select count(*) from connect.memory").fetchone() == (1,)
        left = server.execute("select nspname from pg_namespace where nspname like 'connect_aside%'").fetchall()
        server.execute("drop schema made cascade; drop table connect.memory")
    assert left == []
