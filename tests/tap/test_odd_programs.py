"""A program whose own id is odd for a night, on servers that heed which program is asked for and on others."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.tap.altered import rows_of
from tests.tap.test_odd_rows import between, rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from coursera_sandbox.testing import RunningSandbox
    from tests.tap.altered import Altered
    from tests.tap.conftest import Json, ReadTap

    Server: TypeAlias = Callable[[list[Json], str | None, list[str]], list[Json]]
    """All programs, which is asked for, and the ids of all: the rows to answer."""

__all__ = ["between"]  # a fixture of there


@pytest.mark.parametrize("odd", [None, 7, ["x"], "", " ", "half \ud83d", "another"], ids=ascii)
def test_a_program_whose_id_is_odd_for_a_night_is_read_under_the_id_that_it_had(
    sandbox: RunningSandbox, read_tap: ReadTap, between: Callable[..., Altered], odd: object
) -> None:
    first, *_ = [row["id"] for row in sandbox.get("/programs", excludeContent=True)["elements"]]

    def lie(found: list[Json]) -> None:
        for row in found:
            if row["id"] == first:
                row["id"] = odd

    server = between(lambda _, body: body)
    select = ["programs", "program_memberships", "program_contents"]
    config = server.tap_config | {"emit_activate_version_messages": True}
    plain = read_tap(config, select=select)
    server.alter = rows_of("/programs?", lie)
    lied = read_tap(config, select=select, state=plain.state)
    for stream in select:
        clean = [row | {"row_problems": None} for row in rows(lied, stream)]
        assert sorted(clean, key=str) == sorted(rows(plain, stream), key=str)
    assert {row["id"]: row["row_problems"] for row in rows(lied, "programs") if row["row_problems"]} == {
        first: "id:type"
    }
    assert lied.activated() == set(select)
    healed = read_tap(config, select=select, state=lied.state)
    assert {row["id"] for row in rows(healed, "programs")} == {row["id"] for row in rows(plain, "programs")}
    if odd != "another":
        # Of a first run nobody knows what the odd row was called, so no row of before counts as gone.
        unknown = read_tap(config, select=select)
        assert len(rows(unknown, "programs")) == len(rows(plain, "programs")) - 1
        assert not unknown.activated()


def test_a_program_that_is_gone_stays_gone_although_another_has_an_odd_id(
    sandbox: RunningSandbox, read_tap: ReadTap, between: Callable[..., Altered]
) -> None:
    gone, odd, *_ = [row["id"] for row in sandbox.get("/programs", excludeContent=True)["elements"]]

    def lie(asked: str, body: bytes) -> bytes:
        if "/programs?" not in asked:
            return body
        answer = json.loads(body)
        left = [row for row in answer["elements"] if row["id"] != gone]
        answer["paging"]["total"] -= len(answer["elements"]) - len(left)
        answer["elements"] = [row | ({"id": 5} if row["id"] == odd else {}) for row in left]
        return json.dumps(answer).encode()

    server = between(lambda _, body: body)
    config = server.tap_config | {"emit_activate_version_messages": True}
    plain = read_tap(config, select=["programs"])
    server.alter = lie
    lied = read_tap(config, select=["programs"], state=plain.state)
    assert {row["id"] for row in rows(plain, "programs")} - {row["id"] for row in rows(lied, "programs")} == {gone}
    assert lied.activated() == {"programs"}


def shown(found: list[Json], ids: list[str], **odd: object) -> list[Json]:
    """The programs, those of these letters (A is the first of them all) with an odd id."""
    changed = {ids["ABC".index(letter)]: value for letter, value in odd.items()}
    return [row | {"id": changed.get(row["id"], row["id"])} for row in found]


def only(found: list[Json], program: str | None) -> list[Json]:
    """The programs with the id that was asked for; all where none was."""
    return [row for row in found if program in {None, row["id"]}]


SERVERS: dict[str, tuple[Server, str]] = {
    "heeds what is asked for": (lambda all_, asked, ids: shown(only(all_, asked), ids, A=None), "A"),
    "shows the id alone": (lambda all_, asked, ids: only(all_ if asked else shown(all_, ids, A=None), asked), "A"),
    "shows another id": (lambda all_, asked, ids: shown(only(all_, asked), ids, A="another"), "A"),
    "two with one odd id": (lambda all_, asked, ids: shown(only(all_, asked), ids, A=7, B=7), "AB"),
    "ignores what is asked for": (lambda all_, _, ids: shown(all_, ids, A=None), ""),
    "finds by the id it shows": (lambda all_, asked, ids: only(shown(all_, ids, A=None), asked), ""),
    "two, ignored": (lambda all_, _, ids: shown(all_, ids, A=None, B=None), ""),
    "another beside it": (
        lambda all_, asked, ids: shown([r for r in all_ if not asked or r["id"] in {asked, ids[2]}], ids, A=None),
        "",
    ),
    "the id of another": (lambda all_, asked, ids: shown(only(all_, asked), ids, A=ids[1]), ""),
    "gone, and another answers for it": (
        lambda all_, asked, ids: (
            shown(all_[2:3], ids, C=None) if asked == ids[0] else shown(only(all_[1:], asked), ids, B=None)
        ),
        "B",
    ),
}
"""What a server shows of all programs, of which so many are asked for, and which of those with an odd id are found."""


@pytest.mark.parametrize(("server", "found"), SERVERS.values(), ids=SERVERS)
def test_no_row_is_that_of_another_program_and_none_is_gone_where_a_program_is_not_found(
    sandbox: RunningSandbox,
    read_tap: ReadTap,
    between: Callable[..., Altered],
    server: Server,
    found: str,
) -> None:
    ids = [row["id"] for row in sandbox.get("/programs", excludeContent=True)["elements"]]

    def lie(asked: str, body: bytes) -> bytes:
        if "/programs?" not in asked:
            return body
        program = parse_qs(urlsplit(asked).query).get("ids", [None])[0]
        left = server(json.loads(body)["elements"], program, ids)
        return json.dumps({"elements": left, "paging": {"total": len(left)}}).encode()

    through = between(lambda _, body: body)
    select = ["programs", "program_memberships", "program_contents"]
    config = through.tap_config | {"emit_activate_version_messages": True}
    plain = read_tap(config, select=select)
    through.alter = lie
    through.ask = lambda asked: re.sub("ids=[^&]*&?", "", asked) if "/programs?" in asked else asked
    lied = read_tap(config, select=select, state=plain.state)
    for stream in select:
        true = {str(row | {"row_problems": None}) for row in rows(plain, stream)}
        assert {str(row | {"row_problems": None}) for row in rows(lied, stream)} <= true, stream
    assert {ids["ABC".index(letter)] for letter in found} <= {row["id"] for row in rows(lied, "programs")}
    assert lied.activated() == (set(select) if found else set())
    through.alter, through.ask = (lambda _, body: body), str
    assert read_tap(config, select=select, state=lied.state).records("programs") == plain.records("programs")


@pytest.mark.parametrize("this_year", [{}, {"id": None}], ids=["named", "nameless"])
def test_an_only_program_in_the_place_of_another_is_another_where_the_server_ignores_which_is_asked_for(
    sandbox: RunningSandbox, read_tap: ReadTap, between: Callable[..., Altered], this_year: Json
) -> None:
    last, now, *_ = sandbox.get("/programs", excludeContent=True)["elements"]

    def always(program: Json) -> Callable[[str, bytes], bytes]:
        answer = json.dumps({"elements": [program], "paging": {"total": 1}}).encode()
        return lambda asked, body: answer if "/programs?" in asked else body

    server = between(always(last))
    server.ask = lambda asked: re.sub("ids=[^&]*&?", "", asked) if "/programs?" in asked else asked
    before = read_tap(server.tap_config, select=["programs"])
    server.alter = always(now | this_year)
    after = read_tap(server.tap_config, select=["programs"], state=before.state)
    assert [(row["id"], row["row_problems"]) for row in rows(after, "programs")] == (
        [] if this_year else [(now["id"], None)]
    )


@pytest.mark.parametrize("damaged", [5, "abc", [["x"]], {"a": 1}, None])
def test_a_memory_of_programs_that_is_damaged_is_none(
    sandbox: RunningSandbox, read_tap: ReadTap, damaged: object
) -> None:
    state = {"bookmarks": {"programs": {"program_ids": damaged}}}
    assert len(rows(read_tap(sandbox.tap_config, select=["programs"], state=state), "programs")) > 1
