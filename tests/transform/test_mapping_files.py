"""Mapping files as people save them: dbt reads the intended rows, and refuses the files that connect refuses."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from coursera_connect.setup import items, lines_without_effect, mapping
from tests.transform.college import content, enrolled, item, member, offers, program, user
from tests.transform.warehouse import MAPPING, executable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.transform.warehouse import Warehouse


@pytest.fixture(scope="module")
def saved(warehouse: Warehouse) -> Warehouse:
    """Two good files written by hand, and four with a header only."""
    warehouse.mapping(
        # As a spreadsheet saves it: a byte order mark, CRLF, columns in another order, an empty line of commas.
        school_mapping=(
            b"\xef\xbb\xbf"
            + (
                "school_id,program_id,program_name,school_name\r\n"
                '007,007,"Arts, ""Fine""", Müller - École \r\n'
                "ProgB,ProgB,,O'Neil 日本\r\n"
                ",,,\r\n"
            ).encode()
        ),
        facilitators=(
            b"program_id,course_id,facilitator_id,given_name,family_name,email,username\n"
            b'\n,,0123,"Zo\xc3\xab",Null,zoe@x.example,"true"\nProgB," ",9,"two\nlines",2026-01-01,,""'
        ),
    )
    done = warehouse.dbt("build", "--select", "resource_type:seed")
    assert done.returncode == 0, done.output[-6000:]
    return warehouse


def test_every_cell_is_the_text_somebody_wrote_and_a_blank_one_is_null(saved: Warehouse) -> None:
    assert saved.read("mapping.school_mapping") == [
        {"program_id": "007", "program_name": 'Arts, "Fine"', "school_id": "007", "school_name": "Müller - École"}
        | {"line_number": 2},
        {"program_id": "ProgB", "program_name": None, "school_id": "ProgB", "school_name": "O'Neil 日本"}
        | {"line_number": 3},
    ]
    assert [list(row.values()) for row in saved.read("mapping.facilitators")] == [
        ["ProgB", None, "9", "two\nlines", "2026-01-01", None, None, 4],
        [None, None, "0123", "Zoë", "Null", "zoe@x.example", "true", 3],
    ]


def test_a_file_with_a_header_only_is_an_empty_table(saved: Warehouse) -> None:
    assert [saved.read(f"mapping.{name}") for name in ("sections", "terms", "chosen_items", "excluded_people")] == [
        [], [], [], []
    ]  # fmt: skip


def test_a_file_that_contradicts_itself_stops_the_build_and_the_test_tells_which(saved: Warehouse) -> None:
    twice = {"program_id": "P", "school_id": "S"}
    teacher = {"facilitator_id": "f", "given_name": "Fay"}
    placed = {"program_id": "P", "course_id": "C", "learner": "ann@x.example"}
    saved.mapping(
        school_mapping=[
            twice | {"school_name": "North"},
            twice | {"school_name": "South"},
            {"program_id": "Q", "school_id": "Q"},
        ],
        facilitators=[teacher | {"program_id": "P"}, teacher | {"given_name": "Faye"}],
        sections=[placed | {"section_id": "1"}, placed | {"section_id": "2", "learner": "Ann@x.example"}],
        excluded_people=[{"reason": "nobody"}],
        terms=[{"term_id": "t", "title": "T", "school_year": "26", "starts_on": "2026-02-01", "ends_before": "1"}],
        chosen_items=[{"program_id": "P"}],
    )
    done = saved.dbt("build", "--select", "resource_type:seed")
    assert done.returncode == 1
    failed = set(re.findall(r"Failure in test (\w+)", done.output))
    assert failed == {
        "school_mapping_csv_lists_a_program_once",
        "school_mapping_csv_gives_a_school_one_name",
        "school_mapping_csv_has_school_id_and_school_name_or_neither",
        "facilitators_csv_describes_a_facilitator_in_one_way",
        "sections_csv_puts_a_learner_in_one_section_of_a_class",
        "excluded_people_csv_has_learner",
        "terms_csv_has_school_year_as_a_year",
        "terms_csv_has_ends_before_as_a_date",
        "terms_csv_ends_no_term_before_it_starts",
        "chosen_items_csv_has_item",
    }


