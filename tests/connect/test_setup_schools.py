"""From the connection test to the mapping of schools: over HTTP, with real files and a real warehouse."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from coursera_connect.setup import connection
from coursera_connect.warehouse import ledger
from coursera_sandbox.testing import RunningSandbox
from tap_coursera import client
from tests.connect.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Agreed = list[tuple[str, str, dict[str, Any]]]
WHEN = "2026-01-31T05:00:00Z"


@pytest.fixture(scope="module")
def college(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    running = RunningSandbox(tmp_path_factory.mktemp("sandbox"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def source(college: RunningSandbox) -> dict[str, str]:
    return {program["id"]: program["name"] for program in college.all("/programs", excludeContent=True)}


@pytest.fixture
def desk(tmp_path: Path, college: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk whose connection test has not been made."""
    monkeypatch.setattr(client, "BACKOFF_BASE", 0.001)
    yield Desk(tmp_path, {f"TAP_COURSERA_{name.upper()}": value for name, value in college.tap_config.items()})
    college.clear_faults()


@pytest.fixture
def tested(desk: Desk) -> Desk:
    """A desk whose connection test has passed."""
    desk.record.parent.mkdir()
    passed = {name: desk.environment[f"TAP_COURSERA_{name.upper()}"] for name in ("org_id", "api_url")}
    desk.record.write_text(json.dumps({"passed_at": WHEN, "programs": 8} | passed))
    return desk


@pytest.fixture
def agreed(monkeypatch: pytest.MonkeyPatch) -> Agreed:
    """Return the agreements in the ledger."""
    told: Agreed = []

    def agree(_database: Path, _wait: float, kind: str, subject: str, detail: dict[str, Any]) -> None:
        told.append((kind, subject, detail))

    monkeypatch.setattr(ledger, "agree", agree)
    return told


def load(desk: Desk, programs: dict[str, str], mapped: dict[str, str] | None = None) -> None:
    """A warehouse in which program number n has n classes, n learners of its own, one of all, and 2n results."""
    numbered = list(enumerate(programs, 1))
    desk.load(
        stg_coursera__programs=list(programs.items()),
        program_schools=[(one, f"school.{(mapped or {}).get(one, one)}", name) for one, name in programs.items()],
        classes=[(one, f"c{n}", f"class.{one}.{n}") for number, one in numbered for n in range(number)],
        memberships=[(one, f"{one}-{n}") for number, one in numbered for n in range(number)]
        + [(one, "everywhere") for one in programs],
        grades=[(one, f"line.{n}", "fully graded") for number, one in numbered for n in range(2 * number)],
    )


# The connection test


def test_a_test_that_passes_shows_five_checks_and_leaves_a_record_without_a_secret(
    desk: Desk, college: RunningSandbox
) -> None:
    done = desk.run("test")
    assert done.exit_code == 0
    *checks, last = done.stdout.splitlines()
    assert [line[:20].split("  ")[0] for line in checks] == [
        "token", "organisation", "programs", "enrollment report", "gradebook"
    ]  # fmt: skip
    assert all(line[19:21] == "OK" for line in checks)
    assert last.endswith("connect schools list")
    record = json.loads(desk.record.read_text())
    assert record == {
        "passed_at": record["passed_at"],
        "org_id": college.org_id,
        "api_url": college.api_url,
        "programs": 8,
    }
    assert college.client_secret not in desk.record.read_text() + done.output
    assert [path.name for path in desk.record.parent.iterdir()] == [desk.record.name]
    answer = desk.ask("test")
    assert (answer["passed"], answer["exit_code"], len(answer["checks"])) == (True, 0, 5)


@pytest.mark.parametrize(
    ("change", "fault", "code", "check", "sentence"),
    [
        ({"CLIENT_SECRET": "the-wrong-one"}, "", 3, 0, "refused the credentials"),
        ({"ORG_ID": "SandboxOrg-BBBBBBBBB_B"}, "", 4, 1, "check that org_id"),
        ({"PROGRAM_IDS": '["nobody-knows-it"]'}, "", 5, 2, "no active program nobody-knows-it"),
        ({}, "500:path=enrollmentReports", 6, 3, "HTTP 500"),
        ({}, "500:path=courseGradebookReports", 7, 4, "HTTP 500"),
    ],
)
def test_a_test_that_fails_has_the_exit_code_of_its_check_and_takes_the_record_away(  # noqa: PLR0917 - one per column
    tested: Desk, college: RunningSandbox, change: dict[str, str], fault: str, code: int, check: int, sentence: str
) -> None:
    college.faults([fault] if fault else [])
    environment = {f"TAP_COURSERA_{name}": value for name, value in change.items()}
    done = tested.run("test", "--json", **environment)
    assert done.exit_code == code
    answer = json.loads(done.stdout)
    assert (answer["passed"], answer["exit_code"]) == (False, code)
    assert [entry["verdict"] for entry in answer["checks"]].index("FAILED") == check
    assert sentence in answer["checks"][check]["sentence"]
    assert not tested.record.exists()
    college.clear_faults()
    assert "run connect test first" in tested.refusal(7, "schools", "list")


