"""Mapping files as spreadsheets and people save them, read by dbt as they are meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
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
            b'\n,,0123,"Zo\xc3\xab",Null,1e5,"true"\nProgB," ",9,"two\nlines",2026-01-01,,""'
        ),
    )
    done = warehouse.dbt("build", "--select", "resource_type:seed")
    assert done.returncode == 0, done.output[-6000:]
    return warehouse


def test_every_cell_is_the_text_somebody_wrote_and_a_blank_one_is_null(saved: Warehouse) -> None:
    assert saved.read("mapping.school_mapping") == [
        {"school_id": "007", "program_id": "007", "program_name": 'Arts, "Fine"', "school_name": "Müller - École"},
        {"school_id": "ProgB", "program_id": "ProgB", "program_name": None, "school_name": "O'Neil 日本"},
    ]
    assert [list(row.values()) for row in saved.read("mapping.facilitators")] == [
        ["ProgB", None, "9", "two\nlines", "2026-01-01", None, None],
        [None, None, "0123", "Zoë", "Null", "1e5", "true"],
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
        school_mapping=[twice | {"school_name": "North"}, twice | {"school_name": "South"}],
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
        "facilitators_csv_describes_a_facilitator_in_one_way",
        "sections_csv_puts_a_learner_in_one_section_of_a_class",
        "excluded_people_csv_has_learner",
        "terms_csv_has_school_year_as_a_year",
        "terms_csv_has_ends_before_as_a_date",
        "terms_csv_ends_no_term_before_it_starts",
        "chosen_items_csv_has_item",
    }