FACILITATORS, SECTIONS = MAPPING["facilitators"], MAPPING["sections"]
SCHOOLS, TERMS, ITEMS, EXCLUDED = (
    MAPPING[name] for name in ("school_mapping", "terms", "chosen_items", "excluded_people")
)
TERM = "t,T,2026,2026-01-01,2026-06-01\n"
GOOD, BAD = True, False
# Each round is one build, in which every file is another case: whether it is in order, and what is in it.
HOSTILE: dict[str, dict[str, tuple[bool, bytes | str]]] = {
    "as spreadsheets save them": {
        "school_mapping": (
            GOOD,
            b"\xef\xbb\xbf" + b' Program_ID ,PROGRAM_NAME,"school_name",school_id\r\n 007 ,, A ,007\r\n\r\n',
        ),
        "facilitators": (GOOD, f'{FACILITATORS}\r,,f,"two\nlines",null,a@b,x\r'),
        "sections": (GOOD, f"{SECTIONS}\n,,,,\nP,C,s,,ann\n, ,\u00a0,,\nP,C,s,,{'b' * 900}"),
        "excluded_people": (GOOD, EXCLUDED),
        "terms": (GOOD, f"{TERMS}\n{TERM}q,Q,2026,2026-02-01,2026-03-01\n"),
        "chosen_items": (GOOD, f'{ITEMS}\n,,a "b"\n,," a,""*"""\n'),
    },
    "other formats": {
        "school_mapping": (BAD, SCHOOLS.replace(",", ";") + "\nP;;P;A\n"),
        "facilitators": (BAD, f"{FACILITATORS}\n,,f,A,B,nobody,\n"),
        "sections": (BAD, f"{SECTIONS}\nP,C,s,,ann\n".encode("utf-16")),
        "excluded_people": (BAD, ""),
        "terms": (BAD, TERMS + "\nt,T,20\uff126,2026-01-01,2026-06-01\n"),
        "chosen_items": (BAD, "program_id,item,item\n,,x\n"),
    },
    "wrong cells": {
        "school_mapping": (BAD, f"{SCHOOLS}\nP,,P,{'A' * 100_000}\n"),
        "facilitators": (BAD, f"{FACILITATORS}\n,,f,A,B\n"),
        "sections": (BAD, f'{SECTIONS}\nP,C,"s"t,,ann\n'),
        "excluded_people": (BAD, f"{EXCLUDED}\na\0b,\n"),
        "terms": (BAD, f"{TERMS}\n{TERM.replace('2026,2', '9999,2')}"),
        "chosen_items": (BAD, f"\n{ITEMS}\n,,x\n"),
    },
    "wrong rows": {
        "school_mapping": (BAD, f"{SCHOOLS}\nP,,P,A,B\n"),
        "facilitators": (BAD, f"{FACILITATORS}\n,,f,{'A' * 256},B,,\n"),
        "sections": (BAD, f'{SECTIONS}\nP,C,"s,,ann\n'),
        "excluded_people": (BAD, f"{EXCLUDED}\nMüller,\n".encode("latin-1")),
        "terms": (BAD, f"{TERMS}\n{TERM.replace('2026-06-01', '2026-02-29')}"),
        "chosen_items": (BAD, ITEMS.replace(",", "\t") + "\n\t\tx\n"),
    },
    "wrong meanings": {
        "school_mapping": (BAD, f"{SCHOOLS},more\nP,,P,A,\n"),
        "facilitators": (BAD, f"{FACILITATORS}\n,,f,A,B,a@b@c,\n"),
        "sections": (BAD, f"{SECTIONS}\nP,C,s,,ann\nP,C,t,,ANN\n"),
        "excluded_people": (BAD, f"{EXCLUDED}\na\x01b,\n"),
        "terms": (BAD, f"{TERMS}\nt,T,2026,2026-06-01,2026-06-01\n"),
        "chosen_items": (BAD, f"{ITEMS}\n,,{'x' * 1001}\n"),
    },
    "at the edge": {
        "school_mapping": (GOOD, f"{SCHOOLS}\nP,{'x' * 1000},P,{'A' * 255}\nQ,,,\n"),
        "facilitators": (BAD, f"{FACILITATORS}\n,,,,,,,,\n"),
        "sections": (GOOD, f"{SECTIONS}\nP,C,s,,ann\np,C,s,,Ann\n"),
        "excluded_people": (GOOD, f"{EXCLUDED}\n\n\n=1+1,\n4.13862E+11,\n"),
        "terms": (BAD, f"{TERMS}\n{TERM.replace('2026,2', '0026,2')}"),
        "chosen_items": (GOOD, f"{ITEMS}\r\n,,*\r\n"),
    },
}


