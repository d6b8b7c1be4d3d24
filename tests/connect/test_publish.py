"""A publish: its files, their bytes, and what happens when something goes wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import zipfile
from hashlib import sha256
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.connect.desk import HEADERS
from tests.connect.warehouse import ROWS, Place, columns

if TYPE_CHECKING:
    from pathlib import Path

NASTY = [
    '"',
    'a,"b",c',
    "=1+1",
    "Zoë Ñandú 李 🙂",
    " leading and trailing ",
    "x" * 100_000,
    "\\",
    "'; drop",
    "\ufeffbom",
]


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def test_every_file_has_the_rows_of_its_table_in_the_order_of_the_standard(place: Place) -> None:
    assert place.call("publish").returncode == 0
    for file, rows in ROWS.items():
        header, *body = place.csv(file)
        assert header == columns(file)
        assert body == sorted([row[0], "", "", *[cell or "" for cell in row[1:]]] for row in rows)


def test_what_a_reader_refuses_is_not_published(place: Place) -> None:
    place.sql("update users set \"sourcedId\" = 'u@1' where \"sourcedId\" = 'u1'")
    for file, column in (("enrollments", "userSourcedId"), ("results", "studentSourcedId")):
        place.sql(f"update {file} set \"{column}\" = 'u@1' where \"{column}\" = 'u1'")
    assert place.call("publish").returncode == 0
    refused = place.call("publish", "--profile", "great-minds")
    assert (refused.returncode, "Great Minds takes ids of" in refused.stderr) == (1, True)
    assert [(one["rule"], one["file"], one["count"]) for one in place.report()["problems"]] == [
        ("reader-id", "users.csv", 1)
    ]


def test_a_reader_who_needs_a_file_gets_nothing_without_it_and_his_rules_are_not_for_files_he_never_sees(
    place: Place,
) -> None:
    place.sql(
        'update "lineItems" set "sourcedId" = \'l@1\'',
        "update results set \"lineItemSourcedId\" = 'l@1'",
    )
    assert place.call("publish", "--profile", "great-minds").returncode == 0
    place.sql("delete from enrollments")
    place.sql("delete from results")
    assert place.call("publish", "--allow-removals").returncode == 0
    refused = place.call("publish", "--profile", "great-minds", "--allow-removals")
    assert (refused.returncode, "enrollments: A file without which the reader takes" in refused.stderr) == (1, True)


def test_the_manifest_names_all_thirteen_files_and_only_those_present_are_bulk(place: Place) -> None:
    place.sql("delete from results")
    assert place.call("publish", "--system-name", "College").returncode == 0
    header, *rows = place.csv("manifest")
    assert header == ["propertyName", "value"]
    assert rows[:2] == [["manifest.version", "1.0"], ["oneroster.version", "1.1"]]
    assert rows[-1] == ["source.systemName", "College"]
    modes = {name.removeprefix("file."): mode for name, mode in rows[2:-1]}
    assert list(modes) == [
        "academicSessions",
        "categories",
        "classes",
        "classResources",
        "courses",
        "courseResources",
        "demographics",
        "enrollments",
        "lineItems",
        "orgs",
        "resources",
        "results",
        "users",
    ]
    with zipfile.ZipFile(place.package) as archive:
        assert archive.testzip() is None
        assert {name.removesuffix(".csv") for name in archive.namelist()} == {
            "manifest", *(file for file, mode in modes.items() if mode == "bulk")
        }  # fmt: skip
    assert modes["results"] == "absent"


def test_nasty_strings_come_back_as_they_were(place: Place) -> None:
    with duckdb.connect(str(place.database)) as connection:
        rows = [(f"n{number}", None, None, text) for number, text in enumerate(NASTY)]
        connection.executemany("insert into oneroster.categories values (?, ?, ?, ?)", rows)
    assert place.call("publish").returncode == 0
    assert [row[3] for row in place.csv("categories")[2:]] == NASTY
    with zipfile.ZipFile(place.package) as archive:
        raw = archive.read("categories.csv")
    assert raw.startswith(b"sourcedId,status,dateLastModified,title\r\n")
    assert raw.count(b"\n") == raw.count(b"\r\n") == len(NASTY) + 2


def test_the_same_tables_in_another_order_give_the_same_bytes(place: Place) -> None:
    assert place.call("publish").returncode == 0
    first, written = digest(place.package), place.package.stat().st_mtime_ns
    place.sql(
        'create table turned as from users order by "sourcedId" desc',
        "drop table users",
        "alter table turned rename to users",
    )
    again = place.call("publish")
    assert (again.returncode, digest(place.package)) == (0, first)
    assert "unchanged" in again.stdout
    assert place.package.stat().st_mtime_ns == written
    place.package.unlink()
    assert place.call("publish").returncode == 0
    assert digest(place.package) == first


def test_a_refused_package_leaves_the_old_one_and_reports_without_names(place: Place) -> None:
    assert place.call("publish").returncode == 0
    before = digest(place.package)
    place.sql("update users set \"enabledUser\" = 'True', \"givenName\" = 'Secret'")
    result = place.call("publish")
    assert result.returncode == 1
    assert digest(place.package) == before
    finding = place.report()["findings"][0]
    assert (finding["file"], finding["row"], finding["field"], finding["sourced_id"]) == (
        "users.csv",
        1,
        "enabledUser",
        "u1",
    )
    seen = result.stdout + result.stderr + place.package.with_name("publish-report.json").read_text()
    assert "Secret" not in seen
    assert "example.org" not in seen
    assert "Traceback" not in seen


def test_each_expected_failure_has_its_exit_code_and_one_sentence(place: Place, tmp_path: Path) -> None:
    place.sql("create schema other")
    (tmp_path / "no.duckdb").write_text("not a database, but long enough to be taken for a file of some kind" * 100)
    for code, *arguments in (
        (2, "--package", str(tmp_path)),
        (2, "--wat"),
        (3, "--database", str(tmp_path / "missing.duckdb")),
        (3, "--database", str(tmp_path / "no.duckdb")),
        (3, "--schema", "other"),
        (4, "--package", str(place.database / "below" / "a.zip")),
    ):
        result = place.call("publish", *arguments)
        assert (result.returncode, arguments) == (code, arguments)
        assert "Error: " in result.stderr
        assert "Traceback" not in result.stderr


def test_the_help_tells_each_exit_code_on_its_own_line(place: Place) -> None:
    lines = [line.split() for line in place.call("publish", "--help").stdout.splitlines()]
    assert {"1", "2", "3", "4"} <= {words[0] for words in lines if words}


def test_a_locked_database_is_one_sentence_naming_the_holder(place: Place) -> None:
    with duckdb.connect(str(place.database)):
        result = place.run("publish", "--wait", "0.3")
    assert result.returncode == 3
    assert "is in use by" in result.stderr
    assert "PID" in result.stderr
    assert result.stderr.count("\n") == 1


def test_kill_9_at_any_moment_leaves_the_old_package_and_the_next_run_works(place: Place) -> None:
    assert place.run("publish").returncode == 0
    before = digest(place.package)
    place.sql(
        "insert into users select 'v' || md5(i::text), null, null, 'true', 's1', 'student', 'v' || i, null, 'A', 'B', "
        "null, null, null, null, null, null, null, null from range(150000) as t(i)"
    )
    foreign = place.package.with_name(".oneroster.zip.mine.connect-partial")
    foreign.touch()
    caught = 0
    for delay in (0.0, 0.15):
        process = subprocess.Popen(place.command("publish"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < end:
            if len(list(place.package.parent.glob(".oneroster.zip.*.connect-partial"))) > 1:
                break
            time.sleep(0.005)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        caught += process.wait() == -signal.SIGKILL and digest(place.package) == before
        with zipfile.ZipFile(place.package) as archive:
            assert archive.testzip() is None
    assert caught
    assert place.call("publish").returncode == 0
    assert len(place.csv("users")) == 150_003
    assert list(place.package.parent.glob(".oneroster.zip.*.connect-partial")) == [foreign]


def test_two_publishes_at_once_both_end_with_one_whole_package(place: Place) -> None:
    both = [subprocess.Popen(place.command("publish", "--wait", "60"), stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    with zipfile.ZipFile(place.package) as archive:
        assert archive.testzip() is None


@pytest.mark.parametrize("results", [100_000])
def test_many_results_are_written_in_full_without_holding_them(place: Place, results: int) -> None:
    place.sql(
        'insert into "lineItems" select \'m\' || i, * exclude "sourcedId" from "lineItems", range(50000) as t(i) '
        "where \"sourcedId\" = 'l1'".replace('* exclude "sourcedId"', '* exclude ("sourcedId", i)'),
        "insert into results select 'q' || i, null, null, 'm' || (i % 50000), 'u' || (1 + i // 50000), 'fully graded', "
        f"'77.00', '2025-10-01', null from range({results}) as t(i)",
    )
    code = (  # ru_maxrss would begin with the memory of the process of the tests, which started this one.
        "import sys; from coursera_connect.cli.main import main\n"
        "try: main()\n"
        "finally: print(*(line for line in open('/proc/self/status') if 'VmHWM' in line), file=sys.stderr)"
    )
    python, _, _, *arguments = place.command("publish")
    result = subprocess.run([python, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert len(place.csv("results")) == results + 3
    assert int(result.stderr.split()[-2]) < 400_000  # kB


def test_an_excluded_person_who_is_not_found_is_said_loudly_and_stops_nothing(place: Place) -> None:
    folder = place.folder / "mapping"
    folder.mkdir()
    for name, header in HEADERS.items():
        (folder / f"{name}.csv").write_text(f"{header}\n")
    (folder / "excluded_people.csv").write_text("learner,reason\n0012345,\n12345,a tester\n")
    (folder / "facilitators.csv").write_text(f"{HEADERS['facilitators']}\n,c2,f,A,B,,\n")
    place.sql(
        "create schema if not exists connect",
        "create schema mapping",
        *(
            f"create table mapping.{name} as from read_csv('{folder / name}.csv', header = true, all_varchar = true)"
            for name in HEADERS
        ),
        "create table connect.person_names as select '0012345' as name, 'u9' as person_id",
        "create table connect.classes as select 'p1' as program_id, 'c1' as course_id",
        "create table connect.lines_without_effect (file text, line_number integer, unmatched text)",
        "insert into connect.lines_without_effect values "
        "('excluded_people.csv', 3, 'learner'), ('facilitators.csv', 2, 'class')",
    )
    done = place.call("publish", "--mapping", str(folder))
    loud = [line for line in done.stdout.splitlines() if line.startswith("NOT EXCLUDED: ")]
    assert done.returncode == 0
    assert done.stdout.splitlines()[:2] == loud
    assert "1 line of excluded_people.csv matched nobody" in loud[0]
    assert "excluded_people.csv, line 3: " in loud[1]
    assert "the nearest is 0012345" in loud[1]
    assert "Warning: facilitators.csv, line 2: there is no class of a course c2" in done.stdout
    assert place.report()["not_excluded"] == loud
    assert "## Not excluded" in place.package.with_name("publish-report.md").read_text()
    assert loud[0] in place.call("summary").stdout
    assert place.call("preview", "--mapping", str(folder)).stdout.count("NOT EXCLUDED: ") == 2
    place.sql(
        "create table connect.quality (rule text, severity text, sentence text, entity text, program_id text, "
        "record_id text, how_many bigint)"
    )
    told = json.loads(place.call("quality", "--json", "--mapping", str(folder)).stdout)
    assert [(one["file"], one["line"]) for one in told["mapping"]] == [
        ("excluded_people.csv", 3),
        ("facilitators.csv", 2),
    ]


def test_names_and_paths_that_settings_give_stay_names_and_paths_in_sql(place: Place) -> None:
    schema = 'it\'s "a"; drop schema oneroster cascade; --'
    folder = place.folder / 'it\'s; "quoted"'
    folder.mkdir()
    moved = Place(folder)
    place.database.rename(moved.database)
    missing = moved.call("publish", "--schema", schema)
    assert (missing.returncode, "holds no OneRoster models" in missing.stderr) == (3, True)
    assert moved.call("publish", "--system-name", schema).returncode == 0
    assert moved.call("summary", "--raw-schema", schema).returncode == 0
    assert len(moved.csv("users")) == 3
