"""The mapping files: every mistake with its line, what commands write back, and two writers at once."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from coursera_connect.errors import OutputError, RefusedError, UsageError
from coursera_connect.setup import environments, items, mapping
from tests.connect.desk import HEADERS, Desk

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def found(desk: Desk) -> list[tuple[str, int]]:
    return [(problem.file.removesuffix(".csv"), problem.line) for problem in mapping.problems(desk.mapping)]


def test_files_with_nothing_but_their_header_are_in_order(desk: Desk) -> None:
    assert mapping.problems(desk.mapping) == []
    assert mapping.doubts(desk.mapping) == []
    done = desk.run("mapping", "check")
    assert (done.exit_code, done.stdout) == (0, "The mapping files are in order.\n")
    assert {name: ",".join(mapping.columns(name)) for name in HEADERS} == HEADERS


def test_files_as_spreadsheets_save_them_are_in_order(desk: Desk) -> None:
    text = (
        'school_id,program_id,program_name,school_name\r\nS, P ,"A, ""B""",École 学\r\n\r\n,,,\r\nT,Q,"two\r\nlines",T'
    )
    (desk.mapping / "school_mapping.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    content = mapping.sound(desk.mapping, mapping.SCHOOLS)
    assert [(line.number, line.cells["program_id"], line.cells["school_name"]) for line in content.lines] == [
        (2, "P", "École 学"),
        (5, "Q", "T"),
    ]
    assert content.lines[0].cells["program_name"] == 'A, "B"'


@pytest.mark.parametrize(
    ("name", "lines", "line", "sentence"),
    [
        ("school_mapping", ["P,,S,A", "Q,,T,B", "P,,S,A"], 4, "the same program_id P is already on line 2"),
        ("school_mapping", ["P,,S,A", "Q,,S,B"], 3, "school_id S has another school_name here than on line 2"),
        ("school_mapping", ["P,,S,A", "Q,,S,"], 3, "school_name is blank"),
        ("school_mapping", ["P,,S,A", " ,x,S,A"], 3, "program_id is blank"),
        ("school_mapping", ["P,,S,A", "Q,S,B"], 3, "3 cells instead of 4"),
        ("school_mapping", ["P,,S,A, B"], 2, "5 cells instead of 4"),
        ("school_mapping", ["P,,S,A", 'Q,,S,"A'], 3, "the quotes are wrong"),
        ("school_mapping", ["P,,S,A", 'Q,"x"y,S,A'], 3, "the quotes are wrong"),
        ("school_mapping", ['P,"two', 'lines",S,A', "Q,,S"], 4, "3 cells instead of 4"),
        ("chosen_items", ["P,C,"], 2, "item is blank"),
        ("facilitators", [",,f,A,B,,", "P,,f,A,C,,"], 3, "facilitator_id has another family_name here than on line 2"),
        (
            "sections",
            ["P,C,s,S,ann@x", "P,C,s,T,bob@x"],
            3,
            "section_id s has another section_name here than on line 2",
        ),
        ("sections", ["P,C,s,,ann@x", "P,C,t,,Ann@X"], 3, "learner has another section_id here than on line 2"),
        ("sections", ["P,,s,S,ann@x"], 2, "course_id is blank"),
        ("excluded_people", [",tester"], 2, "learner is blank"),
        ("terms", ["t,T,26,2026-01-01,2026-02-01"], 2, "school_year has to be the year"),
        ("terms", ["t,T,20\uff126,2026-01-01,2026-02-01"], 2, "school_year has to be the year"),
        ("terms", ["t,T,0026,2026-01-01,2026-02-01"], 2, "school_year has to be the year"),
        ("terms", ["t,T,9999,2026-01-01,2026-02-01"], 2, "school_year has to be the year"),
        ("facilitators", [",,f,A,B,nobody,"], 2, "email is no e-mail address"),
        ("school_mapping", [f"P,,S,{'A' * 100_000}"], 2, "school_name has 100,000 letters: 255 at most"),
        ("school_mapping", [f"P,,S,{'A' * 200_000}"], 2, "a cell has more than 131,072 letters"),
        ("excluded_people", ["a\0b,"], 2, "learner has a character in it that is no text"),
        ("terms", ["t,T,2026,2026-02-30,2026-03-01"], 2, "starts_on has to be a day of the calendar"),
        ("terms", ["t,T,2026,2026-02-01,1.3.2026"], 2, "ends_before has to be a day of the calendar"),
        ("terms", ["t,T,2026,20260201,2026-03-01"], 2, "starts_on has to be a day of the calendar"),
        ("terms", ["t,T,2026,2026-02-01,2026-02-01"], 2, "ends_before is not after starts_on"),
        ("terms", ["t,T,2026,2026-01-01,2026-02-01", "t,U,2026,2026-02-01,2026-03-01"], 3, "term_id t is already"),
    ],
)
def test_a_mistake_is_told_with_its_file_and_line(
    desk: Desk, name: str, lines: list[str], line: int, sentence: str
) -> None:
    desk.write(name, *lines)
    (problem,) = mapping.problems(desk.mapping)
    assert (problem.file, problem.line) == (f"{name}.csv", line)
    assert sentence in problem.sentence
    done = desk.run("mapping", "check")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [f"{name}.csv, line {line}: {problem.sentence}", "1 problem."]


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("program_id,program,school_id,school_name", "no column is called program; program_name is missing"),
        ("program_id,program_name,school_id", "school_name is missing"),
        ("program_id,program_id,program_name,school_id,school_name", "a column is repeated"),
        ("program_id;program_name;school_id;school_name", "not parted by commas"),
        ("P,Data,S,School", "the header is missing"),
        ("", "the file is empty"),
    ],
)
def test_a_wrong_header_is_told_once_with_what_it_has_to_be(desk: Desk, header: str, sentence: str) -> None:
    (desk.mapping / "school_mapping.csv").write_text(f"{header}\na;b\n" if header else "\n\n")
    (problem,) = mapping.problems(desk.mapping)
    assert problem.line == 1
    assert sentence in problem.sentence
    assert HEADERS["school_mapping"] in problem.sentence