def test_where_the_sandbox_gives_no_token_its_start_is_told(tested: Desk) -> None:
    start = "coursera-sandbox start"
    wrong = {"TAP_COURSERA_CLIENT_SECRET": "the-wrong-one"}
    assert start in tested.run("test", MELTANO_ENVIRONMENT="sandbox", **wrong).output
    assert start not in tested.run("test", MELTANO_ENVIRONMENT="prod", **wrong).output


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"CLIENT_ID": ""}, "client_id not set"),
        ({"PAGE_SIZE": "many"}, "TAP_COURSERA_PAGE_SIZE has to hold a whole number"),
        ({"API_URL": "http://api.example/x"}, "api_url would send credentials and grades unencrypted"),
    ],
)
def test_a_setting_that_is_missing_or_wrong_is_one_sentence(
    tested: Desk, change: dict[str, str], sentence: str
) -> None:
    environment = {f"TAP_COURSERA_{name}": value for name, value in change.items()}
    assert sentence in tested.refusal(1, "test", **environment)
    assert not tested.record.exists()


def test_a_record_that_cannot_be_written_is_one_sentence(desk: Desk) -> None:
    (desk.folder / "file").write_text("")
    done = desk.run("test", "--json", CONNECT_PACKAGE=str(desk.folder / "file" / "oneroster.zip"))
    assert done.exit_code == 1
    assert "cannot be written" in done.stderr


def test_programs_that_cannot_be_listed_a_moment_later_are_a_failure(
    tested: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tap_coursera.errors import TapError  # noqa: PLC0415 - as connect does

    def broken(_tap: object) -> dict[str, str]:
        raise TapError("It broke: run again later.")

    monkeypatch.setattr(connection, "_programs", broken)
    assert "programs           FAILED   It broke: run again later." in tested.run("test").stdout
    assert not tested.record.exists()


def test_on_a_terminal_each_check_appears_as_it_is_made_and_nothing_is_a_traceback(
    desk: Desk, college: RunningSandbox
) -> None:
    college.faults(["latency:ms=1500,path=courseGradebookReports"])
    screen, keyboard = pty.openpty()
    environment = os.environ | desk.environment
    command = [sys.executable, "-m", "coursera_connect", "test"]
    with subprocess.Popen(command, stdout=keyboard, stderr=keyboard, env=environment) as process:
        os.close(keyboard)
        early = b""
        while b"enrollment report" not in early:
            early += os.read(screen, 1000)
        assert b"gradebook" not in early
        assert process.wait(60) == 0
    os.close(screen)


# Refused until it has passed


@pytest.mark.parametrize("verb", ["list", "auto", "map x", "merge x y --as z", "rename x y", "unmap x"])
@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (None, "none has yet: run connect test first"),
        ("{", "none has yet"),
        ("[]", "none has yet"),
        ({"org_id": "another"}, "another organisation than the one TAP_COURSERA_ORG_ID names"),
        ({"api_url": "https://elsewhere"}, "another address of the API than the one TAP_COURSERA_API_URL names"),
    ],
)
def test_mapping_is_refused_until_the_test_has_passed_for_these_settings(
    tested: Desk, record: Any, sentence: str, verb: str
) -> None:
    if record is None:
        tested.record.unlink()
    elif isinstance(record, str):
        tested.record.write_text(record)
    else:
        tested.record.write_text(json.dumps(json.loads(tested.record.read_text()) | record))
    assert sentence in tested.refusal(7, "schools", *verb.split())
    assert tested.rows() == []


def test_coursera_that_cannot_be_asked_is_one_sentence(tested: Desk) -> None:
    sentence = tested.refusal(1, "schools", "list", TAP_COURSERA_CLIENT_SECRET="wrong").splitlines()[-1]
    assert "refused the credentials" in sentence


