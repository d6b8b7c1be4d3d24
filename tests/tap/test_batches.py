"""Rows by file: they bring what messages bring, whatever ends the run, and no file stays that nobody knows of."""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
from upath import UPath

from tap_coursera import batches
from tap_coursera.errors import TapError
from tap_coursera.stopping import Stopped
from tap_coursera.tap import STREAMS, TapCoursera
from tap_coursera.writing import MessageWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from singer_sdk.singerlib import Message

    from coursera_sandbox.testing import RunningSandbox
    from tests.tap.conftest import Json, ReadTap

    Said = Callable[..., list[Json]]

KEYS = {stream.name: cast("tuple[str, ...]", stream.primary_keys) for stream in STREAMS}
NAME = re.compile(r"p-tap-coursera--[0-9a-f]{32}-\d+\.jsonl(\.gz)?")
MAPS = {
    "users": {"email": None, "__filter__": "bool(id[-1] > '3')"},
    "people": {"__source__": "users", "id": "id", "who": "md5(email or '')", "__else__": None},
    "programs": {"__alias__": "offers"},
    "curriculum_collections": None,
}


def by_file(root: object, size: int | None = None, compression: str | None = None) -> Json:
    """The setting."""
    encoding = {"format": "jsonl"} | ({"compression": compression} if compression else {})
    more = {} if size is None else {"batch_size": size}
    return {"batch_config": {"encoding": encoding, "storage": {"root": str(root), "prefix": "p-"}} | more}


def rows_of(message: Json) -> list[Json]:
    """The rows of a BATCH message; fails where a file is not whole."""
    data = b"".join(UPath(url).read_bytes() for url in message["manifest"])
    if message["encoding"].get("compression") == "gzip":
        data = gzip.decompress(data)
    assert data.endswith(b"\n")
    return [json.loads(line, parse_float=str) for line in data.splitlines()]


def steps(messages: Iterable[Json]) -> list[tuple[str, dict[str, list[str]]]]:
    """Each message that is not a row, and the rows since the one before it, by stream and whether they bear a version.

    Versions themselves are the time of a run.
    """
    found = []
    rows: dict[str, list[str]] = {}
    for message in messages:
        if message["type"] in {"RECORD", "BATCH"}:
            stream = f"{message['stream']} {'version' in message}"
            new = [message["record"]] if message["type"] == "RECORD" else rows_of(message)
            rows.setdefault(stream, []).extend(map(json.dumps, new))
            assert message["time_extracted"]
        else:
            message.pop("version", None)
            found.append((json.dumps(message), rows))
            rows = {}
    return [*found, ("the end", rows)]


@pytest.fixture
def said(read_tap: ReadTap, capsysbinary: pytest.CaptureFixture[bytes]) -> Said:
    """What a run of the tap writes to standard output, also when it is ended."""

    def run(config: Json, writer: MessageWriter | None = None, **how: Any) -> list[Json]:
        capsysbinary.readouterr()
        with suppress(Stopped):
            read_tap(config, into=writer or MessageWriter(), **how)  # type: ignore[arg-type] # the real one, this time
        return [json.loads(line, parse_float=str) for line in capsysbinary.readouterr().out.splitlines()]

    return run


