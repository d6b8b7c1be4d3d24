"""BATCH messages: every row of every file, with the same care as records on the pipe."""

from __future__ import annotations

import gzip
import io
import json
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from singer_sdk import Stream, Tap
from singer_sdk import typing as th

from target_duckdb.errors import LoadError
from target_duckdb.target import TargetDuckDB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tests.target.conftest import Loader


HALF_A_GZIP = gzip.compress(b"{}" * 99, mtime=0)[:20]


class Numbers(Stream):
    """A stream a real SDK tap writes as batch files."""

    name = "numbers"
    primary_keys = ("id",)
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType), th.Property("text", th.StringType), th.Property("at", th.DateTimeType)
    ).to_dict()

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:  # noqa: ARG002 - the SDK's signature
        for number in range(2500):
            yield {"id": number, "text": f"line\n{number}", "at": "2026-01-31T09:15:00Z"}


class NumbersTap(Tap):
    """A tap with that one stream."""

    name = "tap-numbers"

    def discover_streams(self) -> Sequence[Stream]:
        return [Numbers(self)]


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_what_an_sdk_tap_writes_as_batches_arrives_complete(loader: Loader, tmp_path: Path, compression: str) -> None:
    batches = {
        "encoding": {"format": "jsonl", "compression": compression},
        "storage": {"root": (tmp_path / "batches").as_uri(), "prefix": "n-"},
        "batch_size": 1000,
    }
    output = io.BytesIO()
    with redirect_stdout(io.TextIOWrapper(output, encoding="utf-8", write_through=True)):
        NumbersTap(config={"batch_config": batches}).sync_all()
        messages = output.getvalue().splitlines()
    assert sum(json.loads(message)["type"] == "BATCH" for message in messages) == 3
    loader(*messages, batch_size_rows=700, add_record_metadata=True)
    assert loader.rows(
        "SELECT count(*), count(DISTINCT id), count(*) FILTER (text = 'line' || chr(10) || id), min(\"at\")::VARCHAR, "
        "count(_sdc_received_at) FROM numbers"
    ) == [(2500, 2500, 2500, "2026-01-31 09:15:00+00", 2500)]


def batch(paths: list[str], fmt: str = "jsonl", compression: str | None = None, **more: Any) -> dict[str, Any]:
    encoding = {"format": fmt, **({"compression": compression} if compression else {})}
    return {"type": "BATCH", "stream": "s", "encoding": encoding, "manifest": paths, **more}


def test_batches_and_records_mix_in_the_order_they_came(loader: Loader, tmp_path: Path) -> None:
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl.gz"
    first.write_text('{"id": 1, "v": "file"}\n{"id": 2, "v": "file"}\n')
    second.write_bytes(gzip.compress(b'{"id": 3, "v": "gzip"}'))
    loader(
        loader.schema("s", {"id": "integer", "v": "string"}, ["id"]),
        loader.record("s", {"id": 1, "v": "before"}),
        batch([first.as_uri()]),
        loader.record("s", {"id": 2, "v": "after"}),
        batch([str(second)], compression="gzip", version=7),
        loader.activate("s", 7),
        stream_maps={"s": {"v": "v.upper()"}},
    )
    assert loader.rows("SELECT id, v, _sdc_deleted_at IS NULL FROM s ORDER BY id") == [
        (1, "FILE", False),
        (2, "AFTER", False),
        (3, "GZIP", True),
    ]


def test_parquet_batches_keep_decimals_and_instants_exact(loader: Loader, tmp_path: Path) -> None:
    file = tmp_path / "a b.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT 1 AS id, 12345678901234567.123456789::DECIMAL(38,9) AS d, "
            "TIMESTAMPTZ '2026-01-31 09:15:00.123456+00' AS t, [1, 2] AS a, DATE '2026-01-31' AS day) TO $path",
            {"path": str(file)},
        )
    decimal = {"type": ["string", "null"], "format": "singer.decimal"}
    day, instant = ({"type": ["string", "null"], "format": it} for it in ("date", "date-time"))
    columns = {"id": "integer", "d": decimal, "t": instant, "a": "array", "day": day}
    loader(loader.schema("s", columns, ["id"]), batch([file.as_uri().replace("%20", " ")], "parquet"))
    assert loader.rows("SELECT columns(*)::VARCHAR FROM s") == [
        ("1", "12345678901234567.123456789", "2026-01-31 09:15:00.123456+00", "[1,2]", "2026-01-31")
    ]