@pytest.mark.parametrize("case", HOSTILE)
def test_dbt_refuses_the_files_that_connect_refuses_and_reads_the_others_alike(
    case: str, warehouse: Warehouse, tmp_path: Path
) -> None:
    files = {name: said if isinstance(said, bytes) else said.encode() for name, (_, said) in HOSTILE[case].items()}
    for name, said in files.items():
        (tmp_path / f"{name}.csv").write_bytes(said)
    wrong = {problem.file.removesuffix(".csv") for problem in mapping.problems(tmp_path)}
    assert wrong == {name for name, (is_good, _) in HOSTILE[case].items() if not is_good}
    unreadable = {name for name, said in files.items() if "\ufffd" in said.decode(errors="replace")}
    if unreadable:  # dbt itself ends at a file that is not in UTF-8, and looks at no other
        assert unreadable <= wrong
        warehouse.mapping(**files)
        assert warehouse.dbt("build", "--select", "resource_type:seed").returncode == 2
        files = {name: said for name, said in files.items() if name not in unreadable}
        wrong -= unreadable
    warehouse.mapping(**files)
    done = warehouse.dbt("build", "--select", "resource_type:seed")
    assert done.returncode == (1 if wrong else 0)
    ended = re.findall(r"(?:FAIL|ERROR) .*", done.output)
    assert {name for name in files if any(name in line for line in ended)} == wrong, done.output[-6000:]
    for name in files.keys() - wrong:
        read = [
            {column: cell or None for column, cell in line.cells.items()} | {"line_number": line.number}
            for line in mapping.read(tmp_path, name).lines
        ]
        assert sorted(warehouse.read(f"mapping.{name}"), key=str) == sorted(
            ({column: line[column] for column in (*mapping.columns(name), "line_number")} for line in read), key=str
        )


STARS = "*" * 40
PATTERNS = [
    *("quiz*", "*QUIZ", "q*z 1", "*", "**", "a_b", "a%b", "a.b*", "*(x)*", "*[1]*", "back\\slash*", "*$", "^*", "é*"),
    *("*|*", "ab*ba", "*a*b*c*", "Quiz 1", "nothing", "{2}*", "+*", f"{STARS}b", f"{'a*' * 200}b"),
]
NAMES = [
    *("Quiz 1", "final quiz", "a_b", "axb", "a%b", "a.b", "f(x)", "[1]", "back\\slash", "5$", "^up", "École", "é"),
    *("a|b", "aba", "abba", "xaybzc", "{2}", "+1", "a" * 250, "two\nlines"),
]