@pytest.mark.parametrize(
    ("how", "change"),
    [
        ({"size": 7, "compression": "gzip"}, {}),
        ({"compression": "none"}, {"stream_maps": MAPS, "stream_map_config": {}}),
        ({}, {"flattening_enabled": True, "flattening_max_depth": 2}),
    ],
    ids=["small and gzip", "stream maps", "flattening"],
)
def test_files_bring_the_rows_of_messages_between_the_same_other_messages(
    sandbox: RunningSandbox, said: Said, tmp_path: Path, how: Json, change: Json
) -> None:
    config = sandbox.tap_config | {"emit_activate_version_messages": True, "page_size": 100} | change
    plain = said(config)
    filed = said(config | by_file(tmp_path / "a b%20c", **how))
    assert steps(filed) == steps(plain)
    kinds = [message["type"] for message in filed]
    assert "RECORD" not in kinds
    assert kinds.count("ACTIVATE_VERSION") > 5
    announced = [url for message in filed if message["type"] == "BATCH" for url in message["manifest"]]
    files = list((tmp_path / "a b%20c").iterdir())
    assert sorted(announced) == sorted(f"file://{file}" for file in files)
    assert all(NAME.fullmatch(file.name) and file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert (tmp_path / "a b%20c").stat().st_mode & 0o777 == 0o700
    if "size" in how:
        assert max(len(rows_of(message)) for message in filed if message["type"] == "BATCH") == how["size"]


def test_an_incremental_day_goes_by_file_in_the_same_steps_and_with_the_same_requests(
    moving_sandbox: RunningSandbox, said: Said, tmp_path: Path
) -> None:
    config = moving_sandbox.tap_config
    filed = config | by_file(f"file://{tmp_path}/one")
    first = said(filed)
    assert steps(first) == steps(said(config))
    moving_sandbox.advance(days=3)
    state = first[-1]["value"]
    moving_sandbox.reset_requests()
    later = said(filed, state=state)
    routes = moving_sandbox.requests()["routes"]
    assert routes["courseGradebookReports"]
    moving_sandbox.reset_requests()
    assert steps(later) == steps(said(config, state=state))
    assert moving_sandbox.requests()["routes"] == routes
    assert "item_grades" in {message["stream"] for message in later if message["type"] == "BATCH"}
    manifests = [url for run in (first, later) for m in run if m["type"] == "BATCH" for url in m["manifest"]]
    assert len(set(manifests)) == len(manifests) == len(list((tmp_path / "one").iterdir()))


def test_a_storage_that_is_no_disk_gets_the_files_too(sandbox: RunningSandbox, said: Said) -> None:
    names = ("users", "program_memberships")
    plain = said(sandbox.tap_config, select=names)
    filed = said(sandbox.tap_config | by_file("memory://coursera-batches/one", compression="gzip"), select=names)
    assert steps(filed) == steps(plain)
    assert all(m["manifest"][0].startswith("memory://") for m in filed if m["type"] == "BATCH")


@contextmanager
def ending(rows: int, error: BaseException) -> Iterator[None]:
    """Ends a run after so many rows."""
    add, left = batches.Batches.add, rows

    def counted(*row: Any) -> None:
        nonlocal left
        add(*row)
        left -= 1
        if not left:
            raise error

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(batches.Batches, "add", counted)
        yield


def tables(*runs: list[Json]) -> dict[tuple[Any, ...], str]:
    """The rows of some runs as a loader keeps them."""
    return {
        (m["stream"], *(row[name] for name in KEYS[m["stream"]])): json.dumps(row)
        for run in runs
        for m in run
        if m["type"] == "BATCH"
        for row in rows_of(m)
    }


def test_a_run_that_is_stopped_announces_its_last_rows_ahead_of_the_last_state(
    sandbox: RunningSandbox, said: Said, tmp_path: Path
) -> None:
    read = ("program_memberships", "enrollments", "course_grades", "item_grades")
    config = sandbox.tap_config | by_file(tmp_path, size=50)
    whole = tables(said(config, select=read))
    for rows in (1, 77, 400, 1500):
        with ending(rows, Stopped(signal.SIGTERM)):
            part = said(config, select=read)
        assert [message["type"] for message in part[-2:]] == ["BATCH", "STATE"]
        assert sum(len(rows_of(message)) for message in part if message["type"] == "BATCH") == rows
        assert tables(part, said(config, select=read, state=part[-1]["value"])) == whole


def test_a_run_that_fails_announces_the_rows_before_the_failure(
    sandbox: RunningSandbox, read_tap: ReadTap, capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    read = ("program_memberships", "enrollments")
    config = sandbox.tap_config | by_file(tmp_path)
    with pytest.raises(TapError, match="No more"), ending(77, TapError("No more.")):
        read_tap(config, select=read, into=MessageWriter())  # type: ignore[arg-type]
    announced = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert announced[-1]["type"] == "BATCH"
    assert sum(len(rows_of(message)) for message in announced if message["type"] == "BATCH") == 77


def test_a_run_without_files_of_its_own_after_one_with_them_writes_messages(
    sandbox: RunningSandbox, said: Said, tmp_path: Path
) -> None:
    writer = MessageWriter()
    assert {m["type"] for m in said(sandbox.tap_config | by_file(tmp_path), writer, select=["users"])} >= {"BATCH"}
    switched_off: list[Json] = [{}, {"batch_config": {}}, {"batch_config": None}]
    for off in switched_off:
        kinds = {message["type"] for message in said(sandbox.tap_config | off, writer, select=["users"])}
        assert kinds == {"SCHEMA", "RECORD", "STATE"}


def test_what_is_announced_is_whole_when_a_run_is_killed_and_the_rest_is_removed_a_day_later(
    sandbox: RunningSandbox, said: Said, tmp_path: Path
) -> None:
    folder = tmp_path / "batches"
    config = sandbox.tap_config | by_file(folder, size=10) | {"page_size": 20}
    (tmp_path / "config.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "tap_coursera", "--config", str(tmp_path / "config.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(40)]
        process.kill()
        lines += process.stdout.readlines()
    announced = [message for line in lines if (message := json.loads(line))["type"] == "BATCH"]
    assert announced
    assert all(rows_of(message) for message in announced)

    left = set(folder.iterdir())
    foreign = [
        folder / name for name in ("notes.jsonl", "p-tap-coursera--1.jsonl", f"tap-coursera--{'a' * 32}-1.jsonl")
    ]
    for file in foreign:
        file.touch()
    of_another_run = folder / f"p-tap-coursera--{'b' * 32}-1.jsonl.gz"
    of_another_run.touch()
    yesterday = time.time() - batches.LEFT_BEHIND - 60
    for file in (*left, *foreign):
        os.utime(file, (yesterday, yesterday))
    new = said(config, select=["users"])
    mine = {UPath(url).name for message in new if message["type"] == "BATCH" for url in message["manifest"]}
    assert {file.name for file in folder.iterdir()} == {file.name for file in (*foreign, of_another_run)} | mine


def test_rows_that_could_not_be_announced_leave_no_file(tmp_path: Path) -> None:
    def gone(_: Message) -> None:
        raise BrokenPipeError

    config = by_file(tmp_path)["batch_config"]

    def run(error: BaseException | None = None) -> None:
        with batches.Batches(config, gone) as files:
            files.add("users", {"id": "a"}, None)
            files.add("programs", {"id": "b"}, 1)
            assert len(list(tmp_path.iterdir())) == 2
            if error:
                raise error

    with pytest.raises(BrokenPipeError):
        run()
    assert not list(tmp_path.iterdir())
    with pytest.raises(Stopped):  # which is the one to tell
        run(Stopped(signal.SIGTERM))
    assert not list(tmp_path.iterdir())


def test_another_version_of_a_stream_begins_another_file(tmp_path: Path) -> None:
    announced: list[batches.BatchMessage] = []
    with batches.Batches(by_file(tmp_path, size=3)["batch_config"], announced.append) as files:
        for number, version in enumerate([None, None, 5, 5, 5, 6]):
            files.add("users", {"id": number}, version)
            files.add("programs", {"id": number}, 1)
    assert [
        (message.stream, message.version, [row["id"] for row in rows_of(message.to_dict())]) for message in announced
    ] == [
        ("users", None, [0, 1]),
        ("programs", 1, [0, 1, 2]),
        ("users", 5, [2, 3, 4]),
        ("programs", 1, [3, 4, 5]),
        ("users", 6, [5]),
    ]


@pytest.mark.parametrize("trouble", ["no folder", "no such driver", "no room"])
def test_storage_that_cannot_be_written_to_is_one_sentence(
    sandbox: RunningSandbox, tmp_path: Path, trouble: str
) -> None:
    (tmp_path / "file").touch()
    root = {"no folder": tmp_path / "file/below", "no such driver": "nowhere://x", "no room": tmp_path / "batches"}
    (tmp_path / "config.json").write_text(json.dumps(sandbox.tap_config | by_file(root[trouble])))
    small = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (60_000, 60_000))
    failed = subprocess.run(
        [sys.executable, "-m", "tap_coursera", "--config", tmp_path / "config.json"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=small if trouble == "no room" else None,
    )
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert "A batch file cannot be written" in failed.stderr.splitlines()[-1]
    assert str(tmp_path) not in failed.stderr.splitlines()[-1]
    announced = [m for line in failed.stdout.splitlines() if (m := json.loads(line))["type"] == "BATCH"]
    assert bool(announced) == (trouble == "no room")
    assert all(rows_of(message) for message in announced)
    if announced:
        assert len(list((tmp_path / "batches").iterdir())) == len(announced)


def test_a_test_of_the_streams_shows_records(
    sandbox: RunningSandbox, capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    tap = TapCoursera(config=sandbox.tap_config | by_file(tmp_path / "batches"))
    tap.run_sync_dry_run(streams=[tap.streams["users"]])
    assert {json.loads(line)["type"] for line in capsysbinary.readouterr().out.splitlines()} >= {"SCHEMA", "RECORD"}
    assert not (tmp_path / "batches").exists()