# The eight scenarios of a mapping


def test_first_time_everything_is_missing_and_synced_and_auto_keeps_every_id(
    tested: Desk, source: dict[str, str], agreed: Agreed
) -> None:
    load(tested, source)
    answer = tested.ask("schools", "list")
    assert answer["counts"] == {"existing": 0, "missing": 8, "missing-data": 0, "left-out": 0}
    assert answer["all_programs"] is True
    assert {entry["program_id"]: entry["program_name"] for entry in answer["programs"]} == source
    assert "all programs are synced, each as a school of its own" in tested.run("schools", "list").stdout

    dry = tested.ask("schools", "auto")
    assert (dry["saved"], len(dry["changes"])) == (False, 8)
    assert tested.rows() == []
    saved = tested.ask("schools", "auto", "--save")
    assert saved["saved"] is True
    assert saved["leaving"]["programs"] == saved["moving"]["programs"] == []
    assert tested.rows() == sorted([one, name, one, name] for one, name in source.items())
    assert agreed == []
    assert tested.ask("schools", "auto", "--save") | {"file": ""} == {
        "file": "",
        "saved": False,
        "changes": [],
        "leaving": {"programs": [], "counts": None},
        "moving": {"programs": [], "counts": None},
        "warnings": [],
    }
    assert tested.run("schools", "auto", "--save").stdout == "Nothing to change.\n"


def test_a_new_program_is_missing_until_it_is_mapped_and_nothing_else_changes(
    tested: Desk, source: dict[str, str]
) -> None:
    new, *others = source
    before = sorted([one, source[one], one, f"School {one}"] for one in others)
    tested.write("school_mapping", *(",".join(row) for row in before))
    answer = tested.ask("schools", "list", "--filter", "missing")
    assert [entry["program_id"] for entry in answer["programs"]] == [new]
    assert answer["counts"] == {"existing": 7, "missing": 1, "missing-data": 0, "left-out": 0}
    tested.ask("schools", "auto", "--save")
    assert tested.rows() == sorted([*before, [new, source[new], new, source[new]]])


def test_a_renamed_program_is_marked_and_keeps_the_edited_name_of_its_school(
    tested: Desk, source: dict[str, str]
) -> None:
    one, other = list(source)[:2]
    tested.write("school_mapping", f"{one},Old name,{one},My school", f"{other},{source[other]},{other},Edited")
    listed = {entry["program_id"]: entry for entry in tested.ask("schools", "list")["programs"]}
    assert (listed[one]["renamed"], listed[other]["renamed"]) == (True, False)
    assert (listed[one]["program_name"], listed[one]["school_name"]) == (source[one], "My school")
    assert "Existing, renamed in Coursera" in tested.run("schools", "list").stdout
    tested.ask("schools", "auto", "--save")
    assert [one, "Old name", one, "My school"] in tested.rows()
    shown = tested.run("schools", "map", source[one], "--save").stdout
    assert "program called Old name" in shown
    assert [one, source[one], one, "My school"] in tested.rows()


def test_a_deactivated_program_is_one_with_missing_data_until_it_is_unmapped(
    tested: Desk, source: dict[str, str]
) -> None:
    one = next(iter(source))
    tested.write("school_mapping", f"{one},{source[one]},{one},A", "gone-1,Old program,gone-1,B")
    answer = tested.ask("schools", "list", "--filter", "missing-data")
    assert [(entry["program_id"], entry["program_name"]) for entry in answer["programs"]] == [("gone-1", "Old program")]
    assert answer["counts"] == {"existing": 1, "missing": 7, "missing-data": 1, "left-out": 0}
    only = json.dumps([one])
    assert tested.ask("schools", "list", TAP_COURSERA_PROGRAM_IDS=only)["counts"]["missing"] == 0
    tested.ask("schools", "auto", "--save", TAP_COURSERA_PROGRAM_IDS=only)
    assert len(tested.rows()) == 2
    assert tested.ask("schools", "unmap", "old PROGRAM")["warnings"] == []
    load(tested, source)
    (warning,) = tested.ask("schools", "unmap", "old PROGRAM", "--save")["warnings"]
    assert "no agreement for its school" in warning
    assert tested.rows() == [[one, source[one], one, "A"]]