def test_dbt_chooses_the_items_that_connect_shows_and_no_pattern_takes_long(warehouse: Warehouse) -> None:
    warehouse.load(
        "2026-02-02T06:00:00Z",
        organizations=[{"id": "Org_A", "name": "College"}],
        programs=[program(f"P{number}", "Arts") for number in range(len(PATTERNS))],
        program_contents=[offers(f"P{number}", "C") for number in range(len(PATTERNS))],
        contents=[content("C", "Writing")],
        program_memberships=[member("P0", "sso1")],
        enrollments=[enrolled(f"P{number}", "sso1", "C") for number in range(len(PATTERNS))],
        item_grades=[
            item(f"P{number}", "sso1", "C", f"i{at}", 50.0, item_name=name)
            for number in range(len(PATTERNS))
            for at, name in enumerate(NAMES)
        ],
    )
    warehouse.mapping(
        chosen_items=[{"program_id": f"P{number}", "item": pattern} for number, pattern in enumerate(PATTERNS)]
    )
    warehouse.run("--select", "+line_items", grade_sync="granular_selected")
    chosen: dict[str, set[str]] = {}
    for row in warehouse.read("connect.line_items"):
        chosen.setdefault(PATTERNS[int(row["program_id"][1:])], set()).add(row["item_id"])
    shown = {
        pattern: {
            f"i{at}"
            for at, name in enumerate(NAMES)
            if items.chooses(
                items.Choice("", "", pattern),
                items.Item("P", "", "C", "", "", f"i{at}", name.replace("\n", " "), "", None, 1),
            )
        }
        for pattern in PATTERNS
    }
    assert chosen == {pattern: ids for pattern, ids in shown.items() if ids}
    assert shown["*"] == shown["**"] == {f"i{at}" for at in range(len(NAMES))}
    assert (shown["a_b"], shown["ab*ba"], shown["a.b*"]) == ({"i2"}, {"i15"}, {"i5"})
    assert shown["nothing"] == shown[f"{'a*' * 200}b"] == set()
    assert shown[f"{STARS}b"] == {"i2", "i3", "i4", "i5", "i13"}


LEARNERS = (
    "0012345",
    "413862123456",
    "Ann.Berg@x.example",
    "\u0130bo",
    "\u03a3\u0391\u03a3",
    "\u65e5\u672c",
    "O'Neil",
    "a_b",
    "a%b",
)
PROGRAMS, COURSES = ("P-000417", "0077", "\u00c9cole"), ("Course1", "0088", "3e5")
QUIZZES = ("Quiz \u03a3", "Final exam", "50%", "a.b", "0099")


def written(text: str) -> set[str]:
    """Return spellings of an id by people and spreadsheets, right and wrong ones."""
    number = text.lstrip("0")
    return {
        *(text, f" {text} ", text.upper(), text.lower(), text.swapcase(), f"{text}x", text[:-1] or "x", text[::-1]),
        *(
            number,
            f"0{text}",
            f"00{number}",
            text.replace("0", "\uff10"),
            text.replace(" ", "  "),
            f"{text}*",
            f"*{number}",
        ),
        *(f"{number[:1]}.{number[1:6]}E+{len(number) - 1}", "4,13862E+11", "null", "nobody", "%", "_", "*", "'", '"'),
    }


