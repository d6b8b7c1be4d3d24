"""What every command prints fits on a terminal of 80 columns, with long names, and breaks no id and no command."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pexpect
import pytest
from rich.cells import cell_len

from coursera_connect.cli import terminal
from coursera_connect.cli.main import main
from coursera_connect.jobs import journal
from coursera_connect.setup import attributes, environments
from coursera_sandbox.testing import RunningSandbox
from tests.connect.desk import Desk
from tests.connect.looked import Looked
from tests.connect.test_journal import ran
from tests.connect.test_setup_grades import PARTS, gradebook, school_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = 80
LONG = "Introduction to Discrete Mathematics for Teachers of Primary Schools and 小学校の先生のための数学"
PROGRAM, SCHOOL = "ZW8J5w6U0OnKZ3DmXVeZ4g", "school.ZW8J5w6U0OnKZ3DmXVeZ4g"
RUNS = """
import json, sys
from coursera_connect.cli.main import main
for words in json.load(open(sys.argv[1])):
    print("\\n@@@", json.dumps(words)[:60], flush=True)
    try:
        main(words, standalone_mode=False, prog_name="connect")
    except SystemExit:
        pass
    except Exception as error:
        getattr(error, "show", lambda: print("Traceback", repr(error)))()
"""


def screens(folder: Path, environment: dict[str, str], *commands: list[str]) -> dict[str, str]:
    """Return what each command shows on a terminal of 80 columns."""
    (folder / "commands.json").write_text(json.dumps(commands))
    terminal = pexpect.spawn(
        sys.executable,
        ["-c", RUNS, str(folder / "commands.json")],
        env={**os.environ, **environment, "TERM": "xterm", "CONNECT_REPORT": "off"},
        dimensions=(24, COLUMNS),
        encoding="utf-8",
        timeout=90,
        cwd=str(folder),
    )
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.read()).replace("\r\n", "\n")
    terminal.close()
    assert "Traceback" not in shown, shown
    # Of a line that was overwritten in place, such as a progress bar, the last state counts.
    parts = ["\n".join(line.rpartition("\r")[2] for line in part.split("\n")) for part in shown.split("\n@@@ ")[1:]]
    assert len(parts) == len(commands), shown
    return {" ".join(words): part.partition("\n")[2] for words, part in zip(commands, parts, strict=True)}


def fits(shown: dict[str, str]) -> None:
    """Return whether all lines fit; a path or address that is wider by itself stays whole, so that it can be copied."""
    lines = [(name, line) for name, text in shown.items() for line in text.split("\n")]
    wide = [one for one in lines if cell_len(one[1]) > COLUMNS and len(one[1].split()) > 1]
    assert wide == []


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    running = RunningSandbox(tmp_path_factory.mktemp("sandbox"), learners=20)
    yield running
    running.stop()


def test_what_is_published_and_what_is_wrong_with_it_fits(tmp_path: Path) -> None:
    college = Looked(tmp_path)
    long = f"'{LONG}'"
    college.sql(
        f'update oneroster.orgs set name = {long} || "sourcedId"',
        f"update staging.stg_coursera__programs set program_name = {long}",
        f"update staging.stg_coursera__programs set program_id = '{PROGRAM}' where program_id = 'pa'",
        f"update connect.quality set program_id = '{PROGRAM}' where program_id = 'pa'",
        f"update connect.match set program_id = '{PROGRAM}' where program_id = 'pa'",
        f"update connect.quality set record_id = 'enrollment.{PROGRAM}.XyZ8J5w6U0OnKZ3DmXVeZ4.{'u' * 22}' "
        "where record_id = 'e.ka1.3'",
    )
    (tmp_path / "lms.csv").write_text("username\na1\na2\n")
    (tmp_path / "lms").mkdir()
    file = journal.place(college.package)
    ran(file, "grade-sync", "failed", minutes=30, step="tap-coursera", sentence="Coursera refused it. " * 12)
    shown = screens(
        tmp_path,
        {
            "CONNECT_DATABASE": str(college.database),
            "CONNECT_PACKAGE": str(college.package),
            "MELTANO_ENVIRONMENT": "north-campus",
        },
        ["preview"],
        ["publish", "--to", str(tmp_path / "lms")],
        ["preview"],
        ["history"],
        ["history", "show", "1"],
        ["history", "record", "a1"],
        ["history", "record", "nobody"],
        ["quality"],
        ["quality", "--rule", "completed-without-grade"],
        ["quality", "--rule", "completed-without-grad"],
        ["quality", "--lms", "lms.csv"],
        ["summary"],
        ["check", str(college.package)],
        ["check", str(college.database)],
        ["deliver", "test", "--to", str(tmp_path / "lms")],
        ["deliver", "--attempts", "1", "--to", "sftp://nobody@127.0.0.1:1/where/nothing/arrives/"],
        ["publish", "--removal-threshold", "lots", "--profile", "no-such-profile"],
    )
    fits(shown)
    assert PROGRAM in shown["quality"]
    assert "Introduction" in shown["quality"].split(PROGRAM)[1][:60]
    assert "Introduction" in shown["quality --rule completed-without-grade"].split(PROGRAM)[1][:60]
    assert "connect --environment=prod run grade-sync" in shown["summary"]
    assert re.search(r"grade-sync +hand +failed", shown["history"])
    assert "\n    tap-coursera: Coursera refused it." in shown["history"]


def test_the_lists_of_what_is_decided_fit(tmp_path: Path, sandbox: RunningSandbox) -> None:
    desk = Desk(tmp_path, {f"TAP_COURSERA_{name.upper()}": value for name, value in sandbox.tap_config.items()})
    lines: Any = [(PROGRAM if program == "p1" else program, *more) for program, *more in PARTS]
    there = school_rows(lines, "final")
    desk.load(
        stg_coursera__programs=[(PROGRAM, LONG), ("q" * 22, LONG)],
        courses=[("c1", LONG)],
        stg_coursera__item_grades=[gradebook(PROGRAM, "c1", "abcde", LONG, module=LONG, grade=80.0)],
        **there | {"program_schools": [(PROGRAM, SCHOOL, LONG), ("p3", "school.n", "north")]},
    )
    shown = screens(
        tmp_path,
        {**desk.environment, "MELTANO_ENVIRONMENT": "north-campus"},
        ["test"],
        ["schools", "list", "--loaded"],
        ["schools", "map", PROGRAM, "--as", LONG, "--loaded", "--save"],
        ["schools", "merge", PROGRAM, "q" * 22, "--as", f"School of {LONG}", "--loaded"],
        ["schools", "leave-out", PROGRAM, "--loaded"],
        ["schools", "list", "--loaded"],
        ["schools", "rename", "Introduction to Discreet", "x"],
        ["mapping", "check"],
        ["items", "list"],
        ["items", "choose", "abcde"],
        ["grades", "show"],
        ["grades", "change", "granular_all"],
        ["grades", "change", "granular"],
        ["grades", "scale", "1"],
    )
    fits(shown)
    assert re.search(rf"{PROGRAM} +Introduction", shown["schools list --loaded"])
    assert re.search(rf"{SCHOOL} +Introduction", shown["grades show"])
    assert re.search(r"abcde", shown["items list"])


def test_settings_schedules_and_attributes_fit(tmp_path: Path) -> None:
    (tmp_path / "meltano.yml").write_bytes((ROOT / "meltano.yml").read_bytes())
    (tmp_path / "transform/models/oneroster").mkdir(parents=True)
    for file in ("dbt_project.yml", attributes.MAPPING):
        (tmp_path / "transform" / file).write_bytes((ROOT / "transform" / file).read_bytes())
    environments.add(tmp_path, "north-campus")
    where = {
        "MELTANO_PROJECT_ROOT": str(tmp_path),
        "MELTANO_ENVIRONMENT": "north-campus",
        "CONNECT_PACKAGE": str(tmp_path / "out" / "oneroster.zip"),
        "CONNECT_LMS_TIME_ZONE": "America/Argentina/ComodRivadavia",
        "CONNECT_TRANSFORM": str(tmp_path / "transform"),
        "XDG_CONFIG_HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
    }
    shown = screens(
        tmp_path,
        where,
        ["settings"],
        ["settings", "set", "grade_sinc", "x"],
        ["settings", "set", "time_zone", "Europe/Amsterdamm"],
        ["environment", "list"],
        ["environment", "add", "a-second-campus-with-a-rather-long-name"],
        ["schedule", "check"],
        ["schedule", "status"],
        ["attributes", "list"],
        ["attributes", "check"],
        ["run", "no-such-job"],
        ["summary"],
        ["history"],
        ["setup", "--no-input", "--profile", "generi"],
    )
    fits(shown)


def test_every_help_fits_and_its_examples_work_as_they_stand(tmp_path: Path) -> None:
    def words(command: click.Command, *path: str) -> Iterator[list[str]]:
        yield [*path, "--help"]
        for name, child in getattr(command, "commands", {}).items():
            yield from words(child, *path, name)

    shown = screens(tmp_path, {"MELTANO_ENVIRONMENT": "north-campus"}, *words(main))
    assert len(shown) > 40
    fits(shown)


# The rule by itself


def test_a_command_is_not_broken_and_one_that_is_too_long_goes_on_behind_a_backslash() -> None:
    typed = "connect --environment=north-campus schools auto --save"
    told = terminal.folded(f"What is missing is not synced at all. To add it: {typed}", 60)
    assert told.split("\n") == ["What is missing is not synced at all. To add it:", f"  {typed}"]
    long = f'connect --environment=prod schools merge "{LONG}" "{LONG}" --save'
    lines = terminal.folded(long, 60).split("\n")
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert not lines[-1].endswith("\\")
    assert "".join(line.removesuffix("\\").strip() for line in lines).replace(" ", "") == long.replace(" ", "")


def test_elsewhere_a_row_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(("id", "name", "number"), [(PROGRAM, LONG, 1234), ("x", None, 5)], second=1)
    first, row, last = capsys.readouterr().out.splitlines()
    assert first.split() == ["id", "name", "number"]
    assert row == f"{PROGRAM}  {LONG}   1,234"
    assert last.split() == ["x", "5"]


def test_names_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(("name",), [("\x1b[31mred\nline",)])
    assert capsys.readouterr().out.splitlines()[1] == "[31mred line"