@pytest.mark.parametrize(
    ("content", "encoding", "sentence"),
    [
        (b'{"id": 1}\n{"id": "secret', ("jsonl", None), "Line 2 of file 1 of a BATCH message is not valid JSON"),
        (b"secret", ("jsonl", "gzip"), "Line 1 of file 1 of a BATCH message is not valid JSON"),
        (HALF_A_GZIP, ("jsonl", "gzip"), r"Cannot read file 1 of a BATCH message \(EOFError\)"),
        (b"secret", ("parquet", None), "it is not a readable parquet file"),
        (b"secret", ("csv", None), "BATCH files of format csv with compression None cannot be read"),
        (None, ("jsonl", None), r"Cannot read file 1 of a BATCH message \(No such file or directory\)"),
        (None, ("parquet", None), r"Cannot read file 1 of a BATCH message \(No such file or directory\)"),
    ],
)
def test_a_batch_file_that_cannot_be_read_is_one_sentence_and_loads_nothing(
    loader: Loader, tmp_path: Path, content: bytes | None, encoding: tuple[str, str | None], sentence: str
) -> None:
    file = tmp_path / "x"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(LoadError, match=sentence) as caught:
        loader(loader.schema("s", {"id": "integer"}, ["id"]), batch([str(file)], *encoding))
    assert "secret" not in str(caught.value)
    assert loader.rows("SELECT * FROM s") == []


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("zzz://secret", "its path or address is not valid"),
        ("simplecache::zzz://secret", "its path or address is not valid"),
        ("/tmp/secret\0", "its path or address is not valid"),
        ("gs://secret/x", "Please install gcsfs to access Google Storage"),
        ("memory://secret", "FileNotFoundError"),
        ("/", "Is a directory"),
    ],
)
def test_a_batch_file_at_an_odd_address_is_one_sentence(loader: Loader, url: str, reason: str, form: str) -> None:
    with pytest.raises(LoadError) as caught:
        loader(loader.schema("s", {"id": "integer"}, ["id"]), batch([url], form))
    local = "(its path" in str(caught.value) or "(Is a directory)" in str(caught.value)
    if form == "parquet" and not local:
        reason = "parquet is read from local files only"
    assert str(caught.value).startswith("Cannot read file 1 of a BATCH message")
    assert reason in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_name_of_a_parquet_file_is_no_pattern(loader: Loader, tmp_path: Path) -> None:
    for name in ("a.parquet", "[a].parquet"):
        duckdb.sql(f"SELECT '{name}' AS id").write_parquet(str(tmp_path / name))
    loader(loader.schema("s", {"id": "string"}), batch([str(tmp_path / "[a].parquet")], "parquet"))
    assert loader.rows("SELECT id FROM s") == [("[a].parquet",)]


def test_batch_files_are_removed_on_request_once_their_rows_are_committed(loader: Loader, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.jsonl" for number in range(4)]
    gone: list[list[bool]] = []

    def lines() -> Iterator[bytes]:
        yield loader.lines(loader.schema("s", {"id": "integer"}, ["id"]))
        for number, file in enumerate(files):
            yield loader.lines(batch([file.as_uri()]))
            yield loader.lines(loader.state({"n": number}))
            target.background.join()
            gone.append([not it.exists() for it in files])

    for remove in (False, True):
        for number, file in enumerate(files):
            file.write_text(f'{{"id": {2 * number}}}\n{{"id": {2 * number + 1}}}\n')
        target = TargetDuckDB(config={"filepath": str(loader.path), "batch_size_rows": 4, "remove_batch_files": remove})
        target.process_lines(lines())  # type: ignore[arg-type]  # it only iterates
        target.process_endofpipe()
        assert [file.exists() for file in files] == [not remove] * 4
        assert loader.rows("SELECT count(*), max(id) FROM s") == [(8, 7)]
    assert gone[:4] == [[False] * 4] * 4
    assert gone[4:] == [[False] * 4, [True, True, False, False], [True, True, False, False], [True] * 4]


def test_batch_files_of_a_load_that_fails_are_left(loader: Loader, tmp_path: Path) -> None:
    file = tmp_path / "1.jsonl"
    file.write_text('{"id": "secret"}')
    with pytest.raises(LoadError, match="1 value of id"):
        loader(
            loader.schema("s", {"id": "integer"}, ["id"]),
            batch([str(file)]),
            loader.state({"n": 1}),
            remove_batch_files=True,
        )
    assert file.exists()


def test_a_batch_file_that_cannot_be_removed_is_no_failure(
    loader: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "1.jsonl"
    file.write_text('{"id": 1}')
    unlink = type(file).unlink

    def refuse(path: Path, *, missing_ok: bool = False) -> None:
        if path == file:
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(type(file), "unlink", refuse)
    loader(loader.schema("s", {"id": "integer"}, ["id"]), batch([str(file)]), remove_batch_files=True)
    assert "A batch file that is loaded cannot be removed (Permission denied)" in caplog.text
    assert loader.rows("SELECT id FROM s") == [(1,)]
