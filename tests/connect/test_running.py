"""`connect run`: what it shows of the steps in Meltano's log, and how it ends."""

from __future__ import annotations

import io
import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from coursera_connect.cli import progress
from coursera_connect.cli.main import main
from coursera_connect.jobs import journal, watch

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

PROJECT = """
jobs:
  - {name: grade-sync, tasks: ["connect:lock tap-coursera target-warehouse dbt:build connect:publish"]}
  - {name: demo, tasks: ["connect:lock coursera-sandbox:start dbt:build coursera-sandbox:stop"]}
"""
REFUSED = "Coursera refused the credentials (HTTP 401): check client_secret."


def end(number: int, kind: str = "InvokerCommand", **told: Any) -> dict[str, Any]:
    facts = {"success": True, "err": None, "duration_seconds": 2.0, **told}
    return {"event": "Block run completed", "set_number": number, "block_type": kind, **facts}


def said(part: str, text: str, **told: Any) -> dict[str, Any]:
    return {"name": part, "event": text, "level": "info", **told}


LOADED = [
    end(0),
    said("tap-coursera", "Beginning sync of 'users'", producer=True),
    said(
        "tap-coursera",
        "METRIC",
        producer=True,
        metric_info={"metric": "record_count", "value": 5, "tags": {"stream": "users"}},
    ),
    said("target-warehouse", "ready", consumer=True),
    end(1, "ExtractLoadBlocks"),
]
HOOK = said("dbt", "12:00:01  1 of 1 OK hook: on-run-end.0")
BUILT = [said("dbt", "12:00:00  3 of 9 OK created"), end(2)]
PUBLISHED = [said("connect", "oneroster.zip published"), end(3)]