def test_a_school_to_be_left_out_is_unmapped_after_saying_what_leaves(
    tested: Desk, source: dict[str, str], agreed: Agreed
) -> None:
    load(tested, source)
    tested.ask("schools", "auto", "--save")
    before = (tested.mapping / "school_mapping.csv").read_bytes()
    third = list(source)[2]
    shown = tested.run("schools", "unmap", third).stdout
    assert "1 program would leave the sync: 3 classes, 3 learners who are in no other program, 6 results" in shown
    assert "not mapped" in shown
    assert (tested.mapping / "school_mapping.csv").read_bytes() == before
    assert agreed == []
    answer = tested.ask("schools", "unmap", third, "--save")
    assert answer["leaving"] == {"programs": [third], "counts": {"classes": 3, "learners": 3, "results": 6}}
    assert third not in {row[0] for row in tested.rows()}
    detail = {"programs": [third], "classes": 3, "learners": 3, "results": 6}
    assert agreed == [("school", f"school.{third}", detail)]


def test_a_program_left_out_on_purpose_is_no_longer_asked_about_and_auto_leaves_it_out(
    tested: Desk, source: dict[str, str], agreed: Agreed
) -> None:
    load(tested, source)
    first, second, third, *_ = source
    left = [third, source[third], "", ""]
    shown = tested.run("schools", "leave-out", third).stdout
    assert "1 program would leave the sync: 3 classes, 3 learners who are in no other program, 6 results" in shown
    assert (tested.rows(), agreed) == ([], [])
    assert tested.ask("schools", "leave-out", source[third], "--save")["warnings"] == []
    detail = {"programs": [third], "classes": 3, "learners": 3, "results": 6}
    assert agreed == [("school", f"school.{third}", detail)]
    assert tested.rows() == [left]
    listed = tested.ask("schools", "list")
    counts = {"existing": 0, "missing": len(source) - 1, "missing-data": 0, "left-out": 1}
    assert (listed["all_programs"], listed["counts"]) == (True, counts)
    assert "all programs that are not left out are synced" in tested.run("schools", "list").stdout
    tested.ask("schools", "auto", "--save")
    assert left in tested.rows()
    assert "Missing 0, With missing data 0, Left out 1" in tested.run("schools", "list").stdout
    assert [one["program_id"] for one in tested.ask("schools", "list", "--filter", "left-out")["programs"]] == [third]
    # After the program has gone from Coursera, the command still asks nothing about it.
    only = json.dumps([first, second])
    assert tested.ask("schools", "list", TAP_COURSERA_PROGRAM_IDS=only)["counts"]["left-out"] == 1
    tested.ask("schools", "map", third, "--as", "Back again", "--save")
    assert [third, source[third], third, "Back again"] in tested.rows()


@pytest.mark.parametrize(
    ("verb", "before", "code", "sentence"),
    [
        (["leave-out"], "mapped", 7, "That would leave no program mapped"),
        (["unmap"], "mapped", 7, "That would leave no program mapped"),
        (["unmap"], "", 7, "To leave single ones out: connect schools leave-out "),
        (["unmap"], "left", 2, "is left out already. To take it in again: connect schools map "),
        (["rename", "", "Other"], "left", 2, "connect schools list"),
    ],
)
def test_what_cannot_be_left_out_is_said(  # noqa: PLR0917 - one per column
    tested: Desk, source: dict[str, str], verb: list[str], before: str, code: int, sentence: str
) -> None:
    one, other, *_ = source
    lines = {
        "": [],
        "mapped": [f"{one},,{one},A"],
        "left": [f"{one},,,", f"{other},,{other},B"],
    }[before]
    tested.write("school_mapping", *lines)
    words = verb if len(verb) > 1 else [*verb, one]
    assert sentence in tested.refusal(code, "schools", *words, "--save")
    assert len(tested.rows()) == len(lines)


def test_not_every_program_can_be_left_out(tested: Desk, source: dict[str, str]) -> None:
    assert "no program to be synced" in tested.refusal(7, "schools", "leave-out", *source, "--save")
    first, *others = source
    answer = tested.ask("schools", "leave-out", *others, "--save")
    assert [change["after"]["school_id"] for change in answer["changes"]] == [""] * len(others)
    assert first not in {row[0] for row in tested.rows()}


def test_a_replaced_source_system_takes_over_the_schools_of_the_old_one(tested: Desk, source: dict[str, str]) -> None:
    new = next(iter(source))
    tested.write("school_mapping", "old-id,Data,old-id,School of Data")
    tested.ask("schools", "map", new, "--to", "school of data", "--save")
    tested.ask("schools", "unmap", "old-id", "--save")
    assert tested.rows() == [[new, source[new], "old-id", "School of Data"]]