def lines_of(name: str, *cells: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Return lines in which one cell at a time has each of its spellings."""
    for right in cells:
        for at, cell in enumerate(right):
            for text in sorted(written(cell)):
                yield dict(zip(mapping.columns(name), (*right[:at], text, *right[at + 1 :]), strict=False))


@pytest.mark.parametrize("there", ["a college", "nothing"])
def test_a_build_finds_the_lines_that_match_nothing_and_connect_says_what_each_should_match(
    there: str, warehouse: Warehouse, tmp_path: Path
) -> None:
    college = there == "a college"
    warehouse.load(
        "2026-02-02T06:00:00Z",
        organizations=[{"id": "Org_A", "name": "College"}],
        programs=[program(key, "Arts") for key in PROGRAMS if college],
        program_contents=[offers(*pair) for pair in zip(PROGRAMS, COURSES, strict=True) if college],
        contents=[content(key, "Writing") for key in COURSES],
        users=[user("Ann1", "sso-ann", "Ann", "ANN@x.example")] if college else [],
        program_memberships=[member(PROGRAMS[0], name) for name in LEARNERS if college],
        enrollments=[],
        item_grades=[
            item(PROGRAMS[0], LEARNERS[0], COURSES[0], f"i{at}", 50.0, item_name=name)
            for at, name in enumerate(QUIZZES)
            if college
        ],
    )
    people = sorted({text for name in (*LEARNERS, "Ann1", "ann@X.example", "sso-ann") for text in written(name)})
    pairs = list(zip(PROGRAMS, COURSES, strict=True))
    days = ("2026-09-01", "2027-07-31", "2027-08-01", "2027-12-31", "2028-01-01", "2029-01-01")
    warehouse.mapping(
        excluded_people=[{"learner": text} for text in people],
        school_mapping=[
            {"program_id": text, "school_id": "s", "school_name": "S"}
            for text in sorted({text for key in PROGRAMS for text in written(key)})
        ],
        facilitators=[
            {"program_id": one, "course_id": other, "facilitator_id": "f"}
            for one in ("", *sorted(written(PROGRAMS[0])))
            for other in ("", COURSES[0], COURSES[1], "nowhere")
        ],
        sections=[
            *(
                {"program_id": PROGRAMS[0], "course_id": COURSES[0], "section_id": "s", "learner": text}
                for text in people
            ),
            *(line | {"section_id": "s", "learner": "Ann1"} for line in lines_of("sections", *pairs)),
        ],
        chosen_items=[
            *({"item": text} for name in (*QUIZZES, "i1") for text in sorted(written(name))),
            *(line | {"item": "final*"} for line in lines_of("chosen_items", *pairs)),
        ],
        terms=[
            {"term_id": day, "title": "T", "school_year": "2026", "starts_on": day, "ends_before": "2030-01-01"}
            for day in days
        ],
    )
    for name, said in warehouse.mapping_files.items():
        (tmp_path / f"{name}.csv").write_bytes(said)
    warehouse.run(
        "--select",
        "+lines_without_effect",
        "+settings_used",
        "resource_type:seed",
        grade_sync="final",
        calendar="terms",
    )
    built = {(row["file"], row["line_number"]) for row in warehouse.read("connect.lines_without_effect")}
    described = lines_without_effect.of(warehouse.path, 5, tmp_path)
    assert built == {(one.file, one.line) for one in described}
    wrong = {name: sum(file == f"{name}.csv" for file, _ in built) for name in MAPPING}
    lines = {name: len(mapping.read(tmp_path, name).lines) for name in MAPPING}
    if college:
        assert all(0 < wrong[name] < lines[name] for name in MAPPING), (wrong, lines)
    else:
        assert {name for name, number in wrong.items() if number} == {"terms"}


def test_what_starts_dbt_names_the_mapping_file_that_is_not_utf_8(tmp_path: Path) -> None:
    mapping_files = tmp_path / "environments" / "prod" / "mapping"
    mapping_files.mkdir(parents=True)
    (mapping_files / "terms.csv").write_text(f"\ufeff{TERMS}\nMüller", "utf-8")
    path = mapping_files / "sections.csv"
    path.write_bytes(f"{SECTIONS}\nP,C,s,Müller,ann\n".encode("latin-1"))
    done = subprocess.run(
        [executable().with_name("dbt-private"), "build"],
        env={"DBT_PROJECT_DIR": str(tmp_path / "transform"), "MELTANO_ENVIRONMENT": "prod"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == f"Error: {path}, line 2: this is not UTF-8 text: save the file again as `CSV UTF-8`.\n"
    assert (done.stdout, done.returncode) == ("", 1)