def test_a_file_that_is_not_utf_8_is_told_with_the_line_of_the_first_wrong_letter(desk: Desk) -> None:
    text = f"{HEADERS['school_mapping']}\nP,Plain,S,A\nQ,Müller,T,B\n"
    (desk.mapping / "school_mapping.csv").write_bytes(text.encode("latin-1"))
    assert found(desk) == [("school_mapping", 3)]
    assert "not UTF-8" in desk.run("schools", "check").stdout


def test_all_mistakes_of_all_files_are_told_in_order(desk: Desk) -> None:
    desk.write("terms", "t,,2026,2026-01-01,2026-02-01", "u,U,x,2026-01-01,2026-02-01")
    desk.write("school_mapping", "P,,S,", "Q,,S,A", "Q,,S,B")
    assert found(desk) == [
        ("school_mapping", 2),
        ("school_mapping", 4),
        ("school_mapping", 4),
        ("terms", 2),
        ("terms", 3),
    ]
    done = desk.run("schools", "check", "--json")
    assert done.exit_code == 1
    assert {problem["file"] for problem in json.loads(done.stdout)["problems"]} == {"school_mapping.csv"}


def test_a_missing_file_and_one_that_nobody_reads_are_mistakes(desk: Desk) -> None:
    (desk.mapping / "terms.csv").rename(desk.mapping / "term.csv")
    assert found(desk) == [("term", 1), ("terms", 1)]
    assert "call it terms.csv" in mapping.problems(desk.mapping)[0].sentence


def test_a_folder_that_is_not_there_is_one_sentence(desk: Desk) -> None:
    missing = str(desk.folder / "elsewhere")
    assert "set CONNECT_MAPPING" in desk.refusal(2, "mapping", "check", CONNECT_MAPPING=missing)
    (desk.mapping / "sections.csv").unlink()
    (desk.mapping / "sections.csv").mkdir()
    assert "Cannot read" in desk.refusal(2, "mapping", "check")


def test_a_line_without_effect_is_a_warning_and_no_mistake(desk: Desk) -> None:
    desk.write("school_mapping", "P,,P,A")
    desk.write("chosen_items", "P,,x", "Gone,,x", ",,x", "P,,X")
    desk.write("excluded_people", "Ann@x.example,", "ann@x.example,again")
    done = desk.run("mapping", "check")
    assert done.exit_code == 0
    assert [line[:37] for line in done.stdout.splitlines()] == [
        "Warning: chosen_items.csv, line 3: pr",
        "Warning: chosen_items.csv, line 5: th",
        "Warning: excluded_people.csv, line 3:",
        "The mapping files are in order.",
    ]