def test_each_of_several_sources_has_a_test_and_a_mapping_of_its_own(
    tested: Desk, college: RunningSandbox, source: dict[str, str]
) -> None:
    other = tested.folder / "other"
    other.mkdir()
    tested.ask("schools", "auto", "--save")
    elsewhere = {"CONNECT_MAPPING": str(other), "TAP_COURSERA_ORG_ID": "SandboxOrg-BBBBBBBBB_B"}
    assert "another organisation" in tested.refusal(7, "schools", "auto", "--save", **elsewhere)
    assert list(other.iterdir()) == []
    tested.ask("schools", "auto", "--save", CONNECT_MAPPING=str(other), TAP_COURSERA_ORG_ID=college.org_id)
    assert len((other / "school_mapping.csv").read_text().splitlines()) == 1 + len(source)


def test_several_programs_become_one_school_that_keeps_the_id_of_the_first(
    tested: Desk, source: dict[str, str], agreed: Agreed
) -> None:
    load(tested, source)
    tested.ask("schools", "auto", "--save")
    first, second, third, *_ = source
    name = 'The "best", Schöol 学'
    answer = tested.ask("schools", "merge", source[first], second, third, "--as", name, "--save")
    assert [row[2:] for row in tested.rows() if row[0] in {first, second, third}] == [[first, name]] * 3
    assert answer["leaving"]["programs"] == []
    assert answer["moving"] == {
        "programs": sorted([second, third]),
        "counts": {"classes": 5, "learners": 5, "results": 10},
    }
    assert sorted(subject for _kind, subject, _detail in agreed) == sorted([f"school.{second}", f"school.{third}"])
    tested.ask("schools", "rename", name, "Plain", "--save")
    assert [row[2:] for row in tested.rows() if row[3] == "Plain"] == [[first, "Plain"]] * 3
    # The program that gave the school its id leaves the school, and gets an id that no school has.
    tested.ask("schools", "map", first, "--as", "Alone", "--save")
    assert {row[0]: row[2:] for row in tested.rows()}[first] == [f"{first}-2", "Alone"]
    assert tested.run("mapping", "check").exit_code == 0


# Edges


def test_the_first_program_that_is_mapped_stops_all_others_and_says_so(
    tested: Desk, source: dict[str, str], agreed: Agreed
) -> None:
    load(tested, source)
    first, *others = source
    shown = tested.run("schools", "map", first, "--as", "Only this").stdout
    assert "7 other programs stop being synced" in shown
    assert all(f"{source[one]} ({one})" in shown for one in others)
    assert "7 programs would leave the sync: 35 classes, 35 learners" in shown
    assert tested.rows() == []
    tested.ask("schools", "map", first, "--as", "Only this", "--save")
    assert tested.rows() == [[first, source[first], first, "Only this"]]
    assert {subject for _kind, subject, _detail in agreed} == {f"school.{one}" for one in others}


def test_the_last_program_cannot_be_unmapped_since_that_would_mean_all(tested: Desk, source: dict[str, str]) -> None:
    first, second, *_ = source
    assert "No program is mapped, so all programs are synced" in tested.refusal(7, "schools", "unmap", first)
    tested.write("school_mapping", f"{first},,{first},A", f"{second},,{second},B")
    assert "ALL programs" in tested.refusal(7, "schools", "unmap", first, second, "--save")
    assert len(tested.rows()) == 2


def test_what_leaves_is_said_to_be_not_loaded_before_the_first_run(
    tested: Desk, source: dict[str, str], agreed: Agreed
) -> None:
    tested.ask("schools", "auto", "--save")
    one = next(iter(source))
    assert "not loaded yet" in tested.run("schools", "unmap", one).stdout
    tested.load()
    import duckdb  # noqa: PLC0415 - only here

    with duckdb.connect(str(tested.database)) as connection_:
        connection_.execute("drop table connect.grades")
    assert tested.ask("schools", "unmap", one, "--save")["leaving"]["counts"] is None
    assert agreed == []