class Desk:
    """A project whose stand-in of Meltano prints given lines and ends with a given exit code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "meltano.yml").write_text(PROJECT)
        self.package = folder / "out" / "oneroster.zip"

    def meltano(self, lines: list[dict[str, Any]], code: int = 0) -> None:
        program = self.folder / "bin" / "meltano"
        program.parent.mkdir(exist_ok=True)
        text = "\n".join(json.dumps(line) for line in lines)
        told = self.folder / "told"
        program.write_text(
            f'#!/bin/sh\necho "$MELTANO_RUN_ID $MELTANO_JOB_TRIGGER $@" > {told}\necho first\n'
            f'cat <<"END"\n{text}\nEND\nexit {code}\n'
        )
        program.chmod(0o755)

    def run(self, *words: str, environment: str = "prod") -> Result:
        env = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "MELTANO_PROJECT_ROOT": str(self.folder),
            "MELTANO_ENVIRONMENT": environment,
            "MELTANO_SYS_DIR_ROOT": str(self.folder),
            "CONNECT_PACKAGE": str(self.package),
            "CONNECT_DATABASE": str(self.folder / "none.duckdb"),
            "CONNECT_SCHEDULE_LOGS": str(self.folder / "logs"),
        }
        return CliRunner().invoke(main, ["run", *words], env=env)

    @property
    def newest(self) -> journal.Run:
        return journal.read(journal.place(self.package))[0]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_good_run_ends_with_one_screen_and_stands_in_the_journal(desk: Desk) -> None:
    desk.meltano([*LOADED, *BUILT, *PUBLISHED])
    done = desk.run("grade-sync", "--full-refresh")
    assert done.exit_code == 0, done.output
    assert done.output.startswith(
        "grade-sync of prod ended well after 0 s (connect:lock 2 s, load 2 s, dbt:build 2 s, "
    )
    assert done.output.rstrip().endswith(f"Log: {desk.folder / 'logs' / 'grade-sync.log'}")
    assert "Beginning sync" not in done.output  # quiet, as nobody looks
    run = desk.newest
    assert (run.job, run.started_by, run.outcome, run.exit_code, run.loaded) == (
        "grade-sync",
        "hand",
        "done",
        0,
        "done",
    )
    assert (desk.folder / "told").read_text().split()[:2] == [run.id, "cli"]
    assert (desk.folder / "told").read_text().endswith(" run --full-refresh grade-sync\n")
    log = (desk.folder / "logs" / "grade-sync.log").read_text()
    assert "tap-coursera: Beginning sync of 'users'" in log


@pytest.mark.parametrize(
    ("lines", "step", "sentence", "commands"),
    [
        (
            [end(0), said("tap-coursera", REFUSED, producer=True, level="error"),
             end(1, "ExtractLoadBlocks", success=False, err="Extractor failed", exit_codes={"extractors": 1})],
            "tap-coursera", REFUSED, ["test", "run grade-sync"],
        ),
        (
            [end(0), said("tap-coursera", "The loader stopped reading.", producer=True, level="error"),
             said("target-warehouse", "The disk is full.", consumer=True, level="error"),
             end(1, "ExtractLoadBlocks", success=False, err="Both failed", exit_codes={"extractors": 1, "loaders": 1})],
            "target-warehouse", "The disk is full.", ["run grade-sync"],
        ),
        (
            [*LOADED, said("dbt", "12:00:00  Failure in test unique_x (models/x.yml)"), said("dbt", "  Ada"),
             said("dbt", "12:00:00    Got 3 results, configured to fail if != 0"),
             end(2, success=False, err="`dbt build` failed with exit code: 1")],
            "dbt:build", "Failure in test unique_x (models/x.yml); Got 3 results, configured to fail if != 0.",
            ["quality", "run grade-sync"],
        ),
        (
            [*LOADED, said("dbt", "Error: terms.csv, line 2: this is not UTF-8 text: save it again."),
             end(2, success=False, err="`dbt build` failed with exit code: 1")],
            "dbt:build", "terms.csv, line 2: this is not UTF-8 text: save it again.", ["quality", "run grade-sync"],
        ),
        (
            [*LOADED, *BUILT, said("connect", "Error: Another publish is running."),
             end(3, success=False, err="`connect publish` failed with exit code: 4")],
            "connect:publish", "Another publish is running.", ["run grade-sync"],
        ),
        ([said("meltano", "No such plugin", level="error")], "meltano", "No such plugin", ["run grade-sync"]),
    ],
)  # fmt: skip
def test_a_failed_run_has_meltanos_exit_code_and_says_step_cause_and_what_to_type(
    desk: Desk, lines: list[dict[str, Any]], step: str, sentence: str, commands: list[str]
) -> None:
    desk.meltano(lines, 1)
    done = desk.run("grade-sync")
    assert done.exit_code == 1
    run = desk.newest
    assert (run.outcome, run.step, run.sentence) == ("failed", step, sentence)
    told = re.findall(r"^  connect --environment=prod (.*)$", done.output, re.MULTILINE)
    assert told == commands
    assert sentence.rstrip(".") in done.output
    assert "Ada" not in done.output


@pytest.mark.parametrize(("code", "last"), [(0, "run demo"), (1, "invoke coursera-sandbox:stop")])
def test_a_demo_that_does_not_reach_its_end_leaves_no_server_running(desk: Desk, code: int, last: str) -> None:
    desk.meltano([end(0)], code)
    assert desk.run("demo", environment="sandbox").exit_code == code
    assert (desk.folder / "told").read_text().endswith(f" {last}\n")


def test_what_cannot_be_run_is_one_sentence(desk: Desk) -> None:
    desk.meltano([])
    done = desk.run("grade-snyc")
    assert (done.exit_code, done.output) == (
        2,
        "Error: meltano.yml has no job grade-snyc: use one of grade-sync, demo.\n",
    )
    done = desk.run("demo")
    assert (done.exit_code, "connect --environment=sandbox run demo" in done.output) == (7, True)
    assert desk.run("demo", environment="sandbox").exit_code == 0


def test_json_is_one_object(desk: Desk) -> None:
    desk.meltano([*LOADED, *BUILT, *PUBLISHED])
    told = json.loads(desk.run("grade-sync", "--json").stdout)
    assert (told["outcome"], told["job"], told["exit_code"]) == ("done", "grade-sync", 0)


def test_on_a_terminal_there_are_steps_rows_bars_and_the_time_left() -> None:
    """On one of 80 columns, where nothing is cut off."""
    words = ["connect:lock", "tap-coursera", "target-warehouse", "dbt:build", "connect:publish"]
    found = progress.steps(words, {"0": 1.0, "1": 600.0, "2": 60.0, "3": 5.0})
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, color_system=None)
    events = [watch._event(json.dumps(line)) for line in [*LOADED, BUILT[0], HOOK, BUILT[1]]]
    seen = set()
    with progress.screen(found, console) as show:
        for event in events[:-1]:
            show(event)
            console.print("·")
            seen.add(found[1].progress)
    drawn = out.getvalue()
    assert "5 rows, users" in seen
    assert re.search(r"\[2/4\] Load +0 s, about 11 min left", drawn)
    assert re.search(r"\[2/4\] Load +\S+ 5 rows +0 s", drawn)
    assert re.search(r"\[3/4\] Transform +\S* +3 of 9 +0 s, about 65 s left", drawn)
    assert "[1/4] Wait for other jobs" in drawn
