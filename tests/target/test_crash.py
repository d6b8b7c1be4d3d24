"""kill -9 at any moment: what a state promised is in the file, and no batch is there by half."""

from __future__ import annotations

import json
import random
import threading
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING

import pytest

from target_duckdb.errors import LoadError

if TYPE_CHECKING:
    from tests.target.conftest import Loader

BATCH = 100
ROWS = 1_000


def feed(pipe: IO[bytes], data: bytes) -> None:
    with suppress(BrokenPipeError), pipe:  # the loader is killed while it reads
        pipe.write(data)


def two_streams(loader: Loader) -> bytes:
    """Two streams side by side, with a state after every 50 pairs that promises them all."""
    messages = [
        loader.schema("keyed", {"id": "integer", "text": "string"}, ["id"]),
        loader.schema("log", {"id": "integer"}),
    ]
    for number in range(1, ROWS + 1):
        messages.append(loader.record("keyed", {"id": number, "text": "x" * 200}))
        messages.append(loader.record("log", {"id": number}))
        if number % 50 == 0:
            messages.append(loader.state({"done": number}))
    data: bytes = loader.lines(*messages)
    return data


@pytest.mark.parametrize("seed", range(6))
def test_rows_that_a_state_promised_survive_a_kill(loader: Loader, seed: int) -> None:
    data = two_streams(loader)
    process = loader.start(batch_size_rows=BATCH)
    assert process.stdin is not None
    assert process.stdout is not None
    feeder = threading.Thread(target=feed, args=(process.stdin, data))
    feeder.start()
    states: list[int] = []
    chance = random.Random(seed)
    kill_after, patience = chance.randrange(0, 2 * ROWS // BATCH - 5), chance.random() * 0.03
    for line in process.stdout:
        states.append(json.loads(line)["done"])
        if len(states) > kill_after:
            break
    time.sleep(patience)
    process.kill()
    states += [json.loads(line)["done"] for line in process.stdout if line.endswith(b"\n")]
    process.wait()
    feeder.join()
    process.stdout.close()

    promised = max(states, default=0)
    for table in ("keyed", "log"):
        ids = [number for (number,) in loader.rows(f"SELECT id FROM {table} ORDER BY id")]
        assert ids == list(range(1, len(ids) + 1))
        assert len(ids) >= promised
        assert len(ids) % 50 == 0
    assert promised < ROWS, "the run was over before the kill"

    # Running again from the last state completes the keyed table, sweeps what the dead run left, and loses nothing.
    code, out, err = loader.command(*data.splitlines())
    assert code == 0, err
    assert json.loads(out.splitlines()[-1]) == {"done": ROWS}
    assert loader.rows("SELECT count(*), count(DISTINCT id), max(id) FROM keyed") == [(ROWS, ROWS, ROWS)]
    assert [path.name for path in loader.path.parent.glob("*loading*")] == []


def test_a_state_is_passed_on_only_after_the_rows_of_every_stream_before_it(loader: Loader) -> None:
    code, out, err = loader.command(*two_streams(loader).splitlines(), batch_size_rows=BATCH)
    assert code == 0, err
    done = [json.loads(line)["done"] for line in out.splitlines()]
    assert done == sorted(done)
    assert len(set(done)) == 2 * ROWS // BATCH
    assert done[-1] == ROWS


def test_a_failing_batch_emits_no_state_and_leaves_the_earlier_ones(loader: Loader) -> None:
    announced = loader.schema("s", {"id": "integer"}, ["id"])
    good = [loader.record("s", {"id": number}) for number in range(10)]
    bad = [*[loader.record("s", {"id": number}) for number in range(10, 19)], loader.record("s", {"id": "x"})]
    messages = [announced, *good, loader.state({"n": 1.10}), *bad, loader.state({"n": 2})]
    code, out, _ = loader.command(*messages, batch_size_rows=10)
    assert (code, out) == (1, '{"n":1.1}\n')
    assert loader.rows("SELECT count(*) FROM s") == [(10,)]


def test_a_batch_that_fails_after_its_updates_takes_them_back(loader: Loader) -> None:
    announced = loader.schema("s", {"id": "integer", "n": "integer"}, ["id"])
    loader(announced, loader.record("s", {"id": 1, "n": 1}), loader.record("s", {"id": 3, "n": 3}))
    loader.rows("CREATE UNIQUE INDEX one_n ON s (n)")
    with pytest.raises(LoadError, match=r"^DuckDB could not load stream s: Constraint Error: Duplicate key … "):
        loader(announced, loader.record("s", {"id": 1, "n": 5}), loader.record("s", {"id": 2, "n": 3}))
    assert loader.rows("SELECT id, n FROM s ORDER BY id") == [(1, 1), (3, 3)]