def test_terms_that_overlap_are_told_and_the_header_may_be_written_in_any_letter_case(desk: Desk) -> None:
    rows = "t,T,2026,2026-01-01,2026-06-01\nq,Q,2026,2026-06-01,2026-07-01\nu,U,2026,2026-02-01,2026-03-01\n"
    (desk.mapping / "terms.csv").write_text(f" Term_ID,TITLE,school_year , starts_on,ends_before\n{rows}")
    done = desk.run("mapping", "check")
    assert (done.exit_code, done.stdout.splitlines()) == (
        0,
        [
            "Warning: terms.csv, line 4: the term overlaps with the one on line 2: is that meant?",
            "The mapping files are in order.",
        ],
    )


def test_a_line_that_matches_nothing_in_the_data_is_told_with_what_is_nearest(desk: Desk) -> None:
    names = [
        ("0012345", "Ann1"),
        ("ann@x.example", "Ann1"),
        ("bob@x.example", "bob@x.example"),
        ("413862123456", "Cy3"),
        ("413999123456", "Di4"),
    ]
    desk.load(
        person_names=names,
        stg_coursera__programs=[("P-000417", "Data")],
        classes=[("P-000417", "Course1", "k1"), ("P-2", "Course2", "k2")],
        stg_coursera__item_grades=[
            ("P-000417", "Course1", "i1", "x", "Final exam", None, None, 1.0, 1.0, 1, None, None)
        ],
        lines_without_effect=[
            *(("chosen_items.csv", line, "item") for line in (3, 4)),
            *(("excluded_people.csv", line, "learner") for line in range(3, 8)),
            *(("facilitators.csv", line, "class") for line in (2, 4)),
            ("school_mapping.csv", 2, "program"),
            ("sections.csv", 3, "learner"),
        ],
    )
    desk.write("excluded_people", "0012345,", "12345,", "4.13862E+11,", "an@x.example,", "bbb@x.example,", "zzz,")
    desk.write("school_mapping", "P-417,,P-417,Data", "P-000417,,P-000417,Data")
    desk.write("facilitators", "P-000417,Course2,f,A,B,,", "P-000417,,g,A,B,,", ",Curse1,h,A,B,,")
    desk.write("sections", "P-000417,Course1,s,,0012345", "P-000417,Course1,s,,012345")
    desk.write("chosen_items", ",,Final*", ",,Finale exam", "P-000417,Course2,*")
    desk.load_mapping()
    done = desk.run("mapping", "check")
    none = "learner matches nobody in the data, so nobody is left out by this line"
    spreadsheet = "; it looks like an id that a spreadsheet took for a number, so format the column as text"
    nothing, near_program = "so this line has no effect", "the nearest is P-000417 (Data)"
    assert done.exit_code == 0
    assert [line for line in done.stdout.splitlines() if "is not in school_mapping" not in line] == [
        f"Warning: chosen_items.csv, line 3: no item is called Finale exam, {nothing}; the nearest is Final exam.",
        f"Warning: chosen_items.csv, line 4: there is no class of a course Course2, {nothing}; the nearest is Course1.",
        f"Warning: excluded_people.csv, line 3: {none}; the nearest is 0012345.",
        f"Warning: excluded_people.csv, line 4: {none}; the nearest is 413862123456{spreadsheet}.",
        f"Warning: excluded_people.csv, line 5: {none}; the nearest is an e-mail address, that of Ann1.",
        f"Warning: excluded_people.csv, line 6: {none}; the nearest is the e-mail address of a learner.",
        f"Warning: excluded_people.csv, line 7: {none}.",
        f"Warning: facilitators.csv, line 2: program P-000417 has no course Course2, {nothing}.",
        f"Warning: facilitators.csv, line 4: there is no class of a course Curse1, {nothing}; the nearest is Course1.",
        f"Warning: school_mapping.csv, line 2: Coursera has no program P-417, {nothing}; {near_program}.",
        f"Warning: sections.csv, line 3: learner matches nobody in the data, {nothing}; the nearest is 0012345.",
        "The mapping files are in order.",
    ]
    desk.write("excluded_people", "0012345,", "zzz,")
    assert "excluded_people" not in desk.run("mapping", "check").stdout


def test_no_pattern_of_items_takes_long() -> None:
    assert not items.matches("*" * 5_000 + "b", "a" * 5_000)
    assert not items.matches("a*" * 2_000 + "b", "a" * 5_000)
    assert items.matches("a*" * 2_000 + "b", "a" * 5_000 + "b")


