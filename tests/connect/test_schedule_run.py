from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.connect.box import Box

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    before = os.umask(0o022)
    yield Box(tmp_path, monkeypatch)
    os.umask(before)


def test_a_run_calls_meltano_in_the_project_and_says_nothing(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATH")
    assert box.good("run", "nightly", "--meltano", str(box.programs / "meltano")) == ""
    log = (box.logs / "nightly.log").read_text()
    assert f"--environment=prod schedule run nightly in {box.project}\n" in log
    assert f"umask 0077, path {box.programs}:/usr/local/bin:/usr/bin:/bin\n" in log
    assert "nightly of prod starts" in log.splitlines()[0]
    assert "nightly of prod ended with exit code 0 after " in log
    written = (box.logs, box.logs / "nightly.log", box.project / "made")
    assert [oct(path.stat().st_mode & 0o777) for path in written] == ["0o700", "0o600", "0o600"]


def test_the_umask_is_a_setting(box: Box) -> None:
    box.good("run", "nightly", "--umask", "027")
    assert (box.project / "made").stat().st_mode & 0o777 == 0o640


def test_a_run_that_fails_has_its_exit_code_and_tells_the_cause_and_the_end_of_its_log(box: Box) -> None:
    (box.project / "fails").touch()
    done = box.connect("run", "nightly")
    assert done.exit_code == 3
    call = f"--env-file={box.project}/.env --environment=prod invoke connect ended "
    (noted,) = [line for line in (box.logs / "nightly.log").read_text().splitlines() if line.startswith(call)]
    told = json.loads(noted.partition("--told ")[2].rpartition(" in ")[0])
    assert (told["job"], told["started_by"], told["outcome"]) == ("load", "schedule:nightly", "failed")
    assert (told["exit_code"], told["sentence"]) == (3, "40")
    assert done.output.splitlines() == [
        "Error: nightly of prod failed (exit code 3).",
        "Load failed before its first step. 40.",
        f"{box.logs / 'nightly.log'} ends:",
        *map(str, range(26, 41)),
    ]
    box.program("meltano", "kill -9 $$")
    assert box.connect("run", "nightly").exit_code == 128 + 9


def test_logs_of_a_schedule_never_take_more_than_5_mb(box: Box) -> None:
    box.program("meltano", "head -c 7000000 /dev/zero | tr '\\0' x | fold -w 1000; echo; echo last")
    box.good("run", "nightly")
    sizes = {path.name: path.stat().st_size for path in box.logs.iterdir()}
    assert sorted(sizes) == ["nightly.log", *(f"nightly.log.{number}" for number in range(1, 5))]
    assert max(sizes.values()) <= 1_000_000
    assert "last\n" in (box.logs / "nightly.log").read_text()


def test_a_log_that_cannot_be_written_is_told(box: Box) -> None:
    box.logs.write_text("in the way")
    done = box.connect("run", "nightly")
    assert (done.exit_code, "CONNECT_SCHEDULE_LOGS" in done.output) == (4, True)


def test_an_entry_of_another_zone_runs_once_its_time_has_come_and_is_silent_before(box: Box) -> None:
    always, never = ("--interval", "* * * * *"), ("--interval", "0 0 1 1 *", "--time-zone", "Asia/Tokyo")
    assert box.good("run", "nightly", *never) == ""
    assert not box.logs.exists()
    (box.project / ".meltano" / "run" / "connect" / "prod.nightly.looked").unlink()
    box.good("run", "nightly", *always)
    assert (box.logs / "nightly.log").exists()