def test_a_mapping_is_not_saved_when_its_agreement_cannot_be(
    tested: Desk, source: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load(tested, source)
    tested.ask("schools", "auto", "--save")
    from coursera_connect.errors import DatabaseError  # noqa: PLC0415 - only here

    def busy(*_: object) -> None:
        raise DatabaseError("The database is in use.")

    monkeypatch.setattr(ledger, "agree", busy)
    done = tested.run("schools", "unmap", next(iter(source)), "--save")
    assert done.exit_code == 3
    assert len(tested.rows()) == 8


def test_a_mapping_that_was_edited_while_a_command_ran_is_not_overwritten(
    tested: Desk, source: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly() -> dict[str, str]:
        tested.write("school_mapping", "P,,P,By hand")
        return source

    monkeypatch.setattr(connection, "programs", slowly)
    done = tested.run("schools", "auto", "--save")
    assert done.exit_code == 7
    assert "changed by somebody else" in done.stderr
    assert tested.rows() == [["P", "", "P", "By hand"]]


def test_a_broken_mapping_is_told_with_its_line_and_left_alone(tested: Desk) -> None:
    path = tested.write("school_mapping", "P,,S,A", "Q,,S,B", "Q,,S")
    said = tested.refusal(2, "schools", "auto", "--save")
    assert said.startswith(f"{path}, line 3: school_id S has another school_name")
    assert "(1 more: connect mapping check)" in said
    assert path.read_text().count("\n") == 4


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("map|Twin", "2 programs are called Twin: say which one by its id, t1 or t2."),
        ("map|data scienc", "There is no program data scienc: did you mean Data Science (d)?"),
        ("map|zzz", "There is no program zzz: see connect schools list."),
        ("map|d|--to|Schol", "There is no school Schol: did you mean School (s)?"),
        ("map|d|--to|School|--as|X", "--as and --to exclude each other"),
        ("map|d|--as| ", "The name of the school is blank"),
        ("merge|d|t1", "The school has no name yet"),
        ("merge|d|--as|X", "Only one program was named"),
        ("rename|Nowhere at all|X", "There is no school Nowhere at all: see connect schools list"),
        ("unmap|d", "Data Science (d) is not mapped"),
    ],
)
def test_a_name_that_is_wrong_or_shared_is_one_sentence(tested: Desk, arguments: str, sentence: str) -> None:
    load(tested, {"t1": "Twin", "t2": "twin ", "d": "Data Science"})
    tested.write("school_mapping", "t1,Twin,s,School")
    assert sentence in tested.refusal(2, "schools", *arguments.split("|"), "--loaded")


def test_programs_of_the_last_load_are_those_of_the_staging_model(tested: Desk) -> None:
    assert "no database" in tested.refusal(3, "schools", "list", "--loaded")
    tested.load(stg_coursera__programs=[("a", "New"), ("c", None)])
    answer = tested.ask("schools", "list", "--loaded", TAP_COURSERA_CLIENT_SECRET="wrong")
    assert [(entry["program_id"], entry["program_name"]) for entry in answer["programs"]] == [("c", "c"), ("a", "New")]
    with duckdb.connect(str(tested.database)) as connection:
        connection.execute("drop table staging.stg_coursera__programs")
    assert "No programs have been loaded into" in tested.refusal(3, "schools", "list", "--loaded")


def test_an_id_that_begins_with_a_dash_is_no_option(tested: Desk, agreed: Agreed) -> None:
    dashed, other = "-jvWbOLkhDUmHGS_lA7wA9", "b" * 22
    load(tested, {dashed: "Dashed", other: "Other"})
    assert len(dashed) == 22
    answer = tested.ask("schools", "merge", other, dashed, "--loaded", "--as", "Both", "--save")
    assert {change["after"]["school_id"] for change in answer["changes"]} == {other}
    tested.ask("schools", "unmap", dashed, "--loaded", "--save")
    assert [row[0] for row in tested.rows()] == [other]
    assert len(agreed) == 2
    assert "No such option" in tested.run("schools", "unmap", "--sav", other).stderr


def test_two_schools_with_one_name_are_pointed_out(tested: Desk) -> None:
    load(tested, {"t1": "Twin", "t2": "Twin"})
    (warning,) = tested.ask("schools", "auto", "--loaded")["warnings"]
    assert "2 schools are called Twin (t1, t2)" in warning


def test_a_name_that_steers_a_terminal_is_shown_and_written_without_it(tested: Desk) -> None:
    load(tested, {"x": "Evil\x1b[31m [bold]red[/bold]\r\n\u202ename"})
    assert "Evil[31m [bold]red[/bold] name" in tested.run("schools", "list", "--loaded").stdout
    tested.ask("schools", "auto", "--loaded", "--save")
    assert tested.rows() == [["x", "Evil[31m [bold]red[/bold] name"] * 2]