def test_no_sentence_about_a_file_names_a_person(desk: Desk) -> None:
    desk.write("sections", "P,C,s,S,ann@x.example", "P,C,t,T,ann@x.example", "P,C,t,T,ann@x.example,more")
    desk.write("facilitators", ",,bea@x.example,Bea,Zed,bea@x.example,", ",,bea@x.example,Bea,Zed,b@x.example,")
    desk.write("excluded_people", "cy@x.example,", "cy@x.example,")
    (desk.mapping / "terms.csv").write_text("ann@x.example\n")
    said = desk.run("mapping", "check").output
    assert len(said.splitlines()) == 6
    assert not [word for word in ("ann", "Bea", "bea", "cy@", "@") if word in said]


def test_the_mapping_files_of_a_new_environment_are_in_order(tmp_path: Path) -> None:
    environments.make_mapping(tmp_path, "prod")
    assert mapping.problems(tmp_path / "environments" / "prod" / "mapping") == []


# Writing

NASTY = ['"', 'a,"b",c', "=1+1", "Zoë Ñandú 李 🙂", "O'Neil", "null", "x" * 255, "a\\b", "#x"]


def test_what_is_written_is_read_back_and_sorted_and_written_the_same_again(desk: Desk) -> None:
    rows = [(f"p{number}", name, f"p{number}", name) for number, name in enumerate(NASTY)]
    content = mapping.sound(desk.mapping, mapping.SCHOOLS)
    mapping.save(content, reversed(rows), 1)
    again = mapping.sound(desk.mapping, mapping.SCHOOLS)
    assert [tuple(line.cells.values()) for line in again.lines] == rows
    first = content.path.read_bytes()
    assert b"\r" not in first
    mapping.save(again, rows, 1)
    assert content.path.read_bytes() == first
    assert sorted(path.name for path in desk.mapping.iterdir()) == sorted(f"{name}.csv" for name in HEADERS)


def test_a_file_that_somebody_changed_after_it_was_read_is_left_alone(desk: Desk) -> None:
    content = mapping.sound(desk.mapping, mapping.SCHOOLS)
    path = desk.write("school_mapping", "P,,P,By hand")
    with pytest.raises(RefusedError, match="changed by somebody else"):
        mapping.save(content, [("Q", "", "Q", "B")], 1)
    assert desk.rows() == [["P", "", "P", "By hand"]]
    content = mapping.sound(desk.mapping, mapping.SCHOOLS)
    path.unlink()
    with pytest.raises(RefusedError):
        mapping.save(content, [("Q", "", "Q", "B")], 1)
    assert not path.exists()


def test_of_two_commands_that_write_at_once_one_is_refused(desk: Desk) -> None:
    content = mapping.sound(desk.mapping, mapping.SCHOOLS)
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        assert go_on.wait(10)

    first = threading.Thread(target=mapping.save, args=(content, [("P", "", "P", "First")], 1, hold))
    first.start()
    try:
        assert inside.wait(10)
        with pytest.raises(OutputError, match="Another command is writing"):
            mapping.save(content, [("Q", "", "Q", "Second")], 0)
    finally:
        go_on.set()
        first.join()
    with pytest.raises(RefusedError):
        mapping.save(content, [("Q", "", "Q", "Second")], 1)
    assert desk.rows() == [["P", "", "P", "First"]]


def test_a_file_stays_as_it_is_when_what_has_to_happen_before_fails(desk: Desk) -> None:
    content = mapping.sound(desk.mapping, mapping.SCHOOLS)

    def fail() -> None:
        raise UsageError("no")

    with pytest.raises(UsageError):
        mapping.save(content, [("P", "", "P", "A")], 1, fail)
    assert desk.rows() == []
    assert len(list(desk.mapping.iterdir())) == len(HEADERS)


def test_a_linked_file_stays_a_link_and_keeps_its_rights(desk: Desk) -> None:
    path, real = desk.mapping / "school_mapping.csv", desk.folder / "shared.csv"
    path.rename(real)
    real.chmod(0o664)
    path.symlink_to(real)
    mapping.save(mapping.sound(desk.mapping, mapping.SCHOOLS), [("P", "", "P", "A")], 1)
    assert path.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o664
    assert desk.rows() == [["P", "", "P", "A"]]


def test_a_folder_that_cannot_be_written_is_one_sentence(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    content = mapping.sound(desk.mapping, mapping.SCHOOLS)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        mapping.save(content, [("P", "", "P", "A")], 1)
    assert desk.rows() == []
    assert len(list(desk.mapping.iterdir())) == len(HEADERS)
